//! The source that a kernel was built from, for the witness `source`: the copy in the cache changes with the next build.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use super::revision::Revision;

/// The source of a built kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSnapshot {
    pub(super) base: SnapshotBase,
    /// The files that patches changed; none if removed.
    pub(super) patched: BTreeMap<String, Option<Vec<u8>>>,
}

/// Where the other files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotBase {
    /// In a user's folder, as it is now.
    Folder(PathBuf),
    /// In a commit of a repository.
    Commit {
        /// The repository.
        repository: PathBuf,
        /// The commit.
        commit: String,
    },
}

impl SourceSnapshot {
    /// Where the files that no patch changed are.
    pub fn base(&self) -> &SnapshotBase {
        &self.base
    }

    /// A file that patches changed: its content, or none if they removed it. The outer `None`: they didn't change it.
    pub fn patched(&self, path: &str) -> Option<Option<&[u8]>> {
        self.patched.get(path).map(Option::as_deref)
    }

    /// The files that patches changed.
    pub fn patched_files(&self) -> impl Iterator<Item = &String> {
        self.patched.keys()
    }

    /// A file of the commit; none if it has no such file, or the base is a folder.
    ///
    /// # Errors
    /// If the repository cannot be read.
    pub fn committed(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        match &self.base {
            SnapshotBase::Folder(_) => Ok(None),
            SnapshotBase::Commit { repository, commit } => {
                let read = || Revision::open(repository, commit, true)?.file(path);
                read().map_err(io::Error::other)
            }
        }
    }
}
