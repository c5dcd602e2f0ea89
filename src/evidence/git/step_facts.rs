//! Completes a chain that names only commits. The upstream commit is the step, so its subject and its files are the
//! step's.

use std::borrow::Cow;
use std::collections::BTreeSet;

use git2::Oid;

use super::backports::Carrier;
use super::history::{CarrierPlace, History};
use super::line_changes::changed_files;
use super::message::Abbreviation;
use super::objects::Objects;
use super::subject::plain_subject;
use super::{GitError, commit};
use crate::matrix::{Bug, Step};
use crate::words::CommitId;

/// Folders and files that no kernel is compiled from. Backports often omit their changes.
const NOT_COMPILED: [&str; 5] = ["Documentation/", "tools/", "samples/", "MAINTAINERS", "CREDITS"];

/// The bug, with the subjects and files that the dossier omits. Only the upstream commit tells the subject. The files can
/// also be those of a backport.
pub(super) fn completed<'b>(history: &History, bug: &'b Bug) -> Result<Cow<'b, Bug>, GitError> {
    let mut bug = Cow::Borrowed(bug);
    for at in 0..bug.chain.len() {
        let step = &bug.chain[at];
        if step.subject.is_some() && !step.files.is_empty() {
            continue;
        }
        let (mut subject, mut files) = (step.subject.clone(), step.files.clone());
        let upstream = step.commit.as_ref().and_then(named).map(|name| history.only(name)).transpose()?.flatten();
        if let (None, Some(oid)) = (&subject, upstream) {
            let own = String::from_utf8_lossy(commit::subject(&history.message(oid))).trim().to_owned();
            subject = Some(own).filter(|own| !plain_subject(own.as_bytes()).is_empty());
        }
        if files.is_empty() {
            let git = history.repository.git();
            files = upstream.map(|oid| files_of(git, oid)).unwrap_or_default();
            if files.is_empty() {
                let mut others = backports_of(history, step)?.into_iter().map(|oid| files_of(git, oid));
                files = others.find(|files| !files.is_empty()).unwrap_or_default();
            }
        }
        let step = &mut bug.to_mut().chain[at];
        (step.subject, step.files) = (subject, files);
    }
    Ok(bug)
}

fn named(commit: &CommitId) -> Option<Abbreviation> {
    Abbreviation::parse(commit.as_str().as_bytes())
}

/// The commits that are backports of a step: those that the dossier knows, and then those in this history that say so.
fn backports_of(history: &History, step: &Step) -> Result<Vec<Oid>, GitError> {
    let known = step.backports.iter().filter(|backport| !backport.differs).map(|backport| &backport.commit);
    let known: Vec<Abbreviation> = known.filter_map(named).collect();
    let names = step.commit.as_ref().and_then(named).into_iter().chain(known.iter().copied()).collect();
    let mut found = Vec::new();
    for name in history.all_names(names)? {
        let Some(oid) = history.only(name)? else { continue };
        let is_known = known.iter().any(|known| known.agrees(name));
        let is_here = || Ok::<_, GitError>(history.store.number(oid)?.is_some_and(|number| history.has(number)));
        if is_known || is_here()? {
            found.push(oid);
        }
    }
    Ok(found)
}

/// The files that a commit changes; empty if they are too many, or can't be seen.
fn files_of(git: &Objects, oid: Oid) -> Vec<String> {
    if git.commit(oid).is_none_or(|commit| commit.parents.len() != 1) {
        return Vec::new();
    }
    let mut files = changed_files(git, oid).unwrap_or_default();
    let is_compiled = |file: &String| !NOT_COMPILED.iter().any(|begin| file.starts_with(begin));
    if files.iter().any(is_compiled) {
        files.retain(is_compiled);
    }
    files
}

/// The plain subjects by which reverts name a step: its own, or if that is unknown, those of its carriers.
pub(super) fn subjects(history: &History, step: &Step, carriers: &[Carrier]) -> Result<Vec<String>, GitError> {
    if let Some(subject) = subject_of(step) {
        return Ok(vec![subject]);
    }
    let mut subjects = BTreeSet::new();
    for carrier in carriers {
        subjects.insert(match carrier.place {
            CarrierPlace::Commit(number) => plain_subject(commit::subject(&history.message(history.sha(number)?))),
            CarrierPlace::Patch(at) => history.packaging.patches[at].subject.clone(),
        });
    }
    Ok(subjects.into_iter().filter(|subject| !subject.is_empty()).collect())
}

/// A step's plain subject, if it is known.
pub(super) fn subject_of(step: &Step) -> Option<String> {
    step.subject.as_ref().map(|subject| plain_subject(subject.as_bytes()))
}

/// Why the absence of a step proves nothing; none if its subject is known.
pub(super) fn unknown_subject(step: &Step) -> Option<String> {
    let (None, Some(commit)) = (&step.subject, &step.commit) else { return None };
    let (role, commit) = (step.role, commit.as_str().get(..12).unwrap_or(commit.as_str()));
    Some(format!(
        "the dossier names the {role} only by its commit {commit}, which the repository lacks, so a commit with its \
         subject alone goes unseen: add the `subject`, or fetch the commit"
    ))
}

/// Whether nothing but words can show whether a step stands: neither its subject nor its files are known.
pub(super) fn rests_on_names(step: &Step) -> bool {
    step.subject.is_none() && step.files.is_empty()
}

/// The upstream commit of a step in twelve digits, or its subject, to tell steps of one role apart.
pub(super) fn called(step: &Step) -> String {
    match (&step.commit, &step.subject) {
        (Some(commit), _) => commit.as_str().chars().take(12).collect(),
        (None, Some(subject)) => format!("\"{subject}\""),
        (None, None) => String::new(),
    }
}
