use super::*;
use crate::evidence::exhibits::Said;
use crate::evidence::{Finding, StateSet, Strength, Witness};
use crate::run::CellTrials;
use crate::verdict::{Boots, Case, Question};
use crate::words::Expectation;

const STALL: &str = "tcp-fragment-stall";
const COOKIES: &str = "syn-cookie-data-loss";

fn id(name: &str) -> BugId {
    name.parse().expect("a name")
}

fn boots(how: &str) -> Boots {
    let seen = |states, strength| Boots::Showed(Finding::new(Witness::Runtime, states, strength, "seen"));
    match how {
        "fail" => seen(StateSet::affected(), Strength::Decisive),
        "silence" => seen(StateSet::not_affected(), Strength::Weak),
        "unknown" => seen(StateSet::all(), Strength::Strong),
        "broke" => Boots::Broke("the guest hung".to_owned()),
        "skip" => Boots::Inapplicable { reason: "no TUN".to_owned(), allowed: false },
        "not-compiled" => Boots::NotCompiled("CONFIG_INET is not set".to_owned()),
        _ => seen(StateSet::not_affected(), Strength::Strong),
    }
}

/// A cell that ended so, beside a strong witness of this state.
fn cell(bug: &str, how: &str, state: Option<State>) -> Cell {
    let question = Question {
        kernel: "candidate".parse().expect("a name"),
        job: JobId { bug: id(bug), profile: ProfileName::default_profile() },
        expect: Expectation::default(),
        mitigates: false,
        control: false,
        strict: false,
    };
    let states = |state| State::ALL.into_iter().filter(move |one| *one == state).collect();
    let source = state.map(|state| Finding::new(Witness::Source, states(state), Strength::Strong, "its lines"));
    let said = Said { findings: source.into_iter().collect(), ..Said::default() };
    Cell::judged(&question, None, Case { said, boots: boots(how), ..Case::default() }, CellTrials::default())
}

fn judge(cell: &Cell, policy: &GatePolicy, named: &[&str]) -> GateCell {
    let bugs = Bugs::built_in();
    let named: Vec<BugId> = named.iter().map(|name| id(name)).collect();
    let today = "2026-11-30".parse().expect("a day");
    GateRules { policy, named: &named, bugs: &bugs, today }.judge(cell)
}

#[test]
fn gate_opens_only_on_what_is_known_to_be_good() {
    use Gate::{Closed, NoAnswer, Open};
    let none = GatePolicy::default();
    for (how, state, gate) in [
        ("pass", None, Open),
        ("pass", Some(State::Fixed), Open),
        ("pass", Some(State::NeverHad), Open),
        ("pass", Some(State::FixedWithDefect), Closed),
        // A strong witness contradicts the silence.
        ("pass", Some(State::Affected), NoAnswer),
        ("fail", None, Closed),
        ("fail", Some(State::Affected), Closed),
        // The witnesses contradict each other.
        ("fail", Some(State::Fixed), Closed),
        ("silence", None, NoAnswer),
        ("unknown", None, NoAnswer),
        ("broke", Some(State::Fixed), NoAnswer),
        ("skip", None, NoAnswer),
        ("not-compiled", None, NoAnswer),
    ] {
        let cell = cell(STALL, how, state);
        let judged = judge(&cell, &none, &[]);
        assert_eq!(judged.gate, gate, "{how} {state:?}: {judged:?}");
        let (all, reasons) = Gate::of(std::slice::from_ref(&judged), &[id(STALL)], &ControlsJudged::default(), false);
        assert_eq!((all, reasons.is_empty()), (gate, gate == Open), "{how} {state:?}");
    }
    let mut crashed = cell(STALL, "pass", None);
    crashed.trials.unexplained = Some("BUG: x".to_owned());
    assert_eq!(judge(&crashed, &none, &[]).gate, NoAnswer);
    let mut differs = cell(STALL, "pass", None);
    differs.trials.differs = Some("line 3".to_owned());
    assert_eq!(judge(&differs, &none, &[]).gate, NoAnswer);
}

#[test]
fn bug_that_no_kernel_has_a_fix_for_counts_only_if_named() {
    let cookies = cell(COOKIES, "fail", None);
    for (named, policy, counts) in [
        (vec![], None, false),
        (vec![COOKIES], None, true),
        (vec![], Some(Requirement::NotAffected), true),
        (vec![COOKIES], Some(Requirement::Any), false),
    ] {
        let bugs = policy.iter().map(|required| (id(COOKIES), required.clone())).collect();
        let judged = judge(&cookies, &GatePolicy { bugs, ..GatePolicy::default() }, &named);
        assert_eq!((judged.gate, judged.counts), (Gate::Closed, counts), "{named:?} {policy:?}");
        let good = judge(&cell(STALL, "pass", None), &GatePolicy::default(), &[]);
        let (gate, _) = Gate::of(&[good, judged.clone()], &[], &ControlsJudged::default(), false);
        assert_eq!(gate, if counts { Gate::Closed } else { Gate::Open });
        // With nothing else, nothing was judged that counts.
        let (gate, _) = Gate::of(&[judged], &[], &ControlsJudged::default(), false);
        assert_eq!(gate, if counts { Gate::Closed } else { Gate::NoAnswer });
    }
}

