//! A TCP connection as the host shows it, and what is wrong with it.

use serde::{Deserialize, Serialize};

/// Connections of one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sockets {
    /// Where they were seen.
    pub source: Source,
    /// How many connections there were, listeners not among them.
    pub connections: usize,
    /// How many of them wait for something.
    pub waiting_in_all: usize,
    /// Those that wait, the first [`MAX_WAITING`] of them.
    pub waiting: Vec<Waiting>,
}

/// Connections with a complaint that are kept of each namespace.
pub const MAX_WAITING: usize = 1000;

/// Where connections were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The kernel's `sock_diag`, with memory and timers.
    #[default]
    SockDiag,
    /// /proc/net/tcp, which shows timers and no memory.
    Proc,
    /// A saved `ss`.
    Ss,
}

/// A connection with a complaint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// What is wrong with it.
    pub complaint: Complaint,
    /// The connection.
    #[serde(flatten)]
    pub socket: Socket,
}

/// What is wrong with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Complaint {
    /// More than twice the send buffer is queued, the retransmission timer has fired, and nothing left the host when it
    /// did: `tcp_fragment()` would refuse, and something refused.
    Silent,
    /// More than twice the send buffer is queued and the retransmission timer has fired; whether anything left the host
    /// when it did is not known.
    Overfull,
    /// More than twice the send buffer is queued, and what was sent again when the retransmission timer last fired left
    /// the host: the peer is what is silent.
    Unanswered,
    /// It retransmits, and where it was seen does not show how much it may queue.
    Retransmitting,
    /// Its peer keeps the window closed, and it probes.
    ZeroWindow,
}

/// The timer that runs for a connection (`idiag_timer`, net/ipv4/inet_diag.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timer {
    /// The retransmission timer (or one that shares its place).
    Retransmit,
    /// Probes a zero window.
    Probe,
    /// Another one.
    Other,
}

/// A connection. What the host, or whoever saved it, did not show is null.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// Its own address and port.
    pub local: String,
    /// Its peer's.
    pub remote: String,
    /// The number of its inode, by which processes hold it.
    pub inode: Option<u64>,
    /// Whose it is: `mysqld (1234)`.
    pub process: Option<String>,
    /// `sk_wmem_queued`, in bytes.
    pub wmem_queued: Option<u64>,
    /// `sk_sndbuf`, in bytes.
    pub sndbuf: Option<u64>,
    /// The retransmission timeout in milliseconds, as often doubled as it was.
    pub rto_ms: Option<u64>,
    /// How often it was doubled.
    pub backoff: Option<u32>,
    /// How often the oldest segment's timer has fired in a row.
    pub retransmits: Option<u32>,
    /// The timer that runs.
    pub timer: Option<Timer>,
    /// In how many milliseconds it fires.
    pub expires_ms: Option<u64>,
    /// Milliseconds since data was last sent, sent again included.
    pub last_sent_ms: Option<u64>,
    /// Bytes that the application has written and the peer not acknowledged, where no memory is shown.
    pub unacknowledged: Option<u64>,
}

impl Socket {
    /// What is wrong with it.
    pub fn complaint(&self) -> Option<Complaint> {
        let doubled = self.backoff.unwrap_or(0).max(self.retransmits.unwrap_or(0)) > 0;
        if !doubled {
            return None;
        }
        match (self.timer, self.is_overfull()) {
            (Some(Timer::Probe), _) => Some(Complaint::ZeroWindow),
            (_, Some(true)) => Some(self.since_the_timer_fired()),
            (_, Some(false)) => None,
            (Some(Timer::Retransmit), None) if self.unacknowledged.unwrap_or(0) > 0 => Some(Complaint::Retransmitting),
            (_, None) => None,
        }
    }

    /// The guard of `tcp_fragment()`: `(sk_wmem_queued >> 1) > sk_sndbuf` (net/ipv4/tcp_output.c since CVE-2019-11478).
    fn is_overfull(&self) -> Option<bool> {
        Some((self.wmem_queued? >> 1) > self.sndbuf?)
    }

    /// Whether anything was sent when the retransmission timer last fired. That was one timeout before it fires again,
    /// and the time before was half a timeout earlier, because each doubles it. Whatever is sent, sent again included,
    /// sets the time of the last data (`lsndtime`, by `tcp_event_data_sent()` in `__tcp_transmit_skb()`); a packet that
    /// could not be split never gets that far.
    fn since_the_timer_fired(&self) -> Complaint {
        let (Some(sent), Some(rto)) = (self.last_sent_ms, self.rto_ms) else { return Complaint::Overfull };
        // Without the time that is left, it may have fired just now or a whole timeout ago.
        let fired = self.expires_ms.map(|left| rto.saturating_sub(left));
        let (least, most) = (fired.unwrap_or(0), fired.unwrap_or(rto));
        if sent > most.saturating_add(SLACK_MS) {
            Complaint::Silent
        } else if sent.saturating_add(SLACK_MS) < least.saturating_add(rto / 2) {
            Complaint::Unanswered
        } else {
            Complaint::Overfull
        }
    }
}

