//! Finds claims that their own commits contradict: they say that they carry a step, and have none of its lines.

use std::collections::{BTreeSet, HashMap};

use git2::Oid;

use super::conditions::code;
use super::content::{changes_code, text_at, tree};
use super::line_changes::{LineEffect, StepLines, changed_files, line_effect};
use super::line_words::{CodeWords, LineWords};
use super::objects::Objects;
use super::quilt::QuiltPatch;

/// The identifiers of a step's lines: those that it adds, and those that it removes.
fn step_words(known: &[StepLines]) -> [BTreeSet<LineWords>; 2] {
    [true, false].map(|adds| {
        let lines = known.iter().flat_map(StepLines::lines).filter(|(_, added)| *added == adds);
        lines.filter_map(|(line, _)| LineWords::of(line)).collect()
    })
}

/// Whether a commit has none of a step's lines, in any spelling and any file. `known` are patches that surely are the
/// step; without them nothing contradicts.
pub(super) fn contradicts(git: &Objects, known: &[StepLines], oid: Oid, files: &[String]) -> bool {
    let what = line_effect(git, known, oid);
    if known.is_empty() || known.iter().any(|patch| patch.is_of(oid)) || what.takes() || what == LineEffect::Unseen {
        return false;
    }
    if StepLines::of(git, oid, files).is_some_and(|own| known.iter().any(|patch| is_same(patch, &own))) {
        return false;
    }
    let others = changed_files(git, oid).unwrap_or_default();
    let changed = files.iter().chain(others.iter().filter(|other| !files.contains(other)));
    // Another spelling of short lines can't be told, so any code may be the step.
    let is_short = step_words(known).iter().all(BTreeSet::is_empty);
    for file in changed {
        let shown = if is_short { changes_code(git, oid, file).or(Some(false)) } else { shows(git, known, oid, file) };
        if shown != Some(false) {
            return false;
        }
    }
    true
}

/// Whether two patches change the same lines, even if they are too short or too usual to tell anything.
fn is_same(one: &StepLines, other: &StepLines) -> bool {
    let sorted = |lines: &StepLines| {
        let mut lines: Vec<(Vec<u8>, bool)> = lines.lines().map(|(line, added)| (line.to_vec(), added)).collect();
        lines.sort();
        lines
    };
    let lines = sorted(one);
    !lines.is_empty() && lines == sorted(other)
}

/// Whether a commit adds lines of a step to a file, or removes those that it removes, in any spelling. None if the
/// repository lacks the file.
pub(super) fn shows(git: &Objects, known: &[StepLines], oid: Oid, file: &str) -> Option<bool> {
    let before = text_at(git, git.first_parent(oid)?.tree, file)?;
    let after = text_at(git, tree(git, oid)?, file)?;
    // Lines in comments are no lines of the step.
    let [before, after] = [code(&before), code(&after)];
    let [was, is] = [&before, &after].map(|text| line_counts(text));
    let count = |counts: &HashMap<&[u8], usize>, line: &[u8]| counts.get(line).copied().unwrap_or(0);
    let moves = |(line, added): (&[u8], bool)| match added {
        true => count(&is, line) > count(&was, line),
        false => count(&is, line) < count(&was, line),
    };
    if known.iter().flat_map(StepLines::lines).any(moves) {
        return Some(true);
    }
    let [added, removed] = step_words(known);
    let [before, after] = [&before, &after].map(|text| CodeWords::of(text));
    let comes = |line: &LineWords| after.have(*line) && !before.have(*line);
    let goes = |line: &LineWords| before.have(*line) && !after.have(*line);
    Some(added.iter().any(comes) || removed.iter().any(goes))
}

fn line_counts(text: &[u8]) -> HashMap<&[u8], usize> {
    let mut counts = HashMap::new();
    for line in text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii) {
        *counts.entry(line).or_default() += 1;
    }
    counts
}

/// Whether a patch file has none of a step's lines.
pub(super) fn patch_contradicts(known: &[StepLines], patch: &QuiltPatch) -> bool {
    let [added, removed] = step_words(known);
    let Some(lines) = patch.all_lines() else { return false };
    if !known.is_empty() && patch.is_comment {
        return true;
    }
    if known.is_empty() || lines.is_empty() || added.is_empty() && removed.is_empty() {
        return false;
    }
    let takes = lines.iter().filter(|(_, added)| !added);
    let takes: Vec<u8> = takes.flat_map(|(line, _)| [line.as_slice(), b"\n"].concat()).collect();
    let [puts, takes] = [patch.added(), takes].map(|text| CodeWords::of(&text));
    !added.iter().any(|line| puts.have(*line)) && !removed.iter().any(|line| takes.have(*line))
}

/// How many of the lines that a step adds a commit's files have, and how many there are.
pub(super) fn share(git: &Objects, model: Oid, oid: Oid, files: &[(String, String)]) -> (usize, usize) {
    let (mut there, mut all) = (0, 0);
    for (file, path) in files {
        let Some(lines) = StepLines::of(git, model, std::slice::from_ref(file)) else { continue };
        let text = |path: &str| tree(git, oid).and_then(|tree| text_at(git, tree, path)).unwrap_or_default();
        let own = text(file);
        let words = CodeWords::of(if own.is_empty() { text(path) } else { own }.as_slice());
        let lines = lines.lines().filter(|(_, added)| *added).filter_map(|(line, _)| LineWords::of(line));
        for line in lines {
            (there, all) = (there + usize::from(words.have(line)), all + 1);
        }
    }
    (there, all)
}
