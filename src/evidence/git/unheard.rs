//! Commits that speak of a step and claim nothing that is understood.
//!
//! There is no end to the words in which a backport can say what it is, so a step is only taken to be absent where
//! nothing in the history that changes its files speaks of it at all.

use std::collections::BTreeSet;

use super::ask::Found;
use super::carriers::{History, Place, is_elsewhere, whole};
use super::message::{Abbreviation, Kind, Mention, mentions, plain_subject, subject_hash, unclaimed};
use super::undoing::reverted_subjects;
use super::{GitError, commit};
use crate::words::Role;

/// The most commits that are looked at for one step.
const MOST: usize = 256;

/// A commit of this history that changes the files of `one`, which has no carrier, and names it, or says that it fixes
/// what `one` repairs. None where the history is silent.
pub(super) fn speaks_of(history: &History, one: &Found, all: &[Found]) -> Result<Option<u32>, GitError> {
    let subject = plain_subject(one.step.subject.as_bytes());
    let mut numbers = BTreeSet::new();
    for name in &one.carriers.names {
        numbers.extend(naming(history, *name, &[Kind::Names, Kind::Fixes, Kind::Carries])?);
    }
    numbers.extend(history.store.quoting_subject(subject_hash(&subject))?);
    if one.step.role != Role::Break {
        for earlier in all.iter().filter(|other| other.step.role < one.step.role) {
            for name in &earlier.carriers.names {
                numbers.extend(naming(history, *name, &[Kind::Fixes])?);
            }
        }
    }
    for name in numbers.iter().copied().filter(|number| history.has(*number)).take(MOST).collect::<Vec<_>>() {
        if !is_step(history, name, all)? && is_news(history, name, one, all)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The commits that name this one so, or may: digits that begin another commit of the repository are that one's.
fn naming(history: &History, name: Abbreviation, kinds: &[Kind]) -> Result<Vec<u32>, GitError> {
    let mut found = Vec::new();
    for said in history.store.naming(name)?.into_iter().filter(|said| kinds.contains(&said.kind)) {
        let other = history.only(said.commit)?.is_some_and(|oid| !whole(oid).agrees(name));
        found.extend((!other && said.number < history.graph.len()).then_some(said.number));
    }
    Ok(found)
}

fn is_step(history: &History, number: u32, all: &[Found]) -> Result<bool, GitError> {
    let name = whole(history.sha(number)?);
    Ok(all.iter().any(|one| {
        let carries = one.carriers.found.iter().any(|carrier| carrier.place == Place::Commit(number));
        carries || one.carriers.undoing.contains(&number) || one.carriers.names.contains(&name)
    }))
}

/// Whether a commit can be the step for all that is known: it changes the step's files, is in no release of kernel.org,
/// undoes nothing, and does not repeat the words of the commit that it carries.
fn is_news(history: &History, number: u32, one: &Found, all: &[Found]) -> Result<bool, GitError> {
    let oid = history.sha(number)?;
    let message = history.message(oid);
    let said = mentions(&message);
    let undoes = said.iter().any(|m| matches!(m.kind, Kind::Reverts | Kind::RevertsMerge | Kind::RevertsPartly))
        || !reverted_subjects(&plain_subject(commit::subject(&message))).is_empty();
    if message.is_empty() || undoes || history.graph.parents(number).len() > 1 {
        return Ok(false);
    }
    if super::content::is_empty(history.repository.git(), oid) || is_elsewhere(history, oid, one.step) {
        return Ok(false);
    }
    for other in said.iter().filter(|mention| mention.kind == Kind::Carries) {
        let Some(other) = history.only(other.commit)? else { continue };
        let text = history.message(other);
        let speaks = |commit: Abbreviation| one.carriers.names.iter().any(|name| name.agrees(commit));
        let its_own = mentions(&text);
        let repairs = |mention: &Mention| {
            let mut earlier = all.iter().filter(|other| other.step.role < one.step.role);
            let is_it = |other: &Found| other.carriers.names.iter().any(|name| name.agrees(mention.commit));
            mention.kind == Kind::Fixes && earlier.any(is_it)
        };
        let names_it = its_own.iter().any(|mention| speaks(mention.commit))
            || unclaimed(&text, &its_own).into_iter().any(speaks)
            || String::from_utf8_lossy(&text).contains(&one.step.subject)
            || its_own.iter().any(repairs);
        if other != oid && names_it {
            return Ok(false);
        }
    }
    Ok(!is_released(history, number))
}

/// Whether a release of kernel.org has a commit. What such a release took is known.
fn is_released(history: &History, number: u32) -> bool {
    let after = history.graph.descendants(number);
    history.store.tags().iter().any(|tag| tag.is_release && after.has(tag.number))
}
