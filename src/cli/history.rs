//! `backproof history` and `backproof diff`: earlier runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};

use super::kernels::age;
use super::{Format, Stop, host, matrix_file, show};
use crate::exit::Exit;
use crate::history::{HistoryError, HistoryFile, prune};
use crate::matrix::Bugs;
use crate::report::{Document, RecordedRuns, Style, say, visible};
use crate::words::{BugId, KernelName};

/// The version of the shape of the list of runs.
const RUNS_VERSION: u32 = 1;

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct History {
    /// Show the past of this kernel's cells [default: list the runs]
    kernel: Option<KernelName>,
    /// Show only its past of this bug: a name, a CVE or a commit
    bug: Option<BugId>,
    /// Make the history again from the run folders
    #[arg(long, conflicts_with = "kernel")]
    rebuild: bool,
    #[command(subcommand)]
    command: Option<HistoryCommand>,
    #[command(flatten)]
    shown: Shown,
}

/// The results folder, and how the answer is printed.
#[derive(Args, Debug)]
struct Shown {
    /// Look for runs in this folder
    #[arg(long, value_name = "DIR", default_value = "results", global = true)]
    results: PathBuf,
    /// Print results in this format
    #[arg(long, value_enum, default_value_t = Format::Table, global = true)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum HistoryCommand {
    /// Remove old runs, with their folders
    Prune {
        /// Keep runs that are younger: 12h, 90d, 8w
        #[arg(long, value_name = "AGE", value_parser = age)]
        keep: Duration,
        /// Show what would be removed, but remove nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Args, Debug)]
pub(super) struct Diff {
    /// Compare these runs: ids, folders, or latest [default: the newest, and the one before it]
    #[arg(value_name = "RUN", num_args = 0..=2)]
    runs: Vec<String>,
    #[command(flatten)]
    shown: Shown,
}

impl Shown {
    /// Opens the history, does something with it, and prints the result.
    fn show<D: Document>(&self, work: impl FnOnce(&mut HistoryFile) -> Result<D, HistoryError>) -> Result<Exit, Stop> {
        self.shown(work).map(|_| Exit::Clean)
    }

    /// The same. Returns the result.
    fn shown<D: Document>(&self, work: impl FnOnce(&mut HistoryFile) -> Result<D, HistoryError>) -> Result<D, Stop> {
        let done = with_history(&self.results, work)?.map_err(Stop::of_history)?;
        show(&done, self.format, Style::of_terminal())?;
        Ok(done)
    }
}

/// Opens the history of a results folder, does something with it, and says whether it was made or mended.
pub(super) fn with_history<T>(results: &Path, work: impl FnOnce(&mut HistoryFile) -> T) -> Result<T, Stop> {
    if !results.is_dir() {
        let results = results.display();
        return Err(Stop::usage(anyhow::anyhow!("no results folder {results}; name one with --results")));
    }
    let mut history = HistoryFile::in_results(results);
    let done = work(&mut history);
    for remark in history.remarks() {
        say(format_args!("backproof: {}", visible(remark)));
    }
    Ok(done)
}

/// Shows the past, makes the history again, or removes old runs.
pub(super) fn history(args: &History) -> Result<Exit, Stop> {
    let History { kernel, bug, rebuild, command, shown } = args;
    match (command, kernel) {
        (Some(HistoryCommand::Prune { keep, dry_run }), _) => {
            let report = shown.shown(|history| prune(history, *keep, host::now(), *dry_run))?;
            Ok(if report.failed { Exit::NoVerdict } else { Exit::Clean })
        }
        (None, _) if *rebuild => shown.show(HistoryFile::rebuild),
        (None, Some(kernel)) => {
            // A CVE means its bug. The history may have bugs whose dossiers are not known here.
            let known = Bugs::built_in();
            let named = bug.as_ref().map(|bug| {
                let found = matrix_file::named(&known, std::slice::from_ref(bug)).ok();
                found.and_then(|bugs| bugs.first().map(|bug| bug.id.clone())).unwrap_or_else(|| bug.clone())
            });
            shown.show(|history| history.past(kernel, named.as_ref()))
        }
        (None, None) => shown.show(|history| Ok(RecordedRuns { schema_version: RUNS_VERSION, runs: history.runs()? })),
    }
}

/// Shows what changed between two runs.
pub(super) fn diff(args: &Diff) -> Result<Exit, Stop> {
    let (before, after) = match args.runs.as_slice() {
        [before, after] => (Some(before), Some(after)),
        [after] => (None, Some(after)),
        _ => (None, None),
    };
    args.shown.show(|history| history.diff(before.map(String::as_str), after.map(String::as_str)))
}
