//! Parses the statement of a changelog's item about a step.
//!
//! An item counts only if all text around the subject is understood. Tickets, names and marks of trees are ignored, and
//! a verb names the action. Any other text leaves the step open.

use super::items::{ChangelogItem, loose};
use crate::evidence::git::message::{Abbreviation, MentionKind};
use crate::evidence::git::subject::is_mark;
use crate::evidence::git::subject_forms::{Verb, leading_verb, turns_meaning};
use crate::evidence::git::trailers::mentions;
use crate::matrix::Step;

/// An item's statement about a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ItemSays {
    In,
    Out,
    /// It mentions the step with words that change the meaning.
    Doubtful,
}

/// The number of digits to look for. Shorter names are not trusted.
const DIGITS: usize = 12;
/// Suffixes of patch files.
const PATCH_ENDS: [&str; 2] = [".patch", ".diff"];
/// Words that say that a patch was added.
const TAKING: &str = "add added adds apply applied applies backport backported backports cherry-pick cherry-picked \
    cherry-picks cherrypick include included includes import imported imports pick picked refresh refreshed update updated";
/// Words that may follow them.
const FILLING: &str = "the a patch patches fix fixes change changes commit commits from of to in and upstream mainline \
    stable linus linux kernel backport backported";
/// Meaningless words next to tickets and commits.
const LABELS: &str = "commit upstream lp bug closes bsc bnc boo bz rhbz jira orabug cve";
/// More words of an attribution after a subject.
const CREDITING: &str = "from by and fixes git-fixes cherry picked backport backported stable mainline linux-stable de van \
    von der den del da di la le al bin ten ter dos el";
/// Words before a CVE that say that it was fixed.
const REPAIRING: &str = "fix fixes fixed fixing for security address addresses addressed resolve resolves close closes bug \
    issue issues and";

/// A step, prepared for the comparison with thousands of items.
pub(super) struct SoughtStep<'s> {
    step: &'s Step,
    subject: Option<String>,
    /// The subject as in file names of `git format-patch`.
    slug: String,
}

impl<'s> SoughtStep<'s> {
    pub(super) fn new(step: &'s Step) -> Self {
        // An empty subject would match every item.
        let subject = step.subject.as_ref().map(|subject| loose(subject)).filter(|subject| !subject.is_empty());
        let kept = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let slug = subject.as_deref().unwrap_or_default();
        let slug = slug.split(|c| !kept(c)).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
        Self { step, subject, slug }
    }
}

/// The item's statement about the step. None if it does not mention the step, or only in passing.
pub(super) fn of_step(item: &ChangelogItem, sought: &SoughtStep<'_>) -> Option<ItemSays> {
    let by_name = |subject: &String| by_subject(item, subject).or_else(|| by_patch_file(item, subject, &sought.slug));
    let says = sought.subject.as_ref().and_then(by_name).or_else(|| by_commit(item, sought.step));
    says.map(|says| if item.is_turned { ItemSays::Doubtful } else { says })
}

/// The item's statement about a CVE: that it was fixed, or something else.
pub(super) fn of_cve(item: &ChangelogItem, cve: &str) -> Option<ItemSays> {
    let is_whole = |end: usize| !item.even[end..].starts_with(|c: char| c.is_ascii_digit());
    let mut at = item.even.match_indices(cve).map(|(at, _)| at).filter(|at| is_whole(at + cve.len()));
    let first = at.next()?;
    let words = item.even.split(' ').filter(|word| !is_patch(word.trim_end_matches(',')));
    if item.is_turned || turns_meaning(&words.collect::<Vec<_>>().join(" ")) {
        return Some(ItemSays::Doubtful);
    }
    let is_repair = |at: usize| {
        let before = &item.even[..at];
        let word = before.rfind(' ').map_or(0, |space| space + 1);
        let is_file = item.even[word..].split([' ', ',']).next().is_some_and(is_patch);
        let is_credit = before.rfind(['(', '[', '{']).is_some_and(|open| is_attribution(&item.even[open..]));
        let is_suffix = before.rfind(" // ").is_some_and(|mark| is_attribution(&item.even[mark..]));
        let after = &item.even[at + cve.len()..];
        let lead: Vec<String> =
            before.split_whitespace().map(|word| word.trim_matches([':', ',']).to_ascii_lowercase()).collect();
        let is_told =
            lead.iter().any(|word| has_word(REPAIRING, word)) || after.starts_with([':', ',']) || is_attribution(after);
        let is_known = |word: &String| is_label(word) || has_word(REPAIRING, word);
        is_file || is_credit || is_suffix || is_told && lead.iter().all(is_known)
    };
    (is_repair(first) || at.any(is_repair)).then_some(ItemSays::In)
}

