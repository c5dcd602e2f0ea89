//! Errors of the witness `git`, each with a remedy.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::repository::RepositoryError;

/// Why the witness `git` cannot answer. Each message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The repository, or a revision of it, cannot be read.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The folder of the index cannot be used.
    #[error("the index {path} cannot be {doing}: {source}")]
    Cache {
        /// The file.
        path: PathBuf,
        /// The failed action, such as "written".
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Another process has held the index's lock for too long.
    #[error(
        "timed out after {} seconds waiting for another process to release the lock {path}: `fuser -v {path}` shows \
        which; let it finish, or end it if it hangs, and ask again (removing the file does not release the lock)",
        .waited.as_secs()
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The length of the wait.
        waited: Duration,
    },
    /// The index cannot be used. A damaged one has been removed.
    #[error("the index {path} cannot be used ({what}): ask again to rebuild it")]
    Index {
        /// The file.
        path: PathBuf,
        /// The defect.
        what: String,
    },
}
