//! What happens during a run, as events. The engine never prints and never writes a file: reporters consume these.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::boot_end::WireRecord;
use super::cell::Cell;
use super::recording::Recording;
use crate::evidence::git;
use crate::kernel::{LockedFile, Progress, Provenance, Stale};
use crate::verdict::Question;
use crate::vm::{Accel, Stage};
use crate::words::{JobId, KernelName};

/// One boot of one kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BootId {
    /// The kernel.
    pub kernel: KernelName,
    /// From 1 on, in the order in which they started.
    pub number: u32,
}

impl BootId {
    /// The boot's folder, below the kernel's.
    pub fn folder(&self) -> String {
        format!("boot-{}", self.number)
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kernel, self.folder())
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The first event: everything that will be judged.
    Planned(Vec<Question>),
    /// A worker has taken up a kernel, or its kernel is on its way.
    Obtaining {
        /// The kernel.
        kernel: KernelName,
        /// How far it is; nothing has been said yet where this is absent.
        progress: Option<Progress>,
    },
    /// The repository that a kernel was built from is read, so that its commits can be asked. Nothing is said of one whose
    /// index is up to date.
    Indexing {
        /// The kernel whose worker does it, or waits for it.
        kernel: KernelName,
        /// The repository.
        repository: PathBuf,
        /// How far it is.
        progress: git::IndexProgress,
    },
    /// A kernel is ready to boot.
    Obtained(KernelRecord),
    /// A guest boots.
    BootStarted {
        /// The boot.
        boot: BootId,
        /// Under which accelerator.
        accel: Accel,
        /// All that is needed to boot it again.
        recording: Box<Recording>,
    },
    /// A guest has got further.
    Stage {
        /// The boot.
        boot: BootId,
        /// What it does now.
        stage: Stage,
    },
    /// Bytes from a guest's serial console.
    Console {
        /// The boot.
        boot: BootId,
        /// As they came.
        bytes: Vec<u8>,
    },
    /// A line that was said over QMP.
    Qmp {
        /// The boot.
        boot: BootId,
        /// One JSON object.
        line: String,
    },
    /// A guest has ended.
    BootEnded(BootRecord),
    /// KVM does not work here after all. Said once a run.
    AcceleratorFellBack {
        /// What KVM did.
        why: String,
    },
    /// A cell has its verdict.
    Judged {
        /// The cell.
        cell: Box<Cell>,
        /// What the wire saw.
        wire: WireRecord,
    },
    /// The worker of a kernel panicked, which is a mistake in this program: what it had not judged stays so.
    Failed {
        /// The kernel.
        kernel: KernelName,
        /// What the worker said.
        why: String,
    },
    /// All cells of a kernel are judged.
    Done {
        /// The kernel.
        kernel: KernelName,
    },
    /// A remark for people.
    Note {
        /// The kernel that it is about.
        kernel: KernelName,
        /// The remark.
        text: String,
    },
}

/// What a kernel turned out to be. This is what `kernels[]` of matrix.json holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KernelRecord {
    /// Its name in the matrix.
    pub name: KernelName,
    /// Where it comes from.
    pub source: String,
    /// What its image calls itself; the booted kernel's own word is in its cells.
    pub release: Option<String>,
    /// SHA-256 of the image that was booted.
    pub image_sha256: String,
    /// The files that it was taken from.
    pub provenance: Vec<Provenance>,
    /// The files that it was resolved to, as a lock has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<LockedFile>,
    /// Whether it was taken as its lock has it.
    #[serde(default)]
    pub locked: bool,
    /// Set where it may not be the newest, because nobody could be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<Stale>,
    /// Its boots, in order.
    #[serde(default)]
    pub boots: Vec<BootRecord>,
}

/// How a boot went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BootRecord {
    /// The kernel.
    pub kernel: KernelName,
    /// Number of the boot, from 1 on.
    pub number: u32,
    /// Under which accelerator it ran.
    pub accelerator: Accel,
    /// What it ran: bugs, each under its profile.
    #[serde(alias = "bugs")]
    pub jobs: Vec<JobId>,
    /// Wall time from QEMU's start to its end.
    pub seconds: f64,
    /// Why it failed, where it did.
    pub failure: Option<String>,
    /// Remarks of the agent, and warnings of the kernel before the agent ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
