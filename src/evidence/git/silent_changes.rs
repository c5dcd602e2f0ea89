//! Finds steps that a commit put in, undid or turned off without saying so, by the lines that follow each other in the
//! functions of their files. The last kernel.org release is trusted, because kernel.org's code evolves.

use std::collections::HashSet;
use std::rc::Rc;

use git2::Oid;

use super::GitError;
use super::answer::{GitAnswer, StepSearch};
use super::content::{TELLING, file_at, letters};
use super::history::short;
use super::line_changes::StepLines;
use super::line_pairs::{LineInFunction, LinePair};
use super::objects::{FileText, Objects};
use super::pair_change::PairChange;
use super::partial_fixes::{last_release, say};
use super::traces::StepPlaces;
use crate::words::Role;

impl GitAnswer<'_> {
    /// Why a step that this commit of the history brought may be undone.
    pub(super) fn silently_undone(&self, one: &StepSearch, number: u32) -> Result<Option<String>, GitError> {
        let (history, git, places, role) =
            (self.history, self.history.repository.git(), self.places(one)?, one.step.role);
        let carrier = history.sha(number)?;
        let release = last_release(history, number)?.unwrap_or(carrier);
        for (file, path) in &places.files {
            let own = places.path_at(git, carrier, file);
            let Some(here) = file_at(git, history.commit, path) else { continue };
            let Some(trusted) = file_at(git, release, places.path_at(git, release, file)) else { continue };
            let Some([before, after]) = sides(git, carrier, own).filter(|_| here.text != trusted.text) else {
                continue;
            };
            let change = PairChange::of(before.pairs(), after.pairs());
            let (now, then) = (here.pairs(), trusted.pairs());
            let says = |what: String| {
                Ok(Some(format!(
                    "the {role} is in the history as {}, but {path} {what}: a commit may have undone it without saying so",
                    short(carrier)
                )))
            };
            // A line that the step adds may have moved.
            let is_back = |pair: &LinePair| {
                now.count(*pair) > change.new.count(*pair).max(then.count(*pair))
                    && change.added_within(*pair).all(|line| now.has_fewer(line, then))
            };
            let back = change.taken.iter().filter(|(pair, _)| is_back(pair)).map(|(pair, _)| now.get(*pair).first);
            if let Some([first, second]) = back.min() {
                let [first, second] = [first, second].map(|at| say_line(&here, at));
                return says(format!("has {second} right after {first}, as before it"));
            }
            let off = change.brought.iter().filter_map(|(pair, _)| {
                let found = now.never(*pair);
                (found.count > change.new.never(*pair).count.max(then.never(*pair).count)).then_some(found.first[0])
            });
            if let Some(at) = off.min() {
                return says(format!("has {} in a function that it changes", say_line(&here, at)));
            }
            // Lines that tell something by themselves are compared one by one elsewhere.
            let lines = lines_of(&after);
            let is_told = |at: usize| role >= Role::Fix && letters(lines.get(at).unwrap_or(&&b""[..])) < TELLING;
            let is_repeated = |line| change.old.count_of(line) > 0;
            let added = change.added().filter(|(line, found)| is_repeated(*line) || is_told(found.first[0]));
            let added = added.map(|(line, found)| (line, found.first[0]));
            let moved = change.brought.iter().filter(|(pair, _)| change.reorders(*pair));
            let moved = moved.flat_map(|(pair, found)| pair.lines().into_iter().zip(found.first));
            // The same line elsewhere in the function has other neighbours.
            let apart: HashSet<LineInFunction> = change
                .brought
                .iter()
                .filter(|(pair, _)| now.count(*pair) < then.count(*pair))
                .flat_map(|(pair, _)| pair.lines())
                .collect();
            let is_lost = |line: &LineInFunction| apart.contains(line) && now.has_fewer(*line, then);
            let lost = added.chain(moved).filter(|(line, _)| is_lost(line)).map(|(_, at)| at);
            if let Some(at) = lost.min() {
                return says(format!("lacks its line {}", say_line(&after, at)));
            }
        }
        Ok(None)
    }

    /// Why a step that the history lacks may be in the files. The steps of the commits in `explaining` are in the history.
    pub(super) fn silently_applied(
        &self,
        one: &StepSearch,
        places: &StepPlaces,
        explaining: &[Oid],
        release: Option<Oid>,
    ) -> Option<String> {
        let (history, git) = (self.history, self.history.repository.git());
        for (file, path) in &places.files {
            let Some(here) = file_at(git, history.commit, path) else { continue };
            let known: Vec<Rc<FileText>> = explaining
                .iter()
                .chain(&release)
                .filter_map(|commit| file_at(git, *commit, places.path_at(git, *commit, file)))
                .collect();
            if known.iter().any(|known| known.text == here.text) {
                continue;
            }
            // A step that only moves lines has no patch.
            let patches = one.carriers.patches.iter().map(StepLines::commit);
            let model =
                one.carriers.model.filter(|model| !one.carriers.patches.iter().any(|patch| patch.is_of(*model)));
            let trusted = release.and_then(|at| file_at(git, at, places.path_at(git, at, file)));
            for step in patches.chain(model) {
                let Some([before, after]) = sides(git, step, file) else { continue };
                let (change, now) = (PairChange::of(before.pairs(), after.pairs()), here.pairs());
                let is_new = |pair| {
                    let known = known.iter().map(|known| known.pairs().count(pair)).max().unwrap_or_default();
                    now.count(pair) > known.max(change.old.count(pair))
                };
                let only_removes = change.added().next().is_none();
                if let Some(trusted) = trusted.as_ref().filter(|_| only_removes) {
                    let gone = change.removed().filter(|(line, _)| now.has_fewer(*line, trusted.pairs()));
                    if let Some(at) = gone.map(|(_, found)| found.first[0]).min() {
                        return Some(format!(
                            "the {} is not in the history, but {path} lacks {}, which it removes: a commit may have \
                             removed it without saying so",
                            one.step.role,
                            say_line(&before, at)
                        ));
                    }
                }
                let found = change.brought.iter().filter(|(pair, _)| is_new(*pair)).map(|(_, found)| found.first);
                if let Some([first, second]) = found.min() {
                    let [first, second] = [first, second].map(|at| say_line(&after, at));
                    return Some(format!(
                        "the {} is not in the history, but {path} has {second} right after {first}, as {} has it: a \
                         commit may have brought it without saying so",
                        one.step.role,
                        short(step)
                    ));
                }
            }
        }
        None
    }
}

/// A file before and after a commit; empty before the commit that creates it.
fn sides(git: &Objects, commit: Oid, file: &str) -> Option<[Rc<FileText>; 2]> {
    let after = file_at(git, commit, file)?;
    let parent = *git.commit(commit)?.parents.first()?;
    Some([file_at(git, parent, file).unwrap_or_default(), after])
}

fn lines_of(file: &FileText) -> Vec<&[u8]> {
    file.text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).collect()
}

fn say_line(file: &FileText, number: usize) -> String {
    format!("\u{201c}{}\u{201d}", say(lines_of(file).get(number).copied().unwrap_or_default()))
}
