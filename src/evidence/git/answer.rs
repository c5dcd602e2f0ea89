//! Answers one question: which steps of a bug's chain does this revision have, and which states do they leave?

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use git2::Oid;

use super::backports::{self, Carriers};
use super::history::{CarrierPlace, History, short};
use super::history_gaps::{Beginning, beginnings};
use super::message::Abbreviation;
use super::packaging::{Packaging, packaging};
use super::reverts::{StepStanding, standing};
use super::revision::commit_id;
use super::states::{ChainPresence, Presence};
use super::step_facts::{called, completed};
use super::testimony::{GitTestimony, How, StepFound};
use super::traces::StepPlaces;
use super::warnings::MOST_WARNINGS;
use super::{GitError, GitIndex};
use crate::evidence::{Finding, Limit, StateSet, Strength, Witness};
use crate::matrix::{Bug, Step};
use crate::words::Role;

/// The search result for one step.
pub(super) struct StepSearch<'a> {
    pub step: &'a Step,
    /// Its place in the chain.
    pub at: usize,
    pub carriers: Carriers,
    pub standing: Option<StepStanding>,
    pub needed: Needed,
}

impl StepSearch<'_> {
    /// Whether it is a fix that only words claim: no commit surely is the fix, so there are no lines to compare.
    fn rests_on_words(&self) -> bool {
        let known = self.step.commit.iter().chain(self.step.backports.iter().map(|backport| &backport.commit));
        let has_known = known
            .map(|commit| commit.as_str())
            .any(|commit| self.carriers.model.is_some_and(|model| model.to_string().starts_with(commit)));
        let stands = self.standing.as_ref().filter(|standing| standing.likely && self.step.role >= Role::Fix);
        let how = stands.map(|standing| &self.carriers.found[standing.carrier].how);
        !has_known && matches!(how, Some(How::Trailer { .. } | How::SameLines | How::QuiltTrailer { .. }))
    }
}

/// Whether a kernel of this version needs the step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Needed {
    Yes,
    No,
    /// Unknown, because its version cannot be read.
    Perhaps,
}

impl GitIndex {
    /// Finds which steps of a bug's chain a revision has.
    ///
    /// # Errors If there is no such revision, or the repository or its index cannot be read.
    pub fn ask(&self, bug: &Bug, revision: &str) -> Result<GitTestimony, GitError> {
        let mut answer = self.asked_once(bug, revision);
        if let Err(GitError::Index { what, .. }) = &answer {
            self.renew(what.clone())?;
            answer = self.asked_once(bug, revision);
        }
        let mut testimony = answer?;
        if let Some(what) = &*self.damage.borrow() {
            testimony.warnings.push(format!("the index of the repository was damaged ({what}) and was rebuilt"));
        }
        Ok(testimony)
    }

    fn asked_once(&self, bug: &Bug, revision: &str) -> Result<GitTestimony, GitError> {
        let commit = self.resolve(revision)?;
        let number = self.number(commit)?;
        let inner = self.inner.borrow();
        let version = self.version_at(commit);
        let history = History {
            repository: &self.repository,
            store: &inner.store,
            graph: &inner.graph,
            commit,
            ancestors: inner.graph.ancestors(number),
            packaging: self.packaging(commit, version.is_some()),
            version,
        };
        let bug = &*completed(&history, bug)?;
        let mut found = search(&history, bug)?;
        let places: Vec<(Role, CarrierPlace)> = found
            .iter()
            .flat_map(|found| found.carriers.found.iter().map(|carrier| (found.step.role, carrier.place)))
            .collect();
        for one in &mut found {
            // A fix may revert the break. A commit that re-applies the break is not a step of the fix.
            let later = places.iter().filter(|(role, _)| *role >= one.step.role).map(|(_, place)| *place).collect();
            one.standing = standing(&history, one.step, &one.carriers, &later)?;
        }
        let mut answer = GitAnswer {
            index: self,
            history: &history,
            bug,
            found: &found,
            doubts: Vec::new(),
            warnings: Vec::new(),
            is_undone: false,
            places: RefCell::default(),
            lacking: BTreeSet::new(),
        };
        answer.testimony(revision)
    }
}

impl GitIndex {
    /// The patches in a commit's tree.
    pub(super) fn packaging(&self, commit: Oid, is_kernel: bool) -> Rc<Packaging> {
        let mut last = self.packaging.borrow_mut();
        if let Some((_, packaging)) = last.as_ref().filter(|(of, _)| *of == commit) {
            return Rc::clone(packaging);
        }
        let git = self.repository.git();
        // A partial clone may lack the Makefile.
        let has = |name| git.commit(commit).is_some_and(|commit| git.entry(commit.tree, name).id().is_some());
        let is_kernel = is_kernel || ["Makefile", "kernel", "mm"].into_iter().all(has);
        let found = Rc::new(packaging(git, commit, is_kernel));
        *last = Some((commit, Rc::clone(&found)));
        found
    }
}

