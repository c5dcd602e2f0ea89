//! A TCP connection as the host shows it, and what is wrong with it.

use std::collections::{BTreeMap, BTreeSet};

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
    /// How many have each complaint, those beyond [`MAX_WAITING`] included.
    #[serde(default)]
    pub complaints: BTreeMap<Complaint, usize>,
    /// The oldest last data of all that wait behind a zero window, in milliseconds; null where none showed it.
    #[serde(default)]
    pub longest_zero_window_ms: Option<u64>,
    /// Whether some wait behind a zero window and do not show since when.
    #[serde(default)]
    pub zero_window_of_unknown_age: bool,
    /// Why nobody can say that no connection is stuck.
    #[serde(default)]
    pub unsure: Unsure,
    #[serde(skip)]
    pub(crate) untold: Untold,
    /// The ends of all connections, up to [`MAX_ENDS`].
    #[serde(skip)]
    pub(crate) ends: BTreeSet<Ends>,
    /// The ends of those of which something is untold; a whole listing that lacks one cannot clear it up.
    #[serde(skip)]
    pub(crate) untold_ends: BTreeSet<Ends>,
}

/// Why nobody can say that there is no such connection; null where that can be said, because all connections were
/// listed and each showed that it is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsure {
    /// For connections that are stuck.
    pub stuck: Option<String>,
    /// For connections behind a zero window.
    pub zero_window: Option<String>,
}

/// Connections that did not show enough, and what they did not show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Untold {
    stuck: (usize, Lacking),
    zero_window: (usize, Lacking),
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
    /// A saved `netstat`, which shows no memory.
    Netstat,
}

/// The local and the remote address of a connection.
pub(crate) type Ends = (String, String);

/// Ends that are kept, for comparing two listings of one namespace.
const MAX_ENDS: usize = 200_000;

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
    /// None runs.
    None,
    /// The retransmission timer (or one that shares its place).
    Retransmit,
    /// Probes a zero window.
    Probe,
    /// Another one.
    Other,
}

/// What was not shown of a connection and would tell more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lacking {
    /// Its memory (`ss -m`).
    pub memory: bool,
    /// Its timeout, and how often that was doubled (`ss -i`).
    pub info: bool,
    /// The timer that runs (`ss -o`).
    pub timer: bool,
    /// Its peer's window, which `ss -i` shows as `snd_wnd` since Linux 5.4.
    pub window: bool,
    /// Its lines are broken.
    pub damaged: bool,
}

/// Whether something holds of a connection, as far as that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told<T> {
    /// It holds.
    Yes(T),
    /// It does not hold.
    No,
    /// What was shown does not tell.
    Untold(Lacking),
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
    /// What the timeout would be if it had not been doubled, by the round-trip time, in milliseconds.
    #[serde(default)]
    pub fresh_rto_ms: Option<u64>,
    /// How often the timeout was doubled, or how many probes of a zero window were sent.
    pub backoff: Option<u32>,
    /// How often the oldest segment's timer has fired in a row; of a zero window, how many probes stand unanswered.
    pub retransmits: Option<u32>,
    /// The timer that runs.
    pub timer: Option<Timer>,
    /// In how many milliseconds it fires.
    pub expires_ms: Option<u64>,
    /// Milliseconds since data was last sent, sent again included.
    pub last_sent_ms: Option<u64>,
    /// Milliseconds since the peer last acknowledged anything, a probe included.
    #[serde(default)]
    pub last_ack_ms: Option<u64>,
    /// Bytes that the application has written and the peer not acknowledged.
    pub unacknowledged: Option<u64>,
    /// Packets that were sent and not acknowledged (`tcpi_unacked`).
    #[serde(default)]
    pub in_flight: Option<u64>,
    /// The window that the peer last announced, in bytes (`tcpi_snd_wnd`, since Linux 5.4).
    #[serde(default)]
    pub peer_window: Option<u64>,
    /// Whether the lines that it was read from are broken.
    #[serde(default)]
    pub damaged: bool,
}

