//! Runs the positive controls of users' own reproducers: what must show the bug, so that a pass is proven.

use std::collections::BTreeMap;
use std::path::Path;

use backproof_protocol::Shown;
use serde::{Deserialize, Serialize};

use super::autoload::boot_with_requested;
use super::boots::{Bench, Booted};
use super::engine::obtain;
use super::profile_modules::add_profile_modules;
use super::programs::{OwnPrograms, PlannedControl};
use super::seeds::SeedCount;
use super::settle::modules;
use super::trial::{Trial, needed_modules};
use crate::evidence::Strength;
use crate::evidence::runtime::proven_by;
use crate::kernel::Kernel;
use crate::kernel::build::PATCH_MAX;
use crate::matrix::{BuildSource, KernelEntry, PositiveControl, Source};
use crate::regular;
use crate::verdict::Boots;
use crate::words::{BugId, JobId};

/// What the positive control of a user's own reproducer showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlShown {
    /// What was to show the bug.
    pub what: String,
    /// Whether it did; `unclear` if it has no result.
    pub shown: Shown,
    /// By what, or why not.
    pub why: String,
    /// The folders of its boots, below the kernel's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boots: Vec<String>,
}

/// A job that passed, but nothing proves it yet.
#[derive(Clone, Copy)]
struct Unproven<'a> {
    trial: Trial<'a>,
    control: &'a PlannedControl,
}

impl<'a> Unproven<'a> {
    /// The trial of its control.
    fn control_trial(&self) -> Trial<'a> {
        let program = self.control.program.as_ref().or(self.trial.program);
        Trial { reproducer: &self.control.reproducer, program, shares: false, ..self.trial }
    }

    /// What is to show the bug.
    fn what(&self) -> String {
        let name = |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        match &self.control.kind {
            PositiveControl::Program { path, args } => {
                let words: Vec<String> = std::iter::once(name(path)).chain(args.iter().cloned()).collect();
                format!("`{}`", words.join(" "))
            }
            PositiveControl::Without(patch) => format!("this kernel without {}", name(patch)),
        }
    }
}

/// Runs the controls of the jobs whose pass nothing proves yet, and adds what they show to what the jobs' boots came to.
pub(super) async fn run_controls(
    bench: &Bench<'_>,
    trials: &[Trial<'_>],
    programs: &BTreeMap<BugId, OwnPrograms>,
    booted: &mut BTreeMap<JobId, Booted>,
) {
    let unproven = trials.iter().filter_map(|trial| {
        let control = programs.get(trial.bug)?.control.as_ref()?;
        let Boots::Showed(finding) = &booted.get(&trial.id())?.settlement.boots else { return None };
        let is_unproven = !finding.is_affected() && finding.strength == Strength::Weak;
        is_unproven.then_some(Unproven { trial: *trial, control })
    });
    let unproven: Vec<Unproven> = unproven.collect();
    let (mut here, mut without): (Vec<Unproven>, BTreeMap<&Path, Vec<Unproven>>) = (Vec::new(), BTreeMap::new());
    for one in unproven {
        match &one.control.kind {
            PositiveControl::Program { .. } => here.push(one),
            PositiveControl::Without(patch) => without.entry(patch).or_default().push(one),
        }
    }
    let mut shown: Vec<(Unproven, Result<Booted, String>)> = Vec::new();
    if !here.is_empty() {
        // Its dossier says under how many seeds the control is tried: more cannot change what it shows.
        let bench = Bench { seeds: 1, confirm: 1, reach: &[], control: Some("a positive control"), ..*bench };
        shown.extend(boot(&bench, here).await);
    }
    for (patch, jobs) in without {
        match kernel_without(bench, patch).await {
            Ok((entry, kernel)) => shown.extend(boot_without(bench, &entry, &kernel, jobs).await),
            Err(why) => shown.extend(jobs.into_iter().map(|job| (job, Err(why.clone())))),
        }
    }
    for (job, control) in shown {
        if let Some(booted) = booted.get_mut(&job.trial.id()) {
            tell(&job, control, booted);
        }
    }
}

async fn boot<'a>(bench: &Bench<'_>, jobs: Vec<Unproven<'a>>) -> Vec<(Unproven<'a>, Result<Booted, String>)> {
    let trials: Vec<Trial> = jobs.iter().map(Unproven::control_trial).collect();
    let mut booted = boot_with_requested(bench, &trials).await;
    let result = |job: Unproven<'a>| {
        let boot = booted.remove(&job.trial.id()).ok_or_else(|| "it was not booted".to_owned());
        (job, boot)
    };
    jobs.into_iter().map(result).collect()
}

