//! `backproof validate`: may this kernel go out?

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};

use super::run::{JudgedRun, in_folder};
use super::subject::{Named, named};
use super::{Stop, Validate, ended, host, matrix_file, show};
use crate::exit::Exit;
use crate::json;
use crate::kernel::{self, Cached, Kernel, Obtain};
use crate::matrix::{Acceptance, Bug, Bugs, GatePolicy, KernelEntry, Matrix, Profile};
use crate::report::{Fetching, markdown};
use crate::results::{MatrixDocument, write_file};
use crate::run::{self, CacheUse, Cell, Lab, RunPlan};
use crate::shim::Shim;
use crate::validate::{
    Candidate, ControlsJudged, Difference, Gate, GateCell, GateRules, JudgedFile, KernelParts, SCHEMA_VERSION,
    Statement, ToolRecord, Validation, Vex, WrittenFiles, check,
};
use crate::words::{BugId, KernelName, ProfileName};

/// The profile of `--sysctl` and `--cmdline`.
const OWN_PROFILE: &str = "own";

/// Judges a candidate, and gives the gate's exit code.
pub(super) fn validate(args: &Validate) -> Result<Exit, Stop> {
    if let Some(document) = &args.check {
        let checked = check(document, Path::new(&args.candidate)).map_err(Stop::usage)?;
        let exit = if checked.is.is_some() { Exit::Clean } else { Exit::Affected };
        return ended(exit, show(&checked, args.output.format, args.output.style()));
    }
    let asked = Asked::of(args)?;
    let texts: Vec<&OsStr> = std::iter::once(&args.candidate).chain(&args.baseline).map(OsString::as_os_str).collect();
    let kernels = named(&texts, &asked.matrix)?;
    // A kernel that cannot be had is found before anything is booted.
    let obtained: Vec<Kernel> = kernels.iter().map(|named| obtain(named, args)).collect::<Result<_, _>>()?;
    // Both runs share it: what the first one learns of KVM holds for the second.
    let lab = Arc::new(host::lab(&args.host, asked.seeds, args.offline, false, host::cpus())?);
    let Some(controls) = judge_controls(&asked, &lab, args)? else { return Ok(Exit::Interrupted) };
    let judged = controls.wrong.is_empty().then(|| asked.run(&kernels, &lab, args)).transpose()?;
    let validation = asked.validation(&kernels, &obtained, controls, judged.as_ref(), args);
    let written = judged.map_or(Ok(()), |judged| {
        write(&asked, &validation, &judged)?;
        judged.written.map_err(Stop::no_verdict)
    });
    let printed = show(&validation, args.output.format, args.output.style());
    ended(ended(validation.exit_code, printed)?, written)
}

