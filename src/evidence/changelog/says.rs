//! What one item of a changelog says of a step.

use super::items::Item;
use crate::evidence::git::message::{Abbreviation, Kind, mentions};
use crate::evidence::git::undoing::{reverted_subjects, says_so};
use crate::matrix::Step;

/// What is said of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Says {
    /// It was put in.
    In,
    /// It was taken out.
    Out,
    /// It is spoken of beside a word of undoing.
    Doubtful,
}

/// How deep reverts of reverts are followed.
const DEEPEST: usize = 8;
/// The digits of a commit that are looked for: what every name of one begins with that is taken at its word.
const DIGITS: usize = 12;

/// What the item says of the step; none where it does not speak of it, or only in passing.
pub(super) fn of_step(item: &Item, step: &Step) -> Option<Says> {
    let by_subject = item.text.contains(&step.subject);
    let by_commit = commits(step).any(|commit| item.text.contains(commit.get(..DIGITS).unwrap_or(commit)));
    if !by_subject && !by_commit {
        return None;
    }
    if by_subject && is_subject(&item.plain, &step.subject) {
        return Some(Says::In);
    }
    // `revert "x"`, as Red Hat writes it.
    let plain = item.plain.strip_prefix("revert").map_or_else(|| item.plain.clone(), |rest| format!("Revert{rest}"));
    if let Some(says) = undone(&plain, &step.subject, DEEPEST) {
        return Some(says);
    }
    let claimed = if by_commit { claims(&item.text, step) } else { None };
    claimed.or_else(|| undoes(&item.text).then_some(Says::Doubtful))
}

/// Whether the item is the subject, and at most what distributions put behind one: a name, a number, a full stop.
fn is_subject(plain: &str, subject: &str) -> bool {
    let Some(rest) = plain.strip_prefix(subject) else { return false };
    let rest = rest.strip_prefix('.').unwrap_or(rest);
    rest.is_empty() || [" (", " [", " {"].iter().any(|begin| rest.starts_with(begin))
}

/// What a revert says of this subject, or a revert of a revert.
fn undone(plain: &str, subject: &str, deepest: usize) -> Option<Says> {
    let reverted = reverted_subjects(plain);
    if reverted.iter().any(|reverted| reverted == subject) {
        return Some(Says::Out);
    }
    let deepest = deepest.checked_sub(1)?;
    reverted.iter().find_map(|reverted| undone(reverted, subject, deepest)).map(|says| match says {
        Says::In => Says::Out,
        Says::Out => Says::In,
        Says::Doubtful => says,
    })
}

/// What the item claims of the step's commits, in the words that messages of commits have for it.
fn claims(text: &str, step: &Step) -> Option<Says> {
    let commits: Vec<Abbreviation> = commits(step).filter_map(|c| Abbreviation::parse(c.as_bytes())).collect();
    // A message's first line claims nothing.
    let message = format!("-\n\n{text}");
    let message = mentions(message.as_bytes());
    let mut of_step = message.iter().filter(|m| m.commit.is_enough() && commits.iter().any(|c| c.agrees(m.commit)));
    of_step.find_map(|mention| match mention.kind {
        Kind::Carries => Some(Says::In),
        Kind::Reverts => Some(Says::Out),
        Kind::RevertsMerge | Kind::RevertsPartly | Kind::MayRevert => Some(Says::Doubtful),
        Kind::Fixes | Kind::Names => None,
    })
}

/// The names under which the step is known: upstream's, and those of its backports that are the same patch.
fn commits(step: &Step) -> impl Iterator<Item = &str> {
    let backports = step.backports.iter().filter(|backport| !backport.differs).map(|backport| &backport.commit);
    step.commit.iter().chain(backports).map(|commit| commit.as_str())
}

/// Whether there is a word of undoing, or one that packagers have for it.
fn undoes(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    says_so(text) || ["drop", "remov", "disabl"].iter().any(|word| lower.contains(word))
}
