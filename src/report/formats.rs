//! The formats in which results are printed.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::style::Style;
use super::{github, gitlab, json, junit, kcidb, ktap, openvex, page, step_summary, table};
use crate::results::MatrixDocument;

/// A result that people and programs read.
pub trait Document: Serialize {
    /// The text for people, with ANSI colours. Print it through `anstream`, which removes them for a file.
    fn text(&self, style: Style) -> String;
}

/// A run, and the folder of its evidence.
pub struct RunReport<'a> {
    /// Its results.
    pub document: &'a MatrixDocument,
    /// Its folder.
    pub folder: &'a Path,
    /// The file that the report is written to; None for stdout.
    pub file: Option<&'a Path>,
}

/// A format of `run` and `report`.
#[derive(Clone, Copy, Debug)]
pub struct RunFormat {
    /// Its name for `--format`.
    pub name: &'static str,
    /// Its description in `--help`.
    pub help: &'static str,
    /// Writes the run.
    pub write: fn(&RunReport, Style, &mut dyn Write) -> io::Result<()>,
}

/// All formats of `run` and `report`. `--format` takes its values from here, and the compiler warns of a format that is
/// missing here. The first one is the default.
pub const RUN_FORMATS: &[RunFormat] = &[
    table::FORMAT,
    json::FORMAT,
    junit::FORMAT,
    ktap::FORMAT,
    step_summary::FORMAT,
    github::FORMAT,
    gitlab::FORMAT,
    kcidb::FORMAT,
    openvex::FORMAT,
    page::FORMAT,
];

#[cfg(test)]
#[path = "readers_tests.rs"]
mod tests;
