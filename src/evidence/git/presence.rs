//! Decides whether one step is present: by its commits, their reverts, and the files.

use git2::Oid;

use super::GitError;
use super::answer::{GitAnswer, Needed, StepSearch};
use super::backports::Carrier;
use super::content::{Likeness, is_lacking, likeness, likeness_with_copy, touches};
use super::copies::copies;
use super::history::{CarrierPlace, short};
use super::history_gaps::{Beginning, is_expected, no_version};
use super::packaging::may_carry;
use super::partial_fixes::{FixInFiles, erosion, last_release};
use super::reverts::StepStanding;
use super::states::Presence;
use super::step_facts::{rests_on_names, unknown_subject};
use super::testimony::How;
use super::{removals, unclear_mentions};
use crate::matrix::Step;
use crate::words::Role;

impl GitAnswer<'_> {
    /// Describes a commit or a patch for people.
    fn call(&self, place: CarrierPlace) -> Result<String, GitError> {
        match place {
            CarrierPlace::Commit(number) => Ok(self.history.call(self.history.sha(number)?)),
            CarrierPlace::Patch(_) => self.name(place),
        }
    }

    /// Reports which commit may have removed a step.
    fn doubted(&mut self, standing: &StepStanding, role: Role) -> Result<(), GitError> {
        let Some(place) = standing.doubted_by.filter(|_| standing.must != standing.may) else { return Ok(()) };
        let name = self.call(place)?;
        self.doubts.push(format!("{name} changes files of the {role} and may take it out, by its words or its lines"));
        Ok(())
    }

    /// Whether one step is present, by its history and the files.
    pub(super) fn presence(&mut self, one: &StepSearch, doubtful: &[Beginning]) -> Result<Presence, GitError> {
        let role = one.step.role;
        let mends = role == Role::FixOfFix;
        let mut presence = match &one.standing {
            Some(standing) => {
                let hint = (standing.must != standing.may).then_some(standing.likely);
                self.doubted(standing, role)?;
                // There is no hint if an unclear commit may have removed the step, or if the only commit with the step has none
                // of its lines.
                let hint = hint.filter(|_| standing.doubted_by.is_none());
                let hint = hint.filter(|_| !self.is_contradicted(one, standing));
                Presence { may: standing.may, must: standing.must, hint }
            }
            None => self.absence(one, doubtful)?,
        };
        if rests_on_names(one.step) && presence.must {
            self.doubts.extend(unknown_subject(one.step));
            presence = Presence { hint: Some(true), ..Presence::OPEN };
        }
        if one.needed == Needed::No {
            return Ok(if mends { Presence::IN } else { Presence::OUT });
        }
        if one.needed == Needed::Perhaps && !presence.must {
            self.doubts.push(format!("only some versions need the {role}, and the version of this one cannot be read"));
            presence = Presence::OPEN;
        }
        // If a hint says that it was removed, the files can only confirm that.
        if let Some(standing) = one.standing.as_ref().filter(|standing| standing.likely) {
            let carrier = &one.carriers.found[standing.carrier];
            let overlaps = |other: &Step| other.files.iter().any(|file| one.step.files.contains(file));
            let changes_them = |other: &&StepSearch| other.at > one.at && overlaps(other.step);
            let later: Vec<&StepSearch> = self.found.iter().filter(changes_them).collect();
            if let (CarrierPlace::Commit(number), true) =
                (carrier.place, later.iter().all(|other| other.standing.is_none()))
            {
                presence = self.vouched(one, self.history.sha(number)?, presence);
            }
            // Later steps of the same files change the same lines, so only the last of them is compared.
            if let (CarrierPlace::Commit(number), false) =
                (carrier.place, later.iter().any(|other| other.standing.is_some()))
                && let Some(doubt) = self.gone(one, number, &later)?
            {
                self.doubts.push(doubt);
                presence = Presence::OPEN;
            } else if role >= Role::Fix
                && (presence == Presence::IN || presence.hint == Some(true))
                && later.iter().all(|other| other.standing.is_none())
            {
                presence = self.eroded(one, carrier, presence)?;
            }
            if let CarrierPlace::Commit(number) = carrier.place
                && presence != Presence::OPEN
                && later.iter().all(|other| other.standing.as_ref().is_none_or(|standing| !standing.likely))
                && let Some(doubt) = match self.misplaced(one, carrier, number)? {
                    None => self.silently_undone(one, number)?,
                    misplaced => misplaced,
                }
            {
                self.warnings.push(doubt.clone());
                self.doubts.push(doubt);
                presence = Presence::OPEN;
            }
        }
        if let Some(standing) = one.standing.as_ref().filter(|standing| !standing.likely)
            && let CarrierPlace::Commit(number) = one.carriers.found[standing.carrier].place
        {
            let oid = self.history.sha(number)?;
            presence = self.vouched(one, oid, presence);
            if let Some(doubt) = unknown_subject(one.step) {
                self.doubts.push(doubt);
                presence = Presence::OPEN;
            }
            if self.likeness(oid, one)? == Likeness::Applied {
                self.doubts.push(format!(
                    "the {role} was reverted, but the files have all lines that {} adds: a commit brought them back \
                    without saying so",
                    short(oid)
                ));
                presence = Presence::OPEN;
            } else if let Some(doubt) = self.traces(one)? {
                self.doubts.push(doubt);
                presence = Presence::OPEN;
            }
        }
        if one.standing.as_ref().is_some_and(|standing| standing.likely)
            && let Some(doubt) = self.turned_off_by_patch(one)
        {
            self.warnings.push(doubt.clone());
            self.doubts.push(doubt);
            presence = Presence::OPEN;
        }
        if let Some(doubt) = self.copy_that_differs(one)? {
            self.warnings.push(doubt.clone());
            self.doubts.push(doubt);
            presence = Presence::OPEN;
        }
        Ok(presence)
    }

    /// Reduces an answer about a step to a hint if the repository lacks the files to check it: those of this revision,
    /// and the changes of the commit `shown_by`.
    fn vouched(&mut self, one: &StepSearch, shown_by: Oid, presence: Presence) -> Presence {
        let git = self.history.repository.git();
        let parent = git.commit(shown_by).and_then(|commit| commit.parents.first().copied());
        let commits = [Some(self.history.commit), Some(shown_by), parent];
        let all =
            commits.into_iter().flatten().flat_map(|commit| one.step.files.iter().map(move |file| (commit, file)));
        let lacking: Vec<String> = all
            .filter(|(commit, file)| is_lacking(git, *commit, file))
            .map(|(commit, file)| format!("{}:{file}", short(commit)))
            .collect();
        if lacking.is_empty() {
            return presence;
        }
        self.lacking.extend(lacking);
        let is_in = presence.must || presence.may && presence.hint == Some(true);
        let how = one.standing.as_ref().map(|standing| &one.carriers.found[standing.carrier].how);
        // A message may claim a fix that its commit does not contain.
        let is_claim = matches!(how, Some(How::Trailer { .. } | How::SameSubject { .. }));
        match presence {
            _ if is_claim && is_in && one.step.role >= Role::Fix => Presence::OPEN,
            Presence::OPEN => presence,
            _ => Presence { hint: Some(is_in), ..Presence::OPEN },
        }
    }

    /// Why the files do not decide: the tree has a copy of one, which upstream lacks, and the copy differs in the
    /// step's lines.
    fn copy_that_differs(&self, one: &StepSearch) -> Result<Option<String>, GitError> {
        let (git, here, files) = (self.history.repository.git(), self.history.commit, &one.step.files);
        let mut shown_by: Vec<Oid> = one.carriers.model.into_iter().collect();
        for carrier in &one.carriers.found {
            if let CarrierPlace::Commit(number) = carrier.place {
                shown_by.push(self.history.sha(number)?);
            }
        }
        let overlaps =
            |other: &&StepSearch| other.at > one.at && other.step.files.iter().any(|file| files.contains(file));
        let later: Vec<&StepSearch> = self.found.iter().filter(overlaps).collect();
        // Later steps change the same lines, so only the last one is compared.
        if later.iter().any(|other| other.standing.is_some()) {
            return Ok(None);
        }
        for file in files {
            for copy in copies(git, here, file, one.carriers.model, one.carriers.model) {
                let is_past = |other: &&StepSearch| {
                    let copied = [(file.clone(), copy.clone())];
                    let applied = |model| likeness_with_copy(git, model, here, &other.step.files, &copied);
                    other.carriers.model.map(applied) == Some(Likeness::Applied)
                };
                if later.iter().any(is_past) {
                    continue;
                }
                let differs = |by: &Oid| {
                    let other = likeness_with_copy(git, *by, here, files, &[(file.clone(), copy.clone())]);
                    let changes = |path: &String| touches(git, *by, std::slice::from_ref(path)) == Some(true);
                    other != likeness(git, *by, here, files) || changes(&copy) && !changes(file)
                };
                if shown_by.iter().any(differs) {
                    return Ok(Some(format!(
                        "the tree has {file} and a copy of it, {copy}, of which only one has the {}: find out which \
                         one is built",
                        one.step.role
                    )));
                }
            }
        }
        Ok(None)
    }

    /// Weakens the presence of a fix that the history has, or seems to have, by the state of the files.
    fn eroded(&mut self, one: &StepSearch, carrier: &Carrier, presence: Presence) -> Result<Presence, GitError> {
        let places = self.places(one)?;
        Ok(match erosion(self.history, one, carrier, self.found, &places)? {
            FixInFiles::None => presence,
            FixInFiles::Doubtful(why) => {
                self.warnings.push(format!("{why}: a hint only"));
                Presence { hint: Some(true), ..Presence::OPEN }
            }
            FixInFiles::Open(why) => {
                self.warnings.push(why.clone());
                self.doubts.push(why);
                Presence::OPEN
            }
            FixInFiles::Undone(why) => {
                self.is_undone = true;
                self.doubts.push(why);
                Presence::OPEN
            }
        })
    }

    /// Decides the presence of a step that was not found.
    fn absence(&mut self, one: &StepSearch, doubtful: &[Beginning]) -> Result<Presence, GitError> {
        let role = one.step.role;
        let mut doubts = Vec::new();
        match &self.history.version {
            None => doubts.push(no_version(self.history)),
            Some(version) if is_expected(version, self.bug, one.step) => doubts.push(format!(
                "the {role} is not in the history, but a {version} has it: it may be part of a squashed update"
            )),
            Some(_) => {}
        }
        doubts.extend(unknown_subject(one.step));
        doubts.extend(doubtful.iter().take(3).map(|beginning| beginning.says.clone()));
        if let Some(model) = one.carriers.model
            && self.is_in_the_files(one)?
        {
            doubts.push(format!(
                "the {role} is not in the history, but the files have all lines that {} adds: a merge or a squashed \
                update brought them",
                short(model)
            ));
        } else {
            doubts.extend(self.traces(one)?);
        }
        doubts.extend(may_carry(self.history, one));
        let cves: Vec<&str> = self.bug.cves().collect();
        if let Some(place) = unclear_mentions::speaks_of(self.history, one, self.found, &cves)? {
            let name = self.call(place)?;
            let says = format!("{name} changes files of the {role} and names it, its CVE or what it repairs");
            self.warnings.push(format!("{says}, but does not say what it is: read it"));
            doubts.push(format!("{says}: it may be the {role}"));
        }
        if doubts.is_empty() {
            return Ok(match one.carriers.model {
                Some(model) => self.vouched(one, model, Presence::OUT),
                None => Presence::OUT,
            });
        }
        self.doubts.extend(doubts);
        Ok(Presence::OPEN)
    }

    /// Why the files contradict a history that has the step; none if they don't, or if one of the `later` steps
    /// explains it.
    fn gone(&self, one: &StepSearch, carrier: u32, later: &[&StepSearch]) -> Result<Option<String>, GitError> {
        let (role, oid) = (one.step.role, self.history.sha(carrier)?);
        let likeness = self.likeness(oid, one)?;
        if !matches!(likeness, Likeness::NotApplied | Likeness::Gone) {
            return Ok(None);
        }
        for other in later {
            if self.is_in_the_files(other)? {
                return Ok(None);
            }
        }
        // The files may have another backport of it.
        for other in &one.carriers.found {
            if let CarrierPlace::Commit(number) = other.place
                && self.likeness(self.history.sha(number)?, one)? == Likeness::Applied
            {
                return Ok(None);
            }
        }
        let says =
            format!("the {role} is in the history, but the files have none of the lines that {} adds", short(oid));
        if likeness == Likeness::NotApplied {
            return Ok(Some(format!(
                "{says} and all lines that it removes: a merge, or a commit that does not say so, took it out"
            )));
        }
        // kernel.org rewrote them.
        if let Some(release) = last_release(self.history, carrier)?
            && self.likeness_at(release, oid, one)? == Likeness::Gone
        {
            return Ok(None);
        }
        let names = self.places(one)?;
        let Some((by, is_silent)) = removals::taken_out_by(self.history, carrier, oid, &names.names())? else {
            return Ok(None);
        };
        if is_silent {
            return Ok(Some(format!("{says}: {} took it out without saying so", self.history.call(by))));
        }
        let moved = self.moved_lines(one, oid, by);
        Ok(moved.map(|path| format!("{says}: {} moved some to {path}, which lacks others", self.history.call(by))))
    }

    /// Whether the files have all lines that a step adds, from any commit.
    fn is_in_the_files(&self, one: &StepSearch) -> Result<bool, GitError> {
        let Some(model) = one.carriers.model else { return Ok(false) };
        Ok(self.likeness(model, one)? == Likeness::Applied)
    }

    fn likeness(&self, step: Oid, of: &StepSearch) -> Result<Likeness, GitError> {
        self.likeness_at(self.history.commit, step, of)
    }

    fn likeness_at(&self, at: Oid, step: Oid, of: &StepSearch) -> Result<Likeness, GitError> {
        let (git, places) = (self.history.repository.git(), self.places(of)?);
        let path = |file: &String| (file.clone(), places.path_at(git, at, file).to_owned());
        let paths: Vec<(String, String)> = of.step.files.iter().map(path).collect();
        let compare = |step| likeness_with_copy(git, step, at, &of.step.files, &paths);
        let own = compare(step);
        // A backport to a tree whose files were moved already is known by upstream's lines.
        let model = of.carriers.model.filter(|_| own == Likeness::Missing && places.is_moved());
        Ok(model.map_or(own, compare))
    }
}
