//! Whether the verdict flips at a change, and if not, why.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::proof::CodeChange;
use crate::exit::Exit;
use crate::kernel::build::is_elsewhere;
use crate::run::{CellReach, FunctionReach};
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
    /// The kernel has no object of any of the changed files.
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
    /// Only data differs. Nothing counts its uses.
    OnlyData {
        /// What differs.
        data: Vec<String>,
    },
    /// It is not known whether the changed code ran.
    NotKnown {
        /// Why.
        why: String,
    },
}

impl NoFlipCause {
    /// By the code of both sides, and by how often the functions that differ ran.
    pub fn of(change: &CodeChange, reach: &CellReach) -> Self {
        let not_known = |why: &str| Self::NotKnown { why: why.to_owned() };
        if change.same_image {
            let none = !change.files.is_empty() && change.not_compiled.len() == change.files.len();
            return if none { Self::NotCompiled { files: change.not_compiled.clone() } } else { Self::NoOp };
        }
        let Some(difference) = &change.difference else {
            return not_known("the code of both kernels was not kept; an empty --cache builds them again");
        };
        if difference.is_empty() {
            return match change.files.iter().all(|file| is_compared(file)) {
                true => Self::NoOp,
                false => not_known("the images differ, in parts that are not compared"),
            };
        }
        let functions = change.functions(|_| true);
        let entered = reach.iter().filter(|(_, reach)| reach.was_entered() == Some(true));
        let ran: BTreeMap<String, String> = entered.map(|(name, reach)| (name.clone(), reach.to_string())).collect();
        if !ran.is_empty() {
            return Self::Reached { functions: ran };
        }
        let data: Vec<String> = difference.data.clone();
        if functions.is_empty() {
            return Self::OnlyData { data };
        }
        let is_unreached = |name: &&String| reach.get(*name).and_then(FunctionReach::was_entered) == Some(false);
        match functions.iter().find(|name| !is_unreached(name)) {
            Some(name) => {
                let why = reach.get(name).map_or_else(|| "not counted".to_owned(), ToString::to_string);
                not_known(&format!("{name}: {why}"))
            }
            None if !data.is_empty() => {
                not_known(&format!("{} did not run, but data differs, too: {}", some(&functions), some(&data)))
            }
            None => Self::NeverReached { functions },
        }
    }
}

/// Whether everything that a file is compiled to is compared. Linker scripts, for example, are not.
fn is_compared(file: &str) -> bool {
    (file.ends_with(".c") || file.ends_with(".h")) && !is_elsewhere(file)
}

/// A sentence that follows the verdicts.
impl fmt::Display for NoFlipCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotCompiled { files } => {
                write!(f, "no-op: in this configuration the kernel has no object of {}", some(files))
            }
            Self::NoOp => f.write_str("no-op: the change compiles to the same code and data"),
            Self::NeverReached { functions } => {
                write!(f, "never reached: {} did not run while the reproducer did", some(functions))
            }
            Self::Reached { functions } => {
                let counts: Vec<String> = functions.iter().map(|(name, ran)| format!("{name} {ran}")).collect();
                write!(f, "reached: {} while the reproducer did, so the change is wrong or not enough", some(&counts))
            }
            Self::OnlyData { data } => write!(f, "only data differs, and its uses cannot be counted: {}", some(data)),
            Self::NotKnown { why } => write!(f, "the reason is not known: {why}"),
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
