//! The end of a run: what changed, and its place in the history.

use std::path::Path;

use super::run::JudgedRun;
use super::{Stop, page_file};
use crate::history::{HistoryError, HistoryFile, RunConclusion, RunDigest};
use crate::report::{say, visible};
use crate::results::write_document;

impl Stop {
    pub(super) fn of_history(error: HistoryError) -> Self {
        if error.is_usage() { Self::usage(error) } else { Self::no_verdict(error) }
    }
}

/// The run that `--since` names. It is read before anything boots, because a mistake should cost no run.
pub(super) fn since(results: &Path, run: Option<&str>) -> Result<Option<RunDigest>, Stop> {
    let Some(run) = run else { return Ok(None) };
    HistoryFile::in_results(results).find(run).map(Some).map_err(Stop::of_history)
}

/// Adds the run to the history, and what changed to its document and its matrix.json. The run's results stand, whatever goes
/// wrong here.
pub(super) fn conclude(judged: &mut JudgedRun, results: &Path, since: Option<&RunDigest>) {
    let mut history = HistoryFile::in_results(results);
    let RunConclusion { changes, not_recorded } = history.conclude(&judged.document, since);
    for remark in history.remarks() {
        say(format_args!("backproof: {}", visible(remark)));
    }
    if let Some(error) = not_recorded {
        let error = visible(&error.to_string());
        say(format_args!("backproof: the run's results are complete, but it is not in the history: {error}"));
    }
    judged.document.changes = changes;
    if judged.document.changes.is_some()
        && judged.written.is_ok()
        && let Err(error) = write_document(&judged.folder, &judged.document)
    {
        let error = visible(&error.to_string());
        say(format_args!("backproof: matrix.json is complete but for what changed: {error}"));
    }
    // The page was written before anybody knew what changed.
    if judged.document.changes.as_ref().is_some_and(|changes| !changes.changes.is_empty()) {
        page_file::write_or_say(&judged.document, &judged.folder);
    }
}
