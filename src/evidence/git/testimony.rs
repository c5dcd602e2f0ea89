//! The types of the witness's answer.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::evidence::{Finding, Strength};
use crate::words::{CommitId, Role};

/// The answer to one question: a bug, and a revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GitTestimony {
    /// The conclusion.
    pub finding: Finding,
    /// The result for each step of the chain, in order.
    pub steps: Vec<StepFound>,
    /// Warnings for people, one sentence each.
    pub warnings: Vec<String>,
    /// Whether only words say that a fix is in, because the repository has no commit to compare its lines with.
    #[serde(skip)]
    pub rests_on_words: bool,
}

/// The result for one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepFound {
    /// The step's role.
    pub role: Role,
    /// The commit that carries it in the history of the revision; none if there is none, or if it is a patch file.
    pub commit: Option<CommitId>,
    /// The way it was recognised, or the reason that it was not found.
    pub how: How,
    /// The strength of the evidence.
    pub strength: Strength,
    /// The earliest tag that has this commit.
    pub first_tag: Option<String>,
    /// The commit or patch file that removed it, if it no longer stands.
    pub reverted_by: Option<String>,
}

/// The way in which a step was recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum How {
    /// It is the upstream commit itself.
    Itself,
    /// The dossier knows the commit as a backport.
    KnownBackport {
        /// The line of the backport.
        line: String,
        /// Whether it is a different patch with the same subject.
        differs: bool,
    },
    /// Its message says which commit it carries.
    Trailer {
        /// The line that says so.
        line: String,
    },
    /// It is the same patch, and has the same subject.
    SamePatch,
    /// It mentions the step, and adds its lines.
    SameLines,
    /// The step exists in stable trees only; the commit has its subject and files, and its `Fixes:` line names the
    /// step before it.
    SubjectAndFixes,
    /// It has the same subject and changes the same files.
    SameSubject {
        /// The result of comparing the patches.
        patch: PatchCompared,
    },
    /// A patch file in the series of a packaging tree says which commit it carries.
    QuiltTrailer {
        /// The file.
        file: String,
        /// The line that says so.
        line: String,
    },
    /// A patch file in the series of a packaging tree has the same subject.
    QuiltSubject {
        /// The file.
        file: String,
    },
    /// It was not found.
    NotFound,
    /// Kernels of this version do not need it.
    NotNeeded,
}

/// The result of comparing a commit's patch with the upstream one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatchCompared {
    /// It is another patch.
    Different,
    /// It is in the history of the upstream commit: an earlier attempt.
    Earlier,
    /// There was nothing to compare it with, or the repository lacks the files.
    Unknown,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Itself => f.write_str("the upstream commit itself"),
            Self::KnownBackport { line, differs: false } => write!(f, "known as the backport to {line}"),
            Self::KnownBackport { line, differs: true } => {
                write!(f, "known as the backport to {line}, which is another patch with the same subject")
            }
            Self::Trailer { line } => write!(f, "its message says \"{line}\""),
            Self::SameLines => f.write_str("it names the step and adds its lines"),
            Self::SamePatch => f.write_str("the same patch with the same subject"),
            Self::SubjectAndFixes => f.write_str("its subject and files, and its Fixes: line names the step before"),
            Self::SameSubject { patch: PatchCompared::Different } => f.write_str("same subject, different patch"),
            Self::SameSubject { patch: PatchCompared::Earlier } => {
                f.write_str("same subject, but the upstream commit comes after it: an earlier attempt")
            }
            Self::SameSubject { patch: PatchCompared::Unknown } => {
                f.write_str("same subject and files only, the patches could not be compared")
            }
            Self::QuiltTrailer { file, line } => write!(f, "{file} says \"{line}\""),
            Self::QuiltSubject { file } => write!(f, "{file} has the same subject"),
            Self::NotFound => f.write_str("not found"),
            Self::NotNeeded => f.write_str("not needed by kernels of this version"),
        }
    }
}

impl How {
    /// The strength of this evidence.
    pub(super) fn strength(&self) -> Strength {
        match self {
            Self::SameSubject { .. } | Self::QuiltSubject { .. } => Strength::Weak,
            _ => Strength::Strong,
        }
    }
}
