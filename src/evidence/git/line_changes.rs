//! Finds what a commit does to the lines of a step: it adds them, removes them, or neither. Its message does not
//! matter.
//!
//! Lines are counted before and after. So a line that moves within its file is unchanged, and a backport may put it
//! anywhere in the file.

use std::collections::{BTreeMap, HashMap};

use git2::Oid;

use super::content::{TELLING, is_comment, letters, text_at};
use super::objects::{Objects, TreeEntry};

/// The most files to compare if a dossier names none.
const MOST_FILES: usize = 20;
/// The fraction of a step's lines that counts as all, because backports differ in some.
const WHOLE: (usize, usize) = (4, 5);

/// Whether this many of a step's lines count as all.
fn is_whole(some: i64, all: i64) -> bool {
    some * WHOLE.1 as i64 >= all * WHOLE.0 as i64
}

fn is_telling(line: &[u8]) -> bool {
    letters(line) >= TELLING
}

/// The effect of a commit on the lines of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineEffect {
    /// It adds the step's added lines and removes its removed lines, except a few.
    PutsIn,
    /// It does so with some of the lines.
    PutsSomeIn,
    /// It removes the step's added lines and adds its removed lines, except a few.
    TakesOut,
    /// It does so with some of the lines.
    TakesSomeOut,
    /// It does both, or nothing with them.
    Neither,
    /// There is nothing to compare, or the repository lacks the files.
    Unseen,
}

impl LineEffect {
    /// Whether it removes lines of the step, and adds none.
    pub fn takes(self) -> bool {
        matches!(self, Self::TakesOut | Self::TakesSomeOut)
    }

    /// Whether it adds lines of the step, and removes none.
    pub fn puts(self) -> bool {
        matches!(self, Self::PutsIn | Self::PutsSomeIn)
    }
}

/// The count of each line in a file after a commit, minus the count before.
type LineCounts = HashMap<Vec<u8>, i64>;

/// The lines that a commit changes in some files.
#[derive(Clone, Debug)]
pub(super) struct StepLines {
    commit: Oid,
    files: Vec<(String, LineCounts)>,
}

impl StepLines {
    /// The changes of a commit to these files, or to all if none are named. None if they can't be seen.
    pub fn of(git: &Objects, commit: Oid, files: &[String]) -> Option<Self> {
        let files = if files.is_empty() { changed_files(git, commit)? } else { files.to_vec() };
        let mut changes = Vec::new();
        for file in files {
            let change = change(git, commit, &file)?;
            changes.push((file, change));
        }
        // The most telling lines that there are: short lines are common, and comments may be rewritten at any time.
        let kinds: [fn(&[u8]) -> bool; 3] =
            [|line| is_telling(line) && !is_comment(line), |line| !is_comment(line), |_| true];
        let has_any = |is_kind: &fn(&[u8]) -> bool| {
            changes.iter().any(|(_, change): &(String, LineCounts)| change.keys().any(|line| is_kind(line)))
        };
        let is_kind = kinds.into_iter().find(has_any)?;
        changes.iter_mut().for_each(|(_, change)| change.retain(|line, _| is_kind(line)));
        Some(Self { commit, files: changes })
    }

    /// Whether these are the changes of this commit.
    pub fn is_of(&self, commit: Oid) -> bool {
        self.commit == commit
    }

    /// The commit.
    pub fn commit(&self) -> Oid {
        self.commit
    }

    /// The lines that it adds to a file.
    pub fn added_to(&self, file: &str) -> impl Iterator<Item = &[u8]> {
        self.changed_in(file).filter_map(|(line, times)| (*times > 0).then_some(line.as_slice()))
    }

    /// The lines that it removes from a file.
    pub fn removed_from(&self, file: &str) -> impl Iterator<Item = &[u8]> {
        self.changed_in(file).filter_map(|(line, times)| (*times < 0).then_some(line.as_slice()))
    }

    fn changed_in(&self, file: &str) -> impl Iterator<Item = (&Vec<u8>, &i64)> {
        self.files.iter().filter(move |(own, _)| own == file).flat_map(|(_, change)| change)
    }

    /// The lines that it adds, and those that it removes.
    pub fn lines(&self) -> impl Iterator<Item = (&[u8], bool)> {
        self.files.iter().flat_map(|(_, change)| change.iter().map(|(line, times)| (line.as_slice(), *times > 0)))
    }

