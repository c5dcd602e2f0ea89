//! The trials of a kernel, and which of them share a guest.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use backproof_protocol::{Job, ProgramRun};

use super::boot_end::BootEnd;
use super::boots::Booted;
use super::crash::CrashWanted;
use super::reach::tell_reach;
use super::settle::{JobTerms, Settlement, by_boot};
use crate::evidence::runtime::Ran;
use crate::guest::{self, GuestProgram, GuestRootfs, RootfsImage};
use crate::kernel::{Module, module_name};
use crate::matrix::{CrashOracle, Needs, OwnProgram, Profile, ReproducerSpec, TellingString};
use crate::verdict::Boots;
use crate::vm::DISK_MODULES;
use crate::words::{BugId, JobId, ProfileName};

/// The natural checks multiply a job's deadline by this, because they wait for silent connections.
const NATURAL_DEADLINE: u32 = 2;

/// The most bytes of programs in one guest, which has them twice while its initramfs is unpacked.
const PROGRAMS_MAX: usize = 128 << 20;

/// The most functions to count in one guest, beside those of a proof. The agent counts 64.
const GUEST_REACH_MAX: usize = 32;

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
    /// Modules that its program made the kernel request, to load beside those of all.
    pub added: &'a [Module],
}

/// Whose code a guest runs. A program is root in its guest and can write any report. So programs of two bugs share a
/// guest only if the user says so, and never with the agent's reproducers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tenant<'a> {
    /// The agent's own reproducers.
    Ours,
    /// The program of one bug, under any profile.
    Program(&'a BugId),
    /// A program that has a guest for each profile.
    Alone(&'a BugId, &'a ProfileName),
    /// Programs that trust each other.
    Trusting,
}

impl<'a> Trial<'a> {
    /// How a boot settles it. `alone` says whether nothing else ran in its guest.
    pub(super) fn settle(&self, end: &BootEnd, alone: bool) -> Settlement {
        let ran = Ran { sysctls: &self.profile.sysctls, own_program: self.program.is_some() };
        let crash = self.reproducer.own().and_then(|own| own.crash.as_ref()).map(CrashWanted::Described);
        let settlement = by_boot(&self.id(), JobTerms { ran, crash, strings: self.strings, alone }, end);
        match settlement.boots {
            Boots::Broke(reason) => {
                Settlement { boots: Boots::Broke(self.profile.explain(&reason, &end.notes)), ..settlement }
            }
            _ => settlement,
        }
    }

    /// Whose guest it runs in.
    fn tenant(&self) -> Tenant<'a> {
        match self.program {
            None => Tenant::Ours,
            Some(_) if needs_own_guest(self.reproducer) => Tenant::Alone(self.bug, &self.profile.name),
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

    /// How its program is run.
    fn run(&self, own: &OwnProgram) -> ProgramRun {
        let settle = own.crash.as_ref().map_or(Duration::ZERO, |crash| crash.settle);
        ProgramRun {
            protocol: own.protocol,
            args: own.args.clone(),
            env: own.env.clone(),
            mounts: self.reproducer.needs.mounts.clone(),
            runs: own.runs,
            rootfs: own.rootfs.is_some().then(|| self.bug.to_string()),
            rootfs_on_disk: self.image().is_some(),
            disk: self.reproducer.needs.disk_mib.is_some(),
            settle_ms: u64::try_from(settle.as_millis()).unwrap_or(u64::MAX),
            books: own.crash.as_ref().map(CrashOracle::books).unwrap_or_default(),
        }
    }

    /// Functions whose entries its dossier wants to be counted.
    pub(super) fn reach(&self) -> &'a [String] {
        self.reproducer.own().map_or(&[], |own| &own.reach)
    }

    /// Adds to what its boots showed whether the functions ran that its dossier names.
    pub(super) fn tell_reach(&self, booted: &mut Booted) {
        tell_reach(self.reach(), &booted.reach, &mut booted.settlement.boots);
    }

