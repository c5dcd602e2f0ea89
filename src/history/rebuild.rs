//! Makes the history from the run folders.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};
use serde::Serialize;

use super::digest::RunDigest;
use super::error::{HistoryError, RowError};
use super::rows;
use crate::json;
use crate::results::{ReadError, read_document};

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

/// Adds all runs of a results folder to an empty history, which is to be this file.
pub(super) fn build(db: &mut Connection, results: &Path, file: &Path) -> Result<RebuildReport, HistoryError> {
    record(db, results, run_folders(results)?).map_err(|error| error.of(file))
}

fn record(db: &mut Connection, results: &Path, folders: Vec<String>) -> Result<RebuildReport, RowError> {
    let mut report = RebuildReport::default();
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for folder in folders {
        let document = match read_document(&results.join(&folder)) {
            Ok(document) => document,
            Err(error) => {
                report.skipped.push(SkippedRun { folder, why: with_causes(error) });
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
            report.skipped.push(SkippedRun { folder, why: is_copy_of(&digest.run.id) });
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
///
/// # Errors
/// If `results` cannot be read: a history made without its runs would hide them.
pub(super) fn run_folders(results: &Path) -> Result<Vec<String>, HistoryError> {
    let entries = fs::read_dir(results).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(|why| HistoryError::Io { path: results.to_owned(), why })?;
    let is_run = |entry: &fs::DirEntry| {
        entry.file_type().is_ok_and(|kind| kind.is_dir())
            && entry.path().join("matrix.json").symlink_metadata().is_ok_and(|file| file.is_file())
    };
    let runs = entries.into_iter().filter(is_run);
    let mut names: Vec<String> = runs.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    Ok(names)
}

/// Why a folder that does not have its run's name is left alone.
pub(super) fn is_copy_of(run: &str) -> String {
    format!("it is a copy of run {run}")
}

/// An error and its causes in one line.
pub(super) fn with_causes(error: ReadError) -> String {
    format!("{:#}", anyhow::Error::new(error))
}
