//! The matrix file's text: from byte offsets to lines and columns, and how pieces of it are shown to people.

use std::ops::Range;

/// Characters of a line that are shown around a mistake; longer lines are cut on both sides.
const SHOWN: usize = 100;

/// A place in the file, for people and editors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextPlace {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The line's text, cut and without characters that a terminal would act on.
    pub snippet: String,
    /// The start and end of the mistake in `snippet`, in characters.
    pub caret: Range<usize>,
}

/// A text and where its lines start.
pub(super) struct Text<'a> {
    text: &'a str,
    lines: Vec<usize>,
}

impl<'a> Text<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let after = |(at, byte): (usize, u8)| match byte {
            b'\n' => Some(at + 1),
            // A lone carriage return is a line break too (YAML 1.2.2, section 5.4).
            b'\r' if text.as_bytes().get(at + 1) != Some(&b'\n') => Some(at + 1),
            _ => None,
        };
        let lines = std::iter::once(0).chain(text.bytes().enumerate().filter_map(after)).collect();
        Self { text, lines }
    }

    pub(super) fn as_str(&self) -> &'a str {
        self.text
    }

    /// The line (its number from 0, its start, its text) that holds this byte.
    pub(super) fn line_at(&self, offset: usize) -> (usize, usize, &'a str) {
        let number = self.lines.partition_point(|&start| start <= offset).saturating_sub(1);
        let start = self.lines[number];
        let end = self.lines.get(number + 1).copied().unwrap_or(self.text.len());
        (number, start, self.text[start..end].trim_end_matches(['\n', '\r']))
    }

    /// The place of these bytes, or of their first line if there are several.
    pub(super) fn place(&self, bytes: &Range<usize>) -> TextPlace {
        let (number, line_start, line) = self.line_at(bytes.start);
        let characters = |offset: usize| line.char_indices().take_while(|(at, _)| line_start + at < offset).count();
        let start = characters(bytes.start);
        let length = line.chars().count();
        let end = characters(bytes.end).max(start + 1);
        let from = if length <= SHOWN { 0 } else { start.saturating_sub(SHOWN / 2) };
        let to = length.min(from + SHOWN);
        let (head, tail) = (if from > 0 { "…" } else { "" }, if to < length { "…" } else { "" });
        let shown: String = line.chars().skip(from).take(to - from).map(visible).collect();
        let caret_start = start - from + head.chars().count();
        let caret_end = end.min(to.max(start + 1)) - from + head.chars().count();
        TextPlace {
            line: number + 1,
            column: start + 1,
            snippet: format!("{head}{shown}{tail}"),
            caret: caret_start..caret_end,
        }
    }
}

/// From positions in characters, which the parser counts, to bytes of the file.
pub(super) struct Offsets {
    /// The byte at which each character starts; absent if every character is one byte.
    starts: Option<Vec<usize>>,
    /// Bytes of the file before the first character.
    skipped: usize,
    length: usize,
}

impl Offsets {
    pub(super) fn new(text: &str, skipped: usize) -> Self {
        let starts = (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect());
        Self { starts, skipped, length: text.len() }
    }

    /// The byte at which this character starts; the text's end for any later one.
    pub(super) fn byte(&self, character: usize) -> usize {
        let byte = match &self.starts {
            Some(starts) => starts.get(character).copied().unwrap_or(self.length),
            None => character.min(self.length),
        };
        byte + self.skipped
    }

    /// The bytes of these characters.
    pub(super) fn bytes(&self, characters: Range<usize>) -> Range<usize> {
        let start = self.byte(characters.start);
        start..self.byte(characters.end).max(start)
    }
}

/// The printed form of a character of the file: one column, without effect on the terminal or on the order of the text
/// around it.
fn visible(character: char) -> char {
    match character {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => '\u{fffd}',
        c => c,
    }
}

/// A value from the file as messages show it: in backticks, cut after 60 characters.
pub(super) fn quote(value: &str) -> String {
    if value.is_empty() {
        return "\"\"".to_owned();
    }
    let mut shown: String = value.chars().take(60).flat_map(char::escape_debug).collect();
    // escape_debug escapes these two, but they are harmless.
    shown = shown.replace("\\'", "'").replace("\\\"", "\"");
    if value.chars().nth(60).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// A list of choices as messages show it: `a`, `b` or `c`.
pub(super) fn one_of<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(quote).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "nothing".to_owned(),
    }
}

