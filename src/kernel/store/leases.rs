//! Leases: a user of a file holds it open with a shared flock(2), so that `gc` leaves it alone.
//!
//! A lease ends with its process, however that ends. `gc` takes the file's exclusive lock first; the leaseholder
//! checks, once it has the lock, that the file still has its name.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};

use super::Store;
use crate::kernel::file_error::FileError;
use crate::regular;

/// The time that a file is kept after it was made or last used, even without a lease, because its maker may not have one yet.
pub(in crate::kernel) const GRACE: Duration = Duration::from_secs(10 * 60);

/// The precision of the time of the last use, to avoid a write at each use.
const EXACT: Duration = Duration::from_secs(60);

/// Files of the store that stay as long as this lives. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Leases(#[expect(dead_code, reason = "held for their locks")] Arc<[File]>);

/// A leased file by content.
#[derive(Debug)]
pub struct Kept {
    /// The file, which stays as long as this lives.
    pub path: PathBuf,
    /// Its sha256.
    pub sha256: String,
    _lease: File,
}

impl Store {
    /// Keeps `bytes` by content.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn keep(&self, bytes: &[u8]) -> Result<Kept, FileError> {
        // Twice, because another process may remove a damaged file.
        for _ in 0..2 {
            let sha256 = self.put(bytes)?;
            let path = self.blob(&sha256);
            if let Some(lease) = self.lease(&path)? {
                return Ok(Kept { path, sha256, _lease: lease });
            }
        }
        Err(FileError::io("keep a file in", &self.root, io::ErrorKind::NotFound.into()))
    }

    /// Leases of these files; `None` if one of them is missing. Files outside this store are not locked, because its
    /// `gc` never removes them.
    ///
    /// # Errors
    /// If one cannot be opened or locked.
    pub fn leases<'p>(&self, files: impl IntoIterator<Item = &'p Path>) -> Result<Option<Leases>, FileError> {
        let leases = files.into_iter().map(|file| self.lease(file)).collect::<Result<Option<Vec<_>>, _>>()?;
        Ok(leases.map(|leases| Leases(leases.into())))
    }

    /// Marks this store's file of this name, if any, as used now.
    pub fn touch(&self, below: &str) {
        if let Ok(file) = regular::open(&self.root.join(below)) {
            touch(&file);
        }
    }

    pub(super) fn lease(&self, path: &Path) -> Result<Option<File>, FileError> {
        let failed = |e| FileError::io("open", path, e);
        loop {
            let file = match regular::open(path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(failed(error)),
            };
            if !self.is_own(path) {
                return Ok(Some(file));
            }
            rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockShared)).map_err(|e| failed(e.into()))?;
            if is_same(&file, path).map_err(failed)? {
                touch(&file);
                return Ok(Some(file));
            }
            // The name belongs to another file now, or to none.
        }
    }

    /// Removes a file's name, if the name still belongs to it.
    pub(in crate::kernel) fn remove_same(&self, file: &File, path: &Path) -> io::Result<()> {
        let lock = self.lock("blobs", || {}).map_err(io::Error::other)?;
        let removed = if is_same(file, path)? { fs::remove_file(path) } else { Ok(()) };
        drop(lock);
        removed
    }
}

/// Whether the file is the one under this name.
pub(super) fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Marks the file as used now, unless it belongs to another user.
fn touch(file: &File) {
    let now = SystemTime::now();
    let known = file.metadata().and_then(|m| m.modified());
    if known.is_ok_and(|known| now.duration_since(known).is_ok_and(|age| age > EXACT)) {
        let _ = file.set_modified(now);
    }
}
