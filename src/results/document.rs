//! matrix.json: the run as one document.
//!
//! Readers ignore what they don't know; a change that they would misunderstand raises [`SCHEMA_VERSION`].

use serde::{Deserialize, Serialize};

use super::changes::{RunChanges, RunSelection};
use crate::exit::Exit;
use crate::matrix::Profile;
use crate::run::{Cell, CellTally, CellTrials, KernelRecord};
use crate::verdict::{Boots, Case, Question};
use crate::words::Outcome;

/// The version of this document's shape.
pub const SCHEMA_VERSION: u32 = 1;

/// The whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatrixDocument {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Why this run's verdicts cannot be trusted: the control kernels that were judged wrongly, one sentence each. It
    /// stands first, so that nobody reads on without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cannot_be_trusted: Vec<String>,
    /// Where strong witnesses contradict each other: one sentence a cell. They stand before the verdicts, because one of
    /// the witnesses is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<String>,
    /// Boots that did not say what the cached boot of the same inputs said: one sentence each. Either nondeterminism got into
    /// virtual time, or something changed that the cache does not know of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differing: Vec<String>,
    /// What changed since the last comparable run. Absent while the run goes on, for other commands than `run`, and if the
    /// history cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<RunChanges>,
    /// When, where and by what.
    pub run: RunRecord,
    /// The kernels that could be obtained.
    pub kernels: Vec<KernelRecord>,
    /// Every planned cell, in the matrix's order.
    pub cells: Vec<Cell>,
    /// How many cells ended how.
    pub summary: CellTally,
    /// The exit code: 0 all as expected, 1 unexpected, 3 no verdict, 130 interrupted.
    pub exit_code: Exit,
}

/// When, where and by what a run was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run's id, which names its folder.
    pub id: String,
    /// When it started: RFC 3339, UTC.
    pub started: String,
    /// Its wall time so far, in seconds.
    pub seconds: f64,
    /// Whether it is finished. False while it runs, or after it died.
    pub finished: bool,
    /// Whether it was interrupted, so that some cells are not judged.
    pub interrupted: bool,
    /// This program's version.
    pub tool: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The matrix file, as it was named.
    pub matrix: String,
    /// What the command line chose of the matrix.
    #[serde(default)]
    pub selection: RunSelection,
    /// The profiles of the cells. Empty for runs that predate profiles.
    #[serde(default)]
    pub profiles: Vec<Profile>,
    /// Whether the natural checks ran too.
    #[serde(default)]
    pub natural: bool,
    /// How many kernels were judged at a time.
    pub jobs: usize,
    /// The machine that it ran on.
    pub host: RunHost,
    /// The QEMU that it used.
    pub qemu: QemuRecord,
    /// The accelerator, and why it was used.
    pub accelerator: String,
    /// How the guests' time passed, and why. Empty for runs that predate virtual time.
    #[serde(default)]
    pub time: String,
    /// Files that are missing or cut short, with the reason, such as a full disk. No verdict needs them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_written: Vec<String>,
}

/// The machine that a run was made on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunHost {
    /// `uname -r`.
    pub kernel: String,
    /// Processors that this process may use.
    pub cpus: usize,
    /// Memory in mebibytes.
    pub memory_mib: u64,
    /// The load average of the last minute when the run started.
    pub load: f64,
}

/// The QEMU that a run used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QemuRecord {
    /// The program.
    pub program: String,
    /// Its version.
    pub version: String,
}

/// Why a cell has not been judged. Each planned cell starts as an `error`, so that a run that dies never looks passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unjudged {
    /// The run is unfinished, or died.
    NotYet,
    /// The run was interrupted.
    Interrupted,
    /// The run finished without this cell, because its worker failed.
    Failed,
}

/// How the reason of a cell starts that the run did not come to.
const UNJUDGED: &str = "not judged: the run";

/// How it ends while the run goes on, or if it died.
const PENDING: &str = " had not come to it when this was written";

impl Cell {
    /// Whether an unfinished run has not come to it yet.
    pub fn is_pending(&self) -> bool {
        self.is_unjudged() && self.judgement.reason.as_ref().is_some_and(|why| why.ends_with(PENDING))
    }

    /// Whether the run did not come to it, so that its outcome shows nothing.
    pub fn is_unjudged(&self) -> bool {
        self.outcome == Outcome::Error && self.judgement.reason.as_ref().is_some_and(|why| why.starts_with(UNJUDGED))
    }
}

impl Unjudged {
    /// The cell of an unanswered question. `fault` is how backproof itself failed at its kernel, if it did.
    pub fn cell(self, question: &Question, fault: Option<&str>) -> Cell {
        let reason = match (self, fault) {
            (_, Some(fault)) => format!("not judged: backproof itself failed at this kernel: {fault}"),
            (Self::NotYet, None) => format!("{UNJUDGED}{PENDING}"),
            (Self::Interrupted, None) => format!("{UNJUDGED} was interrupted before"),
            (Self::Failed, None) => format!("{UNJUDGED} ended without coming to it"),
        };
        let case = Case { boots: Boots::NotReached(reason), ..Case::default() };
        Cell::judged(question, None, case, CellTrials::default())
    }
}