/// The choice that was probably meant: the only one with this prefix, or else the nearest one, if at most a third of
/// its letters differ.
pub(crate) fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str> + Clone) -> Option<&'n str> {
    // Long texts are not typos, and comparing them takes quadratic time.
    if wrong.len() > 100 {
        return None;
    }
    let wrong = wrong.to_lowercase();
    let mut longer = names.clone().into_iter().filter(|name| wrong.len() >= 3 && name.starts_with(&wrong));
    if let (Some(only), None) = (longer.next(), longer.next()) {
        return Some(only);
    }
    let distance = |name: &'n str| (strsim::osa_distance(&wrong, &name.to_lowercase()), name);
    let (distance, name) = names.into_iter().map(distance).min_by_key(|(distance, _)| *distance)?;
    (distance <= (name.chars().count() / 3).max(1)).then_some(name)
}

/// Choices that a message lists in full; of more it names only [`NAMED`].
const LISTED: usize = 20;
/// Choices that a message names if there are too many to list.
const NAMED: usize = 5;

/// The end of a message about a wrong choice: the choice that was probably meant, or else the choices.
pub fn expected_one_of<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str> + Clone) -> String {
    if let Some(meant) = nearest(wrong, names.clone()) {
        return format!("did you mean {}?", quote(meant));
    }
    let names: Vec<&str> = names.into_iter().collect();
    let others = if names.len() > LISTED { names.len() - NAMED } else { 0 };
    match names.get(..NAMED).filter(|_| others > 0) {
        Some(named) => {
            let named: Vec<String> = named.iter().map(|name| quote(name)).collect();
            format!("expected {} or one of {others} others", named.join(", "))
        }
        None => format!("expected {}", one_of(names)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_counts_lines_and_characters_from_one() {
        for (text, bytes, line, column, under) in [
            ("a: b", 3..4, 1, 4, "b"),
            ("a: b\nc: d\n", 8..9, 2, 4, "d"),
            ("a: b\r\nc: d\r\n", 9..10, 2, 4, "d"),
            ("a: b\rc: d", 8..9, 2, 4, "d"),
            ("é: b", 4..5, 1, 4, "b"),
            ("\ta", 1..2, 1, 2, "a"),
            ("a: |\n b\n c", 3..10, 1, 4, "|"),
        ] {
            let place = Text::new(text).place(&bytes);
            assert_eq!((place.line, place.column), (line, column), "{text:?}");
            let shown: String = place.snippet.chars().skip(place.caret.start).take(place.caret.len()).collect();
            assert_eq!(shown, under, "{text:?}");
        }
    }

    #[test]
    fn end_of_the_text_is_a_place_too() {
        for text in ["", "a", "a\n", "a\r\n", "é"] {
            let place = Text::new(text).place(&(text.len()..text.len()));
            assert_eq!(place.caret.len(), 1, "{text:?}");
        }
    }

    #[test]
    fn long_line_is_cut_around_the_mistake() {
        let text = format!("{}X{}", "a".repeat(5000), "b".repeat(5000));
        let place = Text::new(&text).place(&(5000..5001));
        assert!(place.snippet.chars().count() <= SHOWN + 2);
        assert_eq!(place.snippet.chars().nth(place.caret.start), Some('X'));
        assert_eq!(place.column, 5001);
    }

    #[test]
    fn shown_text_cannot_control_a_terminal() {
        let place = Text::new("\u{1b}[31m\u{202e}x").place(&(0..1));
        assert_eq!(place.snippet, "\u{fffd}[31m\u{fffd}x");
        assert_eq!(quote("a\u{1b}\nb'\""), "`a\\u{1b}\\nb'\"`");
        assert_eq!(quote(&"x".repeat(61)), format!("`{}…`", "x".repeat(60)));
    }

    #[test]
    fn wrong_choice_gets_a_suggestion_or_a_short_list() {
        let kernels: Vec<String> = (1..=60).map(|n| format!("v4.19.{n}")).collect();
        let kernels = || kernels.iter().map(String::as_str);
        assert_eq!(expected_one_of("v4.19.7", ["v4.19.57", "debian-12"]), "did you mean `v4.19.57`?");
        assert_eq!(expected_one_of("fedora", ["debian-12", "sid"]), "expected `debian-12` or `sid`");
        assert_eq!(
            expected_one_of("fedora", kernels().collect::<Vec<_>>()),
            "expected `v4.19.1`, `v4.19.2`, `v4.19.3`, `v4.19.4`, `v4.19.5` or one of 55 others"
        );
    }

    #[test]
    fn only_a_near_name_is_suggested() {
        let names = ["expect", "optional", "apt"];
        for (wrong, meant) in [
            ("expcet", Some("expect")),
            ("EXPECT", Some("expect")),
            ("apt-get", None),
            ("option", Some("optional")),
            ("tpa", None),
            ("at", Some("apt")),
            ("opt", Some("optional")),
            ("ex", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, names), meant, "{wrong}");
        }
    }
}
