//! Finds a function in a C file without parsing the rest of the file, because kernel files are full of macros that no
//! grammar knows.

use std::collections::BTreeSet;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Definition {
    /// The line with its name; the first of a file is 1.
    pub line: u32,
    /// Its body with its braces, without comments and `#if 0` blocks.
    pub body: String,
    /// The line on which the body begins.
    pub body_line: u32,
}

/// The definitions of `name` in a file: more than one if the configuration chooses between them.
///
/// # Errors
///
/// If a definition has no end.
pub(super) fn definitions(text: &str, name: &str) -> Result<Vec<Definition>, String> {
    let mut found = Vec::new();
    if name.is_empty() || !text.contains(name) {
        return Ok(found);
    }
    let bare = Bare::of(text);
    let line = |at: usize| {
        let lines = text.as_bytes().get(..at).unwrap_or_default().iter().filter(|b| **b == b'\n').count();
        u32::try_from(lines).unwrap_or(u32::MAX).saturating_add(1)
    };
    let mut walk = Walk { bare: &bare, at: 0, depth: 0, event: 0, branches: Vec::new() };
    while walk.next().is_some() {
        let at = walk.at - 1;
        if walk.depth != 0 || !bare.is_word_at(at, name) {
            continue;
        }
        let Some(open) = bare.body_after(at + name.len()) else { continue };
        // The walk handles the events on the way. The body ends when the depth is back to 0.
        let mut end = None;
        while let Some(byte) = walk.next() {
            if byte == b'}' && walk.depth == 0 && walk.at > open {
                end = Some(walk.at);
                break;
            }
        }
        let Some(end) = end else {
            return Err(format!("{name}() begins on line {} and has no end", line(at)));
        };
        // This is always UTF-8, because it is cut at ASCII braces and blanked in whole characters.
        let body = bare.readable.get(open..end).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        found.push(Definition { line: line(at), body: body.unwrap_or_default(), body_line: line(open) });
    }
    Ok(found)
}

/// The macros of a file, for any configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Macros {
    /// Macros with parameters, which may mean anything.
    pub with_parameters: BTreeSet<String>,
    /// Macros that jump or return, with or without parameters.
    pub leaving: BTreeSet<String>,
    /// Names that are undefined or defined as a number, which hides a header's definition.
    pub renamed: BTreeSet<String>,
}

impl Macros {
    /// The macros of a file.
    pub(super) fn of(text: &str) -> Self {
        let mut macros = Self::default();
        // A backslash at the end continues a line.
        let text = text.replace("\\\r\n", " ").replace("\\\n", " ");
        for line in text.lines() {
            let Some(line) = line.trim_start().strip_prefix('#').map(str::trim_start) else { continue };
            let Some((word, rest)) = line.split_once([' ', '\t']) else { continue };
            let rest = rest.trim_start();
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let (name, meaning) = rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len()));
            let name = || name.to_owned();
            match word {
                "undef" => {
                    macros.renamed.insert(name());
                }
                "define" => {
                    if meaning.starts_with('(') {
                        macros.with_parameters.insert(name());
                    } else if meaning.trim_start().starts_with(|c: char| c.is_ascii_digit()) {
                        macros.renamed.insert(name());
                    }
                    if meaning.split(|c| !is_name(c)).any(|word| word == "return" || word == "goto") {
                        macros.leaving.insert(name());
                    }
                }
                _ => {}
            }
        }
        macros
    }
}

/// A preprocessor line that begins or ends a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IfLine {
    If,
    Else,
    Endif,
}

/// A file with parts blanked out. All versions keep the length and line breaks of the file.
struct Bare {
    /// Without comments and `#if 0` blocks.
    readable: Vec<u8>,
    /// Also without preprocessor lines and strings.
    code: Vec<u8>,
    /// The preprocessor's branch lines, by offset.
    events: Vec<(usize, IfLine)>,
}

