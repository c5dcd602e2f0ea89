//! Finds where the files of a step are in a revision, if they are not at their own paths.
//!
//! A binary search along a line of descent finds the commit that removed a file, and the blobs that it added say where
//! the file went. Only folders that differ are read.

use std::collections::BTreeMap;

use git2::Oid;

use super::GitError;
use super::content::{is_copy, tree};
use super::copies::copies_of;
use super::history::{History, short};
use super::objects::{Objects, TreeEntry};

/// The most renames of one file to follow.
const MOST_RENAMES: usize = 4;
/// The most nested merges to follow to the commit that removed a file.
const MOST_MERGES: usize = 64;
/// The most differing folders to read for one rename. A merge of a whole release has more.
const MOST_FOLDERS: usize = 1_500;
/// The most files to compare with a removed one.
const MOST_COMPARED: usize = 400;
/// The longest first-parent line to search, in commits.
const LONGEST_LINE: usize = 1 << 20;

/// The place of a file in a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FilePlace {
    /// At its own path, or the repository lacks the folder.
    Own,
    /// At another path, and the names that it had in between.
    Moved(String, Vec<String>),
    /// At one of several paths.
    Several(Vec<String>),
    /// Unknown, with the reason.
    Lost(String),
    /// Neither the revision nor the kernel.org release that it started from has it, or the step removes it.
    Never,
}

/// Finds the place of `file`. `release` is a kernel.org release whose files are trusted, and `models` are commits with
/// the step, which show what the file looks like.
pub(super) fn place(
    history: &History,
    file: &str,
    release: Option<Oid>,
    models: &[Oid],
) -> Result<FilePlace, GitError> {
    let git = history.repository.git();
    let Some(here) = tree(git, history.commit) else { return Ok(FilePlace::Own) };
    if git.entry(here, file) != TreeEntry::Nothing {
        return Ok(FilePlace::Own);
    }
    // The step itself removes it.
    let lacks = |model: &Oid| tree(git, *model).is_some_and(|tree| git.entry(tree, file) == TreeEntry::Nothing);
    if !models.is_empty() && models.iter().all(lacks) {
        return Ok(FilePlace::Never);
    }
    let mut names = vec![file.to_owned()];
    let mut removed = None;
    let mut since = None;
    while names.len() <= MOST_RENAMES
        && let Some(path) = names.last()
        && let Some([before, after]) = removal(history, path, since)?
    {
        removed = removed.or(Some((before, after)));
        match renamed_to(git, before, after, path) {
            Some(to) if git.entry(here, &to).id().is_some() => return Ok(FilePlace::Moved(to, names.split_off(1))),
            Some(to) => names.push(to),
            None => break,
        }
        since = history.store.number(after)?;
    }
    // No rename shows it, so its look does.
    let blob = |commit: Oid| tree(git, commit).map(|tree| git.entry(tree, file));
    let parents = models.iter().filter_map(|model| Some(*git.commit(*model)?.parents.first()?));
    let looks = removed.map(|(before, _)| before).into_iter().chain(models.iter().copied()).chain(parents);
    let mut likes: Vec<Oid> = Vec::new();
    for look in looks {
        if let Some(TreeEntry::File(id)) = blob(look)
            && !likes.contains(&id)
        {
            likes.push(id);
        }
    }
    let copies = copies_of(git, here, file, None, &likes);
    if let [copy] = copies.as_slice() {
        return Ok(FilePlace::Moved(copy.clone(), names.split_off(1)));
    }
    if copies.len() > 1 {
        return Ok(FilePlace::Several(copies));
    }
    let is_released = release.and_then(blob).map(|entry| entry != TreeEntry::Nothing);
    Ok(match (removed, is_released) {
        (_, Some(false)) | (None, None) => FilePlace::Never,
        (Some((_, by)), _) => FilePlace::Lost(format!(
            "{file} is not there since {}, and no file like it was found: see where its code went",
            history.call(by)
        )),
        (None, Some(true)) => FilePlace::Lost(format!(
            "{file} is not there, although {} has it, and no file like it was found: see where its code went",
            release.map(short).unwrap_or_default()
        )),
    })
}

