//! The witness `runtime`: a reproducer's report becomes a finding, or the reason why there is none.
//!
//! The report comes from a guest, so it is not trusted: its conclusion must follow from the checks that it lists.

use std::collections::{BTreeMap, BTreeSet};

use backproof_protocol::{Check, Conclusion, Report, Role, Shown};

use super::{Finding, Limit, StateSet, Strength, Witness};
use crate::matrix::TellingString;

/// The result of a reproducer's report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Testimony {
    /// It saw the bug on this kernel, or proved its absence.
    Finding(Finding),
    /// The kernel lacks something that the reproducer needs.
    NotApplicable(String),
    /// The reproducer could not judge.
    Broken(String),
}

/// The run of a job.
#[derive(Clone, Copy, Debug)]
pub struct Ran<'a> {
    /// The profile's sysctls: name to value.
    pub sysctls: &'a BTreeMap<String, String>,
    /// Whether it was a user's program instead of a built-in reproducer.
    pub own_program: bool,
}

/// Weighs the report of a job.
///
/// Without a positive control nothing proves that a reproducer can see the bug, and without a negative one nothing
/// proves that it sees only the bug. Built-in reproducers have the controls that they need. If a user's program lacks
/// the control for its conclusion, the finding is only a hint, which contradicts no other witness.
pub fn weigh(report: &Report, ran: Ran<'_>) -> Testimony {
    match report.conclusion {
        Conclusion::Skip => Testimony::NotApplicable(report.why.clone()),
        Conclusion::Error => Testimony::Broken(report.why.clone()),
        // The reproducer compares runs with and without the profile's sysctls. Without sysctls both are the same.
        Conclusion::Mitigated if ran.own_program => Testimony::Broken(
            "the report does not support its conclusion: a user's program cannot say that a profile mitigates the bug"
                .to_owned(),
        ),
        Conclusion::Mitigated if ran.sysctls.is_empty() => Testimony::Broken(
            "the report does not support its conclusion: it says that the profile's sysctls mitigate the bug, but the \
             profile sets none"
                .to_owned(),
        ),
        // The program lists no checks: it reported an exit status, or in the words of another protocol.
        Conclusion::Affected | Conclusion::NotAffected if ran.own_program && report.checks.is_empty() => {
            Testimony::Finding(finding(report, ran))
        }
        Conclusion::Affected | Conclusion::NotAffected | Conclusion::Mitigated => match incoherence(report, ran) {
            Some(reason) => Testimony::Broken(format!("the report does not support its conclusion: {reason}")),
            None => Testimony::Finding(finding(report, ran)),
        },
    }
}

fn finding(report: &Report, ran: Ran<'_>) -> Finding {
    let (states, strength, mitigated) = match report.conclusion {
        Conclusion::Affected => (StateSet::affected(), Strength::Decisive, false),
        // The bug showed without the profile, so the kernel has it.
        Conclusion::Mitigated => (StateSet::affected(), Strength::Decisive, true),
        _ => (StateSet::not_affected(), Strength::Strong, false),
    };
    let why = if mitigated { format!("mitigated: {}", report.why) } else { report.why.clone() };
    let (strength, why) = match unproved(report).filter(|_| ran.own_program) {
        // Its protocol reports failures, beside the exit status.
        Some(_) if report.reported && report.checks.is_empty() && report.conclusion == Conclusion::Affected => {
            (Strength::Strong, why)
        }
        Some(what) => (Strength::Weak, format!("{why} (a hint: {what})")),
        None => (strength, why),
    };
    Finding { mitigated, ..Finding::new(Witness::Runtime, states, strength, why) }
}

/// Narrows a finding by the counters that the kernel showed while it ran, because they prove that the kernel contains
/// their strings.
pub fn beside_counters(mut finding: Finding, strings: &[TellingString], counters: &BTreeSet<String>) -> Finding {
    for string in strings.iter().filter(|string| counters.contains(&string.text)) {
        let left = finding.states.and(string.excluded().complement());
        if left != finding.states && !left.is_empty() {
            finding.states = left;
            finding.why += &format!("; the kernel shows {}: {}", string.text, string.says);
        }
    }
    finding
}

