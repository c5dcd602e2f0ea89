//! What changed between two runs: a few lines above a run's table, and all of it for `diff`.

use std::fmt::Write as _;

use anstyle::Style as Colour;

use super::formats::Document;
use super::style::{BAD, DIM, GOOD, LOUD, Style};
use super::text::{fit, hanging, visible};
use crate::results::{ChangeKind, ComparedRun, NotCompared, RunChange, RunChanges};
use crate::words::{JobId, KernelName};

/// The most lines above a table.
const LINES_MOST: usize = 6;

/// The most kernels to name in one line.
const NAMED_MOST: usize = 4;

/// Changes of several kernels that read the same.
struct AlikeChanges<'a> {
    kernels: Vec<&'a KernelName>,
    first: &'a RunChange,
}

/// Groups changes that read the same: a mirror that is down changes hundreds of cells in one way.
fn alike(changes: &[RunChange]) -> Vec<AlikeChanges<'_>> {
    let mut groups: Vec<AlikeChanges> = Vec::new();
    let told = |change: &'_ RunChange| (change.kind(), change.job(), change.says.clone());
    let mut places = std::collections::HashMap::new();
    for change in changes {
        match places.get(&told(change)).and_then(|at: &usize| groups.get_mut(*at)) {
            Some(group) => group.kernels.push(&change.kernel),
            None => {
                places.insert(told(change), groups.len());
                groups.push(AlikeChanges { kernels: vec![&change.kernel], first: change });
            }
        }
    }
    groups
}

impl AlikeChanges<'_> {
    fn line(&self) -> String {
        let job = self.first.job().map_or_else(String::new, |job| format!("{job}  "));
        format!("  {}  {job}{}", names(&self.kernels), visible(&self.first.says))
    }
}

/// A few of the names.
fn names(kernels: &[&KernelName]) -> String {
    let shown = kernels.iter().take(NAMED_MOST).map(|name| visible(name.as_str())).collect::<Vec<_>>().join(", ");
    match kernels.len().saturating_sub(NAMED_MOST) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn colour(kind: ChangeKind) -> Colour {
    match kind {
        ChangeKind::ConflictBegan | ChangeKind::Transcript | ChangeKind::UnexpectedBegan => BAD,
        ChangeKind::ConflictEnded | ChangeKind::UnexpectedEnded => GOOD,
        _ => Colour::new(),
    }
}

/// What changed since the last comparable run, in a few lines; nothing without one.
pub(super) fn changed(text: &mut String, changes: Option<&RunChanges>, style: Style) {
    let Some((changes, before)) = changes.and_then(|changes| Some((changes, changes.before.as_ref()?))) else { return };
    let mut since = format!("since {} ({})", visible(&before.id), day(before));
    if !changes.not_compared.is_empty() {
        let _ = write!(since, ", {} compared", cells(changes.compared));
    }
    let _ = match changes.changes.len() {
        0 => writeln!(text, "{DIM}no change {since}{DIM:#}"),
        1 => writeln!(text, "{LOUD}1 change{LOUD:#} {since}"),
        count => writeln!(text, "{LOUD}{count} changes{LOUD:#} {since}"),
    };
    let groups = alike(&changes.changes);
    for group in groups.iter().take(LINES_MOST) {
        line(text, group, style);
    }
    let rest = groups.get(LINES_MOST..).unwrap_or_default();
    let more: usize = rest.iter().map(|group| group.kernels.len()).sum();
    if more > 0 {
        let _ = writeln!(text, "  {more} more: backproof diff");
    }
    text.push('\n');
}

fn line(text: &mut String, group: &AlikeChanges, style: Style) {
    let colour = colour(group.first.kind());
    let _ = writeln!(text, "{colour}{}{colour:#}", fit(&group.line(), style.width));
}

fn cells(count: usize) -> String {
    if count == 1 { "1 cell".to_owned() } else { format!("{count} cells") }
}

/// The day of a run's start.
fn day(run: &ComparedRun) -> String {
    visible(&run.started.chars().take(10).collect::<String>())
}

impl Document for RunChanges {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        let Some(before) = &self.before else {
            let id = visible(&self.after.id);
            hanging(
                &mut text,
                "",
                "  ",
                &format!("nothing to compare run {id} with: no earlier run of its matrix"),
                style,
            );
            return text;
        };
        for (label, run) in [("before", before), ("after", &self.after)] {
            let interrupted = if run.interrupted { ", interrupted" } else { "" };
            let line = format!("{label:7} {}  {}  {}{interrupted}", run.id, run.started, run.matrix);
            let _ = writeln!(text, "{DIM}{}{DIM:#}", fit(&visible(&line), style.width));
        }
        let count = self.changes.len();
        let changes = if count == 1 { "1 change".to_owned() } else { format!("{count} changes") };
        let _ = writeln!(text, "{LOUD}{changes}{LOUD:#} ({} compared)", cells(self.compared));
        for group in alike(&self.changes) {
            line(&mut text, &group, style);
        }
        for NotCompared { kernels, job, why } in &self.not_compared {
            let kernels = names(&kernels.iter().collect::<Vec<_>>());
            let job = job.as_ref().map_or_else(String::new, |job: &JobId| format!("  {job}"));
            hanging(&mut text, "not compared  ", "              ", &format!("{kernels}{job}: {why}"), style);
        }
        text
    }
}

#[cfg(test)]
#[path = "changes_tests.rs"]
mod tests;
