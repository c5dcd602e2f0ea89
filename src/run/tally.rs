//! Counts of cells by how they ended, faults of controls, and the exit code of a run.

use serde::{Deserialize, Serialize};

use super::cell::Cell;
use crate::exit::Exit;
use crate::words::{Expectation, Outcome};

/// Counts of cells by how they ended, for the summary line and the exit code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellTally {
    /// Cells of kernels that are not affected.
    pub pass: usize,
    /// Passes by the silence of a reproducer that never proved that it sees the bug.
    #[serde(default)]
    pub unproven: usize,
    /// Cells of kernels that are affected.
    pub fail: usize,
    /// Cells without a verdict, because something broke.
    pub error: usize,
    /// Cells that do not apply to the kernel.
    pub skip: usize,
    /// Cells that ended otherwise than expected.
    pub unexpected: usize,
    /// Cells whose strong witnesses contradict each other.
    pub conflicts: usize,
    /// Unexpected cells with a verdict: the matrix is wrong about a kernel.
    pub surprises: usize,
    /// Unexpected skips: the run left a question open.
    pub unexpected_skips: usize,
    /// Cells with an unexplained guest crash.
    #[serde(default)]
    pub unexplained: usize,
    /// Cells with a boot that broke and was repeated.
    #[serde(default)]
    pub retried: usize,
    /// Cells of control kernels.
    #[serde(default)]
    pub controls: usize,
    /// Control cells judged wrongly: no verdict of the run can be trusted.
    #[serde(default)]
    pub controls_wrong: usize,
    /// Control cells without a verdict: this run did not prove the reproducer.
    #[serde(default)]
    pub controls_unproven: usize,
    /// Cells of boots whose transcript differs from the cached one of the same inputs.
    #[serde(default)]
    pub differing: usize,
}

impl CellTally {
    /// Counts these cells.
    pub fn of<'a>(cells: impl IntoIterator<Item = &'a Cell>) -> Self {
        let mut tally = Self::default();
        for cell in cells {
            match cell.outcome {
                Outcome::Pass => tally.pass += 1,
                Outcome::Fail => tally.fail += 1,
                Outcome::Error => tally.error += 1,
                Outcome::Skip => tally.skip += 1,
            }
            tally.unproven += usize::from(cell.judgement.unproven);
            tally.conflicts += usize::from(cell.judgement.conflict);
            tally.unexplained += usize::from(cell.trials.unexplained.is_some());
            tally.retried += usize::from(!cell.trials.retried.is_empty());
            tally.differing += usize::from(cell.trials.differs.is_some());
            tally.controls += usize::from(cell.control);
            match cell.control_fault() {
                Some(ControlFault::Wrong) => tally.controls_wrong += 1,
                Some(ControlFault::Unproven) => tally.controls_unproven += 1,
                None => {}
            }
            if !cell.expected {
                tally.unexpected += 1;
                tally.surprises += usize::from(matches!(cell.outcome, Outcome::Pass | Outcome::Fail));
                tally.unexpected_skips += usize::from(cell.outcome == Outcome::Skip);
            }
        }
        tally
    }

    /// The run's exit code: 1 if the matrix is wrong about a kernel or witnesses contradict each other, 3 if something
    /// broke (an unexplained guest crash, for example), else 0. With a wrongly judged control kernel, an unexpected skip or a
    /// transcript that differs from the cached one, the run has no verdict, so it is 3 whatever the other cells say.
    pub fn exit(self) -> Exit {
        if self.controls_wrong > 0 || self.unexpected_skips > 0 || self.differing > 0 {
            Exit::NoVerdict
        } else if self.surprises > 0 || self.conflicts > 0 {
            Exit::Affected
        } else if self.unexpected > 0 || self.unexplained > 0 {
            Exit::NoVerdict
        } else {
            Exit::Clean
        }
    }
}

/// What is wrong with a control kernel's cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlFault {
    /// It was judged wrongly, or skipped.
    Wrong,
    /// It could not be judged.
    Unproven,
}