/// What the command line asks, checked.
struct Asked {
    bugs: Bugs,
    matrix: Matrix,
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
        let (mut policy, policy_file) = match &args.policy {
            Some(path) => {
                let policy = GatePolicy::load(path, &bugs).map_err(Stop::usage)?;
                let sha256 = crate::regular::open(path).and_then(|mut file| kernel::sha256_of(&mut file));
                let (sha256, _) =
                    sha256.with_context(|| format!("cannot read {}", path.display())).map_err(Stop::usage)?;
                (policy, Some(JudgedFile { name: path.display().to_string(), sha256 }))
            }
            None => (GatePolicy::default(), None),
        };
        for text in &args.accept {
            let accepted = Acceptance::parse(text, &bugs);
            policy.accepted.push(accepted.map_err(|why| Stop::usage(anyhow!("--accept: {why}")))?);
        }
        let named: Vec<BugId> = matrix_file::named(&bugs, &args.bug)?.into_iter().map(|bug| bug.id.clone()).collect();
        let required = || policy.bugs.iter().map(|(bug, _)| bug.clone());
        let ids: Vec<BugId> = match (named.is_empty(), policy.bugs.is_empty()) {
            (false, _) => named.clone(),
            (true, false) => required().collect(),
            (true, true) => bugs.iter().map(|bug| bug.id.clone()).collect(),
        };
        let mut profiles: Vec<ProfileName> = args.profile.clone();
        if profiles.is_empty() {
            profiles.clone_from(&policy.profiles);
        }
        if !args.sysctl.is_empty() || args.cmdline.is_some() {
            let name: ProfileName = OWN_PROFILE.parse().map_err(Stop::usage)?;
            if matrix.profiles.iter().any(|profile| profile.name == name) {
                let path = matrix.path.display();
                return Err(Stop::usage(anyhow!(
                    "{path} has a profile `{name}`, which --sysctl and --cmdline need: rename it"
                )));
            }
            let files = sysctl_files(&args.sysctl)?;
            let own = Profile::of_command_line(name.clone(), ids.clone(), files, args.cmdline.as_deref());
            matrix.profiles.push(own.map_err(|why| Stop::usage(anyhow!("--sysctl and --cmdline: {why}")))?);
            profiles.push(name);
        }
        let seeds = args.seeds.or(policy.seeds).unwrap_or(1);
        let mut asked = Self { bugs, matrix, policy, policy_file, named, ids, profiles: Vec::new(), seeds };
        asked.profiles = asked.plan_matrix(Vec::new()).choose_profiles(&asked.bugs, &profiles).map_err(Stop::usage)?;
        Ok(asked)
    }

    /// The bugs that are judged.
    fn chosen(&self) -> Vec<&Bug> {
        self.ids.iter().filter_map(|id| self.bugs.get(id)).collect()
    }

    /// The matrix with these kernels only. Without any, one that stands for all bugs.
    fn plan_matrix(&self, kernels: Vec<KernelEntry>) -> Matrix {
        let kernels = if kernels.is_empty() {
            self.matrix
                .kernels
                .iter()
                .take(1)
                .map(|entry| KernelEntry { bugs: self.ids.clone(), ..entry.clone() })
                .collect()
        } else {
            kernels
        };
        Matrix { kernels, bugs: self.ids.clone(), ..self.matrix.clone() }
    }

    /// Judges the candidate and the baseline.
    fn run(&self, kernels: &[Named], lab: &Arc<Lab>, args: &Validate) -> Result<JudgedRun, Stop> {
        let entry =
            |named: &Named| KernelEntry { bugs: self.ids.clone(), expect: BTreeMap::new(), ..named.entry.clone() };
        self.judge(kernels.iter().map(entry).collect(), self.profiles.clone(), self.seeds, lab, args)
    }

    fn judge(
        &self,
        kernels: Vec<KernelEntry>,
        profiles: Vec<Profile>,
        seeds: u32,
        lab: &Arc<Lab>,
        args: &Validate,
    ) -> Result<JudgedRun, Stop> {
        let matrix = self.plan_matrix(kernels);
        let programs = run::programs(&matrix, &self.bugs).map_err(Stop::usage)?;
        let plan = RunPlan {
            matrix,
            bugs: self.bugs.clone(),
            programs,
            profiles,
            locked: BTreeMap::new(),
            skipped: BTreeMap::new(),
            looked: BTreeMap::new(),
            natural: false,
            cache: if args.fresh { CacheUse::Fresh } else { CacheUse::Virtual },
            audited: BTreeSet::new(),
            seeds,
        };
        in_folder(plan, lab, &args.host.results)
    }

    /// The answer. `kernels` are the candidate, and the baseline if there is one.
    fn validation(
        &self,
        kernels: &[Named],
        obtained: &[Kernel],
        controls: ControlsJudged,
        judged: Option<&JudgedRun>,
        args: &Validate,
    ) -> Validation {
        let document = judged.map(|judged| &judged.document);
        let rules = GateRules { policy: &self.policy, named: &self.named, bugs: &self.bugs, today: host::today() };
        let of = |named: &Named| -> Vec<&Cell> {
            document.iter().flat_map(|document| &document.cells).filter(|cell| cell.kernel == *named.name()).collect()
        };
        let parts = |kernel: &Kernel| KernelParts::of(kernel, &self.chosen());
        let difference = match (document, kernels, obtained) {
            (Some(_), [candidate, baseline], [new, old]) => {
                Some(Difference::between((&of(baseline), &parts(old)), (&of(candidate), &parts(new)), &self.chosen()))
            }
            _ => None,
        };
        let describe = |named: &Named| Candidate::of(&named.subject, &named.entry, document);
        let cells: Vec<GateCell> = of(&kernels[0]).into_iter().map(|cell| rules.judge(cell)).collect();
        let needs_controls = self.policy.requires_controls || args.require_controls;
        let interrupted = document.is_some_and(|document| document.run.interrupted);
        let (gate, reasons) = Gate::of(&cells, &controls, needs_controls);
        let record = document.and_then(|document| document.kernels.iter().find(|one| one.name == *kernels[0].name()));
        Validation {
            schema_version: SCHEMA_VERSION,
            gate,
            reasons,
            candidate: describe(&kernels[0]),
            cells,
            baseline: kernels.get(1).map(describe),
            difference,
            controls,
            policy: self.policy_file.clone(),
            accepted: self.policy.accepted.clone(),
            tool: document.map(|document| ToolRecord::of(&document.run)),
            boots: record.map(|record| record.boots.iter().map(Into::into).collect()).unwrap_or_default(),
            folder: judged.map(|judged| judged.folder.display().to_string()),
            repeat: document.map(|document| repeat(document, kernels[0].name())).unwrap_or_default(),
            exit_code: if interrupted { Exit::Interrupted } else { gate.exit() },
        }
    }
}