    /// Whether another commit does the opposite: it removes the added lines, restores the removed ones, and adds few
    /// others. A commit that rewrites the added lines, or moves them to another file, doesn't. None if the repository
    /// lacks the files.
    pub fn is_undone_by(&self, git: &Objects, commit: Oid) -> Option<bool> {
        let (mut all, mut removed, mut restored, mut others) = (0, 0, 0, 0);
        for (file, lines) in &self.files {
            let change = change(git, commit, file)?;
            for (line, times) in lines {
                all += times.abs();
                removed += times.min(&0).abs();
                let back = change.get(line).copied().unwrap_or(0).max(0);
                restored += back.min(times.min(&0).abs());
            }
            let is_other = |line: &Vec<u8>| !is_comment(line) && !lines.contains_key(line);
            others += change.iter().filter(|(line, times)| **times > 0 && is_other(line)).count() as i64;
        }
        // Without removed lines, any code in place of the added ones may do the same.
        let is_replaced = if removed == 0 { others > 0 } else { others * 4 > all };
        let is_opposite = is_whole(restored, removed) && !is_replaced;
        Some(is_opposite && self.effect(git, commit) == LineEffect::TakesOut && !self.goes_elsewhere(git, commit)?)
    }

    /// Whether another commit adds lines of this one to other files. None if that can't be seen.
    fn goes_elsewhere(&self, git: &Objects, commit: Oid) -> Option<bool> {
        for file in changed_files(git, commit)? {
            if self.files.iter().any(|(own, _)| *own == file) {
                continue;
            }
            let change = change(git, commit, &file)?;
            if self.lines().any(|(line, is_added)| is_added && change.get(line).is_some_and(|times| *times > 0)) {
                return Some(true);
            }
        }
        Some(false)
    }

    /// The effect of another commit on these lines.
    pub fn effect(&self, git: &Objects, commit: Oid) -> LineEffect {
        let (mut all, mut puts, mut takes) = (0_i64, 0_i64, 0_i64);
        for (file, lines) in &self.files {
            let Some(change) = change(git, commit, file) else { return LineEffect::Unseen };
            for (line, times) in lines {
                all += times.abs();
                let here = change.get(line).copied().unwrap_or(0);
                let both = here.abs().min(times.abs());
                if here.signum() == times.signum() {
                    puts += both;
                } else {
                    takes += both;
                }
            }
        }
        // A few lines may go the other way if a backport or revert was adapted.
        match (puts > takes * 4, takes > puts * 4) {
            (true, _) if is_whole(puts, all) => LineEffect::PutsIn,
            (true, _) => LineEffect::PutsSomeIn,
            (_, true) if is_whole(takes, all) => LineEffect::TakesOut,
            (_, true) => LineEffect::TakesSomeOut,
            _ => LineEffect::Neither,
        }
    }
}

/// Whether a commit does the opposite of one of these patches.
pub(super) fn undoes_any(git: &Objects, patches: &[StepLines], commit: Oid) -> bool {
    patches.iter().any(|patch| patch.is_undone_by(git, commit) == Some(true))
}

/// The effect of a commit on the lines of these patches, if they agree. Its own patch is not compared.
pub(super) fn line_effect(git: &Objects, patches: &[StepLines], commit: Oid) -> LineEffect {
    let others = patches.iter().filter(|patch| patch.commit != commit);
    let all: Vec<LineEffect> = others.map(|patch| patch.effect(git, commit)).collect();
    let any = |effect: LineEffect| all.contains(&effect);
    match (any(LineEffect::PutsIn), any(LineEffect::TakesOut)) {
        (true, true) => LineEffect::Neither,
        (true, false) => LineEffect::PutsIn,
        (false, true) => LineEffect::TakesOut,
        (false, false) => match (any(LineEffect::PutsSomeIn), any(LineEffect::TakesSomeOut)) {
            (true, true) => LineEffect::Neither,
            (true, false) => LineEffect::PutsSomeIn,
            (false, true) => LineEffect::TakesSomeOut,
            (false, false) if any(LineEffect::Neither) => LineEffect::Neither,
            (false, false) => LineEffect::Unseen,
        },
    }
}

/// The files that a commit changes, unless they are too many.
pub(super) fn changed_files(git: &Objects, commit: Oid) -> Option<Vec<String>> {
    let mut paths = Vec::new();
    let [before, after] = [git.first_parent(commit)?.tree, git.commit(commit)?.tree].map(TreeEntry::Folder);
    changed_below(git, "", before, after, &mut paths)?;
    (1..=MOST_FILES).contains(&paths.len()).then_some(paths)
}

/// Adds the files below a path that differ. Only folders that differ are read, unlike in libgit2's comparison of trees,
/// which takes 30 ms for Linux. None if the repository lacks a folder.
fn changed_below(
    git: &Objects,
    path: &str,
    before: TreeEntry,
    after: TreeEntry,
    paths: &mut Vec<String>,
) -> Option<()> {
    if before == after || paths.len() > MOST_FILES {
        return Some(());
    }
    if [before, after].iter().any(|entry| matches!(entry, TreeEntry::File(_) | TreeEntry::Module(_))) {
        paths.push(path.to_owned());
    }
    let names = |entry: TreeEntry| match entry {
        TreeEntry::Folder(id) => git.names(id, ""),
        _ => Some(Vec::new()),
    };
    let mut below: BTreeMap<String, [TreeEntry; 2]> = BTreeMap::new();
    for (at, entry) in [before, after].into_iter().enumerate() {
        for (name, entry) in names(entry)? {
            below.entry(name).or_insert([TreeEntry::Nothing; 2])[at] = entry;
        }
    }
    for (name, [before, after]) in below {
        let path = if path.is_empty() { name } else { format!("{path}/{name}") };
        changed_below(git, &path, before, after, paths)?;
    }
    Some(())
}

