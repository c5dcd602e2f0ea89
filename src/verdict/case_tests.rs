use super::*;
use crate::evidence::StateSet;
use crate::exit::Exit;
use crate::words::State;

fn finding(witness: Witness, strength: Strength, states: &[State]) -> Finding {
    Finding::new(witness, states.iter().copied().collect(), strength, "seen")
}

fn question(expect: &str, mitigates: bool) -> Question {
    Question {
        kernel: "a-kernel".parse().expect("a name"),
        job: "a-bug".parse().expect("a name"),
        expect: Expectation::from_name(expect).expect("an expectation"),
        mitigates,
        control: false,
        strict: false,
    }
}

fn case(findings: &[Finding], boots: &Boots) -> Case<'static> {
    let said = Said { findings: findings.to_vec(), ..Said::default() };
    Case { said, boots: boots.clone(), ..Case::default() }
}

/// The names of all expectations that this case meets.
fn met(findings: &[Finding], boots: &Boots, mitigates: bool) -> Vec<&'static str> {
    let mut names =
        vec!["pass", "fail", "error", "skip", "never-had", "affected", "half-fixed", "fixed", "fixed-with-defect"];
    names.retain(|name| case(findings, boots).judge_cell(&question(name, mitigates)).2);
    names
}

/// The rules that turn evidence into a judgement, one in each row. They are the same for all commands.
#[test]
fn every_command_judges_by_the_same_rules() {
    use State::{Affected, Fixed, FixedWithDefect, HalfFixed, NeverHad};
    use Strength::{Decisive, Strong, Weak};
    use Verdict::{NotAffected, Unknown};
    use Witness::{Binary, Config, Git, Runtime, Version};
    let stalls: &[State] = &[Affected, HalfFixed];
    let passes: &[State] = &[NeverHad, Fixed, FixedWithDefect];
    let showed = |strength, states| Boots::Showed(finding(Runtime, strength, states));
    let mitigated = Boots::Showed(Finding { mitigated: true, ..finding(Runtime, Decisive, stalls) });
    let broke = Boots::Broke("panic: it died".to_owned());
    let not_compiled = Boots::NotCompiled("CONFIG_X is not set".to_owned());
    let inapplicable = Boots::Inapplicable { reason: "no TUN".to_owned(), allowed: false };
    let not_asked = Boots::NotAsked;
    struct Row<'a> {
        name: &'a str,
        findings: Vec<Finding>,
        boots: &'a Boots,
        verdict: Verdict,
        state: Option<State>,
        conflict: bool,
        outcome: Outcome,
        exit: Exit,
        against: &'a [Witness],
        reason: &'a str,
        /// The expectations that it meets, and those under a profile with `mitigates`.
        met: &'a [&'a str],
        met_mitigated: &'a [&'a str],
        /// Whether the exit code leaves the bug out if it does not count.
        left_out: bool,
    }
    let git = |states| finding(Git, Strong, states);
    let version = |states| finding(Version, Weak, states);
    let (pass, stall, silence) = (showed(Strong, passes), showed(Decisive, stalls), showed(Weak, passes));
    #[rustfmt::skip]
    let table = [
        Row { name: "nothing is known", findings: vec![], boots: &not_asked, verdict: Unknown, state: None, conflict: false,
            outcome: Outcome::Error, exit: Exit::NoVerdict, against: &[], reason: "the witnesses leave the verdict unknown",
            met: &["error"],
            met_mitigated: &["error"], left_out: false },
        Row { name: "a strong witness, and nobody asked for a boot", findings: vec![git(&[Fixed])], boots: &not_asked,
            verdict: NotAffected, state: Some(Fixed), conflict: false, outcome: Outcome::Pass, exit: Exit::Clean,
            against: &[], reason: "",
            met: &["pass", "fixed"],
            met_mitigated: &["pass", "fixed"], left_out: false },
        Row { name: "a pass narrowed down by git", findings: vec![git(&[Fixed])], boots: &pass, verdict: NotAffected,
            state: Some(Fixed), conflict: false, outcome: Outcome::Pass, exit: Exit::Clean, against: &[], reason: "",
            met: &["pass", "fixed"],
            met_mitigated: &["pass", "fixed"], left_out: false },
        Row { name: "a stall", findings: vec![], boots: &stall, verdict: Verdict::Affected, state: None, conflict: false,
            outcome: Outcome::Fail, exit: Exit::Affected, against: &[], reason: "",
            met: &["fail", "affected", "half-fixed"],
            met_mitigated: &[], left_out: true },
        Row { name: "a hint against a pass is not heard", findings: vec![version(&[Affected])], boots: &pass,
            verdict: NotAffected, state: None, conflict: false, outcome: Outcome::Pass, exit: Exit::Clean,
            against: &[Version], reason: "",
            met: &["pass", "never-had", "fixed", "fixed-with-defect"],
            met_mitigated: &["pass", "never-had", "fixed", "fixed-with-defect"], left_out: false },
        Row { name: "a pass against git", findings: vec![git(&[Affected])], boots: &pass, verdict: Unknown, state: None,
            conflict: true, outcome: Outcome::Error, exit: Exit::Affected, against: &[Git, Runtime],
            reason: "strong witnesses contradict each other",
            met: &["error"],
            met_mitigated: &["error"], left_out: false },
        Row { name: "a stall against git decides", findings: vec![git(&[Fixed])], boots: &stall, verdict: Verdict::Affected,
            state: None, conflict: true, outcome: Outcome::Fail, exit: Exit::Affected, against: &[Git], reason: "",
            met: &["fail", "affected", "half-fixed"],
            met_mitigated: &[], left_out: false },
        Row { name: "a boot that broke, beside a strong good witness", findings: vec![git(&[Fixed])], boots: &broke,
            verdict: Unknown, state: None, conflict: false, outcome: Outcome::Error, exit: Exit::NoVerdict, against: &[],
            reason: "panic: it died",
            met: &["error"],
            met_mitigated: &["error"], left_out: false },
        Row { name: "a boot that broke, beside a strong bad witness", findings: vec![git(&[Affected])], boots: &broke,
            verdict: Unknown, state: None, conflict: false, outcome: Outcome::Error, exit: Exit::NoVerdict, against: &[],
            reason: "panic: it died",
            met: &["error"],
            met_mitigated: &["error"], left_out: false },
        Row { name: "a boot that broke, beside a contradiction",
            findings: vec![git(&[Fixed]), finding(Binary, Strong, stalls)], boots: &broke, verdict: Unknown, state: None,
            conflict: true, outcome: Outcome::Error, exit: Exit::Affected, against: &[Git, Binary],
            reason: "panic: it died",
            met: &["error"],
            met_mitigated: &["error"], left_out: false },
        Row { name: "a reproducer that does not apply", findings: vec![git(&[Fixed])], boots: &inapplicable,
            verdict: Unknown, state: None, conflict: false, outcome: Outcome::Skip, exit: Exit::NoVerdict, against: &[],
            reason: "no TUN",
            met: &["skip"],
            met_mitigated: &["skip"], left_out: false },
        Row { name: "code that is not compiled in", findings: vec![finding(Config, Strong, passes), version(stalls)],
            boots: &not_compiled, verdict: NotAffected, state: None, conflict: false, outcome: Outcome::Skip,
            exit: Exit::Clean, against: &[], reason: "CONFIG_X is not set",
            met: &["pass", "skip", "never-had", "fixed", "fixed-with-defect"],
            met_mitigated: &["pass", "skip", "never-had", "fixed", "fixed-with-defect"], left_out: false },
        Row { name: "a profile that hides the bug", findings: vec![git(&[HalfFixed])], boots: &mitigated,
            verdict: NotAffected, state: None, conflict: false, outcome: Outcome::Pass, exit: Exit::Clean, against: &[],
            reason: "",
            met: &["pass"],
            met_mitigated: &["pass", "fail", "half-fixed"], left_out: false },
        Row { name: "silence", findings: vec![], boots: &silence, verdict: NotAffected, state: None, conflict: false,
            outcome: Outcome::Pass, exit: Exit::Clean, against: &[], reason: "",
            met: &["pass", "never-had", "fixed", "fixed-with-defect"],
            met_mitigated: &["pass", "never-had", "affected", "half-fixed", "fixed", "fixed-with-defect"], left_out: false },
    ];
    let question = question("pass", false);
    for row in table {
        let (judgement, outcome, _) = case(&row.findings, row.boots).judge_cell(&question);
        let by_hand = case(&row.findings, row.boots).judge("boot it");
        for judged in [&judgement, &by_hand] {
            let got = (judged.verdict, judged.state, judged.conflict);
            assert_eq!(got, (row.verdict, row.state, row.conflict), "{}", row.name);
            assert_eq!(judged.exit(true), row.exit, "{}", row.name);
            assert_eq!(judged.exit(false), if row.conflict { Exit::Affected } else { Exit::Clean }, "{}", row.name);
            assert_eq!(judged.against, row.against, "{}", row.name);
            assert_eq!(judged.reason.as_deref().unwrap_or_default(), row.reason, "{}", row.name);
            assert_eq!(judged.findings[..row.findings.len()], row.findings, "it is kept: {}", row.name);
            assert_eq!(judged.contradiction().is_some(), row.conflict, "{}", row.name);
        }
        assert_eq!(outcome, row.outcome, "{}", row.name);
        assert_eq!(met(&row.findings, row.boots, false), row.met, "{}", row.name);
        assert_eq!(met(&row.findings, row.boots, true), row.met_mitigated, "{}", row.name);
        assert_eq!((by_hand.is_left_out(false), by_hand.is_left_out(true)), (row.left_out, false), "{}", row.name);
        let is_open = row.conflict || row.verdict == Unknown;
        assert_eq!(by_hand.advice.len(), usize::from(is_open), "how to settle it: {}", row.name);
        assert_eq!(judgement.advice.len(), usize::from(judgement.mitigated), "{}", row.name);
        assert_eq!(judgement.unproven, row.name == "silence", "{}", row.name);
    }
}

