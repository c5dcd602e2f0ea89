//! The items of a changelog's entry: what stands behind a bullet, over as many lines as it goes on.

use crate::evidence::git::subject::plain_subject;

/// The longest item that is looked at, in bytes, and what is kept of a longer one.
const LONGEST: usize = 4000;

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// All of it in one line, without the bullet and single-spaced.
    pub text: String,
    /// The same without the marks that trees put before a subject: `[net]`, `UPSTREAM:`.
    pub plain: String,
    /// `text` as it is compared, see [`loose`].
    pub loose: String,
}

/// A text as subjects are compared: packagers change case, leave the `()` of functions out and set other quotation marks.
pub(super) fn loose(text: &str) -> String {
    let quotes = |c: char| match c {
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '`' | '\u{2018}' | '\u{2019}' | '\'' => '"',
        c => c.to_ascii_lowercase(),
    };
    let text: String = text.chars().map(quotes).collect();
    text.replace("()", "").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The items of an entry, in its order. A line without a bullet goes on with the item above, and is one of its own where
/// there is none.
pub(super) fn items(text: &str) -> Vec<Item> {
    let mut found: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.lines() {
        let line = line.trim();
        let begun = ["- ", "* ", "+ "].iter().find_map(|bullet| line.strip_prefix(bullet));
        match (begun, found.last_mut().filter(|_| goes_on)) {
            (None, _) if line.is_empty() => goes_on = false,
            (None, Some(item)) => {
                if item.len() + line.len() < LONGEST {
                    item.push(' ');
                    item.push_str(line);
                }
            }
            (begun, _) => {
                let line = begun.unwrap_or(line);
                found.push(line.chars().take(LONGEST).collect());
                goes_on = true;
            }
        }
    }
    let single = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let item = |text: String| Item { plain: plain_subject(text.as_bytes()), loose: loose(&text), text: single(text) };
    found.into_iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_go_on_over_lines_as_each_distribution_writes_them() {
        for (text, expected) in [
            // Debian.
            (
                "\n  * New upstream stable update:\n    https://x/ChangeLog-4.19.38\n    - a: b\n    - [x86] c: d in\n      e()\n\n  \
              [ A B ]\n  * f\n",
                &["New upstream stable update: https://x/ChangeLog-4.19.38", "a: b", "c: d in e()", "[ A B ]", "f"][..],
            ),
            // Red Hat.
            (
                "- [net] tcp: x (A B) [1719914]\n- [net] tcp: y (A B) [1719915] {CVE-1}",
                &["tcp: x (A B) [1719914]", "tcp: y (A B) [1719915] {CVE-1}"],
            ),
            // SUSE.
            (
                "- tcp: x in\n  y() (bsc#1137586).\n- Refresh\n  patches.suse/z.\n- commit 0123456",
                &["tcp: x in y() (bsc#1137586).", "Refresh patches.suse/z.", "commit 0123456"],
            ),
            ("", &[]),
            ("no bullet\n", &["no bullet"]),
        ] {
            let plain: Vec<String> = items(text).into_iter().map(|item| item.plain).collect();
            assert_eq!(plain, expected, "{text}");
        }
    }
}