fn search<'a>(history: &History, bug: &'a Bug) -> Result<Vec<StepSearch<'a>>, GitError> {
    let mut found: Vec<StepSearch> = Vec::new();
    for (at, step) in bug.chain.iter().enumerate() {
        let before: Vec<Abbreviation> =
            found.iter().filter(|f| f.step.role == Role::Fix).flat_map(|f| f.carriers.names.clone()).collect();
        let needed = match (step.only_before, &history.version) {
            (None, _) => Needed::Yes,
            (Some(_), None) => Needed::Perhaps,
            (Some(limit), Some(version)) if version.is_before(limit) => Needed::Yes,
            _ => Needed::No,
        };
        let carriers = backports::find(history, step, &before)?;
        found.push(StepSearch { step, at, carriers, standing: None, needed });
    }
    forgive_squashed(&mut found);
    Ok(found)
}

/// A squashed commit that has the lines of a later step has those of the earlier ones, as the later one left them.
fn forgive_squashed(found: &mut [StepSearch]) {
    let mut later: Vec<CarrierPlace> = Vec::new();
    for one in found.iter_mut().rev() {
        for carrier in &mut one.carriers.found {
            carrier.contradicts &= !later.contains(&carrier.place);
        }
        later.extend(one.carriers.found.iter().filter(|carrier| !carrier.contradicts).map(|carrier| carrier.place));
    }
}

/// An unfinished answer.
pub(super) struct GitAnswer<'a> {
    index: &'a GitIndex,
    pub history: &'a History<'a>,
    pub bug: &'a Bug,
    pub found: &'a [StepSearch<'a>],
    /// Why steps are open.
    pub doubts: Vec<String>,
    pub warnings: Vec<String>,
    /// Whether lines that the fix, or a step before it, removed are back.
    pub is_undone: bool,
    /// The paths of each step's files, by its place in the chain.
    pub places: RefCell<HashMap<usize, Rc<StepPlaces>>>,
    /// Files that the repository lacks, as `commit:path`. Without them no answer is strong.
    pub lacking: BTreeSet<String>,
}

