//! Finds steps whose lines are in the files but may not be compiled: inside `#if 0`, a condition that the step's own
//! result doesn't have, or a comment.

use std::collections::{BTreeSet, HashSet};

use git2::Oid;

use super::conditions::{COMMENT, Conditions, NEVER, PlacedLine, placed_lines, say};
use super::content::{TELLING, is_comment, letters, text_at, tree};
use super::line_changes::StepLines;
use super::line_words::LineWords;
use super::objects::Objects;
use super::traces::StepPlaces;

/// How far around a line to look for its neighbours, in lines.
const NEAR: usize = 60;

/// A step, and where to look for it.
pub(super) struct Placed<'a> {
    /// The commit that carries it in this history.
    pub carrier: Oid,
    /// Whether the carrier may differ from upstream, because only its message says what it is.
    pub is_claim: bool,
    /// A commit that surely is the step.
    pub model: Option<Oid>,
    /// The last kernel.org release with the carrier.
    pub release: Option<Oid>,
    /// The known forms of the step.
    pub patches: &'a [StepLines],
    /// A file of the step.
    pub file: &'a str,
    /// Where it is.
    pub places: &'a StepPlaces,
}

/// A line of the step that may not be compiled, or one that should be gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Disabled {
    /// A line that the step adds, and what encloses it.
    Within(Vec<u8>, String),
    /// A line that the step removes, and what encloses it, if anything.
    Kept(Vec<u8>, Option<String>),
}

