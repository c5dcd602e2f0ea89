//! Words that revert, re-apply or omit a commit, for both commit messages and package changelogs.
//!
//! A subject that begins with such a word (`Revert "…"`, `Reapply "…"`, `tcp: back out …`) counts as a revert. Any
//! other sentence with such a word next to a commit's name or subject only puts the commit in doubt.

use super::message::{Mention, MentionKind, names};

/// The most subjects to find in one message.
const MOST_SUBJECTS: usize = 64;
/// The most quotation marks to try as the end of a quotation, because subjects have some of their own.
const MOST_ENDS: usize = 8;
/// Pairs of quotation marks around a subject.
const QUOTES: [(char, char); 5] =
    [('"', '"'), ('\'', '\''), ('`', '`'), ('\u{201c}', '\u{201d}'), ('\u{2018}', '\u{2019}')];

/// The effect of a word on the commit after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::evidence) enum Verb {
    TakesOut,
    TakesPartOut,
    /// It reverts the commit's revert.
    BringsBack,
}

/// The beginnings of subjects that revert or re-apply another commit. `Reapply` is git's own word (git-revert(1)).
const VERBS: [(Verb, &[&str]); 3] = [
    (
        Verb::TakesOut,
        &[
            "manually revert",
            "effectively revert",
            "temporarily revert",
            "re-revert",
            "revert",
            "reverts",
            "reverted",
            "reverting",
            "back out",
            "backs out",
            "backed out",
            "backing out",
            "back-out",
            "backout",
            "backouts",
            "undo",
            "undoes",
            "undid",
            "undoing",
            "unapply",
            "took out",
            "temporarily backout",
        ],
    ),
    (
        Verb::TakesPartOut,
        &[
            "partially revert",
            "partially reverts",
            "partially reverted",
            "partly revert",
            "partial revert",
            "partial backout",
        ],
    ),
    (
        Verb::BringsBack,
        &[
            "reapply",
            "re-apply",
            "reapplies",
            "reapplied",
            "un-revert",
            "unrevert",
            "un revert",
            "un-reverts",
            "reinstate",
            "de-revert",
        ],
    ),
];
/// Words that say that a commit was omitted.
const LEFT_OUT: &str = "not never skip skips skipped skipping deferred defer postponed omitted omit left dropped drop large \
    missing excluded ignored instead pending todo cannot unneeded unnecessary declined rejected later unapplied unmerged";
/// Words next to a subject or a CVE that mean something other than adding it.
const TURNING: &str = "no nor none without wip tbd rfc fixup only known bad but except before until unless if when needs \
    need needed required requires may might could would planned take takes took taken conflict conflicts fails failed off was were";
/// Stems of more such words.
const TURNING_STEMS: &str = "supersed obsolet replac prepar prereq partial partly test selftest kselftest vulnerab affect \
    regress broke break caus workaround mitigat disput await document";
/// Stems of words that say that something was omitted or removed.
const REMOVING_STEMS: &str = "drop remov delet disabl skip defer postpon omit exclud ignor declin reject";
/// Words between such a word and the subject.
const CONNECTORS: [&str; 9] =
    ["of ", "the ", "commit ", "commits ", "patch ", "changeset ", "change ", "part of ", "parts of "];
/// The most places in a subject to check for a word of undoing: `ALSA: hda: revert "x"`.
const MOST_PLACES: usize = 4;

/// The leading verb of a text, and the rest.
pub(in crate::evidence) fn leading_verb(text: &str) -> Option<(Verb, &str)> {
    let lower = text.to_ascii_lowercase();
    let all = VERBS.iter().flat_map(|(verb, words)| words.iter().map(|word| (*verb, *word)));
    // The longest match wins, because some verbs are prefixes of others.
    let (verb, word) = all.filter(|(_, word)| lower.starts_with(word)).max_by_key(|(_, word)| word.len())?;
    let rest = text.get(word.len()..)?;
    if !rest.is_empty() && !rest.starts_with([' ', ':']) {
        return None;
    }
    let mut rest = rest.trim_start_matches([' ', ':']);
    while let Some(word) =
        CONNECTORS.iter().find(|word| rest.get(..word.len()).is_some_and(|at| at.eq_ignore_ascii_case(word)))
    {
        rest = rest[word.len()..].trim_start();
    }
    Some((verb, rest))
}

