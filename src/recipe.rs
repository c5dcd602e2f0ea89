//! The recipes of the control kernels: the content of `images/`, compiled in.
//!
//! A control kernel is a stock tree with a step of a bug's chain put in or taken out, so its truth is known. The matrix
//! takes expectations from here; `kernel::control` builds the kernels.

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

macro_rules! fragments {
    ($($file:literal),*) => { [$(($file, include_str!(concat!("../images/fragments/", $file)))),*] };
}

/// Name and text of each file in `images/fragments`.
const FRAGMENTS: &[(&str, &str)] = &fragments!["no-kallsyms.config", "small-smp.config", "crash-control.config"];

const PATCHES: &Patches = patches! {
    "6.1":
        "stall-break.patch" "stall-half-fix-slack.patch" "stall-half-fix.patch" "stall-never-had.patch"
        "stall-break-no-counter.patch" "stall-fixed-counter-noisy.patch" "syn-cookie-strict.patch"
        "zero-window-break.patch" "crash-control.patch";
    "6.12":
        "stall-break.patch" "stall-half-fix-slack.patch" "stall-half-fix.patch" "stall-never-had.patch"
        "stall-break-no-counter.patch" "stall-fixed-counter-noisy.patch" "syn-cookie-strict.patch"
        "zero-window-break.patch";
};

/// All recipes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipes {
    lines: Vec<ControlLine>,
    /// The stock state of each bug.
    expect: BTreeMap<BugId, Expectation>,
    controls: Vec<Control>,
}

/// A line of kernel releases that controls are built from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlLine {
    /// VERSION.PATCHLEVEL of its Makefile, as `6.1`.
    pub name: String,
    /// The Debian package that has its source.
    pub package: String,
    /// The suite that serves the package.
    pub suite: String,
    /// Its own configuration, on top of `kernel.config`.
    #[serde(default)]
    config: Vec<String>,
}

/// One control, of every line or of some.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Its name.
    pub name: KernelName,
    /// Why it exists, in a sentence or two.
    pub why: String,
    /// The lines that have it; empty means all.
    #[serde(default)]
    lines: Vec<String>,
    /// Its patch: a file in the line's folder.
    patch: Option<String>,
    /// Its configuration: a file in `fragments`.
    fragment: Option<String>,
    /// Its configuration, where a few lines are enough.
    #[serde(default)]
    config: Vec<String>,
    /// Expectations that differ from stock.
    #[serde(default)]
    expect: BTreeMap<BugId, Expectation>,
}

/// The parts of one control of one line, except the line's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlRecipe<'a> {
    /// The line.
    pub line: &'a ControlLine,
    /// The control.
    pub control: &'a Control,
    /// The patch, as a unified diff.
    pub patch: Option<&'static str>,
    /// The configuration on top of `make allnoconfig`: one line for each symbol, in the order of the files.
    pub config: String,
}

impl Control {
    /// Whether this line has the control.
    pub fn is_of(&self, line: &ControlLine) -> bool {
        self.lines.is_empty() || self.lines.contains(&line.name)
    }
}

impl Recipes {
    /// The recipes that come with the program.
    pub fn built_in() -> &'static Self {
        static BUILT_IN: LazyLock<Recipes> = LazyLock::new(|| {
            // Compiled in and read by the tests, so a mistake cannot reach a user.
            serde_yaml::from_str(LIST).unwrap_or_else(|error| panic!("images/controls.yaml is broken: {error}"))
        });
        &BUILT_IN
    }

    /// The lines, in the order of the list.
    pub fn lines(&self) -> &[ControlLine] {
        &self.lines
    }

    /// The controls, in the order that costs least to build.
    pub fn controls(&self) -> &[Control] {
        &self.controls
    }

    /// Every line with each of its controls.
    pub fn pairs(&self) -> impl Iterator<Item = (&ControlLine, &Control)> {
        let of = |line| self.controls.iter().filter(move |control| control.is_of(line)).map(move |one| (line, one));
        self.lines.iter().flat_map(of)
    }

    /// The line with this name.
    pub fn line(&self, name: &str) -> Option<&ControlLine> {
        self.lines.iter().find(|line| line.name == name)
    }

    /// The control with this name.
    pub fn control(&self, name: &str) -> Option<&Control> {
        self.controls.iter().find(|control| control.name.as_str() == name)
    }

    /// The line and the control with these names, if the line has the control.
    pub fn pair(&self, line: &str, control: &str) -> Option<(&ControlLine, &Control)> {
        self.pairs().find(|(of, known)| of.name == line && known.name.as_str() == control)
    }

    /// The expectation for each bug in this control: the stock state, unless the control changes it.
    pub fn expected(&self, control: &Control) -> BTreeMap<BugId, Expectation> {
        let mut expected = self.expect.clone();
        expected.extend(control.expect.clone());
        expected
    }

    /// The small configuration of the controls, for sources of any line.
    pub fn small_config(&self) -> String {
        let of_lines = self.lines.iter().flat_map(|line| line.config.iter().map(String::as_str));
        join(CONFIG.lines().chain(of_lines))
    }

    /// The recipe for this control of this line.
    pub fn recipe<'a>(&self, line: &'a ControlLine, control: &'a Control) -> ControlRecipe<'a> {
        // Both lists are compiled in, and the tests compare them with the folders.
        let patch = control.patch.as_deref().map(|file| {
            let found = PATCHES.iter().find(|(of, name, _)| *of == line.name && *name == file);
            found.unwrap_or_else(|| panic!("images/patches/{}/{file} is not compiled in", line.name)).2
        });
        let fragment = control.fragment.as_deref().map_or("", |file| {
            let found = FRAGMENTS.iter().find(|(name, _)| *name == file);
            found.unwrap_or_else(|| panic!("images/fragments/{file} is not compiled in")).1
        });
        let own = line.config.iter().chain(&control.config).map(String::as_str);
        ControlRecipe { line, control, patch, config: join(CONFIG.lines().chain(fragment.lines()).chain(own)) }
    }
}

/// Joins lines of a configuration: the last line for a symbol wins, in the place of the first.
pub fn join<'a>(parts: impl Iterator<Item = &'a str>) -> String {
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

/// The symbol that a line of a configuration sets, without its `CONFIG_`, and the value. A comment sets none.
pub fn setting(line: &str) -> Option<(&str, &str)> {
    if let Some(off) = line.strip_prefix("# CONFIG_") {
        return off.strip_suffix(" is not set").map(|symbol| (symbol, "n"));
    }
    line.strip_prefix("CONFIG_")?.split_once('=')
}

#[cfg(test)]
#[path = "recipe_tests.rs"]
mod tests;
