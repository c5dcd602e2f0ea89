//! Why the history cannot be used.

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

use super::schema::VERSION;
use crate::results::ReadError;

/// Why the history cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// It was written by a newer backproof.
    #[error(
        "{path} has version {found}, and this backproof reads version {VERSION}: use the newer backproof, or move the file \
         away; `backproof history --rebuild` then makes one from the run folders",
        path = path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// It is damaged, or no history.
    #[error("{path} is damaged: {why}; `backproof history --rebuild` makes it again from the run folders", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite or the content says.
        why: String,
    },
    /// The host keeps it from being read or written.
    #[error("cannot use {path}: {why}; check the disk and the permissions of its folder", path = path.display())]
    Host {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        why: rusqlite::Error,
    },
    /// A file or a folder cannot be read or written.
    #[error("cannot use {path}: {why}; check the disk and the permissions of its folder", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// It has no such run.
    #[error("no run `{run}` is in the history or in {results}; `backproof history` lists the runs", results = results.display())]
    NoRun {
        /// What was asked for.
        run: String,
        /// The results folder.
        results: PathBuf,
    },
    /// It has no such kernel or bug.
    #[error("the history has no {what} `{name}`{hint}")]
    Unknown {
        /// `kernel` or `bug of this kernel`.
        what: &'static str,
        /// The name.
        name: String,
        /// What it has instead.
        hint: String,
    },
    /// A run cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl HistoryError {
    /// Whether the user named something that does not exist, or has to move a file.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::NoRun { .. } | Self::Unknown { .. } | Self::Newer { .. } | Self::Read(_))
    }
}

/// What went wrong with a statement, before it is known in which file.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowError {
    /// SQLite failed.
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    /// A row holds what no history writes.
    #[error("{0}")]
    Content(String),
}

impl RowError {
    pub(super) fn content(error: impl std::fmt::Display) -> Self {
        Self::Content(error.to_string())
    }

    /// The error of this file.
    pub(super) fn of(self, path: &std::path::Path) -> HistoryError {
        let path = path.to_owned();
        match self {
            Self::Sql(why) if is_of_host(&why) => HistoryError::Host { path, why },
            error => HistoryError::Damaged { path, why: error.to_string() },
        }
    }
}

/// Whether the host is to blame, and not the file.
fn is_of_host(error: &rusqlite::Error) -> bool {
    let host = [
        ErrorCode::PermissionDenied,
        ErrorCode::DatabaseBusy,
        ErrorCode::DatabaseLocked,
        ErrorCode::OutOfMemory,
        ErrorCode::ReadOnly,
        ErrorCode::OperationInterrupted,
        ErrorCode::SystemIoFailure,
        ErrorCode::DiskFull,
        ErrorCode::CannotOpen,
        ErrorCode::FileLockingProtocolFailed,
        ErrorCode::NoLargeFileSupport,
    ];
    error.sqlite_error_code().is_some_and(|code| host.contains(&code))
}
