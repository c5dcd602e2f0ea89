//! One TCP connection as the host shows it, and its fault.

use serde::{Deserialize, Serialize};

mod lacking;
mod list;

pub(super) use lacking::Lacking;
pub use list::{MAX_WAITING, SocketSource, Sockets, Unsure};

/// A connection with a complaint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingSocket {
    /// The fault.
    pub complaint: Complaint,
    /// The connection.
    #[serde(flatten)]
    pub socket: Socket,
}

/// The fault of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Complaint {
    /// It holds more than twice its send buffer, its retransmission timer has fired, and nothing left the host then:
    /// `tcp_fragment()` would refuse, and something refused.
    Silent,
    /// It holds more than twice its send buffer and its timer has fired. It is unknown whether anything left the host then,
    /// and whether its peer's window is closed.
    Overfull,
    /// It holds more than twice its send buffer, and the last retransmission left the host: the peer is silent.
    Unanswered,
    /// It retransmits, and its memory was not shown.
    Retransmitting,
    /// Its peer keeps the window closed, and it probes.
    ZeroWindow,
}

/// The running timer of a connection (`idiag_timer`, net/ipv4/inet_diag.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timer {
    /// No timer.
    None,
    /// The retransmission timer (or one that shares its place).
    Retransmit,
    /// The zero window probe timer.
    Probe,
    /// Another timer.
    Other,
}

/// Whether a statement about a connection is true, as shown by the listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told<T> {
    /// It is true.
    Yes(T),
    /// It is false.
    No,
    /// The listing does not show it.
    Untold(Lacking),
}

/// A connection. Facts that were not shown are null.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// Its own address and port.
    pub local: String,
    /// Its peer's address and port.
    pub remote: String,
    /// The inode number, by which processes hold it.
    pub inode: Option<u64>,
    /// The process that holds it: `mysqld (1234)`.
    pub process: Option<String>,
    /// `sk_wmem_queued`, in bytes.
    pub wmem_queued: Option<u64>,
    /// `sk_sndbuf`, in bytes.
    pub sndbuf: Option<u64>,
    /// The retransmission timeout in milliseconds, with its doublings.
    pub rto_ms: Option<u64>,
    /// The timeout without doublings, from the round-trip time, in milliseconds.
    #[serde(default)]
    pub fresh_rto_ms: Option<u64>,
    /// The number of the timeout's doublings, or of sent probes of a zero window.
    pub backoff: Option<u32>,
    /// The number of consecutive firings of the oldest segment's timer; behind a zero window, the number of unanswered probes.
    pub retransmits: Option<u32>,
    /// The running timer.
    pub timer: Option<Timer>,
    /// The time until it fires, in milliseconds.
    pub expires_ms: Option<u64>,
    /// Milliseconds since data was last sent, retransmissions included.
    pub last_sent_ms: Option<u64>,
    /// Milliseconds since the peer last acknowledged anything, a probe included.
    #[serde(default)]
    pub last_ack_ms: Option<u64>,
    /// Bytes that the application has written and the peer has not acknowledged.
    pub unacknowledged: Option<u64>,
    /// Packets that were sent but not acknowledged (`tcpi_unacked`).
    #[serde(default)]
    pub in_flight: Option<u64>,
    /// The window that the peer last announced, in bytes (`tcpi_snd_wnd`, since Linux 5.4).
    #[serde(default)]
    pub peer_window: Option<u64>,
    /// Whether its source lines are malformed.
    #[serde(default)]
    pub damaged: bool,
}

/// The longest retransmission timeout in milliseconds (`TCP_RTO_MAX`, include/net/tcp.h).
const RTO_MAX_MS: u64 = 120_000;

/// Allows for the kernel's ticks, whole seconds in some versions of `ss`, and the duration of the listing.
const SLACK_MS: u64 = 1500;

impl Socket {
    /// Its fault.
    pub fn complaint(&self) -> Option<Complaint> {
        let has_fired = self.has_fired() == Some(true);
        match (self.stuck(), self.zero_window()) {
            (Told::Yes(complaint), _) => Some(complaint),
            (_, Told::Yes(())) => Some(Complaint::ZeroWindow),
            (Told::Untold(_), _) if has_fired && self.is_overfull() == Some(true) => Some(Complaint::Overfull),
            (Told::Untold(_), _) if has_fired && self.timer() == Some(Timer::Retransmit) => {
                Some(Complaint::Retransmitting)
            }
            _ => None,
        }
    }

