//! A cell: one (kernel, bug, profile) of a run, how it ended, and whether that was expected.

use backproof_repro::protocol::Check;
use serde::{Deserialize, Serialize};

use crate::answer::Advice;
use crate::evidence::git::StepFound;
use crate::evidence::{Finding, Witness};
use crate::verdict::{Conclusion, Ledger, Verdict, contradiction, unheard};
use crate::words::{BugId, Expectation, JobId, KernelName, Outcome, ProfileName, State};

/// One cell of the matrix, judged. This is what `cells[]` of matrix.json holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The kernel's name in the matrix.
    pub kernel: KernelName,
    /// What the kernel calls itself (`uname -r`), where that became known.
    pub release: Option<String>,
    /// The bug.
    pub bug: BugId,
    /// The profile it was judged under.
    pub profile: ProfileName,
    /// How it ended.
    pub outcome: Outcome,
    /// What the ledger concluded: under the cell's profile.
    pub verdict: Verdict,
    /// The kernel's state, where the findings leave exactly one. None where the verdict is the profile's doing.
    pub state: Option<State>,
    /// Whether only a hint names the state: a release, say, beside a boot.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub state_guessed: bool,
    /// Whether the kernel has the bug, and the profile kept it from showing: the verdict is not the kernel's then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mitigated: bool,
    /// Whether a pass rests on the silence of a reproducer that has not proven that it would have seen the bug.
    #[serde(default)]
    pub unproven: bool,
    /// What the matrix expects of the kernel, under its own settings.
    pub expect: Expectation,
    /// Whether the profile is said to keep the bug from showing: then a kernel that is expected to be affected is
    /// expected to pass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mitigates: bool,
    /// Whether it ended as expected.
    pub expected: bool,
    /// Whether the kernel is a control, whose truth is known.
    #[serde(default)]
    pub control: bool,
    /// Whether strong witnesses contradict each other.
    pub conflict: bool,
    /// Everything that is known.
    pub findings: Vec<Finding>,
    /// What git found of each step of the bug's chain, where the matrix names the commit that the kernel was built from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepFound>,
    /// What git found that people should know: a later commit that fixes a step, say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What to do, where the kernel is affected, was repaired badly, or never had the break.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advice: Vec<Advice>,
    /// Wall time of the boots that this cell took part in.
    pub seconds: f64,
    /// Why there is no verdict: for `error` and `skip`.
    pub reason: Option<String>,
    /// The boots that this cell took part in, as folders below the kernel's.
    #[serde(default)]
    pub boots: Vec<String>,
    /// What the reproducer tried, and what that showed.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// How a guest died that ran this reproducer beside others, where none died that ran one alone: the verdict
    /// stands, and the death is unexplained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unexplained: Option<String>,
    /// The other bugs whose own programs were root in the guest that settled it (`share-guest` of the matrix): each of
    /// them could have written this cell's report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_with: Vec<BugId>,
}

/// What a cell is about: known before it is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The kernel's name in the matrix.
    pub kernel: KernelName,
    /// The bug and the profile.
    pub job: JobId,
    /// What the matrix expects of the kernel, under its own settings.
    pub expect: Expectation,
    /// Whether the profile is said to keep the bug from showing.
    pub mitigates: bool,
    /// Whether the kernel is a control.
    pub control: bool,
}

/// How a question was settled.
#[derive(Clone, Debug, PartialEq)]
pub enum Settled {
    /// The witnesses spoke.
    Findings(Ledger),
    /// The harness or the guest broke.
    Error(String),
    /// The kernel was built without the code that has the bug, so there is nothing to run and it is not affected: why.
    NotBuilt(String),
    /// The question does not apply.
    Skip {
        /// Why not.
        reason: String,
        /// Whether the matrix allows for it (`optional: true`), so that it is no surprise.
        allowed: bool,
    },
}

impl Question {
    /// The cell of this question, settled so.
    pub fn cell(&self, release: Option<String>, settled: Settled) -> Cell {
        self.cell_beside(release, settled, &[])
    }

