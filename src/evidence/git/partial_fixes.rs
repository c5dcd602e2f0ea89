//! Finds fixes that are in the history but only partly in the files.
//!
//! A claimed backport can have half of the content, and a later commit can silently weaken a fix. kernel.org's releases
//! are trusted, because their code evolves and the dossiers know them.

use std::collections::HashSet;

use git2::Oid;

use super::GitError;
use super::answer::StepSearch;
use super::backports::Carrier;
use super::content::{changed_lines, changes_code, has_any, is_comment, lines_at, touches};
use super::history::{CarrierPlace, History, short};
use super::index_format::GitTag;
use super::patch_id::patch_id;
use super::testimony::How;
use super::traces::StepPlaces;
use crate::words::Role;

type LineSet = HashSet<Vec<u8>>;

/// The state of a fix in the files.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FixInFiles {
    /// Nothing contradicts it.
    None,
    /// It may be in, with the reason for the doubt.
    Doubtful(String),
    /// Lines that it removed are back, with one of them.
    Undone(String),
    /// Unknown, because the commit has only a part of the fix, with the reason.
    Open(String),
}

/// Compares the files with the result of the commit of `carrier`, which is the step `one`. `all` are the chain's steps.
pub(super) fn erosion(
    history: &History,
    one: &StepSearch,
    carrier: &Carrier,
    all: &[StepSearch],
    places: &StepPlaces,
) -> Result<FixInFiles, GitError> {
    let CarrierPlace::Commit(number) = carrier.place else { return Ok(FixInFiles::None) };
    let (git, oid, role) = (history.repository.git(), history.sha(number)?, one.step.role);
    let release = last_release(history, number)?;
    let model = one.carriers.model.filter(|model| *model != oid);
    let is_claim = matches!(carrier.how, How::Trailer { .. } | How::SameSubject { .. });
    let (mut compared, mut code, mut partly) = (false, false, false);
    let (mut weaker, mut undone) = (None, None);
    let (mut left_out, mut lacked, mut there, mut of_upstream) = (None, None, 0, 0);
    for file in &one.step.files {
        let one_file = std::slice::from_ref(file);
        let upstream_changes = |model| touches(git, model, one_file) == Some(true);
        if is_claim
            && model.is_some_and(upstream_changes)
            && touches(git, oid, one_file) == Some(false)
            && has_any(git, oid, one_file)
        {
            left_out = left_out.or(Some(file));
        }
        // A new or missing file cannot be compared.
        let own = places.path_at(git, oid, file);
        let Some([added, removed]) = changed_lines(git, oid, own) else { continue };
        compared = true;
        let (after, here) = (lines_at(git, oid, own), lines_at(git, history.commit, places.path(file)));
        let released = release.map(|release| lines_at(git, release, places.path_at(git, release, file)));
        code |= is_claim && changes_code(git, oid, own) != Some(false);
        let earlier = earlier_lines(history, one, all, file)?;
        let before: LineSet = earlier.iter().flat_map(|(_, lines)| lines).chain(&removed).cloned().collect();
        // Comments may be rewritten at any time.
        let is_back = |line: &&Vec<u8>| {
            here.contains(*line)
                && !is_comment(line)
                && !after.contains(*line)
                && released.as_ref().is_none_or(|lines| !lines.contains(*line))
        };
        undone = undone.or_else(|| before.iter().find(is_back).cloned());
        let is_gone = |line: &&Vec<u8>| {
            !here.contains(*line) && !is_comment(line) && released.as_ref().is_none_or(|lines| lines.contains(*line))
        };
        weaker = weaker.or_else(|| added.iter().find(is_gone).cloned());
        if is_claim {
            // The lines of the half fix. The fix keeps half of them.
            let half = earlier.iter().filter(|(role, _)| *role == Role::HalfFix).flat_map(|(_, lines)| lines);
            partly |= half.clone().any(|line| after.contains(line)) && half.clone().any(|line| removed.contains(line));
            if let Some([adds, removes]) = model.and_then(|model| changed_lines(git, model, file)) {
                there += adds.iter().filter(|line| after.contains(*line)).count();
                of_upstream += adds.len();
                lacked =
                    lacked.or_else(|| adds.iter().find(|line| !after.contains(*line) && !is_comment(line)).cloned());
                let lacks = adds.iter().any(|line| !after.contains(line));
                undone = undone.or_else(|| removes.into_iter().find(|line| lacks && after.contains(line)));
            }
        }
    }
    let name = short(oid);
    if let Some(line) = undone {
        let line = say(&line);
        return Ok(FixInFiles::Undone(format!(
            "the {role} is in the history as {name}, but the files have \u{201c}{line}\u{201d}, a line from before it"
        )));
    }
    if let Some(file) = left_out {
        return Ok(FixInFiles::Open(format!(
            "{name} says that it carries the {role} but does not change {file}, which upstream changes"
        )));
    }
    if there > 0 && there * 2 < of_upstream {
        return Ok(FixInFiles::Open(format!(
            "{name} says that it carries the {role} but has only {there} of the {of_upstream} lines that upstream adds"
        )));
    }
    let same = || model.is_some_and(|model| patch_id(git, model).is_some_and(|id| Some(id) == patch_id(git, oid)));
    let doubt = match weaker {
        Some(line) => {
            format!(
                "the {role} is in the history as {name}, but the files lack its line \u{201c}{}\u{201d}",
                say(&line)
            )
        }
        None if is_claim && compared && !code && !same() => {
            format!("{name} says that it carries the {role} but changes only comments in its files")
        }
        // A different spelling is harmless, but a commit without one of the lines is half of the fix.
        None if there > 0 && lacked.is_some() => format!(
            "{name} says that it carries the {role} but lacks the line \u{201c}{}\u{201d} that upstream adds",
            say(&lacked.unwrap_or_default())
        ),
        None if partly => format!("{name} says that it carries the {role} but leaves a part of the half-fix unchanged"),
        None => return Ok(FixInFiles::None),
    };
    Ok(FixInFiles::Doubtful(doubt))
}

pub(super) fn say(line: &[u8]) -> String {
    String::from_utf8_lossy(line).chars().filter(|c| !c.is_control()).take(80).collect()
}

/// The lines that each earlier step in this history added to a file.
fn earlier_lines(
    history: &History,
    one: &StepSearch,
    all: &[StepSearch],
    file: &str,
) -> Result<Vec<(Role, LineSet)>, GitError> {
    let mut found = Vec::new();
    for earlier in all.iter().filter(|other| other.step.role < one.step.role) {
        let carriers = earlier.carriers.found.iter().filter(|_| earlier.step.files.iter().any(|own| own == file));
        for carrier in carriers {
            if let CarrierPlace::Commit(number) = carrier.place
                && let Some([added, _]) = changed_lines(history.repository.git(), history.sha(number)?, file)
            {
                found.push((earlier.step.role, added));
            }
        }
    }
    Ok(found)
}

/// The last kernel.org release in this history that contains a commit.
pub(super) fn last_release(history: &History, number: u32) -> Result<Option<Oid>, GitError> {
    let after = history.graph.descendants(number);
    let is_later =
        |tag: &&GitTag| tag.is_release && tag.number != number && history.has(tag.number) && after.has(tag.number);
    let last = history.store.tags().iter().filter(is_later).max_by_key(|tag| (tag.time, tag.number));
    last.map(|tag| history.sha(tag.number)).transpose()
}