/// The finding from a kernel's counters, if nothing was run for the bug; none if they say nothing.
pub fn by_counters(strings: &[TellingString], shows: impl Fn(&str) -> bool) -> Option<Finding> {
    let shown: Vec<&TellingString> = strings.iter().filter(|string| shows(&string.text)).collect();
    let states = shown.iter().fold(StateSet::all(), |left, string| left.and(string.excluded().complement()));
    let why: Vec<String> = shown.iter().map(|s| format!("the kernel shows {}: {}", s.text, s.says)).collect();
    let finding = Finding::new(Witness::Runtime, states, Strength::Strong, why.join("; "));
    (!shown.is_empty()).then_some(Finding { limit: Some(Limit::Aside), ..finding })
}

/// What a pass without a positive control leaves unproved.
const NO_POSITIVE_CONTROL: &str = "without a positive control nothing proves that the program sees the bug";

/// The finding of a silent program whose positive control showed the bug, as `by` says.
pub fn proven_by(silent: &Finding, by: &str) -> Finding {
    let why = silent.why.replace(&format!(" (a hint: {NO_POSITIVE_CONTROL})"), "");
    Finding { strength: Strength::Strong, why: format!("{why}; {by}"), ..silent.clone() }
}

/// The part of the conclusion that a missing control leaves unproved, in a clause. No control has failed here.
fn unproved(report: &Report) -> Option<&'static str> {
    let lacks = |role: Role| report.checks.iter().all(|c| c.role != role);
    match report.conclusion {
        Conclusion::NotAffected if lacks(Role::PositiveControl) => Some(NO_POSITIVE_CONTROL),
        Conclusion::Affected if lacks(Role::NegativeControl) => {
            Some("without a negative control nothing proves that the program sees only the bug")
        }
        _ => None,
    }
}

fn has_controls(report: &Report) -> bool {
    report.checks.iter().any(|c| matches!(c.role, Role::NegativeControl | Role::PositiveControl))
}

