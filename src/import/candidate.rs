//! A dossier that a source proposes, and its text.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use backproof_protocol::ProgramProtocol;
use serde::Serialize;

use super::ImportRootfs;
use super::names::{fit, one_line, paragraph};
use crate::matrix::{CrashKind, Needs};
use crate::words::{BugId, CommitId};

/// The longest title of a dossier, in characters.
const TITLE_MAX: usize = 80;

/// The longest deadline of a dossier.
pub(super) const DEADLINE_MAX: Duration = Duration::from_secs(3600);

/// A dossier that a source proposes.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// The name in the source.
    pub(super) name: String,
    /// The wanted name of the bug, which may not be usable as it is.
    pub(super) id: String,
    pub(super) title: String,
    pub(super) summary: String,
    pub(super) references: Vec<String>,
    /// The upstream commits that fix it, all of them required.
    pub(super) fixes: Vec<CommitId>,
    /// The program's file.
    pub(super) program: PathBuf,
    pub(super) place: ProgramPlace,
    /// Files that it finds beside it, with their names there.
    pub(super) files: Vec<(PathBuf, String)>,
    /// What it sees as its root.
    pub(super) rootfs: Option<Arc<ImportRootfs>>,
    pub(super) protocol: ProgramProtocol,
    pub(super) crash: Option<CrashWords>,
    pub(super) args: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) needs: Needs,
    pub(super) deadline: Duration,
    /// What the dossier leaves out.
    pub(super) notes: Vec<String>,
}

/// Where the program is.
#[derive(Clone, Debug)]
pub(super) enum ProgramPlace {
    /// A copy beside the dossier, with this name.
    Beside(String),
    /// The rootfs, where this command runs it.
    Rootfs(&'static str),
}

/// The crash that a title describes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CrashWords {
    pub(super) kinds: Vec<CrashKind>,
    pub(super) frames: Vec<String>,
    /// A text that the report has; used where no function is known.
    pub(super) text: Option<String>,
}

/// A dossier as it is written. docs/dossiers.md explains the keys.
#[derive(Serialize)]
struct DossierFile {
    id: String,
    title: String,
    summary: String,
    references: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    chain: Vec<StepEntry>,
    /// Tests of others name fixes, and no break.
    #[serde(rename = "break-unknown", skip_serializing_if = "std::ops::Not::not")]
    break_unknown: bool,
    reproducer: ReproducerEntry,
}

#[derive(Serialize)]
struct StepEntry {
    role: &'static str,
    commit: String,
    effect: String,
}

#[derive(Serialize)]
struct ReproducerEntry {
    program: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crash: Option<CrashEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rootfs: Option<PathBuf>,
    #[serde(skip_serializing_if = "NeedsEntry::is_empty")]
    needs: NeedsEntry,
    deadline: String,
}

#[derive(Serialize)]
struct CrashEntry {
    kinds: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    frames: Vec<String>,
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
}

#[derive(PartialEq, Eq, Serialize)]
struct NeedsEntry {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    modules: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    config: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpus: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mounts: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<String>,
}

impl NeedsEntry {
    fn of(needs: &Needs) -> Self {
        Self {
            modules: needs.modules.clone(),
            config: needs.config.clone(),
            cpus: needs.cpus,
            memory: needs.memory_mib.map(|mib| format!("{mib}M")),
            mounts: needs.mounts.iter().map(|mount| mount.as_str()).collect(),
            disk: needs.disk_mib.map(|mib| format!("{mib}M")),
        }
    }

    fn is_empty(&self) -> bool {
        *self == Self::of(&Needs::default())
    }
}

impl Candidate {
    /// Its title as the dossier has it.
    pub(super) fn shown_title(&self) -> String {
        fit(&one_line(&self.title), TITLE_MAX)
    }

    /// The dossier's text. Its program and files are in this folder, relative to the dossier.
    pub(super) fn text(&self, id: &BugId, folder: &str) -> Result<String, serde_yaml::Error> {
        let effect = format!("It fixes what {} provokes.", one_line(&self.name));
        let step =
            |commit: &CommitId| StepEntry { role: "fix", commit: commit.as_str().to_owned(), effect: effect.clone() };
        let crash = self.crash.as_ref().map(|crash| CrashEntry {
            kinds: crash.kinds.iter().map(|kind| kind.as_str()).collect(),
            frames: crash.frames.clone(),
            pattern: crash.text.as_deref().map(regex::escape),
        });
        let deadline = self.deadline.clamp(Duration::from_secs(1), DEADLINE_MAX).as_secs();
        serde_yaml::to_string(&DossierFile {
            id: id.to_string(),
            title: self.shown_title(),
            summary: paragraph(&self.summary),
            references: self.references.iter().map(|reference| one_line(reference)).collect(),
            chain: self.fixes.iter().map(step).collect(),
            break_unknown: !self.fixes.is_empty(),
            reproducer: ReproducerEntry {
                program: match &self.place {
                    ProgramPlace::Beside(name) => format!("{folder}/{name}"),
                    ProgramPlace::Rootfs(command) => (*command).to_owned(),
                },
                // A crash oracle implies its protocol.
                protocol: (self.protocol != ProgramProtocol::Crash).then(|| self.protocol.as_str()),
                crash,
                args: self.args.clone(),
                env: self.env.clone(),
                files: self.files.iter().map(|(_, name)| format!("{folder}/{name}")).collect(),
                rootfs: self.rootfs.as_ref().map(|rootfs| rootfs.path().to_owned()),
                needs: NeedsEntry::of(&self.needs),
                deadline: format!("{deadline}s"),
            },
        })
    }
}
