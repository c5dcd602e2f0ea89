//! Which reproducer killed a guest that several shared.
//!
//! Reports that came before the guest's own death are kept, and the rest boots again: each job that was running (or the last
//! to report, if none was) alone, those that had not started together. If a job that had started dies alone, it explains the
//! death. If none does, the kernel may have died late of another that had reported, so those boot again, too, in halves,
//! until one dies alone. That is no retry: a job that dies alone has its answer, and a death that nothing repeats is recorded
//! as unexplained.

use std::collections::BTreeMap;

use super::boots::{JobBoots, Waiting};
use super::guest_boot::GuestBoot;
use super::trial::Trial;
use crate::words::JobId;

/// A guest with several jobs that died after it came up.
pub(super) struct SharedDeath<'t> {
    /// All of its jobs.
    pub(super) together: Vec<JobId>,
    /// Those that may have killed it: all that had started.
    started: Vec<JobId>,
    /// The schedule.
    pub(super) schedule: u32,
    /// How it died.
    pub(super) failure: String,
    reported: Vec<Trial<'t>>,
    running: Vec<Trial<'t>>,
    planned: Vec<Trial<'t>>,
}

impl<'t> SharedDeath<'t> {
    /// The death of this guest, if it is one.
    pub(super) fn of(guest: &Waiting<'t>, booted: &GuestBoot) -> Option<Self> {
        let end = &booted.end;
        let failure = end.failure.clone()?;
        // What the host did is retried, and no job explains it.
        let is_of_the_host = end.death.as_ref().is_some_and(|death| death.kind.is_of_the_host());
        if end.release.is_none() || guest.trials.len() < 2 || is_of_the_host {
            return None;
        }
        let (reported, others): (Vec<_>, Vec<_>) =
            guest.trials.iter().copied().partition(|trial| end.has_report(&trial.id()));
        let is_own = end.death.as_ref().is_some_and(|death| death.kind.is_of_the_guest());
        let has_started = |trial: &Trial| is_own && end.started.contains(&trial.id().to_string());
        let (running, planned): (Vec<_>, Vec<_>) = others.into_iter().partition(has_started);
        let together: Vec<JobId> = guest.trials.iter().map(Trial::id).collect();
        // Where none had started, the kernel or the host may have died of anything.
        let mut started: Vec<JobId> = reported.iter().chain(&running).map(Trial::id).collect();
        if started.is_empty() {
            started.clone_from(&together);
        }
        Some(Self { together, started, schedule: guest.schedule, failure, reported, running, planned })
    }

    /// The guests in which the jobs that the death interrupted boot again.
    pub(super) fn unfinished(&mut self) -> Vec<Waiting<'t>> {
        let (running, planned) = (std::mem::take(&mut self.running), std::mem::take(&mut self.planned));
        // Together, they would die again of what is not theirs.
        let none_began = running.is_empty() && self.reported.is_empty();
        let (alone, together) = if none_began { (planned, Vec::new()) } else { (running, planned) };
        let mut guests: Vec<Vec<Trial>> = alone.into_iter().map(|trial| vec![trial]).collect();
        guests.push(together);
        self.waiting(guests)
    }

    /// The guests in which its reports are checked again, if nothing that it interrupted dies alone. None the second time.
    pub(super) fn suspects(&mut self, jobs: &BTreeMap<JobId, JobBoots>) -> Vec<Waiting<'t>> {
        let mut reported = std::mem::take(&mut self.reported);
        if self.is_explained(jobs) {
            return Vec::new();
        }
        let later = reported.split_off(reported.len() / 2);
        self.waiting(vec![reported, later])
    }

    /// Whether one of the jobs that may have killed it died alone.
    pub(super) fn is_explained(&self, jobs: &BTreeMap<JobId, JobBoots>) -> bool {
        self.started.iter().any(|job| jobs.get(job).is_some_and(|boots| boots.has_died(self.schedule)))
    }

    fn waiting(&self, guests: Vec<Vec<Trial<'t>>>) -> Vec<Waiting<'t>> {
        let guests = guests.into_iter().filter(|trials| !trials.is_empty());
        guests.map(|trials| Waiting { trials, schedule: self.schedule }).collect()
    }
}
