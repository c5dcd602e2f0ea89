//! What a message says of taking another commit out, in whatever words.
//!
//! A subject that begins with such a word (`Revert "…"`, `Reapply "…"`, `tcp: back out …`) is taken for a revert by
//! subject. Any other sentence with such a word beside a commit's name or subject is a reason to doubt that the commit
//! still stands, and no more than that.

use super::message::{Kind, Mention, names};

/// The most subjects that one message is taken to speak of.
const MOST_SUBJECTS: usize = 64;
/// The most quotation marks that are tried as the end of one quotation: subjects have some of their own.
const MOST_ENDS: usize = 8;
/// What people put around a subject, as they open and close.
const QUOTES: [(char, char); 5] =
    [('"', '"'), ('\'', '\''), ('`', '`'), ('\u{201c}', '\u{201d}'), ('\u{2018}', '\u{2019}')];

/// How a subject begins that takes another commit out.
const TAKES_OUT: [&str; 26] = [
    "partially revert",
    "partially reverts",
    "partially reverted",
    "partly revert",
    "partial revert",
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
    "partial backout",
    "temporarily backout",
];
/// How a subject begins that brings back what another commit took out. `Reapply` is git's own word (git-revert(1)).
const BRINGS_BACK: [&str; 10] = [
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
];
/// What stands between such a word and the subject.
const CONNECTORS: [&str; 9] =
    ["of ", "the ", "commit ", "commits ", "patch ", "changeset ", "change ", "part of ", "parts of "];
/// The most places of a subject where a word of undoing is looked for: `ALSA: hda: revert "x"`.
const MOST_PLACES: usize = 4;

/// What follows a word of undoing that a text begins with, and whether the word brings back.
fn undone(text: &str) -> Option<(bool, &str)> {
    let lower = text.to_ascii_lowercase();
    let after = |words: &[&str]| {
        // The longest, for some begin like others.
        let word = words.iter().filter(|word| lower.starts_with(**word)).max_by_key(|word| word.len())?;
        let rest = text.get(word.len()..)?;
        rest.starts_with([' ', ':']).then(|| rest.trim_start_matches([' ', ':']))
    };
    let (brings, mut rest) = match (after(&BRINGS_BACK), after(&TAKES_OUT)) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return None,
    };
    while let Some(word) =
        CONNECTORS.iter().find(|word| rest.get(..word.len()).is_some_and(|at| at.eq_ignore_ascii_case(word)))
    {
        rest = rest[word.len()..].trim_start();
    }
    // `revert to the old way` undoes nothing that has a name.
    let is_empty = rest.trim_matches(|c: char| !c.is_alphanumeric()).is_empty();
    (!is_empty && !rest.starts_with("to ") && !rest.starts_with("back to ")).then_some((brings, rest))
}

/// The subject that a subject beginning with a word of undoing takes out. What brings a commit back takes its revert out.
pub(super) fn undone_at_start(plain: &str) -> Option<String> {
    let (brings, rest) = undone(plain)?;
    Some(if brings { format!("Revert \"{rest}\"") } else { rest.to_owned() })
}

/// The subjects that a commit's subject says it undoes. Several, where that can be read in several ways: where the
/// quotation ends (`Revert "x" because of "y"`), and whether what stands before the word belongs to the subject that is
/// undone (`tcp: revert the limit`).
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

/// The subjects that a message speaks of beside a word of undoing, but for those that its subject says it reverts.
pub(super) fn doubted_subjects(message: &[u8], claimed: &[Mention]) -> Vec<String> {
    let mut found = Vec::new();
    if !may_speak(message) {
        return found;
    }
    let subject = String::from_utf8_lossy(super::commit::subject(message)).into_owned();
    let plain = super::subject::plain_subject(subject.as_bytes());
    if reverted_subjects(&plain).is_empty() && says_so(&plain) {
        found.extend(quotations(&plain, false));
    }
    for [line, next] in pairs(message, claimed) {
        // The subject has been looked at as a whole.
        let line = if line == subject.as_bytes() { &b""[..] } else { line };
        let text = [String::from_utf8_lossy(line), String::from_utf8_lossy(next)].join(" ");
        if found.len() < MOST_SUBJECTS && says_so(&text) {
            // Each word between quotation marks is no subject.
            found.extend(quotations(&text, false).into_iter().filter(|subject| subject.contains(' ')));
        }
    }
    found.truncate(MOST_SUBJECTS);
    found.sort();
    found.dedup();
    found
}

