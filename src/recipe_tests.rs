use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn images() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("images")
}

fn all() -> impl Iterator<Item = ControlRecipe<'static>> {
    let recipes = Recipes::built_in();
    recipes.pairs().map(|(line, control)| recipes.recipe(line, control))
}

fn files(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn patches_are_named_compiled_in_and_present() {
    let recipes = Recipes::built_in();
    let mut count = 0;
    for line in recipes.lines() {
        let controls = recipes.controls().iter().filter(|control| control.is_of(line));
        let named: BTreeSet<String> = controls.filter_map(|control| control.patch.clone()).collect();
        count += named.len();
        assert_eq!(files(&images().join("patches").join(&line.name)), named, "{}", line.name);
        let compiled_in = PATCHES.iter().filter(|(of, ..)| *of == line.name).map(|(_, file, _)| (*file).to_owned());
        assert_eq!(compiled_in.collect::<BTreeSet<_>>(), named, "{}", line.name);
        assert_eq!(line.package, format!("linux-source-{}", line.name));
    }
    assert_eq!(PATCHES.len(), count);
}

#[test]
fn fragments_are_named_compiled_in_and_present() {
    let named: BTreeSet<String> = Recipes::built_in().controls().iter().filter_map(|c| c.fragment.clone()).collect();
    assert_eq!(files(&images().join("fragments")), named);
    assert_eq!(FRAGMENTS.iter().map(|(file, _)| (*file).to_owned()).collect::<BTreeSet<_>>(), named);
    for (file, text) in FRAGMENTS {
        assert!(text.lines().any(|line| setting(line).is_some()), "{file} sets nothing");
        for line in text.lines().filter(|line| setting(line).is_none()) {
            assert!(line.starts_with("# ") && !line.contains("CONFIG_"), "{file}: {line:?} is no comment");
        }
        // It is no variant of others' machine code.
        if *file == "crash-control.config" {
            continue;
        }
        let both = Recipes::built_in().controls().iter().filter(|c| c.fragment.as_deref() == Some(file));
        assert_eq!(both.map(|c| c.expect.len()).collect::<BTreeSet<_>>(), BTreeSet::from([0, 1]), "{file}");
    }
}

#[test]
fn control_names_only_existing_lines() {
    let recipes = Recipes::built_in();
    let lines = recipes.controls().iter().flat_map(|control| &control.lines);
    assert!(lines.clone().all(|line| recipes.line(line).is_some()), "{:?}", lines.collect::<Vec<_>>());
    let small = recipes.control("stock-small-smp").unwrap();
    let has = recipes.lines().iter().filter(|line| small.is_of(line)).map(|line| line.name.as_str());
    assert_eq!(has.collect::<Vec<_>>(), ["6.1"]);
}

#[test]
fn patch_is_introduced_and_changes_no_header() {
    for (line, file, text) in PATCHES {
        let (head, body) = text.split_once("\n--- a/").unwrap_or_else(|| panic!("{line}/{file}: no patch"));
        assert!(head.trim().len() > 80, "{line}/{file}: says too little");
        let files = body.lines().filter_map(|l| l.strip_prefix("+++ b/")).collect::<Vec<_>>();
        // A header among them would rebuild half of the network for each control.
        let folder = if *file == "crash-control.patch" { "kernel/" } else { "net/ipv" };
        assert!(files.iter().all(|f| f.starts_with(folder) && f.ends_with(".c")), "{line}/{file}: {files:?}");
        assert!(!files.is_empty() && body.contains("\n@@ -"), "{line}/{file}: changes nothing");
    }
}

#[test]
fn control_lists_only_expectations_unlike_stock() {
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
fn control_differs_from_stock_and_all_others() {
    let mut recipes = BTreeSet::new();
    for recipe in all() {
        let unlike = recipes.insert((&recipe.line.name, recipe.patch, recipe.config));
        assert!(unlike, "{} ({}) repeats another control", recipe.control.name, recipe.line.name);
    }
    let names: BTreeSet<_> = Recipes::built_in().controls().iter().map(|c| &c.name).collect();
    assert_eq!(names.len(), Recipes::built_in().controls().len());
    let stock = Recipes::built_in().control("stock").map(|c| (&c.patch, c.config.is_empty()));
    assert_eq!(stock, Some((&None, true)));
}

#[test]
fn configuration_sets_each_symbol_once() {
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
fn last_line_for_a_symbol_wins() {
    let joined = join("# words\nCONFIG_A=y\n# CONFIG_B is not set\n\nCONFIG_C=1\nCONFIG_A=n\nCONFIG_B=y".lines());
    assert_eq!(joined, "# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C=1\n");
    let no_tun = all().find(|r| r.control.name.as_str() == "no-tun" && r.line.name == "6.1").unwrap();
    assert!(no_tun.config.contains("# CONFIG_TUN is not set\n") && !no_tun.config.contains("CONFIG_TUN="));
    assert!(no_tun.config.contains("CONFIG_BASE_FULL=y\n"), "the line's own configuration is missing");
    let small = all().find(|r| r.control.name.as_str() == "stock-small-smp").unwrap();
    assert!(small.config.contains("CONFIG_SMP=y\n") && !small.config.contains("CONFIG_SMP is not set"));
}

proptest::proptest! {
    #[test]
    fn any_lines_are_joined_to_one_for_each_symbol(text in "(# |CONFIG_[AB]|=[yn1]| is not set|\\n|\\PC){0,30}") {
        let joined = join(text.lines());
        let symbols: Vec<_> = joined.lines().filter_map(setting).map(|(symbol, _)| symbol).collect();
        proptest::prop_assert_eq!(symbols.iter().collect::<BTreeSet<_>>().len(), symbols.len());
        proptest::prop_assert_eq!(join(joined.lines()), joined.clone());
    }
}
