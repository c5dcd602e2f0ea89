//! Errors about one file or folder of this host.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error_class::{ClassedError, ErrorClass};
use crate::lack;

/// Why a file or folder of this host could not be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not there, or is of another kind.
    #[error("{what} {} {problem}", path.display())]
    Unusable {
        /// The expected kind: `the image`, `the build tree` …
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// The fault: `does not exist` …
        problem: String,
    },
    /// No space, no inode or no quota is left.
    #[error("cannot write {}: no {}; free some, or choose another cache folder", path.display(), lack::at(path))]
    DiskFull {
        /// The path.
        path: PathBuf,
    },
    /// Reading or writing failed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// `read`, `write` …
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl FileError {
    pub(super) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { doing, path, source },
        }
    }

    pub(super) fn unusable(what: &'static str, path: &Path, problem: impl Into<String>) -> Self {
        Self::Unusable { what, path: path.to_owned(), problem: problem.into() }
    }
}

impl ClassedError for FileError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unusable { .. } => ErrorClass::Usage,
            Self::DiskFull { .. } | Self::Io { .. } => ErrorClass::Host,
        }
    }
}

/// Checks that a user's file exists, and is a file.
pub(super) fn check(what: &'static str, path: &Path) -> Result<(), FileError> {
    let problem = match fs::metadata(path) {
        Ok(found) if found.is_file() => return Ok(()),
        Ok(_) => "is not a file; check the path".to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => "does not exist; check the path".to_owned(),
        Err(error) => format!("cannot be read ({error})"),
    };
    Err(FileError::unusable(what, path, problem))
}
