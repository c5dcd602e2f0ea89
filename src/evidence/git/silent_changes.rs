//! Finds steps that a commit put in, undid or turned off without saying so, by the lines that follow each other in the
//! functions of their files. The last kernel.org release is trusted, because kernel.org's code evolves.

use std::rc::Rc;

use git2::Oid;

use super::GitError;
use super::answer::{GitAnswer, StepSearch};
use super::content::{TELLING, file_at, letters};
use super::history::short;
use super::line_changes::StepLines;
use super::line_pairs::{FunctionId, LineInFunction, LinePair, LinePairs, Occurrences};
use super::objects::{FileText, Objects};
use super::partial_fixes::{last_release, say};
use super::traces::StepPlaces;
use crate::words::Role;

/// Pairs of lines with fewer letters and digits, such as two closing brackets, don't tell anything.
const TELLING_PAIR: usize = 3;

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
            let change = PairChange { old: before.pairs(), new: after.pairs() };
            let (now, then) = (here.pairs(), trusted.pairs());
            let says = |what: String| {
                Ok(Some(format!(
                    "the {role} is in the history as {}, but {path} {what}: a commit may have undone it without saying so",
                    short(carrier)
                )))
            };
            // A line that the step adds may have moved.
            let is_back = |pair: &LinePair| {
                let is_kept = |line| change.adds(line) && !now.has_fewer(line, then);
                now.count(*pair) > change.new.count(*pair).max(then.count(*pair))
                    && !change.new.new_within(*pair, change.old).any(is_kept)
            };
            let back = change.taken().filter(|(pair, _)| is_back(pair)).map(|(pair, _)| now.get(pair).first);
            if let Some([first, second]) = back.min() {
                let [first, second] = [first, second].map(|at| say_line(&here, at));
                return says(format!("has {second} right after {first}, as before it"));
            }
            let off = change.brought().filter_map(|(pair, _)| {
                let found = now.never(pair);
                (found.count > change.new.never(pair).count.max(then.never(pair).count)).then_some(found.first[0])
            });
            if let Some(at) = off.min() {
                return says(format!("has {} in a function that it changes", say_line(&here, at)));
            }
            // Lines that tell something by themselves are compared one by one elsewhere.
            let is_told = |at: usize| role >= Role::Fix && letters(line_at(&after, at)) < TELLING;
            let is_repeated = |line| change.old.count_of(line) > 0;
            let added = change.added().filter(|(line, found)| is_repeated(*line) || is_told(found.first[0]));
            let added = added.map(|(line, found)| (line, found.first[0]));
            let moved = change.brought().filter(|(pair, _)| change.reorders(pair.function()));
            let moved = moved.flat_map(|(pair, found)| pair.lines().into_iter().zip(found.first));
            let lost = added.chain(moved).filter(|(line, _)| now.has_fewer(*line, then)).map(|(_, at)| at);
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
            let known_as = one.carriers.patches.iter().map(StepLines::commit).chain(one.carriers.model);
            for step in known_as {
                let Some([before, after]) = sides(git, step, file) else { continue };
                let (change, now) = (PairChange { old: before.pairs(), new: after.pairs() }, here.pairs());
                let is_new = |pair| {
                    let known = known.iter().map(|known| known.pairs().count(pair)).max().unwrap_or_default();
                    now.count(pair) > known.max(change.old.count(pair))
                };
                let is_telling = |[first, second]: &[usize; 2]| {
                    letters(line_at(&after, *first)) + letters(line_at(&after, *second)) >= TELLING_PAIR
                };
                let only_removes = change.added().next().is_none();
                let trusted = release.and_then(|at| file_at(git, at, places.path_at(git, at, file)));
                if let Some(trusted) = trusted.filter(|_| only_removes) {
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
                let found = change.brought().filter(|(pair, _)| is_new(*pair)).map(|(_, found)| found.first);
                if let Some([first, second]) = found.filter(is_telling).min() {
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

/// What a commit does to the lines of a file.
struct PairChange<'a> {
    old: &'a LinePairs,
    new: &'a LinePairs,
}

impl PairChange<'_> {
    /// The pairs that it brings.
    fn brought(&self) -> impl Iterator<Item = (LinePair, Occurrences)> {
        self.new.more_than(self.old).filter(|(pair, _)| self.counts(*pair))
    }

    /// The pairs that it takes out.
    fn taken(&self) -> impl Iterator<Item = (LinePair, Occurrences)> {
        self.old.more_than(self.new).filter(|(pair, _)| self.counts(*pair))
    }

    /// The lines that it adds, without those that it moves.
    fn added(&self) -> impl Iterator<Item = (LineInFunction, Occurrences)> {
        self.new.more_lines_than(self.old)
    }

    /// The lines that it removes, without those that it moves.
    fn removed(&self) -> impl Iterator<Item = (LineInFunction, Occurrences)> {
        self.old.more_lines_than(self.new)
    }

    fn adds(&self, line: LineInFunction) -> bool {
        self.new.count_of(line) > self.old.count_of(line)
    }

    /// The line above a pair matters only where nothing but the order changes: a line between them would hide it.
    fn counts(&self, pair: LinePair) -> bool {
        !pair.has_above() || self.reorders(pair.function())
    }

    /// Whether it only changes the order of a function's lines.
    fn reorders(&self, function: FunctionId) -> bool {
        !self.added().chain(self.removed()).any(|(line, _)| line.function() == function)
    }
}

/// A file before and after a commit; empty before the commit that creates it.
fn sides(git: &Objects, commit: Oid, file: &str) -> Option<[Rc<FileText>; 2]> {
    let after = file_at(git, commit, file)?;
    let parent = *git.commit(commit)?.parents.first()?;
    Some([file_at(git, parent, file).unwrap_or_default(), after])
}

fn line_at(file: &FileText, number: usize) -> &[u8] {
    file.text.split(|b| *b == b'\n').nth(number).unwrap_or_default().trim_ascii()
}

fn say_line(file: &FileText, number: usize) -> String {
    format!("\u{201c}{}\u{201d}", say(line_at(file, number)))
}
