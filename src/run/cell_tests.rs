use super::super::CellTally;
use super::*;
use crate::evidence::exhibits::Said;
use crate::evidence::{Finding, StateSet, Strength, Witness};
use crate::verdict::{Boots, Verdict};
use crate::words::State;

pub(crate) fn question(expect: &str) -> Question {
    Question {
        kernel: "a-kernel".parse().expect("a name"),
        job: "a-bug".parse().expect("a name"),
        expect: Expectation::from_name(expect).expect("an expectation"),
        mitigates: false,
        control: false,
        strict: false,
    }
}

/// The cell of a question, beside what other witnesses say.
pub(crate) fn cell(question: &Question, boots: Boots, others: &[Finding]) -> Cell {
    let said = Said { findings: others.to_vec(), ..Said::default() };
    let case = Case { said, boots, ..Case::default() };
    Cell::judged(question, None, case, CellTrials::default())
}

fn runtime(states: StateSet, strength: Strength) -> Boots {
    Boots::Showed(Finding::new(Witness::Runtime, states, strength, "seen"))
}

pub(crate) fn boots(how: &str) -> Boots {
    match how {
        "pass" => runtime(StateSet::not_affected(), Strength::Strong),
        "fail" => runtime(StateSet::affected(), Strength::Decisive),
        "mitigated" => {
            let seen = Finding::new(Witness::Runtime, StateSet::affected(), Strength::Decisive, "seen");
            Boots::Showed(Finding { mitigated: true, ..seen })
        }
        "silence" => runtime(StateSet::not_affected(), Strength::Weak),
        "unknown" => runtime(StateSet::all(), Strength::Strong),
        "error" => Boots::Broke("it broke".to_owned()),
        "skip" => Boots::Inapplicable { reason: "not here".to_owned(), allowed: false },
        _ => Boots::Inapplicable { reason: "gone".to_owned(), allowed: true },
    }
}

#[test]
fn exit_code_says_whether_a_cell_is_expected() {
    // expectation, how it was settled, the outcome, whether expected, the exit code of a run of that cell alone
    let table = [
        ("pass", "pass", Outcome::Pass, true, 0),
        ("pass", "silence", Outcome::Pass, true, 0),
        ("fail", "silence", Outcome::Pass, false, 1),
        ("pass", "fail", Outcome::Fail, false, 1),
        ("fail", "fail", Outcome::Fail, true, 0),
        ("fail", "pass", Outcome::Pass, false, 1),
        ("pass", "error", Outcome::Error, false, 3),
        ("pass", "unknown", Outcome::Error, false, 3),
        ("pass", "skip", Outcome::Skip, false, 3),
        ("skip", "skip", Outcome::Skip, true, 0),
        ("pass", "gone", Outcome::Skip, true, 0),
        ("never-had", "pass", Outcome::Pass, true, 0),
        ("half-fixed", "fail", Outcome::Fail, true, 0),
        ("half-fixed", "pass", Outcome::Pass, false, 1),
        ("fixed", "error", Outcome::Error, false, 3),
    ];
    for (expect, how, outcome, expected, code) in table {
        let cell = cell(&question(expect), boots(how), &[]);
        assert_eq!((cell.outcome, cell.expected), (outcome, expected), "{expect} {how}");
        assert_eq!(CellTally::of([&cell]).exit().code(), code, "{expect} {how}");
        assert_eq!(
            cell.judgement.reason.is_some(),
            matches!(outcome, Outcome::Error | Outcome::Skip),
            "{expect} {how}"
        );
    }
}

#[test]
fn kernel_without_the_code_is_skipped_as_not_affected() {
    let not_compiled = Boots::NotCompiled("CONFIG_X is not set in the configuration in its package".to_owned());
    let config = Finding {
        states: StateSet::not_affected(),
        strength: Strength::Strong,
        ..Finding::unknown(Witness::Config, "CONFIG_X is not set")
    };
    // expectation, whether expected, the exit code of a run of that cell alone
    for (expect, expected, code) in [
        ("pass", true, 0),
        ("skip", true, 0),
        ("never-had", true, 0),
        ("fixed", true, 0),
        ("fail", false, 3),
        ("affected", false, 3),
    ] {
        let cell = cell(&question(expect), not_compiled.clone(), std::slice::from_ref(&config));
        assert_eq!((cell.outcome, cell.judgement.verdict), (Outcome::Skip, Verdict::NotAffected), "{expect}");
        assert_eq!((cell.expected, cell.judgement.state), (expected, None), "{expect}");
        assert_eq!(CellTally::of([&cell]).exit().code(), code, "{expect}");
        assert!(cell.judgement.reason.is_some_and(|reason| reason.contains("CONFIG_X")), "{expect}");
    }
}

