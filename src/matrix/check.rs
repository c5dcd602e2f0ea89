//! Checks the tree of a matrix from end to end, and makes the [`Matrix`] of it.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::Path;

use super::problems::Collector;
use super::read::Fields;
use super::text::{expected_one_of, one_of, quote};
use super::tree::{Value, YamlNode};
use super::{ArchiveKey, BadDossiers, Bug, Bugs, MainlineArchive, Matrix, archive_address, fields};
use crate::words::{BugId, Expectation, KernelName};

/// The keys of a matrix.
pub(super) const KEYS: [&str; 9] =
    ["dossiers", "bugs", "expect", "opt-in", "profiles", "share-guest", "archives", "mainline-archive", "kernels"];

/// In `share-guest`, means every bug with its own program.
const SHARE_ALL: &str = "all";

/// An expectation, and the place of its bug's name.
pub(super) struct BugExpectation {
    pub(super) bug: BugId,
    pub(super) what: Expectation,
    pub(super) at: Range<usize>,
}

/// Makes a matrix of the tree. `None` if that fails; all mistakes are reported.
pub(super) fn check(root: &YamlNode, path: &Path, bugs: &Bugs, problems: &mut Collector<'_>) -> Option<Matrix> {
    let folder = fields::folder_of(path);
    let fields = problems.mapping(root, "a mapping with `kernels`", &KEYS)?;
    let own = fields.get("dossiers").map(|node| dossiers(node, folder, bugs, problems));
    // Without these dossiers, known bugs would be reported as unknown.
    let bugs = own.unwrap_or_else(|| Some(bugs.clone()))?;
    Checker { bugs: &bugs, folder, archive: MainlineArchive::default(), problems }.matrix(root, &fields, path)
}

/// The bugs, and those of the matrix's own folder of dossiers.
fn dossiers(node: &YamlNode, folder: &Path, bugs: &Bugs, problems: &mut Collector<'_>) -> Option<Bugs> {
    let path = folder.join(problems.value(node, "path", fields::path)?);
    match bugs.clone().with_folder(&path) {
        Ok(bugs) => Some(bugs),
        Err(BadDossiers(within)) => {
            problems.add_within(&node.span, || "cannot use these dossiers: see above".to_owned(), within);
            None
        }
    }
}

/// The context of the checks, and the collector that they report to.
pub(super) struct Checker<'c, 'a> {
    pub(super) bugs: &'c Bugs,
    /// The folder that the matrix's paths are relative to.
    pub(super) folder: &'c Path,
    /// The archive of `mainline:` kernels.
    pub(super) archive: MainlineArchive,
    pub(super) problems: &'c mut Collector<'a>,
}

impl Checker<'_, '_> {
    fn matrix(mut self, root: &YamlNode, fields: &Fields<'_>, path: &Path) -> Option<Matrix> {
        let bugs = match fields.get("bugs") {
            Some(node) => self.bug_list(node),
            None => Some(self.bugs.iter().map(|bug| bug.id.clone()).collect()),
        };
        let expect = fields.get("expect").map(|node| self.expectations(node)).unwrap_or_default();
        let opt_in = fields.get("opt-in").map(|node| self.tags(node)).unwrap_or_default();
        let profiles = fields.get("profiles").map(|node| self.profiles(node)).unwrap_or_default();
        let share_guest = fields.get("share-guest").map(|node| self.share_guest(node)).unwrap_or_default();
        let archives = match fields.get("archives") {
            Some(node) => self
                .problems
                .each(node, "archives", |node, problems| problems.checked(node, "archive", fields::archive)),
            None => Some(Vec::new()),
        };
        if let Some(node) = fields.get("mainline-archive") {
            self.archive = self.mainline_archive(node);
        }
        let Some(kernels) = fields.get("kernels") else {
            self.problems.add(&root.span, || "the key `kernels` is missing: expected a list of kernels".to_owned());
            return None;
        };
        let items = self.problems.items(kernels, "kernels")?;
        let mut named: HashMap<KernelName, Range<usize>> = HashMap::new();
        let mut entries = Vec::with_capacity(items.len());
        for item in items {
            let Some((name, at, entry)) = self.kernel(item, bugs.as_deref(), &expect) else { continue };
            if let Some(first) = named.get(&name) {
                let note = || Some((first.clone(), "first given here".to_owned()));
                self.problems.add_with(&at, || format!("the kernel name `{name}` is given twice"), note);
                continue;
            }
            named.insert(name, at);
            entries.extend(entry);
        }
        // These checks need all kernels, so they would report false mistakes if some kernels were unreadable.
        if self.problems.is_empty() {
            let checked: BTreeSet<&BugId> = entries.iter().flat_map(|k| &k.bugs).collect();
            for BugExpectation { bug, at, .. } in expect.iter().filter(|e| !checked.contains(&e.bug)) {
                self.problems.add(at, || {
                    let there = one_of(checked.iter().map(|bug| bug.as_str()));
                    format!("no kernel is checked for `{bug}`: the kernels' bugs are {there}")
                });
            }
            let tags: BTreeSet<&str> = entries.iter().flat_map(|k| &k.tags).map(String::as_str).collect();
            for (tag, at) in opt_in.iter().filter(|(tag, _)| !tags.contains(tag.as_str())) {
                self.problems.add(at, || {
                    format!("no kernel has the tag {}: {}", quote(tag), expected_one_of(tag, tags.iter().copied()))
                });
            }
        }
        let opt_in = opt_in.into_iter().map(|(tag, _)| tag).collect();
        let known = self.bugs.clone();
        let (path, archives, mainline) = (path.to_owned(), archives?, self.archive);
        let kernels = entries;
        Some(Matrix { path, known, bugs: bugs?, opt_in, profiles, share_guest, archives, mainline, kernels })
    }