    /// Whether it holds over twice its send buffer and cannot send it.
    pub(super) fn stuck(&self) -> Told<Complaint> {
        let untold = |lacking| Told::Untold(Lacking { damaged: self.damaged, ..lacking });
        let no = if self.damaged { untold(Lacking::default()) } else { Told::No };
        if self.is_empty() || self.is_overfull() == Some(false) || self.has_fired() == Some(false) {
            return no;
        }
        let is_window_hidden = self.peer_window.is_none();
        let is_untimed = is_window_hidden && self.timer().is_none();
        let lacking = Lacking {
            memory: self.is_overfull().is_none(),
            info: self.has_fired().is_none(),
            // A zero window keeps its first timeout, so a long one alone proves nothing.
            timer: is_untimed,
            window: is_untimed && self.has_fired().is_some(),
            ..Lacking::default()
        };
        match self.timer() {
            Some(Timer::None | Timer::Other) => no,
            _ if lacking != Lacking::default() => untold(lacking),
            Some(Timer::Probe) if self.peer_window == Some(0) => no,
            Some(Timer::Probe) if is_window_hidden && self.peer_answers() == Some(true) => no,
            Some(Timer::Probe) if is_window_hidden => untold(Lacking { window: true, ..lacking }),
            // Retransmissions can wait for a window that closed over the data in flight.
            _ if self.peer_window == Some(0) => untold(Lacking { window: true, ..lacking }),
            _ => match (self.has_sent_at_timeout(), self.last_sent_ms.zip(self.rto_ms)) {
                (Some(true), _) => Told::Yes(Complaint::Unanswered),
                (Some(false), _) => Told::Yes(Complaint::Silent),
                (None, Some(_)) => Told::Yes(Complaint::Overfull),
                (None, None) => untold(Lacking { sent: true, window: is_window_hidden, ..lacking }),
            },
        }
    }

    /// Whether its peer keeps the window closed.
    pub(super) fn zero_window(&self) -> Told<()> {
        let untold = |lacking| Told::Untold(Lacking { damaged: self.damaged, ..lacking });
        let no = if self.damaged { untold(Lacking::default()) } else { Told::No };
        if self.is_empty() || self.peer_window.is_some_and(|window| window > 0) {
            return no;
        }
        match (self.timer, self.timer()) {
            // With the break alone nothing is in flight, and the limit refuses the probes too: no answer comes.
            (Some(Timer::Probe), _)
                if self.peer_window.is_none()
                    && self.is_overfull() == Some(true)
                    && self.peer_answers() == Some(false) =>
            {
                untold(Lacking { window: true, ..Lacking::default() })
            }
            (Some(Timer::Probe), _) => Told::Yes(()),
            (_, Some(Timer::Probe)) if self.peer_window == Some(0) || self.peer_answers() == Some(true) => {
                Told::Yes(())
            }
            (_, Some(Timer::None | Timer::Other)) => no,
            (_, Some(Timer::Retransmit)) if self.has_fired() == Some(false) => no,
            // The retransmission timer also probes a window that closed over the data in flight
            // (`tcp_retransmit_timer`, net/ipv4/tcp_timer.c).
            (_, Some(Timer::Retransmit)) => untold(Lacking { window: true, ..Lacking::default() }),
            _ => untold(Lacking { timer: true, ..Lacking::default() }),
        }
    }

    /// Whether nothing waits to be sent or acknowledged.
    fn is_empty(&self) -> bool {
        match self.unacknowledged {
            Some(bytes) => bytes == 0,
            None => self.wmem_queued == Some(0),
        }
    }

    /// The guard of `tcp_fragment()`: `(sk_wmem_queued >> 1) > sk_sndbuf` (net/ipv4/tcp_output.c since CVE-2019-11478).
    pub(super) fn is_overfull(&self) -> Option<bool> {
        Some((self.wmem_queued? >> 1) > self.sndbuf?)
    }

    /// Whether the timer has fired, and nothing was acknowledged since.
    fn has_fired(&self) -> Option<bool> {
        let retransmits = self.retransmits.filter(|n| *n > 0 || self.timer == Some(Timer::Retransmit));
        match (self.backoff, retransmits) {
            (Some(1..), _) | (_, Some(1..)) => Some(true),
            (Some(0), _) | (None, Some(0)) => Some(false),
            (None, None) => None,
        }
    }

    /// The running timer: the one that was shown, or the one implied by the data in flight.
    fn timer(&self) -> Option<Timer> {
        self.timer.or(match self.in_flight {
            Some(1..) => Some(Timer::Retransmit),
            Some(0) => Some(Timer::Probe),
            None => (self.peer_window == Some(0)).then_some(Timer::Probe),
        })
    }

    /// Whether the peer acknowledged the last probe or a later one.
    fn peer_answers(&self) -> Option<bool> {
        let interval = doubled(self.rto_ms?, self.backoff.unwrap_or(0));
        Some(self.last_ack_ms? <= interval.saturating_add(SLACK_MS))
    }

    /// Whether anything was sent when the timer last fired: one timeout before it fires again. The firing before that was
    /// half a timeout earlier, because each doubles it. Every transmission sets the time of the last data (`lsndtime`,
    /// `tcp_event_data_sent()`); a packet that could not be split never gets that far.
    fn has_sent_at_timeout(&self) -> Option<bool> {
        let (sent, rto) = (self.last_sent_ms?, self.rto_ms?);
        let rto = if self.timer() == Some(Timer::Probe) { doubled(rto, self.backoff.unwrap_or(0)) } else { rto };
        // Without the remaining time, it may have fired just now or a whole timeout ago.
        let fired = self.expires_ms.map(|left| rto.saturating_sub(left));
        let (least, most) = (fired.unwrap_or(0), fired.unwrap_or(rto));
        if sent > most.saturating_add(SLACK_MS) {
            Some(false)
        } else {
            (sent.saturating_add(SLACK_MS) < least.saturating_add(rto / 2)).then_some(true)
        }
    }
}

/// A timeout in milliseconds after this many doublings.
fn doubled(ms: u64, times: u32) -> u64 {
    ms.saturating_mul(1 << times.min(20)).min(RTO_MAX_MS.max(ms))
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
