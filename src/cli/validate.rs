//! `backproof validate`: may this kernel go out?

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::Args;

use super::run::{JudgedRun, in_folder};
use super::subject::{Named, named};
use super::{Format, MachineArgs, Output, Stop, ended, host, matrix_file, show};
use crate::exit::Exit;
use crate::json;
use crate::kernel::{self, Cached, Kernel, Obtain, Store};
use crate::matrix::{Acceptance, Bug, Bugs, FILE_MAX, GatePolicy, KernelEntry, Matrix, Profile, SEEDS_MAX};
use crate::regular;
use crate::report::{Fetching, markdown};
use crate::results::{FolderError, RunSelection, write_file};
use crate::run::{CacheUse, Cell, Lab, RunPlan};
use crate::validate::{
    Candidate, ControlsJudged, Difference, Gate, GateCell, GateRules, JudgedFile, KernelParts, SCHEMA_VERSION,
    Statement, ToolRecord, Validation, Vex, WrittenFiles, check,
};
use crate::vm::shell_word;
use crate::words::{BugId, KernelName, ProfileName};

/// The profile of `--sysctl` and `--cmdline`.
const OWN_PROFILE: &str = "own";

#[derive(Args, Debug)]
pub(in crate::cli) struct Validate {
    /// Package, image, built tree, URL, mainline:VERSION, or the name of a kernel in the matrix
    #[arg(value_name = "KERNEL")]
    candidate: OsString,
    /// Show how KERNEL differs from this one
    #[arg(long, value_name = "KERNEL")]
    baseline: Option<OsString>,
    /// Only tell whether KERNEL is what this document of an earlier validation is about
    #[arg(long, value_name = "FILE", conflicts_with_all = ["baseline", "policy", "accept"])]
    check: Option<PathBuf>,
    /// Read what the gate requires and what was accepted from this file
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Open the gate although BUG is unknown, skip, unproven, affected or fixed-with-defect (repeatable)
    #[arg(long, value_name = "BUG=WHAT[:REASON]")]
    accept: Vec<String>,
    /// Judge only this bug: a name, a CVE or a commit (repeatable)
    #[arg(long, value_name = "BUG")]
    bug: Vec<BugId>,
    /// Judge under this profile, or under all (repeatable) [default: default]
    #[arg(long, value_name = "NAME")]
    profile: Vec<ProfileName>,
    /// Judge under the sysctls of this file, or of a folder's *.conf (repeatable)
    #[arg(long, value_name = "PATH")]
    sysctl: Vec<PathBuf>,
    /// Judge with these parameters on the kernel's command line
    #[arg(long, value_name = "PARAMETERS")]
    cmdline: Option<String>,
    /// Give no answer unless control kernels are built
    #[arg(long)]
    require_controls: bool,
    /// Boot each guest under N seeds, from --seed on, in virtual time [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(SEEDS_MAX)))]
    seeds: Option<u32>,
    /// Boot KERNEL and the baseline, even if their boots are cached
    #[arg(long)]
    fresh: bool,
    /// Take names of kernels and profiles from this matrix [default: ./kernels.yaml, or the built-in one]
    #[arg(long, value_name = "FILE")]
    matrix: Option<PathBuf>,
    /// Add your own dossiers from this folder
    #[arg(long, value_name = "DIR")]
    dossiers: Option<PathBuf>,
    /// Use only the cache, never the network
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    output: Output<Format>,
    #[command(flatten)]
    host: MachineArgs,
}

/// Judges a candidate, and gives the gate's exit code.
pub(super) fn validate(args: &Validate) -> Result<Exit, Stop> {
    if let Some(document) = &args.check {
        let checked = check(document, Path::new(&args.candidate)).map_err(Stop::usage)?;
        let exit = if checked.is.is_some() { Exit::Clean } else { Exit::Affected };
        return ended(exit, show(&checked, args.output.format, args.output.style()));
    }
    let asked = Asked::of(args)?;
    // A kernel that cannot be had is found before anything is booted.
    let candidate = obtain(&asked.candidate, args)?;
    let baseline = asked.baseline.as_ref().map(|baseline| obtain(baseline, args)).transpose()?;
    // Both runs share it: what the first one learns of KVM holds for the second.
    let lab = Arc::new(host::lab(&args.host, asked.seeds, args.offline, false, host::cpus())?);
    let Some(ControlsRun { judged: controls, written: kept }) = judge_controls(&asked, &lab, args)? else {
        return Ok(Exit::Interrupted);
    };
    let judged = controls.wrong.is_empty().then(|| asked.run(&lab, args)).transpose()?;
    let validation = asked.validation(&candidate, baseline.as_ref(), controls, judged.as_ref(), &lab.store, args);
    let written = judged.map_or(Ok(()), |judged| {
        write(&asked, &validation, &judged)?;
        judged.written.map_err(Stop::no_verdict)
    });
    // A full disk loses no answer.
    let written = written.and(kept.map_err(Stop::no_verdict));
    let printed = show(&validation, args.output.format, args.output.style());
    ended(ended(validation.exit_code, printed)?, written)
}

