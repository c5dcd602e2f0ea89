//! Finds copies of a step's files at other paths.
//!
//! A vendor may move a file and leave a copy at the old path. Only one of the two is built, and git doesn't say which.

use git2::Oid;

use super::content::{is_copy, touches};
use super::objects::{Objects, TreeEntry};
use crate::evidence::source::patches::KERNEL;

/// The most copies of one file to look at.
const MOST: usize = 16;

/// The paths of a file's copies in a commit's tree: under another name in its folder, or under its own name in a nearby
/// folder or outside the kernel's own folders. Copies that the commit `upstream` has too are not a vendor's. The commit
/// `model` shows the file's original content, because a vendor may leave a stub of it.
pub(super) fn copies(git: &Objects, commit: Oid, file: &str, upstream: Option<Oid>, model: Option<Oid>) -> Vec<String> {
    let id = |tree: Oid| match git.entry(tree, file) {
        TreeEntry::File(id) => Some(id),
        _ => None,
    };
    let Some(tree) = git.commit(commit).map(|commit| commit.tree) else { return Vec::new() };
    let Some(own) = id(tree) else { return Vec::new() };
    let model = model.and_then(|model| id(git.commit(model)?.tree));
    copies_of(git, tree, file, upstream, &[Some(own), model].into_iter().flatten().collect::<Vec<_>>())
}

/// The paths in a tree of files that are like one of `likes`, near `file`.
pub(super) fn copies_of(git: &Objects, tree: Oid, file: &str, upstream: Option<Oid>, likes: &[Oid]) -> Vec<String> {
    let known = upstream.and_then(|commit| git.commit(commit)).map(|commit| commit.tree);
    let (folder, base) = file.rsplit_once('/').unwrap_or(("", file));
    let (stem, end) = base.rsplit_once('.').unwrap_or((base, ""));
    let mut places: Vec<String> = Vec::new();
    let names = |folder: &str| git.names(tree, folder).unwrap_or_default();
    let join = |folder: &str, name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
    for (name, is) in names(folder) {
        let is_like = || name.contains(stem) && name.rsplit_once('.').map_or("", |(_, own)| own) == end;
        match is {
            TreeEntry::File(_) if name != base && is_like() => places.push(join(folder, &name)),
            TreeEntry::Folder(_) => places.push(format!("{folder}/{name}/{base}")),
            _ => {}
        }
    }
    let mut above = folder;
    while let Some((parent, _)) = above.rsplit_once('/') {
        places.push(format!("{parent}/{base}"));
        for (name, is) in names(parent) {
            if matches!(is, TreeEntry::Folder(_)) {
                places.push(format!("{parent}/{name}/{base}"));
            }
        }
        above = parent;
    }
    places.push(base.to_owned());
    let last = folder.rsplit('/').next().unwrap_or_default();
    for (name, is) in names("") {
        if matches!(is, TreeEntry::Folder(_)) && !KERNEL.contains(&name.as_str()) {
            places.extend([format!("{name}/{file}"), format!("{name}/{last}/{base}"), format!("{name}/{base}")]);
        }
    }
    places.sort();
    places.dedup();
    let is_upstream = |path: &str| known.is_some_and(|known| git.entry(known, path).id().is_some());
    let is_other = |path: &String| match git.entry(tree, path) {
        TreeEntry::File(other) if !is_upstream(path) => {
            path != file && likes.iter().any(|like| other == *like || is_copy(git, *like, other))
        }
        _ => false,
    };
    places.into_iter().filter(is_other).take(MOST).collect()
}

/// Whether a commit changes a copy of one of these files.
pub(super) fn changes_a_copy(git: &Objects, commit: Oid, files: &[String]) -> bool {
    files.iter().any(|file| touches(git, commit, &copies(git, commit, file, None, None)) == Some(true))
}
