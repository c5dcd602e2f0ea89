//! The recipes of the control kernels, compiled in: what `images/` says, as types.
//!
//! A control kernel is a stock tree with a step of a bug's chain put in or taken out, so that the truth about it is
//! known. The matrix asks this module what is expected of one; `kernel::control` builds it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::words::{BugId, Expectation, KernelName};

/// `images/controls.yaml`.
const LIST: &str = include_str!("../images/controls.yaml");

/// `images/kernel.config`.
const CONFIG: &str = include_str!("../images/kernel.config");

/// Line, file and text of each patch.
type Patches = [(&'static str, &'static str, &'static str)];

macro_rules! patches {
    ($($line:literal: $($file:literal)*;)*) => {
        &[$($(($line, $file, include_str!(concat!("../images/patches/", $line, "/", $file)))),*),*]
    };
}

const PATCHES: &Patches = patches! {
    "6.1":
        "stall-break.patch" "stall-half-fix-slack.patch" "stall-half-fix.patch" "stall-never-had.patch"
        "stall-break-no-counter.patch" "stall-fixed-counter-noisy.patch" "syn-cookie-strict.patch"
        "zero-window-break.patch";
    "6.12":
        "stall-break.patch" "stall-half-fix-slack.patch" "stall-half-fix.patch" "stall-never-had.patch"
        "stall-break-no-counter.patch" "stall-fixed-counter-noisy.patch" "syn-cookie-strict.patch"
        "zero-window-break.patch";
};

/// All recipes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipes {
    lines: Vec<Line>,
    /// The stock state of each bug.
    expect: BTreeMap<BugId, Expectation>,
    controls: Vec<Control>,
}

/// A line of kernel releases that the controls are built of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// VERSION.PATCHLEVEL of its Makefile, as `6.1`.
    pub name: String,
    /// The Debian package that has its source.
    pub package: String,
    /// The suite that serves the package.
    pub suite: String,
    /// What it needs beside the configuration that all share.
    #[serde(default)]
    config: Vec<String>,
}

/// One control of every line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Its name.
    pub name: KernelName,
    /// What it is there for, in a sentence or two.
    pub why: String,
    /// Its patch, a file of the line's folder.
    patch: Option<String>,
    #[serde(default)]
    config: Vec<String>,
    /// Where it is unlike stock.
    #[serde(default)]
    expect: BTreeMap<BugId, Expectation>,
}

/// What one control of one line is made of, beside the line's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe<'a> {
    /// The line.
    pub line: &'a Line,
    /// The control.
    pub control: &'a Control,
    /// The patch, in the unified form.
    pub patch: Option<&'static str>,
    /// The configuration on top of `make allnoconfig`: one line a symbol, each symbol once, in the order of
    /// [`Recipes::symbol`]'s files.
    pub config: String,
}

impl Recipes {
    /// The recipes that come with the program.
    pub fn built_in() -> &'static Self {
        static BUILT_IN: LazyLock<Recipes> = LazyLock::new(|| {
            // Compiled in, and read by the tests: a mistake cannot reach a user.
            serde_yaml::from_str(LIST).unwrap_or_else(|error| panic!("images/controls.yaml is broken: {error}"))
        });
        &BUILT_IN
    }

    /// The lines, in the order of the list.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The controls, in the order in which they cost least to build.
    pub fn controls(&self) -> &[Control] {
        &self.controls
    }

    /// The line with this name.
    pub fn line(&self, name: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.name == name)
    }

    /// The control with this name.
    pub fn control(&self, name: &str) -> Option<&Control> {
        self.controls.iter().find(|control| control.name.as_str() == name)
    }

    /// What is expected of each bug in this control: the stock state, unless the control changes it.
    pub fn expected(&self, control: &Control) -> BTreeMap<BugId, Expectation> {
        let mut expected = self.expect.clone();
        expected.extend(control.expect.clone());
        expected
    }

    /// What this control of this line is made of.
    pub fn recipe<'a>(&self, line: &'a Line, control: &'a Control) -> Recipe<'a> {
        let named = |file: &str| PATCHES.iter().find(|(of, name, _)| *of == line.name && *name == file);
        let patch = control.patch.as_deref().map(|file| {
            // Compiled in as well, and the tests compare the list with the folder.
            named(file).unwrap_or_else(|| panic!("images/patches/{}/{file} is not compiled in", line.name)).2
        });
        let parts = CONFIG.lines().chain(line.config.iter().chain(&control.config).map(String::as_str));
        Recipe { line, control, patch, config: join(parts) }
    }
}

/// Joins lines of a configuration: a later word about a symbol takes the earlier one's place.
fn join<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let mut joined: Vec<(&str, &str)> = Vec::new();
    for line in parts {
        let Some((symbol, value)) = setting(line) else { continue };
        match joined.iter_mut().find(|(known, _)| *known == symbol) {
            Some(known) => known.1 = value,
            None => joined.push((symbol, value)),
        }
    }
    let written = |(symbol, value): (&str, &str)| match value {
        "n" => format!("# CONFIG_{symbol} is not set\n"),
        value => format!("CONFIG_{symbol}={value}\n"),
    };
    joined.into_iter().map(written).collect()
}

/// The symbol, without its `CONFIG_`, and the value that a line of a configuration sets; a comment sets none.
pub fn setting(line: &str) -> Option<(&str, &str)> {
    if let Some(off) = line.strip_prefix("# CONFIG_") {
        return off.strip_suffix(" is not set").map(|symbol| (symbol, "n"));
    }
    line.strip_prefix("CONFIG_")?.split_once('=')
}

#[cfg(test)]
#[path = "recipe_tests.rs"]
mod tests;