/// What the command line asks, checked.
struct Asked {
    bugs: Bugs,
    matrix: Matrix,
    candidate: Named,
    baseline: Option<Named>,
    policy: GatePolicy,
    policy_file: Option<JudgedFile>,
    /// The bugs of `--bug`.
    named: Vec<BugId>,
    /// The bugs to judge.
    ids: Vec<BugId>,
    profiles: Vec<Profile>,
    seeds: u32,
}

impl Asked {
    fn of(args: &Validate) -> Result<Self, Stop> {
        let bugs = matrix_file::bugs(args.dossiers.as_deref())?;
        let mut matrix = matrix_file::matrix(args.matrix.as_deref(), &bugs)?;
        let bugs = matrix.known.clone();
        let (policy, policy_file) = policy(args, &bugs)?;
        let named: Vec<BugId> = matrix_file::named(&bugs, &args.bug)?.into_iter().map(|bug| bug.id.clone()).collect();
        let ids: Vec<BugId> = match (named.is_empty(), policy.bugs.is_empty()) {
            (false, _) => named.clone(),
            (true, false) => policy.bugs.iter().map(|(bug, _)| bug.clone()).collect(),
            (true, true) => bugs.iter().map(|bug| bug.id.clone()).collect(),
        };
        let (candidate, baseline) = kernels(args, &matrix)?;
        let mut profiles = if args.profile.is_empty() { policy.profiles.clone() } else { args.profile.clone() };
        profiles.extend(own_profile(args, &ids, &mut matrix)?);
        let seeds = args.seeds.or(policy.seeds).unwrap_or(1);
        let mut asked =
            Self { bugs, matrix, candidate, baseline, policy, policy_file, named, ids, profiles: Vec::new(), seeds };
        let matrix = asked.matrix_of(asked.entries());
        asked.profiles = matrix.choose_profiles(&asked.bugs, &profiles).map_err(Stop::usage)?;
        Ok(asked)
    }

    /// The candidate, and the baseline if there is one.
    fn entries(&self) -> Vec<KernelEntry> {
        let entry =
            |named: &Named| KernelEntry { bugs: self.ids.clone(), expect: BTreeMap::new(), ..named.entry.clone() };
        std::iter::once(&self.candidate).chain(&self.baseline).map(entry).collect()
    }

    /// The matrix with these kernels only.
    fn matrix_of(&self, kernels: Vec<KernelEntry>) -> Matrix {
        Matrix { kernels, bugs: self.ids.clone(), ..self.matrix.clone() }
    }

    /// Judges the candidate and the baseline.
    fn run(&self, lab: &Arc<Lab>, args: &Validate) -> Result<JudgedRun, Stop> {
        let cache = if args.fresh { CacheUse::Fresh } else { CacheUse::Virtual };
        let plan = self.plan(self.entries(), self.profiles.clone(), cache)?;
        in_folder(RunPlan { seeds: self.seeds, ..plan }, RunSelection::default(), lab, &args.host.results)
    }

    fn plan(&self, kernels: Vec<KernelEntry>, profiles: Vec<Profile>, cache: CacheUse) -> Result<RunPlan, Stop> {
        RunPlan::plain(self.matrix_of(kernels), self.bugs.clone(), profiles, cache).map_err(Stop::usage)
    }

