//! `backproof replay`: boots a guest of a finished run again, with the same inputs.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::mpsc;

use super::{AccelArg, Replay, Stop, TimeArg, ended, host, show};
use crate::evidence::Finding;
use crate::evidence::runtime::Ran;
use crate::exit::Exit;
use crate::json;
use crate::matrix::Bugs;
use crate::report::{Document, Style, visible};
use crate::results::{
    MatrixDocument, boot_folder, find_run, read_document, read_dossier, read_recording, read_transcript,
};
use crate::run::{self, BootId, BootRecord, Cell, CellTally, CellTrials, Event, Lab, Recording, ReplayedJob};
use crate::vm::{Accel, DEFAULT_SEED, Transcript, VirtualTime};
use crate::words::{KernelName, Outcome};

/// The version of the JSON document's shape.
const SCHEMA_VERSION: u32 = 1;

/// The results of the replay and of the run.
#[derive(Serialize)]
struct ReplayDocument {
    schema_version: u32,
    #[serde(serialize_with = "json::path")]
    run: PathBuf,
    /// How what the guest said compares.
    transcript: TranscriptComparison,
    /// The cells of the replay.
    cells: Vec<Cell>,
    /// The same cells in the run.
    then: Vec<Cell>,
    /// Cells of the same kernel that other boots judged.
    #[serde(skip)]
    others: Vec<Cell>,
}

/// Boots the guest and judges its cells again. The exit code is that of a run of these cells; with a transcript that differs
/// there is no verdict.
pub(super) fn replay(args: &Replay) -> Result<Exit, Stop> {
    let run = find_run(&args.host.results, &args.run).map_err(Stop::usage)?;
    let document = read_document(&run).map_err(Stop::usage)?;
    let number = args.boot.unwrap_or_else(|| boot_that_judged(&document, &args.kernel));
    let folder = boot_folder(&run, &args.kernel, number).map_err(Stop::usage)?;
    if let Some(control) = control_of(&document, &args.kernel, number) {
        let why = format!("boot-{number} of {} judges no cell: it was {control}", args.kernel);
        let next = format!("sh {} boots it again", folder.join("boot.sh").display());
        return Err(Stop::usage(anyhow::anyhow!("{why}; {next}")));
    }
    let mut recording = read_recording(&folder).map_err(Stop::usage)?;
    let recorded_accel = recording.accel;
    match args.host.accel {
        AccelArg::Auto => {}
        AccelArg::Kvm => recording.accel = Accel::Kvm,
        AccelArg::Tcg => recording.accel = Accel::Tcg,
    }
    let recorded = recording.time;
    if recording.accel == Accel::Kvm || args.host.time == Some(TimeArg::Real) {
        recording.time = None;
    } else if args.host.seed.is_some() || args.host.time == Some(TimeArg::Virtual) {
        let seed = args.host.seed.or(recorded.map(|time| time.seed)).unwrap_or(DEFAULT_SEED);
        recording.time = Some(VirtualTime::with_seed(seed));
    }
    let job_of = |cell: &Cell| recording.plan.jobs.iter().find(|job| job.id == cell.job().to_string());
    let own = document.cells.iter().filter(|cell| cell.kernel == args.kernel).cloned();
    let (then, mut others): (Vec<Cell>, Vec<Cell>) = own.partition(|cell| job_of(cell).is_some());
    if then.is_empty() {
        let why = format!(
            "{} has no cell of {} that this boot ran: its files don't belong together",
            run.display(),
            args.kernel
        );
        return Err(Stop::no_verdict(anyhow::anyhow!("{why}; run the matrix again")));
    }
    let mut bugs = Bugs::built_in();
    for cell in &then {
        // Runs that predate copies of dossiers have none: then a crash is compared with the one that was seen.
        if bugs.get(&cell.bug).is_none()
            && let Some(bug) = read_dossier(&run, &cell.bug).map_err(Stop::usage)?
        {
            bugs = bugs.with(bug).map_err(|why| Stop::usage(anyhow::anyhow!(why)))?;
        }
    }
    let lab = Arc::new(host::lab(&args.host, 1, true, false, 1)?);
    let runtime = host::runtime()?;
    let Some((end, transcript)) = runtime.block_on(boot(args, number, &lab, recording.clone()))? else {
        return Ok(Exit::Interrupted);
    };
    let again = |cell: &Cell| {
        let job = job_of(cell)?;
        let ran = Ran { sysctls: &job.sysctls, own_program: job.program.is_some() };
        let profile = document.run.profiles.iter().find(|profile| profile.name == cell.profile);
        let same_terms = recording.accel == recorded_accel && recording.time == recorded;
        let job =
            ReplayedJob { ran, same_terms, alone: recording.plan.jobs.len() == 1, bug: bugs.get(&cell.bug), profile };
        Some((run::judge_again(cell, job, &end), cell.clone()))
    };
    let is_last = |cell: &Cell| cell.trials.boots.last() == Some(&run::boot_folder_name(number));
    let had_died = boot_record(&document, &args.kernel, number).is_some_and(|boot| boot.failure.is_some());
    let died_together = had_died && end.failure.is_some() && recording.plan.jobs.len() > 1;
    // Jobs that a shared guest did not finish, or that lacked modules, were judged by later boots.
    let is_repeated = |cell: &Cell| cell.trials.is_repeated_with_modules(&run::boot_folder_name(number));
    let judged_now = |(now, then): &(Cell, Cell)| {
        !is_repeated(then) && (!died_together || now.outcome != Outcome::Error || is_last(then))
    };
    let (judged, left): (Vec<_>, Vec<_>) = then.iter().filter_map(again).partition(judged_now);
    others.extend(left.into_iter().map(|(_, then)| then));
    let (cells, then): (Vec<Cell>, Vec<Cell>) = judged.into_iter().unzip();
    let repeat = Repeat { recorded, recording: &recording, lab: &lab };
    let transcript = repeat.compare(&transcript, &folder);
    let code = match transcript {
        TranscriptComparison::Different { .. } => Exit::NoVerdict,
        _ if cells.is_empty() => Exit::NoVerdict,
        _ => CellTally::of(&cells).exit(),
    };
    let document = ReplayDocument { schema_version: SCHEMA_VERSION, run, transcript, cells, then, others };
    ended(code, show(&document, args.output.format, args.output.style()))
}

