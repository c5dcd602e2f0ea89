//! Decides whether "not found" proves absence.
//!
//! A history doesn't show what its first commit already had: a vendor's import of 4.19.57 has the break without its
//! commit. The Makefile there names the base release, not the later patches. So a beginning (a root, or a truncation by
//! a clone or graft) is trusted only if it is kernel.org's own.

use std::collections::HashSet;

use git2::Oid;

use super::MakefileVersion;
use super::history::{History, short};
use super::objects::TreeEntry;
use super::repository::Repository;
use super::{GitError, GitIndex};
use crate::matrix::{Bug, ReleaseLine, Releases, Spans, Step, Steps, Upstream};
use crate::words::Role;

/// The most beginnings to look at. Linux has four roots.
const MOST: usize = 4_000;
/// The longest first-parent line to search for jumps, in commits. Linux's own has some 100,000.
const LONGEST_LINE: usize = 1 << 20;
/// The most jumps to report.
const MOST_JUMPS: usize = 16;
/// Linux's first commit in git, 2.6.12-rc2, which is recognised even if a clone lacks its files.
const FIRST: &str = "1da177e4c3f41524e886b7f1b8a0c1fc7321cac2";

/// A beginning that may have steps without commits of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Beginning {
    pub number: u32,
    /// A description for people.
    pub says: String,
}

/// Why the version of a revision is unknown, and how to find it.
pub(super) fn no_version(history: &History) -> String {
    if let Some(fetch) = fetch_makefile(history.repository, history.commit) {
        return format!(
            "the repository lacks the revision's Makefile, which holds its version: {fetch}, then ask \
        again"
        );
    }
    let none = "the revision has no readable kernel Makefile";
    match history.packaging.says() {
        Some(says) => format!(
            "{none}; {says}: it does not have the kernel that they apply to, so judge the package that is built from \
            it, or the patched tree as source"
        ),
        None => none.to_owned(),
    }
}

/// The command that fetches a commit's Makefile, if the tree has one that the repository lacks.
fn fetch_makefile(repository: &Repository, commit: Oid) -> Option<String> {
    let git = repository.git();
    let is_lacking = match git.commit(commit) {
        None => true,
        Some(commit) => match git.entry(commit.tree, "Makefile") {
            TreeEntry::Lacking => true,
            TreeEntry::File(id) => !git.raw().odb().is_ok_and(|odb| odb.exists(id)),
            _ => false,
        },
    };
    let path = repository.path().display();
    is_lacking.then(|| format!("`git -C {path} show {}:Makefile` fetches it", short(commit)))
}

/// The beginnings of a history that may have steps of this bug.
pub(super) fn beginnings(index: &GitIndex, history: &History, bug: &Bug) -> Result<Vec<Beginning>, GitError> {
    let cuts: Vec<u32> = history.store.cuts()?.into_iter().filter(|number| history.has(*number)).collect();
    let roots = history.graph.roots();
    let roots = roots.iter().copied().filter(|number| history.has(*number) && !cuts.contains(number));
    let files: Vec<&String> =
        bug.chain.iter().filter(|step| step.role == Role::Break).flat_map(|step| &step.files).collect();
    let mut found = Vec::new();
    for (number, is_cut) in cuts.iter().map(|cut| (*cut, true)).chain(roots.map(|root| (root, false))).take(MOST) {
        let oid = history.sha(number)?;
        let what = if is_cut { "the history is cut off at" } else { "the history begins with" };
        let doubt = match index.version_at(oid) {
            _ if oid.to_string() == FIRST => None,
            Some(version)
                if is_release(history, number, oid, &version) && is_before_break(&version, bug.releases.as_ref()) =>
            {
                None
            }
            Some(version) => {
                let mend = missing_tag(history, oid, number, &version);
                let path = history.repository.path().display();
                let look = || {
                    format!(
                        ": `git -C {path} show {0}` and `git -C {path} show {0}:Makefile` show what it is",
                        short(oid)
                    )
                };
                let mend = mend.or_else(|| unshallow(history, oid)).unwrap_or_else(look);
                Some(format!("{what} {}, a {version}, which may already have steps{mend}", short(oid)))
            }
            // Merged trees of other projects, such as btrfs's, begin without a kernel.
            None if !is_cut && holds_none(index, oid, &files) => {
                found.extend(import(index, history, number)?);
                None
            }
            None => {
                let mend = fetch_makefile(history.repository, oid).map(|fetch| format!(": {fetch}"));
                let mend = mend.or_else(|| unshallow(history, oid)).unwrap_or_default();
                Some(format!("{what} {}, whose version cannot be read{mend}", short(oid)))
            }
        };
        found.extend(doubt.map(|says| Beginning { number, says }));
    }
    found.extend(jumps(index, history, bug.releases.as_ref())?);
    Ok(found)
}

