//! Keeps others from changing a lock file meanwhile.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::Lock;
use crate::matrix::fields;

/// Nobody else changes a lock file until this is dropped, or the process ends.
#[derive(Debug)]
pub struct LockGuard(#[expect(dead_code, reason = "held for its flock")] File);

impl Lock {
    /// Waits until nobody else changes the lock file of this matrix, whatever cache they use.
    ///
    /// # Errors
    /// Where locking fails.
    pub fn guard(matrix: &Path) -> io::Result<LockGuard> {
        // The file is replaced and may not be there yet, so its folder is what is locked: the one that a link leads to.
        let path = Self::path_of(matrix);
        let path = fs::canonicalize(&path).unwrap_or(path);
        let folder = File::open(fields::folder_of(&path))?;
        match alone(&folder) {
            Ok(()) => Ok(LockGuard(folder)),
            // NFS locks only what is open for writing, which no folder ever is.
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
