//! Checks the tree of a matrix from end to end, and makes the [`Matrix`] of it.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::Path;

use super::problems::Collector;
use super::text::{expected_one_of, nearest, one_of, quote};
use super::tree::{Key, Node, Value};
use super::{Bugs, Matrix};
use crate::words::{BadName, BugId, Expectation, KernelName};

/// The keys of a matrix.
pub(super) const KEYS: [&str; 5] = ["bugs", "expect", "opt-in", "profiles", "kernels"];

/// An expectation and where its bug is named.
pub(super) struct Expected {
    pub(super) bug: BugId,
    pub(super) what: Expectation,
    pub(super) at: Range<usize>,
}

/// Makes a matrix of the tree. `None` where there is none to be made; what is wrong is reported.
pub(super) fn check(root: &Node, path: &Path, bugs: &Bugs, problems: &mut Collector<'_>) -> Option<Matrix> {
    // A file named without its folder is in the current one.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Checker { bugs, folder, problems }.matrix(root, path)
}

/// What checking needs to know, and where it reports to.
pub(super) struct Checker<'c, 'a> {
    pub(super) bugs: &'c Bugs,
    /// Where the matrix's paths start.
    pub(super) folder: &'c Path,
    pub(super) problems: &'c mut Collector<'a>,
}

/// The entries of a mapping, under the keys that they were meant to have.
pub(super) struct Fields<'n>(Vec<(&'static str, &'n Key, &'n Node)>);

impl<'n> Fields<'n> {
    pub(super) fn get(&self, name: &str) -> Option<&'n Node> {
        self.iter().find(|(meant, ..)| *meant == name).map(|(.., node)| node)
    }

    /// Each key's meaning, the key, and its value, in the file's order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &'n Key, &'n Node)> {
        self.0.iter().copied()
    }
}

impl Checker<'_, '_> {
    fn matrix(mut self, root: &Node, path: &Path) -> Option<Matrix> {
        let fields = self.mapping(root, "a mapping with `kernels`", &KEYS)?;
        let bugs = match fields.get("bugs") {
            Some(node) => self.bug_list(node),
            None => Some(self.bugs.iter().map(|bug| bug.id.clone()).collect()),
        };
        let expect = fields.get("expect").map(|node| self.expectations(node)).unwrap_or_default();
        let opt_in = fields.get("opt-in").map(|node| self.tags(node)).unwrap_or_default();
        let profiles = fields.get("profiles").map(|node| self.profiles(node)).unwrap_or_default();
        let Some(kernels) = fields.get("kernels") else {
            self.problems.add(&root.span, || "the key `kernels` is missing: expected a list of kernels".to_owned());
            return None;
        };
        let items = self.items(kernels, "kernels")?;
        let mut named: HashMap<KernelName, Range<usize>> = HashMap::new();
        let mut entries = Vec::with_capacity(items.len());
        for item in items {
            let Some((name, at, entry)) = self.kernel(item, bugs.as_deref(), &expect) else { continue };
            if let Some(first) = named.get(&name) {
                let note = || Some((first.clone(), "it was given here first".to_owned()));
                self.problems.add_with(&at, || format!("the kernel name `{name}` is given twice"), note);
                continue;
            }
            named.insert(name, at);
            entries.extend(entry);
        }
        // These look at all kernels, so they would accuse the innocent where some could not be read.
        if self.problems.is_empty() {
            let checked: BTreeSet<&BugId> = entries.iter().flat_map(|k| &k.bugs).collect();
            for Expected { bug, at, .. } in expect.iter().filter(|e| !checked.contains(&e.bug)) {
                self.problems.add(at, || {
                    let there = one_of(checked.iter().map(|bug| bug.as_str()));
                    format!("no kernel here is checked for `{bug}`: the bugs that are looked for are {there}")
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
        Some(Matrix { path: path.to_owned(), bugs: bugs?, opt_in, profiles, kernels: entries })
    }

    /// The entries of a mapping; keys that are not among `keys` are reported. One that was probably meant as another
    /// stands for it from then on, so that one slip is one mistake, and what is below it is checked as well.
    pub(super) fn mapping<'n>(
        &mut self,
        node: &'n Node,
        expected: &str,
        keys: &'static [&'static str],
    ) -> Option<Fields<'n>> {
        let Value::Map(entries) = &node.value else {
            self.wrong_type(node, expected);
            return None;
        };
        let known = |key: &Key| keys.iter().copied().find(|name| *name == key.text);
        let mut given: Vec<&str> = entries.iter().filter_map(|(key, _)| known(key)).collect();
        let mut fields = Vec::with_capacity(given.len());
        for (key, value) in entries {
            if let Some(name) = known(key) {
                fields.push((name, key, value));
                continue;
            }
            let names = keys.iter().copied();
            self.problems.add(&key.span, || {
                format!("unknown key {}: {}", quote(&key.text), expected_one_of(&key.text, names.clone()))
            });
            // Once all names are given there is nothing left to mean: a hostile mapping has thousands of keys.
            if given.len() == keys.len() || self.problems.is_full() {
                continue;
            }
            if let Some(name) = nearest(&key.text, names).filter(|name| !given.contains(name)) {
                given.push(name);
                fields.push((name, key, value));
            }
        }
        Some(Fields(fields))
    }

    /// The items of a list that must have some. `what` they are, in the plural.
    pub(super) fn items<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        match &node.value {
            Value::List(items) if items.is_empty() => {
                self.problems.add(&node.span, || format!("expected a list of {what}, found an empty one"));
                None
            }
            Value::List(items) => Some(items),
            Value::Text(text) => {
                self.problems.add(&node.span, || {
                    let shown = quote(text);
                    let bare = shown.trim_matches('`');
                    format!("expected a list of {what}, found {shown}; a list of one is `[{bare}]`")
                });
                None
            }
            _ => {
                self.wrong_type(node, &format!("a list of {what}"));
                None
            }
        }
    }