/// None if the repository lacks a text.
fn change(git: &Objects, commit: Oid, file: &str) -> Option<LineCounts> {
    let trees = [git.first_parent(commit)?.tree, git.commit(commit)?.tree];
    let mut change = LineCounts::new();
    if git.entry(trees[0], file) == git.entry(trees[1], file) {
        return Some(change);
    }
    for (tree, sign) in trees.into_iter().zip([-1, 1]) {
        let text = text_at(git, tree, file)?;
        for line in text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|line| letters(line) > 0) {
            *change.entry(line.to_vec()).or_default() += sign;
        }
    }
    change.retain(|_, times| *times != 0);
    Some(change)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{FILE, Fixture};
    use super::*;

    #[test]
    fn changed_files_are_found_in_folders_that_differ() {
        let fixture = Fixture::new();
        let repository = super::super::Repository::open(&fixture.path()).unwrap();
        let root = fixture.commit(&[], "root", &[("a/b/c.c", "1"), ("a/d.c", "1"), ("e.c", "1")]);
        let files = [("a/b/c.c", "2"), ("a/b/new.c", "1"), ("a/d.c", ""), ("e.c", "1")];
        let changed = |commit| changed_files(repository.git(), commit);
        let step = fixture.commit(&[root], "step", &files);
        assert_eq!(changed(step).unwrap(), ["a/b/c.c", "a/b/new.c", "a/d.c"]);
        assert_eq!(changed(root), None, "it has no parent");
        assert_eq!(changed(fixture.commit(&[step], "empty", &[])), None);
        let many: Vec<String> = (0..=MOST_FILES).map(|n| format!("many/{n}.c")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|path| (path.as_str(), "1")).collect();
        assert_eq!(changed(fixture.commit(&[step], "many", &many)), None);
    }

    #[test]
    fn effect_depends_on_lines_and_not_on_words() {
        let fixture = Fixture::new();
        let repository = super::super::Repository::open(&fixture.path()).unwrap();
        let objects = repository.git();
        let text = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let base = ["head_of_the_function_here", "the_old_limit_of_the_queue", "tail_of_the_function_here"];
        let fixed = [base[0], "the_new_limit_of_the_queue", "and_some_slack_for_the_head", base[2]];
        let root = fixture.commit(&[], "root", &[(FILE, &text(&base))]);
        let step = fixture.line(root, &[("step", &text(&fixed))]);
        let files = [FILE.to_owned()];
        let patch = StepLines::of(objects, step, &files).unwrap();
        let other = ["another_first_line_of_a_vendor", base[0], base[1], base[2]];
        let other_fixed = ["another_first_line_of_a_vendor", fixed[1], fixed[2], base[0], base[2]];
        let vendor = fixture.line(root, &[("vendor", &text(&other))]);
        let moved = [fixed[2], fixed[0], fixed[1], fixed[3]];
        for (name, commit, expected) in [
            ("itself", step, LineEffect::PutsIn),
            ("elsewhere in the file", fixture.line(vendor, &[("x", &text(&other_fixed))]), LineEffect::PutsIn),
            ("back", fixture.line(step, &[("x", &text(&base))]), LineEffect::TakesOut),
            (
                "one line of two",
                fixture.line(step, &[("x", &text(&[fixed[0], fixed[1], base[2]]))]),
                LineEffect::TakesSomeOut,
            ),
            (
                "half",
                fixture.line(root, &[("x", &text(&[base[0], base[1], fixed[2], base[2]]))]),
                LineEffect::PutsSomeIn,
            ),
            ("moved", fixture.line(step, &[("x", &text(&moved))]), LineEffect::Neither),
            ("another file", fixture.commit(&[step], "x", &[("net/o.c", "x\n")]), LineEffect::Neither),
            ("a root", root, LineEffect::Unseen),
        ] {
            assert_eq!(patch.effect(objects, commit), expected, "{name}");
            let none = StepLines::of(objects, step, &[]).unwrap();
            assert_eq!(none.effect(objects, commit), expected, "{name}, without files");
        }
        assert!(StepLines::of(objects, root, &files).is_none());
        // Short lines count if there are no others.
        let short = fixture.line(root, &[("x", &text(&[base[0], base[1], "return 0;", base[2]]))]);
        let patch = StepLines::of(objects, short, &files).unwrap();
        assert_eq!(patch.effect(objects, fixture.line(short, &[("x", &text(&base))])), LineEffect::TakesOut);
    }
}
