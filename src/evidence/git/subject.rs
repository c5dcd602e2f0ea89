//! Compares subjects of commits, ignoring what trees and people put around them.

use sha2::{Digest as _, Sha256};

use super::message::LONGEST;
use super::subject_forms::undone_at_start;

/// The most subjects that one message may quote. Vendors' squashed updates quote thousands.
const MOST: usize = 20_000;
/// Words that trees put before a subject, with a colon: Android's, ChromeOS's, Ubuntu's, and those of vendors that
/// follow them. `FROMGIT(v2):` is the same mark.
const MARKS: [&str; 30] = [
    "upstream",
    "backport",
    "backported",
    "cherry-pick",
    "fromgit",
    "fromlist",
    "fromtree",
    "frompull",
    "fromext",
    "frommail",
    "chromium",
    "android",
    "ubuntu",
    "sauce",
    "stable",
    "mainline",
    "gki",
    "vendor",
    "noupstream",
    "anolis",
    "alinux",
    "openeuler",
    "opencloudos",
    "tkernel",
    "deepin",
    "kylin",
    "uek",
    "cip",
    "wip",
    "fixup",
];
/// The longest part of a subject to compare, in characters, because some commits have their whole message in one line.
const LONGEST_SUBJECT: usize = 1_000;
/// The deepest nesting of reverts to parse in a subject.
const DEEPEST: usize = 16;
/// The marks that people put around a subject.
const QUOTATION_MARKS: [char; 7] = ['"', '\'', '`', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}'];

/// A subject without the marks that trees put before it, and without doubled spaces.
pub(in crate::evidence) fn plain_subject(subject: &[u8]) -> String {
    let text = String::from_utf8_lossy(subject);
    let mut text = text.trim();
    loop {
        let before = text;
        text = without_mark(text);
        // `[PATCH 4.19 12/34]`, `[Backport]`, `[net]`; never the whole subject.
        if let Some((_, rest)) = text.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
            let rest = rest.trim_start().trim_start_matches(": ");
            text = if rest.is_empty() { text } else { rest };
        }
        if text == before {
            return text.split_whitespace().collect::<Vec<_>>().join(" ");
        }
    }
}

fn without_mark(text: &str) -> &str {
    let Some((mark, rest)) = text.split_once(':') else { return text };
    // `UBUNTU: SAUCE: x`, but never the whole subject.
    if is_mark(mark) && !rest.trim().is_empty() { rest.trim_start() } else { text }
}

/// Whether a text is a tree's mark: `UPSTREAM`, `FROMGIT(v2)`.
pub(in crate::evidence) fn is_mark(text: &str) -> bool {
    let word = text.split(['(', '[']).next().unwrap_or_default().trim();
    MARKS.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// A plain subject in the form for comparisons, which ignores case, quotation marks, trailing full stops, and the
/// wording of reverts.
pub(super) fn folded(plain: &str) -> String {
    let mut rest: String = plain.chars().take(LONGEST_SUBJECT).collect();
    let mut reverts = String::new();
    for _ in 0..DEEPEST {
        let Some(undone) = undone_at_start(&rest) else { break };
        reverts.push_str("revert ");
        rest = plain_subject(undone.trim_start_matches(QUOTATION_MARKS).as_bytes());
    }
    let text: String = rest.chars().filter(|c| !QUOTATION_MARKS.contains(c)).flat_map(char::to_lowercase).collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    format!("{reverts}{}", text.trim_end_matches(['.', '\u{2026}', ',', ';', ':', '!', ' ']))
}

/// Whether two plain subjects are the same.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    one == other || folded(one) == folded(other)
}