#[test]
fn witnesses_never_stand_in_for_a_broken_guest() {
    use State::{Affected, Fixed, HalfFixed, NeverHad};
    let static_finding =
        |witness, strength, states: &[State]| Finding::new(witness, states.iter().copied().collect(), strength, "read");
    let binary = |states| static_finding(Witness::Binary, Strength::Strong, states);
    let version = |states| static_finding(Witness::Version, Strength::Weak, states);
    // how the boot settled it, what another witness says; the outcome, the verdict, the state, whether a conflict,
    // the exit code of a run of that cell alone
    let table = [
        ("pass", binary(&[Fixed]), Outcome::Pass, Verdict::NotAffected, Some(Fixed), false, 0),
        ("pass", version(&[NeverHad]), Outcome::Pass, Verdict::NotAffected, Some(NeverHad), false, 0),
        ("pass", version(&[Affected]), Outcome::Pass, Verdict::NotAffected, None, false, 0),
        ("pass", binary(&[Affected, HalfFixed]), Outcome::Error, Verdict::Unknown, None, true, 1),
        ("fail", binary(&[HalfFixed]), Outcome::Fail, Verdict::Affected, Some(HalfFixed), false, 1),
        ("fail", binary(&[Fixed]), Outcome::Fail, Verdict::Affected, None, true, 1),
        ("error", binary(&[Fixed]), Outcome::Error, Verdict::Unknown, None, false, 3),
        ("skip", binary(&[Affected]), Outcome::Skip, Verdict::Unknown, None, false, 3),
    ];
    for (how, other, outcome, verdict, state, conflict, code) in table {
        let case = format!("{how} beside {other:?}");
        let cell = cell(&question("pass"), boots(how), std::slice::from_ref(&other));
        let got = (cell.outcome, cell.judgement.verdict, cell.judgement.state, cell.judgement.conflict);
        assert_eq!(got, (outcome, verdict, state, conflict), "{case}");
        assert_eq!(CellTally::of([&cell]).exit().code(), code, "{case}");
        assert_eq!(cell.judgement.findings.first(), Some(&other), "it is kept: {case}");
    }
    // A bug without a reproducer is judged by who speaks.
    let judged = cell(&question("pass"), Boots::NotAsked, &[version(&[Affected])]);
    assert_eq!((judged.outcome, judged.judgement.verdict), (Outcome::Fail, Verdict::Affected));
    assert_eq!(cell(&question("pass"), Boots::NotAsked, &[]).outcome, Outcome::Error);
}

#[test]
fn mitigating_profile_is_expected_to_pass() {
    // expectation of the kernel, whether the profile mitigates, how it was settled, the outcome, whether expected,
    // the exit code of a run of that cell alone
    let table = [
        ("fail", true, "mitigated", Outcome::Pass, true, 0),
        ("fail", true, "fail", Outcome::Fail, false, 1),
        // The reproducer says that the kernel has no bug, and it is known to have it.
        ("fail", true, "pass", Outcome::Pass, false, 1),
        ("fail", true, "error", Outcome::Error, false, 3),
        ("fail", true, "skip", Outcome::Skip, false, 3),
        ("affected", true, "mitigated", Outcome::Pass, true, 0),
        ("half-fixed", true, "mitigated", Outcome::Pass, true, 0),
        ("affected", true, "pass", Outcome::Pass, false, 1),
        ("affected", true, "fail", Outcome::Fail, false, 1),
        ("fixed", true, "pass", Outcome::Pass, true, 0),
        ("fixed", true, "mitigated", Outcome::Pass, false, 1),
        ("pass", true, "pass", Outcome::Pass, true, 0),
        // An outcome is the cell's, under its profile; only a state speaks of the kernel itself.
        ("pass", true, "mitigated", Outcome::Pass, true, 0),
        ("never-had", false, "mitigated", Outcome::Pass, false, 1),
        ("pass", true, "fail", Outcome::Fail, false, 1),
        ("skip", true, "skip", Outcome::Skip, true, 0),
        ("fail", false, "fail", Outcome::Fail, true, 0),
        ("fail", false, "mitigated", Outcome::Pass, false, 1),
        ("affected", false, "mitigated", Outcome::Pass, false, 1),
        ("half-fixed", false, "fail", Outcome::Fail, true, 0),
    ];
    for (expect, mitigates, how, outcome, expected, code) in table {
        let case = format!("{expect} mitigates={mitigates} {how}");
        let cell = cell(&Question { mitigates, ..question(expect) }, boots(how), &[]);
        assert_eq!((cell.outcome, cell.expected), (outcome, expected), "{case}");
        assert_eq!(CellTally::of([&cell]).exit().code(), code, "{case}");
        if how == "mitigated" {
            assert_eq!((cell.judgement.verdict, cell.judgement.state), (Verdict::NotAffected, None), "{case}");
            assert!(cell.judgement.findings.iter().all(|f| f.states == StateSet::affected()), "{case}");
        }
    }
}