/// An `#if` that is open.
struct Open {
    /// The value of its condition, if known.
    known: Option<bool>,
    /// The start of lines that are never compiled.
    dead_from: Option<usize>,
}

impl Bare {
    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut bare = Self { readable: bytes.to_vec(), code: bytes.to_vec(), events: Vec::new() };
        let mut open: Vec<Open> = Vec::new();
        let (mut at, mut fresh_line) = (0, true);
        while let Some(&byte) = bytes.get(at) {
            let rest = bytes.get(at..).unwrap_or_default();
            let mut end = at + 1;
            match byte {
                b'/' if rest.starts_with(b"/*") => {
                    end = find(bytes, at + 2, b"*/").map_or(bytes.len(), |end| end + 2);
                    bare.blank_readable(at, end);
                    bare.blank_code(at, end);
                }
                b'/' if rest.starts_with(b"//") => {
                    end = line_end(bytes, at);
                    bare.blank_readable(at, end);
                    bare.blank_code(at, end);
                }
                b'"' | b'\'' => {
                    end = string_end(bytes, at);
                    bare.blank_code(at, end);
                    fresh_line = false;
                }
                b'#' if fresh_line => {
                    end = line_end(bytes, at);
                    // A comment that begins here may end lines later, so it is read like any other.
                    if let Some(comment) = find(bytes, at, b"/*").filter(|comment| *comment < end) {
                        end = comment;
                    }
                    bare.blank_code(at, end);
                    bare.directive(text, at, end, &mut open);
                }
                b'\n' => fresh_line = true,
                _ if byte.is_ascii_whitespace() => {}
                _ => fresh_line = false,
            }
            at = end;
        }
        bare
    }

    fn directive(&mut self, text: &str, at: usize, end: usize, open: &mut Vec<Open>) {
        let line = text.get(at + 1..end).unwrap_or_default();
        let line = line.split("//").next().unwrap_or_default().trim();
        let (word, condition) = line.split_at(line.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(line.len()));
        match word {
            "if" | "ifdef" | "ifndef" => {
                let known = match (word, condition.trim()) {
                    ("if", "0") => Some(false),
                    ("if", "1") => Some(true),
                    _ => None,
                };
                if known.is_some() {
                    self.blank_readable(at, end);
                } else {
                    self.events.push((at, IfLine::If));
                }
                open.push(Open { known, dead_from: (known == Some(false)).then_some(end) });
            }
            "else" | "elif" => match open.last_mut() {
                Some(Open { known: None, .. }) => self.events.push((at, IfLine::Else)),
                Some(last) => {
                    let dead = last.dead_from.take();
                    if let Some(from) = dead {
                        self.kill(from, at);
                    }
                    if word == "elif" && last.known == Some(false) {
                        // After `#if 0`, `#elif X` means `#if X`.
                        let word = find(text.as_bytes(), at, b"elif").unwrap_or(at);
                        self.readable.splice(word..word + 4, *b"if  ");
                        self.events.push((at, IfLine::If));
                        last.known = None;
                        return;
                    }
                    if last.known == Some(true) {
                        last.dead_from = dead.or(Some(end));
                    }
                    self.blank_readable(at, end);
                    last.known = Some(true);
                }
                None => {}
            },
            "endif" => match open.pop() {
                Some(Open { known: None, .. }) => self.events.push((at, IfLine::Endif)),
                Some(last) => {
                    if let Some(from) = last.dead_from {
                        self.kill(from, at);
                    }
                    self.blank_readable(at, end);
                }
                None => {}
            },
            _ => {}
        }
    }

    /// Blanks lines that are never compiled, with the branches in them.
    fn kill(&mut self, from: usize, to: usize) {
        self.blank_readable(from, to);
        self.blank_code(from, to);
        self.events.retain(|(at, _)| !(from..to).contains(at));
    }

    fn blank_readable(&mut self, from: usize, to: usize) {
        blank(&mut self.readable, from, to);
    }

    fn blank_code(&mut self, from: usize, to: usize) {
        blank(&mut self.code, from, to);
    }

    fn is_word_at(&self, at: usize, name: &str) -> bool {
        let is_word = |at: usize| self.code.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        self.code.get(at..).is_some_and(|rest| rest.starts_with(name.as_bytes()))
            && !is_word(at + name.len())
            && !at.checked_sub(1).is_some_and(is_word)
    }

    /// The start of the body, if parameters, attributes and a body follow the name.
    fn body_after(&self, at: usize) -> Option<usize> {
        let mut at = self.parentheses(self.skip(at, |b| b.is_ascii_whitespace()))?;
        loop {
            at = self.skip(at, |b| b.is_ascii_whitespace());
            match *self.code.get(at)? {
                b'{' => return Some(at),
                b'(' => at = self.parentheses(at)?,
                b if b.is_ascii_alphabetic() || b == b'_' => {
                    at = self.skip(at, |b| b.is_ascii_alphanumeric() || b == b'_');
                }
                _ => return None,
            }
        }
    }

    fn parentheses(&self, at: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for (end, byte) in self.code.iter().enumerate().skip(at) {
            match byte {
                b'(' => depth += 1,
                b')' => depth = depth.checked_sub(1)?,
                b'{' | b';' => return None,
                _ => {}
            }
            if depth == 0 {
                return (end > at).then_some(end + 1);
            }
        }
        None
    }

    fn skip(&self, at: usize, what: impl Fn(u8) -> bool) -> usize {
        at + self.code.get(at..).unwrap_or_default().iter().take_while(|b| what(**b)).count()
    }
}

