//! The functions of a source tree that signatures name, each read once.

use std::collections::{BTreeMap, BTreeSet};

use super::case::{self, Fit};
use super::files::SourceFiles;
use super::function::{self, Macros};
use super::matching::SearchedBody;
use crate::matrix::c::{self, Body, Unreadable};
use crate::matrix::{Elsewhere, SourcePattern};

/// A function in a file.
pub(super) struct SourceFunction {
    /// The line with its name.
    pub line: u32,
    /// Its body, if it could be parsed.
    pub body: Result<Body, Unreadable>,
}

/// The parts of a source tree that were read.
pub(super) struct SourceTree {
    texts: BTreeMap<String, Result<String, String>>,
    functions: BTreeMap<(String, String), Result<Vec<SourceFunction>, String>>,
    macros: BTreeMap<String, Macros>,
}

impl SourceTree {
    /// Reads these functions, each given as file and name.
    pub(super) fn read<'s>(
        files: &(impl SourceFiles + ?Sized),
        wanted: impl Iterator<Item = (&'s str, &'s str)>,
    ) -> Self {
        let mut tree = Self { texts: BTreeMap::new(), functions: BTreeMap::new(), macros: BTreeMap::new() };
        for (file, name) in wanted {
            let text = tree.texts.entry(file.to_owned()).or_insert_with(|| text(files, file));
            let key = (file.to_owned(), name.to_owned());
            tree.functions.entry(key).or_insert_with(|| match text {
                Ok(text) => definitions(text, file, name),
                Err(why) => Err(why.clone()),
            });
            if let (Ok(text), false) = (text, tree.macros.contains_key(file)) {
                tree.macros.insert(file.to_owned(), Macros::of(text));
            }
        }
        // A function may use macros from a header.
        let leaving: Vec<String> = tree.macros.values().flat_map(|macros| macros.leaving.iter().cloned()).collect();
        for macros in tree.macros.values_mut() {
            macros.leaving.extend(leaving.iter().cloned());
        }
        tree
    }

    /// The definitions of a function, at least one, or the reason why there is none.
    pub(super) fn functions(&self, file: &str, name: &str) -> Result<&[SourceFunction], &str> {
        match self.functions.get(&(file.to_owned(), name.to_owned())) {
            Some(Ok(functions)) => Ok(functions),
            Some(Err(why)) => Err(why),
            None => Err("it was not read"),
        }
    }

    /// The macros of a file, and those of other files that leave the calling function.
    pub(super) fn macros(&self, file: &str) -> &Macros {
        static NONE: Macros =
            Macros { with_parameters: BTreeSet::new(), leaving: BTreeSet::new(), renamed: BTreeSet::new() };
        self.macros.get(file).unwrap_or(&NONE)
    }

    /// The text of a file that was read.
    pub(super) fn text(&self, file: &str) -> Option<&str> {
        self.texts.get(file)?.as_ref().ok().map(String::as_str)
    }

    /// Whether another function fits a case. If it is defined more than once, all definitions must.
    pub(super) fn fit(&self, other: &Elsewhere, harmless: &[SourcePattern]) -> Fit {
        let functions = match self.functions(&other.file, &other.function) {
            Ok(functions) => functions,
            Err(why) => return Fit::Doubt(why.to_owned()),
        };
        let mut fits = functions.iter().map(|function| match &function.body {
            Ok(body) => {
                let subject = SearchedBody::new(body, self.macros(&other.file));
                case::fit(&subject, &other.has, &other.lacks, harmless)
            }
            Err(error) => Fit::Doubt(format!("{}() in {} cannot be read: {error}", other.function, other.file)),
        });
        let first = fits.next().unwrap_or(Fit::No);
        let alike = |fit: Fit| std::mem::discriminant(&fit) == std::mem::discriminant(&first);
        if fits.all(alike) {
            return first;
        }
        Fit::Doubt(format!("{} has differing definitions of {}()", other.file, other.function))
    }
}

fn text(files: &(impl SourceFiles + ?Sized), file: &str) -> Result<String, String> {
    match files.read(file) {
        Ok(Some(bytes)) if bytes.contains(&0) => Err(format!("{file} is not a text file")),
        // Comments in old files have names in Latin-1.
        Ok(Some(bytes)) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Ok(None) if matches!(super::release(files), Ok(None)) => {
            Err(format!("this is not a kernel source: there is no {file}, and no Makefile that names a VERSION"))
        }
        Ok(None) => Err(format!("there is no {file}")),
        Err(error) => Err(format!("{file} cannot be read: {error}")),
    }
}

fn definitions(text: &str, file: &str, name: &str) -> Result<Vec<SourceFunction>, String> {
    let found = function::definitions(text, name).map_err(|why| format!("{file}: {why}"))?;
    if found.is_empty() {
        return Err(format!("{file} does not define {name}()"));
    }
    let read = |one: function::Definition| SourceFunction { line: one.line, body: c::body(&one.body, one.body_line) };
    Ok(found.into_iter().map(read).collect())
}