/// The commit that adds a kernel after a beginning without one (`Add kernel source`), unless it merges a history that
/// has it.
fn import(index: &GitIndex, history: &History, root: u32) -> Result<Option<Beginning>, GitError> {
    let has_kernel = |number| Ok::<_, GitError>(index.version_at(history.sha(number)?).is_some());
    let after = history.graph.descendants(root);
    let mut without = HashSet::from([root]);
    for number in (root + 1..history.graph.len()).filter(|number| after.has(*number) && history.has(*number)) {
        let parents = history.graph.parents(number);
        if !parents.iter().any(|parent| without.contains(parent)) {
            continue;
        }
        let mut is_import = without.len() >= MOST;
        if !is_import {
            if !has_kernel(number)? {
                without.insert(number);
                continue;
            }
            is_import = true;
            for parent in parents.iter().filter(|parent| !without.contains(parent)) {
                is_import &= !has_kernel(*parent)?;
            }
        }
        if is_import {
            let (oid, path) = (short(history.sha(number)?), history.repository.path().display());
            let says = format!(
                "{oid} adds a kernel without its history, which may bring steps: `git -C {path} show --stat {oid}` \
                shows what it is"
            );
            return Ok(Some(Beginning { number, says }));
        }
    }
    Ok(None)
}

/// The non-merge commits on the revision's own line that jump to another release, because a squashed update adds
/// commits without their names. The line ends at a tagged kernel.org release.
fn jumps(index: &GitIndex, history: &History, releases: Option<&Releases>) -> Result<Vec<Beginning>, GitError> {
    let Some(mut at) = history.store.number(history.commit)? else { return Ok(Vec::new()) };
    let mut line = vec![at];
    while !history.is_release(at)
        && line.len() < LONGEST_LINE
        && let Some(parent) = history.graph.parents(at).first()
    {
        at = *parent;
        line.push(at);
    }
    let version = |at: usize| Ok::<_, GitError>(index.version_at(history.sha(line[at])?));
    let mut found = Vec::new();
    // Ranges of the line, with the versions at their ends. A range with equal versions has no jump.
    let mut ranges = vec![(0, version(0)?, line.len() - 1, version(line.len() - 1)?)];
    while let Some((new, newer, old, older)) = ranges.pop() {
        if newer == older || found.len() >= MOST_JUMPS {
            continue;
        }
        if old - new > 1 {
            let middle = new + (old - new) / 2;
            let between = version(middle)?;
            ranges.push((new, newer, middle, between.clone()));
            ranges.push((middle, between, old, older));
            continue;
        }
        let (Some(newer), Some(older)) = (newer, older) else { continue };
        if history.graph.parents(line[new]).len() == 1 && is_jump(&older, &newer) && !is_before_break(&newer, releases)
        {
            let (oid, path) = (history.sha(line[new])?, history.repository.path().display());
            let oid = short(oid);
            let says = format!(
                "{oid} turns a {older} into a {newer} in one commit, which may bring steps: `git -C {path} show --stat \
                {oid}` \
                 shows what it is"
            );
            found.push(Beginning { number: line[new], says });
        }
    }
    Ok(found)
}

/// Whether the newer version can't directly follow the older one: kernel.org's versions go up by one, or from a release
/// to the first candidate of the next line.
fn is_jump(older: &MakefileVersion, newer: &MakefileVersion) -> bool {
    let (Some(old), Some(new)) = (older.release(), newer.release()) else { return false };
    let is_same_line = old.line() == new.line();
    let is_next = is_same_line && (old.stable()..=old.stable() + 1).contains(&new.stable());
    let is_candidate = newer.extraversion.starts_with("-rc");
    let opens_a_line = !is_same_line && old.stable() == 0 && old < new && is_candidate;
    !is_next && !opens_a_line
}

