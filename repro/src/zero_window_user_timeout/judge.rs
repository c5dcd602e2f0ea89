//! Judges a connection behind a closed window: pure functions over its observation.

use std::collections::BTreeMap;

use backproof_protocol::{Check, Shown};

use super::observation::{
    Moment, PeerDoes, TICKS_MS, TIMEOUTS, TimeoutEnding, TimeoutObservation, USER_TIMEOUT_MS, opened_late,
    probes_beyond_timeout,
};

/// Judges one connection. An `Err` says why the recipe could not be carried out.
pub fn judge(name: &str, peer: PeerDoes, seen: &Result<TimeoutObservation, String>) -> Check {
    let (shown, why, facts) = match seen {
        Err(error) => (Shown::Unclear, error.clone(), BTreeMap::new()),
        Ok(seen) => {
            let (shown, why) = judge_seen(peer, seen);
            (shown, why, facts(seen))
        }
    };
    Check { name: name.to_owned(), role: peer.role(), shown, why, facts }
}

fn judge_seen(peer: PeerDoes, seen: &TimeoutObservation) -> (Shown, String) {
    let Some(first) = seen.probes.first() else {
        return (Shown::Unclear, format!("no zero-window probe was seen; {}", ending(seen)));
    };
    let told = format!("{}; {}", probes(seen), ending(seen));
    let unclear = |but: &str| (Shown::Unclear, format!("{told}; but {but}"));
    let answers = matches!(peer, PeerDoes::AnswersClosed | PeerDoes::AnswersClosedWithoutOption);
    if answers && seen.probes.iter().any(|p| !p.answered) {
        return unclear("the kernel did not accept an answer to every probe");
    }
    // This allows for both clocks, and for a late reader of the wire.
    let late_opening = opened_late(seen);
    match (&seen.ending, peer) {
        (TimeoutEnding::Undecided { .. }, _) => (Shown::Unclear, told),
        (TimeoutEnding::Aborted { .. }, PeerDoes::OpensInTime) if late_opening => {
            unclear("the peer opened its window late")
        }
        (TimeoutEnding::Aborted { .. }, PeerDoes::OpensInTime | PeerDoes::AnswersClosedWithoutOption) => {
            (Shown::Yes, told)
        }
        (TimeoutEnding::Aborted { errno, .. }, _) if *errno != libc::ETIMEDOUT => unclear("that is not a timeout"),
        (TimeoutEnding::Aborted { at, .. }, _) if at.most_since(Moment::default()) + TICKS_MS < USER_TIMEOUT_MS => {
            unclear("that is before the timeout")
        }
        (TimeoutEnding::Aborted { .. }, PeerDoes::AnswersClosed) => (Shown::No, told),
        (TimeoutEnding::Aborted { .. }, PeerDoes::Silent) => (Shown::Yes, told),
        (TimeoutEnding::Alive { delivered: false, .. }, PeerDoes::Silent) => unclear("it no longer worked"),
        (TimeoutEnding::Alive { delivered: false, .. }, _) => unclear("its data did not arrive with the window open"),
        (TimeoutEnding::Alive { .. }, PeerDoes::OpensInTime) if late_opening => {
            unclear("the peer opened its window late")
        }
        (TimeoutEnding::Alive { .. }, PeerDoes::OpensInTime) => (Shown::No, told),
        (TimeoutEnding::Alive { at, .. }, _)
            if at.least_since(first.seen) < TIMEOUTS * USER_TIMEOUT_MS || !probes_beyond_timeout(&seen.probes) =>
        {
            unclear("that is too short to tell")
        }
        (TimeoutEnding::Alive { .. }, PeerDoes::AnswersClosed) => (Shown::Yes, told),
        (TimeoutEnding::Alive { .. }, PeerDoes::AnswersClosedWithoutOption | PeerDoes::Silent) => (Shown::No, told),
    }
}

fn probes(seen: &TimeoutObservation) -> String {
    let count = seen.probes.len();
    let answered = seen.probes.iter().filter(|p| p.answered).count();
    let over = seen.probing_ms().unwrap_or(0);
    format!(
        "{count} zero-window probes over {over} ms, {answered} answered (rto:{} backoff:{})",
        seen.rto_ms, seen.backoff
    )
}

