//! The events of a run. The engine never prints or writes results; it sends these to reporters.

use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::boot_end::WireRecord;
use super::cell::Cell;
use super::recording::Recording;
use crate::evidence::git;
use crate::kernel::{LockedFile, Progress, Provenance, Stale};
use crate::verdict::Question;
use crate::vm::{Accel, Stage, Transcript, VirtualTime};
use crate::words::{JobId, KernelName};

/// One boot of one kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BootId {
    /// The kernel.
    pub kernel: KernelName,
    /// Counts from 1.
    pub number: u32,
}

impl BootId {
    /// The boot's folder, below the kernel's.
    pub fn folder(&self) -> String {
        boot_folder_name(self.number)
    }
}

/// The folder of a kernel's boot of this number.
pub fn boot_folder_name(number: u32) -> String {
    format!("boot-{number}")
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
        /// Its progress; None at first.
        progress: Option<Progress>,
    },
    /// A kernel's repository is being indexed. An up-to-date index sends nothing.
    Indexing {
        /// The kernel that needs it.
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
        /// Its virtual time; None for the host's.
        time: Option<VirtualTime>,
        /// All that is needed to boot it again.
        recording: Box<Recording>,
    },
    /// A guest reached its next stage.
    Stage {
        /// The boot.
        boot: BootId,
        /// The stage.
        stage: Stage,
    },
    /// Bytes from a guest's serial console.
    Console {
        /// The boot.
        boot: BootId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Bytes from a guest's agent.
    Agent {
        /// The boot.
        boot: BootId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A line of QMP.
    Qmp {
        /// The boot.
        boot: BootId,
        /// One JSON object.
        line: String,
    },
    /// A guest has ended.
    BootEnded(BootRecord),
    /// KVM does not work here after all. Sent once per run.
    AcceleratorFellBack {
        /// What KVM did.
        why: String,
    },
    /// QEMU cannot count instructions, so guests run in real time from now on. Sent once per run.
    TimeFellBack {
        /// What QEMU said.
        why: String,
    },
    /// A guest did not say what the cached boot of the same inputs said, although its time is virtual.
    TranscriptDiffers {
        /// The boot.
        boot: BootId,
        /// What the cached boot said.
        cached: Box<Transcript>,
    },
    /// A cell has its verdict.
    Judged {
        /// The cell.
        cell: Box<Cell>,
        /// What the wire saw.
        wire: WireRecord,
    },
    /// The worker of a kernel panicked; its other cells stay unjudged.
    Failed {
        /// The kernel.
        kernel: KernelName,
        /// The panic's message.
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
    /// The release of its image; the cells have that of the booted kernel.
    pub release: Option<String>,
    /// SHA-256 of its image as it came; boot.json names the unpacked kernel that was booted.
    pub image_sha256: String,
    /// The files that it was taken from.
    pub provenance: Vec<Provenance>,
    /// Its files, as in a lock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<LockedFile>,
    /// Whether it matches its lock.
    #[serde(default)]
    pub locked: bool,
    /// Set if it may be stale, because nobody could check for updates.
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
    /// Its virtual time; absent for the host's.
    #[serde(flatten)]
    pub time: Option<VirtualTime>,
    /// SHA-256 of everything that the guest said (`cat console.log agent.jsonl | sha256sum`), in virtual time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript_sha256: Option<String>,
    /// What it is, if it judges no cell itself: it showed whether the reproducer sees the bug.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// What it ran: bugs, each under its profile.
    #[serde(alias = "bugs")]
    pub jobs: Vec<JobId>,
    /// Wall time from QEMU's start to its end; 0 for a cached boot.
    pub seconds: f64,
    /// When the boot was made, if it was taken from the cache: RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<Timestamp>,
    /// Sha256 of everything that its answer depends on: QEMU, its arguments, the kernel, the initramfs and the seed. Absent if
    /// that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs_sha256: Option<String>,
    /// How its transcript differs from that of a cached boot with the same inputs, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differs: Option<String>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
    /// Remarks of the agent, and warnings of the kernel before the agent ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl BootRecord {
    /// Its id.
    pub fn id(&self) -> BootId {
        BootId { kernel: self.kernel.clone(), number: self.number }
    }

    /// How its transcript differs from the cached one, in one sentence, if it does.
    pub fn difference(&self) -> Option<String> {
        Some(format!("{}: {}", self.id(), self.differs.as_ref()?))
    }
}
