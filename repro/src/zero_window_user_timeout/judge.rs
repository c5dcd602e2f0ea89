//! What a connection behind a closed window shows: pure functions, no system. Times are in milliseconds since the
//! data was written.

use std::collections::BTreeMap;

use crate::protocol::{Check, Role, Shown};

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

/// A zero-window probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The wire was still empty then: the probe was sent later.
    pub not_before_ms: u64,
    /// When it was read from the wire: it was sent earlier.
    pub seen_ms: u64,
    /// Whether the kernel took an answer to it, as its own count of unanswered probes (`tcpi_probes`) says.
    pub answered: bool,
}

/// What one connection showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Retransmission timeout when the data was written; probes start after it.
    pub rto_ms: u64,
    /// Connections that it took: more than one where the kernel had measured a loaded host in the handshake.
    pub connections: u8,
    /// The probes, in order.
    pub probes: Vec<Probe>,
    /// When the peer opened its window before the end.
    pub opened_ms: Option<u64>,
    /// Doublings of the probes' interval at the end (`icsk_backoff`).
    pub backoff: u8,
    /// What became of the connection.
    pub ending: Ending,
}

/// What became of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The kernel ended it.
    Aborted {
        /// When that was noticed.
        ms: u64,
        /// `SO_ERROR`.
        errno: i32,
    },
    /// It lived on.
    Alive {
        /// Until when it was watched.
        ms: u64,
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

impl Seen {
    /// For how long, at least, the kernel had been probing when it sent its last probe. What the wire's reader is late
    /// by can only make this too short.
    fn probing_ms(&self) -> Option<u64> {
        probing_ms(&self.probes)
    }
}

/// For how long, at least, the kernel had been probing when it sent the last of these probes.
pub fn probing_ms(probes: &[Probe]) -> Option<u64> {
    Some(probes.last()?.not_before_ms.saturating_sub(probes.first()?.seen_ms))
}

/// Whether the kernel sent a probe when it had to give up: the option's time was over since the first.
pub fn probes_beyond_timeout(probes: &[Probe]) -> bool {
    probing_ms(probes).is_some_and(|ms| ms >= USER_TIMEOUT_MS + TICKS_MS)
}

/// Judges one connection. An error is why the recipe could not be carried out.
pub fn judge(name: &str, peer: PeerDoes, seen: &Result<Seen, String>) -> Check {
    let (shown, why, facts) = match seen {
        Err(error) => (Shown::Unclear, error.clone(), BTreeMap::new()),
        Ok(seen) => {
            let (shown, why) = judge_seen(peer, seen);
            (shown, why, facts(seen))
        }
    };
    Check { name: name.to_owned(), role: peer.role(), shown, why, facts }
}

fn judge_seen(peer: PeerDoes, seen: &Seen) -> (Shown, String) {
    let Some(first) = seen.probes.first() else {
        return (Shown::Unclear, format!("no zero-window probe was seen; {}", ending(seen)));
    };
    let told = format!("{}; {}", probes(seen), ending(seen));
    let unclear = |but: &str| (Shown::Unclear, format!("{told}; but {but}"));
    let answers = matches!(peer, PeerDoes::AnswersClosed | PeerDoes::AnswersClosedWithoutOption);
    if answers && seen.probes.iter().any(|p| !p.answered) {
        return unclear("the kernel did not take an answer to every probe");
    }
    // Both held on the wire's own side, however late its reader was.
    let late_opening =
        seen.opened_ms.is_none_or(|ms| ms.saturating_sub(first.not_before_ms) + TICKS_MS >= USER_TIMEOUT_MS);
    match (&seen.ending, peer) {
        (Ending::Undecided { .. }, _) => (Shown::Unclear, told),
        (Ending::Aborted { .. }, PeerDoes::OpensInTime) if late_opening => unclear("the peer opened its window late"),
        (Ending::Aborted { .. }, PeerDoes::OpensInTime | PeerDoes::AnswersClosedWithoutOption) => (Shown::Yes, told),
        (Ending::Aborted { errno, .. }, _) if *errno != libc::ETIMEDOUT => unclear("that is no timeout"),
        (Ending::Aborted { ms, .. }, _) if *ms + TICKS_MS < USER_TIMEOUT_MS => unclear("that is before the timeout"),
        (Ending::Aborted { .. }, PeerDoes::AnswersClosed) => (Shown::No, told),
        (Ending::Aborted { .. }, PeerDoes::Silent) => (Shown::Yes, told),
        (Ending::Alive { delivered: false, .. }, PeerDoes::Silent) => unclear("it could not be used any more"),
        (Ending::Alive { delivered: false, .. }, _) => unclear("its data did not arrive with the window open"),
        (Ending::Alive { .. }, PeerDoes::OpensInTime) if late_opening => unclear("the peer opened its window late"),
        (Ending::Alive { .. }, PeerDoes::OpensInTime) => (Shown::No, told),
        (Ending::Alive { ms, .. }, _)
            if ms.saturating_sub(first.seen_ms) < TIMEOUTS * USER_TIMEOUT_MS
                || !probes_beyond_timeout(&seen.probes) =>
        {
            unclear("that is too short to tell")
        }
        (Ending::Alive { .. }, PeerDoes::AnswersClosed) => (Shown::Yes, told),
        (Ending::Alive { .. }, PeerDoes::AnswersClosedWithoutOption | PeerDoes::Silent) => (Shown::No, told),
    }
}

fn probes(seen: &Seen) -> String {
    let count = seen.probes.len();
    let answered = seen.probes.iter().filter(|p| p.answered).count();
    let over = seen.probing_ms().unwrap_or(0);
    format!(
        "{count} zero-window probes over {over} ms, {answered} answered (rto:{} backoff:{})",
        seen.rto_ms, seen.backoff
    )
}

fn ending(seen: &Seen) -> String {
    match &seen.ending {
        Ending::Aborted { ms, errno } => {
            let error = if *errno == libc::ETIMEDOUT { "ETIMEDOUT".to_owned() } else { format!("error {errno}") };
            format!("the kernel ended the connection with {error} {ms} ms after the write")
        }
        Ending::Alive { ms, delivered } => {
            let data = if *delivered { "its data arrived with the window open" } else { "its data did not arrive" };
            format!("the connection was alive {ms} ms after the write, and {data}")
        }
        Ending::Undecided { waited_for, ms } => format!("waited {ms} ms for {waited_for}, in vain"),
    }
}

/// Probes whose times are among the facts.
const TOLD_PROBES: usize = 8;

fn facts(seen: &Seen) -> BTreeMap<String, Option<i64>> {
    let number = |n: u64| i64::try_from(n).ok();
    let (ended_ms, errno, delivered) = match seen.ending {
        Ending::Aborted { ms, errno } => (ms, Some(errno), None),
        Ending::Alive { ms, delivered } => (ms, None, Some(delivered)),
        Ending::Undecided { ms, .. } => (ms, None, None),
    };
    let mut facts = BTreeMap::from(
        [
            ("user_timeout_ms", number(USER_TIMEOUT_MS)),
            ("rto_ms", number(seen.rto_ms)),
            ("connections", Some(seen.connections.into())),
            ("probes", i64::try_from(seen.probes.len()).ok()),
            ("probes_answered", i64::try_from(seen.probes.iter().filter(|p| p.answered).count()).ok()),
            ("probing_ms", seen.probing_ms().and_then(number)),
            ("opened_ms", seen.opened_ms.and_then(number)),
            ("backoff", Some(seen.backoff.into())),
            ("ended_ms", number(ended_ms)),
            ("errno", errno.map(i64::from)),
            ("delivered", delivered.map(i64::from)),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    for (n, probe) in (1..).zip(seen.probes.iter().take(TOLD_PROBES)) {
        facts.insert(format!("probe_{n}_ms"), number(probe.seen_ms));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judging::conclude;
    use crate::protocol::Conclusion;

    fn probe(ms: u64) -> Probe {
        Probe { not_before_ms: ms - 5, seen_ms: ms, answered: true }
    }

    fn seen(probes: &[u64], ending: Ending) -> Seen {
        let probes = probes.iter().map(|ms| probe(*ms)).collect();
        Seen { rto_ms: 204, connections: 1, probes, opened_ms: None, backoff: 0, ending }
    }

    fn timed_out(ms: u64) -> Ending {
        Ending::Aborted { ms, errno: libc::ETIMEDOUT }
    }

    fn alive(ms: u64) -> Ending {
        Ending::Alive { ms, delivered: true }
    }

    fn unanswered(mut seen: Seen) -> Seen {
        seen.probes.iter_mut().for_each(|p| p.answered = false);
        seen
    }

    fn opened(ms: u64, seen: Seen) -> Seen {
        Seen { opened_ms: Some(ms), ..seen }
    }

    #[test]
    fn a_timeout_is_a_pass_only_where_every_probe_was_answered() {
        let late = |ms| unanswered(seen(&[ms], alive(1))).probes[0];
        let mut last_unanswered = seen(&[205, 620], timed_out(1210));
        last_unanswered.probes[1] = late(620);
        for (seen, expected) in [
            (seen(&[205, 620], timed_out(1210)), Shown::No),
            // Where the time is looked at only when a probe is due.
            (seen(&[205, 620, 1450], timed_out(3090)), Shown::No),
            (seen(&[205], timed_out(1210)), Shown::No),
            (seen(&[], timed_out(1210)), Shown::Unclear),
            (last_unanswered, Shown::Unclear),
            (unanswered(seen(&[205, 620], timed_out(1210))), Shown::Unclear),
            (seen(&[205, 620], timed_out(900)), Shown::Unclear),
            (seen(&[205], Ending::Aborted { ms: 1210, errno: libc::ECONNRESET }), Shown::Unclear),
        ] {
            assert_eq!(judge_seen(PeerDoes::AnswersClosed, &seen).0, expected, "{seen:?}");
        }
    }

    #[test]
    fn a_connection_that_lives_on_is_this_bug_only_where_the_kernel_had_to_give_up() {
        let mut read_late = seen(&[205, 620, 1450, 3100], alive(3210));
        // The reader was late for all but the first probe: they may have been sent in time.
        read_late.probes[1..].iter_mut().for_each(|p| p.not_before_ms = 300);
        for (seen, expected) in [
            (seen(&[205, 620, 1450, 3100], alive(3210)), Shown::Yes),
            (seen(&[205, 620, 1450], alive(3210)), Shown::Yes),
            (seen(&[205, 620, 1450], alive(3200)), Shown::Unclear), // not three timeouts
            (seen(&[500, 1500], alive(3600)), Shown::Unclear),      // no probe beyond the timeout
            (read_late, Shown::Unclear),
            (unanswered(seen(&[205, 620, 1450, 3100], alive(3210))), Shown::Unclear),
            (seen(&[205, 620, 1450, 3100], Ending::Alive { ms: 3210, delivered: false }), Shown::Unclear),
            (seen(&[205], Ending::Undecided { waited_for: "x", ms: 6000 }), Shown::Unclear),
            (seen(&[], Ending::Undecided { waited_for: "x", ms: 6000 }), Shown::Unclear),
        ] {
            assert_eq!(judge_seen(PeerDoes::AnswersClosed, &seen).0, expected, "{seen:?}");
        }
    }

    #[test]
    fn controls_hold_only_where_the_kernel_keeps_to_the_peer() {
        use PeerDoes::{AnswersClosedWithoutOption as Without, OpensInTime as Opens, Silent};
        let closed = || seen(&[205, 620, 1450, 3100], alive(3210));
        let silent = || unanswered(seen(&[205, 620], timed_out(1210)));
        for (peer, seen, expected) in [
            (Without, closed(), Shown::No),
            (Without, seen(&[205, 620], timed_out(1210)), Shown::Yes),
            (Without, seen(&[205, 620], alive(1210)), Shown::Unclear),
            (Opens, opened(710, seen(&[205, 620], alive(2300))), Shown::No),
            (Opens, opened(1190, seen(&[205, 620], alive(2300))), Shown::Unclear),
            (Opens, opened(710, seen(&[205, 620], timed_out(1210))), Shown::Yes),
            (Opens, seen(&[205, 620], timed_out(1210)), Shown::Unclear),
            (Opens, opened(710, seen(&[205], Ending::Alive { ms: 5800, delivered: false })), Shown::Unclear),
            (Silent, silent(), Shown::Yes),
            (Silent, unanswered(closed()), Shown::No),
            (Silent, unanswered(seen(&[], timed_out(1210))), Shown::Unclear),
            (Silent, unanswered(seen(&[205], timed_out(300))), Shown::Unclear),
        ] {
            assert_eq!(judge_seen(peer, &seen).0, expected, "{peer:?} {seen:?}");
        }
    }

    #[test]
    fn good_and_bad_kernels_are_told_apart_and_one_broken_control_is_an_error() {
        let good = seen(&[205, 620], timed_out(1210));
        let bad = seen(&[205, 620, 1450, 3100], alive(3210));
        let controls = [
            (PeerDoes::AnswersClosedWithoutOption, bad.clone()),
            (PeerDoes::OpensInTime, opened(710, seen(&[205, 620], alive(2300)))),
            (PeerDoes::Silent, unanswered(good.clone())),
        ];
        for (recipe, expected) in [(good, Conclusion::NotAffected), (bad, Conclusion::Affected)] {
            let checks = |broken: Option<usize>| {
                let controls = controls.iter().enumerate().map(|(n, (peer, seen))| {
                    let seen = if Some(n) == broken { Err("broken".to_owned()) } else { Ok(seen.clone()) };
                    judge("control", *peer, &seen)
                });
                let recipe = judge("recipe", PeerDoes::AnswersClosed, &Ok(recipe.clone()));
                conclude(&controls.chain([recipe]).collect::<Vec<_>>()).0
            };
            assert_eq!(checks(None), expected);
            for broken in 0..controls.len() {
                assert_eq!(checks(Some(broken)), Conclusion::Error, "{broken}");
            }
        }
    }

    #[test]
    fn the_facts_have_each_probe_s_time() {
        let check = judge("closed-window", PeerDoes::AnswersClosed, &Ok(seen(&[205, 620], timed_out(1210))));
        assert_eq!((check.facts["probe_1_ms"], check.facts["probe_2_ms"]), (Some(205), Some(620)));
        assert_eq!((check.facts["errno"], check.facts["ended_ms"]), (Some(110), Some(1210)));
        assert!(
            check.why.contains("2 zero-window probes over 410 ms, 2 answered (rto:204 backoff:0)"),
            "{}",
            check.why
        );
    }
}
