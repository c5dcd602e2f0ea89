use super::*;
use crate::evidence::{StateSet, Witness};
use crate::verdict::Case;

fn answer(subject: &str, bugs: &[(&str, bool, Vec<Finding>)]) -> SubjectAnswer {
    let bugs = bugs.iter().map(|(bug, counts, findings)| {
        let judgement = Case::of_findings(findings.clone());
        BugAnswer { bug: bug.parse().expect("a name"), counts: *counts, judgement }
    });
    let (understood, problem, stale) = (None, None, None);
    SubjectAnswer { subject: subject.to_owned(), understood, problem, misnamed: false, stale, bugs: bugs.collect() }
}

fn says(witness: Witness, states: &[State], why: &str) -> Finding {
    Finding::new(witness, states.iter().copied().collect(), Strength::Weak, why)
}

fn shown(answer: SubjectAnswer, explain: bool) -> String {
    let text = Answers::of([answer].into_iter()).text(Style { explain, ..Style::default() });
    anstream::adapter::strip_str(&text).to_string()
}

#[test]
fn bug_has_one_line_and_one_for_its_advice() {
    let bugs = [
        ("fixed-here", true, vec![says(Witness::Version, &[State::Fixed], "4.19.58 has the fix")]),
        ("not-repaired", false, vec![says(Witness::Version, &[State::Affected], "no release has a fix")]),
        ("half", true, vec![says(Witness::Version, &[State::HalfFixed], &"it has the first half only, ".repeat(9))]),
        ("open", true, vec![Finding::unknown(Witness::Binary, "f was not found")]),
    ];
    let text = shown(answer("4.19.57", &bugs), false);
    let lines: Vec<&str> = text.lines().collect();
    let starts = [
        "4.19.57",
        "  AFFECTED (half-fixed)  half          version: it has the first half only,",
        "  unknown                open          the witnesses leave the verdict unknown",
        "    settle: boot it",
        "  AFFECTED               not-repaired  no fix exists (--fail-on any counts it)",
        "  not-affected (fixed)   fixed-here    version: 4.19.58 has the fix",
        "",
        "--explain shows the evidence",
    ];
    assert_eq!(lines.len(), starts.len(), "{text}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start) && line.chars().count() <= 100, "{line}");
    }
    let text = shown(answer("4.19.57", &bugs), true);
    for part in ["    version (a hint): 4.19.58 has the fix", "    binary: f was not found", "    settle: boot it"] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    assert!(!text.contains("--explain shows"));
}

#[test]
fn reason_leads_with_the_step_that_decides() {
    let why = "version: break since 5.2-rc6; half-fix since 5.2-rc6; fix since 5.3-rc2";
    assert_eq!(
        lead(why, Some(State::Fixed)),
        "version: fix since 5.3-rc2; break since 5.2-rc6; half-fix since 5.2-rc6"
    );
    assert_eq!(lead(why, Some(State::NeverHad)), why);
    assert_eq!(lead("binary: it adds 0x20480", Some(State::Fixed)), "binary: it adds 0x20480");
}

#[test]
fn unproven_answer_is_marked() {
    let silent = Finding { states: StateSet::not_affected(), ..Finding::unknown(Witness::Runtime, "silent") };
    let fixed = || says(Witness::Version, &[State::Fixed], "x");
    for (findings, said) in [
        (vec![silent.clone()], "not-affected (unproven)  b"),
        (vec![silent, fixed()], "not-affected (fixed?, unproven)  b"),
        (vec![fixed()], "not-affected (fixed)  b"),
    ] {
        let text = shown(answer("x", &[("b", true, findings)]), false);
        assert!(text.contains(said), "{said:?} is missing in\n{text}");
    }
}
