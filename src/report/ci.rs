//! What a cell is to a CI, for all of its formats: whether it is red, and its words, inert and bounded.

use super::grid::word;
use super::text::{fit, visible};
use crate::evidence::{Finding, Witness};
use crate::run::{Cell, CellFault};
use crate::words::Outcome;

/// The most columns of one line, and the most lines of one cell. Guests print lines of any length.
const LINE_MAX: usize = 300;
const LINES_MAX: usize = 60;

/// How a cell counts. A run of red cells exits with 1 or 3, and one without exits with 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// As expected: a pass, or a bug that is known.
    Met,
    /// It does not apply, as expected.
    Skipped,
    /// Red: a verdict that was not expected, or a conflict.
    Failed(&'static str),
    /// Red: there is no verdict.
    Broke(&'static str),
}

impl Standing {
    pub(super) fn of(cell: &Cell) -> Self {
        let fault = cell.trials.fault.map_or("no-verdict", |fault| match fault {
            CellFault::Harness => "harness",
            CellFault::Guest => "guest",
            CellFault::Reproducer => "reproducer",
        });
        match (cell.outcome, cell.expected) {
            _ if cell.judgement.conflict => Self::Failed("conflict"),
            _ if cell.trials.differs.is_some() => Self::Broke("transcript-differs"),
            (Outcome::Fail, false) => Self::Failed("affected"),
            (Outcome::Pass, false) => Self::Failed("unexpected-pass"),
            (Outcome::Error, false) => Self::Broke(fault),
            (Outcome::Skip, false) => Self::Broke("unexpected-skip"),
            _ if cell.trials.unexplained.is_some() => Self::Broke("unexplained-crash"),
            (Outcome::Skip, true) => Self::Skipped,
            (_, true) => Self::Met,
        }
    }

    /// The kind of what is wrong, if it is red.
    pub(super) fn red(self) -> Option<&'static str> {
        match self {
            Self::Failed(kind) | Self::Broke(kind) => Some(kind),
            Self::Met | Self::Skipped => None,
        }
    }
}

/// The red cells, those with a verdict first.
pub(super) fn red(cells: &[Cell]) -> Vec<(&Cell, Standing)> {
    let mut red: Vec<(&Cell, Standing)> = cells.iter().map(|cell| (cell, Standing::of(cell))).collect();
    red.retain(|(_, standing)| standing.red().is_some());
    // The sort is stable, so each group keeps the matrix's order.
    red.sort_by_key(|(_, standing)| matches!(standing, Standing::Broke(_)));
    red
}

/// The cells of each kernel, in the matrix's order.
pub(super) fn by_kernel(cells: &[Cell]) -> impl Iterator<Item = &[Cell]> {
    cells.chunk_by(|one, other| one.kernel == other.kernel)
}

/// Foreign text as one line that nothing obeys.
pub(super) fn line(text: &str) -> String {
    // Long texts are cut before they are looked at closely.
    let start: String = text.chars().take(LINE_MAX + 1).collect();
    // U+FFFE and U+FFFF are no characters of XML (Extensible Markup Language 1.0, production 2).
    fit(&visible(&start).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}"), LINE_MAX)
}

/// The cell in one line: its word, and why.
pub(super) fn says(cell: &Cell) -> String {
    line(&format!("{}: {}", word(cell), why(cell)))
}

/// Why it ended so, in one line.
pub(super) fn why(cell: &Cell) -> String {
    let judgement = &cell.judgement;
    let contradiction = judgement.contradiction().map(|who| format!("conflict: {who}"));
    let differs =
        || cell.trials.differs.as_ref().map(|how| format!("the transcript differs from the cached one: {how}"));
    let reason = || Some(judgement.reason.as_ref()?.lines().next().unwrap_or_default().to_owned());
    let surest = || judgement.surest().map(told);
    let why =
        contradiction.or_else(differs).or_else(reason).or_else(surest).unwrap_or_else(|| "no evidence".to_owned());
    line(&why)
}

/// A finding in words.
fn told(finding: &Finding) -> String {
    format!("{}: {}", finding.witness.as_str(), finding.why)
}

/// All that a person may want to read of a cell: one line each.
pub(super) fn details(cell: &Cell) -> Vec<String> {
    let (judgement, trials) = (&cell.judgement, &cell.trials);
    let mut lines = vec![format!("{}, expected {}", word(cell), cell.expect.as_str())];
    lines.extend(cell.control_complaint());
    lines.extend(judgement.contradiction().map(|who| format!("conflict: {who}")));
    if judgement.unproven {
        lines.push("unproven: nothing shows that the reproducer would have seen the bug".to_owned());
    }
    if judgement.mitigated {
        lines.push("mitigated: the kernel has the bug, and the profile keeps it from showing".to_owned());
    }
    lines.extend(judgement.findings.iter().map(told));
    lines.extend(judgement.reason.iter().flat_map(|reason| reason.lines()).map(str::to_owned));
    if let Some(crash) = &trials.crash {
        lines.push(format!("crash: {}: {}", crash.kind, crash.title));
        lines.extend(crash.excerpt.iter().cloned());
    }
    for first in &trials.retried {
        lines.push(format!("retried: {} broke: {}", first.boot, first.reason.lines().next().unwrap_or_default()));
    }
    lines.extend(trials.differs.iter().map(|how| format!("the transcript differs from the cached one: {how}")));
    if let Some(death) = &trials.unexplained {
        lines.push("an unexplained guest crash:".to_owned());
        lines.extend(death.lines().map(str::to_owned));
    }
    lines.extend(judgement.advice.iter().map(|advice| format!("{}: {}", advice.kind.label(), advice.says)));
    let artefacts = judgement.findings.iter().filter(|finding| finding.witness == Witness::Runtime);
    let mut files: Vec<String> = artefacts.flat_map(|finding| &finding.artefacts).cloned().collect();
    files.extend(trials.boots.iter().map(|boot| format!("{}/{boot}", cell.kernel)));
    if !files.is_empty() {
        lines.push(format!("in the folder of the run: {}", files.join(", ")));
    }
    let others = lines.len().saturating_sub(LINES_MAX);
    lines.truncate(LINES_MAX);
    let mut lines: Vec<String> = lines.iter().map(|text| line(text)).collect();
    if others > 0 {
        lines.push(format!("… and {others} more lines"));
    }
    lines
}

#[cfg(test)]
#[path = "ci_tests.rs"]
pub(super) mod tests;
