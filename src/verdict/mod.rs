//! Judges a case: the only room that turns evidence into a verdict.
//!
//! A [`Case`] is all evidence about one (kernel, bug, profile): the witnesses' findings, and the outcome of the boots.
//! It gives one [`Judgement`], which later rooms use unchanged.

mod advice;
mod case;
mod judgement;
mod ledger;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use advice::{Advice, AdviceKind};
pub use case::{Boots, Case, Question};
pub use judgement::Judgement;
use ledger::{Ledger, Weight};

/// The verdict of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The kernel has the bug.
    Affected,
    /// The kernel does not have the bug.
    NotAffected,
    /// The evidence does not say.
    Unknown,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Affected => "affected",
            Self::NotAffected => "not-affected",
            Self::Unknown => "unknown",
        })
    }
}
