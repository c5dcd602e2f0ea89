//! Judges a burst of clients: pure functions.

use std::collections::BTreeMap;

use super::MESSAGE;
use crate::sut::counters::Snapshot;
use backproof_protocol::{Check, Role, Shown};

/// The outcome of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientOutcome {
    /// It has no answer yet.
    Waiting,
    /// It got the right answer.
    Served,
    /// The kernel reset its connection.
    Told {
        /// The error that the application saw.
        errno: i32,
    },
    /// The server read the query without its first bytes.
    Lost {
        /// The number of missing bytes.
        bytes: usize,
    },
    /// The server read other bytes.
    Garbled,
}

impl ClientOutcome {
    /// The outcome of a client that sent [`MESSAGE`], by the unexpected stream that the server read.
    pub fn of_stream(stream: &[u8]) -> Self {
        let begins = |bytes: &usize| MESSAGE.get(*bytes..).is_some_and(|rest| rest.starts_with(stream));
        match (1..MESSAGE.len()).find(begins) {
            Some(bytes) if !stream.is_empty() => Self::Lost { bytes },
            _ => Self::Garbled,
        }
    }
}

/// The growth of counters; none if the kernel lacks one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// `SyncookiesSent`.
    pub sent: Option<i64>,
    /// `SyncookiesRecv`.
    pub received: Option<i64>,
    /// `SyncookiesFailed`.
    pub failed: Option<i64>,
    /// `ListenOverflows`.
    pub overflows: Option<i64>,
    /// `ListenDrops`.
    pub drops: Option<i64>,
}

impl Counters {
    /// The growth between two snapshots.
    pub fn between(before: &Snapshot, after: &Snapshot) -> Self {
        let grown = |name| after.tcp_ext_since(before, name);
        Self {
            sent: grown("SyncookiesSent"),
            received: grown("SyncookiesRecv"),
            failed: grown("SyncookiesFailed"),
            overflows: grown("ListenOverflows"),
            drops: grown("ListenDrops"),
        }
    }
}

/// The observations of a burst.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FloodObservation {
    /// `net.core.somaxconn`; none if it can't be read.
    pub somaxconn: Option<i64>,
    /// SYN-ACKs that the server sent.
    pub answered_syns: usize,
    /// The outcome of each client.
    pub outcomes: Vec<ClientOutcome>,
    /// The server's counters.
    pub counters: Counters,
    /// The kernel's log line about it.
    pub log: Option<String>,
    /// Milliseconds since the first SYN.
    pub took_ms: u64,
}

impl FloodObservation {
    /// The number of clients with such an outcome.
    fn count(&self, which: impl Fn(ClientOutcome) -> bool) -> usize {
        self.outcomes.iter().filter(|o| which(**o)).count()
    }

    /// The number of clients that lost their first bytes.
    pub fn lost(&self) -> usize {
        self.count(|o| matches!(o, ClientOutcome::Lost { .. }))
    }

    /// The number of clients that got an RST.
    pub fn told(&self) -> usize {
        self.count(|o| matches!(o, ClientOutcome::Told { .. }))
    }

    /// The number of clients without a clear outcome.
    pub fn open(&self) -> usize {
        self.count(|o| matches!(o, ClientOutcome::Waiting | ClientOutcome::Garbled))
    }

    /// Describes the queues.
    pub fn describe_queues(&self) -> String {
        let number = |n: Option<i64>| n.map_or("?".to_owned(), |n| n.to_string());
        let (clients, somaxconn, sent) = (self.outcomes.len(), number(self.somaxconn), number(self.counters.sent));
        format!(
            "{clients} SYNs at once, somaxconn {somaxconn}, {} SYN-ACKs, {sent} of them cookies",
            self.answered_syns
        )
    }

    /// Describes the outcomes and counters.
    pub fn describe(&self) -> String {
        let number = |n: Option<i64>| n.map_or("?".to_owned(), |n| format!("{n:+}"));
        let Counters { sent, received, failed, overflows, drops } = self.counters;
        let log = self.log.as_ref().map_or(String::new(), |line| format!("; the kernel's log: \"{line}\""));
        let (lost, told, open) = (self.lost(), self.told(), self.open());
        format!(
            "of {} clients {lost} lost their first bytes, {told} got an RST, {} were served, {open} had no answer yet; \
             SyncookiesSent {}, SyncookiesRecv {}, SyncookiesFailed {}, ListenOverflows {}, ListenDrops {}{log}",
            self.outcomes.len(),
            self.count(|o| o == ClientOutcome::Served),
            number(sent),
            number(received),
            number(failed),
            number(overflows),
            number(drops),
        )
    }
}

