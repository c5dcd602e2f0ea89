//! Writes JSON documents.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use serde_json::ser::{CharEscape, Formatter, PrettyFormatter};

/// Whether terminals and editors interpret this character instead of showing it: control characters, and those that
/// reorder or hide the text around them (Unicode Standard Annex 9, and U+200B to U+200D, U+2060, U+FEFF).
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Writes a document, with line breaks and one at its end. It escapes characters that terminals interpret, because documents contain text
/// from guests and packages, and people read them on terminals.
///
/// # Errors
/// If it cannot be written.
pub fn write(mut out: impl Write, value: &(impl Serialize + ?Sized)) -> io::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Escaping::default()))?;
    out.write_all(b"\n")
}

/// The document of [`write()`].
///
/// # Errors
/// If the value cannot be JSON.
pub fn to_vec(value: &(impl Serialize + ?Sized)) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write(&mut bytes, value)?;
    Ok(bytes)
}

/// A path as text, because JSON must be UTF-8, but paths need not be. For `#[serde(serialize_with)]`.
///
/// # Errors
/// Those of the serializer.
pub fn path<S: Serializer>(path: impl AsRef<Path>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.as_ref().to_string_lossy())
}

/// Several paths, as [`path`] writes one.
///
/// # Errors
/// Those of the serializer.
pub fn paths<'a, S: Serializer>(
    paths: impl IntoIterator<Item = &'a PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.into_iter().map(|path| path.to_string_lossy()))
}

/// A path that may be missing, as [`path`] writes one.
///
/// # Errors
/// Those of the serializer.
pub fn optional_path<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(serializer)
}

/// What a value prints. For `#[serde(serialize_with)]`.
///
/// # Errors
/// Those of the serializer.
pub fn text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Several values, as [`text`] writes one.
///
/// # Errors
/// Those of the serializer.
pub fn texts<S: Serializer>(values: &[impl Display], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(ToString::to_string))
}

/// A value that may be missing, as [`text`] writes one.
///
/// # Errors
/// Those of the serializer.
pub fn optional_text<S: Serializer>(value: &Option<impl Display>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(ToString::to_string).serialize(serializer)
}

/// [`PrettyFormatter`], which also escapes what [`is_obeyed`].
#[derive(Default)]
struct Escaping(PrettyFormatter<'static>);

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_obeyed(*c)) {
            self.0.write_string_fragment(out, &rest[..at])?;
            // All of them are below U+10000, so one unit of UTF-16 is enough.
            write!(out, "\\u{:04x}", u32::from(c))?;
            rest = &rest[at + c.len_utf8()..];
        }
        self.0.write_string_fragment(out, rest)
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, out: &mut W, escape: CharEscape) -> io::Result<()> {
        self.0.write_char_escape(out, escape)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_array(out)
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array(out)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array_value(out)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object(out)
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object(out)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object_value(out)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn documents_have_nothing_in_them_that_a_terminal_obeys() {
        let said = "größer 漢字 \u{1f980} \u{202e}6.1\u{9b}2J\u{7f}\u{200b}\u{feff} \"\\\n\u{1b}[31m";
        let value = serde_json::json!({ said: [said, 1, null, { "a": [] }] });
        let bytes = to_vec(&value).expect("JSON");
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&bytes).expect("JSON"), value);
        let text = String::from_utf8(bytes).expect("UTF-8");
        assert!(text.contains(r"größer 漢字 🦀 \u202e6.1\u009b2J\u007f\u200b\ufeff "), "{text}");
        assert!(!text.chars().any(|c| is_obeyed(c) && c != '\n'), "{text}");
        let plain = serde_json::json!({ "a": [1, { "b": "c" }], "d": {} });
        assert_eq!(
            to_vec(&plain).expect("JSON"),
            (serde_json::to_string_pretty(&plain).expect("JSON") + "\n").as_bytes()
        );
    }

    #[test]
    fn paths_that_are_not_utf_8_are_written() {
        #[derive(Serialize)]
        struct Paths {
            #[serde(serialize_with = "path")]
            one: PathBuf,
            #[serde(serialize_with = "paths")]
            many: Vec<PathBuf>,
            #[serde(serialize_with = "optional_path")]
            none: Option<PathBuf>,
        }
        let odd = PathBuf::from(OsStr::from_bytes(b"caf\xe9"));
        let value = serde_json::to_value(Paths { one: odd.clone(), many: vec![odd], none: None }).expect("JSON");
        assert_eq!(value, serde_json::json!({ "one": "caf\u{fffd}", "many": ["caf\u{fffd}"], "none": null }));
    }
}
