//! Judges a case: the only room that turns evidence into a verdict.
//!
//! A [`Case`] is everything that is known of one (kernel, bug, profile): what the witnesses found, and what became of the
//! boots. It comes to one [`Judgement`], which everything to the right of this room takes as it is.

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

/// What a case comes to.
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
