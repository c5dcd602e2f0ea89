//! A revision with all that leads to it, and the questions that the repository and its index answer about that.

use std::collections::BTreeSet;
use std::rc::Rc;

use git2::Oid;

use super::graph::{Bits, Graph};
use super::index_file::IndexFile;
use super::index_format::Named;
use super::message::{Abbreviation, MentionKind};
use super::packaging::Packaging;
use super::repository::Repository;
use super::{GitError, MakefileVersion, commit};

/// The most names under which one step is looked for: each stable line gives it one.
const MOST_NAMES: usize = 2_000;

/// A revision and all that leads to it.
pub(super) struct History<'a> {
    pub repository: &'a Repository,
    pub store: &'a IndexFile,
    pub graph: &'a Graph,
    /// The revision.
    pub commit: Oid,
    /// It, and everything before it.
    pub ancestors: Rc<Bits>,
    /// What its Makefile says.
    pub version: Option<MakefileVersion>,
    /// What the packaging in its tree lays over it.
    pub packaging: Rc<Packaging>,
}

/// Where a step, or its revert, stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum CarrierPlace {
    /// In the history.
    Commit(u32),
    /// In the series of patches over it, at this position.
    Patch(usize),
}

impl History<'_> {
    pub fn has(&self, number: u32) -> bool {
        self.ancestors.has(number)
    }

    pub fn sha(&self, number: u32) -> Result<Oid, GitError> {
        let row = self.store.commit(number)?;
        let sha = row.and_then(|(sha, _)| Oid::from_bytes(&sha).ok());
        sha.ok_or_else(|| self.repository.damaged(self.commit, "the index does not know one of its ancestors"))
    }

    /// The bytes of a message. Empty where the commit is gone by now.
    pub fn message(&self, oid: Oid) -> Vec<u8> {
        self.repository.git().commit(oid).map(|commit| commit.message.clone()).unwrap_or_default()
    }

    /// Twelve digits and the subject, for people.
    pub fn call(&self, oid: Oid) -> String {
        let message = self.message(oid);
        let subject: String = String::from_utf8_lossy(commit::subject(&message)).chars().take(120).collect();
        format!("{} (\"{subject}\")", short(oid))
    }

    /// Whether a commit's object names no parents, or is not here.
    pub fn is_root(&self, oid: Oid) -> bool {
        self.parents(oid).is_empty()
    }

    /// A parent that a commit's object names, and the repository lacks.
    pub fn lost_parent(&self, oid: Oid) -> Option<Oid> {
        let odb = self.repository.git().raw().odb().ok()?;
        self.parents(oid).into_iter().find(|parent| !odb.exists(*parent))
    }

    /// The parents that a commit's object names. Those that are shown leave out what a shallow clone lacks.
    fn parents(&self, oid: Oid) -> Vec<Oid> {
        self.repository.git().commit(oid).map(|commit| commit.named_parents.clone()).unwrap_or_default()
    }

    /// Whether a commit is one of kernel.org's releases: it has the release's tag, and the subject that they have.
    pub fn is_release(&self, number: u32) -> bool {
        self.store.tags().iter().any(|tag| tag.number == number && tag.is_release)
    }

    /// Whether the name that a message gives can be taken for this commit's: it has digits enough, or it is the only
    /// commit of the repository that begins so.
    pub fn is_meant(&self, said: Abbreviation, commit: Abbreviation) -> Result<bool, GitError> {
        if !said.agrees(commit) {
            return Ok(false);
        }
        Ok(said.is_enough() || self.only(said)?.is_some_and(|oid| whole(oid).agrees(commit)))
    }

    /// The only commit of the repository whose name begins so.
    pub fn only(&self, name: Abbreviation) -> Result<Option<Oid>, GitError> {
        match self.store.starting(name)?.as_slice() {
            [number] => self.sha(*number).map(Some),
            _ => Ok(None),
        }
    }

    /// The commits that name this one in this way, anywhere in the repository.
    pub fn naming(&self, commit: Abbreviation, kinds: &[MentionKind]) -> Result<Vec<Named>, GitError> {
        let mut named = Vec::new();
        for one in self.store.naming(commit)? {
            if kinds.contains(&one.kind) && one.number < self.graph.len() && self.is_meant(one.commit, commit)? {
                named.push(one);
            }
        }
        Ok(named)
    }

    /// These names, and those of all commits that say that they carry one of them, and so on.
    pub fn all_names(&self, names: Vec<Abbreviation>) -> Result<Vec<Abbreviation>, GitError> {
        let mut names = names;
        let mut seen: BTreeSet<Abbreviation> = names.iter().copied().collect();
        let mut at = 0;
        while at < names.len() && names.len() < MOST_NAMES {
            let name = names[at];
            at += 1;
            let undoing: BTreeSet<u32> = self.naming(name, &[MentionKind::Reverts])?.iter().map(|n| n.number).collect();
            for named in self.naming(name, &[MentionKind::Carries])? {
                // A revert that quotes the message of what it reverts does not carry it.
                let sha = whole(self.sha(named.number)?);
                if !undoing.contains(&named.number) && seen.insert(sha) {
                    names.push(sha);
                }
            }
        }
        Ok(names)
    }
}

pub(super) fn whole(oid: Oid) -> Abbreviation {
    let mut bytes = [0; 20];
    bytes.copy_from_slice(oid.as_bytes());
    Abbreviation::whole(bytes)
}

/// Twelve digits, as the kernel's own `Fixes:` lines have.
pub(super) fn short(oid: Oid) -> String {
    oid.to_string().chars().take(12).collect()
}
