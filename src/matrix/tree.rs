//! Reads YAML into a tree that keeps positions. It rejects unneeded features: anchors and aliases (and so alias bombs),
//! tags, merge keys, keys that are not text, duplicate keys, a second document, deep nesting.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::problems::Collector;
use super::text::{Offsets, quote};

/// The deepest nesting of lists and mappings; a matrix needs four, a dossier seven.
const DEPTH: usize = 16;

/// The most values and keys of a file: enough for a matrix of five thousand kernels. It bounds the time, because the parser
/// takes up to 0.4 µs for each, and a megabyte of brackets would take most of a second.
const VALUES: usize = 50_000;

/// One value and its place, in bytes of the file.
#[derive(Debug)]
pub(super) struct YamlNode {
    pub(super) span: Range<usize>,
    pub(super) value: Value,
}

/// A value.
#[derive(Debug)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Any other scalar, quoted or not, as it was written: `5.10` is not a number.
    Text(String),
    List(Vec<YamlNode>),
    /// Each key once.
    Map(Vec<(Key, YamlNode)>),
    /// A rejected value. It is already reported, so it causes no further messages.
    Refused,
}

impl YamlNode {
    /// Whether it is a list or a mapping without anything in it.
    pub(super) fn is_empty(&self) -> bool {
        match &self.value {
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
            Value::Null | Value::Text(_) | Value::Refused => false,
        }
    }
}

impl Value {
    /// Its kind, in words that follow "found".
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Text(text) => quote(text),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a mapping".to_owned(),
            Self::Refused => "something refused".to_owned(),
        }
    }
}

/// A key of a mapping.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) span: Range<usize>,
    pub(super) text: String,
}

/// Reads the one document of the text, which must be `expected`. `None` if it is empty or not valid YAML; that is
/// reported.
pub(super) fn read(problems: &mut Collector<'_>, expected: &str) -> Option<YamlNode> {
    let text = problems.text.as_str();
    if !is_printable(problems) {
        return None;
    }
    // A byte order mark is allowed (YAML 1.2.2, section 5.2); offsets below count from the file's start.
    let skipped = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let parser = Parser::new_from_str(&text[skipped..]);
    let offsets = Offsets::new(&text[skipped..], skipped);
    Builder { parser, offsets, values: 0, problems }.document(expected).ok()
}

/// Whether the text has only characters that YAML allows (1.2.2, section 5.1). The parser takes a NUL for the end of
/// the file, and would silently ignore the rest.
fn is_printable(problems: &mut Collector<'_>) -> bool {
    let allowed =
        |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..);
    for (at, character) in problems.text.as_str().char_indices() {
        if !allowed(character) {
            problems.add(&(at..at + character.len_utf8()), || {
                format!("the character U+{:04X} is not allowed in YAML: expected printable text", character as u32)
            });
        }
    }
    problems.is_empty()
}

/// Reading ended early; the reason is reported.
struct Stopped;

struct Builder<'a, 'p> {
    parser: Parser<'a, StrInput<'a>>,
    offsets: Offsets,
    values: usize,
    problems: &'p mut Collector<'a>,
}

