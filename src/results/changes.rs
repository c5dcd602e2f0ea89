//! What changed between two runs: the field `changes` of matrix.json, what `backproof diff --format json` prints, and what
//! the command of `run --on-change` reads.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::run::SeedCount;
use crate::verdict::Verdict;
use crate::words::{BugId, Expectation, JobId, KernelName, Outcome, ProfileName, State};

/// The version of the shape of [`RunChanges`].
pub const CHANGES_VERSION: u32 = 1;

/// What changed between two runs. Readers ignore what they don't know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunChanges {
    /// [`CHANGES_VERSION`].
    pub schema_version: u32,
    /// The earlier run. None if there is none to compare with; then nothing changed.
    pub before: Option<ComparedRun>,
    /// The later run.
    pub after: ComparedRun,
    /// How many cells both runs judged.
    pub compared: usize,
    /// What changed, the most important first: at most one entry for each cell, and one for each kernel.
    pub changes: Vec<RunChange>,
    /// What was not compared, and why.
    pub not_compared: Vec<NotCompared>,
}

/// One of the two runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparedRun {
    /// Its id, which names its folder.
    pub id: String,
    /// When it started: RFC 3339, UTC.
    pub started: String,
    /// Its matrix file, as it was named.
    pub matrix: String,
    /// What its command line chose of the matrix.
    pub selection: RunSelection,
    /// Whether it was interrupted, so that some cells are not judged.
    pub interrupted: bool,
    /// Its exit code.
    pub exit_code: Exit,
}

/// What a command line chose of a matrix. Nothing means the whole matrix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct RunSelection {
    /// The named kernels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kernels: Vec<KernelName>,
    /// The tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The named bugs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bugs: Vec<BugId>,
    /// The named profiles.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<ProfileName>,
    /// Whether a pass that no control proves was to be no answer (`--strict`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
}

impl RunSelection {
    /// The same, so that the order of the arguments does not matter.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.kernels.sort();
        self.tags.sort();
        self.bugs.sort();
        self.profiles.sort();
        self
    }

    /// Whether it means all kernels of the matrix.
    pub fn means_all_kernels(&self) -> bool {
        self.kernels.is_empty() && self.tags.is_empty()
    }

    /// Whether a run with this selection judges all that one with the other does, by the same rules, in the same matrix.
    pub fn covers(&self, other: &Self) -> bool {
        let has_kernels = self.means_all_kernels()
            || (!other.means_all_kernels()
                && has_all(&self.kernels, &other.kernels)
                && has_all(&self.tags, &other.tags));
        let has_bugs = self.bugs.is_empty() || (!other.bugs.is_empty() && has_all(&self.bugs, &other.bugs));
        self.strict == other.strict
            && has_kernels
            && has_bugs
            && other.profiles().iter().all(|profile| self.has_profile(profile))
    }

    fn profiles(&self) -> Vec<ProfileName> {
        if self.profiles.is_empty() { vec![ProfileName::default_profile()] } else { self.profiles.clone() }
    }

    fn has_profile(&self, profile: &ProfileName) -> bool {
        self.profiles().iter().any(|own| own == profile || own.as_str() == ProfileName::ALL)
    }
}

fn has_all<T: PartialEq>(all: &[T], some: &[T]) -> bool {
    some.iter().all(|one| all.contains(one))
}

/// One change: of a cell, or of a kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunChange {
    /// What changed, the most important first; never empty.
    pub kinds: Vec<ChangeKind>,
    /// The kernel.
    pub kernel: KernelName,
    /// The bug. None if the change is the kernel's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bug: Option<BugId>,
    /// The profile. None if the change is the kernel's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileName>,
    /// The cell in the earlier run. None if the change is the kernel's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<CellStanding>,
    /// The cell in the later run. None if the change is the kernel's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<CellStanding>,
    /// The change in one sentence, without the names of the kernel, the bug and the profile.
    pub says: String,
}

impl RunChange {
    /// The most important kind.
    pub fn kind(&self) -> ChangeKind {
        self.kinds.first().copied().unwrap_or(ChangeKind::Outcome)
    }

    /// The bug and the profile, if the change is a cell's.
    pub fn job(&self) -> Option<JobId> {
        Some(JobId { bug: self.bug.clone()?, profile: self.profile.clone()? })
    }
}

impl fmt::Display for RunChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.job() {
            Some(job) => write!(f, "{}  {job}  {}", self.kernel, self.says),
            None => write!(f, "{}  {}", self.kernel, self.says),
        }
    }
}

/// The kind of a change. The order is that of importance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Strong witnesses contradict each other, and did not before.
    ConflictBegan,
    /// A boot did not say what the boot of the same inputs said.
    Transcript,
    /// The cell is unexpected, and was expected before.
    UnexpectedBegan,
    /// The outcome flipped.
    Outcome,
    /// The verdict flipped, or what qualifies it (mitigated, unproven), but not the outcome.
    Verdict,
    /// The kernel's state in the bug's chain flipped.
    State,
    /// The witnesses agree again.
    ConflictEnded,
    /// The cell is as expected again.
    UnexpectedEnded,
    /// The outcome depends on the schedule, or turns from run to run, and did not before.
    Flakier,
    /// The reproducer takes clearly longer in the guest.
    Slower,
    /// The kernel was not judged before.
    NewKernel,
    /// The kernel is no longer in the matrix.
    VanishedKernel,
    /// The kernel's release or image changed.
    KernelChanged,
}

/// What a cell came to in one run, as far as it is compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellStanding {
    /// How it ended.
    pub outcome: Outcome,
    /// Its verdict.
    pub verdict: Verdict,
    /// The kernel's state, if exactly one remains.
    pub state: Option<State>,
    /// What the matrix expected.
    pub expect: Expectation,
    /// Whether it ended as expected.
    pub expected: bool,
    /// Whether strong witnesses contradict each other.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub conflict: bool,
    /// Whether the profile keeps the bug from showing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mitigated: bool,
    /// Whether a pass rests on silence alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unproven: bool,
    /// The release of the kernel that was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// How long the reproducer took in the guest, in milliseconds of the guest's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_ms: Option<u64>,
    /// How many schedules showed the bug, if several were tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeds: Option<SeedCount>,
    /// Why there is no verdict: the first line, cut short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl CellStanding {
    /// The outcome in words: `FAIL (expected)`, `pass (mitigated)`, `pass! (fixed)`; `!` marks a conflict.
    pub fn in_words(&self) -> String {
        let name = match self.outcome {
            Outcome::Pass | Outcome::Skip => self.outcome.as_str().to_owned(),
            Outcome::Fail | Outcome::Error => self.outcome.as_str().to_uppercase(),
        };
        let is_bad = matches!(self.outcome, Outcome::Fail | Outcome::Error);
        let marks = [
            (self.mitigated, "mitigated"),
            (self.unproven, "unproven"),
            (self.expected && is_bad, "expected"),
            (!self.expected && !is_bad, "unexpected"),
        ];
        let marks: Vec<&str> = marks.iter().filter(|(is_so, _)| *is_so).map(|(_, mark)| *mark).collect();
        let conflict = if self.conflict { "!" } else { "" };
        let marks = if marks.is_empty() { String::new() } else { format!(" ({})", marks.join(", ")) };
        format!("{name}{conflict}{marks}")
    }
}

/// Something that only one of the runs judged, so that nothing can be said about a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotCompared {
    /// The kernels that this is about, sorted.
    pub kernels: Vec<KernelName>,
    /// The bug and the profile, if only these cells were not compared; None for all cells of the kernels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// Why not, in one sentence.
    pub why: String,
}
