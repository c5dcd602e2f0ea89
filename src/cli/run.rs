//! `backproof run`: judges a matrix.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use super::conclusion::{conclude, since};
use super::matrix_file::Locks;
use super::on_change::on_change;
use super::pins::Pins;
use super::{Run, Stop, ended, host, matrix_file, page_file, report_files, show_run};
use crate::exit::Exit;
use crate::matrix::{Bug, LeftOut, Matrix, Profile};
use crate::report::{Live, RunReport, say, visible};
use crate::results::{Folder, FolderError, MatrixDocument, RunLease, RunRecord, RunSelection};
use crate::run::{self, CacheUse, Lab, RunPlan};
use crate::words::{BugId, KernelName};

/// Judges the matrix and prints the results.
pub(super) fn run(args: &Run) -> Result<Exit, Stop> {
    report_files::check(&args.report)?;
    let bugs = matrix_file::bugs(args.dossiers.as_deref())?;
    let matrix = matrix_file::matrix(args.matrix.as_deref(), &bugs)?;
    let bugs = matrix.known.clone();
    let named: Vec<BugId> = matrix_file::named(&bugs, &args.bug)?.into_iter().map(|bug| bug.id.clone()).collect();
    let kernels = [&args.kernels[..], &args.kernel].concat();
    let matrix = matrix.select(&kernels, &named, &args.tag).map_err(Stop::usage)?;
    let profiles = matrix.choose_profiles(&bugs, &args.profile).map_err(Stop::usage)?;
    let programs = run::programs(&matrix, &bugs).map_err(Stop::usage)?;
    let Locks { locked, skipped } = matrix_file::locked(&matrix, args.locked)?;
    let selection = RunSelection {
        kernels,
        tags: args.tag.clone(),
        bugs: named.clone(),
        profiles: args.profile.clone(),
        strict: args.strict,
    }
    .sorted();
    let looked = BTreeMap::new();
    let cache = match (args.fresh, args.reuse) {
        (true, _) => CacheUse::Fresh,
        (false, true) => CacheUse::All,
        (false, false) => CacheUse::Virtual,
    };
    let audited = audited(&matrix, args.audit);
    let (natural, seeds, confirm, strict) = (args.natural, args.seeds, args.confirm, args.strict);
    let reach = BTreeMap::new();
    let asked = RunPlan {
        matrix,
        bugs,
        programs,
        profiles,
        locked,
        skipped,
        looked,
        natural,
        cache,
        audited,
        seeds,
        confirm,
        strict,
        reach,
    };
    for profile in &asked.profiles {
        for LeftOut { file, line, name, why } in &profile.left_out {
            let (file, name) = (file.display().to_string(), visible(name));
            say(format_args!("{}:{line}: {name} is not applied: {why}", visible(&file)));
        }
    }
    for (bug, programs) in &asked.programs {
        let libraries = programs.libraries();
        if !libraries.is_empty() {
            say(format_args!("{bug}: its program takes {} of this host along", visible(&libraries.join(", "))));
        }
    }
    let since = since(&args.host.results, args.since.as_deref())?;
    let jobs = args.jobs.map_or_else(host::cpus, usize::from);
    let lab = host::lab(&args.host, seeds, args.offline, args.refresh, jobs)?;
    let mut judged = in_folder(asked, selection, &Arc::new(lab), &args.host.results)?;
    conclude(&mut judged, &args.host.results, since.as_ref());
    let JudgedRun { document, folder, written, lease: _lease } = judged;
    // Results are shown even if they could not be written.
    let report = RunReport { document: &document, folder: &folder, file: None };
    let reported = report_files::write(&args.report, &report);
    let printed = show_run(&report, &args.output);
    if let Some(first) = document.run.not_written.first() {
        let kept = if written.is_ok() { "; matrix.json has the verdicts, and the list as run.not_written" } else { "" };
        say(format_args!(
            "backproof: could not write {} of this run's files, the first {}{kept}; free some space in {}, or give another \
             --results folder",
            document.run.not_written.len(),
            visible(first),
            visible(&args.host.results.display().to_string()),
        ));
    }
    if let Some(command) = args.on_change.as_deref().filter(|_| !document.run.interrupted) {
        on_change(command, document.changes.as_ref());
    }
    let exit = ended(ended(document.exit_code, printed)?, reported)?;
    ended(exit, written.map_err(Stop::no_verdict))
}

/// The share of the kernels whose boots are compared with cached ones, in percent, if the user names none.
const AUDIT: usize = 5;

/// The kernels whose cached boots are made again: this share of the matrix, drawn anew for each run. The default rounds down,
/// so that a small matrix takes no time; a share that the user names takes at least one.
fn audited(matrix: &Matrix, percent: Option<u8>) -> BTreeSet<KernelName> {
    let all = matrix.kernels.len();
    let count = match percent.map(usize::from) {
        None => all * AUDIT / 100,
        Some(percent) => (all * percent).div_ceil(100),
    };
    fastrand::choose_multiple(matrix.kernels.iter().map(|entry| entry.name.clone()), count).into_iter().collect()
}

/// A judged matrix.
pub(super) struct JudgedRun {
    /// Its results.
    pub document: MatrixDocument,
    /// The run's folder.
    pub folder: PathBuf,
    /// Whether the folder could be written.
    pub written: Result<(), FolderError>,
    /// Keeps others from removing the run while its history and its reports are written.
    pub lease: Option<RunLease>,
}

