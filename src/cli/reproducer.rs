//! `backproof reproducer check`: runs a reproducer once, and says what was understood.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::args::{Format, MachineArgs};
use super::run::{JudgedRun, in_folder};
use super::{Stop, ended, host, matrix_file, show};
use crate::evidence::{Finding, Strength, Witness};
use crate::exit::Exit;
use crate::matrix::{Bug, Bugs, FILE_MAX, KernelEntry, Matrix, OwnProgram, Profile, ProgramSource};
use crate::regular;
use crate::report::{Document, Style, hanging, visible};
use crate::results::RunSelection;
use crate::run::{CacheUse, Cell, CellTrials, OwnPrograms, RunPlan};
use crate::words::{BugId, KernelName, Outcome};

/// The version of the JSON document's shape.
const SCHEMA_VERSION: u32 = 1;

#[derive(Debug, Subcommand)]
pub(super) enum Reproducer {
    /// Run a program, or a dossier's, once, and say what was understood
    Check(Check),
}

#[derive(Args, Debug)]
pub(super) struct Check {
    /// Program, or dossier (*.yaml)
    #[arg(value_name = "PROGRAM|DOSSIER")]
    what: PathBuf,
    /// Run it on this kernel of the matrix [default: its first]
    #[arg(long, value_name = "NAME")]
    kernel: Option<KernelName>,
    /// Take the kernel from this matrix [default: kernels.yaml, else the built-in one]
    #[arg(long, value_name = "FILE")]
    matrix: Option<PathBuf>,
    /// Use only the cache, and no network
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    host: MachineArgs,
    /// Print the result in this format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// What a reproducer showed on one kernel.
#[derive(Serialize)]
struct CheckDocument {
    schema_version: u32,
    bug: BugId,
    protocol: &'static str,
    kernel: KernelName,
    release: Option<String>,
    outcome: Outcome,
    unproven: bool,
    strength: Option<Strength>,
    /// The finding's reason, or why there is none.
    why: String,
    /// What it printed for people.
    said: Vec<String>,
    guest_ms: Option<u64>,
    /// Libraries of this host that it takes along.
    libraries: Vec<String>,
    /// What would make its result count for more.
    lacks: Vec<String>,
    folder: PathBuf,
}

/// Runs the subcommand.
pub(super) fn reproducer(command: &Reproducer) -> Result<Exit, Stop> {
    let Reproducer::Check(args) = command;
    let mut bug = bug_of(&args.what)?;
    if let Some(ProgramSource::Own(own)) = bug.reproducer.as_mut().map(|reproducer| &mut reproducer.program) {
        // One boot shows what was understood.
        own.seeds = 1;
    }
    let Some(own) = bug.reproducer.as_ref().and_then(|reproducer| reproducer.own()).cloned() else {
        let why = format!("{} names no program: give its dossier a `reproducer`", args.what.display());
        return Err(Stop::usage(anyhow!(why)));
    };
    let (known, id) = (Bugs::built_in(), bug.id.clone());
    let matrix = matrix_file::matrix(args.matrix.as_deref(), &known)?;
    let bugs = known.with(bug).map_err(|why| Stop::usage(anyhow!(why)))?;
    let entry = chosen(matrix, args.kernel.as_ref())?;
    let kernel = entry.name.clone();
    let entry = KernelEntry::plain(kernel.clone(), entry.source, vec![id.clone()]);
    let profiles = vec![Profile::default_for(vec![id.clone()])];
    let matrix = Matrix::of_kernels(vec![entry], bugs.clone(), vec![id.clone()]);
    let plan = RunPlan::plain(matrix, bugs, profiles, CacheUse::Fresh).map_err(Stop::usage)?;
    let libraries = plan.programs.get(&id).map(OwnPrograms::libraries).unwrap_or_default();
    let lab = Arc::new(host::lab(&args.host, 1, args.offline, false, 1)?);
    let JudgedRun { document, folder, written, .. } =
        in_folder(plan, RunSelection::default(), &lab, &args.host.results)?;
    written.map_err(Stop::no_verdict)?;
    if document.run.interrupted {
        return Ok(Exit::Interrupted);
    }
    let cell = document.cells.iter().find(|cell| cell.kernel == kernel && cell.bug == id);
    let cell = cell.ok_or_else(|| Stop::no_verdict(anyhow!("the run has no cell of {id} on {kernel}")))?;
    let checked = CheckDocument { libraries, ..CheckDocument::of(cell, &own, folder) };
    let exit = if cell.outcome == Outcome::Error { Exit::NoVerdict } else { Exit::Clean };
    ended(exit, show(&checked, args.format, Style::of_terminal()))
}

/// The bug of a dossier, or one of which only a program is known.
fn bug_of(what: &Path) -> Result<Bug, Stop> {
    if what.extension().is_none_or(|extension| extension != "yaml") {
        return Bug::of_program(what).map_err(|why| Stop::usage(anyhow!("{}: {why}", what.display())));
    }
    let bytes = regular::read(what, FILE_MAX as u64).with_context(|| format!("cannot read {}", what.display()));
    let text = String::from_utf8(bytes.map_err(Stop::usage)?)
        .map_err(|_| Stop::usage(anyhow!("{}: expected a dossier in UTF-8", what.display())))?;
    Bug::parse(&text, what).map_err(Stop::usage)
}

/// The kernel of the matrix with this name, or its first.
fn chosen(matrix: Matrix, name: Option<&KernelName>) -> Result<KernelEntry, Stop> {
    let names: Vec<KernelName> = name.into_iter().cloned().collect();
    let chosen = matrix.select(&names, &[], &[]).map_err(Stop::usage)?;
    let path = chosen.path.clone();
    let first = chosen.kernels.into_iter().next();
    first.ok_or_else(|| Stop::usage(anyhow!("{} has no kernel to run it on", path.display())))
}

impl CheckDocument {
    fn of(cell: &Cell, own: &OwnProgram, folder: PathBuf) -> Self {
        let finding = cell.judgement.findings.iter().find(|finding| finding.witness == Witness::Runtime);
        let reason = cell.judgement.reason.as_ref();
        let why = finding.map(|finding| &finding.why).or(reason).cloned().unwrap_or_default();
        Self {
            schema_version: SCHEMA_VERSION,
            bug: cell.bug.clone(),
            protocol: own.protocol.as_str(),
            kernel: cell.kernel.clone(),
            release: cell.release.clone(),
            outcome: cell.outcome,
            unproven: cell.judgement.unproven,
            strength: finding.map(|finding| finding.strength),
            libraries: Vec::new(),
            lacks: lacks(finding, &why, own, &cell.trials),
            why,
            said: cell.trials.said.clone(),
            guest_ms: cell.trials.guest_ms,
            folder,
        }
    }
}

/// What would make a result count for more.
fn lacks(finding: Option<&Finding>, why: &str, own: &OwnProgram, trials: &CellTrials) -> Vec<String> {
    use backproof_protocol::ProgramProtocol::{Backproof, ExitStatus, Ktap, Ltp, Tap};
    let mut lacks = Vec::new();
    if let Some(finding) = finding.filter(|finding| finding.strength == Strength::Weak) {
        lacks.push(match finding.is_affected() {
            true => "a negative control: nothing shows that it sees only the bug".to_owned(),
            false => "a positive control: nothing shows that it sees the bug. Name one in its dossier \
                      (`positive-control`), or let `prove` run it with and without the fix"
                .to_owned(),
        });
        if own.crash.is_some() && own.reach.is_empty() {
            lacks.push("`reach`, the functions that the fix changes: nothing shows that it came there".to_owned());
        }
    }
    let spoken = |words: &[&str]| {
        words.iter().any(|word| why.contains(word) || trials.said.iter().any(|line| line.contains(word)))
    };
    let hint = match own.protocol {
        Backproof | ExitStatus if spoken(&["TPASS", "TFAIL", "TBROK", "TCONF"]) => Some(Ltp),
        Backproof | ExitStatus if spoken(&["KTAP version"]) => Some(Ktap),
        Backproof | ExitStatus if spoken(&["TAP version", "`1.."]) => Some(Tap),
        _ => None,
    };
    lacks.extend(hint.map(|protocol| format!("`protocol: {}` in its dossier, as its output looks", protocol.as_str())));
    lacks.extend(trials.autoloaded.as_ref().map(|loaded| {
        let modules = loaded.modules.join(", ");
        format!("modules that its kernel requested ({modules}), which costs another boot: name those that it needs in `needs.modules`")
    }));
    lacks
}

impl Document for CheckDocument {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            hanging(&mut text, &format!("  {name:<10}"), "            ", &visible(value), style);
        };
        let outcome = self.outcome.as_str().to_uppercase();
        let outcome = if self.unproven { format!("{outcome} (unproven)") } else { outcome };
        line("outcome", &outcome);
        line("why", self.why.lines().next().unwrap_or_default());
        line("protocol", self.protocol);
        if let Some(ms) = self.guest_ms {
            line("took", &format!("{:.1} s in the guest", std::time::Duration::from_millis(ms).as_secs_f64()));
        }
        for said in &self.said {
            line("said", said);
        }
        if !self.libraries.is_empty() {
            line("libraries", &self.libraries.join(", "));
        }
        for lack in &self.lacks {
            line("lacks", lack);
        }
        line("run", &self.folder.display().to_string());
        let release = self.release.as_ref().map(|release| format!(" ({release})")).unwrap_or_default();
        format!("{} on {}{}\n{text}", self.bug, self.kernel, visible(&release))
    }
}