#[test]
fn surest_finding_carries_the_verdict() {
    use State::{Affected, Fixed};
    use Strength::{Strong, Weak};
    use Witness::{Binary, Git, Version};
    for (findings, surest) in [
        (vec![finding(Version, Weak, &[Fixed])], Some(Version)),
        (vec![finding(Version, Weak, &[Fixed]), finding(Git, Strong, &[Fixed])], Some(Git)),
        (vec![finding(Git, Strong, &[Fixed]), finding(Binary, Strong, &[Fixed])], Some(Binary)),
        (vec![finding(Git, Strong, &[Fixed]), finding(Version, Weak, &[Affected])], Some(Git)),
        (vec![Finding::unknown(Binary, "not found")], None),
    ] {
        let judged = case(&findings, &Boots::NotAsked).judge("");
        assert_eq!(judged.surest().map(|finding| finding.witness), surest, "{findings:?}");
    }
}

#[test]
fn uncertain_configuration_leaves_the_question_open() {
    let config = |strength| Finding::new(Witness::Config, StateSet::not_affected(), strength, "X is not set");
    let said = |findings| Said { findings, ..Said::default() };
    assert_eq!(Boots::without_code(&said(vec![])), None);
    let weak = Boots::without_code(&said(vec![config(Strength::Weak)]));
    assert!(matches!(weak, Some(Boots::Inapplicable { allowed: false, .. })), "{weak:?}");
    let strong = Boots::without_code(&said(vec![config(Strength::Strong)]));
    assert!(matches!(strong, Some(Boots::NotCompiled(_))), "{strong:?}");
    let git = finding(Witness::Git, Strength::Strong, &[State::Affected]);
    assert_eq!(Boots::without_code(&said(vec![config(Strength::Strong), git])), None, "they contradict each other");
}

#[test]
fn unreached_cell_meets_no_expectation() {
    let boots = Boots::NotReached("the run was interrupted".to_owned());
    assert_eq!(met(&[], &boots, false), [""; 0]);
    let (judgement, outcome, _) = case(&[], &boots).judge_cell(&question("error", false));
    assert_eq!((outcome, judgement.verdict), (Outcome::Error, Verdict::Unknown));
    assert_eq!(judgement.reason.as_deref(), Some("the run was interrupted"));
}

#[test]
fn earlier_advice_stands_if_the_answer_is_the_same() {
    let advice = vec![Advice { kind: AdviceKind::Upgrade, says: "take 4.19.62".to_owned() }];
    let stall = [finding(Witness::Runtime, Strength::Decisive, &[State::Affected])];
    let earlier = Judgement { advice: advice.clone(), ..case(&stall, &Boots::NotAsked).judge("") };
    for (findings, kept) in [(&stall[..], &advice[..]), (&[], &[])] {
        let again = Case { earlier: Some(&earlier), ..case(findings, &Boots::NotAsked) };
        assert_eq!(again.judge_cell(&question("pass", false)).0.advice, kept);
    }
}
