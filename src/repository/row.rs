//! Revisions in a row, from one to a later one: tags, or the commits of the line that leads there.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use git2::{Oid, Sort};

use super::{ChangeError, RepositoryPlace, resolve};

/// A revision of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowRevision {
    /// A tag, or the first digits of a commit.
    pub label: String,
    /// The commit.
    pub commit: String,
    /// The first line of its message.
    pub subject: String,
    /// The branch that it merges: its second parent.
    pub merges: Option<String>,
}

impl RowRevision {
    /// A tag, or a commit with its subject.
    pub fn says(&self) -> String {
        if self.commit.starts_with(&self.label) {
            return format!("{} (\"{}\")", self.label, self.subject);
        }
        self.label.clone()
    }
}

/// An opened repository.
pub struct RevisionRows {
    git: git2::Repository,
    place: RepositoryPlace,
}

impl RevisionRows {
    /// Opens a repository.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(path: &Path) -> Result<Self, ChangeError> {
        let place = RepositoryPlace::find(path)?;
        place.pack_indexes().check()?;
        let git = place.open()?;
        Ok(Self { git, place })
    }

    /// `from`, the tags between, `to`.
    ///
    /// # Errors
    /// If `from` is not in the history of `to`.
    pub fn tags(&self, from: &str, to: &str) -> Result<Vec<RowRevision>, ChangeError> {
        let (first, last) = self.ends(from, to)?;
        let mut names: BTreeMap<Oid, String> = BTreeMap::new();
        let tags = self.git.tag_names(None).map_err(|error| self.failed(&error))?;
        for name in tags.iter().flatten().flatten() {
            let object = self.git.revparse_single(&format!("refs/tags/{name}"));
            // A tag of something else is no kernel.
            let Some(commit) = object.ok().and_then(|object| object.peel_to_commit().ok()) else { continue };
            names.entry(commit.id()).or_insert_with(|| name.to_owned());
        }
        let mut row = vec![self.revision(first, Some(from))?];
        for id in self.added(first, last)? {
            let is_tagged = names.get(&id).filter(|_| id != last);
            // A tag of a side branch lacks what the others have: it is not in the row.
            if let Some(name) = is_tagged
                && self.git.graph_descendant_of(id, first).map_err(|error| self.failed(&error))?
            {
                row.push(self.revision(id, Some(name))?);
            }
        }
        row.push(self.revision(last, Some(to))?);
        Ok(row)
    }

    /// `from`, and the commits by first parents that lead from its history to `to`.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn commits(&self, from: &str, to: &str) -> Result<Vec<RowRevision>, ChangeError> {
        let (first, last) = (resolve(&self.git, &self.place, from)?, resolve(&self.git, &self.place, to)?);
        let new: HashSet<Oid> = self.added(first, last)?.into_iter().collect();
        let (mut row, mut now) = (Vec::new(), Some(last));
        while let Some(id) = now.filter(|id| new.contains(id)) {
            row.push(self.revision(id, None)?);
            now = self.git.find_commit(id).map_err(|error| self.failed(&error))?.parent_id(0).ok();
        }
        row.push(self.revision(first, None)?);
        row.reverse();
        Ok(row)
    }

    /// The commits in the history of the one and not of the other, parents first.
    fn added(&self, from: Oid, to: Oid) -> Result<Vec<Oid>, ChangeError> {
        let walk = || {
            let mut walk = self.git.revwalk()?;
            walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
            walk.push(to)?;
            walk.hide(from)?;
            walk.collect::<Result<Vec<Oid>, _>>()
        };
        walk().map_err(|error| self.failed(&error))
    }

    /// The first parent of a commit.
    ///
    /// # Errors
    /// If it has none.
    pub fn first_parent(&self, commit: &str) -> Result<String, ChangeError> {
        self.commit(&format!("{commit}^1"))
    }

    /// The commit of a revision.
    ///
    /// # Errors
    /// If there is none.
    pub fn commit(&self, revision: &str) -> Result<String, ChangeError> {
        Ok(resolve(&self.git, &self.place, revision)?.to_string())
    }

    fn ends(&self, from: &str, to: &str) -> Result<(Oid, Oid), ChangeError> {
        let (first, last) = (resolve(&self.git, &self.place, from)?, resolve(&self.git, &self.place, to)?);
        let range = format!("{from}..{to}");
        if first == last {
            return Err(ChangeError::Empty { range });
        }
        if !self.git.graph_descendant_of(last, first).map_err(|error| self.failed(&error))? {
            let (from, to, shallow) = (from.to_owned(), to.to_owned(), self.git.is_shallow());
            return Err(ChangeError::Unrelated { range, from, to, shallow });
        }
        Ok((first, last))
    }

    fn revision(&self, id: Oid, label: Option<&str>) -> Result<RowRevision, ChangeError> {
        let commit = self.git.find_commit(id).map_err(|error| self.failed(&error))?;
        let subject = commit.message_bytes().split(|byte| *byte == b'\n').find(|line| !line.is_empty());
        let subject = String::from_utf8_lossy(subject.unwrap_or_default()).trim().to_owned();
        let name = id.to_string();
        let label = label.map_or_else(|| name.chars().take(12).collect(), str::to_owned);
        let merges = commit.parent_id(1).ok().map(|parent| parent.to_string());
        Ok(RowRevision { label, commit: name, subject, merges })
    }

    fn failed(&self, error: &git2::Error) -> ChangeError {
        self.place.unreadable(error).into()
    }
}