fn ending(seen: &TimeoutObservation) -> String {
    match &seen.ending {
        TimeoutEnding::Aborted { at, errno } => {
            let ms = at.clock_ms;
            let error = if *errno == libc::ETIMEDOUT { "ETIMEDOUT".to_owned() } else { format!("error {errno}") };
            format!("the kernel ended the connection with {error} {ms} ms after the write")
        }
        TimeoutEnding::Alive { at, delivered } => {
            let ms = at.clock_ms;
            let data = if *delivered { "its data arrived with the window open" } else { "its data did not arrive" };
            format!("the connection was alive {ms} ms after the write, and {data}")
        }
        TimeoutEnding::Undecided { waited_for, ms } => format!("timed out after {ms} ms waiting for {waited_for}"),
    }
}

/// The number of probes whose times the facts include.
const TOLD_PROBES: usize = 8;

fn facts(seen: &TimeoutObservation) -> BTreeMap<String, Option<i64>> {
    let number = |n: u64| i64::try_from(n).ok();
    let (ended_ms, errno, delivered) = match seen.ending {
        TimeoutEnding::Aborted { at, errno } => (at.clock_ms, Some(errno), None),
        TimeoutEnding::Alive { at, delivered } => (at.clock_ms, None, Some(delivered)),
        TimeoutEnding::Undecided { ms, .. } => (ms, None, None),
    };
    let mut facts = BTreeMap::from(
        [
            ("user_timeout_ms", number(USER_TIMEOUT_MS)),
            ("rto_ms", number(seen.rto_ms)),
            ("connections", Some(seen.connections.into())),
            ("probes", i64::try_from(seen.probes.len()).ok()),
            ("probes_answered", i64::try_from(seen.probes.iter().filter(|p| p.answered).count()).ok()),
            ("probing_ms", seen.probing_ms().and_then(number)),
            ("opened_ms", seen.opened.and_then(|at| number(at.clock_ms))),
            ("backoff", Some(seen.backoff.into())),
            ("ended_ms", number(ended_ms)),
            ("errno", errno.map(i64::from)),
            ("delivered", delivered.map(i64::from)),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    for (n, probe) in (1..).zip(seen.probes.iter().take(TOLD_PROBES)) {
        facts.insert(format!("probe_{n}_ms"), number(probe.seen.clock_ms));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::super::observation::Probe;
    use super::*;
    use crate::judging::conclude;
    use backproof_protocol::Conclusion;

    /// A moment with equal times on both clocks.
    fn at(ms: u64) -> Moment {
        Moment { tick_ms: ms, clock_ms: ms }
    }

    fn probe(ms: u64) -> Probe {
        Probe { not_before: at(ms - 5), seen: at(ms), answered: true }
    }

    fn seen(probes: &[u64], ending: TimeoutEnding) -> TimeoutObservation {
        let probes = probes.iter().map(|ms| probe(*ms)).collect();
        TimeoutObservation { rto_ms: 204, connections: 1, probes, opened: None, backoff: 0, ending }
    }

    fn timed_out(ms: u64) -> TimeoutEnding {
        TimeoutEnding::Aborted { at: at(ms), errno: libc::ETIMEDOUT }
    }

    fn alive(ms: u64) -> TimeoutEnding {
        TimeoutEnding::Alive { at: at(ms), delivered: true }
    }

    fn unanswered(mut seen: TimeoutObservation) -> TimeoutObservation {
        seen.probes.iter_mut().for_each(|p| p.answered = false);
        seen
    }

    fn opened(ms: u64, seen: TimeoutObservation) -> TimeoutObservation {
        TimeoutObservation { opened: Some(at(ms)), ..seen }
    }

    #[test]
    fn timeout_passes_only_if_every_probe_was_answered() {
        let late = |ms| unanswered(seen(&[ms], alive(1))).probes[0];
        let mut last_unanswered = seen(&[205, 620], timed_out(1210));
        last_unanswered.probes[1] = late(620);
        for (seen, expected) in [
            (seen(&[205, 620], timed_out(1210)), Shown::No),
            // This kernel checks the time only when a probe is due.
            (seen(&[205, 620, 1450], timed_out(3090)), Shown::No),
            (seen(&[205], timed_out(1210)), Shown::No),
            (seen(&[], timed_out(1210)), Shown::Unclear),
            (last_unanswered, Shown::Unclear),
            (unanswered(seen(&[205, 620], timed_out(1210))), Shown::Unclear),
            (seen(&[205, 620], timed_out(900)), Shown::Unclear),
            (seen(&[205], TimeoutEnding::Aborted { at: at(1210), errno: libc::ECONNRESET }), Shown::Unclear),
        ] {
            assert_eq!(judge_seen(PeerDoes::AnswersClosed, &seen).0, expected, "{seen:?}");
        }
    }

    #[test]
    fn surviving_connection_is_the_bug_only_past_its_timeout() {
        let mut read_late = seen(&[205, 620, 1450, 3100], alive(3210));
        // The reader was late for all probes but the first, so these may have been sent in time.
        read_late.probes[1..].iter_mut().for_each(|p| p.not_before = at(300));
        for (seen, expected) in [
            (seen(&[205, 620, 1450, 3100], alive(3210)), Shown::Yes),
            (seen(&[205, 620, 1450], alive(3210)), Shown::Yes),
            (seen(&[205, 620, 1450], alive(3200)), Shown::Unclear), // not three timeouts
            (seen(&[500, 1500], alive(3600)), Shown::Unclear),      // no probe beyond the timeout
            (read_late, Shown::Unclear),
            (unanswered(seen(&[205, 620, 1450, 3100], alive(3210))), Shown::Unclear),
            (seen(&[205, 620, 1450, 3100], TimeoutEnding::Alive { at: at(3210), delivered: false }), Shown::Unclear),
            (seen(&[205], TimeoutEnding::Undecided { waited_for: "x", ms: 6000 }), Shown::Unclear),
            (seen(&[], TimeoutEnding::Undecided { waited_for: "x", ms: 6000 }), Shown::Unclear),
        ] {
            assert_eq!(judge_seen(PeerDoes::AnswersClosed, &seen).0, expected, "{seen:?}");
        }
    }

    #[test]
    fn no_verdict_if_the_clocks_disagree() {
        let bad = seen(&[205, 620, 1450, 3100], alive(3210));
        let slow = |moment: &mut Moment, tick: bool| {
            *(if tick { &mut moment.tick_ms } else { &mut moment.clock_ms }) /= 4;
        };
        for tick in [false, true] {
            // By one clock the option's time has not passed, so the kernel may be good.
            let mut seen = bad.clone();
            seen.probes.iter_mut().for_each(|p| (slow(&mut p.not_before, tick), slow(&mut p.seen, tick)).1);
            let TimeoutEnding::Alive { at, .. } = &mut seen.ending else { panic!("{seen:?}") };
            slow(at, tick);
            assert_eq!(judge_seen(PeerDoes::AnswersClosed, &seen).0, Shown::Unclear, "{seen:?}");
        }
        // A timeout that came early by only one clock is valid.
        let early = Moment { tick_ms: 1210, clock_ms: 825 };
        let seen = TimeoutObservation {
            ending: TimeoutEnding::Aborted { at: early, errno: libc::ETIMEDOUT },
            ..seen(&[205], alive(1))
        };
        assert_eq!(judge_seen(PeerDoes::AnswersClosed, &seen).0, Shown::No);
    }

    #[test]
    fn controls_hold_only_if_the_kernel_follows_the_peer() {
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
            (Opens, opened(710, seen(&[205], TimeoutEnding::Alive { at: at(5800), delivered: false })), Shown::Unclear),
            (Silent, silent(), Shown::Yes),
            (Silent, unanswered(closed()), Shown::No),
            (Silent, unanswered(seen(&[], timed_out(1210))), Shown::Unclear),
            (Silent, unanswered(seen(&[205], timed_out(300))), Shown::Unclear),
        ] {
            assert_eq!(judge_seen(peer, &seen).0, expected, "{peer:?} {seen:?}");
        }
    }

    #[test]
    fn good_and_bad_differ_and_broken_control_is_an_error() {
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
    fn facts_have_each_probes_time() {
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