    /// The cell of this question, settled so beside what the witnesses said that need no boot. Where the harness broke or
    /// the question does not apply they are kept, and decide nothing.
    pub fn cell_beside(&self, release: Option<String>, settled: Settled, others: &[Finding]) -> Cell {
        let ran = if let Settled::Findings(ledger) = &settled { &ledger.findings[..] } else { &[] };
        let findings = others.iter().chain(ran).cloned().collect();
        let ledger = Ledger { findings };
        let spoke = matches!(settled, Settled::Findings(_) | Settled::NotBuilt(_));
        let conclusion = if spoke { ledger.conclude() } else { Ledger::default().conclude() };
        let (outcome, reason) = match &settled {
            Settled::Error(reason) => (Outcome::Error, Some(reason.clone())),
            Settled::Skip { reason, .. } | Settled::NotBuilt(reason) => (Outcome::Skip, Some(reason.clone())),
            Settled::Findings(_) => match conclusion.verdict {
                Verdict::Affected => (Outcome::Fail, None),
                Verdict::NotAffected => (Outcome::Pass, None),
                Verdict::Unknown => (Outcome::Error, Some(undecided(&ledger))),
            },
        };
        let allowed = match settled {
            Settled::Skip { allowed, .. } => allowed,
            Settled::NotBuilt(_) => self.expects_no_bug(),
            _ => false,
        };
        Cell {
            kernel: self.kernel.clone(),
            release,
            bug: self.job.bug.clone(),
            profile: self.job.profile.clone(),
            outcome,
            verdict: conclusion.verdict,
            state: conclusion.state(),
            state_guessed: conclusion.guessed && conclusion.state().is_some(),
            mitigated: conclusion.mitigated,
            unproven: conclusion.unproven,
            expect: self.expect,
            mitigates: self.mitigates,
            expected: allowed || self.is_expected(outcome, conclusion),
            control: self.control,
            conflict: conclusion.conflict,
            findings: ledger.findings,
            steps: Vec::new(),
            warnings: Vec::new(),
            advice: Vec::new(),
            seconds: 0.0,
            reason,
            boots: Vec::new(),
            checks: Vec::new(),
            unexplained: None,
            shared_with: Vec::new(),
        }
    }

    /// Whether the matrix expects a kernel that does not have the bug.
    fn expects_no_bug(&self) -> bool {
        match self.expect {
            Expectation::Outcome(wanted) => matches!(wanted, Outcome::Pass | Outcome::Skip),
            Expectation::State(state) => !state.is_affected(),
        }
    }

    /// Whether this is what the matrix expects. What a mitigation keeps from showing is there all the same: where the
    /// kernel's state is known, the findings have to allow for it, and where it is known to fail, a pass has to be the
    /// profile's doing: a reproducer that sees no bug at all is blind there. A name's hint is not the kernel's state.
    fn is_expected(&self, outcome: Outcome, Conclusion { firm, mitigated, .. }: Conclusion) -> bool {
        match self.expect {
            Expectation::Outcome(Outcome::Fail) if self.mitigates => outcome == Outcome::Pass && mitigated,
            Expectation::Outcome(wanted) => outcome == wanted,
            Expectation::State(state) => {
                let shows = state.is_affected() && !self.mitigates;
                outcome == if shows { Outcome::Fail } else { Outcome::Pass } && firm.contains(state)
            }
        }
    }
}

/// Why witnesses that spoke leave no verdict.
fn undecided(ledger: &Ledger) -> String {
    let nothing_ran = ledger.findings.iter().all(|finding| finding.witness != Witness::Runtime);
    let why = if nothing_ran { ", and nothing can be run for this bug: its dossier has no `reproducer`" } else { "" };
    let unheard = unheard(&ledger.findings).map_or_else(String::new, |why| format!(": {why}"));
    format!("the witnesses leave the verdict unknown{unheard}{why}")
}

impl Cell {
    /// Who contradicts whom, in a sentence, where strong witnesses do.
    pub fn conflict_complaint(&self) -> Option<String> {
        self.conflict.then(|| format!("{} {}: {}", self.kernel, self.job(), contradiction(&self.findings)))
    }

