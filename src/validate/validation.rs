//! validation.json: the gate's answer as one document.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::difference::Difference;
use super::gate::{Gate, GateCell};
use crate::exit::Exit;
use crate::kernel::Provenance;
use crate::matrix::{Acceptance, KernelEntry};
use crate::results::{MatrixDocument, RunRecord};
use crate::run::{BootRecord, KernelRecord};
use crate::vm::VirtualTime;
use crate::words::KernelName;

/// The version of the shape of [`Validation`].
pub const SCHEMA_VERSION: u32 = 1;

/// The answer of `backproof validate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The answer.
    pub gate: Gate,
    /// Why it is not open: a sentence each; empty if it is.
    pub reasons: Vec<String>,
    /// What was judged.
    pub candidate: Candidate,
    /// What every bug means for the gate.
    pub cells: Vec<GateCell>,
    /// What it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Candidate>,
    /// How the candidate differs from the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
    /// The control kernels that were judged first.
    pub controls: ControlsJudged,
    /// The policy's file and its sha256, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<JudgedFile>,
    /// Everything that was accepted, whether it was needed or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<Acceptance>,
    /// By what it was judged, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<ToolRecord>,
    /// The candidate's boots.
    pub boots: Vec<ValidatedBoot>,
    /// The run's folder, if anything was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The commands that repeat it.
    pub repeat: Vec<String>,
    /// The exit code: 0 open, 1 closed, 3 no answer, 130 interrupted.
    pub exit_code: Exit,
}

/// A kernel that was judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The words that named it.
    pub subject: String,
    /// Its name in the run's folder.
    pub name: KernelName,
    /// Where it comes from.
    pub source: String,
    /// Its release, if it could be obtained.
    pub release: Option<String>,
    /// Its files: those that it came in, and its image.
    pub files: Vec<JudgedFile>,
}

/// A file, and the sha256 of what was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedFile {
    /// Its name: of a package, its name and version.
    pub name: String,
    /// Its sha256, in hexadecimal digits.
    pub sha256: String,
}

/// The control kernels that were judged before the candidate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ControlsJudged {
    /// How many kernels were built on this host, and judged.
    pub kernels: usize,
    /// How many of their cells.
    pub cells: usize,
    /// Those that were judged wrongly, a sentence each: nothing else was judged then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wrong: Vec<String>,
    /// How many cells have no verdict.
    pub unproven: usize,
    /// Their run's folder, if any was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
}

/// By what a kernel was judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolRecord {
    /// This program's version.
    pub backproof: String,
    /// QEMU's version.
    pub qemu: String,
    /// The accelerator, and why it was used.
    pub accelerator: String,
    /// How the guests' time passed, and why.
    pub time: String,
    /// When it was judged: RFC 3339, UTC.
    pub started: String,
}

/// A boot of the candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidatedBoot {
    /// Its number, from 1 on.
    pub number: u32,
    /// Its virtual time; absent for the host's.
    #[serde(flatten)]
    pub time: Option<VirtualTime>,
    /// The sha256 of what the guest said, in virtual time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript_sha256: Option<String>,
    /// When the boot was made, if it was taken from the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<Timestamp>,
}

/// The names of the files that a validation leaves in the run's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenFiles;

impl WrittenFiles {
    /// [`Validation`].
    pub const JSON: &'static str = "validation.json";
    /// The page for people.
    pub const PAGE: &'static str = "validation.md";
    /// The in-toto statement.
    pub const STATEMENT: &'static str = "validation.intoto.json";
    /// The OpenVEX document.
    pub const VEX: &'static str = "validation.openvex.json";
}

impl Candidate {
    /// The kernel of a run, if there was one.
    pub fn of(subject: &str, entry: &KernelEntry, document: Option<&MatrixDocument>) -> Self {
        let KernelEntry { name, source, .. } = entry;
        let record = document.and_then(|document| document.kernels.iter().find(|record| record.name == *name));
        let cells = document.iter().flat_map(|document| &document.cells);
        let release = cells.filter(|cell| cell.kernel == *name).find_map(|cell| cell.release.clone());
        Self {
            subject: subject.to_owned(),
            name: name.clone(),
            source: source.to_string(),
            release: release.or_else(|| record.and_then(|record| record.release.clone())),
            files: record.map(files).unwrap_or_default(),
        }
    }
}

/// The files of a kernel: each once.
pub(super) fn files(record: &KernelRecord) -> Vec<JudgedFile> {
    let mut files: Vec<JudgedFile> = Vec::new();
    for from in &record.provenance {
        let (name, sha256) = match from {
            Provenance::Package { name, version, sha256, .. } => (format!("{name} {version}"), sha256),
            Provenance::File { path, sha256 } => (path.display().to_string(), sha256),
            Provenance::Fetched { address, sha256, .. } => (address.clone(), sha256),
            Provenance::Archive { .. } | Provenance::Control { .. } | Provenance::Build { .. } => continue,
        };
        files.push(JudgedFile { name, sha256: sha256.clone() });
    }
    let image = JudgedFile { name: "kernel image".to_owned(), sha256: record.image_sha256.clone() };
    files.push(image);
    let mut seen = std::collections::BTreeSet::new();
    files.retain(|file| seen.insert(file.sha256.clone()));
    files
}

impl ControlsJudged {
    /// What they showed, in a sentence.
    pub fn says(&self) -> String {
        match self {
            Self { kernels: 0, .. } => {
                "none is built, so nothing proved the verifier (`backproof controls build`)".to_owned()
            }
            Self { wrong, .. } if !wrong.is_empty() => format!("judged wrongly: {}", wrong.join("; ")),
            Self { kernels, cells, unproven: 0, .. } => {
                format!("{kernels} kernels whose state is known, {cells} cells, all judged as made")
            }
            Self { kernels, cells, unproven, .. } => {
                format!("{kernels} kernels whose state is known, {cells} cells, {unproven} of them without a verdict")
            }
        }
    }
}

impl ToolRecord {
    /// Of a run.
    pub fn of(run: &RunRecord) -> Self {
        Self {
            backproof: run.tool.clone(),
            qemu: run.qemu.version.clone(),
            accelerator: run.accelerator.clone(),
            time: run.time.clone(),
            started: run.started.clone(),
        }
    }
}

impl From<&BootRecord> for ValidatedBoot {
    fn from(boot: &BootRecord) -> Self {
        let BootRecord { number, time, transcript_sha256, cached, .. } = boot;
        Self { number: *number, time: *time, transcript_sha256: transcript_sha256.clone(), cached: *cached }
    }
}
