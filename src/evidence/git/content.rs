//! What the files say against the history.
//!
//! Merges have content of their own, and vendors squash: a step can be in the files without a commit of its own, or be
//! gone although its commit is there. Comparing lines cannot prove either, but it can keep this witness from
//! vouching for what it does not see.

use std::collections::HashSet;
use std::path::Path;

use git2::{DiffOptions, Oid, Repository, Tree};

use super::repository::is_readable;

/// A file larger than this is not compared, in bytes. The kernel's largest C files have some 1 MiB.
const LARGEST: usize = 4 << 20;
/// Lines with fewer letters and digits than this are everywhere (`return -EINVAL;` has 13).
const TELLING: usize = 16;

/// How the files of a revision compare with a step's patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// All lines that the step adds are there, and none that it removes.
    Applied,
    /// All lines that the step removes are there, and none that it adds.
    NotApplied,
    /// None of the lines that the step adds is there, and not all that it removes.
    Gone,
    /// Neither, or there is nothing telling to compare.
    Unclear,
    /// The repository lacks files.
    Missing,
}

/// Compares the files of the revision `at` with the patch that the commit `step` is to them.
pub(super) fn likeness(git: &Repository, step: Oid, at: Oid, files: &[String]) -> Likeness {
    let (Some(after), Some(here)) = (tree(git, step), tree(git, at)) else { return Likeness::Missing };
    let parent = git.find_commit(step).and_then(|commit| commit.parent(0)).and_then(|parent| parent.tree());
    let Ok(before) = parent else { return Likeness::Missing };
    let (mut added, mut removed) = ((0, 0), (0, 0));
    for file in files {
        let texts = [&before, &after, &here].map(|tree| text(git, tree, file));
        let [Some(before), Some(after), Some(here)] = &texts else { return Likeness::Missing };
        let [before, after, here] = [before, after, here].map(|text| lines(text));
        for line in after.difference(&before) {
            added = (added.0 + usize::from(here.contains(line)), added.1 + 1);
        }
        for line in before.difference(&after) {
            removed = (removed.0 + usize::from(here.contains(line)), removed.1 + 1);
        }
    }
    match (added, removed) {
        ((there, all), (0, _)) if all > 0 && there == all => Likeness::Applied,
        ((0, _), (there, all)) if all > 0 && there == all => Likeness::NotApplied,
        ((0, all), _) if all > 0 => Likeness::Gone,
        _ => Likeness::Unclear,
    }
}

/// The telling lines that a commit adds to a file and takes out of it. None where the repository lacks either text.
pub(super) fn changed_lines(git: &Repository, commit: Oid, file: &str) -> Option<[HashSet<Vec<u8>>; 2]> {
    let parent = git.find_commit(commit).and_then(|commit| commit.parent(0)).and_then(|parent| parent.tree()).ok()?;
    let (before, after) = (text(git, &parent, file)?, text(git, &tree(git, commit)?, file)?);
    let (before, after) = (lines(&before), lines(&after));
    let only = |one: &HashSet<&[u8]>, other| one.difference(other).map(|line| line.to_vec()).collect();
    Some([only(&after, &before), only(&before, &after)])
}

/// Whether a commit changes more of a file than comments and blank lines. None where the repository lacks either text.
pub(super) fn changes_code(git: &Repository, commit: Oid, file: &str) -> Option<bool> {
    let parent = git.find_commit(commit).and_then(|commit| commit.parent(0)).and_then(|parent| parent.tree()).ok()?;
    let code = |text: Vec<u8>| -> Vec<Vec<u8>> {
        let lines = text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
        let is_comment = |line: &[u8]| [&b"/*"[..], b"* ", b"*/", b"//"].iter().any(|mark| line.starts_with(mark));
        lines.filter(|line| !line.is_empty() && *line != b"*" && !is_comment(line)).map(<[u8]>::to_vec).collect()
    };
    Some(code(text(git, &parent, file)?) != code(text(git, &tree(git, commit)?, file)?))
}

/// Whether a commit changes any of these files. None where the repository lacks its trees.
pub(super) fn touches(git: &Repository, commit: Oid, files: &[String]) -> Option<bool> {
    let commit = git.find_commit(commit).ok()?;
    let after = commit.tree().ok()?;
    let before = match commit.parent_count() {
        0 => None,
        _ => Some(commit.parent(0).ok()?.tree().ok()?),
    };
    let id = |tree: &Tree, file: &String| match tree.get_path(Path::new(file)) {
        Ok(entry) => Some(Some(entry.id())),
        // The entry of a folder can be missing, or the folder's own tree.
        Err(error) if error.class() == git2::ErrorClass::Odb => None,
        Err(_) => Some(None),
    };
    for file in files {
        let old = match &before {
            Some(before) => id(before, file)?,
            None => None,
        };
        if id(&after, file)? != old {
            return Some(true);
        }
    }
    Some(false)
}

/// Whether a commit's tree is its first parent's: it changes nothing at all.
pub(super) fn is_empty(git: &Repository, commit: Oid) -> bool {
    let Ok(commit) = git.find_commit(commit) else { return false };
    commit.parent(0).is_ok_and(|parent| parent.tree_id() == commit.tree_id())
}

/// Whether a commit's tree has any of these files.
pub(super) fn has_any(git: &Repository, commit: Oid, files: &[String]) -> bool {
    tree(git, commit).is_some_and(|tree| files.iter().any(|file| tree.get_path(Path::new(file)).is_ok()))
}

/// The patch-id of a commit against its first parent, as `git patch-id` gives it. None where the repository lacks files.
pub(super) fn patch_id(git: &Repository, commit: Oid) -> Option<Oid> {
    let commit = git.find_commit(commit).ok()?;
    let before = commit.parent(0).ok()?.tree().ok()?;
    let mut options = DiffOptions::new();
    options.max_size(LARGEST as i64);
    let diff = git.diff_tree_to_tree(Some(&before), Some(&commit.tree().ok()?), Some(&mut options)).ok()?;
    // Vendors' squashed updates share subjects too, and are no patches to compare.
    if diff.deltas().len() == 0 || diff.deltas().len() > 500 {
        return None;
    }
    let readable = |id: Oid| id.is_zero() || is_readable(git, id);
    if !diff.deltas().all(|delta| readable(delta.old_file().id()) && readable(delta.new_file().id())) {
        return None;
    }
    diff.patchid(None).ok()
}

/// The telling lines of a file in a commit's tree. None where it is not there, or cannot be compared.
pub(super) fn lines_at(git: &Repository, commit: Oid, file: &str) -> HashSet<Vec<u8>> {
    let text = tree(git, commit).and_then(|tree| text(git, &tree, file)).unwrap_or_default();
    lines(&text).into_iter().map(<[u8]>::to_vec).collect()
}

fn tree(git: &Repository, commit: Oid) -> Option<Tree<'_>> {
    git.find_commit(commit).ok()?.tree().ok()
}

fn text(git: &Repository, tree: &Tree, file: &str) -> Option<Vec<u8>> {
    let id = tree.get_path(Path::new(file)).ok().map(|entry| entry.id()).filter(|id| is_readable(git, *id))?;
    let (size, _) = git.odb().ok()?.read_header(id).ok()?;
    if size > LARGEST {
        return None;
    }
    Some(git.find_blob(id).ok()?.content().to_vec())
}

fn lines(text: &[u8]) -> HashSet<&[u8]> {
    let telling = |line: &&[u8]| line.iter().filter(|b| b.is_ascii_alphanumeric()).count() >= TELLING;
    text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(telling).collect()
}