/// Judges a burst of real connections. An `Err` says why it could not be carried out.
pub fn judge(name: &str, seen: &Result<FloodObservation, String>) -> Check {
    let (shown, why) = match seen {
        Err(error) => (Shown::Unclear, error.clone()),
        Ok(seen) => {
            let shown = match (seen.lost(), seen.open()) {
                (1.., _) => Shown::Yes,
                // The kernel reset clients whose first bytes were dropped, so no data vanished.
                (0, 0) if seen.told() > 0 => Shown::No,
                (0, _) => Shown::Unclear,
            };
            (shown, seen.describe())
        }
    };
    check(name, Role::Natural, shown, why, seen)
}

/// A check with the burst's figures.
pub fn check(name: &str, role: Role, shown: Shown, why: String, seen: &Result<FloodObservation, String>) -> Check {
    let facts = seen.as_ref().map(facts).unwrap_or_default();
    Check { name: name.to_owned(), role, shown, why, facts }
}

fn facts(seen: &FloodObservation) -> BTreeMap<String, Option<i64>> {
    let count = |n: usize| i64::try_from(n).ok();
    let Counters { sent, received, failed, overflows, drops } = seen.counters;
    [
        ("clients", count(seen.outcomes.len())),
        ("somaxconn", seen.somaxconn),
        ("answered_syns", count(seen.answered_syns)),
        ("clients_lost_data", count(seen.lost())),
        ("clients_told", count(seen.told())),
        ("clients_served", count(seen.count(|o| o == ClientOutcome::Served))),
        ("clients_open", count(seen.open())),
        ("syncookies_sent", sent),
        ("syncookies_recv", received),
        ("syncookies_failed", failed),
        ("listen_overflows", overflows),
        ("listen_drops", drops),
        ("took_ms", i64::try_from(seen.took_ms).ok()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stream_is_lost_without_first_bytes_and_else_garbled() {
        for (stream, expected) in [
            (&MESSAGE[1..], ClientOutcome::Lost { bytes: 1 }),
            (&MESSAGE[1..4], ClientOutcome::Lost { bytes: 1 }),
            (&MESSAGE[9..], ClientOutcome::Lost { bytes: 9 }),
            (b"", ClientOutcome::Garbled),
            (b"GET / HTTP/1.1", ClientOutcome::Garbled),
            (&[MESSAGE, b"more"].concat()[1..], ClientOutcome::Garbled),
        ] {
            assert_eq!(ClientOutcome::of_stream(stream), expected, "{stream:?}");
        }
    }

    #[test]
    fn one_lost_client_shows_the_bug() {
        use ClientOutcome::{Garbled, Lost, Served, Told, Waiting};
        let told = Told { errno: 104 };
        for (outcomes, expected) in [
            (&[Served, Lost { bytes: 1 }, told, Waiting][..], Shown::Yes),
            (&[Served, told], Shown::No),
            (&[Served, told, Waiting], Shown::Unclear),
            (&[Served, told, Garbled], Shown::Unclear),
            (&[Served, Served], Shown::Unclear),
            (&[], Shown::Unclear),
        ] {
            let seen = FloodObservation {
                somaxconn: Some(128),
                answered_syns: outcomes.len(),
                outcomes: outcomes.to_vec(),
                counters: Counters::default(),
                log: None,
                took_ms: 1,
            };
            assert_eq!(judge("tcpstore", &Ok(seen)).shown, expected, "{outcomes:?}");
        }
        assert_eq!(judge("tcpstore", &Err("no TUN".to_owned())).shown, Shown::Unclear);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_stream_has_an_outcome(stream in proptest::collection::vec(any::<u8>(), 0..30)) {
            let lost = matches!(ClientOutcome::of_stream(&stream), ClientOutcome::Lost { .. });
            prop_assert!(!lost || MESSAGE.windows(stream.len()).any(|w| w == stream));
        }
    }
}
