//! Locks out concurrent updates of a lock file.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::Lock;
use crate::matrix::fields;

/// Locks out concurrent updates of a lock file until it is dropped, or the process ends.
#[derive(Debug)]
pub struct LockGuard(#[expect(dead_code, reason = "held for its flock")] File);

impl Lock {
    /// Waits for other processes that update the lock file of this matrix, even with another cache.
    ///
    /// # Errors
    /// If locking fails.
    pub fn guard(matrix: &Path) -> io::Result<LockGuard> {
        // The file is replaced and may not exist yet, so lock its folder, after resolving links.
        let path = Self::path_of(matrix);
        let path = fs::canonicalize(&path).unwrap_or(path);
        let folder = File::open(fields::folder_of(&path))?;
        match alone(&folder) {
            Ok(()) => Ok(LockGuard(folder)),
            // NFS locks only files that are open for writing, and a folder never is.
            Err(Errno::BADF) => {
                let file = File::options().read(true).write(true).open(matrix)?;
                alone(&file)?;
                Ok(LockGuard(file))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn alone(file: &File) -> Result<(), Errno> {
    rustix::io::retry_on_intr(|| flock(file, FlockOperation::LockExclusive))
}
