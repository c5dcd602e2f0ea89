//! Finds patches in a revision's tree: those that its packaging surely applies, and those that it may apply.
//!
//! quilt's series (Debian's `debian/patches/series`, SUSE's `series.conf`) and the unconditional patches of a kernel's
//! only RPM spec file are surely applied. All other patches (OpenWrt's `patches-6.6/`, those of an APKBUILD, PKGBUILD
//! or recipe, and a spec's conditional ones) may or may not be applied, so a step that they may carry stays open.

use std::collections::{BTreeSet, HashSet};

use git2::Oid;

use super::answer::StepSearch;
use super::history::History;
use super::message::MentionKind;
use super::objects::{Objects, TreeEntry};
use super::quilt::{QuiltPatch, names};
use super::rpm_spec;
use super::step_facts::subject_of;
use super::subject::is_same;
use crate::evidence::source::patches::{KERNEL, PACKED, is_patch};

/// The most patches. SUSE's series have had some 30,000.
const MOST: usize = 60_000;
/// The most folders to search. A kernel has some 6,000, a distribution's collection of packages 40,000.
const MOST_FOLDERS: usize = 60_000;
/// The strip levels to try if nothing specifies one.
const ANY_LEVEL: [usize; 2] = [0, 1];
/// The deepest folder to search.
const DEEPEST: usize = 12;

/// The patches in a revision's tree.
#[derive(Debug, Default)]
pub(super) struct Packaging {
    /// The patches: first the applied ones, in order, and then the others (see [`QuiltPatch::is_applied`]).
    pub patches: Vec<QuiltPatch>,
    /// Unreadable files that may be patches, or may name some.
    pub unread: Vec<String>,
    /// The files that say which patches are applied: `debian/patches/series`, `kernel.spec`, `APKBUILD`.
    pub by: BTreeSet<String>,
}

impl Packaging {
    /// The number of patches that are surely applied.
    pub fn applied(&self) -> usize {
        self.patches.iter().filter(|patch| patch.is_applied).count()
    }

    /// Describes the patches for people; none if there are none.
    pub fn says(&self) -> Option<String> {
        if self.patches.is_empty() && self.unread.is_empty() && self.by.is_empty() {
            return None;
        }
        let (applied, all) = (self.applied(), self.patches.len() + self.unread.len());
        let by: Vec<&str> = self.by.iter().take(3).map(String::as_str).collect();
        let by = if by.is_empty() { "no known packaging".to_owned() } else { by.join(", ") };
        Some(format!("the tree has {all} patches, of which {applied} are surely applied (by {by})"))
    }
}

/// Finds the patches in a commit's tree. A kernel's own folders have none.
pub(super) fn packaging(git: &Objects, commit: Oid, is_kernel: bool) -> Packaging {
    let mut packaging = Packaging::default();
    let Some(tree) = git.commit(commit).map(|commit| commit.tree) else { return packaging };
    let mut seen = HashSet::new();
    for (series, folder) in [("debian/patches/series", "debian/patches/"), ("series.conf", "")] {
        let Some(text) = text(git, tree, series) else { continue };
        packaging.by.insert(series.to_owned());
        for (name, level) in names(&String::from_utf8_lossy(&text)).take(MOST) {
            let path = format!("{folder}{name}");
            let levels = level.as_ref().map_or(&ANY_LEVEL[..], std::slice::from_ref);
            packaging.take(git, tree, &path, levels, level.is_some());
            packaging.reverse_last(&path, level.is_none());
            seen.insert(path);
        }
    }
    let has_series_conf = packaging.by.contains("series.conf");
    let found = Search::new(is_kernel).run(git, tree, &mut packaging.unread);
    let specs: Vec<(&String, rpm_spec::Spec)> = found
        .specs
        .iter()
        .filter_map(|path| Some((path, rpm_spec::parse(&String::from_utf8_lossy(&text(git, tree, path)?)))))
        .filter(|(_, spec)| spec.has_patches)
        .collect();
    for (path, spec) in &specs {
        // A kernel's own tree may have the spec that built it, but the spec's patches are elsewhere.
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let beside = |name: &str| {
            let sources = folder.rsplit_once('/').map_or("SOURCES".to_owned(), |(above, _)| format!("{above}/SOURCES"));
            let folders = [folder, if folder == "SPECS" { "SOURCES" } else { sources.as_str() }];
            let places = folders.iter().map(|folder| format!("{folder}/{name}").trim_start_matches('/').to_owned());
            places.into_iter().find(|path| matches!(git.entry(tree, path), TreeEntry::File(_)))
        };
        if is_kernel && spec.applied.iter().chain(&spec.reversed).all(|name| beside(name).is_none()) {
            continue;
        }
        packaging.by.insert((*path).clone());
        // With several specs it is unknown which one is built.
        for name in spec.applied.iter().take(MOST).filter(|_| specs.len() == 1) {
            match beside(name) {
                Some(path) if seen.insert(path.clone()) => packaging.take(git, tree, &path, &ANY_LEVEL, true),
                Some(_) => {}
                None => packaging.unread.push(name.clone()),
            }
        }
        for path in spec.reversed.iter().take(MOST).filter_map(|name| beside(name)) {
            packaging.take(git, tree, &path, &ANY_LEVEL, false);
            packaging.reverse_last(&path, true);
            seen.insert(path);
        }
    }
    packaging.by.extend(found.recipes);
    for path in found.patches {
        // Debian's and SUSE's lists name all patches in their folders.
        let is_listed =
            has_series_conf || path.starts_with("debian/patches/") && packaging.by.contains("debian/patches/series");
        if !is_listed && seen.insert(path.clone()) && packaging.patches.len() < MOST {
            packaging.take(git, tree, &path, &ANY_LEVEL, false);
        }
    }
    packaging
}

