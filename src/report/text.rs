//! Text for terminals, measured in columns: some characters take two, and some none.

use std::borrow::Cow;

use textwrap::{Options, WordSplitter};
use unicode_width::UnicodeWidthChar as _;

use super::style::Style;
use crate::json::is_obeyed;

/// `text` without what a terminal or a workflow's log would obey: an escape sequence from a guest or a package must not move
/// the cursor or retitle the window, and its words must not be commands.
pub fn visible(text: &str) -> String {
    without_commands(text.chars().map(|c| if is_obeyed(c) { '\u{fffd}' } else { c }).collect())
}

/// `text`, with a space in each command of a GitHub workflow: `::name::` at the start of a line, which wrapping
/// may make of any word, and `##[name]` anywhere (actions/runner, ActionCommand.cs).
fn without_commands(text: String) -> String {
    if !text.contains("##[") && !text.contains("::") {
        return text;
    }
    let (mut shown, mut before) = (String::with_capacity(text.len() + 8), ' ');
    for (at, c) in text.char_indices() {
        let is_command = |rest: &str| before.is_whitespace() && rest.contains("::");
        if c == '[' && shown.ends_with("##") {
            shown.push(' ');
        }
        shown.push(c);
        if text[at..].strip_prefix("::").is_some_and(is_command) {
            shown.push(' ');
        }
        before = c;
    }
    shown
}

/// `text` as Markdown that shows it as it is, also in a cell of a table.
pub(super) fn markdown_text(text: &str) -> String {
    let mut shown = String::new();
    for c in visible(text).chars() {
        if "\\`*_{}[]<>|#&~$".contains(c) {
            shown.push('\\');
        }
        shown.push(c);
    }
    shown
}

/// The columns that `text` takes; ANSI sequences take none.
pub fn columns(text: &str) -> usize {
    textwrap::core::display_width(text)
}

/// `text`, padded with spaces to `width` columns. (`{:width$}` counts characters.)
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// `text` in at most `width` columns: an ellipsis replaces the end of a longer one.
pub(super) fn fit(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    start(text.chars(), width.saturating_sub(1)).chain(['…']).collect()
}

/// `text` in at most `width` columns: an ellipsis replaces the middle of a longer one, because both ends of a source or
/// a path matter.
pub(super) fn fit_middle(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(1);
    let tail: Vec<char> = start(text.chars().rev(), kept / 2).collect();
    start(text.chars(), kept - kept / 2).chain(['…']).chain(tail.into_iter().rev()).collect()
}

/// The first characters that fit in `width` columns.
fn start(text: impl Iterator<Item = char>, width: usize) -> impl Iterator<Item = char> {
    let mut taken = 0;
    text.take_while(move |c| {
        taken += c.width().unwrap_or(0);
        taken <= width
    })
}

/// `text`, broken at spaces into lines of at most `width` columns. A longer word stays whole, so that it can be copied.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    wrapped(text, Options::new(width))
}

/// Appends a paragraph: `what` after `first`, and its further lines indented as far.
pub fn paragraph(text: &mut String, first: &str, what: &str, style: Style) {
    hanging(text, first, &" ".repeat(columns(first)), what, style);
}

/// Appends a paragraph whose first line starts with `first`, and whose other lines start with `rest`.
pub fn hanging(text: &mut String, first: &str, rest: &str, what: &str, style: Style) {
    let what = visible(what);
    for line in wrapped(&what, Options::new(style.width).initial_indent(first).subsequent_indent(rest)) {
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

fn wrapped(text: &str, options: Options) -> Vec<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        return vec![options.initial_indent.to_owned()];
    }
    let options = options.break_words(false).word_splitter(WordSplitter::NoHyphenation);
    textwrap::wrap(&text, options).into_iter().map(Cow::into_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_defuses_escapes_and_keeps_letters() {
        assert_eq!(visible("6.1\u{1b}[2J\r\n\u{202e}x\u{9b}1m"), "6.1\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}x\u{fffd}1m");
        assert_eq!(visible("größer 漢字"), "größer 漢字");
    }

    #[test]
    fn visible_defuses_commands_of_a_workflow() {
        for (text, expected) in [
            ("::add-mask::a", ": :add-mask::a"),
            ("a ::error file=x::b", "a : :error file=x::b"),
            ("a ##[warning]b", "a ## [warning]b"),
            // Addresses and paths of code are none.
            ("connect to ::1", "connect to ::1"),
            ("a::b::c fe80::1 ## [x]", "a::b::c fe80::1 ## [x]"),
        ] {
            assert_eq!(visible(text), expected);
        }
    }

    #[test]
    fn long_text_is_cut_and_wrapped() {
        assert_eq!(fit("6.12.95+deb12", 8), "6.12.95…");
        assert_eq!(fit("6.1", 8), "6.1");
        assert_eq!(fit_middle("apt linux-image (sid)", 12), "apt li…(sid)");
        assert_eq!(fit_middle("deb a.deb", 9), "deb a.deb");
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("a-word-that-is-too-long b", 5), ["a-word-that-is-too-long", "b"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn wide_characters_count_two_columns_and_colours_none() {
        assert_eq!(columns("漢字"), 4);
        assert_eq!(columns("\u{1b}[1mab\u{1b}[0m"), 2);
        assert_eq!(pad("漢", 4), "漢  ");
        assert_eq!(fit("漢字漢字", 6), "漢字…");
        assert_eq!(fit_middle("漢字漢字", 6), "漢…字");
        assert_eq!(wrap("漢字 漢字", 5), ["漢字", "漢字"]);
    }

    #[test]
    fn paragraph_indents_what_follows_its_label() {
        let mut text = String::new();
        paragraph(&mut text, "  why: ", "one two three", Style { width: 14, explain: false });
        paragraph(&mut text, "  why: ", "", Style::default());
        assert_eq!(text, "  why: one two\n       three\n  why:\n");
    }
}
