//! Finds the commit that removed the lines of a step that the history has and the files lack.
//!
//! A later rewrite of the lines is harmless. A merge that took the other side's file (`git merge -s ours`) is
//! suspicious, and so is a commit that only removes lines. A binary search along a line of descent finds the commit,
//! without reading each one.

use std::collections::HashSet;

use git2::Oid;

use super::GitError;
use super::content::lines_at;
use super::graph::{Bits, Graph};
use super::history::History;
use super::objects::Objects;

/// The most nested merges to follow into the side that lost the lines.
const MOST_MERGES: usize = 64;

/// The names of a file from a step to a revision: its own, and those to which it was renamed.
type Names<'a> = Vec<&'a str>;

/// The lines that a step adds to each of its files.
struct Added<'a>(&'a [Names<'a>], Vec<HashSet<Vec<u8>>>);

impl Added<'_> {
    fn any_at(&self, history: &History, commit: u32) -> Result<bool, GitError> {
        let (git, oid) = (history.repository.git(), history.sha(commit)?);
        Ok(self.0.iter().zip(&self.1).any(|(names, added)| !lines_of(git, oid, names).is_disjoint(added)))
    }
}

/// The lines of a file in a commit, under any of its names.
fn lines_of(git: &Objects, commit: Oid, names: &Names) -> HashSet<Vec<u8>> {
    names.iter().flat_map(|name| lines_at(git, commit, name)).collect()
}

/// The commit that removed the lines of `step`, and whether that is suspicious: a merge, which should have kept them, or
/// a commit that adds nothing in their place. Otherwise they were rewritten.
pub(super) fn taken_out_by(
    history: &History,
    step: u32,
    oid: Oid,
    files: &[Names],
) -> Result<Option<(Oid, bool)>, GitError> {
    let git = history.repository.git();
    let Some(before) = history.graph.parents(step).first() else { return Ok(None) };
    let before = history.sha(*before)?;
    let added = |names| lines_of(git, oid, names).difference(&lines_of(git, before, names)).cloned().collect();
    let added = Added(files, files.iter().map(added).collect());
    let after = history.graph.descendants(step);
    let Some(mut at) = history.store.number(history.commit)? else { return Ok(None) };
    for _ in 0..MOST_MERGES {
        let descent = descent(history.graph, &after, at, step);
        // The first has none of the lines. The last, which is the step, has them.
        let (mut without, mut with) = (0, descent.len() - 1);
        while with - without > 1 {
            let middle = without + (with - without) / 2;
            if added.any_at(history, descent[middle])? {
                with = middle;
            } else {
                without = middle;
            }
        }
        at = descent[without];
        let parents = history.graph.parents(at);
        if parents.len() < 2 {
            return Ok(Some((history.sha(at)?, writes_nothing(history, at, files)?)));
        }
        let mut lost = None;
        for parent in parents.iter().filter(|parent| after.has(**parent)) {
            if !added.any_at(history, *parent)? {
                lost = Some(*parent);
                break;
            }
        }
        match lost {
            // This parent had already lost it.
            Some(parent) => at = parent,
            None => break,
        }
    }
    Ok(Some((history.sha(at)?, true)))
}

/// A line of descent from a commit to the step in its history. Each commit is a parent of the one before.
fn descent(graph: &Graph, after: &Bits, from: u32, step: u32) -> Vec<u32> {
    let mut line = vec![from];
    let mut at = from;
    while at != step {
        // Each descendant of the step has a parent that is the step or another descendant.
        let Some(parent) = graph.parents(at).iter().find(|parent| after.has(**parent)) else { break };
        at = *parent;
        line.push(at);
    }
    line
}

/// Whether a commit adds no line to any of these files.
fn writes_nothing(history: &History, commit: u32, files: &[Names]) -> Result<bool, GitError> {
    let Some(before) = history.graph.parents(commit).first() else { return Ok(false) };
    let (git, before, after) = (history.repository.git(), history.sha(*before)?, history.sha(commit)?);
    Ok(files.iter().all(|names| lines_of(git, after, names).is_subset(&lines_of(git, before, names))))
}