    /// The answer, with the kernels as they were obtained.
    fn validation(
        &self,
        candidate: &Kernel,
        baseline: Option<&Kernel>,
        controls: ControlsJudged,
        judged: Option<&JudgedRun>,
        store: &Store,
        args: &Validate,
    ) -> Validation {
        let document = judged.map(|judged| &judged.document);
        let rules = GateRules { policy: &self.policy, named: &self.named, bugs: &self.bugs, today: host::today() };
        let of = |named: &Named| -> Vec<&Cell> {
            document.iter().flat_map(|document| &document.cells).filter(|cell| cell.kernel == *named.name()).collect()
        };
        let bugs: Vec<&Bug> = self.ids.iter().filter_map(|id| self.bugs.get(id)).collect();
        let parts = |kernel: &Kernel| KernelParts::of(kernel, &bugs, store);
        let difference = document.and(self.baseline.as_ref()).zip(baseline).map(|(named, baseline)| {
            Difference::between((&of(named), &parts(baseline)), (&of(&self.candidate), &parts(candidate)), &bugs)
        });
        let describe = |named: &Named| Candidate::of(&named.subject, &named.entry, document);
        let cells: Vec<GateCell> = of(&self.candidate).into_iter().map(|cell| rules.judge(cell)).collect();
        let needs_controls = self.policy.requires_controls || args.require_controls;
        let interrupted = document.is_some_and(|document| document.run.interrupted);
        let (gate, reasons) = Gate::of(&cells, &rules.needed(&self.ids), &controls, needs_controls);
        let name = self.candidate.name();
        let record = document.and_then(|document| document.kernels.iter().find(|one| one.name == *name));
        Validation {
            schema_version: SCHEMA_VERSION,
            gate,
            reasons,
            candidate: describe(&self.candidate),
            cells,
            baseline: self.baseline.as_ref().map(describe),
            difference,
            controls,
            policy: self.policy_file.clone(),
            accepted: self.policy.accepted.clone(),
            tool: document.map(|document| ToolRecord::of(&document.run)),
            boots: record.map(|record| record.boots.iter().map(Into::into).collect()).unwrap_or_default(),
            folder: judged.map(|judged| judged.folder.display().to_string()),
            repeat: judged.map(|judged| repeat(judged, name)).unwrap_or_default(),
            exit_code: if interrupted { Exit::Interrupted } else { gate.exit() },
        }
    }
}

/// The policy with what the command line accepts, and its file.
fn policy(args: &Validate, bugs: &Bugs) -> Result<(GatePolicy, Option<JudgedFile>), Stop> {
    let (mut policy, mut file) = (GatePolicy::default(), None);
    if let Some(path) = &args.policy {
        let read = regular::read(path, FILE_MAX as u64);
        let bytes = read.with_context(|| format!("cannot read the policy {}", path.display())).map_err(Stop::usage)?;
        policy = GatePolicy::parse(&bytes, path, bugs).map_err(Stop::usage)?;
        let (sha256, _) = kernel::sha256_of(&mut bytes.as_slice()).map_err(Stop::no_verdict)?;
        file = Some(JudgedFile { name: path.display().to_string(), sha256 });
    }
    for text in &args.accept {
        let accepted = Acceptance::parse(text, bugs);
        policy.accepted.push(accepted.map_err(|why| Stop::usage(anyhow!("--accept: {why}")))?);
    }
    Ok((policy, file))
}

/// The candidate, and the baseline if there is one.
fn kernels(args: &Validate, matrix: &Matrix) -> Result<(Named, Option<Named>), Stop> {
    let texts: Vec<&OsStr> = std::iter::once(&args.candidate).chain(&args.baseline).map(OsString::as_os_str).collect();
    let mut found = named(&texts, matrix)?.into_iter();
    let candidate = found.next().ok_or_else(|| Stop::usage(anyhow!("no kernel was named")))?;
    Ok((candidate, found.next()))
}

/// Adds the profile of `--sysctl` and `--cmdline` to the matrix. Returns its name, if they are given.
fn own_profile(args: &Validate, bugs: &[BugId], matrix: &mut Matrix) -> Result<Option<ProfileName>, Stop> {
    if args.sysctl.is_empty() && args.cmdline.is_none() {
        return Ok(None);
    }
    let name: ProfileName = OWN_PROFILE.parse().map_err(Stop::usage)?;
    if matrix.profiles.iter().any(|profile| profile.name == name) {
        let path = matrix.path.display();
        let why = format!("{path} has a profile `{name}`, which --sysctl and --cmdline need: rename it");
        return Err(Stop::usage(anyhow!(why)));
    }
    let files = sysctl_files(&args.sysctl)?;
    let own = Profile::of_command_line(name.clone(), bugs.to_vec(), files, args.cmdline.as_deref());
    matrix.profiles.push(own.map_err(|why| Stop::usage(anyhow!("--sysctl and --cmdline: {why}")))?);
    Ok(Some(name))
}