/// The advice to fetch the tag of a beginning whose subject says that it is a release.
fn missing_tag(history: &History, oid: Oid, number: u32, version: &MakefileVersion) -> Option<String> {
    let release = version.release()?;
    let is_tagged = history.is_release(number);
    let says_so = history.repository.is_release(oid, &format!("v{release}"));
    let path = history.repository.path().display();
    (says_so && !is_tagged).then(|| {
        format!(
            "; it has no tag v{release}: fetch it with `git -C {path} fetch --tags` from a remote that has \
        kernel.org's tags"
        )
    })
}

/// The advice to fetch the history before a shallow clone's end.
fn unshallow(history: &History, oid: Oid) -> Option<String> {
    let path = history.repository.path().display();
    let is_end = history.repository.overlay().shallow.contains(&oid);
    is_end.then(|| format!(": `git -C {path} fetch --unshallow` fetches the history before it"))
}

/// Whether a tree is readable, and has neither a kernel's Makefile nor any of these files. Another project's Makefile,
/// such as btrfs's, differs from one that the repository lacks.
fn holds_none(index: &GitIndex, commit: Oid, files: &[&String]) -> bool {
    let git = index.repository.git();
    let Some(tree) = git.commit(commit).map(|commit| commit.tree) else { return false };
    let lacks = |path: &str| git.entry(tree, path) == TreeEntry::Nothing;
    (lacks("Makefile") || index.file_at(commit, "Makefile").is_some()) && files.iter().all(|file| lacks(file))
}

/// Whether a beginning is a kernel.org release, by its tag and the subject that Linus and the stable team write. Only
/// the first release is a root, which has another name in rewritten histories. A root of a later version is an import.
fn is_release(history: &History, number: u32, oid: Oid, version: &MakefileVersion) -> bool {
    let is_import = history.is_root(oid) && !version.release().is_some_and(is_first);
    !is_import && history.is_release(number)
}

/// Whether a release is of the first line in Linux's git history.
fn is_first(release: Upstream) -> bool {
    "2.6.12".parse().is_ok_and(|first: ReleaseLine| release.line() == first)
}

/// Whether kernel.org's releases of this version never had the break.
fn is_before_break(version: &MakefileVersion, releases: Option<&Releases>) -> bool {
    let Some(release) = version.release() else { return false };
    let line = release.line();
    // Linux before its git history is unknown.
    if is_first(release) {
        return true;
    }
    let Some(releases) = releases else { return false };
    if releases.ended_before_break.contains(&line) {
        return true;
    }
    let lacks = |spans: &Spans<Upstream>| spans.is_in(|at| release >= *at) == Some(false);
    // A release that lost the break again may have later steps.
    let is_before = |steps: &Steps<Upstream>| {
        steps
            .get(&Role::Break)
            .is_some_and(|spans| lacks(spans) && (!spans.was_taken_out() || steps.values().all(lacks)))
    };
    if let Some(stable) = releases.stable.iter().find(|stable| stable.line == line) {
        return is_before(&stable.steps);
    }
    if releases.since.get(&Role::Break).is_some_and(|since| line < *since) {
        return true;
    }
    // This is a mainline release. Stable releases of a line that the dossier doesn't list may have anything.
    release.stable() == 0 && is_before(&releases.mainline)
}

/// Whether a kernel of this version has the step by the releases, so that a history without it is not trusted.
pub(super) fn is_expected(version: &MakefileVersion, bug: &Bug, step: &Step) -> bool {
    let (Some(releases), Some(release)) = (&bug.releases, version.release()) else { return false };
    let has = |spans: Option<&Spans<Upstream>>| spans.and_then(|spans| spans.is_in(|at| release >= *at)) == Some(true);
    // With several breaks, the releases are those of the first one, which is unknown.
    if step.role == Role::Break && bug.chain.iter().filter(|other| other.role == Role::Break).count() > 1 {
        return false;
    }
    let stable = releases.stable.iter().find(|stable| stable.line == release.line());
    // Only the line's own releases tell whether it lost the step again.
    match stable.and_then(|stable| stable.steps.get(&step.role)) {
        Some(spans) if release.stable() > 0 => has(Some(spans)),
        spans => has(spans) || has(releases.mainline.get(&step.role)),
    }
}
