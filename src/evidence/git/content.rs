//! Compares the files with the history.
//!
//! Merges have their own content, and vendors squash, so the files can have a step without its commit, or lack it
//! despite its commit. Comparing lines proves neither, but it keeps this witness from unfounded claims.

use std::collections::HashSet;
use std::rc::Rc;

use git2::Oid;

use super::objects::{FileText, Objects, TreeEntry};

/// The largest file to compare, in bytes. The kernel's largest C files have some 1 MiB.
pub(super) const LARGEST: usize = 4 << 20;

/// Lines with fewer letters and digits than this are too common to tell anything (`return -EINVAL;` has 13).
pub(super) const TELLING: usize = 16;

/// The similarity between the files of a revision and a step's patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// All lines that the step adds are there, and none that it removes.
    Applied,
    /// All lines that the step removes are there, and none that it adds.
    NotApplied,
    /// None of the lines that the step adds is there, and not all that it removes.
    Gone,
    /// None of these, or there are no telling lines.
    Unclear,
    /// The repository lacks files.
    Missing,
}

/// Compares the files of the revision `at` with the changes of the commit `step`.
pub(super) fn likeness(git: &Objects, step: Oid, at: Oid, files: &[String]) -> Likeness {
    likeness_with_copy(git, step, at, files, &[])
}

/// Compares like [`likeness`], but finds some of the files at other paths of the revision.
pub(super) fn likeness_with_copy(
    git: &Objects,
    step: Oid,
    at: Oid,
    files: &[String],
    moved: &[(String, String)],
) -> Likeness {
    let (Some(after), Some(here)) = (tree(git, step), tree(git, at)) else { return Likeness::Missing };
    let Some(before) = git.first_parent(step).map(|parent| parent.tree) else { return Likeness::Missing };
    let (mut added, mut removed) = ((0, 0), (0, 0));
    for file in files {
        let path = moved.iter().find(|(of, _)| of == file).map_or(file.as_str(), |(_, path)| path);
        let files = [(before, file.as_str()), (after, file), (here, path)].map(|(tree, path)| text(git, tree, path));
        let [Some(before), Some(after), Some(here)] = &files else { return Likeness::Missing };
        let [before, after, here] = [before, after, here].map(|file| lines(file));
        for line in after.difference(before) {
            added = (added.0 + usize::from(here.contains(line)), added.1 + 1);
        }
        for line in before.difference(after) {
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

/// The telling lines that a commit adds to and removes from a file. None if the repository lacks either text.
pub(super) fn changed_lines(git: &Objects, commit: Oid, file: &str) -> Option<[HashSet<Vec<u8>>; 2]> {
    let parent = git.first_parent(commit)?.tree;
    let (before, after) = (text(git, parent, file)?, text(git, tree(git, commit)?, file)?);
    let (before, after) = (lines(&before), lines(&after));
    let only = |one: &HashSet<Vec<u8>>, other| one.difference(other).cloned().collect();
    Some([only(after, before), only(before, after)])
}

/// Whether a commit's tree has a file whose text the repository lacks.
pub(super) fn is_lacking(git: &Objects, commit: Oid, file: &str) -> bool {
    tree(git, commit).is_some_and(|tree| match git.entry(tree, file) {
        TreeEntry::Nothing => false,
        TreeEntry::Lacking => true,
        entry => entry.id().is_some_and(|id| git.file(id).is_none()),
    })
}

/// Whether a line without leading white space looks like a part of a comment.
pub(super) fn is_comment(line: &[u8]) -> bool {
    [&b"/*"[..], b"* ", b"*/", b"//"].iter().any(|mark| line.starts_with(mark))
}

/// Whether a commit changes more of a file than comments and blank lines. None if the repository lacks either text.
pub(super) fn changes_code(git: &Objects, commit: Oid, file: &str) -> Option<bool> {
    let parent = git.first_parent(commit)?.tree;
    let code = |file: Rc<FileText>| -> Vec<Vec<u8>> {
        let lines = file.text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
        lines.filter(|line| !line.is_empty() && *line != b"*" && !is_comment(line)).map(<[u8]>::to_vec).collect()
    };
    Some(code(text(git, parent, file)?) != code(text(git, tree(git, commit)?, file)?))
}

/// Whether a commit changes any of these files. None if the repository lacks its trees.
pub(super) fn touches(git: &Objects, commit: Oid, files: &[String]) -> Option<bool> {
    let after = tree(git, commit)?;
    let before = match git.commit(commit)?.parents.first() {
        None => None,
        Some(parent) => Some(tree(git, *parent)?),
    };
    let id = |tree: Oid, file: &String| match git.entry(tree, file) {
        TreeEntry::Lacking => None,
        entry => Some(entry.id()),
    };
    for file in files {
        let old = match &before {
            Some(before) => id(*before, file)?,
            None => None,
        };
        if id(after, file)? != old {
            return Some(true);
        }
    }
    Some(false)
}

/// Whether a commit changes nothing: its tree is its first parent's.
pub(super) fn is_empty(git: &Objects, commit: Oid) -> bool {
    git.first_parent(commit).is_some_and(|parent| Some(parent.tree) == tree(git, commit))
}

/// Whether a commit's tree has any of these files.
pub(super) fn has_any(git: &Objects, commit: Oid, files: &[String]) -> bool {
    tree(git, commit).is_some_and(|tree| files.iter().any(|file| git.entry(tree, file).id().is_some()))
}

/// The telling lines of a file in a commit's tree; empty if it is missing or can't be compared.
pub(super) fn lines_at(git: &Objects, commit: Oid, file: &str) -> HashSet<Vec<u8>> {
    tree(git, commit).and_then(|tree| text(git, tree, file)).map(|file| lines(&file).clone()).unwrap_or_default()
}

/// Whether a file is a copy of another: both have half of the telling lines of the shorter one.
pub(super) fn is_copy(git: &Objects, one: Oid, other: Oid) -> bool {
    let (Some(one), Some(other)) = (git.file(one), git.file(other)) else { return false };
    let (one, other) = (lines(&one), lines(&other));
    let both = one.intersection(other).count();
    both > 0 && both * 2 >= one.len().min(other.len())
}

pub(super) fn tree(git: &Objects, commit: Oid) -> Option<Oid> {
    Some(git.commit(commit)?.tree)
}

/// A file in a commit's tree. None if it is missing, or too large to compare.
pub(super) fn file_at(git: &Objects, commit: Oid, path: &str) -> Option<Rc<FileText>> {
    text(git, tree(git, commit)?, path)
}

fn text(git: &Objects, tree: Oid, file: &str) -> Option<Rc<FileText>> {
    git.file(git.entry(tree, file).id()?).filter(|file| file.text.len() <= LARGEST)
}

/// The text of a file in a tree; empty if the tree has no such file. None if the repository lacks it, or it is too
/// large.
pub(super) fn text_at(git: &Objects, tree: Oid, file: &str) -> Option<Vec<u8>> {
    match git.entry(tree, file) {
        TreeEntry::Nothing => Some(Vec::new()),
        TreeEntry::Lacking => None,
        _ => text(git, tree, file).map(|file| file.text.clone()),
    }
}

/// The number of letters and digits in a line.
pub(super) fn letters(line: &[u8]) -> usize {
    line.iter().filter(|b| b.is_ascii_alphanumeric()).count()
}

fn lines(file: &FileText) -> &HashSet<Vec<u8>> {
    file.lines(|text| {
        let telling = |line: &&[u8]| letters(line) >= TELLING;
        text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(telling).map(<[u8]>::to_vec).collect()
    })
}
