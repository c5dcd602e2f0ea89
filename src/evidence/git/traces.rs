//! Finds lines of a step in the files of a history that doesn't have it: a squashed update, a merge, or a copied file
//! brings them without saying so.

use std::rc::Rc;

use git2::Oid;

use super::GitError;
use super::answer::{GitAnswer, StepSearch};
use super::claims::shows;
use super::content::{file_at, lines_at, tree};
use super::copies::copies;
use super::file_places::{FilePlace, place};
use super::history::{CarrierPlace, History, short};
use super::index_format::GitTag;
use super::line_changes::{StepLines, changed_files};
use super::line_words::{CodeWords, LineWords};
use super::objects::{FileText, Objects};
use super::partial_fixes::{last_release, say};
use super::quilt::QuiltPatch;
use super::testimony::How;

/// The most lines of one step to look for in one file.
const MOST_LINES: usize = 200;

/// How many lines of a file that a step creates must be in another one.
const NEW_FILE: usize = 3;

/// Where the files of a step are in a revision.
#[derive(Debug, Default)]
pub(super) struct StepPlaces {
    /// Its files, each with its path in the revision.
    pub files: Vec<(String, String)>,
    /// Its files that were renamed more than once, each with a name that it had in between.
    pub through: Vec<(String, String)>,
    /// Why one of them could not be found.
    pub lost: Option<String>,
    /// Paths of files that are like one of them, which is not there, if there are several.
    pub likely: Vec<(String, Vec<String>)>,
}

impl StepPlaces {
    /// The path of a file in the revision.
    pub fn path<'a>(&'a self, file: &'a str) -> &'a str {
        self.files.iter().find(|(own, _)| own == file).map_or(file, |(_, path)| path)
    }

    /// The names of each file from its own to that in the revision.
    pub fn names(&self) -> Vec<Vec<&str>> {
        let mut all = Vec::new();
        for (own, path) in &self.files {
            let between = self.through.iter().filter(|(file, _)| file == own).map(|(_, name)| name.as_str());
            let mut names: Vec<&str> = [own.as_str(), path].into_iter().chain(between).collect();
            names.dedup();
            all.push(names);
        }
        all
    }

    /// Whether a file is at another path.
    pub fn is_moved(&self) -> bool {
        self.files.iter().any(|(own, path)| own != path)
    }

    /// The path of a file in a commit: its own, or else that in the revision.
    pub fn path_at<'a>(&'a self, git: &Objects, commit: Oid, file: &'a str) -> &'a str {
        let has = tree(git, commit).is_some_and(|tree| git.entry(tree, file).id().is_some());
        if has { file } else { self.path(file) }
    }
}

