//! The history's file: makes it, mends it, and shares it with other processes.
//!
//! Each use holds a shared lock on a file beside it, and whoever replaces the file holds that lock alone. Otherwise a process
//! could write into a file that another one has just set aside. SQLite's own locks order the writers of one file.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};
use rustix::fs::FlockOperation;

use super::baseline::baseline;
use super::compare::compare;
use super::digest::RunDigest;
use super::error::{HistoryError, RowError};
use super::rebuild::{RebuildReport, build};
use super::schema::OpenAs;
use super::{rows, schema};
use crate::results::{MatrixDocument, RunChanges, find_run, lock_if_possible, read_document};

/// The history's name in the results folder.
pub const HISTORY_FILE: &str = "history.sqlite";

/// The lock beside it.
const LOCK_FILE: &str = ".history.lock";

/// What SQLite may leave beside it.
const COMPANIONS: [&str; 3] = ["-journal", "-wal", "-shm"];

/// The history of a results folder.
#[derive(Debug)]
pub struct HistoryFile {
    results: PathBuf,
    pub(super) path: PathBuf,
    /// The inode of the file that was opened last, by which a replaced one is known.
    opened: Option<u64>,
    /// The history without a file, because none can be written.
    in_memory: Option<Connection>,
    remarks: Vec<String>,
}

/// What the history makes of a run that has just ended.
#[derive(Debug, Default)]
pub struct RunConclusion {
    /// What changed. None if the history cannot be read.
    pub changes: Option<RunChanges>,
    /// Why the run was not added to the history, if it was not.
    pub not_recorded: Option<HistoryError>,
}

impl HistoryFile {
    /// That of this folder. Nothing is opened yet.
    pub fn in_results(results: &Path) -> Self {
        let path = results.join(HISTORY_FILE);
        Self { results: results.to_owned(), path, opened: None, in_memory: None, remarks: Vec::new() }
    }

    /// What people should know: that it was made, or mended.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Adds a run that has ended, and compares it with `since`, or with the last comparable run before it. What changed is
    /// told even if the run cannot be added.
    pub fn conclude(&mut self, document: &MatrixDocument, since: Option<&RunDigest>) -> RunConclusion {
        let Some(after) = RunDigest::of(document) else { return RunConclusion::default() };
        let added = self.with(|db| {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let changes = changes(&transaction, &after, since)?;
            rows::insert(&transaction, &after)?;
            transaction.commit()?;
            Ok(changes)
        });
        match added {
            Ok(changes) => {
                let gone = || io::Error::other("the file cannot be made");
                let not_recorded = (!self.exists()).then(|| HistoryError::Io { path: self.path.clone(), why: gone() });
                RunConclusion { changes: Some(changes), not_recorded }
            }
            Err(error) => {
                let changes = self.with(|db| changes(db, &after, since)).ok();
                let named = || since.map(|since| compare(Some(since), &after, &super::RunsBefore::default()));
                RunConclusion { changes: changes.or_else(named), not_recorded: Some(error) }
            }
        }
    }

    /// What changed from `before` to `after`. Without `before` it is the last comparable run; without both, `after` is the
    /// newest run.
    ///
    /// # Errors
    /// If the history cannot be read, or there is no such run.
    pub fn diff(&mut self, before: Option<&str>, after: Option<&str>) -> Result<RunChanges, HistoryError> {
        let before = before.map(|run| self.find(run)).transpose()?;
        let after = match after {
            Some(run) => self.find(run)?,
            None => self.newest()?,
        };
        self.with(|db| changes(db, &after, before.as_ref()))
    }

    /// What changed in a run since the last comparable one.
    ///
    /// # Errors
    /// If the history cannot be read.
    pub fn changes(&mut self, after: &RunDigest) -> Result<RunChanges, HistoryError> {
        self.with(|db| changes(db, after, None))
    }

