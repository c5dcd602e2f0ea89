//! A package's changelog: its builders' own list of changes.
//!
//! Debian's is a file (deb-changelog(5)), RPM's is in the header. Both are stored in one form, the newest entry first.
//! They are written for people, and may be incomplete or overstated.

use serde::{Deserialize, Serialize};

/// A package's changelog, the newest entry first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changelog {
    /// Its entries. If there are too many, the oldest are missing.
    pub entries: Vec<ChangelogEntry>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangelogEntry {
    /// Its title: `linux (6.1.192-2)`, `2019-06-18 Jan Stancek [3.10.0-957.21.3.el7]`.
    pub title: String,
    /// Its text, line by line.
    pub text: String,
}

/// The most entries; Debian's kernels have 700 since 2003.
const MAX_ENTRIES: usize = 50_000;
/// The most bytes in all; a Debian 12 kernel's has 5 MB.
pub(super) const MAX_BYTES: usize = 64 << 20;
/// The longest title, in bytes.
const MAX_TITLE: usize = 200;

impl Changelog {
    /// Reads Debian's format. Text in another format has no entries.
    pub(super) fn of_debian(text: &str) -> Self {
        let mut changelog = Self::default();
        let mut entry: Option<ChangelogEntry> = None;
        for line in text.lines() {
            if let Some(title) = debian_title(line) {
                if entry.take().is_some_and(|whole| !changelog.add(whole.title, whole.text)) {
                    return changelog;
                }
                entry = Some(ChangelogEntry { title, text: String::new() });
            } else if let Some(entry) = entry.as_mut().filter(|_| !line.starts_with(" -- ")) {
                entry.text.push_str(line);
                entry.text.push('\n');
            }
        }
        if let Some(last) = entry {
            changelog.add(last.title, last.text);
        }
        changelog
    }

    /// Adds an entry that is older than all others; false if there are too many.
    pub(super) fn add(&mut self, title: String, text: String) -> bool {
        let room = self.entries.len() < MAX_ENTRIES;
        if room {
            let title = title.chars().filter(|c| !c.is_control()).take(MAX_TITLE).collect();
            self.entries.push(ChangelogEntry { title, text });
        }
        room
    }
}

/// `linux (6.1.192-2)` of `linux (6.1.192-2) bookworm-security; urgency=high`.
fn debian_title(line: &str) -> Option<String> {
    let (package, rest) = line.split_once(" (")?;
    let (version, rest) = rest.split_once(')')?;
    let is_name = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
    (is_name(package) && is_name(version) && rest.contains(';')).then(|| format!("{package} ({version})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_changelog_splits_into_entries_without_signatures() {
        let text = "linux (6.1.2-1) sid; urgency=medium\n\n  * New upstream release\n    - a: b\n      c\n\n -- A B <a@b.c>  \
                    Mon, 1 Jan 2024 00:00:00 +0000\n\nlinux-2.6 (2.6.1-1) sid; urgency=low\n\n  [ C D ]\n  * x (y)\n\n -- C D  x\n";
        let entry = |title: &str, text: &str| ChangelogEntry { title: title.to_owned(), text: text.to_owned() };
        let expected = [
            entry("linux (6.1.2-1)", "\n  * New upstream release\n    - a: b\n      c\n\n\n"),
            entry("linux-2.6 (2.6.1-1)", "\n  [ C D ]\n  * x (y)\n\n"),
        ];
        assert_eq!(Changelog::of_debian(text).entries, expected);
        for other in ["", "Linux 6.1.2\n\n    a: b\n", "commit 0123\nAuthor: A (B) <c>\n", "(1) a; b\n"] {
            assert_eq!(Changelog::of_debian(other).entries, [], "{other}");
        }
    }

    #[test]
    fn oversized_changelog_loses_its_oldest_entries() {
        let text: String = (0..MAX_ENTRIES + 5).map(|n| format!("linux ({n}) sid; urgency=low\n")).collect();
        let entries = Changelog::of_debian(&text).entries;
        assert_eq!((entries.len(), entries[0].title.as_str()), (MAX_ENTRIES, "linux (0)"));
    }
}
