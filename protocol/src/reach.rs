//! How often kernel functions were entered while a job ran.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The most functions to count in one guest.
pub const MAX_REACH: usize = 64;

/// The longest name of a function, in bytes. The limit of kernels before 6.1 is 127.
const MAX_NAME: usize = 255;

/// How often functions were entered while a job ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// The job's id.
    pub job: String,
    /// Each function of the plan.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub functions: BTreeMap<String, FunctionEntries>,
    /// Why this kernel can't count at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
}

/// How often a function was entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FunctionEntries {
    /// Its probes counted.
    Counted {
        /// Entries, also of its clones (`.isra.0`, `.constprop.0`).
        entries: u64,
        /// Further entries, at which the kernel was inside another probe.
        missed: u64,
    },
    /// It could not be counted: why.
    NotCounted(String),
}

/// Whether this can be a function's name in C.
pub fn is_function_name(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.len() <= MAX_NAME && name.chars().all(is_word) && name.starts_with(|c: char| !c.is_ascii_digit())
}
