//! The trials of a kernel, and which of them share a guest.

use std::collections::{BTreeSet, VecDeque};

use backproof_protocol::Job;

use super::boot_end::BootEnd;
use super::settle::{Settlement, by_boot};
use crate::evidence::runtime::Ran;
use crate::guest::{self, GuestProgram};
use crate::kernel::module_name;
use crate::matrix::{Profile, ReproducerSpec, TellingString};
use crate::verdict::Boots;
use crate::words::{BugId, JobId};

/// The natural checks multiply a job's deadline by this, because they wait for silent connections.
const NATURAL_DEADLINE: u32 = 2;

/// A bug to be judged under a profile.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    /// The bug.
    pub bug: &'a BugId,
    /// What provokes it.
    pub reproducer: &'a ReproducerSpec,
    /// The user's program, if it is one.
    pub program: Option<&'a GuestProgram>,
    /// The profile.
    pub profile: &'a Profile,
    /// Whether the user lets its program share a guest with other bugs' programs.
    pub shares: bool,
    /// The bug's telling strings, which may name counters.
    pub strings: &'a [TellingString],
}

/// Whose code a guest runs. A program is root in its guest and can write any report. So programs of two bugs share a
/// guest only if the user says so, and never with the agent's reproducers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tenant<'a> {
    /// The agent's own reproducers.
    Ours,
    /// The program of one bug, under any profile.
    Program(&'a BugId),
    /// Programs that trust each other.
    Trusting,
}

impl<'a> Trial<'a> {
    /// What it takes to weigh its report.
    fn ran(&self) -> Ran<'a> {
        Ran { sysctls: &self.profile.sysctls, own_program: self.program.is_some() }
    }

    /// How a boot settles it.
    pub(super) fn settle(&self, end: &BootEnd) -> Settlement {
        let settlement = by_boot(&self.id(), self.ran(), self.strings, end);
        match settlement.boots {
            Boots::Broke(reason) => Settlement { boots: Boots::Broke(self.profile.explain(&reason)), ..settlement },
            _ => settlement,
        }
    }

    /// Whose guest it runs in.
    fn tenant(&self) -> Tenant<'a> {
        match self.program {
            None => Tenant::Ours,
            Some(_) if self.shares => Tenant::Trusting,
            Some(_) => Tenant::Program(self.bug),
        }
    }

    /// The other bugs whose programs are in its guest.
    pub(super) fn shared_with(&self, guest: &[Self]) -> Vec<BugId> {
        let others = guest.iter().filter(|other| self.program.is_some() && other.bug != self.bug);
        let others: BTreeSet<&BugId> = others.map(|other| other.bug).collect();
        others.into_iter().cloned().collect()
    }

    /// Its job's id.
    pub fn id(&self) -> JobId {
        JobId { bug: self.bug.clone(), profile: self.profile.name.clone() }
    }

    /// Its job, with `patience` times the deadline of a quiet host.
    pub(super) fn job(&self, natural: bool, patience: u32) -> Job {
        let factor = if natural { NATURAL_DEADLINE } else { 1 };
        let deadline = self.reproducer.deadline.saturating_mul(factor * patience);
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        let (id, sysctls) = (self.id().to_string(), self.profile.sysctls.clone());
        let program = self.program.map(|program| program.name().to_owned());
        let modules = needed_modules(self.reproducer);
        Job { id, program, modules, sysctls, natural, ..Job::new(self.bug.as_str(), deadline_ms) }
    }
}

/// The files of the modules without which a reproducer cannot run.
pub(super) fn needed_modules(reproducer: &ReproducerSpec) -> Vec<String> {
    reproducer.needs.modules.iter().map(|name| guest::module_file(&module_name(name))).collect()
}

/// Groups trials that can share a boot: those with the same kernel command line and the same [`Tenant`].
pub(super) fn by_guest<'a>(trials: &[Trial<'a>]) -> VecDeque<Vec<Trial<'a>>> {
    let mut groups: VecDeque<Vec<Trial>> = VecDeque::new();
    for trial in trials {
        let guest = |trial: &Trial<'a>| (trial.profile.cmdline.as_ref(), trial.tenant());
        let same = |group: &&mut Vec<Trial<'a>>| group.iter().all(|other| guest(other) == guest(trial));
        match groups.iter_mut().find(same) {
            Some(group) => group.push(*trial),
            None => groups.push_back(vec![*trial]),
        }
    }
    groups
}

#[cfg(test)]
#[path = "trial_tests.rs"]
mod tests;