/// Judges a matrix, shows the progress, and writes a new folder in `results`.
pub(super) fn in_folder(
    asked: RunPlan,
    selection: RunSelection,
    lab: &Arc<Lab>,
    results: &Path,
) -> Result<JudgedRun, Stop> {
    let mut run = OpenRun::open(&asked.matrix.path, selection, &asked.profiles, asked.natural, lab, results)?;
    match run.judge(asked, lab) {
        Ok(_) => Ok(run.close()),
        Err(stop) => Err(run.fail(stop)),
    }
}

/// A run whose folder is open, for several judgings.
pub(super) struct OpenRun {
    folder: Folder,
    lab: Arc<Lab>,
    runtime: tokio::runtime::Runtime,
    interrupted: bool,
}

impl OpenRun {
    /// Makes its folder.
    pub(super) fn open(
        matrix: &Path,
        selection: RunSelection,
        profiles: &[Profile],
        natural: bool,
        lab: &Arc<Lab>,
        results: &Path,
    ) -> Result<Self, Stop> {
        let runtime = host::runtime()?;
        let record = RunRecord { selection, ..record(matrix, profiles, natural, lab) };
        let folder = Folder::create(results, record).map_err(Stop::no_verdict)?;
        Ok(Self { folder, lab: Arc::clone(lab), runtime, interrupted: false })
    }

    /// Its folder.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Does work that blocks. None if a signal interrupts it; the work then ends with the process.
    pub(super) fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Option<T>, Stop> {
        let done = self.runtime.block_on(async {
            let stopped = host::stopped()?;
            let work = tokio::task::spawn_blocking(work);
            tokio::select! {
                () = stopped => Ok(None),
                done = work => done.map(Some).map_err(std::io::Error::other),
            }
        });
        let done = done.map_err(Stop::no_verdict)?;
        self.interrupted |= done.is_none();
        Ok(done)
    }

    /// Judges kernels, whose names are new in this run. Returns whether all were judged, and nothing interrupted it.
    pub(super) fn judge(&mut self, asked: RunPlan, lab: &Arc<Lab>) -> Result<bool, Stop> {
        let asks_for = |bug: &&Bug| asked.matrix.kernels.iter().any(|kernel| kernel.bugs.contains(&bug.id));
        self.folder.keep_dossiers(asked.bugs.iter().filter(asks_for));
        let ended = self.runtime.block_on(judge(asked, Arc::clone(lab), &mut self.folder))?;
        self.interrupted |= matches!(ended, Ended::Interrupted);
        Ok(!self.interrupted)
    }

    /// The run so far.
    pub(super) fn document(&self) -> MatrixDocument {
        self.folder.document()
    }

    /// Ends it after an error; otherwise it would look as if it went on.
    pub(super) fn fail(self, stop: Stop) -> Stop {
        self.close();
        stop
    }

    /// Ends it.
    pub(super) fn close(mut self) -> JudgedRun {
        // A download may still run in a thread; it ends with the process.
        self.runtime.shutdown_background();
        let time = self.lab.timing.summary(self.lab.accelerator.used());
        let written = self.folder.close(self.lab.accelerator.summary(), time, self.interrupted);
        let folder = self.folder.path().to_owned();
        let document = self.folder.document();
        page_file::write_or_say(&document, &folder);
        JudgedRun { document, folder, written, lease: self.folder.take_lease() }
    }
}

/// How the judging ended.
enum Ended {
    Judged,
    Interrupted,
}

/// Runs the engine and passes its events to the folder and the screen, until all is judged or a signal arrives. On return
/// the engine is dropped, which ends every guest.
async fn judge(asked: RunPlan, lab: Arc<Lab>, folder: &mut Folder) -> Result<Ended, Stop> {
    let (sender, mut events) = mpsc::unbounded_channel();
    let mut live = Live::new();
    let pins = Pins::of(&asked.matrix);
    let engine = run::run(asked, lab, sender);
    tokio::pin!(engine);
    let stopped = host::stopped().map_err(Stop::no_verdict)?;
    tokio::pin!(stopped);
    let mut over = false;
    let result = loop {
        let due = folder.due();
        tokio::select! {
            // Events are written before anything else happens.
            biased;
            event = events.recv() => match event {
                Some(event) => {
                    folder.event(&event);
                    live.event(&event);
                    if let Some(said) = pins.as_ref().and_then(|pins| pins.event(&event)) {
                        live.say(&said);
                    }
                }
                // The engine has ended, and all events are handled.
                None => break Ended::Judged,
            },
            () = &mut stopped => break Ended::Interrupted,
            () = sleep_until(due), if due.is_some() => folder.write_due(),
            () = &mut engine, if !over => over = true,
        }
    };
    live.finish();
    Ok(result)
}

/// Waits until then, or for ever without a time.
async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

fn record(matrix: &Path, profiles: &[Profile], natural: bool, lab: &Lab) -> RunRecord {
    let seconds = host::now();
    RunRecord {
        id: format!("{}-{}", seconds.strftime("%Y%m%d-%H%M%S"), std::process::id()),
        started: seconds.to_string(),
        seconds: 0.0,
        finished: false,
        interrupted: false,
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        arguments: std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect(),
        matrix: matrix.display().to_string(),
        selection: RunSelection::default(),
        profiles: profiles.to_vec(),
        natural,
        jobs: lab.jobs,
        host: host::record(),
        qemu: host::qemu_record(lab),
        accelerator: "none yet".to_owned(),
        time: String::new(),
        not_written: Vec::new(),
    }
}
