//! The TCP connections of one network namespace.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Complaint, Lacking, Socket, Told, WaitingSocket};

/// Connections of one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sockets {
    /// The source of the listing.
    pub source: SocketSource,
    /// The number of connections, without listeners.
    pub connections: usize,
    /// The number of connections with a complaint.
    pub waiting_in_all: usize,
    /// The first [`MAX_WAITING`] with a complaint.
    pub waiting: Vec<WaitingSocket>,
    /// The number of connections with each complaint, including those beyond [`MAX_WAITING`].
    #[serde(default)]
    pub complaints: BTreeMap<Complaint, usize>,
    /// The oldest last data of all connections behind a zero window, in milliseconds; null if none showed it.
    #[serde(default)]
    pub longest_zero_window_ms: Option<u64>,
    /// Whether some connections wait behind a zero window without showing their start.
    #[serde(default)]
    pub zero_window_of_unknown_age: bool,
    /// The reason that a stuck connection cannot be excluded.
    #[serde(default)]
    pub unsure: Unsure,
    #[serde(skip)]
    pub(crate) untold: Untold,
    /// The ends of all connections, up to [`MAX_ENDS`].
    #[serde(skip)]
    pub(crate) ends: BTreeSet<Ends>,
    /// The ends of connections that showed too little; a complete listing without one of them cannot settle it.
    #[serde(skip)]
    pub(crate) untold_ends: BTreeSet<Ends>,
}

/// The reasons that such a connection cannot be excluded. Null if it can: all connections were listed, and each showed
/// that it is not one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsure {
    /// For connections that are stuck.
    pub stuck: Option<String>,
    /// For connections behind a zero window.
    pub zero_window: Option<String>,
}

/// The number of connections that showed too little, and the missing facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Untold {
    stuck: (usize, Lacking),
    zero_window: (usize, Lacking),
}

/// The most connections with a complaint to keep of each namespace.
pub const MAX_WAITING: usize = 1000;

/// The source of the connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SocketSource {
    /// The kernel's `sock_diag`, with memory and timers.
    #[default]
    SockDiag,
    /// /proc/net/tcp, which shows timers, but not memory.
    Proc,
    /// A saved `ss`.
    Ss,
    /// A saved `netstat`, which does not show memory.
    Netstat,
}

/// The local and the remote address of a connection.
pub(crate) type Ends = (String, String);

/// The most ends to keep, to compare two listings of one namespace.
const MAX_ENDS: usize = 200_000;

impl Sockets {
    /// An empty list. Until [`Sockets::finish`], nothing can be excluded.
    pub(in crate::host) fn new(source: SocketSource) -> Self {
        let unfinished = || Some("not all connections were read".to_owned());
        Self { source, unsure: Unsure { stuck: unfinished(), zero_window: unfinished() }, ..Self::default() }
    }

    /// Takes one connection.
    pub(in crate::host) fn take(&mut self, socket: Socket) {
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
            self.keep(WaitingSocket { complaint, socket });
        }
    }

    fn keep(&mut self, waiting: WaitingSocket) {
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

    /// Ends the list. `part` is the reason that there may be other connections.
    pub(in crate::host) fn finish(&mut self, part: Option<&str>) {
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

    /// Merges another listing of the same namespace: the complaints of both, and the exclusions of either.
    pub(in crate::host) fn merge(&mut self, other: Self) {
        let certainty =
            |s: &Self| (s.source == SocketSource::Ss, s.unsure.stuck.is_none(), s.unsure.zero_window.is_none());
        let weight = |s: &Self| (certainty(s), s.waiting_in_all, s.connections);
        let mut other = other;
        if weight(self) < weight(&other) {
            std::mem::swap(self, &mut other);
        }
        self.connections = self.connections.max(other.connections);
        // A complete listing settles only connections that it shows.
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
                |w: &WaitingSocket| w.socket.remote == waiting.socket.remote && w.socket.local == waiting.socket.local;
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

    /// The number of connections with this complaint.
    pub fn count(&self, complaint: Complaint) -> usize {
        self.complaints.get(&complaint).copied().unwrap_or_else(|| self.with(complaint).count())
    }

    /// The members of [`Sockets::waiting`] with this complaint.
    pub fn with(&self, complaint: Complaint) -> impl Iterator<Item = &Socket> {
        self.waiting.iter().filter(move |w| w.complaint == complaint).map(|w| &w.socket)
    }
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
