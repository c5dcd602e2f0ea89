//! Finds commits that mention a step without a clear claim.
//!
//! A backport can use any words. So a step counts as absent only if no commit that changes its files mentions it at
//! all.

use std::collections::BTreeSet;

use super::answer::StepSearch;
use super::backports::is_elsewhere;
use super::history::{CarrierPlace, History, whole};
use super::line_changes::line_effect;
use super::message::{Abbreviation, Mention, MentionKind, unclaimed};
use super::step_facts::subject_of;
use super::subject::{is_same, plain_subject, subject_hash};
use super::subject_forms::reverted_subjects;
use super::trailers::mentions;
use super::{GitError, commit};
use crate::words::Role;

/// The most commits to look at for one step.
const MOST: usize = 256;

/// A commit of this history, or a patch on it, that changes the files of `one`, which has no carrier, and names it, or
/// claims to fix the same commit. None if there is no such mention.
pub(super) fn speaks_of(
    history: &History,
    one: &StepSearch,
    all: &[StepSearch],
    cves: &[&str],
) -> Result<Option<CarrierPlace>, GitError> {
    let mut numbers = BTreeSet::new();
    let mut claiming = BTreeSet::new();
    for name in &one.carriers.names {
        numbers.extend(naming(history, *name, &[MentionKind::Names, MentionKind::Fixes, MentionKind::Carries])?);
        claiming.extend(naming(history, *name, &[MentionKind::MayCarry])?);
    }
    numbers.extend(&claiming);
    if let Some(subject) = subject_of(one.step) {
        numbers.extend(history.store.quoting_subject(subject_hash(&subject))?);
    }
    for cve in cves {
        numbers.extend(history.store.quoting_subject(subject_hash(cve))?);
    }
    if one.step.role != Role::Break {
        for earlier in all.iter().filter(|other| other.step.role < one.step.role) {
            for name in &earlier.carriers.names {
                numbers.extend(naming(history, *name, &[MentionKind::Fixes])?);
            }
        }
    }
    for number in numbers.into_iter().filter(|number| history.has(*number)).take(MOST) {
        let is_claim = claiming.contains(&number);
        // A commit that carries one step may say that it carries others.
        let is_known = match is_claim {
            true => one.carriers.undoing.iter().any(|(undoing, _)| *undoing == number),
            false => is_step(history, number, all)?,
        };
        if !is_known && is_news(history, number, one, all, is_claim)? {
            return Ok(Some(CarrierPlace::Commit(number)));
        }
    }
    let speaks = |(kind, said, _): &(MentionKind, Abbreviation, String)| {
        matches!(kind, MentionKind::Names | MentionKind::Fixes | MentionKind::MayCarry)
            && one.carriers.names.iter().any(|name| name.agrees(*said))
    };
    let is_news = |at: &usize| {
        let patch = &history.packaging.patches[*at];
        let is_step =
            all.iter().any(|one| one.carriers.found.iter().any(|found| found.place == CarrierPlace::Patch(*at)));
        !is_step
            && patch.is_applied
            && patch.changes(&one.step.files)
            && (patch.mentions.iter().any(speaks) || patch.cves.iter().any(|cve| cves.contains(&cve.as_str())))
    };
    Ok((0..history.packaging.patches.len()).find(is_news).map(CarrierPlace::Patch))
}

/// The commits that may name this one in this way. A short name that fits another commit of the repository means that
/// one.
fn naming(history: &History, name: Abbreviation, kinds: &[MentionKind]) -> Result<Vec<u32>, GitError> {
    let mut found = Vec::new();
    for said in history.store.naming(name)?.into_iter().filter(|said| kinds.contains(&said.kind)) {
        let other = history.only(said.commit)?.is_some_and(|oid| !whole(oid).agrees(name));
        found.extend((!other && said.number < history.graph.len()).then_some(said.number));
    }
    Ok(found)
}

fn is_step(history: &History, number: u32, all: &[StepSearch]) -> Result<bool, GitError> {
    let name = whole(history.sha(number)?);
    Ok(all.iter().any(|one| {
        let carries = one.carriers.found.iter().any(|carrier| carrier.place == CarrierPlace::Commit(number));
        let undoes = one.carriers.undoing.iter().any(|(undoing, _)| *undoing == number);
        carries || undoes || one.carriers.names.contains(&name)
    }))
}

/// Whether a commit may be the step: it changes the step's files, does not revert it, does not only repeat the message
/// of the commit that it carries, and is in no kernel.org release, unless it claims the step or has lines of it.
fn is_news(
    history: &History,
    number: u32,
    one: &StepSearch,
    all: &[StepSearch],
    is_claim: bool,
) -> Result<bool, GitError> {
    let oid = history.sha(number)?;
    let message = history.message(oid);
    let said = mentions(&message);
    let is_it = |commit: Abbreviation| one.carriers.names.iter().any(|name| name.agrees(commit));
    let reverts =
        |m: &Mention| matches!(m.kind, MentionKind::Reverts | MentionKind::RevertsMerge | MentionKind::RevertsPartly);
    let subject = subject_of(one.step);
    let is_own = |plain: &str| subject.as_ref().is_some_and(|own| is_same(plain, own));
    let undone = reverted_subjects(&plain_subject(commit::subject(&message)));
    let undoes = !is_claim
        && (said.iter().any(|m| reverts(m) && is_it(m.commit))
            || undone.iter().any(|undone| is_own(&plain_subject(undone.as_bytes()))));
    if message.is_empty() || undoes || history.graph.parents(number).len() > 1 {
        return Ok(false);
    }
    if super::content::is_empty(history.repository.git(), oid) || is_elsewhere(history, oid, one.step) {
        return Ok(false);
    }
    for other in said.iter().filter(|mention| mention.kind == MentionKind::Carries) {
        let Some(other) = history.only(other.commit)? else { continue };
        let text = history.message(other);
        let speaks = |commit: Abbreviation| one.carriers.names.iter().any(|name| name.agrees(commit));
        let its_own = mentions(&text);
        let repairs = |mention: &Mention| {
            let mut earlier = all.iter().filter(|other| other.step.role < one.step.role);
            let is_it = |other: &StepSearch| other.carriers.names.iter().any(|name| name.agrees(mention.commit));
            mention.kind == MentionKind::Fixes && earlier.any(is_it)
        };
        let names_it = its_own.iter().any(|mention| speaks(mention.commit))
            || unclaimed(&text, &its_own).into_iter().any(speaks)
            || one.step.subject.as_ref().is_some_and(|subject| String::from_utf8_lossy(&text).contains(subject))
            || its_own.iter().any(repairs);
        if other != oid && names_it {
            return Ok(false);
        }
    }
    // The dossiers know what kernel.org's releases have, except for squashed commits.
    let has_lines = || line_effect(history.repository.git(), &one.carriers.patches, oid).puts();
    Ok(is_claim || !is_released(history, number) || has_lines())
}

/// Whether a kernel.org release has a commit. The content of such releases is known.
fn is_released(history: &History, number: u32) -> bool {
    let after = history.graph.descendants(number);
    history.store.tags().iter().any(|tag| tag.is_release && after.has(tag.number))
}
