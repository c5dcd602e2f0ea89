//! What a proof is about: the bug and its reproducer, and how kernels are judged for it.

use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;

use super::Prove;
use crate::cli::{AccelArg, MachineArgs, Stop, TimeArg, host, matrix_file};
use crate::matrix::{Bug, Bugs, KernelEntry, Matrix, PositiveControl, Profile};
use crate::results::MatrixDocument;
use crate::run::{CacheUse, Lab, RunPlan};
use crate::verdict::Verdict;
use crate::vm::shell_word;
use crate::words::{KernelName, Outcome};

/// The bug of a proof.
pub(super) struct ProofQuestion {
    pub(super) bugs: Bugs,
    pub(super) bug: Bug,
    pub(super) profiles: Vec<Profile>,
    cache: CacheUse,
}

impl ProofQuestion {
    pub(super) fn of(args: &Prove) -> Result<Self, Stop> {
        let mut bugs = matrix_file::bugs(args.dossiers.as_deref())?;
        let bug = match (&args.bug, &args.reproducer) {
            (Some(name), _) => bugs.find(name.as_str()).map_err(Stop::usage)?.clone(),
            (None, Some(program)) => {
                let bug = Bug::of_program(program).map_err(|why| Stop::usage(anyhow!("--reproducer: {why}")))?;
                bugs = bugs.with(bug.clone()).map_err(|why| Stop::usage(anyhow!("--reproducer: {why}")))?;
                bug
            }
            (None, None) => return Err(Stop::usage(anyhow!("name a bug with --bug, or a program with --reproducer"))),
        };
        if bug.reproducer.is_none() {
            let why = format!("{} has no reproducer, so no boot can prove anything: give one to its dossier", bug.id);
            return Err(Stop::usage(anyhow!(why)));
        }
        let cache = match (args.fresh, args.reuse) {
            (true, _) => CacheUse::Fresh,
            (false, true) => CacheUse::All,
            (false, false) => CacheUse::Virtual,
        };
        let profiles = vec![Profile::default_for(vec![bug.id.clone()])];
        Ok(Self { bugs, bug, profiles, cache })
    }

    /// The path that stands for the matrix.
    pub(super) fn matrix(&self) -> Matrix {
        Matrix::of_kernels(Vec::new(), self.bugs.clone(), vec![self.bug.id.clone()])
    }

    /// Options that its kernels are built with, beside the configuration.
    pub(super) fn needs(&self) -> Vec<String> {
        let mut needs: Vec<String> = self.bug.needed_options().cloned().collect();
        needs.sort();
        needs.dedup();
        needs
    }

    /// A plan for these kernels.
    pub(super) fn plan(&self, kernels: Vec<KernelEntry>) -> Result<RunPlan, Stop> {
        let matrix = Matrix { kernels, ..self.matrix() };
        let plan = RunPlan::plain(matrix, self.bugs.clone(), self.profiles.clone(), self.cache);
        let mut plan = plan.map_err(Stop::usage)?;
        // The other side of a proof is the kernel without the change.
        for programs in plan.programs.values_mut() {
            programs.control.take_if(|control| matches!(control.kind, PositiveControl::Without(_)));
        }
        Ok(plan)
    }

    /// The lab, and how many seeds each kernel is booted under. Time is virtual unless the user wants the host's, because
    /// a proof should repeat.
    pub(super) fn lab(args: &Prove, default: u32) -> Result<(Arc<Lab>, u32), Stop> {
        let is_real = is_real(args);
        let seeds = args.seeds.unwrap_or(if is_real { 1 } else { default });
        let time = if is_real { args.host.time } else { Some(TimeArg::Virtual) };
        let machine = MachineArgs { time, ..args.host.clone() };
        let lab = host::lab(&machine, seeds, args.offline, false, host::cpus())?;
        Ok((Arc::new(lab), seeds))
    }
}

/// Whether guests run by the host's clock, so that a second boot is another schedule.
pub(super) fn is_real(args: &Prove) -> bool {
    args.host.accel == AccelArg::Kvm || args.host.time == Some(TimeArg::Real)
}

/// What a kernel's boot says, and nothing else.
pub(super) fn boot_verdict(document: &MatrixDocument, name: &KernelName) -> Verdict {
    let cell = document.cells.iter().find(|cell| cell.kernel == *name);
    let booted =
        cell.filter(|cell| matches!(cell.outcome, Outcome::Pass | Outcome::Fail) && !cell.trials.boots.is_empty());
    booted.map_or(Verdict::Unknown, |cell| cell.judgement.verdict)
}

/// The command that repeats a proof.
pub(super) fn repeat(arguments: &[String]) -> String {
    let words: Vec<String> = arguments.iter().map(|word| shell_word(word)).collect();
    format!("backproof {}", words.join(" "))
}

/// A path, for people.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}
