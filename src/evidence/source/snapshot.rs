//! The source that a kernel was built from here.

use std::io;

use super::files::{MAX_FILE, SourceFiles, SourceFolder};
use super::patches::SERIES;
use crate::kernel::build::{SnapshotBase, SourceSnapshot};

/// The files of a built kernel, with the patches of its build. Patches that lie in the tree were not applied.
pub struct SnapshotFiles {
    snapshot: SourceSnapshot,
    folder: Option<SourceFolder>,
}

impl SnapshotFiles {
    /// Opens the source.
    ///
    /// # Errors
    /// If its folder is gone.
    pub fn open(snapshot: SourceSnapshot) -> io::Result<Self> {
        let folder = match snapshot.base() {
            SnapshotBase::Folder(folder) => Some(SourceFolder::open(folder)?),
            SnapshotBase::Commit { .. } => None,
        };
        Ok(Self { snapshot, folder })
    }
}

impl SourceFiles for SnapshotFiles {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        // Otherwise its patches would count, which nobody applied before the build.
        if SERIES.iter().any(|(series, _)| *series == path) {
            return Ok(None);
        }
        let read = match (self.snapshot.patched(path), &self.folder) {
            (Some(patched), _) => patched.map(<[u8]>::to_vec),
            (None, Some(folder)) => folder.read(path)?,
            (None, None) => self.snapshot.committed(path)?,
        };
        if read.as_ref().is_some_and(|text| text.len() as u64 > MAX_FILE) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(read)
    }
}
