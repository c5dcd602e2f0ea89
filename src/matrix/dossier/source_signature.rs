//! What a bug's steps look like in source code.

use serde::Deserialize;

use super::SourcePattern;
use crate::words::State;

/// What one function of the source says about a bug. The first case that fits decides; where none does, the function
/// says nothing. Several signatures of a bug narrow each other down.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SourceSignature {
    /// The function.
    pub function: String,
    /// The file that it is in, as `net/ipv4/tcp_output.c`.
    pub file: String,
    /// Statements that say nothing about the bug: a case's `lacks` does not look at them.
    #[serde(default)]
    pub harmless: Vec<SourcePattern>,
    /// What it may look like, the most telling first.
    pub cases: Vec<SourceCase>,
}

/// One of the things that a function may look like.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SourceCase {
    /// The states that it leaves possible.
    pub states: Vec<State>,
    /// What all must be there. A metavariable is the same in all of them.
    #[serde(default)]
    pub has: Vec<SourcePattern>,
    /// What must not be there, but for what `has` and `harmless` fit.
    #[serde(default)]
    pub lacks: Vec<SourcePattern>,
    /// What other functions must look like for this case.
    #[serde(default)]
    pub elsewhere: Vec<Elsewhere>,
    /// What that means, in half a sentence.
    pub says: String,
}

/// What another function must look like.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Elsewhere {
    /// The function.
    pub function: String,
    /// The file that it is in.
    pub file: String,
    /// What all must be there.
    #[serde(default)]
    pub has: Vec<SourcePattern>,
    /// What must not be there.
    #[serde(default)]
    pub lacks: Vec<SourcePattern>,
}
