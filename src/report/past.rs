//! The history as text: the runs, a kernel's past, what was rebuilt and removed.

use std::fmt::Write as _;

use serde::Serialize;

use super::formats::Document;
use super::style::{BAD, DIM, LOUD, Style};
use super::text::{columns, fit, hanging, pad, visible};
use crate::history::{CellSpan, KernelPast, PruneReport, PrunedRun, RebuildReport, RecordedRun, SkippedRun};

/// The most spans of a cell, and the most runs, to show as text. JSON has all.
const SPANS_MOST: usize = 10;
const RUNS_MOST: usize = 30;

/// The runs of a history.
#[derive(Debug, Serialize)]
pub struct RecordedRuns {
    /// The version of this document's shape.
    pub schema_version: u32,
    /// The newest first.
    pub runs: Vec<RecordedRun>,
}

impl Document for RecordedRuns {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        let shown = self.runs.get(..RUNS_MOST.min(self.runs.len())).unwrap_or_default();
        let widest = shown.iter().map(|it| columns(&visible(&it.run.id))).max().unwrap_or(0).max("run".len());
        let _ = writeln!(text, "{LOUD}{}  cells  unexpected  exit  matrix{LOUD:#}", pad("run", widest));
        for RecordedRun { run, trusted, cells, unexpected } in shown {
            let mut remarks = Vec::new();
            let chosen = &run.selection;
            remarks.extend(chosen.kernels.iter().map(ToString::to_string));
            remarks.extend(chosen.tags.iter().map(|tag| format!("tag {tag}")));
            remarks.extend(chosen.bugs.iter().map(|bug| format!("bug {bug}")));
            if run.interrupted {
                remarks.push("interrupted".to_owned());
            }
            if !trusted {
                remarks.push("not trusted: a control was judged wrongly".to_owned());
            }
            let remarks = if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join(", ")) };
            let line = format!(
                "{}  {cells:>5}  {unexpected:>10}  {:>4}  {}{}",
                pad(&visible(&run.id), widest),
                run.exit_code.code(),
                visible(&run.matrix),
                visible(&remarks)
            );
            let _ = writeln!(text, "{}", fit(&line, style.width));
        }
        let more = self.runs.len() - shown.len();
        if more > 0 {
            let _ = writeln!(text, "{DIM}{more} more: --format json{DIM:#}");
        }
        text
    }
}

impl Document for KernelPast {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        for cell in &self.cells {
            let job = crate::words::JobId { bug: cell.bug.clone(), profile: cell.profile.clone() };
            let head = format!("{}  {job}  {}", self.kernel, cell.matrix);
            let _ = writeln!(text, "{LOUD}{}{LOUD:#}", fit(&visible(&head), style.width));
            for (index, span) in cell.spans.iter().take(SPANS_MOST).enumerate() {
                let _ = writeln!(text, "{}", fit(&visible(&line(span, index == 0)), style.width));
            }
            let more = cell.spans.len().saturating_sub(SPANS_MOST);
            if more > 0 {
                let _ = writeln!(text, "  {DIM}{more} earlier: --format json{DIM:#}");
            }
        }
        text
    }
}

/// `FAIL (affected)  since 2026-11-03, 12 runs`, and `before: …` for the spans before the newest.
fn line(span: &CellSpan, is_newest: bool) -> String {
    let day = |time: &str| time.chars().take(10).collect::<String>();
    let state = span.standing.state.map_or_else(String::new, |state| format!(" {state}"));
    let runs = if span.runs == 1 { "1 run".to_owned() } else { format!("{} runs", span.runs) };
    let (since, until) = (day(&span.since), day(&span.until));
    let when = match (is_newest, since == until) {
        (true, _) => format!("since {since}"),
        (false, true) => format!("on {since}"),
        (false, false) => format!("{since} to {until}"),
    };
    let label = if is_newest { "  " } else { "  before: " };
    let release = span.standing.release.as_ref().map_or_else(String::new, |release| format!("  {release}"));
    let reason = span.standing.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    format!("{label}{}{state} {when}, {runs}{release}{reason}", span.standing.in_words())
}

impl Document for RebuildReport {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "{LOUD}{} runs{LOUD:#} recorded", self.runs);
        for SkippedRun { folder, why } in &self.skipped {
            hanging(&mut text, "skipped  ", "         ", &format!("{folder}: {why}"), style);
        }
        for run in &self.dropped {
            hanging(&mut text, "dropped  ", "         ", &format!("{run}: its folder is gone"), style);
        }
        if let Some(aside) = &self.set_aside {
            hanging(&mut text, "", "  ", &format!("the damaged history is now {}", aside.display()), style);
        }
        text
    }
}

impl Document for PruneReport {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        let verb = if self.dry_run { "to remove" } else { "removed" };
        for (label, runs) in [(verb, &self.removed), ("left", &self.left)] {
            for PrunedRun { run, started, why } in runs {
                let started = started.as_ref().map_or_else(String::new, |started| format!("  {started}"));
                let why = why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
                hanging(&mut text, &format!("{label:9}  "), "           ", &format!("{run}{started}{why}"), style);
            }
        }
        let verb = if self.dry_run { "would be removed" } else { "removed" };
        let (removed, left) = (self.removed.len(), self.left.len());
        let colour = if left > 0 { BAD } else { DIM };
        let left = if left > 0 { format!(", {colour}{left} left{colour:#}") } else { String::new() };
        let _ = writeln!(text, "{LOUD}{removed} runs {verb}{LOUD:#}, {} kept{left}", self.kept);
        text
    }
}
