//! The witness `source` on whole kernel trees: every control's source shows its state.
#![expect(clippy::disallowed_macros, reason = "a test prints for people who watch it")]

use std::collections::BTreeMap;
use std::fs;
use std::io;

use backproof::evidence::source::{self, SourceFiles, SourceFolder};
use backproof::evidence::{Finding, StateSet, Strength};
use backproof::kernel::Store;
use backproof::matrix::Bugs;
use backproof::recipe::{ControlLine, Recipes};
use backproof::words::{Expectation, Outcome};
use diffy::patch_set::{FileOperation, ParseOptions, PatchKind, PatchSet};

mod common;
use common::Lab;

/// The stock source of a line that the control kernels are built from: a tree with the last one's patch, and the stock
/// files that any of them changes.
struct Stock {
    tree: SourceFolder,
    pristine: SourceFolder,
}

/// The stock trees of all lines. This takes a quarter of an hour unless they are in the user's cache.
fn trees() -> Vec<(&'static ControlLine, Stock)> {
    Lab::with_matrix(include_str!("../kernels.yaml")).run(&["controls", "build"]).ends_with(0);
    let store = Store::open(None).expect("a cache");
    let of = |line: &'static ControlLine| {
        let folders = fs::read_dir(store.folder().join("controls").join(&line.name)).expect("a folder");
        let mut folders = folders.map(|entry| entry.expect("an entry").path());
        let folder = folders.find(|folder| folder.join("src/Makefile").is_file()).expect("a source tree in the cache");
        let open = |name| SourceFolder::open(&folder.join(name)).expect("a folder");
        (line, Stock { tree: open("src"), pristine: open("pristine") })
    };
    Recipes::built_in().lines().iter().map(of).collect()
}

impl SourceFiles for Stock {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        match self.pristine.read(path)? {
            None => self.tree.read(path),
            stock => Ok(stock),
        }
    }
}

/// A tree with a patch applied in memory.
struct Patched<'t> {
    stock: &'t Stock,
    changed: BTreeMap<String, Vec<u8>>,
}

impl<'t> Patched<'t> {
    fn new(stock: &'t Stock, patch: Option<&str>) -> Self {
        let mut changed = BTreeMap::new();
        let parts =
            patch.into_iter().flat_map(|patch| PatchSet::parse_bytes(patch.as_bytes(), ParseOptions::unidiff()));
        for part in parts {
            let part = part.expect("a patch");
            let path = part.operation().strip_prefix(1);
            let FileOperation::Modify { modified, .. } = &path else { panic!("a change") };
            let path = String::from_utf8_lossy(modified.as_ref()).into_owned();
            let PatchKind::Text(hunks) = part.patch() else { panic!("text") };
            let before = stock.read(&path).expect("readable").expect("a file");
            changed.insert(path, diffy::apply_bytes(&before, hunks).expect("it fits"));
        }
        Self { stock, changed }
    }
}

impl SourceFiles for Patched<'_> {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        match self.changed.get(path) {
            Some(text) => Ok(Some(text.clone())),
            None => self.stock.read(path),
        }
    }
}

/// Whether a finding allows the expected state or outcome.
fn agrees(finding: &Finding, expected: Expectation) -> bool {
    let said = finding.states;
    match expected {
        Expectation::State(state) => said.contains(state),
        Expectation::Outcome(Outcome::Pass) => !said.and(StateSet::not_affected()).is_empty(),
        Expectation::Outcome(Outcome::Fail) => !said.and(StateSet::affected()).is_empty(),
        Expectation::Outcome(Outcome::Error | Outcome::Skip) => true,
    }
}

#[test]
fn source_of_every_control_shows_its_state() {
    let recipes = Recipes::built_in();
    let mut named = 0;
    for (line, tree) in trees() {
        assert!(
            source::release(&tree)
                .expect("a Makefile")
                .is_some_and(|release| release.starts_with(&format!("{}.", line.name)))
        );
        for control in recipes.controls().iter().filter(|control| control.is_of(line)) {
            let files = Patched::new(&tree, recipes.recipe(line, control).patch);
            let expected = recipes.expected(control);
            for bug in Bugs::built_in().iter() {
                let finding = source::weigh(bug, &files);
                let what = format!("{} {} {}: {}", line.name, control.name, bug.id, finding.why);
                println!("{what}");
                let expected = expected[&bug.id];
                assert!(agrees(&finding, expected), "{what}");
                // Each of these functions is complete, so `unknown` would be wrong.
                match (expected, finding.states.only()) {
                    (Expectation::State(expected), state) => assert_eq!(state, Some(expected), "{what}"),
                    (Expectation::Outcome(_), state) => assert!(state.is_some(), "{what}"),
                }
                assert_eq!(finding.strength, Strength::Strong, "{what}");
                assert!(finding.why.contains(".c:"), "{what}");
                named += 1;
            }
        }
    }
    assert_eq!(named, recipes.pairs().count() * Bugs::built_in().iter().count());
}