impl Packaging {
    /// Records that the last patch may be applied in reverse.
    fn reverse_last(&mut self, path: &str, is_reversed: bool) {
        if let Some(last) = self.patches.last_mut().filter(|last| last.file == path) {
            last.is_reversed |= is_reversed;
        }
    }

    fn take(&mut self, git: &Objects, tree: Oid, path: &str, levels: &[usize], is_applied: bool) {
        match text(git, tree, path).filter(|_| !PACKED.iter().any(|end| path.ends_with(end))) {
            Some(text) => {
                let mut patch = QuiltPatch::parse(path, &text, levels);
                patch.is_applied = is_applied;
                self.patches.push(patch);
            }
            None => self.unread.push(path.to_owned()),
        }
    }
}

fn text(git: &Objects, tree: Oid, path: &str) -> Option<Vec<u8>> {
    let TreeEntry::File(id) = git.entry(tree, path) else { return None };
    Some(git.file(id)?.text.clone())
}

/// A search through the folders of a tree.
struct Search {
    is_kernel: bool,
    found: Lying,
}

/// The relevant files of a tree, by path.
#[derive(Default)]
struct Lying {
    patches: Vec<String>,
    specs: Vec<String>,
    /// The build recipes of other distributions.
    recipes: Vec<String>,
}

impl Search {
    fn new(is_kernel: bool) -> Self {
        Self { is_kernel, found: Lying::default() }
    }

    fn run(mut self, git: &Objects, tree: Oid, unread: &mut Vec<String>) -> Lying {
        let mut folders = vec![(String::new(), 0)];
        let mut read = 0;
        while let Some((folder, depth)) = folders.pop() {
            read += 1;
            if read > MOST_FOLDERS {
                unread.push("more folders than the search limit".to_owned());
                break;
            }
            let Some(names) = git.names(tree, &folder) else {
                // If the clone lacks the tree itself, it has no files at all, which is reported elsewhere.
                unread.extend((!folder.is_empty()).then(|| format!("{folder}/")));
                continue;
            };
            for (name, is) in names {
                let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
                match is {
                    TreeEntry::File(_) => self.file(&folder, &name, path),
                    // A kernel's own folders have no packaging.
                    TreeEntry::Folder(_) if self.is_kernel && depth == 0 && KERNEL.contains(&name.as_str()) => {}
                    TreeEntry::Folder(_) if depth >= DEEPEST => unread.push(format!("{path}/")),
                    TreeEntry::Folder(_) => folders.push((path, depth + 1)),
                    TreeEntry::Module(_) | TreeEntry::Nothing | TreeEntry::Lacking => {}
                }
            }
        }
        self.found.patches.sort();
        self.found.specs.sort();
        self.found
    }

    fn file(&mut self, folder: &str, name: &str, path: String) {
        let is_kernel_s = |path: &str| path.contains("linux") || path.contains("kernel");
        if is_patch(&path) {
            self.found.patches.push(path);
        } else if name.ends_with(".spec") && (folder.is_empty() || is_kernel_s(name)) {
            self.found.specs.push(path);
        } else if matches!(name, "APKBUILD" | "PKGBUILD" | "template")
            || [".ebuild", ".bb", ".bbappend", ".scc"].iter().any(|end| name.ends_with(end))
        {
            self.found.recipes.extend((folder.is_empty() || is_kernel_s(&path)).then_some(path));
        }
    }
}

/// Why a patch in the tree may carry a step, although no surely applied one does.
pub(super) fn may_carry(history: &History, one: &StepSearch) -> Option<String> {
    let (packaging, step) = (&history.packaging, one.step);
    let subject = subject_of(step);
    let names = |patch: &QuiltPatch| {
        let mut said = patch.mentions.iter().map(|(_, commit, _)| *commit);
        subject.as_ref().is_some_and(|own| is_same(&patch.subject, own))
            || said.any(|said| one.carriers.names.iter().any(|name| name.agrees(said)))
    };
    let is_turned = |patch: &QuiltPatch| names(patch) && patch.turns(&one.carriers.patches, subject.as_slice());
    let lying = || packaging.patches.iter().filter(|patch| !patch.is_applied || is_turned(patch));
    if let Some(patch) = lying().find(|patch| names(patch) && patch.changes(&step.files)) {
        return Some(format!("{} names the {} and may be applied", patch.file, step.role));
    }
    if let Some(patch) = lying().find(|patch| patch.changes(&step.files)) {
        return Some(format!("{} changes files of the {} and may be applied", patch.file, step.role));
    }
    // A vendor's whole diff in one file does not list its contents.
    let is_squashed = |patch: &&QuiltPatch| {
        let says_so = patch.mentions.iter().any(|(kind, ..)| *kind == MentionKind::Carries);
        patch.is_applied && !says_so && patch.changes(&step.files) && (patch.subject.is_empty() || patch.is_large)
    };
    if let Some(patch) = packaging.patches.iter().find(is_squashed) {
        let (file, role) = (&patch.file, step.role);
        return Some(format!(
            "{file} is applied, changes files of the {role}, and does not say which commits it carries"
        ));
    }
    let unread = packaging.unread.first()?;
    Some(format!("{unread} cannot be read and may carry the {}", step.role))
}