impl GitAnswer<'_> {
    fn testimony(&mut self, revision: &str) -> Result<GitTestimony, GitError> {
        let mut steps = Vec::new();
        for one in self.found {
            steps.push(self.step(one)?);
            self.warnings.extend(one.carriers.warnings.iter().take(MOST_WARNINGS).cloned());
        }
        let chain = self.chain()?;
        let (states, strength) = match self.found {
            [] => (StateSet::all(), Strength::Strong),
            _ => chain.conclude(),
        };
        self.overlays()?;
        self.later_fixes()?;
        let is_whole = !self.history.store.cuts()?.into_iter().any(|cut| self.history.has(cut));
        let why = self.why(revision, &steps, states, is_whole);
        self.warnings.dedup();
        let limit = self.found.is_empty().then_some(Limit::Aside);
        let finding = Finding { limit, ..Finding::new(Witness::Git, states, strength, why) };
        let rests_on_words = self.found.iter().any(StepSearch::rests_on_words);
        Ok(GitTestimony { finding, steps, warnings: std::mem::take(&mut self.warnings), rests_on_words })
    }

    /// Describes one step for people.
    fn step(&self, one: &StepSearch) -> Result<StepFound, GitError> {
        let role = one.step.role;
        let Some(standing) = &one.standing else {
            let how = if one.needed == Needed::No { How::NotNeeded } else { How::NotFound };
            return Ok(StepFound {
                role,
                commit: None,
                how,
                strength: Strength::Strong,
                first_tag: None,
                reverted_by: None,
            });
        };
        let carrier = &one.carriers.found[standing.carrier];
        let (commit, first_tag) = match carrier.place {
            CarrierPlace::Commit(number) => (Some(commit_id(self.history.sha(number)?)?), self.first_tag(number)?),
            CarrierPlace::Patch(_) => (None, None),
        };
        let reverted_by = standing.reverted_by.map(|place| self.name(place)).transpose()?;
        let strength = if standing.by_hint { Strength::Weak } else { carrier.strength() };
        Ok(StepFound { role, commit, how: carrier.how.clone(), strength, first_tag, reverted_by })
    }

    pub(super) fn name(&self, place: CarrierPlace) -> Result<String, GitError> {
        Ok(match place {
            CarrierPlace::Commit(number) => self.history.sha(number)?.to_string(),
            CarrierPlace::Patch(at) => {
                self.history.packaging.patches.get(at).map(|patch| patch.file.clone()).unwrap_or_default()
            }
        })
    }

    /// The earliest tag that has a commit. Tags of linux-next don't count, because they precede the releases.
    fn first_tag(&self, number: u32) -> Result<Option<String>, GitError> {
        let after = self.history.graph.descendants(number);
        let tags = self.history.store.tags().iter().filter(|tag| after.has(tag.number));
        let first = tags.min_by(|a, b| {
            let key = |tag: &super::index_format::GitTag| (tag.name.starts_with("next-"), tag.time, tag.number);
            key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
        });
        Ok(first.map(|tag| tag.name.clone()))
    }

    /// The presence of each step, with its uncertainty.
    fn chain(&mut self) -> Result<ChainPresence, GitError> {
        let doubtful = self.doubtful_beginnings()?;
        let mut steps = Vec::new();
        for one in self.found {
            steps.push((one.step.role, self.presence(one, &doubtful)?));
        }
        let mut chain = ChainPresence::of(self.bug, steps);
        // A commit that silently removed a fix may have removed the steps before it too.
        if self.is_undone && chain.half_fix == Presence::IN {
            chain.half_fix = Presence::OPEN;
        }
        Ok(chain)
    }

    /// The beginnings that may have steps. Those before the break's own commit are omitted, because they have neither
    /// the break nor its fixes.
    fn doubtful_beginnings(&self) -> Result<Vec<Beginning>, GitError> {
        let mut doubtful = beginnings(self.index, self.history, self.bug)?;
        // Each of several breaks may be in a different beginning.
        let mut breaks = self.found.iter().filter(|one| one.step.role == Role::Break);
        let broken = breaks.next().filter(|_| breaks.next().is_none());
        let carriers = broken.map(|one| one.carriers.found.as_slice()).unwrap_or_default();
        for carrier in carriers.iter().filter(|carrier| carrier.strength() >= Strength::Strong) {
            if let (CarrierPlace::Commit(number), false) = (carrier.place, doubtful.is_empty()) {
                let before = self.history.graph.ancestors(number);
                doubtful.retain(|beginning| beginning.number == number || !before.has(beginning.number));
            }
        }
        Ok(doubtful)
    }

    /// The finding's sentence.
    fn why(&self, revision: &str, steps: &[StepFound], states: StateSet, is_whole: bool) -> String {
        let revision: String = revision.chars().take(80).collect();
        let version = self.history.version.as_ref().map_or_else(String::new, |version| format!(", a {version}"));
        let mut parts = vec![format!("{revision} is {}{version}", short(self.history.commit))];
        if steps.is_empty() {
            parts.push("the dossier names no commits to look for".to_owned());
        }
        for (step, one) in steps.iter().zip(self.found) {
            let is_one = steps.iter().filter(|other| other.role == step.role).count() == 1;
            let name = if is_one { step.role.to_string() } else { format!("{} {}", step.role, called(one.step)) };
            parts.push(sentence(&name, step, is_whole, &self.history.packaging));
        }
        let mut doubts = self.doubts.clone();
        let mut seen = BTreeSet::new();
        doubts.retain(|doubt| seen.insert(doubt.clone()));
        if states.only().is_none() {
            parts.extend(doubts);
        }
        parts.join("; ")
    }
}

/// Describes the result for a step with this name. `is_whole` is false for a truncated history.
fn sentence(name: &str, step: &StepFound, is_whole: bool, packaging: &Packaging) -> String {
    if matches!(step.how, How::NotFound) {
        let place = if is_whole { "its history" } else { "the part of its history that the clone has" };
        let (applied, all) = (packaging.applied(), packaging.patches.len() + packaging.unread.len());
        let patches = match (applied, all - applied) {
            (0, 0) => String::new(),
            (applied, 0) => format!(", nor in the {applied} patches that its packaging applies"),
            (0, others) => format!("; its tree has {others} patches that may be applied"),
            (applied, others) => format!(
                ", nor in the {applied} patches that its packaging surely applies; {others} more in its tree may be \
                applied"
            ),
        };
        return format!("{name}: not in {place}{patches}");
    }
    let place = step.commit.as_ref().map(|commit| commit.as_str().chars().take(12).collect::<String>());
    let tag = step.first_tag.as_ref().map(|tag| format!(", first in {tag}"));
    let reverted = step.reverted_by.as_ref().map(|by| {
        let by = if by.len() == 40 && !by.contains('/') { by[..12].to_owned() } else { by.clone() };
        format!(", reverted by {by}")
    });
    let place = place.map_or_else(|| step.how.to_string(), |commit| format!("{commit} ({})", step.how));
    format!("{name}: {place}{}{}", tag.unwrap_or_default(), reverted.unwrap_or_default())
}