    /// A run by its id, its folder, or `latest`.
    ///
    /// # Errors
    /// If there is no such run, or it cannot be read.
    pub fn find(&mut self, run: &str) -> Result<RunDigest, HistoryError> {
        let linked = fs::read_link(self.results.join(run)).ok();
        let name = linked.as_ref().and_then(|path| path.to_str()).unwrap_or(run);
        let known = self.with(|db| rows::run(db, name)?.map(|row| rows::load(db, row)).transpose())?;
        if let Some(run) = known {
            return Ok(run);
        }
        let no_run = |_| HistoryError::NoRun { run: run.to_owned(), results: self.results.clone() };
        let folder = find_run(&self.results, run).map_err(no_run)?;
        Ok(RunDigest::of_any(&read_document(&folder)?))
    }

    fn newest(&mut self) -> Result<RunDigest, HistoryError> {
        let newest = self.with(|db| {
            let newest = rows::all_runs(db)?.into_iter().next();
            newest.map(|row| rows::load(db, row)).transpose()
        })?;
        newest.ok_or_else(|| HistoryError::NoRun { run: "latest".to_owned(), results: self.results.clone() })
    }

    /// Makes it again from the run folders.
    ///
    /// # Errors
    /// If it cannot be written, or was written by a newer backproof.
    pub fn rebuild(&mut self) -> Result<RebuildReport, HistoryError> {
        let _alone = self.lock(FlockOperation::LockExclusive)?;
        let known = match self.exists() {
            true => match schema::open(&self.path, OpenAs::Writable) {
                Ok(db) => rows::all_runs(&db).map(|runs| runs.into_iter().map(|row| row.run.id).collect()).ok(),
                Err(error @ HistoryError::Newer { .. }) => return Err(error),
                Err(_) => None,
            },
            false => Some(Vec::new()),
        };
        self.replace(known)
    }

    /// Does something with it. It is made if it is missing, and mended if it is damaged.
    pub(super) fn with<T>(
        &mut self,
        mut work: impl FnMut(&mut Connection) -> Result<T, RowError>,
    ) -> Result<T, HistoryError> {
        let done = self.attempt(&mut work);
        match done {
            Err(HistoryError::Damaged { why, .. }) => {
                self.mend(&why)?;
                self.attempt(&mut work)
            }
            done => done,
        }
    }

    fn attempt<T>(&mut self, work: &mut impl FnMut(&mut Connection) -> Result<T, RowError>) -> Result<T, HistoryError> {
        if let Some(db) = &mut self.in_memory {
            return work(db).map_err(|error| error.of(&self.path));
        }
        // In a folder that nobody may write, nobody replaces it.
        let mut shared = self.lock(FlockOperation::LockShared).ok();
        if !self.exists() {
            drop(shared.take());
            if let Err(error) = self.make() {
                return self.in_memory(work, error);
            }
            shared = self.lock(FlockOperation::LockShared).ok();
        }
        self.opened = self.inode();
        let db = match schema::open(&self.path, OpenAs::Writable) {
            Err(HistoryError::Host { .. }) => schema::open(&self.path, OpenAs::ReadOnly),
            opened => opened,
        };
        let done = work(&mut db?).map_err(|error| error.of(&self.path));
        drop(shared);
        done
    }

    /// Reads the run folders without a file, because none can be written. They are read once.
    fn in_memory<T>(
        &mut self,
        work: &mut impl FnMut(&mut Connection) -> Result<T, RowError>,
        why: HistoryError,
    ) -> Result<T, HistoryError> {
        if !self.results.is_dir() {
            return Err(why);
        }
        let mut db = schema::open(Path::new(":memory:"), OpenAs::New)?;
        build(&mut db, &self.results, &self.path)?;
        let done = work(&mut db).map_err(|error| error.of(&self.path));
        self.in_memory = Some(db);
        done
    }

