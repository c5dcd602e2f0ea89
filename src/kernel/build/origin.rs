//! The source that a build starts from: a folder, or a revision of a repository.

use std::path::Path;

use super::error::BuildError;
use super::folder::{SeenFiles, SourceFolder};
use super::listing::{FileId, Listing};
use super::makefile::{NO_VERSION, version};
use super::revision::Revision;
use super::source_copy::SourceCopy;
use crate::kernel::store::Store;
use crate::matrix::BuildOrigin;

/// An origin that was opened.
pub(super) struct OpenOrigin {
    files: OriginFiles,
    /// Its copy in the cache.
    pub copy: SourceCopy,
    pub listing: Listing,
    /// The commit, and how many of its files differ in a folder.
    pub commit: Option<(String, usize)>,
}

enum OriginFiles {
    Folder(SourceFolder),
    Revision(Revision),
}

impl OpenOrigin {
    /// Opens it. With a `locked` commit, the revision is that commit.
    pub(super) fn open(origin: &BuildOrigin, locked: Option<&str>, store: &Store) -> Result<Self, BuildError> {
        let found = match origin {
            BuildOrigin::Tree(path) => Self::of_folder(path, store)?,
            BuildOrigin::Repo { repo, revision } => {
                let revision = Revision::open(repo, locked.unwrap_or(revision), false)?;
                let listing = revision.listing()?;
                let copy = SourceCopy::of(revision.common());
                let commit = Some((revision.commit(), 0));
                Self { files: OriginFiles::Revision(revision), copy, listing, commit }
            }
        };
        found.require_kernel(origin.path())?;
        Ok(found)
    }

    fn of_folder(path: &Path, store: &Store) -> Result<Self, BuildError> {
        let not = |why: String| BuildError::NotASource { path: path.to_owned(), why };
        let path = path.canonicalize().map_err(|error| not(error.to_string()))?;
        let copy = SourceCopy::of(&path);
        let before: SeenFiles = store.own_record(&copy.seen()).unwrap_or_default();
        let (folder, now) = SourceFolder::look(&path, &before)?;
        if now != before {
            copy.remember(&now, store)?;
        }
        let listing = folder.listing.clone();
        let commit = head(&path, &listing);
        Ok(Self { files: OriginFiles::Folder(folder), copy, listing, commit })
    }

    /// Rejects a tree that is not a kernel's.
    fn require_kernel(&self, path: &Path) -> Result<(), BuildError> {
        let not = |why: &str| BuildError::NotASource { path: path.to_owned(), why: why.to_owned() };
        let makefile = self.listing.files.get("Makefile").ok_or_else(|| not("it has no Makefile"))?;
        version(&self.read("Makefile", makefile)?).ok_or_else(|| not(NO_VERSION))?;
        let has_arch = self.listing.files.range("arch/x86/".to_owned()..).next();
        if has_arch.is_some_and(|(path, _)| path.starts_with("arch/x86/")) {
            return Ok(());
        }
        Err(not("it has no folder arch/x86"))
    }

    /// A file of the listing.
    pub(super) fn read(&self, path: &str, id: &FileId) -> Result<Vec<u8>, BuildError> {
        match &self.files {
            OriginFiles::Folder(folder) => folder.read(path, id),
            OriginFiles::Revision(revision) => Ok(revision.read(path, id)?),
        }
    }

    /// Checks that these files can be read.
    pub(super) fn require(&self, files: &mut dyn Iterator<Item = (&String, &FileId)>) -> Result<(), BuildError> {
        match &self.files {
            OriginFiles::Folder(_) => Ok(()),
            OriginFiles::Revision(revision) => Ok(revision.require(files)?),
        }
    }

    /// MiB that its copy takes. A repository doesn't list sizes; 6.1 has 18.7 KiB per file on the disk.
    pub(super) fn mib(&self) -> u64 {
        match &self.files {
            OriginFiles::Folder(folder) => folder.bytes >> 20,
            OriginFiles::Revision(_) => (self.listing.files.len() as u64 * 20) >> 10,
        }
    }
}

/// The commit that a working tree is at, and how many of the commit's files differ in it. None without git.
fn head(path: &Path, listing: &Listing) -> Option<(String, usize)> {
    if !path.join(".git").exists() {
        return None;
    }
    let head = Revision::open(path, "HEAD", false).ok()?;
    let committed = head.listing().ok()?;
    let differs = |(path, id): &(&String, &FileId)| listing.files.get(*path) != Some(id);
    Some((head.commit(), committed.files.iter().filter(differs).count()))
}

#[cfg(test)]
#[path = "origin_tests.rs"]
mod tests;
