//! Foreign text in a page: bounded, and nothing in it is obeyed.

use std::collections::HashMap;

use serde::Serialize;

use crate::json::is_obeyed;

/// The most characters of one text in a page. The files beside the page have the rest.
pub(in crate::report) const TEXT_MOST: usize = 4000;

/// `text` with its line breaks, bounded, and with a visible character in place of each that a terminal, a browser or a
/// reader would obey: `␛` for an escape, `⟨U+202E⟩` for a reversal.
pub(in crate::report) fn inert(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(TEXT_MOST));
    let mut characters = text.chars();
    for c in characters.by_ref().take(TEXT_MOST) {
        match c {
            '\n' | '\t' => shown.push(c),
            // Unicode has pictures of the first 32 characters, and of the one that deletes.
            '\0'..='\u{1f}' => shown.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
            '\u{7f}' => shown.push('\u{2421}'),
            c if is_obeyed(c) => shown.push_str(&format!("⟨U+{:04X}⟩", u32::from(c))),
            c => shown.push(c),
        }
    }
    let left = characters.count();
    if left > 0 {
        shown.push_str(&format!("… ({left} more characters)"));
    }
    shown
}

/// As [`inert`], for bytes that need not be UTF-8.
pub(in crate::report) fn inert_bytes(bytes: &[u8]) -> String {
    // Four bytes are enough for each character.
    let bounded = &bytes[..bytes.len().min(TEXT_MOST * 4)];
    inert(&String::from_utf8_lossy(bounded))
}

/// The texts of a page, each kept once. Kernels have most of their texts in common.
#[derive(Default)]
pub(in crate::report) struct Texts {
    all: Vec<String>,
    /// By the foreign text, and by what it became.
    places: HashMap<String, Text>,
}

/// The place of a text in [`Texts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub(in crate::report) struct Text(usize);

impl Texts {
    /// Keeps a foreign text, made [`inert`].
    pub(in crate::report) fn keep(&mut self, text: &str) -> Text {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let shown = inert(text);
        let next = Text(self.all.len());
        let place = *self.places.entry(shown).or_insert_with_key(|shown| {
            self.all.push(shown.clone());
            next
        });
        self.places.insert(text.to_owned(), place);
        place
    }

    /// Keeps several.
    pub(in crate::report) fn keep_all<S: AsRef<str>>(&mut self, texts: impl IntoIterator<Item = S>) -> Vec<Text> {
        texts.into_iter().map(|text| self.keep(text.as_ref())).collect()
    }

    /// All of them, by their places.
    pub(in crate::report) fn into_all(self) -> Vec<String> {
        self.all
    }
}

/// A value as JSON that can stand in an HTML `script` element: no `<`, so neither `</script>` nor `<!--` (HTML, section
/// 4.12.1.3), and no line separators.
pub(in crate::report) fn embedded_json(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(serde_json::to_string(value)?
        .replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_shown_and_not_obeyed() {
        for (text, shown) in [
            ("6.1\u{1b}[2J\r\n\0\u{7f}", "6.1␛[2J␍\n␀␡"),
            ("a\u{202e}b\u{feff}\u{2028}\u{9b}", "a⟨U+202E⟩b⟨U+FEFF⟩⟨U+2028⟩⟨U+009B⟩"),
            ("<b>größer 漢字</b>", "<b>größer 漢字</b>"),
        ] {
            assert_eq!(inert(text), shown);
        }
        assert_eq!(inert_bytes(b"a\xff<\x1b"), "a\u{fffd}<␛");
    }

    #[test]
    fn line_of_a_megabyte_is_bounded() {
        for text in [inert(&"x".repeat(1 << 20)), inert_bytes(&vec![0x1b; 1 << 20])] {
            assert!(text.len() < TEXT_MOST * 4, "{}", text.len());
            assert!(text.ends_with("more characters)"), "{}", &text[text.len() - 100..]);
        }
    }

    #[test]
    fn text_is_kept_once() {
        let mut texts = Texts::default();
        let places = texts.keep_all(["a", "b", "a", "\u{1b}", "␛"]);
        assert_eq!(places.iter().map(|place| place.0).collect::<Vec<_>>(), [0, 1, 0, 2, 2]);
        assert_eq!(texts.into_all(), ["a", "b", "␛"]);
    }

    #[test]
    fn embedded_json_cannot_end_its_element() {
        let value = serde_json::json!({ "<!--": "</script><script>alert(1)</script>\u{2028}" });
        let json = embedded_json(&value).expect("JSON");
        assert!(!json.contains('<') && !json.contains('\u{2028}'), "{json}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).expect("JSON"), value);
    }
}
