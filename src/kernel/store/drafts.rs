//! Files that are being written into the store.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use tempfile::NamedTempFile;

use super::Store;
use super::locks::open_lock;
use crate::kernel::file_error::FileError;

/// A file being written. It vanishes unless it is kept.
pub(in crate::kernel) struct Draft {
    pub(super) file: NamedTempFile,
    /// Prevents other processes from clearing the drafts.
    _lock: File,
}

/// A folder for files that others write. It vanishes with its files.
pub(in crate::kernel) struct DraftFolder {
    folder: tempfile::TempDir,
    _lock: File,
}

impl DraftFolder {
    pub(in crate::kernel) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Store {
    /// Starts a file that is not in the cache yet.
    pub(in crate::kernel) fn draft(&self) -> Result<Draft, FileError> {
        let folder = self.root.join("tmp");
        let make = || {
            let lock = self.writers()?;
            // The user's umask decides who can read it, because a cache may be shared.
            let mode = Permissions::from_mode(0o666);
            let file = tempfile::Builder::new().prefix("draft-").permissions(mode).tempfile_in(&folder)?;
            Ok(Draft { file, _lock: lock })
        };
        make().map_err(|e| FileError::io("write to", &folder, e))
    }

    /// A folder for files that others write.
    pub(in crate::kernel) fn draft_folder(&self) -> Result<DraftFolder, FileError> {
        let folder = self.root.join("tmp");
        let make = || {
            let lock = self.writers()?;
            let folder = tempfile::Builder::new().prefix("draft-").tempdir_in(&folder)?;
            Ok(DraftFolder { folder, _lock: lock })
        };
        make().map_err(|e| FileError::io("write to", &folder, e))
    }

    /// Removes a folder as a whole. If this process is killed meanwhile, the rest goes with the drafts.
    pub(in crate::kernel) fn discard(&self, folder: &Path) -> Result<(), FileError> {
        let remove = || {
            let _lock = self.writers()?;
            // The folder is renamed, because on a full disk no new folder can be created for it.
            let mut grave = tempfile::Builder::new();
            let grave = grave.prefix("discarded-").make_in(self.root.join("tmp"), |grave| fs::rename(folder, grave));
            match grave {
                Ok(moved) => fs::remove_dir_all(moved.into_temp_path().keep()?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            }
        };
        remove().map_err(|e| FileError::io("remove", folder, e))
    }

    /// The shared lock that every writer of drafts holds.
    fn writers(&self) -> io::Result<File> {
        let lock = open_lock(&self.root.join("locks/tmp"))?;
        rustix::io::retry_on_intr(|| flock(&lock, FlockOperation::LockShared))?;
        Ok(lock)
    }

    /// Removes drafts of killed processes. The exclusive lock proves that no other process has drafts.
    pub(super) fn clear_drafts(&self) -> Result<(), FileError> {
        let folder = self.root.join("tmp");
        let clear = || {
            let lock = open_lock(&self.root.join("locks/tmp"))?;
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
                return Ok(());
            }
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let path = entry.path();
                if entry.file_type()?.is_dir() { fs::remove_dir_all(&path)? } else { fs::remove_file(&path)? }
            }
            Ok(())
        };
        clear().map_err(|e: io::Error| match e.kind() {
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => self.unwritable(&folder, e),
            _ => FileError::io("clear", &folder, e),
        })
    }
}

impl Draft {
    /// Gives the file its final name, once its content is safe on the disk.
    pub(in crate::kernel) fn keep(mut self, path: &Path) -> Result<(), FileError> {
        let failed = |e| FileError::io("write", path, e);
        self.file.flush().map_err(failed)?;
        self.file.as_file().sync_all().map_err(failed)?;
        self.file.persist(path).map_err(|e| failed(e.error))?;
        sync_folder_of(path).map_err(failed)
    }
}

/// Syncs a new name to the disk.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(path))?.sync_all()
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
