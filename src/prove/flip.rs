//! Whether the verdict flips at a change, and if not, why.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::kernel::build::CodeDifference;
use crate::run::CellReach;
use crate::verdict::Verdict;

/// What a change is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// To remove the bug.
    Repair,
    /// To bring it in.
    Break,
}

/// What a change does to the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flip {
    /// It does what it is to do: the verdict is another with it than without.
    Flips,
    /// It does the opposite.
    WrongDirection,
    /// Affected with it and without.
    StaysAffected,
    /// Not affected with it, nor without.
    StaysGood,
    /// At least one side has no verdict.
    NoVerdict,
}

impl Flip {
    /// By the verdicts of both sides.
    pub fn of(without: Verdict, with: Verdict, purpose: Purpose) -> Self {
        use Verdict::{Affected, NotAffected, Unknown};
        match (without, with, purpose) {
            (Unknown, ..) | (_, Unknown, _) => Self::NoVerdict,
            (Affected, Affected, _) => Self::StaysAffected,
            (NotAffected, NotAffected, _) => Self::StaysGood,
            (Affected, NotAffected, Purpose::Repair) | (NotAffected, Affected, Purpose::Break) => Self::Flips,
            (Affected, NotAffected, Purpose::Break) | (NotAffected, Affected, Purpose::Repair) => Self::WrongDirection,
        }
    }

    /// The exit of a command with it.
    pub fn exit(self) -> Exit {
        match self {
            Self::Flips => Exit::Clean,
            Self::WrongDirection | Self::StaysAffected | Self::StaysGood => Exit::Affected,
            Self::NoVerdict => Exit::NoVerdict,
        }
    }
}

/// `flips`, `wrong direction` …
impl fmt::Display for Flip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Flips => "FLIPS",
            Self::WrongDirection => "WRONG DIRECTION",
            Self::StaysAffected | Self::StaysGood => "NO FLIP",
            Self::NoVerdict => "NO VERDICT",
        })
    }
}

/// Why a verdict does not flip, as far as it can be known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum NoFlipCause {
    /// None of the changed files is compiled in this configuration.
    NotCompiled {
        /// The files.
        files: Vec<String>,
    },
    /// It compiles to the same code and data.
    NoOp,
    /// The changed functions did not run while the reproducer did.
    NeverReached {
        /// The functions.
        functions: Vec<String>,
    },
    /// They ran, and the verdict is the same: the change is wrong, or it is not enough.
    Reached {
        /// How often each was entered: `ran 14 times in 3 boots`.
        functions: BTreeMap<String, String>,
    },
    /// Only data differs, whose use nobody counts.
    OnlyData {
        /// What differs.
        data: Vec<String>,
    },
    /// It is not known whether they ran.
    NotCounted {
        /// Why.
        why: String,
    },
}

impl NoFlipCause {
    /// By the code of both sides, and by how often the functions that differ ran.
    pub fn of(change: &ChangedCode<'_>, reach: &CellReach) -> Self {
        let Some(difference) = change.difference else {
            let why = "the code of both kernels was not kept: build them again with an empty cache".to_owned();
            return if change.same_image { Self::no_op(change) } else { Self::NotCounted { why } };
        };
        if change.same_image || difference.is_empty() {
            return Self::no_op(change);
        }
        if difference.functions.is_empty() {
            let data = difference.data.iter().chain(&difference.objects).cloned().collect();
            return Self::OnlyData { data };
        }
        let entered = reach.iter().filter(|(_, reach)| reach.was_entered() == Some(true));
        let functions: BTreeMap<String, String> =
            entered.map(|(name, reach)| (name.clone(), reach.to_string())).collect();
        if !functions.is_empty() {
            return Self::Reached { functions };
        }
        let unknown = reach.iter().find(|(_, reach)| reach.was_entered().is_none());
        match unknown.map(|(name, reach)| format!("{name}: {reach}")) {
            Some(why) => Self::NotCounted { why },
            None if reach.is_empty() => Self::NotCounted { why: "no guest counted its functions".to_owned() },
            None => Self::NeverReached { functions: reach.keys().cloned().collect() },
        }
    }

    fn no_op(change: &ChangedCode<'_>) -> Self {
        if change.not_compiled.is_empty() || change.not_compiled.len() < change.files {
            return Self::NoOp;
        }
        Self::NotCompiled { files: change.not_compiled.clone() }
    }
}

/// What a change does to a kernel's code.
#[derive(Clone, Debug)]
pub struct ChangedCode<'a> {
    /// How many files of the source it changes.
    pub files: usize,
    /// Those that this configuration doesn't compile.
    pub not_compiled: Vec<String>,
    /// Whether both images are the same file.
    pub same_image: bool,
    /// How the code differs, if it was kept.
    pub difference: Option<&'a CodeDifference>,
}

/// A sentence that follows the verdicts.
impl fmt::Display for NoFlipCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotCompiled { files } => {
                write!(f, "no-op: this configuration doesn't compile {}", some(files))
            }
            Self::NoOp => f.write_str("no-op: the change compiles to the same code and data"),
            Self::NeverReached { functions } => {
                write!(f, "never reached: {} did not run while the reproducer did", some(functions))
            }
            Self::Reached { functions } => {
                let counts: Vec<String> = functions.iter().map(|(name, ran)| format!("{name} {ran}")).collect();
                write!(f, "reached: {} while the reproducer did, so the change is wrong or not enough", some(&counts))
            }
            Self::OnlyData { data } => write!(f, "only data differs, and nobody counts its use: {}", some(data)),
            Self::NotCounted { why } => write!(f, "whether the changed code ran is not known: {why}"),
        }
    }
}

/// The first of these, and how many more there are.
fn some(names: &[String]) -> String {
    const MOST: usize = 4;
    let shown = names.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
#[path = "flip_tests.rs"]
mod tests;