    /// What it asks of its guest.
    pub(super) fn size(&self) -> GuestSize<'a> {
        let Needs { cpus, memory_mib, disk_mib, .. } = self.reproducer.needs;
        GuestSize { cpus, memory_mib, disk_mib, rootfs: self.image().map(RootfsImage::sha256) }
    }

    /// The disk with its rootfs.
    pub(super) fn image(&self) -> Option<&'a RootfsImage> {
        self.program?.rootfs()?.image()
    }

    /// In how many schedules it is tried, if this many are asked for.
    pub(super) fn seeds(&self, asked: u32) -> u32 {
        asked.max(self.reproducer.own().map_or(1, |own| own.seeds))
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
        let program = self.program.map(GuestProgram::path);
        let run = self.reproducer.own().map(|own| self.run(own)).unwrap_or_default();
        let modules = module_files(&needed_modules(self.reproducer, self.program));
        Job { id, program, run, modules, sysctls, natural, ..Job::new(self.bug.as_str(), deadline_ms) }
    }
}

/// Whether a program has a guest of its own under each profile: nobody could tell whose taint or leak it is in a shared one,
/// and what it writes to its disk stays there.
fn needs_own_guest(reproducer: &ReproducerSpec) -> bool {
    let marks = |own: &OwnProgram| own.crash.as_ref().is_some_and(|crash| !crash.books().is_empty());
    reproducer.needs.disk_mib.is_some() || reproducer.own().is_some_and(|own| own.alone || marks(own))
}

/// What a trial asks of its guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GuestSize<'a> {
    /// The least processors.
    pub(super) cpus: Option<u32>,
    /// The least memory, in MiB.
    pub(super) memory_mib: Option<u32>,
    /// The least size of an empty disk, in MiB.
    pub(super) disk_mib: Option<u32>,
    /// The sha256 of the disk with its rootfs.
    pub(super) rootfs: Option<&'a str>,
}

/// File systems of a rootfs on a disk: the disk's own, and what makes it writable.
const ROOTFS_MODULES: [&str; 2] = ["squashfs", "overlay"];

/// The modules without which a reproducer cannot run.
pub(super) fn needed_modules<'a>(reproducer: &'a ReproducerSpec, program: Option<&GuestProgram>) -> Vec<&'a str> {
    let needs = &reproducer.needs;
    let image = program.and_then(GuestProgram::rootfs).and_then(GuestRootfs::image);
    let of_disks = (image.is_some() || needs.disk_mib.is_some()).then_some(DISK_MODULES);
    let of_rootfs = image.map(|_| ROOTFS_MODULES);
    let all = needs.modules.iter().map(String::as_str);
    all.chain(of_disks.into_iter().flatten()).chain(of_rootfs.into_iter().flatten()).collect()
}

/// The files of these modules in a guest.
pub(super) fn module_files(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| guest::module_file(&module_name(name))).collect()
}

/// Groups trials that can share a boot: those with the same kernel command line, the same [`Tenant`] and the same needs of
/// a guest, as long as their programs fit into it.
pub(super) fn by_guest<'a>(trials: &[Trial<'a>]) -> VecDeque<Vec<Trial<'a>>> {
    let mut groups: VecDeque<Vec<Trial>> = VecDeque::new();
    for trial in trials {
        let guest = |trial: &Trial<'a>| (trial.profile.cmdline.as_ref(), trial.tenant(), trial.size());
        let same =
            |group: &&mut Vec<Trial<'a>>| group.iter().all(|other| guest(other) == guest(trial)) && fits(group, trial);
        match groups.iter_mut().find(same) {
            Some(group) => group.push(*trial),
            None => groups.push_back(vec![*trial]),
        }
    }
    groups
}

/// Functions whose entries these trials want to be counted, each once, after those of all guests.
pub(super) fn reach_of(always: &[String], trials: &[Trial<'_>]) -> Vec<String> {
    let mut names: Vec<String> = always.to_vec();
    for name in trials.iter().flat_map(Trial::reach) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Whether a trial's program fits into the guest of these.
fn fits(group: &[Trial<'_>], trial: &Trial<'_>) -> bool {
    let together: Vec<Trial> = group.iter().chain([trial]).copied().collect();
    if reach_of(&[], &together).len() > GUEST_REACH_MAX {
        return false;
    }
    // One copy of a program serves all profiles of its bug.
    let programs: BTreeMap<&BugId, &GuestProgram> =
        together.iter().filter_map(|trial| Some((trial.bug, trial.program?))).collect();
    programs.len() < 2 || GuestProgram::together(programs.into_values()) <= PROGRAMS_MAX
}

#[cfg(test)]
#[path = "trial_tests.rs"]
pub(super) mod tests;
