//! The history of a revision, and queries on it.

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

/// The most names of one step to look for. Each stable line adds one.
const MOST_NAMES: usize = 2_000;

/// A revision and its ancestors.
pub(super) struct History<'a> {
    pub repository: &'a Repository,
    pub store: &'a IndexFile,
    pub graph: &'a Graph,
    /// The revision.
    pub commit: Oid,
    /// The revision and everything before it.
    pub ancestors: Rc<Bits>,
    /// The version in its Makefile.
    pub version: Option<MakefileVersion>,
    /// The packaging in its tree.
    pub packaging: Rc<Packaging>,
}

/// The place of a step or its revert.
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

    /// The bytes of a message; empty if the commit is gone by now.
    pub fn message(&self, oid: Oid) -> Vec<u8> {
        self.repository.git().commit(oid).map(|commit| commit.message.clone()).unwrap_or_default()
    }

    /// Twelve digits and the subject, for people.
    pub fn call(&self, oid: Oid) -> String {
        let message = self.message(oid);
        let subject: String = String::from_utf8_lossy(commit::subject(&message)).chars().take(120).collect();
        format!("{} (\"{subject}\")", short(oid))
    }

    /// Whether a commit's object names no parents, or is missing.
    pub fn is_root(&self, oid: Oid) -> bool {
        self.parents(oid).is_empty()
    }

    /// A parent that a commit's object names but the repository lacks.
    pub fn lost_parent(&self, oid: Oid) -> Option<Oid> {
        let odb = self.repository.git().raw().odb().ok()?;
        self.parents(oid).into_iter().find(|parent| !odb.exists(*parent))
    }

    /// The parents that a commit's object names. The effective parents omit those that a shallow clone lacks.
    fn parents(&self, oid: Oid) -> Vec<Oid> {
        self.repository.git().commit(oid).map(|commit| commit.named_parents.clone()).unwrap_or_default()
    }

    /// Whether a commit is a kernel.org release, by its tag and its subject.
    pub fn is_release(&self, number: u32) -> bool {
        self.store.tags().iter().any(|tag| tag.number == number && tag.is_release)
    }

    /// Whether the name in a message means this commit: it has enough digits, or no other commit of the repository fits
    /// it.
    pub fn is_meant(&self, said: Abbreviation, commit: Abbreviation) -> Result<bool, GitError> {
        if !said.agrees(commit) {
            return Ok(false);
        }
        Ok(said.is_enough() || self.only(said)?.is_some_and(|oid| whole(oid).agrees(commit)))
    }

    /// The only commit of the repository that fits a name.
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

    /// These names, and those of all commits that directly or indirectly claim to carry one of them.
    pub fn all_names(&self, names: Vec<Abbreviation>) -> Result<Vec<Abbreviation>, GitError> {
        let mut names = names;
        let mut seen: BTreeSet<Abbreviation> = names.iter().copied().collect();
        let mut at = 0;
        while at < names.len() && names.len() < MOST_NAMES {
            let name = names[at];
            at += 1;
            let undoing: BTreeSet<u32> = self.naming(name, &[MentionKind::Reverts])?.iter().map(|n| n.number).collect();
            for named in self.naming(name, &[MentionKind::Carries])? {
                // A revert that quotes its target's message does not carry the target.
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

/// Twelve digits, as in the kernel's `Fixes:` lines.
pub(super) fn short(oid: Oid) -> String {
    oid.to_string().chars().take(12).collect()
}