/// The commands that repeat a validation.
fn repeat(judged: &JudgedRun, kernel: &KernelName) -> Vec<String> {
    const FRESH: &str = "--fresh";
    let arguments = judged.document.run.arguments.iter().map(String::as_str).filter(|word| *word != FRESH);
    let words: Vec<String> = arguments.chain([FRESH]).map(shell_word).collect();
    // By its path, because --results may have named another folder.
    let folder = shell_word(&judged.folder.display().to_string());
    vec![format!("backproof {}", words.join(" ")), format!("backproof replay {folder} {kernel}")]
}

/// The judged control kernels.
struct ControlsRun {
    judged: ControlsJudged,
    /// Whether their results could be written.
    written: Result<(), FolderError>,
}

/// Judges the built control kernels under the kernel's own settings: a verifier that misjudges one judges nothing.
/// None if interrupted.
fn judge_controls(asked: &Asked, lab: &Arc<Lab>, args: &Validate) -> Result<Option<ControlsRun>, Stop> {
    let built_in = matrix_file::built_in(&asked.bugs)?;
    let is_built = |entry: &KernelEntry| kernel::cached(&entry.source, None, &lab.store).0 == Cached::Yes;
    let controls = built_in.kernels.into_iter().filter(KernelEntry::is_control);
    let mut entries: Vec<KernelEntry> = controls.filter(is_built).collect();
    for entry in &mut entries {
        // Only the recipe knows what a control is, and it knows nothing of other bugs.
        entry.bugs.retain(|bug| asked.ids.contains(bug) && entry.expect.contains_key(bug));
    }
    entries.retain(|entry| !entry.bugs.is_empty());
    if entries.is_empty() {
        return Ok(Some(ControlsRun { judged: ControlsJudged::default(), written: Ok(()) }));
    }
    let kernels = entries.len();
    let own = vec![Profile::default_for(asked.ids.clone())];
    // Also with --fresh: a kept boot is judged again by today's rules.
    let plan = asked.plan(entries, own, CacheUse::Virtual)?;
    let JudgedRun { document, folder, written, lease: _lease } =
        in_folder(plan, RunSelection::default(), lab, &args.host.results)?;
    let judged = ControlsJudged {
        kernels,
        cells: document.summary.controls,
        wrong: document.cannot_be_trusted.clone(),
        unproven: document.summary.controls_unproven,
        folder: Some(folder.display().to_string()),
    };
    Ok((!document.run.interrupted).then_some(ControlsRun { judged, written }))
}

fn obtain(named: &Named, args: &Validate) -> Result<Kernel, Stop> {
    let obtain = |with: &Obtain| kernel::obtain(&named.entry.source, with);
    host::obtaining(&args.host.cache, args.offline, &Fetching::new(), obtain)
}

/// The files of sysctls: those that are named, and the `*.conf` of folders, in the order of their names (sysctl.d(5)).
fn sysctl_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Stop> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let unreadable = || format!("cannot read the folder {}", path.display());
        let entries = fs::read_dir(path).with_context(unreadable).map_err(Stop::usage)?;
        let mut below = Vec::new();
        for entry in entries {
            let file = entry.with_context(unreadable).map_err(Stop::usage)?.path();
            if file.extension() == Some(OsStr::new("conf")) {
                below.push(file);
            }
        }
        if below.is_empty() {
            return Err(Stop::usage(anyhow!(
                "{} has no *.conf: name a file, or a folder like /etc/sysctl.d",
                path.display()
            )));
        }
        below.sort();
        files.extend(below);
    }
    Ok(files)
}

/// Writes what is attached to a rollout, each file whole or not at all.
fn write(asked: &Asked, validation: &Validation, judged: &JudgedRun) -> Result<(), Stop> {
    let advice = |cell: &GateCell| {
        let mut cells = judged.document.cells.iter().filter(|one| one.kernel == validation.candidate.name);
        let cell = cells.find(|one| one.bug == cell.bug && one.profile == cell.profile)?;
        cell.judgement.advice.first().map(|advice| advice.says.clone())
    };
    let documents = [
        (WrittenFiles::JSON, json::to_vec(validation)),
        (WrittenFiles::STATEMENT, json::to_vec(&Statement::of(validation))),
        (WrittenFiles::VEX, json::to_vec(&Vex::of(validation, &asked.bugs, advice))),
        (WrittenFiles::PAGE, Ok(markdown(validation).into_bytes())),
    ];
    for (name, bytes) in documents {
        let bytes = bytes.with_context(|| format!("could not write {name}")).map_err(Stop::no_verdict)?;
        write_file(&judged.folder.join(name), &bytes, true).map_err(Stop::no_verdict)?;
    }
    Ok(())
}
