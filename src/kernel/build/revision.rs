//! Exports a revision's files from a git repository. Nothing else in this room knows libgit2.

use std::path::Path;

use git2::{ObjectType, Oid, Tree};

use super::folder::{MAX_FILE, MAX_FILES};
use super::listing::{BlobId, FileId, FileMode, Listing};
use crate::repository::{self, RepositoryError, RepositoryPlace, is_readable};

/// The deepest folder; 6.12 has 10 levels.
const DEEPEST: usize = 100;

/// A revision of a repository.
pub(super) struct Revision {
    place: RepositoryPlace,
    git: git2::Repository,
    /// The words of the user for it.
    name: String,
    commit: Oid,
}

impl Revision {
    /// Opens a repository, and resolves the revision. `checked`: whether its packs were checked before by this process.
    pub(super) fn open(repository: &Path, revision: &str, checked: bool) -> Result<Self, RepositoryError> {
        let place = RepositoryPlace::find(repository)?;
        if !checked {
            place.pack_indexes().check()?;
        }
        let git = place.open()?;
        let commit = repository::resolve(&git, &place, revision)?;
        Ok(Self { place, git, name: revision.to_owned(), commit })
    }

    /// The name of its commit.
    pub(super) fn commit(&self) -> String {
        self.commit.to_string()
    }

    /// The folder with the repository's objects, which linked worktrees share.
    pub(super) fn common(&self) -> &Path {
        &self.place.common
    }

    /// Its files. Submodules are left out, because no kernel has any.
    pub(super) fn listing(&self) -> Result<Listing, RepositoryError> {
        let mut listing = Listing::default();
        self.list(&self.tree()?, "", DEEPEST, &mut listing)?;
        Ok(listing)
    }

    fn tree(&self) -> Result<Tree<'_>, RepositoryError> {
        let tree = self.git.find_commit(self.commit).and_then(|commit| commit.tree());
        tree.map_err(|_| self.lacks("its top folder", 1))
    }

    fn list(&self, tree: &Tree<'_>, below: &str, depth: usize, listing: &mut Listing) -> Result<(), RepositoryError> {
        let odd = |what: String| RepositoryError::Unreadable { path: self.place.path.clone(), what };
        for entry in tree {
            let name = std::str::from_utf8(entry.name_bytes());
            let name = name.map_err(|_| odd(format!("a file in `{below}` has a name that is not UTF-8")))?;
            // git itself rejects such names, because they lead out of the folder.
            if name.is_empty() || name.contains('/') || [".", "..", ".git"].contains(&name) {
                return Err(odd(format!("`{below}` has a file named `{name}`")));
            }
            let path = if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
            if entry.kind() == Some(ObjectType::Tree) {
                if depth == 0 {
                    return Err(odd(format!("its folders are too deep: {path}")));
                }
                let is_there = is_readable(&self.git, entry.id());
                let inner = if is_there { self.git.find_tree(entry.id()).ok() } else { None };
                self.list(&inner.ok_or_else(|| self.lacks(&path, 1))?, &path, depth - 1, listing)?;
                continue;
            }
            let mode = match entry.filemode() {
                0o120_000 => FileMode::Link,
                0o160_000 => continue,
                mode if mode & 0o100 != 0 => FileMode::Executable,
                _ => FileMode::Plain,
            };
            let blob: [u8; 20] = entry.id().as_bytes().try_into().map_err(|_| odd("an object's name".to_owned()))?;
            if listing.files.len() >= MAX_FILES {
                return Err(odd(format!("{} has more files than any kernel", self.name)));
            }
            listing.files.insert(path, FileId { mode, blob: BlobId(blob) });
        }
        Ok(())
    }

    /// Checks that the repository has all of these files.
    pub(super) fn require(&self, files: &mut dyn Iterator<Item = (&String, &FileId)>) -> Result<(), RepositoryError> {
        let objects = self.git.odb().map_err(|error| self.place.unreadable(&error))?;
        let mut lacking = files.filter(|(_, id)| !Oid::from_bytes(&id.blob.0).is_ok_and(|oid| objects.exists(oid)));
        match lacking.next() {
            Some((first, _)) => Err(self.lacks(first, 1 + lacking.count())),
            None => Ok(()),
        }
    }

    /// A file of the listing.
    pub(super) fn read(&self, path: &str, id: &FileId) -> Result<Vec<u8>, RepositoryError> {
        let oid = Oid::from_bytes(&id.blob.0).map_err(|error| self.place.unreadable(&error))?;
        self.blob(path, oid)
    }

    /// A file of the revision; none if it has no such file.
    pub(super) fn file(&self, path: &str) -> Result<Option<Vec<u8>>, RepositoryError> {
        let entry = self.tree()?.get_path(Path::new(path));
        match entry {
            Ok(entry) if entry.kind() == Some(ObjectType::Blob) => self.blob(path, entry.id()).map(Some),
            Ok(_) => Ok(None),
            Err(error) if error.class() == git2::ErrorClass::Odb => Err(self.lacks(path, 1)),
            Err(_) => Ok(None),
        }
    }

    fn blob(&self, path: &str, oid: Oid) -> Result<Vec<u8>, RepositoryError> {
        if !is_readable(&self.git, oid) {
            return Err(self.place.damaged(oid, format!("it is {path} of {}", self.name)));
        }
        let objects = self.git.odb().map_err(|error| self.place.unreadable(&error))?;
        match objects.read_header(oid) {
            Ok((size, _)) if size as u64 > MAX_FILE => {
                Err(self.place.damaged(oid, format!("{path} is larger than any source file")))
            }
            Ok(_) => match self.git.find_blob(oid) {
                Ok(blob) => Ok(blob.content().to_vec()),
                Err(error) => Err(self.place.damaged(oid, format!("{path}: {}", error.message()))),
            },
            Err(_) => Err(self.lacks(path, 1)),
        }
    }

    fn lacks(&self, file: &str, count: usize) -> RepositoryError {
        RepositoryError::Lacks {
            path: self.place.path.clone(),
            revision: self.name.clone(),
            file: file.to_owned(),
            count,
            partial: self.place.is_partial(),
        }
    }
}
