//! What is observed of a connection behind a closed window. Times are in milliseconds since the data was written, by
//! two clocks, because some kernels judge the timeout by one and some by the other.

use backproof_protocol::Role;

/// `TCP_USER_TIMEOUT` of the connections that have it, in milliseconds.
pub const USER_TIMEOUT_MS: u64 = 1000;

/// What a kernel may be late or early by, in milliseconds: a tick of its clock (10 ms at HZ=100), at either end.
pub const TICKS_MS: u64 = 50;

/// Without "tcp: make TCP_USER_TIMEOUT accurate for zero window probes" a kernel looks at the time only when a probe
/// is due, and probes get rare. This many timeouts are waited for.
pub const TIMEOUTS: u64 = 3;

/// What the peer of a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerDoes {
    /// Answers each probe with a window of 0, and opens its window when all is over. The socket has the option.
    AnswersClosed,
    /// The same, and the socket does not have the option.
    AnswersClosedWithoutOption,
    /// Opens its window well before the timeout. The socket has the option.
    OpensInTime,
    /// Answers no probe. The socket has the option.
    Silent,
}

impl PeerDoes {
    /// What such a connection is for.
    pub fn role(self) -> Role {
        match self {
            Self::AnswersClosed => Role::Recipe,
            Self::AnswersClosedWithoutOption | Self::OpensInTime => Role::NegativeControl,
            Self::Silent => Role::PositiveControl,
        }
    }
}

/// A moment, in milliseconds since the data was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// By the kernel's tick, which most kernels' timeouts go by. On a busy host it stands still and then makes up.
    pub tick_ms: u64,
    /// By CLOCK_MONOTONIC, as 4.13 to 5.0 judge this option (`tcp_mstamp`).
    pub clock_ms: u64,
}

impl Moment {
    /// The time since an earlier moment, by the clock that says less.
    pub fn least_since(self, earlier: Self) -> u64 {
        self.tick_ms.saturating_sub(earlier.tick_ms).min(self.clock_ms.saturating_sub(earlier.clock_ms))
    }

    /// The time since an earlier moment, by the clock that says more.
    pub fn most_since(self, earlier: Self) -> u64 {
        self.tick_ms.saturating_sub(earlier.tick_ms).max(self.clock_ms.saturating_sub(earlier.clock_ms))
    }
}

/// A zero-window probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The wire was still empty then: the probe was sent later.
    pub not_before: Moment,
    /// When it was read from the wire: it was sent earlier.
    pub seen: Moment,
    /// Whether the kernel took an answer to it, as its own count of unanswered probes (`tcpi_probes`) says.
    pub answered: bool,
}

/// What one connection showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeoutObservation {
    /// Retransmission timeout when the data was written; probes start after it.
    pub rto_ms: u64,
    /// Connections that it took: more than one if the kernel had measured a loaded host in the handshake.
    pub connections: u8,
    /// The probes, in order.
    pub probes: Vec<Probe>,
    /// When the peer opened its window before the end.
    pub opened: Option<Moment>,
    /// Doublings of the probes' interval at the end (`icsk_backoff`).
    pub backoff: u8,
    /// What became of the connection.
    pub ending: TimeoutEnding,
}

/// What became of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeoutEnding {
    /// The kernel ended it.
    Aborted {
        /// When that was noticed.
        at: Moment,
        /// `SO_ERROR`.
        errno: i32,
    },
    /// It lived on.
    Alive {
        /// Until when it was watched.
        at: Moment,
        /// Whether all data arrived when the window was open.
        delivered: bool,
    },
    /// Neither in time.
    Undecided {
        /// What was waited for.
        waited_for: &'static str,
        /// How long.
        ms: u64,
    },
}

impl TimeoutObservation {
    /// For how long, at least, the kernel had been probing when it sent its last probe. What the wire's reader is late
    /// by can only make this too short.
    pub fn probing_ms(&self) -> Option<u64> {
        probing_ms(&self.probes)
    }
}

/// For how long, at least, the kernel had been probing when it sent the last of these probes.
pub fn probing_ms(probes: &[Probe]) -> Option<u64> {
    Some(probes.last()?.not_before.least_since(probes.first()?.seen))
}

/// Whether the kernel sent a probe when it had to give up: the option's time was over since the first.
pub fn probes_beyond_timeout(probes: &[Probe]) -> bool {
    probing_ms(probes).is_some_and(|ms| ms >= USER_TIMEOUT_MS + TICKS_MS)
}

/// Whether the peer may have opened its window when the option's time was over: the host was too busy for it.
pub fn opened_late(seen: &TimeoutObservation) -> bool {
    let Some(first) = seen.probes.first() else { return true };
    seen.opened.is_none_or(|at| at.most_since(first.not_before) + TICKS_MS >= USER_TIMEOUT_MS)
}