#[test]
fn acceptance_opens_exactly_what_it_names_while_it_lasts() {
    let accept = |text: &str| Acceptance::parse(text, &Bugs::built_in()).expect("an acceptance");
    for (how, state, accepted, gate) in [
        ("unknown", None, "tcp-fragment-stall=unknown: tried by hand", Gate::Open),
        ("broke", None, "tcp-fragment-stall=unknown", Gate::Open),
        ("skip", None, "tcp-fragment-stall=skip", Gate::Open),
        ("skip", None, "tcp-fragment-stall=unknown", Gate::NoAnswer),
        ("silence", None, "tcp-fragment-stall=unproven", Gate::Open),
        ("fail", None, "tcp-fragment-stall=affected", Gate::Open),
        ("fail", None, "tcp-fragment-stall=unknown", Gate::Closed),
        ("pass", Some(State::FixedWithDefect), "tcp-fragment-stall=fixed-with-defect", Gate::Open),
        ("unknown", None, "syn-cookie-data-loss=unknown", Gate::NoAnswer),
        // Nobody can accept a contradiction.
        ("pass", Some(State::Affected), "tcp-fragment-stall=affected", Gate::NoAnswer),
        ("fail", Some(State::Fixed), "tcp-fragment-stall=affected", Gate::Closed),
    ] {
        let policy = GatePolicy { accepted: vec![accept(accepted)], ..GatePolicy::default() };
        let judged = judge(&cell(STALL, how, state), &policy, &[]);
        assert_eq!(
            (judged.gate, judged.accepted.is_some()),
            (gate, gate == Gate::Open),
            "{how} {accepted}: {judged:?}"
        );
    }
    for (until, gate) in [("2026-11-30", Gate::Open), ("2026-11-29", Gate::NoAnswer)] {
        let accepted = Acceptance { until: until.parse().ok(), ..accept("tcp-fragment-stall=unknown") };
        let policy = GatePolicy { accepted: vec![accepted], ..GatePolicy::default() };
        let judged = judge(&cell(STALL, "unknown", None), &policy, &[]);
        assert_eq!((judged.gate, judged.expired.is_some()), (gate, gate != Gate::Open), "{until}");
    }
    let elsewhere = Acceptance { profile: "other".parse().ok(), ..accept("tcp-fragment-stall=unknown") };
    let policy = GatePolicy { accepted: vec![elsewhere], ..GatePolicy::default() };
    assert_eq!(judge(&cell(STALL, "unknown", None), &policy, &[]).gate, Gate::NoAnswer);
}

#[test]
fn required_state_must_be_the_one_that_is_known() {
    use State::{Fixed, NeverHad};
    for (required, state, gate) in [
        (vec![Fixed], Some(Fixed), Gate::Open),
        (vec![Fixed, NeverHad], Some(NeverHad), Gate::Open),
        (vec![Fixed], Some(NeverHad), Gate::Closed),
        (vec![Fixed], None, Gate::NoAnswer),
    ] {
        let bugs = vec![(id(STALL), Requirement::States(required.clone()))];
        let judged = judge(&cell(STALL, "pass", state), &GatePolicy { bugs, ..GatePolicy::default() }, &[]);
        assert_eq!(judged.gate, gate, "{required:?} {state:?}: {judged:?}");
    }
}

#[test]
fn misjudged_or_missing_control_leaves_no_answer() {
    let good = [judge(&cell(STALL, "pass", None), &GatePolicy::default(), &[])];
    let built = ControlsJudged { kernels: 2, cells: 6, ..ControlsJudged::default() };
    let wrong = ControlsJudged { wrong: vec!["control-6.1-stock: FAIL".to_owned()], ..built.clone() };
    let unproven = ControlsJudged { unproven: 1, ..built.clone() };
    for (controls, needed, gate) in [
        (ControlsJudged::default(), false, Gate::Open),
        (ControlsJudged::default(), true, Gate::NoAnswer),
        (built, true, Gate::Open),
        (unproven.clone(), false, Gate::Open),
        (unproven, true, Gate::NoAnswer),
        (wrong.clone(), false, Gate::NoAnswer),
        (wrong, true, Gate::NoAnswer),
    ] {
        assert_eq!(Gate::of(&good, &[], &controls, needed).0, gate, "{controls:?} {needed}");
    }
}

#[test]
fn bug_that_was_not_judged_leaves_no_answer() {
    let good = [judge(&cell(STALL, "pass", None), &GatePolicy::default(), &[])];
    let bugs = Bugs::built_in();
    let required = |required| GatePolicy { bugs: vec![(id(COOKIES), required)], ..GatePolicy::default() };
    for (policy, asked, gate) in [
        (GatePolicy::default(), vec![STALL], Gate::Open),
        // The profiles that were named are not for it.
        (GatePolicy::default(), vec![STALL, COOKIES], Gate::NoAnswer),
        // --bug left out what the policy requires.
        (required(Requirement::NotAffected), vec![STALL], Gate::NoAnswer),
        (required(Requirement::Any), vec![STALL], Gate::Open),
    ] {
        let today = "2026-11-30".parse().expect("a day");
        let rules = GateRules { policy: &policy, named: &[], bugs: &bugs, today };
        let asked: Vec<BugId> = asked.into_iter().map(id).collect();
        let (answer, reasons) = Gate::of(&good, &rules.needed(&asked), &ControlsJudged::default(), false);
        assert_eq!((answer, reasons.is_empty()), (gate, gate == Gate::Open), "{policy:?} {asked:?}: {reasons:?}");
    }
}
