//! Checks one kernel of the matrix.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use super::check::{BugExpectation, Checker};
use super::read::Fields;
use super::text::one_of;
use super::tree::{Value, YamlNode};
use super::{AptArchive, BadMainlineVersion, CONTROL_TAG, Commit, GuestSettings, KernelEntry, Source, fields, remote};
use crate::recipe::{Control, Recipes};
use crate::words::{BugId, Expectation, KernelName};

/// The keys of a kernel.
pub(super) const KEYS: [&str; 19] = [
    "name", "apt", "deb", "rpm", "url", "image", "tree", "mainline", "control", "git", "tags", "optional", "bugs",
    "expect", "memory", "cpus", "cmdline", "machine", "timeout",
];

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
        let control = match &source {
            Some(Source::Control { control, .. }) => Recipes::built_in().control(control.as_str()),
            _ => None,
        };
        let optional = fields.get("optional").and_then(|node| self.problems.boolean(node)).unwrap_or(false);
        let bugs = match fields.get("bugs") {
            Some(node) => self.bug_list(node),
            None => matrix_bugs.map(<[BugId]>::to_vec),
        };
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
        // A kernel's folder lies beside the run's own files.
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

    /// The kernel's one source.
    fn source(&mut self, fields: &Fields<'_>, kernel: &YamlNode) -> Option<Source> {
        let mut given = fields.iter().filter(|(meant, ..)| Source::KEYS.contains(meant));
        let Some((kind, first, node)) = given.next() else {
            let at = fields.get("name").map_or(&kernel.span, |name| &name.span);
            self.problems.add(at, || format!("this kernel has no source: expected one of {}", one_of(Source::KEYS)));
            return None;
        };
        let mut only = true;
        for (meant, second, _) in given {
            let note = || Some((first.span.clone(), "the first source is here".to_owned()));
            let message = || format!("a second source `{meant}`: expected one for each kernel");
            self.problems.add_with(&second.span, message, note);
            only = false;
        }
        let source = match kind {
            "apt" => self.apt(node),
            "deb" => self.packages(node).map(Source::Deb),
            "rpm" => self.packages(node).map(Source::Rpm),
            "url" => self.problems.remotes(node).map(Source::Url),
            "image" => self.image(node),
            "mainline" => self.mainline(node),
            "control" => self.control(node),
            "tree" => self.path(node).map(Source::Tree),
            other => unreachable!("`{other}` is one of Source::KEYS, and nothing reads it"),
        };
        source.filter(|_| only)
    }

    fn apt(&mut self, node: &YamlNode) -> Option<Source> {
        if let Value::Text(_) = node.value {
            let package = self.problems.value(node, "package", fields::package)?;
            return Some(Source::Apt { package, suite: None, archive: None });
        }
        let expected = "a package, or `{ package: …, suite: … }`";
        let inner = self.problems.mapping(node, expected, &["package", "suite", "mirror", "components", "keyring"])?;
        let suite = inner.get("suite").map(|node| self.problems.value(node, "suite", fields::suite));
        let archive = self.archive(&inner);
        let package = self.problems.needed(&inner, "package", node)?;
        let package = self.problems.value(package, "package", fields::package)?;
        let (suite, archive) = (suite.map_or(Some(None), |suite| suite.map(Some))?, archive?);
        if let (Some(_), None) = (&archive, &suite) {
            let message = || "the key `suite` is missing here: `mirror` requires it".to_owned();
            self.problems.add(&node.span, message);
            return None;
        }
        Some(Source::Apt { package, suite, archive })
    }

    /// The archive that an `apt:` names; `Some(None)` where it names none.
    fn archive(&mut self, inner: &Fields<'_>) -> Option<Option<AptArchive>> {
        let Some(mirror) = inner.get("mirror") else {
            for key in ["components", "keyring"] {
                if let Some(node) = inner.get(key) {
                    let message = || format!("`{key}` without `mirror`: it applies only to an archive of your own");
                    self.problems.add(&node.span, message);
                    return None;
                }
            }
            return Some(None);
        };
        let mirror = self.problems.value(mirror, "mirror", remote::archive);
        let components = match inner.get("components") {
            Some(list) => self
                .problems
                .each(list, "components", |item, problems| problems.value(item, "component", fields::component)),
            None => Some(vec!["main".to_owned()]),
        };
        let keyring = match inner.get("keyring") {
            Some(node) => Some(self.path(node)?),
            None => None,
        };
        Some(Some(AptArchive { mirror: mirror?, components: components?, keyring }))
    }

    fn packages(&mut self, node: &YamlNode) -> Option<Vec<PathBuf>> {
        if let Value::Text(_) = node.value {
            return Some(vec![self.path(node)?]);
        }
        let items = self.problems.items(node, "package files")?;
        let files: Vec<Option<PathBuf>> = items.iter().map(|item| self.path(item)).collect();
        files.into_iter().collect()
    }

    fn image(&mut self, node: &YamlNode) -> Option<Source> {
        if let Value::Text(_) = node.value {
            return Some(Source::Image { image: self.path(node)?, modules: None, config: None });
        }
        let expected = "a kernel image, or `{ file: …, modules: …, config: … }`";
        let inner = self.problems.mapping(node, expected, &["file", "modules", "config"])?;
        let modules = inner.get("modules").map(|node| self.path(node));
        let config = inner.get("config").map(|node| self.path(node));
        let file = self.problems.needed(&inner, "file", node)?;
        let image = self.path(file)?;
        // A wrong path is reported, so no matrix results.
        Some(Source::Image { image, modules: modules.flatten(), config: config.flatten() })
    }

    fn mainline(&mut self, node: &YamlNode) -> Option<Source> {
        let version = |text: &str| text.parse().map_err(|bad: BadMainlineVersion| bad.to_string());
        let version = self.problems.value(node, "version", version)?;
        Some(Source::Mainline { version, archive: self.archive.clone() })
    }

    fn commit(&mut self, node: &YamlNode) -> Option<Commit> {
        let expected = "the commit that it was built from, as in `{ repository: ../linux, revision: v6.1.192 }`";
        let inner = self.problems.mapping(node, expected, &["repository", "revision"])?;
        let revision = self.problems.needed(&inner, "revision", node);
        let revision = revision.and_then(|node| self.problems.value(node, "revision", fields::line));
        let repository = self.problems.needed(&inner, "repository", node)?;
        Some(Commit { repository: self.path(repository)?, revision: revision? })
    }

    fn control(&mut self, node: &YamlNode) -> Option<Source> {
        let inner =
            self.problems.mapping(node, "a control, as in `{ name: stock, line: \"6.1\" }`", &["name", "line"])?;
        let line = self
            .problems
            .needed(&inner, "line", node)
            .and_then(|node| self.problems.value(node, "line", fields::control_line));
        let name = self.problems.needed(&inner, "name", node)?;
        let (control, line) = (self.problems.value(name, "control", fields::control)?, line?);
        if Recipes::built_in().pair(&line, control.as_str()).is_none() {
            self.problems.add(&name.span, || format!("line {line} has no control `{control}`"));
            return None;
        }
        Some(Source::Control { control, line })
    }

    /// A path that starts at the matrix's folder.
    pub(super) fn path(&mut self, node: &YamlNode) -> Option<PathBuf> {
        let path = self.problems.value(node, "path", fields::path)?;
        Some(self.folder.join(path))
    }
}
