//! proof.json: what a change does, as one document.

use serde::Serialize;

use super::flip::{Flip, NoFlipCause, Purpose};
use super::turns::Confirmation;
use crate::exit::Exit;
use crate::kernel::build::{BuildWork, CodeDifference, FunctionDifference};
use crate::run::{CellReach, SeedCount};
use crate::validate::ToolRecord;
use crate::verdict::Verdict;
use crate::words::{BugId, KernelName, State};

/// The version of the shape of [`ChangeProof`] and [`TurnProof`](super::TurnProof).
pub const SCHEMA_VERSION: u32 = 1;

/// The file of a proof in the run's folder.
pub const PROOF_FILE: &str = "proof.json";

/// Whether the verdict flips at a change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChangeProof {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The bug.
    pub bug: BugId,
    /// What the change does to the verdict.
    pub flip: Flip,
    /// The same in a sentence.
    pub why: String,
    /// Why it does not flip, as far as it can be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_flip: Option<NoFlipCause>,
    /// The change.
    pub change: ProvenChange,
    /// The kernels, from the one without the change to the one with all of it.
    pub sides: Vec<ProofSide>,
    /// Of several parts that were judged one by one: where the verdict turns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub turns_at: Vec<TurningParts>,
    /// What it does to the kernel's code.
    pub code: CodeChange,
    /// What people should know of the source: its uncommitted changes, and options that were changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// By what it was judged.
    pub tool: ToolRecord,
    /// The run's folder.
    pub folder: String,
    /// The command that repeats it.
    pub repeat: String,
    /// The exit code: 0 flips, 1 does not, 3 no verdict, 130 interrupted.
    pub exit_code: Exit,
}

/// The change that is proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProvenChange {
    /// In words: `the fix of tcp-fragment-stall`, `a.patch`.
    pub what: String,
    /// What it is to do.
    pub purpose: Purpose,
    /// The source that it is judged in: a tree, or a repository and a revision.
    pub origin: String,
    /// The commit of a revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Whether the source has the change, so that it is taken out for the one side.
    pub is_in: bool,
    /// Its commits or patches, in their order.
    pub parts: Vec<ChangePart>,
    /// Merges of a range, which were left out.
    #[serde(skip_serializing_if = "is_zero")]
    pub merges: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// A commit or a patch of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangePart {
    /// A commit's name, or a patch's file.
    pub name: String,
    /// A commit's subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

impl ChangePart {
    /// A commit's first digits and subject, or a patch's file.
    pub fn says(&self) -> String {
        match &self.subject {
            Some(subject) => format!("{} (\"{subject}\")", self.name.get(..12).unwrap_or(&self.name)),
            None => self.name.clone(),
        }
    }
}

/// A kernel of a proof.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProofSide {
    /// Its name in the run: `without`, `with`, `with-1`.
    pub name: KernelName,
    /// How many parts of the change it has.
    pub parts: usize,
    /// The patch in the run's folder that was applied to the source; None if the source was built as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// The state, if exactly one remains.
    pub state: Option<State>,
    /// The schedules that showed the bug, in virtual time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds: Option<SeedCount>,
    /// Whether a second boot said the same, in real time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Confirmation>,
    /// Whether its silence proves nothing by itself, because the reproducer has no positive control.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unproven: bool,
    /// Why, in a sentence.
    pub why: String,
    /// Its release.
    pub release: Option<String>,
    /// Its image's sha256; None if it could not be built.
    pub image_sha256: Option<String>,
    /// What its build did; None if it was built before.
    pub build: Option<SideBuild>,
    /// How often the changed functions were entered while the reproducer ran.
    #[serde(skip_serializing_if = "CellReach::is_empty")]
    pub reach: CellReach,
}

/// What a build did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SideBuild {
    /// Objects that were compiled.
    pub compiled: usize,
    /// Seconds of wall time.
    pub seconds: f64,
    /// Seconds of processor time, if the host says them.
    pub cpu_seconds: Option<f64>,
}

impl From<&BuildWork> for SideBuild {
    fn from(work: &BuildWork) -> Self {
        Self { compiled: work.compiled.len(), seconds: work.seconds, cpu_seconds: work.cpu_seconds }
    }
}

/// What a change does to a kernel's code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CodeChange {
    /// The files of the source that it changes.
    pub files: Vec<String>,
    /// Those of them that the kernel has no object of.
    pub not_compiled: Vec<String>,
    /// Whether both images are the same file.
    pub same_image: bool,
    /// The functions and data that differ; None if a kernel's code was not kept.
    pub difference: Option<CodeDifference>,
}

impl CodeChange {
    /// Whether both kernels are the same, as far as is known.
    pub fn is_same(&self) -> bool {
        self.same_image || self.difference.as_ref().is_some_and(CodeDifference::is_empty)
    }

    /// The functions that differ and that a side has, without the compiler's endings (`.isra.0`, `.cold`), each once.
    pub fn functions(&self, has: impl Fn(&FunctionDifference) -> bool) -> Vec<String> {
        let differ = self.difference.iter().flat_map(|difference| &difference.functions).filter(|one| has(one));
        let mut names: Vec<String> =
            differ.map(|one| one.name.split('.').next().unwrap_or_default().to_owned()).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// Parts of a series, from 1 on, of which one turns the verdict: several if those between have no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TurningParts {
    /// The first.
    pub first: usize,
    /// The last.
    pub last: usize,
}

impl TurningParts {
    /// The turns between the sides that have a verdict.
    pub fn of(sides: &[ProofSide]) -> Vec<Self> {
        let judged: Vec<&ProofSide> = sides.iter().filter(|side| side.verdict != Verdict::Unknown).collect();
        let turns = judged.windows(2).filter(|pair| pair[0].verdict != pair[1].verdict);
        turns.map(|pair| Self { first: pair[0].parts + 1, last: pair[1].parts }).collect()
    }
}

impl ChangeProof {
    /// The sentence of a proof: what happened, and why.
    pub fn sentence(flip: Flip, no_flip: Option<&NoFlipCause>, sides: &[ProofSide]) -> String {
        let (Some(without), Some(with)) = (sides.first(), sides.last()) else { return String::new() };
        match flip {
            Flip::Flips => format!("flips: without {}, with {}", shown(without), shown(with)),
            Flip::WrongDirection => format!("wrong direction: without {}, with {}", shown(without), shown(with)),
            Flip::StaysAffected | Flip::StaysGood => {
                let cause = no_flip.map_or_else(String::new, |cause| format!("; {cause}"));
                format!("{} with the change and without{cause}", with.verdict)
            }
            Flip::NoVerdict => {
                let unknown = [without, with].into_iter().filter(|side| side.verdict == Verdict::Unknown);
                unknown
                    .map(|side| format!("{}: {}", side.name, side.why.lines().next().unwrap_or_default()))
                    .collect::<Vec<_>>()
                    .join("; ")
            }
        }
    }
}

/// `affected (3 of 3 seeds)`.
fn shown(side: &ProofSide) -> String {
    let seeds = side.seeds.map_or_else(String::new, |seeds| format!(" ({} of {} seeds)", seeds.affected, seeds.tried));
    let unproven = if side.unproven { ", unproven" } else { "" };
    let twice = if side.confirmed == Some(Confirmation::Confirmed) { " (twice)" } else { "" };
    format!("{}{unproven}{seeds}{twice}", side.verdict)
}