    /// The bugs whose own programs trust each other.
    fn share_guest(&mut self, node: &YamlNode) -> BTreeSet<BugId> {
        let has_program = |bug: &Bug| bug.reproducer.as_ref().is_some_and(|it| it.own().is_some());
        if matches!(&node.value, Value::Text(text) if text == SHARE_ALL) {
            return self.bugs.iter().filter(|bug| has_program(bug)).map(|bug| bug.id.clone()).collect();
        }
        let listed = self.bug_list(node).unwrap_or_default();
        for bug in listed.iter().filter(|id| !self.bugs.get(id).is_some_and(has_program)) {
            self.problems.add(&node.span, || format!("`{bug}` has no program of its own, so it cannot share a guest"));
        }
        listed.into_iter().collect()
    }

    /// The archive of mainline builds. A key without a fingerprint would trust any content of the key file.
    fn mainline_archive(&mut self, node: &YamlNode) -> MainlineArchive {
        let expected = "the archive of mainline builds, as in `{ address: …, key: archive.asc, fingerprint: … }`";
        let keys = &["address", "key", "fingerprint"];
        let Some(inner) = self.problems.mapping(node, expected, keys) else { return MainlineArchive::default() };
        let address = inner.get("address").and_then(|node| self.problems.value(node, "address", archive_address));
        let file = inner.get("key").map(|node| self.path(node));
        let fingerprint = inner.get("fingerprint").map(|node| self.problems.value(node, "fingerprint", str::parse));
        let key = match (file, fingerprint) {
            (Some(file), Some(fingerprint)) => file.zip(fingerprint),
            (None, None) => None,
            (file, _) => {
                let (there, missing) = if file.is_some() { ("key", "fingerprint") } else { ("fingerprint", "key") };
                let at = inner.get(there).map_or(&node.span, |node| &node.span);
                self.problems.add(at, || format!("`{there}` without `{missing}`: expected both, or neither"));
                None
            }
        };
        MainlineArchive { address, key: key.map(|(file, fingerprint)| ArchiveKey { file, fingerprint }) }
    }

    /// A list of bugs, each known and named once.
    pub(super) fn bug_list(&mut self, node: &YamlNode) -> Option<Vec<BugId>> {
        let items = self.problems.items(node, "bugs")?;
        let mut bugs = Vec::with_capacity(self.bugs.iter().count());
        let mut sound = true;
        for item in items {
            match self.problems.text(item, "a bug").map(|text| self.bug(text, &item.span)) {
                Some(Some(bug)) if bugs.contains(&bug) => {
                    self.problems.add(&item.span, || format!("the bug `{bug}` is listed twice"));
                    sound = false;
                }
                Some(Some(bug)) => bugs.push(bug),
                _ => sound = false,
            }
        }
        sound.then_some(bugs)
    }

    fn bug(&mut self, text: &str, at: &Range<usize>) -> Option<BugId> {
        match self.bugs.find(text) {
            Ok(bug) => Some(bug.id.clone()),
            Err(error) => {
                self.problems.add(at, || error.to_string());
                None
            }
        }
    }

    /// A mapping from bugs to their expectations.
    pub(super) fn expectations(&mut self, node: &YamlNode) -> Vec<BugExpectation> {
        let Value::Map(entries) = &node.value else {
            self.problems.wrong_type(node, "a mapping from bugs to what is expected, as in `{ some-bug: fail }`");
            return Vec::new();
        };
        let mut expectations = Vec::new();
        for (key, value) in entries {
            let bug = self.bug(&key.text, &key.span);
            let what = self.problems.value(value, "expectation", |text| {
                let names: Vec<&str> = Expectation::names().collect();
                Expectation::from_name(text).ok_or_else(|| expected_one_of(text, names.iter().copied()))
            });
            if let (Some(bug), Some(what)) = (bug, what) {
                expectations.push(BugExpectation { bug, what, at: key.span.clone() });
            }
        }
        expectations
    }

    /// A list of tags, each once. Tags follow the rules of names.
    pub(super) fn tags(&mut self, node: &YamlNode) -> Vec<(String, Range<usize>)> {
        let mut tags: Vec<(String, Range<usize>)> = Vec::new();
        let mut seen = BTreeSet::new();
        for item in self.problems.items(node, "tags").unwrap_or_default() {
            let Some(tag) = self.problems.name::<KernelName>(item, "a tag") else { continue };
            if seen.insert(tag.clone()) {
                tags.push((tag.into(), item.span.clone()));
            } else {
                self.problems.add(&item.span, || format!("the tag `{tag}` is listed twice"));
            }
        }
        tags
    }
}