/// The hash of a plain subject for the index.
pub(super) fn subject_hash(plain: &str) -> i64 {
    let digest = Sha256::digest(folded(plain).as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}

/// The subjects that a message quotes: lines of a list of changes, and texts in quotation marks.
pub(super) fn quoted_subjects(message: &[u8]) -> Vec<String> {
    let message = &message[..message.len().min(LONGEST)];
    let mut found = framed_subjects(message.split(|b| *b == b'\n').next().unwrap_or_default());
    for whole in message.split(|b| *b == b'\n').skip(1) {
        let line = whole.trim_ascii();
        let text = String::from_utf8_lossy(line);
        // A separate line, indented as by `git log`, or in a numbered list.
        let is_indented = whole.starts_with(b" ") || whole.starts_with(b"\t");
        let numbered = text.split_once(['.', ')', ']']).filter(|(number, _)| {
            let number = number.trim_start_matches(['[', '(', '#']);
            !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'/')
        });
        let alone = numbered.map(|(_, rest)| rest.trim_start()).or(is_indented.then_some(&*text));
        let alone = alone.filter(|text| !text.contains("-by: "));
        let item = ["* ", "- ", "+ "].iter().find_map(|mark| text.strip_prefix(mark));
        // A commit's name may precede the subject, or follow it in brackets.
        let item = item.map(|item| item.rsplit_once(" (").map_or(item, |(subject, _)| subject));
        let item = item.map(without_name);
        let mut marks = text.split('"');
        let (_, first) = (marks.next(), marks.next());
        let quoted =
            [first, text.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"')).map(|(inside, _)| inside)];
        // `abcdef123456 tcp: x`, and a subject alone below a heading.
        let named = Some(without_name(&text)).filter(|rest| rest.len() < text.len());
        // Every Linux subject has a topic before a colon.
        let subjects = item.into_iter().chain(alone).chain(named).chain(quoted.into_iter().flatten());
        let subjects = subjects.filter(|text| text.contains(": "));
        found.extend(subjects.map(|subject| plain_subject(subject.as_bytes())));
        if found.len() >= MOST {
            break;
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The possible subjects inside a framed one: `tcp: x (#1234)`, `!1234 tcp: x`, `tcp: x [OLK-5.10]`, `4.19: tcp: x
/// (bsc#1)`, `Backport to 4.19: tcp: x`, `Pull request #12: tcp: x`.
fn framed_subjects(subject: &[u8]) -> Vec<String> {
    let plain = plain_subject(subject);
    let mut bare = plain.as_str();
    let mut found = Vec::new();
    for _ in 0..DEEPEST {
        let inside = bare.strip_suffix(')').and_then(|text| text.rsplit_once(" ("));
        let inside = inside.or_else(|| bare.strip_suffix(']').and_then(|text| text.rsplit_once(" [")));
        let Some((before, _)) = inside else { break };
        bare = before.trim_end();
        found.push(bare.to_owned());
    }
    for text in [plain.as_str(), bare] {
        let mut rest = text;
        for _ in 0..DEEPEST {
            let is_number = |word: &str| word.starts_with(['!', '#']) && word[1..].bytes().all(|b| b.is_ascii_digit());
            let behind = rest.split_once(' ').filter(|(word, _)| is_number(word)).or_else(|| {
                let (mark, rest) = rest.split_once(": ")?;
                let lower = mark.to_ascii_lowercase();
                let is_mark =
                    ["pull", "merge", "backport", "pick", "cherry"].iter().any(|word| lower.starts_with(word));
                (is_mark || mark.contains(|c: char| c.is_ascii_digit())).then_some((mark, rest))
            });
            let Some((_, behind)) = behind else { break };
            rest = behind.trim_start();
            found.push(plain_subject(rest.as_bytes()));
        }
    }
    found.retain(|text| text.contains(": "));
    found
}

/// The text after a leading commit name.
fn without_name(text: &str) -> &str {
    match text.split_once([' ', ':']) {
        Some((name, rest)) if super::message::Abbreviation::parse(name.as_bytes()).is_some() => rest.trim_start(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_trees_are_ignored() {
        for subject in [
            "tcp: x",
            "UPSTREAM: tcp: x",
            "BACKPORT: UPSTREAM: tcp:  x ",
            "BACKPORT: FROMGIT(v2): tcp: x",
            "ANDROID: GKI: tcp: x",
            "[Backport] tcp: x",
            "[PATCH 4.19 12/34] tcp: x",
            "[net]: tcp: x",
            "[SRU][F][PATCH 1/1] UBUNTU: SAUCE: tcp: x",
            "anolis: tcp: x",
            "Upstream: tcp: x",
        ] {
            assert_eq!(plain_subject(subject.as_bytes()), "tcp: x", "{subject}");
        }
        assert_eq!(plain_subject(b"[tcp]"), "[tcp]");
        assert_eq!(plain_subject(b"stable:"), "stable:");
    }

    #[test]
    fn subjects_match_however_written() {
        for (one, other, same) in [
            ("dm: fix it on lvm", "dm: fix it on LVM.", true),
            ("tcp: do not \"stall\"", "tcp: do not 'stall'", true),
            ("Revert \"tcp: x\"", "revert tcp: x", true),
            ("Revert \"[PATCH] tcp: x.\"", "Back out tcp: X", true),
            ("Reapply \"tcp: x\"", "Revert \"Revert \"tcp: x\"\"", true),
            ("un-revert tcp: x", "Revert revert tcp: x", true),
            ("tcp: x", "Revert \"tcp: x\"", false),
            ("tcp: x", "tcp: y", false),
        ] {
            assert_eq!(is_same(one, other), same, "{one} / {other}: {} {}", folded(one), folded(other));
            assert_eq!(subject_hash(one) == subject_hash(other), same, "{one} / {other}");
        }
    }
}