impl GitAnswer<'_> {
    /// Where the files of a step are.
    pub(super) fn places(&self, one: &StepSearch) -> Result<Rc<StepPlaces>, GitError> {
        if let Some(places) = self.places.borrow().get(&one.at) {
            return Ok(Rc::clone(places));
        }
        let stands = one.standing.as_ref().map(|standing| &one.carriers.found[standing.carrier]);
        let mut models: Vec<Oid> = one.carriers.model.into_iter().collect();
        let (release, carrier) = match stands.map(|carrier| carrier.place) {
            Some(CarrierPlace::Commit(number)) => {
                let oid = self.history.sha(number)?;
                models.push(oid);
                (last_release(self.history, number)?, Some(oid))
            }
            _ => (newest_release(self.history)?, None),
        };
        let mut places = StepPlaces::default();
        for file in &one.step.files {
            let mut path = file.clone();
            match place(self.history, file, release, &models)? {
                FilePlace::Own => {}
                FilePlace::Never => path = carrier.and_then(|oid| self.path_of(one, oid)).unwrap_or(path),
                FilePlace::Moved(to, through) => {
                    path = to;
                    places.through.extend(through.into_iter().map(|name| (file.clone(), name)));
                }
                FilePlace::Several(paths) => {
                    if stands.is_some() {
                        let says = format!(
                            "{file} is not there, and both {} and {} are like it: find out which one is built",
                            paths[0], paths[1]
                        );
                        places.lost = places.lost.or(Some(says));
                    }
                    places.likely.push((file.clone(), paths));
                }
                FilePlace::Lost(why) => places.lost = places.lost.or(Some(why)),
            }
            places.files.push((file.clone(), path));
        }
        let places = Rc::new(places);
        self.places.borrow_mut().insert(one.at, Rc::clone(&places));
        Ok(places)
    }

    /// The path at which a commit has lines of a step, if the revision has a file there: an older tree may have the file
    /// under an older name.
    fn path_of(&self, one: &StepSearch, oid: Oid) -> Option<String> {
        let (git, known) = (self.history.repository.git(), &one.carriers.patches[..one.carriers.known]);
        let here = tree(git, self.history.commit)?;
        let mut changed = changed_files(git, oid)?.into_iter();
        changed.find(|path| git.entry(here, path).id().is_some() && shows(git, known, oid, path) == Some(true))
    }

    /// Why the files may have a step that the history lacks, or that was reverted: a line of it that the last kernel.org
    /// release doesn't have, and that no earlier step explains.
    pub(super) fn traces(&self, one: &StepSearch) -> Result<Option<String>, GitError> {
        let places = self.places(one)?;
        if let Some(lost) = &places.lost {
            return Ok(Some(format!("whether the files have the {} is open: {lost}", one.step.role)));
        }
        let (history, git) = (self.history, self.history.repository.git());
        let release = newest_release(history)?;
        let text = |commit: Oid, path: &str| file_at(git, commit, path);
        let explaining = self.explaining(one)?;
        for (file, path) in &places.files {
            let mut paths = vec![path.clone()];
            paths.extend(places.likely.iter().filter(|(own, _)| own == file).flat_map(|(_, paths)| paths.clone()));
            paths.extend(copies(git, history.commit, path, one.carriers.model, one.carriers.model));
            let mut earlier: Vec<Rc<FileText>> =
                explaining.iter().filter_map(|oid| text(*oid, places.path_at(git, *oid, file))).collect();
            earlier.extend(release.and_then(|release| text(release, places.path_at(git, release, file))));
            for patch in &one.carriers.patches {
                earlier.extend(git.commit(patch.commit()).and_then(|commit| text(*commit.parents.first()?, file)));
            }
            let own = |patch: &StepLines| -> Vec<Vec<u8>> {
                let mut lines: Vec<Vec<u8>> = patch.added_to(file).map(<[u8]>::to_vec).collect();
                lines.sort();
                lines
            };
            let creates = |patch: &StepLines| {
                git.commit(patch.commit()).and_then(|commit| text(*commit.parents.first()?, file)).is_none()
            };
            let mut texts: Vec<(&str, CodeWords)> = Vec::new();
            for path in &paths {
                texts.extend(text(history.commit, path).map(|text| (path.as_str(), text.words().clone())));
            }
            // A patch with words of its own may have lines of the step, too.
            let changes = |patch: &&QuiltPatch| patch.is_applied && patch.changes(std::slice::from_ref(file));
            for patch in history.packaging.patches.iter().filter(changes) {
                texts.push((&patch.file, CodeWords::of(&patch.added())));
            }
            for (path, here) in &texts {
                let before = release.and_then(|release| text(release, path));
                let is_old = |words: LineWords| earlier.iter().chain(&before).any(|text| text.words().have(words));
                let is_trace =
                    |line: &Vec<u8>| LineWords::of(line).is_some_and(|words| here.have(words) && !is_old(words));
                for patch in &one.carriers.patches {
                    let own = own(patch);
                    // Any file shares some lines with a new one.
                    let needed = if creates(patch) { NEW_FILE.min(own.len()) } else { 1 };
                    let mut traces = own.iter().take(MOST_LINES).filter(|line| is_trace(line)).skip(needed.max(1) - 1);
                    if let Some(line) = traces.next() {
                        return Ok(Some(format!(
                            "the {} is not in the history, but {path} has \u{201c}{}\u{201d}, or a line like it, \
                             which {} adds: a merge, a squashed update or a copy may have brought a part of it",
                            one.step.role,
                            say(line),
                            short(patch.commit())
                        )));
                    }
                }
            }
        }
        let removed = release.and_then(|release| self.removes_only(one, &places, release));
        // What was there before it was reverted is no excuse.
        let reverted_by = one.standing.as_ref().and_then(|standing| standing.reverted_by);
        let base = match reverted_by {
            Some(CarrierPlace::Commit(number)) => Some(last_release(history, number)?.unwrap_or(history.sha(number)?)),
            _ => release,
        };
        Ok(removed.or_else(|| self.silently_applied(one, &places, &explaining, base)))
    }

    /// Why a step that only removes lines may be in: lines that it removes are gone since the release.
    fn removes_only(&self, one: &StepSearch, places: &StepPlaces, release: Oid) -> Option<String> {
        let git = self.history.repository.git();
        let model = one.carriers.patches.iter().find(|patch| one.carriers.model.is_some_and(|oid| patch.is_of(oid)))?;
        if model.lines().any(|(line, added)| added && LineWords::of(line).is_some()) {
            return None;
        }
        for (file, path) in &places.files {
            let was = lines_at(git, release, places.path_at(git, release, file));
            let here = lines_at(git, self.history.commit, path);
            let mut gone: Vec<&[u8]> =
                model.removed_from(file).filter(|line| was.contains(*line) && !here.contains(*line)).collect();
            gone.sort_unstable();
            if let Some(line) = gone.first() {
                return Some(format!(
                    "the {} is not in the history, but {path} lacks \u{201c}{}\u{201d}, which it removes: a commit may \
                     have removed it without saying so",
                    one.step.role,
                    say(line)
                ));
            }
        }
        None
    }

    /// Commits whose files explain lines of a step: those of the earlier steps that this history has.
    fn explaining(&self, one: &StepSearch) -> Result<Vec<Oid>, GitError> {
        let mut found = Vec::new();
        for other in self.found.iter().filter(|other| other.at < one.at) {
            let Some(standing) = other.standing.as_ref().filter(|standing| standing.likely) else { continue };
            let carrier = &other.carriers.found[standing.carrier];
            match (&carrier.how, carrier.place) {
                // These are as the dossier knows them. A claim may have more than its own step.
                (How::Itself | How::KnownBackport { .. } | How::SamePatch, CarrierPlace::Commit(number)) => {
                    found.push(self.history.sha(number)?);
                }
                _ => found.extend(other.carriers.model),
            }
        }
        Ok(found)
    }
}

/// The newest kernel.org release in a history.
fn newest_release(history: &History) -> Result<Option<Oid>, GitError> {
    let is_here = |tag: &&GitTag| tag.is_release && history.has(tag.number);
    let newest = history.store.tags().iter().filter(is_here).max_by_key(|tag| (tag.time, tag.number));
    newest.map(|tag| history.sha(tag.number)).transpose()
}
