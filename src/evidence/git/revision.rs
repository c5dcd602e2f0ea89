//! Resolves a revision to its commit.

use std::io;

use git2::Oid;
use serde::Serialize;

use super::objects::TreeEntry;
use super::{GitError, GitIndex, MakefileVersion};
use crate::evidence::source::SourceFiles;
use crate::repository::{self, RepositoryError, is_readable};
use crate::words::CommitId;

/// The most steps back in a revision like `v5.1~1000`.
const MOST_STEPS: usize = 1_000_000;
/// The largest Makefile to read, in bytes. Linux's has some 70 KiB.
const LARGEST: usize = 4 << 20;

/// A resolved revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    /// Its commit.
    pub commit: CommitId,
    /// The version in its Makefile; none if it has no kernel tree, or the repository lacks the file.
    pub version: Option<MakefileVersion>,
}

impl GitIndex {
    /// Describes a revision: its commit and its kernel version.
    ///
    /// # Errors If there is no such revision, or it is not a commit.
    pub fn describe(&self, revision: &str) -> Result<Description, GitError> {
        let commit = self.resolve(revision)?;
        Ok(Description { commit: commit_id(commit)?, version: self.version_at(commit) })
    }

    /// The commit that a revision names (single revisions of gitrevisions(7)).
    pub(super) fn resolve(&self, revision: &str) -> Result<Oid, GitError> {
        // The library ignores grafts, so parents are followed here.
        let overlay = self.repository.overlay();
        if let Some((base, steps)) =
            steps(revision).filter(|_| !overlay.grafts.is_empty() || !overlay.replaced.is_empty())
        {
            let mut at = self.resolve_plain(base)?;
            for step in steps {
                let parent = self.repository.git().commit(at).and_then(|commit| commit.parents.get(step).copied());
                at = parent.ok_or_else(|| {
                    repository::no_such_revision(self.repository.git().raw(), self.repository.place(), revision)
                })?;
            }
            return Ok(at);
        }
        self.resolve_plain(revision)
    }

    fn resolve_plain(&self, revision: &str) -> Result<Oid, GitError> {
        Ok(repository::resolve(self.repository.git().raw(), self.repository.place(), revision)?)
    }

    /// The version in the Makefile of a commit's tree.
    pub(super) fn version_at(&self, commit: Oid) -> Option<MakefileVersion> {
        MakefileVersion::parse(&self.file_at(commit, "Makefile")?)
    }

    /// A file of a commit's tree, for [`SourceFiles`]. None if the tree has no such file.
    ///
    /// # Errors If the repository lacks an object on the path, because it is partial or damaged. The file is then
    /// unknown, not absent.
    pub fn file(&self, commit: &CommitId, path: &str) -> io::Result<Option<Vec<u8>>> {
        let git = self.repository.git();
        let lacks = |what: &str| {
            io::Error::other(format!(
                "the repository lacks {what}: in a partial clone, `git -C REPO show COMMIT:{path}` fetches it; in a \
                full one, run `git fsck`"
            ))
        };
        let commit = Oid::from_str(commit.as_str()).map_err(io::Error::other)?;
        let tree = git.commit(commit).map(|commit| commit.tree).ok_or_else(|| lacks("the commit's tree"))?;
        match git.entry(tree, path) {
            TreeEntry::Nothing => Ok(None),
            TreeEntry::Lacking => Err(lacks(&format!("a folder of {path}"))),
            TreeEntry::Folder(_) | TreeEntry::Module(_) => Ok(None),
            TreeEntry::File(id) => {
                let is_here = is_readable(git.raw(), id) && git.raw().odb().is_ok_and(|odb| odb.exists(id));
                if is_here { Ok(self.file_at(commit, path)) } else { Err(lacks(path)) }
            }
        }
    }

    /// A file of a commit's tree. None if there is none, or the repository lacks it.
    pub(super) fn file_at(&self, commit: Oid, path: &str) -> Option<Vec<u8>> {
        let git = self.repository.git();
        let TreeEntry::File(id) = git.entry(git.commit(commit)?.tree, path) else { return None };
        git.file(id).filter(|file| file.text.len() <= LARGEST).map(|file| file.text.clone())
    }
}

/// The files of a commit's tree.
pub struct GitFiles<'a> {
    /// The repository.
    pub index: &'a GitIndex,
    /// The commit.
    pub commit: CommitId,
}

impl SourceFiles for GitFiles<'_> {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        self.index.file(&self.commit, path)
    }

    fn patches(&self) -> io::Result<Vec<String>> {
        let commit = Oid::from_str(self.commit.as_str()).map_err(io::Error::other)?;
        let packaging = self.index.packaging(commit, self.index.version_at(commit).is_some());
        let patches = packaging.patches.iter().map(|patch| &patch.file);
        Ok(patches.chain(&packaging.unread).cloned().collect())
    }
}

/// Splits a suffix such as `~2^3` off a revision, and lists the parents to follow in order. None if a revision has no
/// such suffix.
fn steps(revision: &str) -> Option<(&str, Vec<usize>)> {
    let tail = revision.rfind(|c: char| !c.is_ascii_digit() && c != '~' && c != '^').map_or(0, |at| at + 1);
    let begin = tail + revision.get(tail..)?.find(['~', '^'])?;
    let (base, mut rest) = revision.split_at(begin);
    let mut steps = Vec::new();
    while let Some(mark) = rest.chars().next() {
        let digits = rest[1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - 1);
        let count = if digits == 0 { 1 } else { rest[1..=digits].parse::<usize>().ok()? };
        match (mark, count) {
            ('~', count) if count <= MOST_STEPS => steps.extend(std::iter::repeat_n(0, count)),
            ('^', 1..) => steps.push(count - 1),
            // `^0` is the commit itself.
            ('^', 0) => {}
            _ => return None,
        }
        rest = &rest[1 + digits..];
    }
    (!base.is_empty()).then_some((base, steps))
}

/// Converts a commit's id.
pub(super) fn commit_id(oid: Oid) -> Result<CommitId, GitError> {
    oid.to_string().parse().map_err(|_| RepositoryError::Sha256(oid.to_string().into()).into())
}
