//! Locks of the store. They are flock(2)'s, so they end with their process.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::Store;
use crate::kernel::file_error::FileError;
use crate::regular;

/// A lock that ends when this is dropped, or with the process.
#[derive(Debug)]
pub struct StoreLock(#[expect(dead_code, reason = "held for its lock")] File);

impl Store {
    /// Waits for the lock `name`; calls `waiting` before it has to.
    pub(in crate::kernel) fn lock(&self, name: &str, waiting: impl FnOnce()) -> Result<StoreLock, FileError> {
        if let Some(lock) = self.try_lock(name)? {
            return Ok(lock);
        }
        waiting();
        self.flock(name, FlockOperation::LockExclusive)
    }

    /// The lock `name`; `None` if another process has it.
    pub(in crate::kernel) fn try_lock(&self, name: &str) -> Result<Option<StoreLock>, FileError> {
        match self.flock(name, FlockOperation::NonBlockingLockExclusive) {
            Ok(lock) => Ok(Some(lock)),
            Err(FileError::Io { source, .. }) if source.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A shared lock `name`, which excludes exclusive ones.
    pub(in crate::kernel) fn share(&self, name: &str) -> Result<StoreLock, FileError> {
        self.flock(name, FlockOperation::LockShared)
    }

    fn flock(&self, name: &str, how: FlockOperation) -> Result<StoreLock, FileError> {
        let path = self.root.join("locks").join(name);
        let failed = |e: io::Error| FileError::io("lock", &path, e);
        let file = open_lock(&path).map_err(failed)?;
        rustix::io::retry_on_intr(|| flock(&file, how)).map_err(|e: Errno| failed(e.into()))?;
        Ok(StoreLock(file))
    }
}

pub(super) fn open_lock(path: &Path) -> io::Result<File> {
    open_own(path, File::options().create(true).truncate(false).write(true))
}

/// Opens a file of this store, and creates it if missing. Anything else of that name (a FIFO, a link to a device) is
/// removed first, because opening it could wait for ever.
pub(in crate::kernel) fn open_own(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() && !found.is_dir() => match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        },
        _ => {}
    }
    regular::open_with(path, options)
}