/// How what the guest said compares with the run's.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
enum TranscriptComparison {
    Identical { sha256: String },
    Different { sha256: String, first: String },
    NotCompared { why: String },
}

/// A boot that may repeat the recorded one.
struct Repeat<'a> {
    /// The recorded boot's time.
    recorded: Option<VirtualTime>,
    /// What was booted now.
    recording: &'a Recording,
    /// What booted it now.
    lab: &'a Lab,
}

impl Repeat<'_> {
    fn compare(&self, now: &Transcript, folder: &Path) -> TranscriptComparison {
        let not_compared = |why: &str| TranscriptComparison::NotCompared { why: why.to_owned() };
        let Some(recorded) = self.recorded else { return not_compared("the run's guest ran in real time") };
        match self.recording.time {
            None => return not_compared("this guest ran in real time"),
            Some(time) if time != recorded => {
                return not_compared(&format!("the run's time was {recorded}, this one's {time}"));
            }
            Some(_) => {}
        }
        let (then, now_is) = (&self.recording.qemu, self.lab.hypervisor.banner());
        if then != now_is {
            return not_compared(&format!("the run's QEMU was `{then}`, this is `{now_is}`"));
        }
        match (&self.recording.qemu_sha256, self.lab.qemu_sha256()) {
            (Some(then), Some(now)) if then != now => {
                return not_compared(
                    "QEMU's program or firmware is not that of the run, although its version is the same",
                );
            }
            _ => {}
        }
        let then = match read_transcript(folder) {
            Ok(then) => then,
            Err(error) => return not_compared(&format!("{:#}", anyhow::Error::new(error))),
        };
        match now.difference(&then) {
            None => TranscriptComparison::Identical { sha256: now.sha256() },
            Some(first) => TranscriptComparison::Different { sha256: now.sha256(), first: first.to_string() },
        }
    }
}

impl TranscriptComparison {
    fn line(&self) -> String {
        match self {
            Self::Identical { sha256 } => format!("transcript  identical (sha256 {sha256})\n"),
            Self::Different { first, .. } => format!(
                "transcript  DIFFERS: {}\n            the guest is not deterministic, or the host changed it: replay it once more, and \
                 report it if it differs again\n",
                visible(first)
            ),
            Self::NotCompared { why } => format!("transcript  not compared: {}\n", visible(why)),
        }
    }
}