fn by_subject(item: &ChangelogItem, subject: &str) -> Option<ItemSays> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let places = item.loose.match_indices(subject).filter_map(|(at, _)| {
        let (before, after) = (&item.even[..at], &item.even[at + subject.len()..]);
        (!before.ends_with(is_word) && !after.starts_with(is_word)).then_some((before, after))
    });
    let all = places.filter_map(|(before, after)| {
        let read = if is_attribution(after) { lead(before, subject) } else { None };
        read.or_else(|| (turns_meaning(before) || turns_meaning(after)).then_some(ItemSays::Doubtful))
    });
    all.reduce(|one, other| if one == other { one } else { ItemSays::Doubtful })
}

/// The item's statement about a patch file with the name that `git format-patch` would derive from the subject.
fn by_patch_file(item: &ChangelogItem, subject: &str, slug: &str) -> Option<ItemSays> {
    if !PATCH_ENDS.iter().any(|end| item.loose.contains(end)) {
        return None;
    }
    let mut at = 0;
    for word in item.loose.split_inclusive([' ', ',', ':', '(', ')', '"']) {
        let start = at;
        at += word.len();
        let word = word.trim_end_matches([' ', ',', ':', '(', ')', '"']);
        if !is_patch_of(word, slug) {
            continue;
        }
        let (before, after) = (&item.even[..start], &item.even[start + word.len()..]);
        let says = match after.strip_prefix(':') {
            Some(behind) if lead(behind, subject) == Some(ItemSays::In) => lead(before, subject),
            _ if is_attribution(after) => lead(before, subject),
            _ => None,
        };
        return says.or_else(|| (turns_meaning(before) || turns_meaning(after)).then_some(ItemSays::Doubtful));
    }
    None
}

/// The item's claim about the step's commits, in the words of commit messages.
fn by_commit(item: &ChangelogItem, step: &Step) -> Option<ItemSays> {
    if !commits(step).any(|commit| item.text.contains(commit.get(..DIGITS).unwrap_or(commit))) {
        return None;
    }
    let names: Vec<Abbreviation> = commits(step).filter_map(|c| Abbreviation::parse(c.as_bytes())).collect();
    // A message's first line claims nothing.
    let message = format!("-\n\n{}", item.text);
    let message = mentions(message.as_bytes());
    let mut of_step = message.iter().filter(|m| m.commit.is_enough() && names.iter().any(|c| c.agrees(m.commit)));
    let claim = of_step.find_map(|mention| match mention.kind {
        MentionKind::Carries => Some(ItemSays::In),
        MentionKind::Reverts => Some(ItemSays::Out),
        MentionKind::RevertsMerge | MentionKind::RevertsPartly | MentionKind::MayRevert => Some(ItemSays::Doubtful),
        MentionKind::Fixes | MentionKind::Names | MentionKind::MayCarry => None,
    });
    match claim {
        Some(ItemSays::Out) => claim,
        _ if turns_meaning(&item.text) => Some(ItemSays::Doubtful),
        _ => claim,
    }
}

/// The step's commits: upstream's, and backports of the same patch.
fn commits(step: &Step) -> impl Iterator<Item = &str> {
    let backports = step.backports.iter().filter(|backport| !backport.differs).map(|backport| &backport.commit);
    step.commit.iter().chain(backports).map(|commit| commit.as_str())
}

/// The statement of the words before a subject. None if they are not understood.
fn lead(before: &str, subject: &str) -> Option<ItemSays> {
    let before = without_marks(before)?.to_ascii_lowercase();
    let own_prefix = subject.split_once(": ").map_or("", |(prefix, _)| prefix);
    let (mut is_out, mut is_partly) = (false, false);
    for part in before.split([':', ';']) {
        let trimmed = |text: &str| text.trim_matches([' ', '"', '(', ')', ',', '.']).to_owned();
        let mut part = trimmed(part);
        if part == own_prefix {
            continue;
        }
        let mut has_verb = false;
        loop {
            // `Backport revert of "…"`: a word such as `backport` may precede a verb.
            if let Some((verb, behind)) = leading_verb(&part) {
                is_out ^= verb == Verb::TakesOut;
                is_partly |= verb == Verb::TakesPartOut;
                has_verb = true;
                part = trimmed(behind);
            } else if let Some(behind) =
                part.split_once(' ').filter(|(word, _)| is_label(word) || has_word(TAKING, word))
            {
                has_verb |= has_word(TAKING, behind.0);
                part = trimmed(behind.1);
            } else {
                break;
            }
        }
        let mut rest = part.split_whitespace().map(|word| word.trim_matches(['"', '(', ',']));
        let fills = |word: &str| has_verb && (has_word(FILLING, word) || is_of_subject(word, subject));
        let is_tree_mark = is_mark(&part) && !turns_meaning(&part);
        if !is_tree_mark && !rest.all(|word| word.is_empty() || is_label(word) || has_word(TAKING, word) || fills(word))
        {
            return None;
        }
    }
    Some(match (is_partly, is_out) {
        (true, _) => ItemSays::Doubtful,
        (false, true) => ItemSays::Out,
        (false, false) => ItemSays::In,
    })
}

