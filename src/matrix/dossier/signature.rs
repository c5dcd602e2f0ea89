//! What a bug's steps look like in machine code.

use serde::Deserialize;

use crate::words::State;

/// What one function says about a bug. The first case that fits decides; where none does, the function says nothing.
/// Several signatures of a bug narrow each other down.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Signature {
    /// The function.
    pub function: String,
    /// What it may look like, the most telling first.
    pub cases: Vec<Case>,
}

/// One of the things that a function may look like.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Case {
    /// The states that it leaves possible.
    pub states: Vec<State>,
    /// Patterns that all must be there.
    #[serde(default)]
    pub has: Vec<String>,
    /// Patterns of which none may be there.
    #[serde(default)]
    pub lacks: Vec<String>,
    /// What that means, in half a sentence.
    pub says: String,
}