/// The commits that a message names beside a word of undoing, but for those that `claimed` has told already.
pub(super) fn doubted_commits<'a>(message: &'a [u8], claimed: &[Mention<'a>]) -> Vec<Mention<'a>> {
    let mut found: Vec<Mention> = Vec::new();
    if !may_speak(message) {
        return found;
    }
    for [line, next] in pairs(message, claimed) {
        let text = [String::from_utf8_lossy(line), String::from_utf8_lossy(next)].join(" ");
        if !says_so(&text) {
            continue;
        }
        for line in [line, next] {
            for (_, commit) in names(line) {
                let known = |m: &Mention| m.commit == commit && m.kind != Kind::Fixes;
                if !claimed.iter().any(known) && !found.iter().any(known) {
                    found.push(Mention { kind: Kind::MayRevert, commit, line });
                }
            }
        }
    }
    found
}

/// Each line of a message and the one below, empty where that begins another paragraph. What a line claims of a commit
/// (`Fixes: X ("Revert "y"")`) is said of that one, so such lines count as empty.
fn pairs<'a>(message: &'a [u8], claimed: &[Mention]) -> impl Iterator<Item = [&'a [u8]; 2]> {
    let is_claim = |line: &&[u8]| claimed.iter().any(|mention| mention.line == *line);
    let lines = message.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
    let mut lines: Vec<&[u8]> = lines.map(|line| if is_claim(&line) { &b""[..] } else { line }).collect();
    lines.push(b"");
    let pairs: Vec<[&[u8]; 2]> = lines.windows(2).filter_map(|pair| pair.try_into().ok()).collect();
    pairs.into_iter().filter(|[line, _]| !line.is_empty())
}

/// Whether a message can have a word of undoing at all: most have none, and a million are asked.
fn may_speak(message: &[u8]) -> bool {
    let text = String::from_utf8_lossy(message).to_ascii_lowercase();
    ["revert", "undo", "undid", "back", "reappl", "re-appl", "reinstat"].iter().any(|word| text.contains(word))
}

/// Whether a text has a word of undoing, in either case.
pub(in crate::evidence) fn says_so(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let one = |word: &&str| {
        ["revert", "unrevert", "reappl", "reinstat", "backout"].iter().any(|stem| word.starts_with(stem))
            || matches!(*word, "undo" | "undoes" | "undid" | "undone" | "undoing")
    };
    let two = |pair: &[&str]| {
        matches!(pair[0], "back" | "backs" | "backed" | "backing") && pair[1] == "out"
            || pair[0] == "re" && pair[1].starts_with("appl")
    };
    words.iter().any(one) || words.windows(2).any(two)
}

/// What stands between quotation marks, in every way to read it; or only what begins at the start.
fn quotations(text: &str, at_start: bool) -> Vec<String> {
    let mut found = Vec::new();
    for (open, close) in QUOTES {
        let starts = text.match_indices(open).map(|(at, mark)| (at, at + mark.len()));
        for (at, start) in starts.filter(|(at, _)| !at_start || *at == 0).take(MOST_ENDS) {
            // An apostrophe within a word opens nothing.
            if text[..at].ends_with(char::is_alphanumeric) {
                continue;
            }
            let rest = &text[start..];
            let ends = rest.match_indices(close).map(|(end, _)| end);
            let ends = ends.filter(|end| !rest[*end..].chars().nth(1).is_some_and(char::is_alphanumeric));
            // The outermost come first: that is how git nests them.
            let ends: Vec<usize> = ends.filter(|end| *end > 0).collect();
            found.extend(ends.iter().rev().take(MOST_ENDS).map(|end| rest[..*end].to_owned()));
        }
    }
    found.truncate(MOST_SUBJECTS);
    found
}