/// The kernel's ticks, the coarse figures of some versions of `ss` (whole seconds), and the time that listing takes.
const SLACK_MS: u64 = 1500;

impl Sockets {
    /// None yet.
    pub(super) fn new(source: Source) -> Self {
        Self { source, ..Self::default() }
    }

    /// Takes one connection.
    pub(super) fn take(&mut self, socket: Socket) {
        self.connections += 1;
        if let Some(complaint) = socket.complaint() {
            self.waiting_in_all += 1;
            if self.waiting.len() < MAX_WAITING {
                self.waiting.push(Waiting { complaint, socket });
            }
        }
    }

    /// Those with this complaint.
    pub fn with(&self, complaint: Complaint) -> impl Iterator<Item = &Socket> {
        self.waiting.iter().filter(move |w| w.complaint == complaint).map(|w| &w.socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The connection of the public report: `skmem:(…tb8192…w22680…) rto:37760 backoff:7`.
    fn reported() -> Socket {
        Socket {
            wmem_queued: Some(22680),
            sndbuf: Some(8192),
            rto_ms: Some(37_760),
            backoff: Some(7),
            timer: Some(Timer::Retransmit),
            ..Socket::default()
        }
    }

    #[test]
    fn a_connection_is_judged_by_what_is_known_of_it() {
        let with = |change: &dyn Fn(&mut Socket)| {
            let mut socket = reported();
            change(&mut socket);
            socket.complaint()
        };
        type Change<'a> = &'a dyn Fn(&mut Socket);
        let table: [(Change, Option<Complaint>); 16] = [
            (&|_| (), Some(Complaint::Overfull)),
            (&|s| s.last_sent_ms = Some(70_000), Some(Complaint::Silent)),
            // A dead peer: what is sent again leaves the host, and nobody answers.
            (&|s| s.last_sent_ms = Some(10_000), Some(Complaint::Unanswered)),
            // Half a timeout ago: at the last firing or the one before.
            (&|s| s.last_sent_ms = Some(20_000), Some(Complaint::Overfull)),
            // Measured on a fixed kernel whose interface was down: `timer:(on,1.372ms,4) rto:3264 lastsnd:1892`.
            (
                &|s| {
                    (s.rto_ms, s.expires_ms, s.last_sent_ms) = (Some(3264), Some(1372), Some(1892));
                },
                Some(Complaint::Unanswered),
            ),
            // Measured on a kernel with the half fix: `timer:(on,1.248ms,4) rto:3456`, last data 3.7 s old, and one
            // timeout before that, which is too early to tell.
            (
                &|s| {
                    (s.rto_ms, s.expires_ms, s.last_sent_ms) = (Some(3456), Some(1248), Some(3750));
                },
                Some(Complaint::Silent),
            ),
            (
                &|s| {
                    (s.rto_ms, s.expires_ms, s.last_sent_ms) = (Some(1728), Some(672), Some(1900));
                },
                Some(Complaint::Overfull),
            ),
            // The timer fired 5 s ago and the last data is 20 s old: that firing sent nothing.
            (
                &|s| {
                    s.last_sent_ms = Some(20_000);
                    s.expires_ms = Some(32_760);
                },
                Some(Complaint::Silent),
            ),
            (&|s| s.backoff = Some(0), None),
            (&|s| s.backoff = None, None),
            (&|s| s.wmem_queued = Some(16_384), None),
            (&|s| s.wmem_queued = Some(16_386), Some(Complaint::Overfull)),
            (&|s| s.timer = Some(Timer::Probe), Some(Complaint::ZeroWindow)),
            (&|s| s.timer = None, Some(Complaint::Overfull)),
            (&|s| s.sndbuf = None, None),
            (
                &|s| {
                    s.sndbuf = None;
                    s.unacknowledged = Some(1);
                },
                Some(Complaint::Retransmitting),
            ),
        ];
        for (n, (change, expected)) in table.into_iter().enumerate() {
            assert_eq!(with(change), expected, "row {n}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_all_are_counted() {
        let mut sockets = Sockets::new(Source::Ss);
        for _ in 0..MAX_WAITING + 5 {
            sockets.take(reported());
        }
        sockets.take(Socket::default());
        assert_eq!((sockets.connections, sockets.waiting_in_all), (MAX_WAITING + 6, MAX_WAITING + 5));
        assert_eq!(sockets.waiting.len(), MAX_WAITING);
    }
}
