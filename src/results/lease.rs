//! Whether a run still goes on.
//!
//! A run holds a lock on its folder until it ends, however it ends: the kernel releases the lock of a dead process.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// The lock of a run that goes on.
#[derive(Debug)]
pub struct RunLease(#[expect(dead_code, reason = "the lock is released when it is closed")] File);

impl RunLease {
    /// Locks the folder. None where the file system has no locks; the run looks dead to others then.
    pub(super) fn take(folder: &Path) -> Option<Self> {
        let file = File::open(folder).ok()?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some(Self(file))
    }
}

/// Locks a file or a folder as far as its file system has locks: without them, files are at least whole.
///
/// # Errors
/// If it cannot be locked; of kind `WouldBlock` if another process has the lock and `how` does not wait.
pub fn lock_if_possible(file: &File, how: FlockOperation) -> io::Result<()> {
    match rustix::io::retry_on_intr(|| flock(file, how)) {
        Ok(()) | Err(Errno::NOTSUP | Errno::NOLCK) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether the run of this folder still goes on, on this host.
pub fn is_running(folder: &Path) -> bool {
    let Ok(file) = File::open(folder) else { return false };
    flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_goes_on_until_its_lease_is_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(!is_running(folder.path()));
        let lease = RunLease::take(folder.path()).expect("a lock");
        assert!(is_running(folder.path()));
        assert!(RunLease::take(folder.path()).is_none());
        drop(lease);
        assert!(!is_running(folder.path()));
        assert!(!is_running(&folder.path().join("missing")));
    }
}