/// The first boot under the last accelerator that judged something: earlier boots may have failed because of KVM, and one that
/// was repeated may have been cut short by the host, or have lacked modules.
fn boot_that_judged(document: &MatrixDocument, kernel: &KernelName) -> u32 {
    let boots = boots_of(document, kernel);
    let own = document.cells.iter().filter(|cell| cell.kernel == *kernel);
    let own: Vec<&CellTrials> = own.map(|cell| &cell.trials).collect();
    let is_retried = |boot: &String| own.iter().flat_map(|trials| &trials.retried).any(|retried| retried.boot == *boot);
    let is_repeated = |boot: &String| {
        let ran: Vec<_> = own.iter().filter(|trials| trials.boots.contains(boot)).collect();
        !ran.is_empty() && ran.iter().all(|trials| trials.is_repeated_with_modules(boot))
    };
    let judged = |boot: &&BootRecord| {
        let folder = boot.id().folder();
        boot.control.is_none() && !is_retried(&folder) && !is_repeated(&folder)
    };
    let used = boots.iter().rfind(judged).map(|boot| boot.accelerator);
    boots.iter().filter(judged).find(|boot| Some(boot.accelerator) == used).map_or(1, |boot| boot.number)
}

fn boots_of<'a>(document: &'a MatrixDocument, kernel: &KernelName) -> &'a [BootRecord] {
    document.kernels.iter().find(|record| record.name == *kernel).map_or(&[], |record| &record.boots)
}

fn boot_record<'a>(document: &'a MatrixDocument, kernel: &KernelName, number: u32) -> Option<&'a BootRecord> {
    boots_of(document, kernel).iter().find(|boot| boot.number == number)
}

/// What this boot was, if it judges no cell.
fn control_of<'a>(document: &'a MatrixDocument, kernel: &KernelName, number: u32) -> Option<&'a str> {
    boot_record(document, kernel, number)?.control.as_deref()
}

/// Boots the guest; None if interrupted.
async fn boot(
    args: &Replay,
    number: u32,
    lab: &Lab,
    recording: Recording,
) -> Result<Option<(run::BootEnd, Transcript)>, Stop> {
    let (sender, mut events) = mpsc::unbounded_channel();
    let id = BootId { kernel: args.kernel.clone(), number };
    let again = run::boot_again(lab, &id, recording, &sender);
    tokio::pin!(again);
    let stopped = host::stopped().map_err(Stop::no_verdict)?;
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            biased;
            event = events.recv() => if let (true, Some(Event::Console { bytes, .. })) = (args.console, event) {
                // The replay goes on if the console cannot be shown.
                let text = String::from_utf8_lossy(&bytes).replace('\r', "");
                let shown: String = text.split_inclusive('\n').map(|l| visible(l.trim_end_matches('\n')) + "\n").collect();
                let _ = anstream::stderr().write_all(shown.as_bytes());
            },
            () = &mut stopped => return Ok(None),
            end = &mut again => return end.map(Some).map_err(Stop::no_verdict),
        }
    }
}

impl Document for ReplayDocument {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        for (now, then) in self.cells.iter().zip(&self.then) {
            let same = if now.outcome == then.outcome { "as before" } else { "different before" };
            let outcome = |cell: &Cell| match cell.judgement.qualifier() {
                Some(qualifier) => format!("{} ({qualifier})", cell.outcome),
                None => cell.outcome.to_string(),
            };
            text += &format!("{}  {}  {}, {same}: {}\n", now.kernel, now.job(), outcome(now), outcome(then));
            let is_shown = |finding: &&Finding| style.explain || Some(*finding) == now.judgement.surest();
            let findings = now.judgement.findings.iter().filter(is_shown).map(|f| f.why.as_str());
            for line in findings.chain(now.judgement.reason.as_deref()).flat_map(str::lines) {
                text += &format!("  {}\n", visible(line));
            }
        }
        text += &self.transcript.line();
        text + &elsewhere(&self.others)
    }
}

/// Names the cells that other boots judged, because they are not replayed.
fn elsewhere(others: &[Cell]) -> String {
    let line = |cell: &Cell| {
        let boot = cell.trials.boots.last()?;
        let number = boot.strip_prefix("boot-")?;
        Some(format!("{}  {}  not replayed: {boot} judged it (--boot {number})\n", cell.kernel, cell.job()))
    };
    others.iter().filter_map(line).collect()
}