async fn boot_without<'a>(
    bench: &Bench<'_>,
    entry: &KernelEntry,
    kernel: &Kernel,
    jobs: Vec<Unproven<'a>>,
) -> Vec<(Unproven<'a>, Result<Booted, String>)> {
    let needed = |job: &Unproven<'a>| {
        let Trial { reproducer, program, .. } = job.control_trial();
        (job.trial.bug, needed_modules(reproducer, program))
    };
    let needed: Vec<_> = jobs.iter().map(needed).collect();
    let (mut loaded, lacking) = modules(kernel, &needed);
    let (jobs, lacks): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| !lacking.contains_key(job.trial.bug));
    // The kernel under test had them, or nothing would have passed on it; and it said what its profiles lack.
    let _ = add_profile_modules(kernel, jobs.iter().map(|job| job.trial.profile), &mut loaded);
    let bench = Bench {
        entry,
        kernel,
        modules: &loaded,
        confirm: 1,
        reach: &[],
        control: Some("the kernel without a patch"),
        ..*bench
    };
    let mut shown = boot(&bench, jobs).await;
    shown.extend(lacks.into_iter().map(|job| (job, Err("it lacks the modules of the reproducer".to_owned()))));
    shown
}

/// The kernel under test, built without a patch.
///
/// # Errors
/// Why there is none.
async fn kernel_without(bench: &Bench<'_>, patch: &Path) -> Result<(KernelEntry, Kernel), String> {
    let Source::Build(source) = &bench.entry.source else {
        return Err("only a kernel of `build:` can be built without a patch".to_owned());
    };
    let source = Source::Build(source_without(source, patch));
    let entry = KernelEntry { source, optional: false, ..bench.entry.clone() };
    let kernel = obtain(&entry, None, bench.lab, bench.events).await.map_err(|boots| match boots {
        Boots::Broke(why) | Boots::Inapplicable { reason: why, .. } => why,
        _ => "it cannot be built".to_owned(),
    })?;
    if kernel.image_sha256 == bench.kernel.image_sha256 {
        return Err("the patch doesn't change this kernel: both builds are the same".to_owned());
    }
    Ok((entry, kernel))
}

/// The source without a patch: it is not applied, or taken out.
fn source_without(source: &BuildSource, patch: &Path) -> BuildSource {
    let bytes = |path: &Path| regular::read(path, PATCH_MAX).ok();
    let wanted = bytes(patch);
    let is_it = |path: &Path| path == patch || (wanted.is_some() && bytes(path) == wanted);
    let mut without = source.clone();
    without.patches.retain(|path| !is_it(path));
    if without.patches.len() == source.patches.len() {
        without.revert.push(patch.to_owned());
    }
    without
}

/// Adds to a pass what its control showed.
fn tell(job: &Unproven<'_>, control: Result<Booted, String>, booted: &mut Booted) {
    let what = job.what();
    let (shown, why, boots, seeds) = match control {
        Err(why) => (Shown::Unclear, why, Vec::new(), None),
        Ok(control) => {
            booted.seconds += control.seconds;
            let (shown, why) = match control.settlement.boots {
                Boots::Showed(finding) if finding.is_affected() => (Shown::Yes, finding.why),
                Boots::Showed(finding) => (Shown::No, finding.why),
                Boots::Inapplicable { reason, .. }
                | Boots::NotCompiled(reason)
                | Boots::Broke(reason)
                | Boots::NotReached(reason) => (Shown::Unclear, reason),
                Boots::NotAsked => (Shown::Unclear, "it was not booted".to_owned()),
            };
            (shown, why, control.folders, control.seeds)
        }
    };
    let first = why.lines().next().unwrap_or_default().to_owned();
    if let Boots::Showed(finding) = &mut booted.settlement.boots {
        // Another program shows the bug as often as it likes; the same one on the other kernel shows how often it can.
        let same = matches!(job.control.kind, PositiveControl::Without(_));
        let too_few = if same { SeedCount::seeds_to_prove(seeds, booted.seeds) } else { None };
        match (shown, too_few) {
            (Shown::Yes, None) => *finding = proven_by(finding, &format!("{what} shows the bug: {first}")),
            (Shown::Yes, Some(needed)) => {
                finding.why += &format!(
                    "; {what} shows the bug, but in so few schedules this silence may be chance: --seeds {needed} suffices"
                );
            }
            (Shown::No, _) if !job.trial.profile.sysctls.is_empty() || job.trial.profile.cmdline.is_some() => {
                finding.why +=
                    &format!("; its positive control ({what}) shows nothing under this profile, either: {first}");
            }
            (Shown::No, _) => {
                let why = format!("its positive control failed: {what} must show the bug, but does not: {first}");
                booted.settlement.boots = Boots::Broke(why);
            }
            (Shown::Unclear, _) => finding.why += &format!("; its positive control ({what}) has no result: {first}"),
        }
    }
    booted.positive_control = Some(ControlShown { what, shown, why, boots });
}

#[cfg(test)]
#[path = "positive_control_tests.rs"]
pub(super) mod tests;
