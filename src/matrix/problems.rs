//! The mistakes of a file: all of them together, each with its place, printed as compilers do.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use super::text::{Text, TextPlace};

/// The most mistakes to keep and print; the rest are only counted. A mistake that stops the parser is always kept.
pub const KEPT: usize = 50;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its place; absent if it concerns the whole file.
    pub place: Option<TextPlace>,
    /// The fault and the expected form, on one line.
    pub message: String,
    /// A related place (where a key was given first), with its message.
    pub note: Option<(TextPlace, String)>,
}

/// All mistakes of one file, in its order, after those of the files that it names. [`fmt::Display`] prints them on
/// several lines, without a newline at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The file.
    pub path: PathBuf,
    /// At most [`KEPT`] mistakes, or one more if the last one stopped the parser; never empty.
    pub problems: Vec<Problem>,
    /// The number of further mistakes.
    pub more: usize,
    /// The mistakes of required files that this one names: the dossiers of a matrix.
    pub within: Vec<Problems>,
}

impl std::error::Error for Problems {}

impl Problems {
    /// One mistake that concerns the whole file.
    pub(super) fn of_file(path: PathBuf, message: String) -> Self {
        Self { path, problems: vec![Problem { place: None, message, note: None }], more: 0, within: Vec::new() }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for within in &self.within {
            writeln!(f, "{within}")?;
        }
        let path = self.path.display();
        for problem in &self.problems {
            match &problem.place {
                // It is the only one.
                None => return write!(f, "{path}: {}", problem.message),
                Some(place) => {
                    writeln!(f, "{path}:{}:{}: {}", place.line, place.column, problem.message)?;
                    show(f, place)?;
                }
            }
            if let Some((place, text)) = &problem.note {
                writeln!(f, "{path}:{}:{}: {text}", place.line, place.column)?;
                show(f, place)?;
            }
        }
        match (self.problems.len() + self.more, self.more) {
            (1, _) => write!(f, "1 mistake in {path}"),
            (all, 0) => write!(f, "{all} mistakes in {path}"),
            (all, more) => write!(f, "and {more} more: {all} mistakes in {path}"),
        }
    }
}

/// The line, with carets under the mistake.
fn show(f: &mut fmt::Formatter<'_>, place: &TextPlace) -> fmt::Result {
    let width = place.line.to_string().len().max(4);
    writeln!(f, "{:width$} | {}", place.line, place.snippet.trim_end())?;
    let carets = "^".repeat(place.caret.len());
    writeln!(f, "{:width$} | {:indent$}{carets}", "", "", indent = place.caret.start)
}

/// Collects mistakes while a file is read and checked.
pub(super) struct Collector<'a> {
    pub(super) text: Text<'a>,
    found: Vec<(usize, Problem)>,
    more: usize,
    within: Vec<Problems>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text: Text::new(text), found: Vec::new(), more: 0, within: Vec::new() }
    }

    /// Adds a mistake at these bytes.
    pub(super) fn add(&mut self, at: &Range<usize>, message: impl FnOnce() -> String) {
        self.add_with(at, message, || None);
    }

    /// Adds a mistake with a related place. The texts are closures because a hostile file can have a quarter of a
    /// million mistakes, and most are only counted.
    pub(super) fn add_with(
        &mut self,
        at: &Range<usize>,
        message: impl FnOnce() -> String,
        note: impl FnOnce() -> Option<(Range<usize>, String)>,
    ) {
        if self.is_full() {
            self.more += 1;
            return;
        }
        let note = note().map(|(at, text)| (self.text.place(&at), text));
        self.found.push((at.start, Problem { place: Some(self.text.place(at)), message: message(), note }));
    }

    /// Adds the mistake that stops the parser. It is always kept, because the rest of the file is unread.
    pub(super) fn add_last(&mut self, at: &Range<usize>, message: String) {
        self.found.push((at.start, Problem { place: Some(self.text.place(at)), message, note: None }));
    }

    /// Adds a mistake at these bytes, and the mistakes of the files that they name.
    pub(super) fn add_within(&mut self, at: &Range<usize>, message: impl FnOnce() -> String, within: Vec<Problems>) {
        self.add(at, message);
        self.within.extend(within);
    }

    /// Whether any further mistake is only counted.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= KEPT
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The mistakes found; `None` if there are none.
    pub(super) fn finish(mut self, path: PathBuf) -> Option<Problems> {
        if self.found.is_empty() {
            return None;
        }
        self.found.sort_by_key(|(at, _)| *at);
        let problems = self.found.into_iter().map(|(_, problem)| problem).collect();
        Some(Problems { path, problems, more: self.more, within: self.within })
    }
}
