//! What one item of a changelog says of a step.

use super::items::{Item, loose};
use crate::evidence::git::claims::mentions;
use crate::evidence::git::message::{Abbreviation, Kind};
use crate::evidence::git::subject::plain_subject;
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
    let subject = loose(&step.subject);
    let by_subject = item.loose.contains(&subject);
    let by_file = names_patch(&item.loose, &subject);
    let by_commit = commits(step).any(|commit| item.text.contains(commit.get(..DIGITS).unwrap_or(commit)));
    if !by_subject && !by_file && !by_commit {
        return None;
    }
    if by_subject && ends_subject(loose(&item.plain).strip_prefix(&subject)) {
        return Some(Says::In);
    }
    // `revert "x"`, as Red Hat writes it.
    let plain = item.plain.strip_prefix("revert").map_or_else(|| item.plain.clone(), |rest| format!("Revert{rest}"));
    if let Some(says) = undone(&plain, &subject, DEEPEST) {
        return Some(says);
    }
    if by_subject && takes_out(&item.loose, &subject) {
        return Some(Says::Out);
    }
    if (by_subject && takes_in(&item.loose, &subject)) || (by_file && !undoes(&item.text)) {
        return Some(Says::In);
    }
    let claimed = if by_commit { claims(&item.text, step) } else { None };
    claimed.or_else(|| undoes(&item.text).then_some(Says::Doubtful))
}

/// Whether the item names this CVE, and neither undoes anything nor denies it.
pub(super) fn names_cve(item: &Item, cve: &str) -> bool {
    let denies = ["not ", "n't ", "ignore", "disput", "false positive"].iter().any(|word| item.loose.contains(word));
    let mut at = item.text.match_indices(cve).map(|(at, _)| at + cve.len());
    let whole = at.any(|end| !item.text.get(end..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())));
    whole && !denies && !undoes(&item.text)
}

/// Whether this stands behind a subject: nothing, or at most what distributions put there: a name, a number, a full stop.
fn ends_subject(rest: Option<&str>) -> bool {
    let Some(rest) = rest else { return false };
    let rest = rest.trim_start_matches(['"', ')']);
    let rest = rest.strip_prefix('.').unwrap_or(rest).trim_end_matches([',', ';']);
    rest.is_empty() || [" (", " [", " {"].iter().any(|begin| rest.starts_with(begin))
}

/// Whether the subject stands in the item with no more before it than a ticket, a patch's name, a commit, or a word of
/// taking in: `CA-310001: 0002-x.patch: ec83921899a5 tcp: …`, `Backport "tcp: …"`.
fn takes_in(text: &str, subject: &str) -> bool {
    let found = text.match_indices(subject).filter(|(at, _)| ends_subject(text.get(at + subject.len()..)));
    found.filter_map(|(at, _)| text.get(..at)).any(|before| {
        before.ends_with([' ', '"', '(']) && before.split([':', ';']).all(|part| is_label(part) || is_taking(part))
    })
}

fn is_label(part: &str) -> bool {
    part.split_whitespace().all(|word| {
        let word = word.trim_matches(|c: char| "\"()[]{},.#".contains(c));
        let is_commit = word.len() >= 7 && word.bytes().all(|b| b.is_ascii_hexdigit());
        let is_ticket = word.split(['-', '#', '/']).all(|part| part.bytes().all(|b| b.is_ascii_alphanumeric()))
            && word.bytes().any(|b| b.is_ascii_digit());
        word.is_empty()
            || is_commit
            || is_ticket
            || is_patch(word)
            || ["commit", "upstream", "lp", "bug"].contains(&word)
    })
}

fn is_taking(part: &str) -> bool {
    const TAKING: [&str; 14] = [
        "add",
        "added",
        "adds",
        "apply",
        "applied",
        "backport",
        "backported",
        "backports",
        "cherry-pick",
        "cherry-picked",
        "include",
        "included",
        "import",
        "pick",
    ];
    const OTHERWISE: [&str; 9] =
        ["for", "because", "needed", "required", "before", "after", "without", "prerequisite", "not"];
    let mut words = part.split_whitespace().map(|word| word.trim_matches(['"', '(']));
    words.next().is_some_and(|first| TAKING.contains(&first)) && words.all(|word| !OTHERWISE.contains(&word))
}

/// Whether the item begins with a word of undoing, and the subject is what it undoes: `Back out tcp: …`,
/// `Revert: [net] tcp: …`, `Reverted the patch "tcp: …"`.
fn takes_out(text: &str, subject: &str) -> bool {
    const UNDOING: [&str; 9] =
        ["reverted", "reverts", "revert", "backed out", "back out", "backout", "undo", "unapply", "took out"];
    let Some(mut rest) = UNDOING.iter().find_map(|word| text.strip_prefix(word)) else { return false };
    loop {
        rest = rest.trim_start_matches([' ', ':', '"', '(']);
        if ends_subject(rest.strip_prefix(subject)) {
            return true;
        }
        let word = rest.split([' ', ':']).next().unwrap_or_default();
        let is_mark = word.starts_with('[') && word.ends_with(']');
        let is_passed =
            ["of", "the", "patch", "change", "commit", "upstream"].contains(&word) || is_mark || is_label(word);
        rest = match rest.strip_prefix(word) {
            Some(behind) if !word.is_empty() && is_passed => behind,
            _ => return false,
        };
    }
}

fn is_patch(word: &str) -> bool {
    [".patch", ".diff"].iter().any(|end| word.ends_with(end))
}

/// Whether a file is named that `git format-patch` makes of this subject, cut off or not.
fn names_patch(text: &str, subject: &str) -> bool {
    const SHORTEST: usize = 30;
    if !text.contains(".patch") && !text.contains(".diff") {
        return false;
    }
    let kept = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let slug = subject.split(|c| !kept(c)).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
    text.split([' ', ',', ':', '(', ')', '"']).filter(|word| is_patch(word)).any(|word| {
        let file = word.rsplit('/').next().unwrap_or(word);
        let name = file.rsplit_once('.').map_or(file, |(name, _)| name);
        let numbered = name.split_once('-').filter(|(n, _)| n.bytes().all(|b| b.is_ascii_digit()));
        let name = numbered.map_or(name, |(_, name)| name);
        name == slug || (name.len() >= SHORTEST && slug.starts_with(name))
    })
}

/// What a revert says of this subject, or a revert of a revert. Trees' marks stand in the quotation too.
fn undone(plain: &str, subject: &str, deepest: usize) -> Option<Says> {
    let reverted = reverted_subjects(plain);
    if reverted.iter().any(|reverted| loose(&plain_subject(reverted.as_bytes())) == subject) {
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
        Kind::Fixes | Kind::Names | Kind::MayCarry => None,
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
    says_so(text) || ["drop", "remov", "disabl", "delet"].iter().any(|word| lower.contains(word))
}