/// Compares the place of a step's lines in the revision `at` with their place in the step's own result.
pub(super) fn disabled(git: &Objects, at: Oid, step: &Placed) -> Option<Disabled> {
    let text = |commit: Oid, path: &str| tree(git, commit).and_then(|tree| text_at(git, tree, path));
    let path = |commit: Oid| step.places.path_at(git, commit, step.file);
    let here = text(at, step.places.path(step.file))?;
    let here = placed_lines(&here);
    // The search has compared most of them already.
    let lines_of = |commit: Oid| -> Option<Vec<(Vec<u8>, bool)>> {
        let path = path(commit);
        let owned = |lines: &StepLines| {
            let added = lines.added_to(path).map(|line| (line.to_vec(), true));
            added.chain(lines.removed_from(path).map(|line| (line.to_vec(), false))).collect()
        };
        match step.patches.iter().find(|patch| patch.is_of(commit)).filter(|_| path == step.file) {
            Some(lines) => Some(owned(lines)),
            None => StepLines::of(git, commit, &[path.to_owned()]).as_ref().map(owned),
        }
    };
    let own = lines_of(step.carrier);
    let model = step.model.filter(|model| *model != step.carrier).and_then(|model| Some((model, lines_of(model)?)));
    let split = |lines: &[(Vec<u8>, bool)], adds: bool| -> HashSet<Vec<u8>> {
        lines.iter().filter(|(_, added)| *added == adds).map(|(line, _)| line.clone()).collect()
    };
    let added = own.as_ref().map(|own| split(own, true)).unwrap_or_default();
    let (upstream, removed) = match (&model, &own) {
        (Some((_, lines)), _) => (split(lines, true), split(lines, false)),
        (None, Some(own)) => (HashSet::new(), split(own, false)),
        (None, None) => return None,
    };
    let is_of = |line: &[u8]| added.contains(line) || upstream.contains(line);
    // Most files have all their lines in the open, so nothing else has to be read.
    let is_plain = |placed: &PlacedLine| placed.within.is_empty();
    let is_kept = |placed: &PlacedLine| removed.contains(placed.line);
    if here.iter().filter(|placed| is_of(placed.line)).all(is_plain) && !here.iter().any(is_kept) {
        return None;
    }
    let (after, before, release) = (
        text(step.carrier, path(step.carrier)).unwrap_or_default(),
        git.first_parent(step.carrier)
            .and_then(|parent| text_at(git, parent.tree, path(step.carrier)))
            .unwrap_or_default(),
        step.release.and_then(|release| text(release, path(release))).unwrap_or_default(),
    );
    let result = model.as_ref().and_then(|(model, _)| text(*model, path(*model))).unwrap_or_default();
    let [after, before, release, result] = [&after, &before, &release, &result].map(|text| placed_lines(text));

    // The conditions under which the step's lines belong.
    let mut known = Conditions::new();
    let mut learn = |lines: &[PlacedLine], of: &HashSet<Vec<u8>>| {
        for placed in lines.iter().filter(|placed| of.contains(placed.line)) {
            known.extend(placed.within.iter().cloned());
        }
    };
    learn(&result, &upstream);
    learn(&release, &upstream);
    learn(&release, &added);
    if model.is_none() || !step.is_claim {
        learn(&after, &added);
    }
    let has_old = before.iter().any(|placed| letters(placed.line) >= TELLING && removed.contains(placed.line));
    if has_old {
        learn(&before, &removed);
    } else if model.is_some() {
        known.extend(around(&result, &upstream, &before));
    }
    known.retain(|condition| condition != COMMENT && condition != NEVER);

    let words: BTreeSet<LineWords> = upstream.iter().filter_map(|line| LineWords::of(line)).collect();
    let is_code =
        |lines: &[PlacedLine], line: &[u8]| lines.iter().any(|placed| placed.line == line && !is_off(&placed.within));
    let count = |lines: &[PlacedLine], line: &[u8]| {
        lines.iter().filter(|placed| placed.line == line && !is_off(&placed.within)).count()
    };
    let mut wanted: Vec<&Vec<u8>> = added.union(&upstream).filter(|line| is_code_line(line)).collect();
    wanted.sort();
    for line in wanted {
        let is_commented = |placed: &PlacedLine| placed.line == line.as_slice() && placed.within.contains(COMMENT);
        // The text of a comment is no code that was turned off, unless it reads like upstream's code.
        let is_text = after.iter().any(is_commented) && !LineWords::of(line).is_some_and(|line| words.contains(&line));
        // The step's own commit may add lines that are off from the start.
        let is_off_there = match upstream.contains(line) {
            true => !is_code(&result, line),
            false => !step.is_claim && !is_code(&after, line),
        };
        if is_text || is_off_there {
            continue;
        }
        let there: Vec<&PlacedLine> = here.iter().filter(|placed| placed.line == line.as_slice()).collect();
        let strange = |placed: &&&PlacedLine| !placed.within.is_subset(&known);
        let needed = count(&after, line).max(1);
        if let Some(first) = there.iter().find(strange)
            && there.len() - there.iter().filter(strange).count() < needed
        {
            let by = first.within.difference(&known).next().map(|condition| say(condition)).unwrap_or_default();
            return Some(Disabled::Within(line.clone(), by));
        }
    }
    let mut old: Vec<&Vec<u8>> = removed.iter().filter(|line| letters(line) >= TELLING && is_code_line(line)).collect();
    old.sort();
    // The step's own commit may keep some of these lines elsewhere.
    let is_left = |line: &Vec<u8>| !step.is_claim && count(&here, line) <= count(&after, line);
    for line in old.into_iter().filter(|line| count(&release, line) == 0 && !is_left(line)) {
        let mut kept = here.iter().filter(|placed| placed.line == line.as_slice() && !is_off(&placed.within));
        // Upstream may keep some of them elsewhere, too.
        let is_upstream = model.is_some() && count(&here, line) <= count(&result, line);
        if let Some(placed) = kept.clone().find(|placed| !placed.within.is_empty() && !is_upstream) {
            return Some(Disabled::Kept(line.clone(), placed.within.iter().next().map(|condition| say(condition))));
        }
        // An old kernel may have the line elsewhere, too, but the backport removes one of them.
        let was = count(&before, line);
        if step.is_claim && was > 0 && count(&after, line) >= was && kept.next().is_some() {
            return Some(Disabled::Kept(line.clone(), None));
        }
    }
    None
}

/// Whether a line is code, and no comment or condition.
fn is_code_line(line: &[u8]) -> bool {
    !is_comment(line) && ![&b"#if"[..], b"#el", b"#endif"].iter().any(|directive| line.starts_with(directive))
}

fn is_off(within: &Conditions) -> bool {
    within.contains(COMMENT) || within.contains(NEVER)
}

/// The conditions in an older tree around the place where upstream adds lines: those of the nearest lines above and
/// below that both trees have.
fn around(result: &[PlacedLine], added: &HashSet<Vec<u8>>, before: &[PlacedLine]) -> Conditions {
    let mut found = Conditions::new();
    let here = |placed: &PlacedLine| -> Option<Conditions> {
        let is_usable = letters(placed.line) >= TELLING && !added.contains(placed.line) && !is_off(&placed.within);
        let mut same = before.iter().filter(|old| is_usable && old.line == placed.line);
        let first = (*same.next()?.within).clone();
        Some(same.fold(first, |all, old| all.intersection(&old.within).cloned().collect()))
    };
    for (at, _) in result.iter().enumerate().filter(|(_, placed)| added.contains(placed.line)) {
        let above = result[..at].iter().rev().take(NEAR).find_map(here);
        let below = result[at + 1..].iter().take(NEAR).find_map(here);
        if let (Some(above), Some(below)) = (above, below) {
            found.extend(above.intersection(&below).cloned());
        }
    }
    found
}
