//! Removes old runs: their folders and their records.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::TransactionBehavior;
use serde::Serialize;

use super::digest::RunDigest;
use super::error::HistoryError;
use super::file::HistoryFile;
use super::rebuild::{is_copy_of, run_folders, with_causes};
use super::rows::{self, RunRow};
use crate::results::{ComparedRun, MatrixDocument, RunSelection, is_running, read_document};

/// How long ago an unfinished run must have written its last results to count as dead. Its lock shows whether it goes on, but
/// a run of another host may hold none that is seen here.
const DEAD_AFTER: Duration = Duration::from_secs(24 * 3600);

/// How the name of a folder starts that is being removed.
const DOOMED: &str = ".pruned-";

/// What was removed, or would be.
#[derive(Debug, Default, Serialize)]
pub struct PruneReport {
    /// Whether nothing was removed, because it was only asked what would be.
    pub dry_run: bool,
    /// The removed runs, the oldest first.
    pub removed: Vec<PrunedRun>,
    /// Old or unreadable folders that stay, and runs that could not be removed.
    pub left: Vec<PrunedRun>,
    /// How many runs stay.
    pub kept: usize,
    /// Whether something could not be removed, or not as a whole.
    pub failed: bool,
}

/// A run that prune looked at.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct PrunedRun {
    /// Its id, or the name of its folder.
    pub run: String,
    /// When it started, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// Why it stays, or what else there is to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Removes the runs that started longer ago than `keep`, with their folders. The newest run stays, also of each matrix, and so
/// does a run that goes on, and every folder that is not certainly a run's.
///
/// # Errors
/// If the history cannot be read or written.
pub fn prune(
    history: &mut HistoryFile,
    keep: Duration,
    now: Timestamp,
    dry_run: bool,
) -> Result<PruneReport, HistoryError> {
    let results = history.results().to_owned();
    let recorded = history.with(|db| rows::all_runs(db))?;
    let mut report = PruneReport { dry_run, ..PruneReport::default() };
    let (runs, newest) = survey(&results, &recorded, &mut report)?;
    if !dry_run {
        remove_doomed(&results);
    }
    let latest = fs::read_link(results.join("latest")).ok();
    let mut forgotten: Vec<String> = Vec::new();
    for FoundRun { name, started, finished } in &runs {
        let Some(age) = age(started, now) else {
            report.leave(name, Some(started), "its start is no time".to_owned());
            continue;
        };
        if age < keep || newest.has(name) || latest.as_deref() == Some(Path::new(name)) {
            report.kept += 1;
            continue;
        }
        let folder = results.join(name);
        if is_running(&folder) || (!finished && !is_dead(&folder)) {
            report.leave(name, Some(started), "it is unfinished, and may go on".to_owned());
        } else if let Err(why) = own_document(&results, name) {
            // The history may be older than what lies there.
            report.leave(name, Some(started), why);
        } else if dry_run {
            report.remove(name, started, None);
        } else {
            match remove(&results, name) {
                Ok(rest) => {
                    forgotten.push(name.clone());
                    report.failed |= rest.is_some();
                    report.remove(name, started, rest);
                }
                Err(error) => {
                    report.failed = true;
                    report.leave(name, Some(started), format!("could not remove it: {error}"));
                }
            }
        }
    }
    for run in vanished(&results, &recorded) {
        if age(&run.started, now).is_some_and(|age| age >= keep) && !forgotten.contains(&run.id) {
            report.remove(&run.id, &run.started, Some("its folder was gone already".to_owned()));
            forgotten.push(run.id.clone());
        }
    }
    if !dry_run && !forgotten.is_empty() {
        history.with(|db| {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for run in &forgotten {
                rows::remove(&transaction, run)?;
            }
            rows::sweep(&transaction)?;
            Ok(transaction.commit()?)
        })?;
    }
    Ok(report)
}

/// A folder that holds the run of its name.
struct FoundRun {
    name: String,
    started: String,
    finished: bool,
}

/// The runs in the results folder, the oldest first. Other folders are left to the report.
fn survey(
    results: &Path,
    recorded: &[RunRow],
    report: &mut PruneReport,
) -> Result<(Vec<FoundRun>, Newest), HistoryError> {
    let (mut runs, mut newest) = (Vec::new(), Newest::default());
    for name in run_folders(results)? {
        // A recorded run is a finished one of backproof, and a large matrix.json takes long to read.
        if let Some(row) = recorded.iter().find(|row| row.run.id == name) {
            let whole = (row.trusted && !row.run.interrupted).then_some(&row.run.selection);
            newest.see(&row.run.id, &row.run.started, Some(&row.run.matrix), whole);
            runs.push(FoundRun { name, started: row.run.started.clone(), finished: true });
            continue;
        }
        match own_document(results, &name) {
            Ok(MatrixDocument { run, cannot_be_trusted, .. }) => {
                let is_kept = RunDigest::is_kept(&run);
                let is_whole = is_kept && !run.interrupted && cannot_be_trusted.is_empty();
                let whole = is_whole.then_some(&run.selection);
                newest.see(&run.id, &run.started, Some(&run.matrix).filter(|_| is_kept), whole);
                runs.push(FoundRun { name, started: run.started, finished: run.finished });
            }
            Err(why) => report.leave(&name, None, why),
        }
    }
    runs.sort_by(|a, b| (&a.started, &a.name).cmp(&(&b.started, &b.name)));
    Ok((runs, newest))
}

