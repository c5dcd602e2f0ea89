//! Observations of a connection behind a closed window. Times are in milliseconds since the data was written, by two
//! clocks, because some kernels judge the timeout by one clock and some by the other.

use backproof_protocol::Role;

/// `TCP_USER_TIMEOUT` of the connections that have it, in milliseconds.
pub const USER_TIMEOUT_MS: u64 = 1000;

/// A kernel may be this many milliseconds late or early: a tick (10 ms at HZ=100) at either end.
pub const TICKS_MS: u64 = 50;

/// The number of timeouts to wait for. Without "tcp: make TCP_USER_TIMEOUT accurate for zero window probes" a kernel checks
/// the time only when a probe is due, and probes become rare.
pub const TIMEOUTS: u64 = 3;

/// The behaviour of a connection's peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerDoes {
    /// Answers each probe with a window of 0, and opens its window at the end. The socket has the option.
    AnswersClosed,
    /// The same, but the socket does not have the option.
    AnswersClosedWithoutOption,
    /// Opens its window well before the timeout. The socket has the option.
    OpensInTime,
    /// Answers no probe. The socket has the option.
    Silent,
}

impl PeerDoes {
    /// The role of such a connection.
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
    /// By the kernel's tick, which most kernels' timeouts follow. On a busy host it stops and then catches up.
    pub tick_ms: u64,
    /// By CLOCK_MONOTONIC, which 4.13 to 5.0 use for this option (`tcp_mstamp`).
    pub clock_ms: u64,
}

impl Moment {
    /// The time since an earlier moment, by the clock that gives the shorter time.
    pub fn least_since(self, earlier: Self) -> u64 {
        self.tick_ms.saturating_sub(earlier.tick_ms).min(self.clock_ms.saturating_sub(earlier.clock_ms))
    }

    /// The time since an earlier moment, by the clock that gives the longer time.
    pub fn most_since(self, earlier: Self) -> u64 {
        self.tick_ms.saturating_sub(earlier.tick_ms).max(self.clock_ms.saturating_sub(earlier.clock_ms))
    }
}

/// A zero-window probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The last time at which the wire was empty. The probe was sent after it.
    pub not_before: Moment,
    /// When it was read from the wire. It was sent before that.
    pub seen: Moment,
    /// Whether the kernel accepted an answer to it, by its own count of unanswered probes (`tcpi_probes`).
    pub answered: bool,
}

/// The observations of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeoutObservation {
    /// The retransmission timeout when the data was written. Probes start after it.
    pub rto_ms: u64,
    /// The number of connections tried: more than one if the kernel measured a loaded host's delays in the handshake.
    pub connections: u8,
    /// The probes, in order.
    pub probes: Vec<Probe>,
    /// When the peer opened its window, if that was before the end.
    pub opened: Option<Moment>,
    /// Doublings of the probes' interval at the end (`icsk_backoff`).
    pub backoff: u8,
    /// The fate of the connection.
    pub ending: TimeoutEnding,
}

/// The fate of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeoutEnding {
    /// The kernel ended it.
    Aborted {
        /// When the end was noticed.
        at: Moment,
        /// `SO_ERROR`.
        errno: i32,
    },
    /// It stayed alive.
    Alive {
        /// The end of the watch.
        at: Moment,
        /// Whether all data arrived after the window was opened.
        delivered: bool,
    },
    /// Neither in time.
    Undecided {
        /// The awaited event.
        waited_for: &'static str,
        /// The length of the wait in milliseconds.
        ms: u64,
    },
}

impl TimeoutObservation {
    /// The minimum time from the kernel's first probe to its last one. A late reader of the wire can only make this too
    /// short.
    pub fn probing_ms(&self) -> Option<u64> {
        probing_ms(&self.probes)
    }
}

/// The minimum time from the first to the last of these probes.
pub fn probing_ms(probes: &[Probe]) -> Option<u64> {
    Some(probes.last()?.not_before.least_since(probes.first()?.seen))
}

/// Whether the kernel sent a probe after it should have given up, because the option's time since the first probe had
/// passed.
pub fn probes_beyond_timeout(probes: &[Probe]) -> bool {
    probing_ms(probes).is_some_and(|ms| ms >= USER_TIMEOUT_MS + TICKS_MS)
}

/// Whether the peer may have opened its window after the option's time, because the host was busy.
pub fn opened_late(seen: &TimeoutObservation) -> bool {
    let Some(first) = seen.probes.first() else { return true };
    seen.opened.is_none_or(|at| at.most_since(first.not_before) + TICKS_MS >= USER_TIMEOUT_MS)
}