impl<'a> Builder<'a, '_> {
    fn next(&mut self) -> Result<(Event<'a>, Range<usize>), Stopped> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, self.offsets.bytes(span.start.index()..span.end.index()))),
            Some(Err(error)) => Err(self.syntax_error(&error)),
            None => Ok((Event::StreamEnd, self.offsets.byte(usize::MAX)..self.offsets.byte(usize::MAX))),
        }
    }

    fn syntax_error(&mut self, error: &ScanError) -> Stopped {
        let at = self.offsets.byte(error.marker().index());
        let hint = self.hint(at, error.info());
        self.problems.add_last(&(at..at), format!("not valid YAML: {}{hint}", error.info()));
        Stopped
    }

    /// The usual cause of this parser error.
    fn hint(&self, at: usize, info: &str) -> String {
        // The parser may stop at the end of the line before the tab.
        let (number, start, line) = self.problems.text.line_at(at);
        let (next, _, next_line) = self.problems.text.line_at(start + line.len() + 1);
        for (number, line) in [(number, line), (next, next_line)] {
            if line[..line.len() - line.trim_start().len()].contains('\t') {
                return format!("; line {} is indented with a tab: expected spaces", number + 1);
            }
        }
        let hint = match info {
            "mapping values are not allowed in this context" => {
                "; is the line indented too far, or does text with `: ` need quotes?"
            }
            "illegal placement of ':' indicator" => "; is a `[` or `{` before it not closed?",
            "recursion limit exceeded" => "; lists and mappings are nested too deeply",
            "while parsing node, found unknown anchor" => "; aliases (`*name`) are not supported",
            _ => "",
        };
        hint.to_owned()
    }

    fn document(&mut self, expected: &str) -> Result<YamlNode, Stopped> {
        let root = loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_), _) => {}
                (Event::StreamEnd, _) => {
                    self.problems.add(&(0..0), || format!("the file is empty: expected {expected}"));
                    return Err(Stopped);
                }
                (event, at) => break self.node(event, at, 0)?,
            }
        };
        loop {
            match self.next()? {
                (Event::DocumentEnd, _) => {}
                (Event::StreamEnd, _) => return Ok(root),
                (_, at) => {
                    self.problems.add(&at, || "a second document starts here: expected one document".to_owned());
                    return Ok(root);
                }
            }
        }
    }

    fn node(&mut self, event: Event<'a>, at: Range<usize>, depth: usize) -> Result<YamlNode, Stopped> {
        if depth > DEPTH {
            self.problems.add_last(&at, format!("nested more than {DEPTH} levels deep"));
            return Err(Stopped);
        }
        self.values += 1;
        if self.values > VALUES {
            let message = format!("more than {VALUES} values: expected a smaller file, or several");
            self.problems.add_last(&at, message);
            return Err(Stopped);
        }
        let (anchor, tag) = match &event {
            Event::Scalar(_, _, anchor, tag) | Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => {
                (*anchor, tag.as_deref().cloned())
            }
            _ => (0, None),
        };
        let value = match event {
            Event::Scalar(text, style, ..) => scalar(text, style),
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.map(depth)?,
            Event::Alias(_) => {
                self.problems.add(&at, || "an alias (`*name`) is not supported: write the value out here".to_owned());
                Value::Refused
            }
            // No other event can start a value, so this would be a fault of the parser.
            other => {
                self.problems.add(&at, || format!("not valid YAML: unexpected {other:?}"));
                return Err(Stopped);
            }
        };
        let value = self.without_anchor_and_tag(anchor, tag, &at, value);
        // The caret points at the first character of a list or mapping.
        let end = if matches!(value, Value::List(_) | Value::Map(_)) { at.start } else { at.end };
        Ok(YamlNode { span: at.start..end, value })
    }

    fn without_anchor_and_tag(&mut self, anchor: usize, tag: Option<Tag>, at: &Range<usize>, value: Value) -> Value {
        if anchor != 0 {
            self.problems
                .add(at, || "an anchor (`&name`) is not supported: write the value out where it is used".to_owned());
        }
        let Some(tag) = tag else { return value };
        self.problems.add(at, || {
            let tag = format!("{}{}", tag.handle, tag.suffix).replace("tag:yaml.org,2002:", "!!");
            format!("a tag ({}) is not supported: leave it out", quote(&tag))
        });
        Value::Refused
    }

    fn list(&mut self, depth: usize) -> Result<Value, Stopped> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, at) => items.push(self.node(event, at, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Stopped> {
        let mut entries: Vec<(Key, YamlNode)> = Vec::new();
        let mut seen: HashMap<String, Range<usize>> = HashMap::new();
        loop {
            let (event, at) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Value::Map(entries));
            }
            let key = self.node(event, at, depth + 1)?;
            let (event, at) = self.next()?;
            let mut value = self.node(event, at, depth + 1)?;
            let text = match key.value {
                Value::Text(text) => text,
                Value::Refused => continue,
                other => {
                    let found = other.describe();
                    self.problems.add(&key.span, || format!("expected a name as key, found {found}"));
                    continue;
                }
            };
            if text == "<<" {
                self.problems
                    .add(&key.span, || "a merge key (`<<`) is not supported: write the keys out here".to_owned());
                continue;
            }
            if let Some(first) = seen.get(&text) {
                let note = || Some((first.clone(), "first given here".to_owned()));
                self.problems.add_with(&key.span, || format!("the key {} is given twice", quote(&text)), note);
                continue;
            }
            // An empty value has no useful position: the next token may be lines away.
            if matches!(value.value, Value::Null) && value.span.is_empty() {
                value.span = key.span.clone();
            }
            seen.insert(text.clone(), key.span.clone());
            entries.push((Key { span: key.span, text }, value));
        }
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Value {
    // The core schema's nulls (YAML 1.2.2, section 10.3.2).
    if style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    Value::Text(text.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every text below a node, with the bytes of the file that it was read from.
    fn texts<'t>(node: &YamlNode, text: &'t str, found: &mut Vec<(String, &'t str)>) {
        match &node.value {
            Value::Text(value) => found.push((value.clone(), &text[node.span.clone()])),
            Value::List(items) => items.iter().for_each(|item| texts(item, text, found)),
            Value::Map(entries) => {
                for (key, value) in entries {
                    found.push((key.text.clone(), &text[key.span.clone()]));
                    texts(value, text, found);
                }
            }
            Value::Null | Value::Refused => {}
        }
    }

    fn all_texts(text: &str) -> Vec<(String, &str)> {
        let mut problems = Collector::new(text);
        let mut found = Vec::new();
        if let Some(root) = read(&mut problems, "a list") {
            texts(&root, text, &mut found);
        }
        found
    }

    #[test]
    fn text_knows_the_bytes_it_was_read_from() {
        for text in [
            "a: b\nc: [d, e, {f: g}]\n",
            "a: b\r\nc:\r\n  - d\r\n",
            "\u{feff}a: b\nc: d\n",
            "é: ü # ö\nñ: [日本, x]\n",
            "? a\n: b\n",
        ] {
            let found = all_texts(text);
            assert!(found.len() >= 2, "{text:?}");
            assert!(found.iter().all(|(value, bytes)| value == bytes), "{text:?}: {found:?}");
        }
    }

    #[test]
    fn only_plain_null_words_are_null() {
        for (text, describes) in [
            ("''", "\"\""),
            ("'null'", "`null`"),
            ("\"~\"", "`~`"),
            ("null", "nothing"),
            ("~", "nothing"),
            ("5.10", "`5.10`"),
            ("0x10", "`0x10`"),
            ("[]", "a list"),
            ("{}", "a mapping"),
        ] {
            let root = read(&mut Collector::new(text), "a value");
            assert_eq!(root.map(|node| node.value.describe()).as_deref(), Some(describes), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn words_in_a_list_are_where_they_are_said_to_be(words in proptest::collection::vec("[a-zé日]{1,8}", 1..20)) {
            let text: String = words.iter().map(|word| format!("- x{word} # ü\n")).collect();
            let found = all_texts(&text);
            prop_assert_eq!(found.len(), words.len());
            prop_assert!(found.iter().all(|(value, bytes)| value == bytes));
        }
    }
}
