//! A run, as far as the history keeps it.

use std::collections::{BTreeMap, HashMap};

use crate::results::{CellStanding, ComparedRun, MatrixDocument, RunRecord};
use crate::run::{Cell, KernelRecord};
use crate::words::{JobId, KernelName};

/// The command whose runs the history keeps. The kernels of other commands are named on the command line and come once, so
/// they have no past.
const COMMAND: &str = "run";

/// The most characters of a reason to keep.
const REASON_MAX: usize = 200;

/// A run, as far as the history keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct RunDigest {
    /// The run.
    pub run: ComparedRun,
    /// Whether its verdicts can be trusted: no control kernel was judged wrongly.
    pub trusted: bool,
    /// The kernels that were obtained.
    pub kernels: BTreeMap<KernelName, KernelDigest>,
    /// The cells that were judged.
    pub cells: BTreeMap<(KernelName, JobId), CellDigest>,
}

/// A kernel of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelDigest {
    /// The release of its image.
    pub release: Option<String>,
    /// SHA-256 of its image.
    pub image_sha256: String,
    /// The transcripts of its boots in virtual time, by the sha256 of all that the boot depends on.
    pub transcripts: BTreeMap<String, String>,
}

/// A cell of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct CellDigest {
    /// What it came to.
    pub standing: CellStanding,
    /// By whose clock its time passed.
    pub clock: GuestClock,
}

/// By whose clock a guest's time passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestClock {
    /// The guest's own instructions: the same inputs take the same time.
    Virtual,
    /// The host's clock.
    Real,
}

impl RunDigest {
    /// The digest of a finished run. None if the run is unfinished, or the history does not keep runs of its command.
    pub fn of(document: &MatrixDocument) -> Option<Self> {
        Self::is_kept(&document.run).then(|| Self::of_any(document))
    }

    /// Whether the history keeps a run.
    pub(super) fn is_kept(run: &RunRecord) -> bool {
        run.finished && run.arguments.first().is_some_and(|command| command == COMMAND)
    }

    /// The digest of any run, for a comparison that somebody asks for.
    pub fn of_any(document: &MatrixDocument) -> Self {
        let RunRecord { id, started, matrix, selection, interrupted, finished, .. } = document.run.clone();
        // A run that goes on, or died, has not come to all of its kernels either.
        let interrupted = interrupted || !finished;
        let kernels: BTreeMap<_, _> =
            document.kernels.iter().map(|it| (it.name.clone(), KernelDigest::of(it))).collect();
        let cells = document.cells.iter().filter(|cell| !cell.is_unjudged());
        let by_name: HashMap<_, _> = document.kernels.iter().map(|it| (&it.name, &it.boots)).collect();
        let clock = |cell: &Cell| {
            // A boot that failed gave way to the one that settled the cell: from KVM to emulation, for example.
            let boots = by_name.get(&cell.kernel).into_iter().copied().flatten();
            let mut settling = boots.filter(|boot| boot.failure.is_none() && boot.jobs.contains(&cell.job()));
            match settling.next_back() {
                Some(boot) if boot.time.is_some() => GuestClock::Virtual,
                _ => GuestClock::Real,
            }
        };
        let cells = cells.map(|cell| ((cell.kernel.clone(), cell.job()), CellDigest::of(cell, clock(cell)))).collect();
        let exit_code = document.exit_code;
        let run = ComparedRun { id, started, matrix, selection, interrupted, exit_code };
        Self { run, trusted: document.cannot_be_trusted.is_empty(), kernels, cells }
    }
}

impl KernelDigest {
    fn of(kernel: &KernelRecord) -> Self {
        // A boot that failed may have been ended by the host, so its transcript shows nothing.
        let whole = kernel.boots.iter().filter(|boot| boot.failure.is_none());
        let transcripts = whole.filter_map(|boot| Some((boot.inputs_sha256.clone()?, boot.transcript_sha256.clone()?)));
        Self {
            release: kernel.release.clone(),
            image_sha256: kernel.image_sha256.clone(),
            transcripts: transcripts.collect(),
        }
    }
}

impl CellDigest {
    fn of(cell: &Cell, clock: GuestClock) -> Self {
        let judgement = &cell.judgement;
        let first = |reason: &String| reason.lines().next().unwrap_or_default().chars().take(REASON_MAX).collect();
        let standing = CellStanding {
            outcome: cell.outcome,
            verdict: judgement.verdict,
            state: judgement.state,
            expect: cell.expect,
            expected: cell.expected,
            conflict: judgement.conflict,
            mitigated: judgement.mitigated,
            unproven: judgement.unproven,
            release: cell.release.clone(),
            guest_ms: cell.trials.guest_ms,
            seeds: cell.trials.seeds,
            reason: judgement.reason.as_ref().map(first),
        };
        Self { standing, clock }
    }
}
