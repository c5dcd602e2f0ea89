//! What is known of one step in a history: what its carriers and their reverts leave, and what the files say against it.

use git2::Oid;

use super::GitError;
use super::absence::{Beginning, is_expected, no_version};
use super::ask::{Answer, Found, Needed};
use super::carriers::{Carrier, Place, short};
use super::content::{Likeness, likeness};
use super::eroded::{Erosion, erosion};
use super::packaging::may_carry;
use super::reverts::Standing;
use super::states::Presence;
use super::{lost, unheard};
use crate::matrix::Step;
use crate::words::Role;

impl Answer<'_> {
    /// A commit or a patch, for people.
    fn call(&self, place: Place) -> Result<String, GitError> {
        match place {
            Place::Commit(number) => Ok(self.history.call(self.history.sha(number)?)),
            Place::Patch(_) => self.name(place),
        }
    }

    /// Says which commit may have taken a step out.
    fn doubted(&mut self, standing: &Standing, role: Role) -> Result<(), GitError> {
        let Some(place) = standing.doubted_by.filter(|_| standing.must != standing.may) else { return Ok(()) };
        let name = self.call(place)?;
        self.doubts.push(format!("{name} changes files of the {role} and speaks of undoing it, or what undid it"));
        Ok(())
    }

    /// What is known of one step, by its history and by what the files say against it.
    pub(super) fn presence(&mut self, one: &Found, doubtful: &[Beginning]) -> Result<Presence, GitError> {
        let role = one.step.role;
        let mends = role == Role::FixOfFix;
        let mut presence = match &one.standing {
            Some(standing) => {
                let hint = (standing.must != standing.may).then_some(standing.likely);
                self.doubted(standing, role)?;
                // Where nobody can tell what a commit took out, a hint is none.
                let hint = hint.filter(|_| standing.doubted_by.is_none());
                Presence { may: standing.may, must: standing.must, hint }
            }
            None => self.absence(one, doubtful)?,
        };
        if one.needed == Needed::No {
            return Ok(if mends { Presence::IN } else { Presence::OUT });
        }
        if one.needed == Needed::Perhaps && !presence.must {
            self.doubts.push(format!("the {role} is for some versions only, and this one's cannot be read"));
            presence = Presence::OPEN;
        }
        // Where a hint says that it was taken out, the files can only agree.
        if let Some(standing) = one.standing.as_ref().filter(|standing| standing.likely) {
            let carrier = &one.carriers.found[standing.carrier];
            let overlaps = |other: &Step| other.files.iter().any(|file| one.step.files.contains(file));
            let changes_them = |other: &&Found| other.at > one.at && overlaps(other.step);
            let later: Vec<&Found> = self.found.iter().filter(changes_them).collect();
            // Later steps of the same files change the same lines, so only the last of them is compared.
            if let (Place::Commit(number), false) = (carrier.place, later.iter().any(|other| other.standing.is_some()))
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
        }
        if let Some(standing) = one.standing.as_ref().filter(|standing| !standing.likely)
            && let Place::Commit(number) = one.carriers.found[standing.carrier].place
        {
            let oid = self.history.sha(number)?;
            if self.likeness(oid, one.step) == Likeness::Applied {
                self.doubts.push(format!(
                    "the {role} was reverted, but all lines that {} adds are in the files: a commit that does not say \
                     so brought them back",
                    short(oid)
                ));
                presence = Presence::OPEN;
            }
        }
        Ok(presence)
    }

    /// What the files leave of a repair that the history has, or seems to have.
    fn eroded(&mut self, one: &Found, carrier: &Carrier, presence: Presence) -> Result<Presence, GitError> {
        Ok(match erosion(self.history, one, carrier, self.found)? {
            Erosion::None => presence,
            Erosion::Doubtful(why) => {
                self.warnings.push(format!("{why}: it is a hint only"));
                Presence { hint: Some(true), ..Presence::OPEN }
            }
            Erosion::Open(why) => {
                self.warnings.push(why.clone());
                self.doubts.push(why);
                Presence::OPEN
            }
            Erosion::Undone(why) => {
                self.is_undone = true;
                self.doubts.push(why);
                Presence::OPEN
            }
        })
    }

    /// What it is worth that a step was not found.
    fn absence(&mut self, one: &Found, doubtful: &[Beginning]) -> Result<Presence, GitError> {
        let role = one.step.role;
        let mut doubts = Vec::new();
        match &self.history.version {
            None => doubts.push(no_version(self.history)),
            Some(version) if is_expected(version, self.bug, one.step) => doubts.push(format!(
                "the {role} is not in the history, but a {version} has it: it may be part of a squashed update"
            )),
            Some(_) => {}
        }
        doubts.extend(doubtful.iter().take(3).map(|beginning| beginning.says.clone()));
        if let Some(model) = one.carriers.model.filter(|_| self.is_in_the_files(one)) {
            doubts.push(format!(
                "the {role} is not in the history, but all lines that {} adds are in the files: a merge's own content, \
                 or a squashed update, brought them",
                short(model)
            ));
        }
        doubts.extend(may_carry(self.history, one));
        if let Some(place) = unheard::speaks_of(self.history, one, self.found)? {
            let name = self.call(place)?;
            let says = format!("{name} changes files of the {role} and speaks of it, or of what it repairs");
            self.warnings.push(format!("{says}, in words that are not known: read it"));
            doubts.push(format!("{says}: it may be the {role}"));
        }
        if doubts.is_empty() {
            return Ok(Presence::OUT);
        }
        self.doubts.extend(doubts);
        Ok(Presence::OPEN)
    }

    /// Why the files contradict a history that has the step, where they do, and none of the `later` steps accounts for it.
    fn gone(&self, one: &Found, carrier: u32, later: &[&Found]) -> Result<Option<String>, GitError> {
        let (role, oid) = (one.step.role, self.history.sha(carrier)?);
        let likeness = self.likeness(oid, one.step);
        if !matches!(likeness, Likeness::NotApplied | Likeness::Gone) {
            return Ok(None);
        }
        if later.iter().any(|other| self.is_in_the_files(other)) {
            return Ok(None);
        }
        // Another backport of it may be what the files show.
        for other in &one.carriers.found {
            if let Place::Commit(number) = other.place
                && self.likeness(self.history.sha(number)?, one.step) == Likeness::Applied
            {
                return Ok(None);
            }
        }
        let says =
            format!("the {role} is in the history, but none of the lines that {} adds is in the files", short(oid));
        if likeness == Likeness::NotApplied {
            return Ok(Some(format!(
                "{says}, and those that it removes are: a merge's own content, or a commit that does not say so, took \
                 it out"
            )));
        }
        let by = lost::taken_out_by(self.history, carrier, oid, &one.step.files)?;
        Ok(by.map(|by| format!("{says}: {} took it out without a word", self.history.call(by))))
    }

    /// Whether all lines that a step adds are in the files, whoever brought them.
    fn is_in_the_files(&self, one: &Found) -> bool {
        one.carriers.model.is_some_and(|model| self.likeness(model, one.step) == Likeness::Applied)
    }

    fn likeness(&self, step: Oid, of: &Step) -> Likeness {
        likeness(self.history.repository.git(), step, self.history.commit, &of.files)
    }
}