    fn make(&mut self) -> Result<(), HistoryError> {
        let _alone = self.lock(FlockOperation::LockExclusive)?;
        if !self.exists() {
            let report = self.replace(None)?;
            // A first run has nothing to tell.
            if report.runs > 1 {
                self.remarks.push(format!("made {} from {} run folders", self.path.display(), report.runs));
            }
        }
        Ok(())
    }

    /// Sets a damaged one aside, and makes it again, unless another process just did.
    fn mend(&mut self, why: &str) -> Result<(), HistoryError> {
        let _alone = self.lock(FlockOperation::LockExclusive)?;
        if self.inode() != self.opened {
            return Ok(());
        }
        let report = self.replace(None)?;
        let aside =
            report.set_aside.as_ref().map_or_else(String::new, |to| format!("set it aside as {}, and ", to.display()));
        let path = self.path.display();
        self.remarks.push(format!("{path} was damaged ({why}): {aside}made it again from {} run folders", report.runs));
        Ok(())
    }

    /// Makes a new one beside it and then replaces it, so that a full disk loses nothing. `known` are the runs of the old one;
    /// None if it cannot be read, so that it is kept under another name. Hold the lock alone.
    fn replace(&self, known: Option<Vec<String>>) -> Result<RebuildReport, HistoryError> {
        let io = |why| HistoryError::Io { path: self.path.clone(), why };
        let new = tempfile::Builder::new().prefix(".history-").tempfile_in(&self.results).map_err(io)?.into_temp_path();
        let mut db = schema::open(&new, OpenAs::New)?;
        let mut report = build(&mut db, &self.results, &self.path)?;
        drop(db);
        if known.is_none() && self.exists() {
            report.set_aside = Some(self.set_aside().map_err(io)?);
        }
        for companion in COMPANIONS {
            let _ = fs::remove_file(self.beside(companion));
        }
        File::open(&new).and_then(|file| file.sync_all()).map_err(io)?;
        make_readable(&new).map_err(io)?;
        new.persist(&self.path).map_err(|error| io(error.error))?;
        let known = known.unwrap_or_default();
        // A folder that is there and could not be read is told as such.
        let is_gone = |run: &String| !report.names.contains(run) && !self.results.join(run).exists();
        report.dropped = known.into_iter().filter(is_gone).collect();
        Ok(report)
    }

    /// Renames it, with what SQLite left beside it.
    fn set_aside(&self) -> io::Result<PathBuf> {
        let mut number = 1;
        let to = loop {
            let to = self.beside(&format!(".damaged-{number}"));
            if !to.exists() {
                break to;
            }
            number += 1;
        };
        for companion in COMPANIONS {
            let mut renamed = to.clone().into_os_string();
            renamed.push(companion);
            let _ = fs::rename(self.beside(companion), renamed);
        }
        fs::rename(&self.path, &to)?;
        Ok(to)
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }

    fn exists(&self) -> bool {
        self.path.symlink_metadata().is_ok()
    }

    fn inode(&self) -> Option<u64> {
        self.path.metadata().ok().map(|file| file.ino())
    }

    pub(super) fn lock(&self, how: FlockOperation) -> Result<File, HistoryError> {
        let path = self.results.join(LOCK_FILE);
        let io = |why| HistoryError::Io { path: path.clone(), why };
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io)?;
        lock_if_possible(&file, how).map_err(io)?;
        Ok(file)
    }

    pub(super) fn results(&self) -> &Path {
        &self.results
    }
}

/// What changed up to `after`, since `before` or the last comparable run.
fn changes(db: &Connection, after: &RunDigest, before: Option<&RunDigest>) -> Result<RunChanges, RowError> {
    let runs = rows::runs_before(db, &after.run)?;
    let found = match before {
        Some(_) => None,
        None => baseline(db, after, &runs)?.cloned().map(|row| rows::load(db, row)).transpose()?,
    };
    let past = rows::past(db, after, &runs)?;
    Ok(compare(before.or(found.as_ref()), after, &past))
}

/// Temporary files are private; this one is for everybody who may read the results.
fn make_readable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