    /// What qualifies its pass, where something does: it is the profile's doing, or nothing proves it.
    pub fn qualifier(&self) -> Option<&'static str> {
        match self {
            Self { mitigated: true, .. } => Some("mitigated"),
            Self { unproven: true, .. } => Some("unproven"),
            _ => None,
        }
    }

    /// The bug and the profile.
    pub fn job(&self) -> JobId {
        JobId { bug: self.bug.clone(), profile: self.profile.clone() }
    }

    /// What it asks: so that it can be asked again.
    pub fn question(&self) -> Question {
        Question {
            kernel: self.kernel.clone(),
            job: self.job(),
            expect: self.expect,
            mitigates: self.mitigates,
            control: self.control,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Tally;
    use super::*;
    use crate::evidence::{StateSet, Strength};

    pub(crate) fn question(expect: &str) -> Question {
        Question {
            kernel: "a-kernel".parse().expect("a name"),
            job: "a-bug".parse().expect("a name"),
            expect: Expectation::from_name(expect).expect("an expectation"),
            mitigates: false,
            control: false,
        }
    }

    fn runtime(states: StateSet, strength: Strength) -> Settled {
        let finding = Finding::new(Witness::Runtime, states, strength, "seen");
        Settled::Findings(Ledger { findings: vec![finding] })
    }

    pub(crate) fn settled(how: &str) -> Settled {
        match how {
            "pass" => runtime(StateSet::not_affected(), Strength::Strong),
            "fail" => runtime(StateSet::affected(), Strength::Decisive),
            "mitigated" => {
                let Settled::Findings(mut ledger) = runtime(StateSet::affected(), Strength::Decisive) else { panic!() };
                ledger.findings.iter_mut().for_each(|f| f.mitigated = true);
                Settled::Findings(ledger)
            }
            "silence" => runtime(StateSet::not_affected(), Strength::Weak),
            "unknown" => runtime(StateSet::all(), Strength::Strong),
            "error" => Settled::Error("it broke".to_owned()),
            "skip" => Settled::Skip { reason: "not here".to_owned(), allowed: false },
            _ => Settled::Skip { reason: "gone".to_owned(), allowed: true },
        }
    }

    #[test]
    fn a_cell_is_expected_or_not_and_the_exit_code_says_so() {
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
            let cell = question(expect).cell(None, settled(how));
            assert_eq!((cell.outcome, cell.expected), (outcome, expected), "{expect} {how}");
            assert_eq!(Tally::of([&cell]).exit_code(), code, "{expect} {how}");
            assert_eq!(cell.reason.is_some(), matches!(outcome, Outcome::Error | Outcome::Skip), "{expect} {how}");
        }
    }

    #[test]
    fn a_kernel_built_without_the_code_is_skipped_and_not_affected() {
        let not_built = Settled::NotBuilt("CONFIG_X is not set in the configuration in its package".to_owned());
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
            let cell = question(expect).cell_beside(None, not_built.clone(), std::slice::from_ref(&config));
            assert_eq!((cell.outcome, cell.verdict), (Outcome::Skip, Verdict::NotAffected), "{expect}");
            assert_eq!((cell.expected, cell.state), (expected, None), "{expect}");
            assert_eq!(Tally::of([&cell]).exit_code(), code, "{expect}");
            assert!(cell.reason.is_some_and(|reason| reason.contains("CONFIG_X")), "{expect}");
        }
    }

    #[test]
    fn other_witnesses_narrow_a_verdict_down_or_contradict_it_and_never_stand_in_for_a_broken_guest() {
        use State::{Affected, Fixed, HalfFixed, NeverHad};
        let static_finding = |witness, strength, states: &[State]| {
            Finding::new(witness, states.iter().copied().collect(), strength, "read")
        };
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
            let cell = question("pass").cell_beside(None, settled(how), std::slice::from_ref(&other));
            let got = (cell.outcome, cell.verdict, cell.state, cell.conflict);
            assert_eq!(got, (outcome, verdict, state, conflict), "{case}");
            assert_eq!(Tally::of([&cell]).exit_code(), code, "{case}");
            assert_eq!(cell.findings.first(), Some(&other), "it is kept: {case}");
        }
        // A bug without a reproducer is judged by who speaks.
        let nobody_ran = Settled::Findings(Ledger::default());
        let cell = question("pass").cell_beside(None, nobody_ran.clone(), &[version(&[Affected])]);
        assert_eq!((cell.outcome, cell.verdict), (Outcome::Fail, Verdict::Affected));
        assert_eq!(question("pass").cell_beside(None, nobody_ran, &[]).outcome, Outcome::Error);
    }

    #[test]
    fn under_a_profile_an_affected_kernel_is_expected_to_pass_where_it_mitigates_and_to_fail_where_not() {
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
            let cell = Question { mitigates, ..question(expect) }.cell(None, settled(how));
            assert_eq!((cell.outcome, cell.expected), (outcome, expected), "{case}");
            assert_eq!(Tally::of([&cell]).exit_code(), code, "{case}");
            if how == "mitigated" {
                assert_eq!((cell.verdict, cell.state), (Verdict::NotAffected, None), "{case}");
                assert!(cell.findings.iter().all(|f| f.states == StateSet::affected()), "{case}");
            }
        }
    }
}
