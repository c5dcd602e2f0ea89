//! A cell: one (kernel, bug, profile) of a run, how it ended, and whether that was expected.

use backproof_repro::protocol::Check;
use serde::{Deserialize, Serialize};

use crate::evidence::Finding;
use crate::verdict::{Ledger, Verdict};
use crate::words::{BugId, Expectation, KernelName, Outcome, ProfileName, State};

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
    /// What the ledger concluded.
    pub verdict: Verdict,
    /// The kernel's state, where the findings leave exactly one.
    pub state: Option<State>,
    /// What the matrix expects.
    pub expect: Expectation,
    /// Whether it ended as the matrix expects.
    pub expected: bool,
    /// Whether strong witnesses contradict each other.
    pub conflict: bool,
    /// Everything that is known.
    pub findings: Vec<Finding>,
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
}

/// What a cell is about: known before it is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The kernel's name in the matrix.
    pub kernel: KernelName,
    /// The bug.
    pub bug: BugId,
    /// What the matrix expects.
    pub expect: Expectation,
}

/// How a question was settled.
#[derive(Clone, Debug, PartialEq)]
pub enum Settled {
    /// The witnesses spoke.
    Findings(Ledger),
    /// The harness or the guest broke.
    Error(String),
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
        let ledger = if let Settled::Findings(ledger) = &settled { ledger.clone() } else { Ledger::default() };
        let conclusion = ledger.conclude();
        let (outcome, reason) = match &settled {
            Settled::Error(reason) => (Outcome::Error, Some(reason.clone())),
            Settled::Skip { reason, .. } => (Outcome::Skip, Some(reason.clone())),
            Settled::Findings(_) => match conclusion.verdict {
                Verdict::Affected => (Outcome::Fail, None),
                Verdict::NotAffected => (Outcome::Pass, None),
                Verdict::Unknown => (Outcome::Error, Some("the witnesses leave the verdict unknown".to_owned())),
            },
        };
        let allowed = matches!(settled, Settled::Skip { allowed: true, .. });
        let as_expected = match self.expect {
            Expectation::Outcome(wanted) => outcome == wanted,
            Expectation::State(state) => {
                let judged_so = if state.is_affected() { Outcome::Fail } else { Outcome::Pass };
                outcome == judged_so && conclusion.states.contains(state)
            }
        };
        Cell {
            kernel: self.kernel.clone(),
            release,
            bug: self.bug.clone(),
            profile: ProfileName::default_profile(),
            outcome,
            verdict: conclusion.verdict,
            state: conclusion.state(),
            expect: self.expect,
            expected: as_expected || allowed,
            conflict: conclusion.conflict,
            findings: ledger.findings,
            seconds: 0.0,
            reason,
            boots: Vec::new(),
            checks: Vec::new(),
            unexplained: None,
        }
    }
}

/// How many cells ended how: the summary line, and the exit code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Cells of kernels that are not affected.
    pub pass: usize,
    /// Cells of kernels that are affected.
    pub fail: usize,
    /// Cells without a verdict, because something broke.
    pub error: usize,
    /// Cells whose question does not apply.
    pub skip: usize,
    /// Cells that ended unlike their expectation.
    pub unexpected: usize,
    /// Cells whose strong witnesses contradict each other.
    pub conflicts: usize,
    /// Unexpected cells that have a verdict: a kernel is not what the matrix says.
    pub surprises: usize,
    /// Unexpected skips: the run did not answer what it was asked.
    pub unexpected_skips: usize,
    /// Cells with a guest's death that nothing explains.
    #[serde(default)]
    pub unexplained: usize,
}

impl Tally {
    /// Counts cells.
    pub fn of<'a>(cells: impl IntoIterator<Item = &'a Cell>) -> Self {
        let mut tally = Self::default();
        for cell in cells {
            match cell.outcome {
                Outcome::Pass => tally.pass += 1,
                Outcome::Fail => tally.fail += 1,
                Outcome::Error => tally.error += 1,
                Outcome::Skip => tally.skip += 1,
            }
            tally.conflicts += usize::from(cell.conflict);
            tally.unexplained += usize::from(cell.unexplained.is_some());
            if !cell.expected {
                tally.unexpected += 1;
                tally.surprises += usize::from(matches!(cell.outcome, Outcome::Pass | Outcome::Fail));
                tally.unexpected_skips += usize::from(cell.outcome == Outcome::Skip);
            }
        }
        tally
    }

    /// The exit code of a run with these cells: 1 where a kernel is not what the matrix says or witnesses contradict
    /// each other, 3 where something broke (a guest that died without an explanation among it), else 0. An unexpected skip takes the run's verdict away: 3, whatever the
    /// other cells say.
    pub fn exit_code(self) -> u8 {
        if self.unexpected_skips > 0 {
            3
        } else if self.surprises > 0 || self.conflicts > 0 {
            1
        } else if self.unexpected > 0 || self.unexplained > 0 {
            3
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{StateSet, Strength, Witness};

    fn question(expect: &str) -> Question {
        Question {
            kernel: "a-kernel".parse().expect("a name"),
            bug: "a-bug".parse().expect("a name"),
            expect: Expectation::from_name(expect).expect("an expectation"),
        }
    }

    fn runtime(states: StateSet, strength: Strength) -> Settled {
        let finding = Finding {
            witness: Witness::Runtime,
            states,
            strength,
            why: "seen".to_owned(),
            mitigated: false,
            artefacts: Vec::new(),
        };
        Settled::Findings(Ledger { findings: vec![finding] })
    }

    fn settled(how: &str) -> Settled {
        match how {
            "pass" => runtime(StateSet::not_affected(), Strength::Strong),
            "fail" => runtime(StateSet::affected(), Strength::Decisive),
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
    fn a_surprise_wins_over_an_error_and_an_unexpected_skip_over_both() {
        let cell = |how| question("pass").cell(None, settled(how));
        let code = |cells: &[Cell]| Tally::of(cells).exit_code();
        assert_eq!(code(&[cell("error"), cell("fail"), cell("pass")]), 1);
        assert_eq!(code(&[cell("error"), cell("fail"), cell("skip")]), 3);
        let died = Cell { unexplained: Some("oops".to_owned()), ..cell("pass") };
        assert_eq!(code(&[cell("pass"), died]), 3);
        assert_eq!(code(&[]), 0);
    }
}