/// The commit that removed a file, after one that has it. `since` is a commit that has it, if one is known. None if no
/// commit of the first-parent line has it.
fn removal(history: &History, file: &str, since: Option<u32>) -> Result<Option<[Oid; 2]>, GitError> {
    let git = history.repository.git();
    let has = |number: u32| -> Result<bool, GitError> {
        let tree = tree(git, history.sha(number)?);
        Ok(tree.is_some_and(|tree| matches!(git.entry(tree, file), TreeEntry::File(_))))
    };
    let Some(mut tip) = history.store.number(history.commit)? else { return Ok(None) };
    let mut found = None;
    for _ in 0..MOST_MERGES {
        let mut line = vec![tip];
        while line.len() < LONGEST_LINE
            && let Some(parent) = line.last().and_then(|last| history.graph.parents(*last).first())
        {
            line.push(*parent);
        }
        // Each look goes twice as far back, because most files are older than their removal. One that was there only
        // briefly would be missed.
        let mut with = line.iter().position(|number| Some(*number) == since);
        let mut without = 0;
        let mut at = 1;
        while with.is_none() && at < line.len() {
            if has(line[at])? {
                with = Some(at);
                break;
            }
            without = at;
            at = if at + 1 < line.len() { (at * 2).min(line.len() - 1) } else { line.len() };
        }
        let Some(mut with) = with else { break };
        while with - without > 1 {
            let middle = without + (with - without) / 2;
            if has(line[middle])? {
                with = middle;
            } else {
                without = middle;
            }
        }
        let mut beside = None;
        for parent in history.graph.parents(line[without]).iter().skip(1) {
            if !has(*parent)? {
                beside = Some(*parent);
                break;
            }
        }
        found = Some([history.sha(line[with])?, history.sha(line[without])?]);
        // The merged side may have removed it.
        let Some(parent) = beside else { break };
        tip = parent;
    }
    Ok(found)
}

/// The path to which a commit moved a file: that of a new file with the same or a similar text.
fn renamed_to(git: &Objects, before: Oid, after: Oid, file: &str) -> Option<String> {
    let trees = [tree(git, before)?, tree(git, after)?];
    let TreeEntry::File(id) = git.entry(trees[0], file) else { return None };
    let mut new = Vec::new();
    let mut folders = vec![(String::new(), trees.map(TreeEntry::Folder))];
    let mut read = 0;
    while let Some((path, [before, after])) = folders.pop() {
        read += 1;
        if read > MOST_FOLDERS {
            break;
        }
        let names = |entry: TreeEntry| -> Option<Vec<(String, TreeEntry)>> {
            if let TreeEntry::Folder(id) = entry { git.names(id, "") } else { Some(Vec::new()) }
        };
        let old: BTreeMap<String, TreeEntry> = names(before)?.into_iter().collect();
        for (name, after) in names(after)? {
            let before = old.get(&name).copied().unwrap_or(TreeEntry::Nothing);
            let path = if path.is_empty() { name } else { format!("{path}/{name}") };
            match after {
                TreeEntry::Folder(_) if before != after => folders.push((path, [before, after])),
                TreeEntry::File(other) if before == TreeEntry::Nothing => new.push((path, other)),
                _ => {}
            }
        }
    }
    let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let end = |path: &str| base(path).rsplit_once('.').map(|(_, end)| end.to_owned());
    new.sort_by_key(|(path, other)| (*other != id, base(path) != base(file), path.clone()));
    let mut likely = new.into_iter().filter(|(path, _)| end(path) == end(file)).take(MOST_COMPARED);
    likely.find(|(_, other)| *other == id || is_copy(git, id, *other)).map(|(path, _)| path)
}
