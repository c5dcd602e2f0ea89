//! What the kernel's own books show after a job: its taint, and its memory leaks.

use serde::{Deserialize, Serialize};

/// The longest that the agent looks for leaks, before a job and again after it, in milliseconds on a quiet host. Of these it
/// waits for [`LEAK_AGE_MS`]; the rest is for the scans, which take seconds under emulation.
pub const LEAK_SCAN_MS: u64 = 60_000;

/// The age from which kmemleak reports an object is 5 s (`MSECS_MIN_AGE` in mm/kmemleak.c); one more for its clock.
pub const LEAK_AGE_MS: u64 = 6_000;

/// A book of the kernel that is read before and after a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelBook {
    /// The value of /proc/sys/kernel/tainted.
    Taint,
    /// The reports of kmemleak.
    Leaks,
}

/// What the books of [`ProgramRun::books`](crate::ProgramRun::books) show after a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aftermath {
    /// The job's id.
    pub job: String,
    /// The kernel's taint. Absent if not asked for, or if it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tainted: Option<u64>,
    /// The leaks. Absent if not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaks: Option<LeakScan>,
}

/// What kmemleak reported of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeakScan {
    /// This kernel has no working kmemleak: why. Known before the job ran.
    Unavailable(String),
    /// kmemleak stopped working after the job had started: why.
    Failed(String),
    /// It was asked.
    Scanned {
        /// Its records of different stacks.
        records: Vec<LeakRecord>,
        /// Whether there were more than a message holds.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        cut: bool,
    },
}

/// Objects that nothing refers to, all of one size and one stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeakRecord {
    /// The kernel's lines about the first of them.
    pub lines: Vec<String>,
    /// How many there are.
    pub times: u32,
}
