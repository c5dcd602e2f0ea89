use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn images() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("images")
}

fn pairs() -> impl Iterator<Item = Recipe<'static>> {
    let recipes = Recipes::built_in();
    let of = move |line| recipes.controls().iter().map(move |control| recipes.recipe(line, control));
    recipes.lines().iter().flat_map(of)
}

#[test]
fn every_patch_named_is_there_for_every_line_and_every_patch_there_is_named_and_compiled_in() {
    let recipes = Recipes::built_in();
    let named: BTreeSet<String> = recipes.controls().iter().filter_map(|c| c.patch.clone()).collect();
    for line in recipes.lines() {
        let folder = images().join("patches").join(&line.name);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
        let there: BTreeSet<String> = entries.map(|entry| name(entry.unwrap())).collect();
        assert_eq!(there, named, "{}", folder.display());
        let compiled_in = PATCHES.iter().filter(|(of, ..)| *of == line.name).map(|(_, file, _)| (*file).to_owned());
        assert_eq!(compiled_in.collect::<BTreeSet<_>>(), named, "{}", line.name);
        assert_eq!(line.package, format!("linux-source-{}", line.name));
    }
    assert_eq!(PATCHES.len(), named.len() * recipes.lines().len());
}

#[test]
fn a_patch_says_what_it_does_before_it_does_it_and_touches_only_the_network() {
    for (line, file, text) in PATCHES {
        let (head, body) = text.split_once("\n--- a/").unwrap_or_else(|| panic!("{line}/{file}: no patch"));
        assert!(head.trim().len() > 80, "{line}/{file}: says too little");
        let files = body.lines().filter_map(|l| l.strip_prefix("+++ b/")).collect::<Vec<_>>();
        // A header among them would rebuild half of the network for each control.
        assert!(files.iter().all(|f| f.starts_with("net/ipv") && f.ends_with(".c")), "{line}/{file}: {files:?}");
        assert!(!files.is_empty() && body.contains("\n@@ -"), "{line}/{file}: changes nothing");
    }
}

#[test]
fn what_is_expected_of_a_control_is_said_only_where_it_is_unlike_stock() {
    let recipes = Recipes::built_in();
    assert!(recipes.expect.values().all(|expected| matches!(expected, Expectation::State(_))));
    for control in recipes.controls() {
        assert!(control.why.ends_with('.'), "{}", control.name);
        for (bug, expected) in &control.expect {
            assert!(recipes.expect.contains_key(bug), "{}: {bug} has no stock state", control.name);
            assert_ne!(Some(expected), recipes.expect.get(bug), "{}: {bug} is as in stock", control.name);
        }
        let merged = recipes.expected(control);
        assert!(merged.keys().eq(recipes.expect.keys()), "{}", control.name);
        assert!(control.expect.iter().all(|(bug, expected)| merged.get(bug) == Some(expected)), "{}", control.name);
    }
}

#[test]
fn a_control_differs_from_stock_and_from_every_other() {
    let mut recipes = BTreeSet::new();
    for recipe in pairs() {
        let unlike = recipes.insert((&recipe.line.name, recipe.patch, recipe.config));
        assert!(unlike, "{} ({}) is a second of its kind", recipe.control.name, recipe.line.name);
    }
    let names: BTreeSet<_> = Recipes::built_in().controls().iter().map(|c| &c.name).collect();
    assert_eq!(names.len(), Recipes::built_in().controls().len());
    let stock = Recipes::built_in().control("stock").map(|c| (&c.patch, c.config.is_empty()));
    assert_eq!(stock, Some((&None, true)));
}

#[test]
fn a_configuration_line_sets_something_and_each_symbol_only_once() {
    let mut symbols = BTreeSet::new();
    for line in CONFIG.lines().filter(|l| !l.is_empty()) {
        match setting(line) {
            Some((symbol, _)) => assert!(symbols.insert(symbol.to_owned()), "{symbol} is set twice"),
            None => assert!(line.starts_with("# "), "{line:?} is neither a setting nor a comment"),
        }
    }
    for line in Recipes::built_in().lines().iter().flat_map(|l| &l.config) {
        let (symbol, _) = setting(line).unwrap_or_else(|| panic!("{line:?} sets nothing"));
        assert!(!symbols.contains(symbol), "{symbol} is in kernel.config too");
    }
    for line in Recipes::built_in().controls().iter().flat_map(|c| &c.config) {
        let (symbol, value) = setting(line).unwrap_or_else(|| panic!("{line:?} sets nothing"));
        assert!(value == "n" && symbols.contains(symbol), "{line:?} takes nothing away");
    }
}

#[test]
fn a_later_word_about_a_symbol_takes_the_earlier_one_s_place() {
    let joined = join("# words\nCONFIG_A=y\n# CONFIG_B is not set\n\nCONFIG_C=1\nCONFIG_A=n\nCONFIG_B=y".lines());
    assert_eq!(joined, "# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C=1\n");
    let no_tun = pairs().find(|r| r.control.name.as_str() == "no-tun" && r.line.name == "6.1").unwrap();
    assert!(no_tun.config.contains("# CONFIG_TUN is not set\n") && !no_tun.config.contains("CONFIG_TUN="));
    assert!(no_tun.config.contains("CONFIG_BASE_FULL=y\n"), "the line's own is in it");
}

proptest::proptest! {
    #[test]
    fn any_lines_are_joined_to_one_line_a_symbol(text in "(# |CONFIG_[AB]|=[yn1]| is not set|\\n|\\PC){0,30}") {
        let joined = join(text.lines());
        let symbols: Vec<_> = joined.lines().filter_map(setting).map(|(symbol, _)| symbol).collect();
        proptest::prop_assert_eq!(symbols.iter().collect::<BTreeSet<_>>().len(), symbols.len());
        proptest::prop_assert_eq!(join(joined.lines()), joined.clone());
    }
}