/// The text after a leading verb, and whether the verb re-applies.
fn undone(text: &str) -> Option<(bool, &str)> {
    let (verb, rest) = leading_verb(text)?;
    // `revert to the old way` names no commit.
    let is_empty = rest.trim_matches(|c: char| !c.is_alphanumeric()).is_empty();
    let is_named = !is_empty && !rest.starts_with("to ") && !rest.starts_with("back to ");
    is_named.then_some((verb == Verb::BringsBack, rest))
}

/// The subject that a subject beginning with a word of undoing reverts. Re-applying a commit reverts its revert.
pub(super) fn undone_at_start(plain: &str) -> Option<String> {
    let (brings, rest) = undone(plain)?;
    Some(if brings { format!("Revert \"{rest}\"") } else { rest.to_owned() })
}

/// The subjects that a commit's subject claims to revert. There are several if it is ambiguous where the quotation ends
/// (`Revert "x" because of "y"`), or whether the topic belongs to the reverted subject (`tcp: revert the limit`).
pub(in crate::evidence) fn reverted_subjects(plain: &str) -> Vec<String> {
    let mut found = Vec::new();
    let places = plain.match_indices(": ").chain(plain.match_indices(" - "));
    let places = places.map(|(at, mark)| at + mark.len()).take(MOST_PLACES);
    for at in std::iter::once(0).chain(places) {
        let Some((brings, rest)) = undone(&plain[at..]) else { continue };
        let mut subjects = quotations(rest, true);
        if subjects.is_empty() {
            subjects.push(rest.to_owned());
            subjects.extend((at > 0).then(|| format!("{}{rest}", &plain[..at])));
        }
        found
            .extend(subjects.into_iter().map(|subject| if brings { format!("Revert \"{subject}\"") } else { subject }));
    }
    found
}

/// The subjects next to a word of undoing in a message, except those that its own subject claims to revert.
pub(super) fn doubted_subjects(message: &[u8], claimed: &[Mention]) -> Vec<String> {
    let mut found = Vec::new();
    if !may_speak(message) {
        return found;
    }
    let subject = String::from_utf8_lossy(super::commit::subject(message)).into_owned();
    let plain = super::subject::plain_subject(subject.as_bytes());
    if reverted_subjects(&plain).is_empty() && speaks_of_undoing(&plain) {
        found.extend(quotations(&plain, false));
    }
    for [line, next] in pairs(message, claimed) {
        // The subject is handled separately.
        let line = if line == subject.as_bytes() { &b""[..] } else { line };
        let text = [String::from_utf8_lossy(line), String::from_utf8_lossy(next)].join(" ");
        if found.len() < MOST_SUBJECTS && speaks_of_undoing(&text) {
            // A single word in quotation marks is not a subject.
            found.extend(quotations(&text, false).into_iter().filter(|subject| subject.contains(' ')));
        }
    }
    found.truncate(MOST_SUBJECTS);
    found.sort();
    found.dedup();
    found
}

/// The commits next to a word of undoing in a message, except those in `claimed`.
pub(super) fn doubted_commits<'a>(message: &'a [u8], claimed: &[Mention<'a>]) -> Vec<Mention<'a>> {
    let mut found: Vec<Mention> = Vec::new();
    if !may_speak(message) {
        return found;
    }
    for [line, next] in pairs(message, claimed) {
        let text = [String::from_utf8_lossy(line), String::from_utf8_lossy(next)].join(" ");
        if !speaks_of_undoing(&text) {
            continue;
        }
        for line in [line, next] {
            for (_, commit) in names(line) {
                let known = |m: &Mention| m.commit == commit && m.kind != MentionKind::Fixes;
                if !claimed.iter().any(known) && !found.iter().any(known) {
                    found.push(Mention { kind: MentionKind::MayRevert, commit, line });
                }
            }
        }
    }
    found
}

/// Each line of a message with the next one, which is empty at the end of a paragraph. Lines that make a claim about a
/// commit (`Fixes: X ("Revert "y"")`) count as empty, because their words are about that commit.
fn pairs<'a>(message: &'a [u8], claimed: &[Mention]) -> impl Iterator<Item = [&'a [u8]; 2]> {
    let is_claim = |line: &&[u8]| claimed.iter().any(|mention| mention.line == *line);
    let lines = message.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
    let mut lines: Vec<&[u8]> = lines.map(|line| if is_claim(&line) { &b""[..] } else { line }).collect();
    lines.push(b"");
    let pairs: Vec<[&[u8]; 2]> = lines.windows(2).filter_map(|pair| pair.try_into().ok()).collect();
    pairs.into_iter().filter(|[line, _]| !line.is_empty())
}