/// A text without marks in brackets: `[net]`, `[SRU][F][PATCH 1/1]`. None if a bracket contains other text.
fn without_marks(text: &str) -> Option<String> {
    let (mut kept, mut rest) = (String::new(), text);
    while let Some((before, behind)) = rest.split_once('[') {
        let (inside, after) = behind.split_once(']')?;
        if turns_meaning(inside) {
            return None;
        }
        kept.push_str(before);
        rest = after.trim_start_matches(':');
    }
    Some(kept + rest)
}

/// Whether only an attribution follows a subject: names, tickets, CVEs, commits.
fn is_attribution(after: &str) -> bool {
    let mut rest = after.trim_start_matches(['"', ')']);
    loop {
        rest = rest.trim_start_matches([' ', ',', ';', '.']);
        rest = rest.strip_prefix("// ").unwrap_or(rest);
        let Some(first) = rest.chars().next() else { return true };
        let close = match first {
            '(' => Some(')'),
            '[' => Some(']'),
            '{' => Some('}'),
            _ => None,
        };
        rest = match close {
            Some(close) => match rest[1..].split_once(close) {
                Some((inside, behind)) if inside.split_whitespace().all(is_credit) => behind,
                _ => return false,
            },
            None => {
                let end = rest.find(' ').unwrap_or(rest.len());
                if !is_label(&rest[..end].to_ascii_lowercase()) {
                    return false;
                }
                &rest[end..]
            }
        };
    }
}

/// Whether a word in brackets after a subject is a name, a ticket, or similar.
fn is_credit(word: &str) -> bool {
    let bare = word.trim_matches(|c: char| ",;:/&+.".contains(c));
    let lower = bare.to_ascii_lowercase();
    let is_name = bare.starts_with(char::is_uppercase) && bare.chars().all(|c| c.is_alphabetic() || "-.\"".contains(c));
    let is_address = bare.contains('@') || bare.contains("://");
    let is_known = is_label(&lower) || has_word(CREDITING, &lower) || is_name || is_address;
    is_known && (!turns_meaning(bare) || lower == "fixes")
}

/// Whether a word is a ticket, a commit, a version, a patch's file name, or a label of one.
fn is_label(word: &str) -> bool {
    let word = word.trim_matches(|c: char| "\"()[]{},.#:".contains(c));
    let is_commit = word.len() >= 7 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let is_plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-#/_.~:".contains(&b));
    let is_ticket = is_plain && word.bytes().any(|b| b.is_ascii_digit());
    word.is_empty() || is_commit || is_ticket || is_patch(word) || has_word(LABELS, word)
}

fn is_of_subject(word: &str, subject: &str) -> bool {
    !turns_meaning(word) && subject.split(|c: char| !c.is_alphanumeric() && c != '_').any(|own| own == word)
}

fn has_word(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == word)
}

fn is_patch(word: &str) -> bool {
    PATCH_ENDS.iter().any(|end| word.ends_with(end))
}

/// Whether `git format-patch` could have named this file after the subject with this slug. It truncates long names.
fn is_patch_of(word: &str, slug: &str) -> bool {
    const SHORTEST: usize = 30;
    if !is_patch(word) {
        return false;
    }
    let file = word.rsplit('/').next().unwrap_or(word);
    let name = file.rsplit_once('.').map_or(file, |(name, _)| name);
    let numbered = name.split_once('-').filter(|(number, _)| number.bytes().all(|b| b.is_ascii_digit()));
    let name = numbered.map_or(name, |(_, name)| name);
    name == slug || (name.len() >= SHORTEST && slug.starts_with(name))
}