    /// The text of a scalar.
    pub(super) fn text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        let Value::Text(text) = &node.value else {
            self.wrong_type(node, what);
            return None;
        };
        Some(text)
    }

    /// The value of a scalar that has a grammar. `what` it is: `memory`, `suite` …
    pub(super) fn value<'n, T>(
        &mut self,
        node: &'n Node,
        what: &str,
        read: impl FnOnce(&'n str) -> Result<T, String>,
    ) -> Option<T> {
        let Value::Text(text) = &node.value else {
            self.wrong_type(node, &format!("one value ({what})"));
            return None;
        };
        match read(text) {
            Ok(value) => Some(value),
            Err(expected) => {
                self.problems.add(&node.span, || format!("bad {what} {}: {expected}", quote(text)));
                None
            }
        }
    }

    /// A name by the rules of [`crate::words`].
    pub(super) fn name(&mut self, node: &Node, what: &str) -> Option<KernelName> {
        let text = self.text(node, what)?;
        match text.parse() {
            Ok(name) => Some(name),
            Err(_) => {
                let shown = || BadName(quote(text).trim_matches('`').to_owned()).to_string();
                self.problems.add(&node.span, shown);
                None
            }
        }
    }

    /// A list of bugs, each known and named once.
    pub(super) fn bug_list(&mut self, node: &Node) -> Option<Vec<BugId>> {
        let items = self.items(node, "bugs")?;
        let mut bugs = Vec::with_capacity(self.bugs.iter().count());
        let mut sound = true;
        for item in items {
            match self.text(item, "a bug").map(|text| self.bug(text, &item.span)) {
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
        let known = self.bugs.iter().find(|bug| bug.id.as_str() == text);
        if known.is_none() {
            let names = self.bugs.iter().map(|bug| bug.id.as_str());
            self.problems.add(at, || format!("unknown bug {}: {}", quote(text), expected_one_of(text, names)));
        }
        known.map(|bug| bug.id.clone())
    }

    /// A mapping from bugs to what is expected of them.
    pub(super) fn expectations(&mut self, node: &Node) -> Vec<Expected> {
        let Value::Map(entries) = &node.value else {
            self.wrong_type(node, "a mapping from bugs to what is expected, as in `{ some-bug: fail }`");
            return Vec::new();
        };
        let mut expectations = Vec::new();
        for (key, value) in entries {
            let bug = self.bug(&key.text, &key.span);
            let what = self.value(value, "expectation", |text| {
                let names: Vec<&str> = Expectation::names().collect();
                Expectation::from_name(text).ok_or_else(|| expected_one_of(text, names.iter().copied()))
            });
            if let (Some(bug), Some(what)) = (bug, what) {
                expectations.push(Expected { bug, what, at: key.span.clone() });
            }
        }
        expectations
    }

    /// A list of tags, each once. Tags follow the rules of names.
    pub(super) fn tags(&mut self, node: &Node) -> Vec<(String, Range<usize>)> {
        let mut tags: Vec<(String, Range<usize>)> = Vec::new();
        let mut seen = BTreeSet::new();
        for item in self.items(node, "tags").unwrap_or_default() {
            let Some(tag) = self.name(item, "a tag") else { continue };
            if seen.insert(tag.clone()) {
                tags.push((tag.into(), item.span.clone()));
            } else {
                self.problems.add(&item.span, || format!("the tag `{tag}` is listed twice"));
            }
        }
        tags
    }

    pub(super) fn wrong_type(&mut self, node: &Node, expected: &str) {
        if !matches!(node.value, Value::Refused) {
            self.problems.add(&node.span, || format!("expected {expected}, found {}", node.value.describe()));
        }
    }
}