/// A quick check for words of undoing, because most of a million messages have none.
fn may_speak(message: &[u8]) -> bool {
    let text = String::from_utf8_lossy(message).to_ascii_lowercase();
    ["revert", "undo", "undid", "back", "reappl", "re-appl", "unappl", "reinstat"]
        .iter()
        .any(|word| text.contains(word))
}

/// Whether a text has a word of undoing, in either case.
pub(super) fn speaks_of_undoing(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let one = |word: &&str| {
        ["revert", "unrevert", "reappl", "unappl", "reinstat", "backout"].iter().any(|stem| word.starts_with(stem))
            || matches!(*word, "undo" | "undoes" | "undid" | "undone" | "undoing")
    };
    let two = |pair: &[&str]| {
        matches!(pair[0], "back" | "backs" | "backed" | "backing") && pair[1] == "out"
            || pair[0] == "re" && pair[1].starts_with("appl")
    };
    words.iter().any(one) || words.windows(2).any(two)
}

/// Whether a word says that its neighbour was omitted.
pub(super) fn is_left_out(word: &str) -> bool {
    LEFT_OUT.split_ascii_whitespace().any(|known| known == word)
}

/// Whether a text next to a subject or a CVE changes its meaning: `not applied yet`, `add a test:`, `prepare for`.
pub(in crate::evidence) fn turns_meaning(text: &str) -> bool {
    let turns = |word: &str| {
        TURNING.split_ascii_whitespace().any(|known| known == word)
            || TURNING_STEMS.split_ascii_whitespace().any(|stem| word.starts_with(stem))
    };
    takes_back(text) || any_word(text, turns)
}

/// Whether a heading says that the items below it were removed or omitted: `Reverted:`, `Drop these patches:`.
pub(in crate::evidence) fn takes_back(text: &str) -> bool {
    let is_removing = |word: &str| {
        is_left_out(word)
            || word.ends_with("n't")
            || REMOVING_STEMS.split_ascii_whitespace().any(|stem| word.starts_with(stem))
    };
    speaks_of_undoing(text) || any_word(text, is_removing)
}

fn any_word(text: &str, is_so: impl Fn(&str) -> bool) -> bool {
    let lower = text.to_ascii_lowercase().replace('\u{2019}', "'");
    let mut words = lower.split(|c: char| !c.is_ascii_alphanumeric() && c != '\'').map(|word| word.trim_matches('\''));
    words.any(is_so)
}

/// The quoted texts, in every possible reading; or only those that begin at the start.
fn quotations(text: &str, at_start: bool) -> Vec<String> {
    let mut found = Vec::new();
    for (open, close) in QUOTES {
        let starts = text.match_indices(open).map(|(at, mark)| (at, at + mark.len()));
        for (at, start) in starts.filter(|(at, _)| !at_start || *at == 0).take(MOST_ENDS) {
            // An apostrophe inside a word opens no quotation.
            if text[..at].ends_with(char::is_alphanumeric) {
                continue;
            }
            let rest = &text[start..];
            let ends = rest.match_indices(close).map(|(end, _)| end);
            let ends = ends.filter(|end| !rest[*end..].chars().nth(1).is_some_and(char::is_alphanumeric));
            // The outermost come first, because git nests them like that.
            let ends: Vec<usize> = ends.filter(|end| *end > 0).collect();
            found.extend(ends.iter().rev().take(MOST_ENDS).map(|end| rest[..*end].to_owned()));
        }
    }
    found.truncate(MOST_SUBJECTS);
    found
}
