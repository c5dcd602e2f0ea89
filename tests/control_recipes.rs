//! The recipes of the control kernels hold together: what `images/controls.yaml` names is there, and nothing else is.
//! Whether the kernels then do what is expected of them takes a compiler and QEMU, and is asked elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use backproof::words::{BugId, Expectation, KernelName};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Controls {
    lines: Vec<Line>,
    expect: BTreeMap<BugId, String>,
    controls: Vec<Control>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: String,
    package: String,
    #[serde(default)]
    config: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Control {
    name: KernelName,
    why: String,
    patch: Option<PathBuf>,
    #[serde(default)]
    config: Vec<String>,
    #[serde(default)]
    expect: BTreeMap<BugId, String>,
}

fn images() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("images")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn controls() -> Controls {
    serde_yaml::from_str(&read(&images().join("controls.yaml"))).expect("images/controls.yaml is in order")
}

/// The symbol and the value that a line of a configuration sets; a comment sets none.
fn setting(line: &str) -> Option<(&str, &str)> {
    if let Some(off) = line.strip_prefix("# CONFIG_") {
        return off.strip_suffix(" is not set").map(|symbol| (symbol, "n"));
    }
    line.strip_prefix("CONFIG_")?.split_once('=')
}

#[test]
fn every_patch_named_is_there_for_every_line_and_every_patch_there_is_named() {
    let list = controls();
    let named: BTreeSet<PathBuf> = list.controls.iter().filter_map(|c| c.patch.clone()).collect();
    for line in &list.lines {
        let folder = images().join("patches").join(&line.name);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let there: BTreeSet<PathBuf> =
            entries.map(|entry| entry.expect("a readable folder").file_name().into()).collect();
        assert_eq!(there, named, "{}", folder.display());
        assert_eq!(line.package, format!("linux-source-{}", line.name));
    }
}

#[test]
fn a_patch_says_what_it_does_before_it_does_it_and_touches_only_the_network() {
    let list = controls();
    for (line, control) in list.lines.iter().flat_map(|l| list.controls.iter().map(move |c| (l, c))) {
        let Some(patch) = &control.patch else { continue };
        let path = images().join("patches").join(&line.name).join(patch);
        let text = read(&path);
        let (head, body) = text.split_once("\n--- a/").unwrap_or_else(|| panic!("{}: no patch", path.display()));
        assert!(head.trim().len() > 80, "{}: says too little", path.display());
        let files = body.lines().filter_map(|l| l.strip_prefix("+++ b/")).collect::<Vec<_>>();
        // A header among them would rebuild half of the network for each control.
        assert!(files.iter().all(|f| f.starts_with("net/ipv") && f.ends_with(".c")), "{}: {files:?}", path.display());
        assert!(!files.is_empty() && body.contains("\n@@ -"), "{}: changes nothing", path.display());
    }
}

#[test]
fn expectations_use_the_words_of_the_matrix_and_only_known_bugs() {
    let list = controls();
    for (bug, expected) in &list.expect {
        assert!(matches!(Expectation::from_name(expected), Some(Expectation::State(_))), "{bug}: {expected}");
    }
    for control in &list.controls {
        assert!(control.why.ends_with('.'), "{}", control.name);
        for (bug, expected) in &control.expect {
            assert!(list.expect.contains_key(bug), "{}: {bug} has no stock state", control.name);
            assert!(Expectation::from_name(expected).is_some(), "{}: {bug}: {expected}", control.name);
            assert_ne!(Some(expected), list.expect.get(bug), "{}: {bug} is as in stock", control.name);
        }
    }
}

#[test]
fn a_control_differs_from_stock_and_from_every_other() {
    let list = controls();
    let mut recipes = BTreeSet::new();
    let mut names = BTreeSet::new();
    for control in &list.controls {
        assert!(names.insert(&control.name), "{} is there twice", control.name);
        assert!(recipes.insert((&control.patch, &control.config)), "{} is a second of its kind", control.name);
    }
    assert!(recipes.contains(&(&None, &vec![])), "stock is missing");
}

#[test]
fn a_configuration_line_sets_something_and_each_symbol_only_once() {
    let base = read(&images().join("kernel.config"));
    let mut symbols = BTreeSet::new();
    for line in base.lines().filter(|l| !l.is_empty()) {
        match setting(line) {
            Some((symbol, _)) => assert!(symbols.insert(symbol.to_owned()), "{symbol} is set twice"),
            None => assert!(line.starts_with("# "), "{line:?} is neither a setting nor a comment"),
        }
    }
    let list = controls();
    for line in list.lines.iter().flat_map(|l| &l.config) {
        let (symbol, _) = setting(line).unwrap_or_else(|| panic!("{line:?} sets nothing"));
        assert!(!symbols.contains(symbol), "{symbol} is in kernel.config too");
    }
    for line in list.controls.iter().flat_map(|c| &c.config) {
        let (symbol, value) = setting(line).unwrap_or_else(|| panic!("{line:?} sets nothing"));
        assert!(value == "n" && symbols.contains(symbol), "{line:?} takes nothing away");
    }
}