impl Cell {
    /// The fault, if this is a control kernel's cell and has one.
    pub fn control_fault(&self) -> Option<ControlFault> {
        let as_made =
            self.expected && (self.outcome != Outcome::Skip || self.expect == Expectation::Outcome(Outcome::Skip));
        match self.outcome {
            _ if !self.control || as_made => None,
            Outcome::Error => Some(ControlFault::Unproven),
            // The matrix allows this skip, because the kernel is no longer served. It proves nothing.
            Outcome::Skip if self.expected => Some(ControlFault::Unproven),
            _ => Some(ControlFault::Wrong),
        }
    }

    /// The fault in one sentence: the control, the expectation, the outcome.
    pub fn control_complaint(&self) -> Option<String> {
        let under = if self.mitigates { " and mitigated" } else { "" };
        let what = format!(
            "control {} {}: expected {}{under}, found {}",
            self.kernel,
            self.job(),
            self.expect.as_str(),
            self.found()
        );
        Some(match self.control_fault()? {
            ControlFault::Wrong => what,
            ControlFault::Unproven => format!("{what}: the reproducer was not proven on this run"),
        })
    }

    /// The outcome, with the state if only one remains, because a fixed kernel called fixed-with-defect is judged
    /// wrongly.
    fn found(&self) -> String {
        match (self.judgement.qualifier(), self.judgement.state) {
            (Some(qualifier), _) => format!("{} ({qualifier})", self.outcome),
            (None, Some(state)) => format!("{} ({state})", self.outcome),
            (None, None) => self.outcome.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::CellTrials;
    use super::super::cell::tests::{boots, cell, question};
    use super::*;
    use crate::verdict::Question;

    #[test]
    fn surprise_wins_over_error_and_skip_over_both() {
        let cell = |how| cell(&question("pass"), boots(how), &[]);
        let code = |cells: &[Cell]| CellTally::of(cells).exit().code();
        assert_eq!(code(&[cell("error"), cell("fail"), cell("pass")]), 1);
        assert_eq!(code(&[cell("error"), cell("fail"), cell("skip")]), 3);
        let died = Cell {
            trials: CellTrials { unexplained: Some("oops".to_owned()), ..CellTrials::default() },
            ..cell("pass")
        };
        assert_eq!(code(&[cell("pass"), died]), 3);
        assert_eq!(code(&[]), 0);
    }

    #[test]
    fn wrong_control_withdraws_every_verdict() {
        let control = |expect, how| cell(&Question { control: true, ..question(expect) }, boots(how), &[]);
        // expectation, end, wrong controls, unproven controls, exit code
        let table = [
            ("affected", "fail", 0, 0, 0),
            ("pass", "pass", 0, 0, 0),
            ("skip", "skip", 0, 0, 0),
            ("affected", "pass", 1, 0, 3),
            ("pass", "fail", 1, 0, 3),
            ("affected", "skip", 1, 0, 3),
            ("skip", "pass", 1, 0, 3),
            ("affected", "error", 0, 1, 3),
            ("affected", "gone", 0, 1, 0),
        ];
        for (expect, how, wrong, unproven, code) in table {
            let judged = control(expect, how);
            let tally = CellTally::of([&judged]);
            let counted = (tally.controls, tally.controls_wrong, tally.controls_unproven);
            assert_eq!(counted, (1, wrong, unproven), "{expect} {how}");
            assert_eq!(tally.exit().code(), code, "{expect} {how}");
            assert_eq!(judged.control_complaint().is_some(), wrong + unproven > 0, "{expect} {how}");
            let other = cell(&question(expect), boots(how), &[]);
            assert_eq!((CellTally::of([&other]).controls, other.control_complaint()), (0, None), "{expect} {how}");
        }
        let surprise = cell(&question("pass"), boots("fail"), &[]);
        let cells = [surprise, control("affected", "pass")];
        assert_eq!(CellTally::of(&cells).exit().code(), 3, "it wins over a surprise's 1");
        let said = cells[1].control_complaint().unwrap_or_default();
        assert_eq!(said, "control a-kernel a-bug: expected affected, found pass");
        let blind = cell(&Question { control: true, mitigates: true, ..question("fail") }, boots("pass"), &[]);
        let said = blind.control_complaint().unwrap_or_default();
        assert_eq!(said, "control a-kernel a-bug: expected fail and mitigated, found pass");
    }
}