/// The shortest retransmission timeout in milliseconds (`TCP_RTO_MIN`, include/net/tcp.h).
const RTO_MIN_MS: u64 = 200;

/// The longest (`TCP_RTO_MAX`).
const RTO_MAX_MS: u64 = 120_000;

impl Socket {
    /// What is wrong with it.
    pub fn complaint(&self) -> Option<Complaint> {
        match (self.stuck(), self.zero_window()) {
            (Told::Yes(complaint), _) => Some(complaint),
            (_, Told::Yes(())) => Some(Complaint::ZeroWindow),
            (Told::Untold(_), _) if self.timer() == Some(Timer::Retransmit) && self.has_fired() == Some(true) => {
                Some(Complaint::Retransmitting)
            }
            _ => None,
        }
    }

    /// Whether it holds over twice its send buffer and does not get rid of it.
    pub(super) fn stuck(&self) -> Told<Complaint> {
        let untold = |lacking| Told::Untold(Lacking { damaged: self.damaged, ..lacking });
        let no = if self.damaged { untold(Lacking::default()) } else { Told::No };
        if self.is_empty() || self.is_overfull() == Some(false) || self.has_fired() == Some(false) {
            return no;
        }
        let lacking = Lacking {
            memory: self.is_overfull().is_none(),
            info: self.has_fired().is_none(),
            timer: self.timer().is_none(),
            ..Lacking::default()
        };
        match self.timer() {
            Some(Timer::None | Timer::Other) => no,
            _ if lacking != Lacking::default() => untold(lacking),
            Some(Timer::Probe) => match self.peer_window {
                Some(0) => no,
                // The window is open, and nothing is in flight: the first transmission was refused.
                Some(_) => Told::Yes(self.since_the_timer_fired()),
                None if self.peer_answers() == Some(true) => no,
                None => untold(Lacking { window: true, ..lacking }),
            },
            // What is sent again may wait for the window alone.
            _ if self.peer_window == Some(0) => untold(Lacking { window: true, ..lacking }),
            _ => Told::Yes(self.since_the_timer_fired()),
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
            (Some(Timer::Probe), _) => Told::Yes(()),
            (_, Some(Timer::Probe)) if self.peer_window == Some(0) || self.peer_answers() == Some(true) => {
                Told::Yes(())
            }
            (_, Some(Timer::None | Timer::Other)) => no,
            (_, Some(Timer::Retransmit)) if self.has_fired() == Some(false) => no,
            // A peer may close its window over what is in flight; the retransmission timer probes it then
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

    /// The timer that runs: what was shown, or what follows from the rest. What is in flight has the retransmission
    /// timer, which doubles the timeout each time that it fires; probes of a zero window leave the timeout as it is, and
    /// nothing is in flight then.
    fn timer(&self) -> Option<Timer> {
        if self.timer.is_some() {
            return self.timer;
        }
        match self.in_flight {
            Some(1..) => Some(Timer::Retransmit),
            _ if self.peer_window == Some(0) => Some(Timer::Probe),
            Some(0) if self.peer_answers() == Some(true) => Some(Timer::Probe),
            _ if self.timeout_has_grown() => Some(Timer::Retransmit),
            Some(0) => Some(Timer::Probe),
            None => None,
        }
    }

    /// Whether the timeout is as long as only doubling makes it.
    fn timeout_has_grown(&self) -> bool {
        let (Some(rto), Some(backoff @ 1..)) = (self.rto_ms, self.backoff) else { return false };
        let fresh = self.fresh_rto_ms.unwrap_or(0).max(RTO_MIN_MS);
        rto >= doubled(RTO_MIN_MS, backoff) && rto > fresh.saturating_add(fresh / 2)
    }

    /// Whether the peer acknowledged the last probe or a later one.
    fn peer_answers(&self) -> Option<bool> {
        let interval = doubled(self.rto_ms?, self.backoff.unwrap_or(0));
        Some(self.last_ack_ms? <= interval.saturating_add(SLACK_MS))
    }

    /// Whether anything was sent when the timer last fired. That was one timeout before it fires again, and the time
    /// before was half a timeout earlier, because each doubles it. Whatever is sent, sent again included, sets the time
    /// of the last data (`lsndtime`, by `tcp_event_data_sent()` in `__tcp_transmit_skb()`); a packet that could not be
    /// split never gets that far.
    fn since_the_timer_fired(&self) -> Complaint {
        let (Some(sent), Some(rto)) = (self.last_sent_ms, self.rto_ms) else { return Complaint::Overfull };
        let rto = if self.timer() == Some(Timer::Probe) { doubled(rto, self.backoff.unwrap_or(0)) } else { rto };
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

/// A timeout in milliseconds after so many doublings.
fn doubled(ms: u64, times: u32) -> u64 {
    ms.saturating_mul(1 << times.min(20)).min(RTO_MAX_MS.max(ms))
}

/// The kernel's ticks, the coarse figures of some versions of `ss` (whole seconds), and the time that listing takes.
const SLACK_MS: u64 = 1500;

impl Lacking {
    fn and(&mut self, other: Self) {
        self.memory |= other.memory;
        self.info |= other.info;
        self.timer |= other.timer;
        self.window |= other.window;
        self.damaged |= other.damaged;
    }

    /// In words: what was not shown, and what shows it.
    fn words(self) -> String {
        let all = [
            (self.memory, "memory (`ss -m`)"),
            (self.info, "timeouts (`ss -i`)"),
            (self.timer, "timers (`ss -o`)"),
            (self.window, "the peer's window (`snd_wnd` in `ss -i`, Linux 5.4 or newer)"),
        ];
        let lacking: Vec<&str> = all.into_iter().filter_map(|(lacks, what)| lacks.then_some(what)).collect();
        let broken = "some lines are broken (save the output as a file instead of pasting it)";
        match (lacking.is_empty(), self.damaged) {
            (false, false) => format!("not shown: {}", lacking.join(", ")),
            (false, true) => format!("not shown: {}; {broken}", lacking.join(", ")),
            (true, _) => broken.to_owned(),
        }
    }
}

impl Sockets {
    /// None yet. Until [`Sockets::finish`], nobody can say that something is not among them.
    pub(super) fn new(source: Source) -> Self {
        let unfinished = || Some("not all connections were read".to_owned());
        Self { source, unsure: Unsure { stuck: unfinished(), zero_window: unfinished() }, ..Self::default() }
    }

    /// Takes one connection.
    pub(super) fn take(&mut self, socket: Socket) {
        self.connections += 1;
        let count = |slot: &mut (usize, Lacking), lacking| {
            slot.0 += 1;
            slot.1.and(lacking);
        };
        let ends = (socket.local.clone(), socket.remote.clone());
        if matches!(socket.stuck(), Told::Untold(_)) || matches!(socket.zero_window(), Told::Untold(_)) {
            self.untold_ends.insert(ends.clone());
        }
        if self.ends.len() < MAX_ENDS && !ends.1.is_empty() {
            self.ends.insert(ends);
        }
        if let Told::Untold(lacking) = socket.stuck() {
            count(&mut self.untold.stuck, lacking);
        }
        if let Told::Untold(lacking) = socket.zero_window() {
            count(&mut self.untold.zero_window, lacking);
        }
        if let Some(complaint) = socket.complaint() {
            self.keep(Waiting { complaint, socket });
        }
    }

    fn keep(&mut self, waiting: Waiting) {
        self.waiting_in_all += 1;
        *self.complaints.entry(waiting.complaint).or_default() += 1;
        if waiting.complaint == Complaint::ZeroWindow {
            self.longest_zero_window_ms = self.longest_zero_window_ms.max(waiting.socket.last_sent_ms);
            self.zero_window_of_unknown_age |= waiting.socket.last_sent_ms.is_none();
        }
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push(waiting);
        }
    }

    /// All connections were taken that were shown. `part` says why there may be others.
    pub(super) fn finish(&mut self, part: Option<&str>) {
        let why = |(number, lacking): (usize, Lacking), what: &str| match (number, part) {
            (0, part) => part.map(str::to_owned),
            (1, _) => Some(format!("1 connection may {what}; {}", lacking.words())),
            (n, _) => Some(format!("{n} connections may {what}; {}", lacking.words())),
        };
        self.unsure = Unsure {
            stuck: why(self.untold.stuck, "be stuck"),
            zero_window: why(self.untold.zero_window, "wait behind a zero window"),
        };
    }

    /// Takes what another listing of the same namespace shows: the complaints of both, and what either excludes.
    pub(super) fn merge(&mut self, other: Self) {
        let certainty = |s: &Self| (s.source == Source::Ss, s.unsure.stuck.is_none(), s.unsure.zero_window.is_none());
        let weight = |s: &Self| (certainty(s), s.waiting_in_all, s.connections);
        let mut other = other;
        if weight(self) < weight(&other) {
            std::mem::swap(self, &mut other);
        }
        self.connections = self.connections.max(other.connections);
        // A whole listing clears up only connections that it shows.
        let clears = |one: &Self, of: &Self| of.untold_ends.is_subset(&one.ends);
        let (by_other, by_self) = (clears(&other, self), clears(self, &other));
        let both = |own: Option<String>, others: Option<String>| match (own, others) {
            (Some(own), None) => Some(own).filter(|_| !by_other),
            (None, Some(others)) => Some(others).filter(|_| !by_self),
            (own, _) => own,
        };
        self.unsure = Unsure {
            stuck: both(self.unsure.stuck.take(), other.unsure.stuck.take()),
            zero_window: both(self.unsure.zero_window.take(), other.unsure.zero_window.take()),
        };
        self.ends.append(&mut other.ends);
        self.untold_ends.append(&mut other.untold_ends);
        for waiting in other.waiting {
            let is_same =
                |w: &Waiting| w.socket.remote == waiting.socket.remote && w.socket.local == waiting.socket.local;
            match self.waiting.iter_mut().find(|w| is_same(w)) {
                Some(known) if known.complaint <= waiting.complaint => {}
                Some(known) => {
                    let count = self.complaints.entry(known.complaint).or_default();
                    *count = count.saturating_sub(1);
                    *self.complaints.entry(waiting.complaint).or_default() += 1;
                    *known = waiting;
                }
                None => self.keep(waiting),
            }
        }
    }

    /// How many have this complaint.
    pub fn count(&self, complaint: Complaint) -> usize {
        self.complaints.get(&complaint).copied().unwrap_or_else(|| self.with(complaint).count())
    }

    /// Those of [`Sockets::waiting`] with this complaint.
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
        let table: [(Change, Option<Complaint>); 18] = [
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
            (&|s| s.sndbuf = None, Some(Complaint::Retransmitting)),
            (&|s| s.unacknowledged = Some(0), None),
            (&|s| s.timer = Some(Timer::None), None),
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
    fn what_was_not_shown_is_not_denied() {
        let denies = |socket: Socket| {
            let mut sockets = Sockets::new(Source::Ss);
            assert!(sockets.unsure.stuck.is_some() && sockets.unsure.zero_window.is_some());
            sockets.take(socket);
            sockets.finish(None);
            (sockets.unsure.stuck.is_none(), sockets.unsure.zero_window.is_none())
        };
        let shown = || Socket {
            wmem_queued: Some(600),
            sndbuf: Some(8192),
            rto_ms: Some(204),
            backoff: Some(0),
            timer: Some(Timer::Retransmit),
            retransmits: Some(0),
            last_sent_ms: Some(5),
            unacknowledged: Some(500),
            ..Socket::default()
        };
        type Change<'a> = &'a dyn Fn(&mut Socket);
        let table: [(Change, (bool, bool)); 11] = [
            (&|_| (), (true, true)),
            (&|s| s.sndbuf = None, (true, true)),
            (&|s| (s.sndbuf, s.backoff, s.retransmits) = (None, Some(3), Some(3)), (false, false)),
            (&|s| (s.sndbuf, s.backoff, s.retransmits) = (None, None, None), (false, false)),
            (&|s| (s.backoff, s.retransmits) = (Some(3), Some(3)), (true, false)),
            (&|s| (s.backoff, s.peer_window) = (Some(3), Some(9000)), (true, true)),
            (&|s| s.timer = None, (true, false)),
            (&|s| (s.timer, s.in_flight) = (None, Some(1)), (true, true)),
            (&|s| s.damaged = true, (false, false)),
            (&|s| *s = Socket { unacknowledged: Some(0), ..Socket::default() }, (true, true)),
            (&|s| *s = Socket { unacknowledged: Some(1), ..Socket::default() }, (false, false)),
        ];
        for (n, (change, expected)) in table.into_iter().enumerate() {
            let mut socket = shown();
            change(&mut socket);
            assert_eq!(denies(socket), expected, "row {n}");
        }
    }

    #[test]
    fn two_listings_of_a_namespace_keep_the_gravest_of_both() {
        let listing = |source, sockets: Vec<Socket>| {
            let mut listing = Sockets::new(source);
            sockets.into_iter().for_each(|socket| listing.take(socket));
            listing.finish(None);
            listing
        };
        let at = |remote: &str, change: &dyn Fn(&mut Socket)| {
            let mut socket = Socket { remote: remote.to_owned(), ..reported() };
            change(&mut socket);
            socket
        };
        let unseen = at("a", &|s| s.sndbuf = None);
        let silent = at("a", &|s| s.last_sent_ms = Some(70_000));
        let behind = at("b", &|s| s.timer = Some(Timer::Probe));
        let netstat = || listing(Source::Netstat, vec![unseen.clone(), behind.clone()]);
        let ss = || listing(Source::Ss, vec![silent.clone()]);
        for (mut one, other) in [(netstat(), ss()), (ss(), netstat())] {
            one.merge(other);
            let counts = [Complaint::Silent, Complaint::Retransmitting, Complaint::ZeroWindow].map(|c| one.count(c));
            assert_eq!((one.source, counts), (Source::Ss, [1, 0, 1]));
        }
        let mut told = listing(Source::Ss, Vec::new());
        told.merge(listing(Source::Netstat, vec![unseen.clone()]));
        assert!(told.unsure.stuck.is_some(), "it never had that connection");
        let mut told = listing(Source::Ss, vec![at("a", &|s| s.backoff = Some(0))]);
        told.merge(listing(Source::Netstat, vec![unseen]));
        assert_eq!(told.unsure, Unsure::default());
    }

    #[test]
    fn what_is_kept_is_bounded_and_all_are_counted() {
        let mut sockets = Sockets::new(Source::Ss);
        for _ in 0..MAX_WAITING + 5 {
            sockets.take(reported());
        }
        sockets.take(Socket { last_sent_ms: Some(70_000), ..reported() });
        sockets.take(Socket { timer: Some(Timer::Probe), last_sent_ms: Some(903_000), ..reported() });
        assert_eq!((sockets.connections, sockets.waiting_in_all), (MAX_WAITING + 7, MAX_WAITING + 7));
        assert_eq!(sockets.waiting.len(), MAX_WAITING);
        let beyond = (sockets.count(Complaint::Silent), sockets.longest_zero_window_ms);
        assert_eq!(beyond, (1, Some(903_000)));
    }
}
