//! Makes the history from the run folders.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};
use serde::Serialize;

use super::digest::RunDigest;
use super::error::RowError;
use super::rows;
use crate::json;
use crate::results::read_document;

/// What a rebuild did.
#[derive(Debug, Default, Serialize)]
pub struct RebuildReport {
    /// The runs that it recorded.
    pub runs: usize,
    /// Folders that hold a run which it could not record.
    pub skipped: Vec<SkippedRun>,
    /// Runs that the history had, and whose folders are gone.
    pub dropped: Vec<String>,
    /// Where the damaged history is now, if it was damaged.
    #[serde(serialize_with = "json::optional_path", skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<PathBuf>,
    /// The recorded runs.
    #[serde(skip)]
    pub(super) names: BTreeSet<String>,
}

/// A run's folder that was left out.
#[derive(Debug, Serialize)]
pub struct SkippedRun {
    /// Its name.
    pub folder: String,
    /// Why.
    pub why: String,
}

/// Adds all runs of a results folder to an empty history.
pub(super) fn build(db: &mut Connection, results: &Path) -> Result<RebuildReport, RowError> {
    let mut report = RebuildReport::default();
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for folder in run_folders(results) {
        let document = match read_document(&results.join(&folder)) {
            Ok(document) => document,
            Err(error) => {
                let why = with_causes(&error);
                report.skipped.push(SkippedRun { folder, why });
                continue;
            }
        };
        if !document.run.finished {
            report.skipped.push(SkippedRun { folder, why: "the run is unfinished".to_owned() });
            continue;
        }
        // Runs of other commands are none of the history's.
        let Some(digest) = RunDigest::of(&document) else { continue };
        if digest.run.id != folder {
            let why = format!("it is a copy of run {}", digest.run.id);
            report.skipped.push(SkippedRun { folder, why });
            continue;
        }
        rows::insert(&transaction, &digest)?;
        report.names.insert(digest.run.id);
    }
    transaction.commit()?;
    report.runs = report.names.len();
    Ok(report)
}

/// The names of the folders in `results` that hold a run, sorted. Links are not followed.
pub(super) fn run_folders(results: &Path) -> Vec<String> {
    let entries = fs::read_dir(results).into_iter().flatten().flatten();
    let is_run = |entry: &fs::DirEntry| {
        entry.file_type().is_ok_and(|kind| kind.is_dir())
            && entry.path().join("matrix.json").symlink_metadata().is_ok_and(|file| file.is_file())
    };
    let mut names: Vec<String> =
        entries.filter(is_run).filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

/// An error and its causes in one line.
pub(super) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
