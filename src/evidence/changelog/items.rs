//! The items of a changelog's entry: each bullet, with the lines that continue it and the headings above it.

use crate::evidence::git::subject_forms::takes_back;

/// The longest item to read, in bytes. The rest of a longer one is ignored.
const LONGEST: usize = 4000;
const BULLETS: [&str; 3] = ["- ", "* ", "+ "];

/// One item, in one line, without its bullet and single-spaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChangelogItem {
    pub text: String,
    /// `text` without the `()` of functions and with one kind of quotation mark.
    pub even: String,
    /// `even` in lower case, for comparing subjects. Offsets are the same in both.
    pub loose: String,
    /// Whether a heading above negates it: `Reverted:`, `Drop these patches:`.
    pub is_turned: bool,
}

impl ChangelogItem {
    fn new(text: &str, is_turned: bool) -> Self {
        let text = single_spaced(text);
        let even = even(&text);
        let loose = even.to_ascii_lowercase();
        Self { text, even, loose, is_turned }
    }
}

/// A subject in the form for comparisons.
pub(super) fn loose(text: &str) -> String {
    even(text).to_ascii_lowercase()
}

/// Packagers omit the `()` of functions and use other quotation marks.
fn even(text: &str) -> String {
    let quotes = |c: char| match c {
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '`' | '\u{2018}' | '\u{2019}' | '\'' => '"',
        c => c,
    };
    let text: String = text.chars().map(quotes).collect();
    single_spaced(&text.replace("()", ""))
}

fn single_spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An unfinished item.
struct ItemDraft {
    text: String,
    indent: usize,
    has_bullet: bool,
    is_turned: bool,
    /// Whether it negates the items below it, cached because one heading may have thousands of items.
    takes_back: Option<bool>,
}

impl ItemDraft {
    /// Whether it is a heading of a bullet at this indentation.
    fn heads(&self, indent: usize) -> bool {
        self.indent < indent || !self.has_bullet && self.text.ends_with(':')
    }
}

/// The items of an entry, in order. A line without a bullet continues the item above it, if there is one.
pub(super) fn items(text: &str) -> Vec<ChangelogItem> {
    let mut drafts: Vec<ItemDraft> = Vec::new();
    // The headings above the current line, outermost first, as indexes into the drafts.
    let mut headings: Vec<usize> = Vec::new();
    let mut continues = false;
    for whole in text.lines() {
        let line = whole.trim();
        let indent = whole.len() - whole.trim_start().len();
        let begun = BULLETS.iter().find_map(|bullet| line.strip_prefix(bullet));
        match (begun, drafts.last_mut().filter(|_| continues)) {
            (None, _) if line.is_empty() => continues = false,
            (None, Some(item)) if !item.text.ends_with(':') || item.has_bullet => {
                if item.text.len() + line.len() < LONGEST {
                    item.text.push(' ');
                    item.text.push_str(line);
                }
            }
            (begun, _) => {
                headings.retain(|at| begun.is_some() && drafts[*at].heads(indent));
                let is_turned = headings.iter().any(|at| {
                    let ItemDraft { text, takes_back: known, .. } = &mut drafts[*at];
                    *known.get_or_insert_with(|| takes_back(text))
                });
                headings.push(drafts.len());
                let text = begun.unwrap_or(line).chars().take(LONGEST).collect();
                drafts.push(ItemDraft { text, indent, has_bullet: begun.is_some(), is_turned, takes_back: None });
                continues = true;
            }
        }
    }
    drafts.into_iter().map(|draft| ChangelogItem::new(&draft.text, draft.is_turned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_continue_over_lines() {
        for (text, expected) in [
            // Debian.
            (
                "\n  * New upstream stable update:\n    https://x/ChangeLog-4.19.38\n    - a: b\n    - [x86] c: d in\n      e()\n\n  \
              [ A B ]\n  * f\n",
                &[
                    "New upstream stable update: https://x/ChangeLog-4.19.38",
                    "a: b",
                    "[x86] c: d in e()",
                    "[ A B ]",
                    "f",
                ][..],
            ),
            // Red Hat.
            (
                "- [net] tcp: x (A B) [1719914]\n- [net] tcp: y (A B) [1719915] {CVE-1}",
                &["[net] tcp: x (A B) [1719914]", "[net] tcp: y (A B) [1719915] {CVE-1}"],
            ),
            // SUSE.
            (
                "- tcp: x in\n  y() (bsc#1137586).\n- Refresh\n  patches.suse/z.\n- commit 0123456",
                &["tcp: x in y() (bsc#1137586).", "Refresh patches.suse/z.", "commit 0123456"],
            ),
            ("", &[]),
            ("no bullet\n", &["no bullet"]),
        ] {
            let texts: Vec<String> = items(text).into_iter().map(|item| item.text).collect();
            assert_eq!(texts, expected, "{text}");
        }
    }

    #[test]
    fn negating_headings_apply_to_the_items_below_them() {
        for (text, turned) in [
            ("  * Reverted:\n    - a\n    - b\n  * c\n", &["a", "b"][..]),
            ("Not applied yet:\n- a\n- b\n\nApplied:\n- c\n", &["a", "b"]),
            ("* Update:\n  - Drop these\n    - a\n  - b\n", &["a"]),
            ("* Drop x.patch\n* a\n", &[]),
            ("  * New upstream stable update:\n    - a\n", &[]),
        ] {
            let items = items(text);
            let found: Vec<&str> = items.iter().filter(|item| item.is_turned).map(|item| item.text.as_str()).collect();
            assert_eq!(found, turned, "{text}");
        }
    }
}