/// Walks over code and counts braces. Of an `#if` only the first branch counts, because the branches are balanced or
/// all open the same braces.
struct Walk<'b> {
    bare: &'b Bare,
    at: usize,
    depth: usize,
    event: usize,
    /// For each open `#if`, the depth before it and after its first branch.
    branches: Vec<(usize, Option<usize>)>,
}

impl Walk<'_> {
    fn next(&mut self) -> Option<u8> {
        while let Some((_, event)) = self.bare.events.get(self.event).filter(|(at, _)| *at <= self.at) {
            self.event += 1;
            match event {
                IfLine::If => self.branches.push((self.depth, None)),
                IfLine::Else => {
                    if let Some((before, first)) = self.branches.last_mut() {
                        first.get_or_insert(self.depth);
                        self.depth = *before;
                    }
                }
                IfLine::Endif => {
                    if let Some((_, Some(first))) = self.branches.pop() {
                        self.depth = first;
                    }
                }
            }
        }
        let byte = *self.bare.code.get(self.at)?;
        self.at += 1;
        match byte {
            b'{' => self.depth += 1,
            b'}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        Some(byte)
    }
}

fn blank(bytes: &mut [u8], from: usize, to: usize) {
    for byte in bytes.get_mut(from..to).unwrap_or_default() {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes.get(from..)?.windows(what.len()).position(|window| window == what).map(|at| from + at)
}

/// The end of a line, including continuations by a backslash.
fn line_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(end) = find(bytes, at, b"\n") {
        let before = bytes.get(at..end).unwrap_or_default();
        if !before.strip_suffix(b"\r").unwrap_or(before).ends_with(b"\\") {
            return end;
        }
        at = end + 1;
    }
    bytes.len()
}

/// The end of a string or character literal. An unclosed one ends with its line.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let quote = bytes.get(at).copied();
    let mut end = at + 1;
    while let Some(&byte) = bytes.get(end) {
        match byte {
            b'\\' => end += 1,
            b'\n' => return end,
            _ if Some(byte) == quote => return end + 1,
            _ => {}
        }
        end += 1;
    }
    bytes.len()
}

#[cfg(test)]
#[path = "function_tests.rs"]
mod tests;
