//! What a message says of taking another commit out, in whatever words.
//!
//! git's own words (`Revert "…"`, `Reapply "…"`) are taken for a revert by subject. Any other sentence with such a word
//! beside a commit's name or subject is a reason to doubt that the commit still stands, and no more than that.

use super::message::{Kind, Mention, names};

/// The most subjects that one message is taken to speak of.
const MOST_SUBJECTS: usize = 64;
/// The most quotation marks that are tried as the end of one quotation: subjects have some of their own.
const MOST_ENDS: usize = 8;
/// What people put around a subject, as they open and close.
const QUOTES: [(char, char); 5] =
    [('"', '"'), ('\'', '\''), ('`', '`'), ('\u{201c}', '\u{201d}'), ('\u{2018}', '\u{2019}')];

/// The subjects that a commit's subject says, in git's words, it undoes. Several, where the end of the quotation can be
/// read in several ways: `Revert "x" because of "y"`.
pub(in crate::evidence) fn reverted_subjects(plain: &str) -> Vec<String> {
    let begins = |words: &[&str]| words.iter().find_map(|word| plain.strip_prefix(word));
    if let Some(rest) = begins(&["Revert ", "Revert: "]) {
        return quotations(rest, true);
    }
    // git 2.43 and later name the revert of `Revert "x"` so (git-revert(1)).
    let again = begins(&["Reapply "]).map(|rest| quotations(rest, true)).unwrap_or_default();
    again.into_iter().map(|subject| format!("Revert \"{subject}\"")).collect()
}

/// The subjects that a message speaks of beside a word of undoing, but for git's own form of it.
pub(super) fn doubted_subjects(message: &[u8], claimed: &[Mention]) -> Vec<String> {
    let mut found = Vec::new();
    if !may_speak(message) {
        return found;
    }
    let subject = String::from_utf8_lossy(super::commit::subject(message)).into_owned();
    let plain = super::message::plain_subject(subject.as_bytes());
    if reverted_subjects(&plain).is_empty() {
        found.extend(unquoted(&plain).map(str::to_owned));
        found.extend(says_so(&plain).then(|| quotations(&plain, false)).into_iter().flatten());
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
    ["revert", "undo", "undid", "back"].iter().any(|word| text.contains(word))
}

/// Whether a text has a word of undoing, in either case.
pub(in crate::evidence) fn says_so(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let one = |word: &&str| {
        word.starts_with("revert") || matches!(*word, "undo" | "undoes" | "undid" | "undone" | "undoing" | "backout")
    };
    let two = |pair: &[&str]| matches!(pair[0], "back" | "backs" | "backed" | "backing") && pair[1] == "out";
    words.iter().any(one) || words.windows(2).any(two)
}

/// What follows a word of undoing that a subject begins with: `Back out tcp: x`.
fn unquoted(plain: &str) -> Option<&str> {
    let lower = plain.to_ascii_lowercase();
    let words = ["revert", "reverts", "reverted", "undo", "back out", "backout", "backed out"];
    let rest = words.iter().filter(|word| lower.starts_with(**word)).filter_map(|word| plain.get(word.len()..));
    let mut rest = rest.filter_map(|rest| rest.trim_start_matches(':').strip_prefix(' '));
    rest.next().map(|rest| rest.trim().trim_end_matches('.')).filter(|rest| !rest.is_empty())
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