/// The commands that repeat a validation.
fn repeat(document: &MatrixDocument, kernel: &KernelName) -> Vec<String> {
    let arguments = document.run.arguments.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    vec![format!("backproof {arguments} --fresh"), format!("backproof replay {} {kernel}", document.run.id)]
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Judges the built control kernels under the kernel's own settings: a verifier that misjudges one judges nothing.
/// None if interrupted.
fn judge_controls(asked: &Asked, lab: &Arc<Lab>, args: &Validate) -> Result<Option<ControlsJudged>, Stop> {
    let built_in = matrix_file::built_in(&asked.bugs)?;
    let built =
        built_in.kernels.into_iter().filter(|entry| kernel::cached(&entry.source, None, &lab.store).0 == Cached::Yes);
    let mut entries: Vec<KernelEntry> = built.filter(KernelEntry::is_control).collect();
    for entry in &mut entries {
        // Only the recipe knows what a control is, and it knows nothing of other bugs.
        entry.bugs.retain(|bug| asked.ids.contains(bug) && entry.expect.contains_key(bug));
    }
    entries.retain(|entry| !entry.bugs.is_empty());
    if entries.is_empty() {
        return Ok(Some(ControlsJudged::default()));
    }
    let kernels = entries.len();
    let own = vec![Profile::default_for(asked.ids.clone())];
    let JudgedRun { document, folder, written } = asked.judge(entries, own, 1, lab, args)?;
    written.map_err(Stop::no_verdict)?;
    Ok((!document.run.interrupted).then(|| ControlsJudged {
        kernels,
        cells: document.summary.controls,
        wrong: document.cannot_be_trusted.clone(),
        unproven: document.summary.controls_unproven,
        folder: Some(folder.display().to_string()),
    }))
}

fn obtain(named: &Named, args: &Validate) -> Result<Kernel, Stop> {
    let store = args.host.cache.open()?;
    let shim = Shim::of_this_program().context("could not find this program's own file").map_err(Stop::no_verdict)?;
    let fetching = Fetching::new();
    let tell = |progress| fetching.tell(&progress);
    let with = Obtain { store: &store, shim: &shim, offline: args.offline, refresh: false, locked: None, tell: &tell };
    let obtained = kernel::obtain(&named.entry.source, &with);
    fetching.finish();
    obtained.map_err(Stop::of)
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
