//! The chain of a bug: the commits that brought it in and took it out.

use serde::Deserialize;

use crate::words::{CommitId, Role};

/// One commit of a bug's chain.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Step {
    /// What it does. Each role once in a chain.
    pub role: Role,
    /// The upstream commit; none where the step exists in stable trees only, and is found by subject and files.
    #[serde(default)]
    pub commit: Option<CommitId>,
    /// Its subject line, as upstream.
    pub subject: String,
    /// The files that it changes.
    pub files: Vec<String>,
    /// Commits that are known to carry it elsewhere: so they are found where their messages name no upstream commit.
    #[serde(default)]
    pub backports: Vec<Backport>,
    /// Only kernels whose own version is before this one need it (`4.15`); for `fix-of-fix`: later backports of the fix
    /// do not have the defect.
    #[serde(default)]
    pub only_before: Option<String>,
    /// What it changes, in one sentence. For a `fix-of-fix`, what happens without it.
    pub effect: String,
}

/// A commit that carries a step into another line of releases.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Backport {
    /// The line, as people call it: `4.19`, `UEK5`.
    pub line: String,
    /// The commit.
    pub commit: CommitId,
    /// Whether it is another patch under the same subject: it may do less, or something else.
    #[serde(default)]
    pub differs: bool,
}
