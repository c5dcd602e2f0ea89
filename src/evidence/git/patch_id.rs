//! Computes the patch-id of a commit, which is equal for commits with the same change.

use git2::{DiffOptions, Oid};

use super::content::{LARGEST, tree};
use super::objects::Objects;
use crate::repository::is_readable;

/// The patch-id of a commit against its first parent, as in `git patch-id`. None if the repository lacks files.
pub(super) fn patch_id(git: &Objects, commit: Oid) -> Option<Oid> {
    let find = |tree: Oid| git.raw().find_tree(git.overlay().actual(tree)).ok();
    let (before, after) = (find(git.first_parent(commit)?.tree)?, find(tree(git, commit)?)?);
    let mut options = DiffOptions::new();
    options.max_size(LARGEST as i64);
    let diff = git.raw().diff_tree_to_tree(Some(&before), Some(&after), Some(&mut options)).ok()?;
    // Vendors' squashed updates share subjects too, but are not comparable.
    if diff.deltas().len() == 0 || diff.deltas().len() > 500 {
        return None;
    }
    // libgit2 does not read replacements of objects.
    let readable = |id: Oid| id.is_zero() || git.overlay().actual(id) == id && is_readable(git.raw(), id);
    if !diff.deltas().all(|delta| readable(delta.old_file().id()) && readable(delta.new_file().id())) {
        return None;
    }
    diff.patchid(None).ok()
}
