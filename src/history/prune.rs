//! Removes old runs: their folders and their records.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::TransactionBehavior;
use serde::Serialize;

use super::error::HistoryError;
use super::file::HistoryFile;
use super::rebuild::{run_folders, with_causes};
use super::rows;
use crate::results::{RunSelection, is_running, read_document};

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
    let (mut runs, mut newest) = (Vec::new(), Newest::default());
    for name in run_folders(&results) {
        // A recorded run is a finished one of backproof, and a large matrix.json takes long to read.
        if let Some(row) = recorded.iter().find(|row| row.run.id == name) {
            let whole = (row.trusted && !row.run.interrupted).then_some(&row.run.selection);
            newest.see(&row.run.id, &row.run.started, Some(&row.run.matrix), whole);
            runs.push((name, row.run.started.clone(), true));
            continue;
        }
        match read_document(&results.join(&name)) {
            Ok(document) if document.run.id == name => {
                let run = &document.run;
                let is_run = run.finished && run.arguments.first().is_some_and(|command| command == "run");
                let is_whole = is_run && !run.interrupted && document.cannot_be_trusted.is_empty();
                let whole = is_whole.then_some(&run.selection);
                newest.see(&run.id, &run.started, Some(&run.matrix).filter(|_| is_run), whole);
                runs.push((name, document.run.started, document.run.finished));
            }
            Ok(document) => report.leave(name, None, format!("it is a copy of run {}", document.run.id)),
            Err(error) => report.leave(name, None, with_causes(&error)),
        }
    }
    if !dry_run {
        remove_doomed(&results);
    }
    let latest = fs::read_link(results.join("latest")).ok();
    let mut forgotten: Vec<String> = Vec::new();
    runs.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
    for (name, started, finished) in &runs {
        let Some(age) = age(started, now) else {
            report.leave(name.clone(), Some(started), "its start is no time".to_owned());
            continue;
        };
        if age < keep || newest.has(name) || latest.as_deref() == Some(Path::new(name)) {
            report.kept += 1;
            continue;
        }
        let folder = results.join(name);
        if is_running(&folder) || (!finished && !is_dead(&folder)) {
            report.leave(name.clone(), Some(started), "it is unfinished, and may go on".to_owned());
        } else if let Err(why) = is_the_run(&folder, name) {
            report.leave(name.clone(), Some(started), why);
        } else if dry_run {
            report.removed.push(PrunedRun { run: name.clone(), started: Some(started.clone()), why: None });
        } else {
            match remove(&results, name) {
                Ok(rest) => {
                    forgotten.push(name.clone());
                    report.failed |= rest.is_some();
                    report.removed.push(PrunedRun { run: name.clone(), started: Some(started.clone()), why: rest });
                }
                Err(error) => {
                    report.failed = true;
                    report.leave(name.clone(), Some(started), format!("could not remove it: {error}"));
                }
            }
        }
    }
    // Records whose folders somebody else removed. The newest one of a matrix is what its next run is compared with.
    let mut last = BTreeMap::new();
    for row in recorded.iter().rev() {
        last.insert(row.run.matrix.as_str(), row.run.id.as_str());
    }
    for row in recorded.iter().rev() {
        let run = &row.run;
        let is_old = age(&run.started, now).is_some_and(|age| age >= keep);
        let is_last = last.get(run.matrix.as_str()) == Some(&run.id.as_str());
        if is_old && !is_last && results.join(&run.id).symlink_metadata().is_err() && !forgotten.contains(&run.id) {
            let why = Some("its folder was gone already".to_owned());
            report.removed.push(PrunedRun { run: run.id.clone(), started: Some(run.started.clone()), why });
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

impl PruneReport {
    fn leave(&mut self, run: String, started: Option<&String>, why: String) {
        self.left.push(PrunedRun { run, started: started.cloned(), why: Some(why) });
    }
}

/// Whether a folder still holds the run of its name: the history may be older than what lies there.
fn is_the_run(folder: &Path, name: &str) -> Result<(), String> {
    match read_document(folder) {
        Ok(document) if document.run.id == name => Ok(()),
        Ok(document) => Err(format!("it is a copy of run {}", document.run.id)),
        Err(error) => Err(with_causes(&error)),
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
