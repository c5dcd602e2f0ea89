//! Checks one kernel of the matrix.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use super::check::{BugExpectation, Checker};
use super::read::Fields;
use super::text::one_of;
use super::tree::YamlNode;
use super::{CONTROL_TAG, Commit, GuestSettings, KernelEntry, Source, fields};
use crate::recipe::{Control, Recipes};
use crate::words::{BugId, Expectation, KernelName};

/// The keys of a kernel.
pub(super) const KEYS: [&str; 11 + Source::KEYS.len()] = {
    let own = ["name", "git", "tags", "optional", "bugs", "expect", "memory", "cpus", "cmdline", "machine", "timeout"];
    let mut keys = [own[0]; 11 + Source::KEYS.len()];
    let mut at = 1;
    while at < keys.len() {
        let sources = Source::KEYS.len();
        keys[at] = if at <= sources { Source::KEYS[at - 1] } else { own[at - sources] };
        at += 1;
    }
    keys
};

impl Checker<'_, '_> {
    /// The kernel's name, the name's place, and the kernel if it has no mistakes.
    pub(super) fn kernel(
        &mut self,
        node: &YamlNode,
        matrix_bugs: Option<&[BugId]>,
        matrix_expect: &[BugExpectation],
    ) -> Option<(KernelName, Range<usize>, Option<KernelEntry>)> {
        let fields = self.problems.mapping(node, "a mapping that describes a kernel", &KEYS)?;
        let name = match fields.get("name") {
            Some(name) => self.kernel_name(name).map(|read| (read, name.span.clone())),
            None => {
                self.problems.add(&node.span, || "the kernel's `name` is missing".to_owned());
                None
            }
        };
        // A kernel without a name is checked, too.
        let source = self.source(&fields, node);
        let git = fields.get("git").and_then(|node| self.commit(node));
        let tags = fields.get("tags").map(|node| self.tags(node)).unwrap_or_default();
        let control = source.as_ref().and_then(Source::control);
        let control = control.and_then(|control| Recipes::built_in().control(control.as_str()));
        let optional = fields.get("optional").and_then(|node| self.problems.boolean(node)).unwrap_or(false);
        let bugs = match fields.get("bugs") {
            Some(node) => self.bug_list(node),
            None => matrix_bugs.map(<[BugId]>::to_vec),
        };
        let named = bugs.iter().flatten().filter_map(|bug| self.bugs.get(bug));
        let source = source.map(|source| source.with_needs(named));
        let own = fields.get("expect").map(|node| self.expectations(node)).unwrap_or_default();
        let expect = bugs.as_ref().map(|bugs| self.resolve(bugs, matrix_expect, &own));
        let expect = control.map_or(expect.clone(), |control| {
            self.only_the_recipe_s(control, &fields);
            let mut expect = expect?;
            let truth = Recipes::built_in().expected(control);
            expect.extend(truth.into_iter().filter(|(bug, _)| bugs.iter().flatten().any(|b| b == bug)));
            Some(expect)
        });
        let guest = self.guest(&fields);
        let (name, at) = name?;
        let own_tag = control.map(|_| CONTROL_TAG.to_owned());
        let tags = tags.into_iter().map(|(tag, _)| tag).chain(own_tag).collect();
        let entry = match (source, bugs, expect) {
            (Some(source), Some(bugs), Some(expect)) => {
                Some(KernelEntry { name: name.clone(), source, git, tags, optional, bugs, expect, guest })
            }
            _ => None,
        };
        Some((name, at, entry))
    }

    fn kernel_name(&mut self, node: &YamlNode) -> Option<KernelName> {
        let name: KernelName = self.problems.name(node, "a kernel's name")?;
        // A kernel's folder is next to the run's own files.
        if name.as_str().ends_with(".json") {
            self.problems.add(&node.span, || {
                format!("bad name `{name}`: names ending in `.json` are reserved for a run's files")
            });
            return None;
        }
        Some(name)
    }

    /// The matrix's expectations of these bugs, overridden by the kernel's own.
    fn resolve(
        &mut self,
        bugs: &[BugId],
        matrix: &[BugExpectation],
        own: &[BugExpectation],
    ) -> BTreeMap<BugId, Expectation> {
        for BugExpectation { bug, at, .. } in own.iter().filter(|e| !bugs.contains(&e.bug)) {
            self.problems.add(at, || {
                let there = one_of(bugs.iter().map(BugId::as_str));
                format!("this kernel is not checked for `{bug}`: its bugs are {there}")
            });
        }
        let relevant = matrix.iter().chain(own).filter(|e| bugs.contains(&e.bug));
        relevant.map(|e| (e.bug.clone(), e.what)).collect()
    }

    /// A control's expectations come from its recipe, so `expect` is a mistake.
    fn only_the_recipe_s(&mut self, control: &Control, fields: &Fields<'_>) {
        let Some((_, key, _)) = fields.iter().find(|(meant, ..)| *meant == "expect") else { return };
        self.problems.add(&key.span, || {
            format!("the recipe of control `{}` has its expectations: remove `expect`", control.name)
        });
    }

    fn guest(&mut self, fields: &Fields<'_>) -> GuestSettings {
        GuestSettings {
            memory_mib: fields.get("memory").and_then(|node| self.problems.value(node, "memory", fields::memory)),
            cpus: fields.get("cpus").and_then(|node| self.problems.value(node, "cpus", fields::cpus)),
            cmdline: fields.get("cmdline").and_then(|node| self.problems.value(node, "cmdline", fields::cmdline)),
            machine: fields.get("machine").and_then(|node| self.problems.value(node, "machine", fields::machine)),
            timeout: fields.get("timeout").and_then(|node| self.problems.value(node, "timeout", fields::timeout)),
        }
    }

    fn commit(&mut self, node: &YamlNode) -> Option<Commit> {
        let expected = "the commit that it was built from, as in `{ repository: ../linux, revision: v6.1.192 }`";
        let inner = self.problems.mapping(node, expected, &["repository", "revision"])?;
        let revision = self.problems.needed(&inner, "revision", node);
        let revision = revision.and_then(|node| self.problems.value(node, "revision", fields::line));
        let repository = self.problems.needed(&inner, "repository", node)?;
        Some(Commit { repository: self.path(repository)?, revision: revision? })
    }

    /// A path that starts at the matrix's folder.
    pub(super) fn path(&mut self, node: &YamlNode) -> Option<PathBuf> {
        let path = self.problems.value(node, "path", fields::path)?;
        Some(self.folder.join(path))
    }
}