/// Why the conclusion does not follow from the checks; none if it does.
fn incoherence(report: &Report, ran: Ran<'_>) -> Option<String> {
    let of = |role: Role| report.checks.iter().filter(move |c| c.role == role);
    let named = |c: &Check, what: &str| Some(format!("{} {what}: {}", c.name, c.why));
    if of(Role::Recipe).next().is_none() {
        return Some("it lists no recipe".to_owned());
    }
    if !ran.own_program && !has_controls(report) {
        return Some("it lists no control".to_owned());
    }
    if let Some(c) = of(Role::NegativeControl).find(|c| c.shown != Shown::No) {
        return named(c, "is a control that must not show the bug");
    }
    if let Some(c) = of(Role::PositiveControl).find(|c| c.shown != Shown::Yes) {
        return named(c, "is a control that must show its effect");
    }
    if report.conclusion == Conclusion::Mitigated && of(Role::PositiveControl).next().is_none() {
        return Some("it lists no control that shows the bug without the profile".to_owned());
    }
    let affected = report.conclusion == Conclusion::Affected;
    let shown = of(Role::Recipe).find(|c| c.shown == Shown::Yes);
    match (affected, shown) {
        (true, None) => Some("no recipe showed the bug".to_owned()),
        (false, Some(c)) => named(c, "showed the bug"),
        // An unclear recipe may have met the bug.
        (false, None) => of(Role::Recipe).find(|c| c.shown != Shown::No).and_then(|c| named(c, "could not tell")),
        (true, Some(_)) => None,
    }
    // Real connections never decide, but they can refute a pass.
    .or_else(|| of(Role::Natural).find(|c| !affected && c.shown == Shown::Yes).and_then(|c| named(c, "showed the bug")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::State;

    fn report(conclusion: Conclusion, checks: &[(Role, Shown)]) -> Report {
        let checks = checks.iter().enumerate().map(|(i, (role, shown))| Check {
            name: format!("check-{i}"),
            role: *role,
            shown: *shown,
            why: "seen".to_owned(),
            facts: [].into(),
        });
        Report {
            job: "a-bug".to_owned(),
            conclusion,
            why: "said".to_owned(),
            checks: checks.collect(),
            reported: false,
            took_ms: 1,
        }
    }

    fn sysctls() -> BTreeMap<String, String> {
        [("net.ipv4.tcp_syncookies".to_owned(), "0".to_owned())].into()
    }

    fn of_agent(sysctls: &BTreeMap<String, String>) -> Ran<'_> {
        Ran { sysctls, own_program: false }
    }

    #[test]
    fn conclusion_counts_only_if_its_checks_support_it() {
        use Conclusion::{Affected, Mitigated, NotAffected};
        use Role::{Natural, NegativeControl as Negative, PositiveControl as Positive, Recipe};
        use Shown::{No, Unclear, Yes};
        let stands: &[(Conclusion, &[(Role, Shown)])] = &[
            (Affected, &[(Recipe, Yes), (Negative, No)]),
            (Affected, &[(Recipe, Yes), (Recipe, Unclear), (Recipe, No), (Positive, Yes)]),
            (NotAffected, &[(Recipe, No), (Recipe, No), (Negative, No), (Positive, Yes)]),
            (NotAffected, &[(Recipe, No), (Negative, No), (Natural, No), (Natural, Unclear)]),
            (Affected, &[(Recipe, Yes), (Negative, No), (Natural, No)]),
            (Mitigated, &[(Recipe, No), (Negative, No), (Positive, Yes)]),
        ];
        for (conclusion, checks) in stands {
            let testimony = weigh(&report(*conclusion, checks), of_agent(&sysctls()));
            let Testimony::Finding(finding) = testimony else { panic!("{conclusion:?} {checks:?}: {testimony:?}") };
            // A mitigated kernel still has the bug.
            let affected = *conclusion != NotAffected;
            assert_eq!(finding.mitigated, *conclusion == Mitigated);
            assert_eq!(finding.states, if affected { StateSet::affected() } else { StateSet::not_affected() });
            assert_eq!(finding.strength, if affected { Strength::Decisive } else { Strength::Strong });
        }
        let falls: &[(Conclusion, &[(Role, Shown)])] = &[
            (NotAffected, &[]),
            (Affected, &[]),
            (NotAffected, &[(Negative, No)]),
            (NotAffected, &[(Recipe, No)]),
            (NotAffected, &[(Recipe, No), (Recipe, Unclear), (Negative, No)]),
            (NotAffected, &[(Recipe, No), (Recipe, Yes), (Negative, No)]),
            (NotAffected, &[(Recipe, No), (Negative, Unclear)]),
            (NotAffected, &[(Recipe, No), (Positive, No)]),
            (NotAffected, &[(Recipe, No), (Positive, Unclear), (Negative, No)]),
            (Affected, &[(Recipe, No), (Negative, No)]),
            (Affected, &[(Recipe, Yes), (Negative, Yes)]),
            (Affected, &[(Recipe, Yes), (Positive, No)]),
            (NotAffected, &[(Recipe, No), (Negative, No), (Natural, Yes)]),
            (Mitigated, &[(Recipe, No), (Positive, Yes), (Natural, Yes)]),
            (Mitigated, &[(Recipe, No), (Negative, No)]),
            (Mitigated, &[(Recipe, Yes), (Positive, Yes)]),
            (Mitigated, &[(Recipe, Unclear), (Positive, Yes)]),
            (Mitigated, &[(Recipe, No), (Positive, No)]),
            (Mitigated, &[(Positive, Yes)]),
        ];
        for (conclusion, checks) in falls {
            let testimony = weigh(&report(*conclusion, checks), of_agent(&sysctls()));
            assert!(matches!(testimony, Testimony::Broken(_)), "{conclusion:?} {checks:?}: {testimony:?}");
        }
    }

    #[test]
    fn nothing_is_mitigated_when_no_sysctl_is_set() {
        use Role::{NegativeControl, PositiveControl, Recipe};
        let checks = [(Recipe, Shown::No), (NegativeControl, Shown::No), (PositiveControl, Shown::Yes)];
        let mitigated = report(Conclusion::Mitigated, &checks);
        assert!(matches!(weigh(&mitigated, of_agent(&sysctls())), Testimony::Finding(_)));
        let bare = weigh(&mitigated, of_agent(&BTreeMap::new()));
        assert!(matches!(&bare, Testimony::Broken(why) if why.ends_with("the profile sets none")), "{bare:?}");
        let pass = weigh(&report(Conclusion::NotAffected, &checks), of_agent(&BTreeMap::new()));
        assert!(matches!(pass, Testimony::Finding(_)), "{pass:?}");
    }

    #[test]
    fn counter_excludes_states_that_lack_it() {
        let strings = [TellingString {
            text: "TCPWqueueTooBig".to_owned(),
            excludes: vec![State::NeverHad],
            says: "the counter came with the break".to_owned(),
        }];
        let pass = || Finding::new(Witness::Runtime, StateSet::not_affected(), Strength::Strong, "resent");
        let counters = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let without = beside_counters(pass(), &strings, &counters(&["SyncookiesSent"]));
        assert_eq!(without, pass());
        let with = beside_counters(pass(), &strings, &counters(&["TCPWqueueTooBig"]));
        assert!(!with.states.contains(State::NeverHad) && with.states.contains(State::Fixed), "{with:?}");
        assert_eq!(with.why, "resent; the kernel shows TCPWqueueTooBig: the counter came with the break");
        // Counters don't change the observations.
        let stall = Finding::new(Witness::Runtime, StateSet::affected(), Strength::Decisive, "silent");
        assert_eq!(beside_counters(stall.clone(), &strings, &counters(&["TCPWqueueTooBig"])), stall);
        assert_eq!(by_counters(&strings, |_| false), None);
        let seen = by_counters(&strings, |name| name == "TCPWqueueTooBig").expect("a finding");
        assert_eq!((seen.states, seen.limit), (strings[0].excluded().complement(), Some(Limit::Aside)));
    }

    #[test]
    fn skip_and_error_keep_their_reasons() {
        let skip = weigh(&report(Conclusion::Skip, &[]), of_agent(&sysctls()));
        assert_eq!(skip, Testimony::NotApplicable("said".to_owned()));
        assert_eq!(weigh(&report(Conclusion::Error, &[]), of_agent(&sysctls())), Testimony::Broken("said".to_owned()));
    }

    #[test]
    fn program_without_the_needed_control_gives_a_hint() {
        use Conclusion::{Affected, Mitigated, NotAffected};
        use Role::{NegativeControl as Negative, PositiveControl as Positive, Recipe};
        use Shown::{No, Unclear, Yes};
        type Row<'a> = (Conclusion, &'a [(Role, Shown)], Option<Strength>);
        let table: &[Row] = &[
            (NotAffected, &[], Some(Strength::Weak)),
            (Affected, &[], Some(Strength::Weak)),
            (NotAffected, &[(Recipe, No)], Some(Strength::Weak)),
            (Affected, &[(Recipe, Yes)], Some(Strength::Weak)),
            (NotAffected, &[(Recipe, No), (Positive, Yes)], Some(Strength::Strong)),
            (NotAffected, &[(Recipe, No), (Positive, Yes), (Negative, No)], Some(Strength::Strong)),
            // A blind program passes a negative control too.
            (NotAffected, &[(Recipe, No), (Negative, No)], Some(Strength::Weak)),
            (Affected, &[(Recipe, Yes), (Negative, No)], Some(Strength::Decisive)),
            (Affected, &[(Recipe, Yes), (Negative, No), (Positive, Yes)], Some(Strength::Decisive)),
            // A program that always reports the bug passes a positive control too.
            (Affected, &[(Recipe, Yes), (Positive, Yes)], Some(Strength::Weak)),
            (NotAffected, &[(Recipe, Yes)], None),
            (Affected, &[(Recipe, No)], None),
            (NotAffected, &[(Recipe, Unclear)], None),
            (NotAffected, &[(Positive, Yes)], None),
            (NotAffected, &[(Recipe, No), (Positive, No)], None),
            (Affected, &[(Recipe, Yes), (Negative, Yes)], None),
            (Mitigated, &[(Recipe, No), (Positive, Yes)], None),
        ];
        let sysctls = sysctls();
        for (conclusion, checks, strength) in table {
            let testimony = weigh(&report(*conclusion, checks), Ran { sysctls: &sysctls, own_program: true });
            let found = match &testimony {
                Testimony::Finding(finding) => Some(finding.strength),
                _ => None,
            };
            assert_eq!(found, *strength, "{conclusion:?} {checks:?}: {testimony:?}");
        }
    }
}
