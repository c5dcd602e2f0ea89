//! Finds commits with the subject of a step: a hint, or evidence if the patch or the lines are the same too.

use std::cell::LazyCell;
use std::collections::BTreeSet;

use git2::Oid;

use super::backports::{Carrier, Carriers, UndoingSign, line_text, unseen};
use super::content::touches;
use super::copies::changes_a_copy;
use super::history::{CarrierPlace, History, short, whole};
use super::line_changes::{LineEffect, StepLines, line_effect};
use super::message::{Abbreviation, Mention, MentionKind};
use super::patch_id::patch_id;
use super::step_facts::subject_of;
use super::subject::{is_same, plain_subject, subject_hash};
use super::testimony::{How, PatchCompared};
use super::trailers::mentions;
use super::{GitError, commit};
use crate::matrix::Step;

/// The most commits with the same subject whose patches are compared.
const MOST_PATCHES: usize = 32;

pub(super) fn by_subject(
    history: &History,
    step: &Step,
    before: &[Abbreviation],
    carriers: &mut Carriers,
    seen: &mut BTreeSet<u32>,
) -> Result<(), GitError> {
    let git = history.repository.git();
    let Some(subject) = subject_of(step) else { return Ok(()) };
    let of = carriers.model;
    // This is lazy, because comparing two trees of Linux is the slowest part of a question, and few steps share their
    // subject with other commits.
    let model = LazyCell::new(|| of.and_then(|model| patch_id(git, model)));
    let mut compared = 0;
    for number in history.store.with_subject(subject_hash(&subject))? {
        if !history.has(number) || seen.contains(&number) || history.graph.parents(number).len() > 1 {
            continue;
        }
        let oid = history.sha(number)?;
        let message = history.message(oid);
        if !is_same(&plain_subject(commit::subject(&message)), &subject) {
            continue;
        }
        if !step.files.is_empty()
            && touches(git, oid, &step.files) == Some(false)
            && !changes_a_copy(git, oid, &step.files)
        {
            carriers.warnings.push(format!(
                "{} has the subject of the {} but changes none of its files: ignored",
                short(oid),
                step.role
            ));
            continue;
        }
        let what = line_effect(git, &carriers.patches, oid);
        if what.takes() {
            carriers.undoing.push((number, UndoingSign::of(what)));
            continue;
        }
        let said = mentions(&message);
        let mut fixes = said.iter().filter(|m| m.kind == MentionKind::Fixes);
        compared += 1;
        // A commit that upstream's descends from is an earlier attempt, and not its backport.
        let is_earlier = is_earlier_than(history, number, of)?;
        let patch = if compared > MOST_PATCHES { None } else { patch_id(git, oid) };
        let how = match (*model, patch) {
            (Some(model), Some(patch)) if !is_earlier && model == patch => How::SamePatch,
            _ if step.commit.is_none() && fixes.any(|m| before.iter().any(|name| name.agrees(m.commit))) => {
                How::SubjectAndFixes
            }
            _ if !is_earlier && carriers.model.is_some() && what == LineEffect::PutsIn => How::SameLines,
            _ if is_earlier => How::SameSubject { patch: PatchCompared::Earlier },
            (Some(_), Some(_)) => How::SameSubject { patch: PatchCompared::Different },
            _ => How::SameSubject { patch: PatchCompared::Unknown },
        };
        let other = if matches!(how, How::SamePatch | How::SameLines) {
            None
        } else {
            other_upstream(history, &said, &carriers.names)?
        };
        let how = match other {
            None => how,
            // Upstream applied the step again, as another commit.
            Some((other, line)) if model.is_some() && patch_id(git, other) == *model => {
                carriers.names.push(whole(other));
                How::Trailer { line }
            }
            Some((other, _)) => {
                let (this, role, other) = (short(oid), step.role, short(other));
                carriers
                    .warnings
                    .push(format!("{this} has the subject of the {role} but carries another commit, {other}: ignored"));
                continue;
            }
        };
        seen.insert(number);
        carriers.names.push(whole(oid));
        let is_unseen = unseen(history, oid, step, carriers);
        carriers.found.push(Carrier { place: CarrierPlace::Commit(number), how, is_unseen, contradicts: false });
        if carriers.patches.is_empty() {
            carriers.patches.extend(StepLines::of(git, oid, &step.files));
        }
    }
    Ok(())
}

fn is_earlier_than(history: &History, number: u32, model: Option<Oid>) -> Result<bool, GitError> {
    let Some(model) = model.map(|model| history.store.number(model)).transpose()?.flatten() else { return Ok(false) };
    Ok(number < model && history.graph.descendants(number).has(model))
}

/// The commit that a message claims to carry, if the repository has it and it is not the step; and the line.
fn other_upstream(
    history: &History,
    said: &[Mention],
    names: &[Abbreviation],
) -> Result<Option<(Oid, String)>, GitError> {
    for mention in said.iter().filter(|m| m.kind == MentionKind::Carries) {
        if names.iter().any(|name| name.agrees(mention.commit)) {
            continue;
        }
        if let Some(oid) = history.only(mention.commit)? {
            return Ok(Some((oid, line_text(mention.line))));
        }
    }
    Ok(None)
}