/// The document of the run that has a folder's name.
///
/// # Errors
/// What else lies there.
fn own_document(results: &Path, name: &str) -> Result<MatrixDocument, String> {
    let document = read_document(&results.join(name)).map_err(with_causes)?;
    if document.run.id == name { Ok(document) } else { Err(is_copy_of(&document.run.id)) }
}

/// The recorded runs whose folders somebody else removed, the oldest first; not the newest record of a matrix, because its
/// next run is compared with that.
fn vanished<'a>(results: &Path, recorded: &'a [RunRow]) -> Vec<&'a ComparedRun> {
    let mut last = BTreeMap::new();
    for row in recorded.iter().rev() {
        last.insert(row.run.matrix.as_str(), row.run.id.as_str());
    }
    let is_last = |run: &ComparedRun| last.get(run.matrix.as_str()) == Some(&run.id.as_str());
    let runs = recorded.iter().rev().map(|row| &row.run);
    runs.filter(|run| !is_last(run) && results.join(&run.id).symlink_metadata().is_err()).collect()
}

impl PruneReport {
    fn remove(&mut self, run: &str, started: &str, why: Option<String>) {
        self.removed.push(PrunedRun { run: run.to_owned(), started: Some(started.to_owned()), why });
    }

    fn leave(&mut self, run: &str, started: Option<&String>, why: String) {
        self.left.push(PrunedRun { run: run.to_owned(), started: started.cloned(), why: Some(why) });
    }
}

/// The newest run of all, the newest finished one of each matrix, and the newest that the next run of a matrix and selection
/// is compared with.
#[derive(Default)]
struct Newest {
    of_all: Option<(String, String)>,
    of_matrix: BTreeMap<String, (String, String)>,
    of_selection: HashMap<(String, RunSelection), (String, String)>,
}

impl Newest {
    /// `matrix` is that of a finished run, and `whole` what one selected that was neither interrupted nor untrusted.
    fn see(&mut self, id: &str, started: &str, matrix: Option<&String>, whole: Option<&RunSelection>) {
        let this = (started.to_owned(), id.to_owned());
        if self.of_all.as_ref().is_none_or(|known| *known < this) {
            self.of_all = Some(this.clone());
        }
        if let (Some(matrix), Some(selection)) = (matrix, whole) {
            let last = self.of_selection.entry((matrix.clone(), selection.clone())).or_insert_with(|| this.clone());
            if *last < this {
                last.clone_from(&this);
            }
        }
        if let Some(matrix) = matrix
            && self.of_matrix.get(matrix).is_none_or(|known| *known < this)
        {
            self.of_matrix.insert(matrix.clone(), this);
        }
    }

    fn has(&self, name: &str) -> bool {
        let all = self.of_all.iter().chain(self.of_matrix.values()).chain(self.of_selection.values());
        all.into_iter().any(|(_, id)| id == name)
    }
}

fn age(started: &str, now: Timestamp) -> Option<Duration> {
    let started: Timestamp = started.parse().ok()?;
    // One from the future is new.
    Some(Duration::try_from(now.duration_since(started)).unwrap_or_default())
}

/// Whether an unfinished run has written nothing for long.
fn is_dead(folder: &Path) -> bool {
    let written = folder.join("matrix.json").metadata().and_then(|file| file.modified());
    written.is_ok_and(|at| at.elapsed().is_ok_and(|ago| ago > DEAD_AFTER))
}

/// Removes what an interrupted prune left.
fn remove_doomed(results: &Path) {
    for entry in fs::read_dir(results).into_iter().flatten().flatten() {
        let is_doomed = entry.file_name().to_str().is_some_and(|name| name.starts_with(DOOMED));
        if is_doomed && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Removes a run's folder. It gets another name first, so that an interruption leaves nothing that looks like a run. Links in
/// it are removed, and not followed. Returns what is left of it, if anything is.
fn remove(results: &Path, name: &str) -> io::Result<Option<String>> {
    let doomed = results.join(format!("{DOOMED}{name}"));
    fs::rename(results.join(name), &doomed)?;
    let left = |error| format!("files of it are left in {}: {error}", doomed.display());
    Ok(fs::remove_dir_all(&doomed).err().map(left))
}

#[cfg(test)]
#[path = "prune_tests.rs"]
mod tests;
