//! How a user's program is run, and how its outcome is read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::aftermath::{KernelBook, LEAK_SCAN_MS};

/// The convention in which a program says its outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgramProtocol {
    /// Its exit status, and a JSON object on stdout (docs/reproducers.md).
    #[default]
    Backproof,
    /// The same exit status alone. Its output is for people.
    ExitStatus,
    /// The exit bits and result lines of the Linux Test Project (its include/tst_res_flags.h).
    Ltp,
    /// The kernel's version of TAP (Documentation/dev-tools/ktap.rst).
    Ktap,
    /// The Test Anything Protocol, versions 12 to 14 (testanything.org).
    Tap,
    /// packetdrill's messages. Its exit status is 1 for a mismatch and for any other failure.
    Packetdrill,
    /// Only a crash of the kernel shows the bug. Exit status 0 and the program's deadline both mean that none came.
    Crash,
}

impl ProgramProtocol {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Backproof, Self::ExitStatus, Self::Ltp, Self::Ktap, Self::Tap, Self::Packetdrill, Self::Crash];

    /// Its name in dossiers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backproof => "backproof",
            Self::ExitStatus => "exit-status",
            Self::Ltp => "ltp",
            Self::Ktap => "ktap",
            Self::Tap => "tap",
            Self::Packetdrill => "packetdrill",
            Self::Crash => "crash",
        }
    }
}

/// A file system that a program needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuestMount {
    /// cgroup2, on /sys/fs/cgroup.
    Cgroup2,
    /// debugfs, on /sys/kernel/debug.
    Debugfs,
    /// tracefs, on /sys/kernel/tracing.
    Tracefs,
    /// devpts, on /dev/pts.
    Devpts,
    /// hugetlbfs, on /dev/hugepages.
    Hugetlbfs,
    /// tmpfs, on /dev/shm.
    Shm,
}

impl GuestMount {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Cgroup2, Self::Debugfs, Self::Tracefs, Self::Devpts, Self::Hugetlbfs, Self::Shm];

    /// Its name in dossiers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shm => "shm",
            other => other.place().0,
        }
    }

    /// The kernel's name of the file system, and its mount point.
    pub fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Cgroup2 => ("cgroup2", "/sys/fs/cgroup"),
            Self::Debugfs => ("debugfs", "/sys/kernel/debug"),
            Self::Tracefs => ("tracefs", "/sys/kernel/tracing"),
            Self::Devpts => ("devpts", "/dev/pts"),
            Self::Hugetlbfs => ("hugetlbfs", "/dev/hugepages"),
            Self::Shm => ("tmpfs", "/dev/shm"),
        }
    }
}

/// How to run a user's program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramRun {
    /// How its outcome is read.
    #[serde(default)]
    pub protocol: ProgramProtocol,
    /// Its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Its environment, beside what every program gets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// File systems to mount for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<GuestMount>,
    /// How often it is run, until it shows the bug.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub runs: u32,
    /// The folder below [`PROGRAMS_DIR`](crate::PROGRAMS_DIR) whose rootfs it sees as its root; None for the guest's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rootfs: Option<String>,
    /// Whether that rootfs is the squashfs on the guest's read-only disk, and not in the folder.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rootfs_on_disk: bool,
    /// Whether it needs the guest's empty disk.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disk: bool,
    /// Milliseconds for which the kernel is watched after the report, before anything else runs.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub settle_ms: u64,
    /// Books of the kernel to read before it runs and after that time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub books: Vec<KernelBook>,
}

impl Default for ProgramRun {
    fn default() -> Self {
        Self {
            protocol: ProgramProtocol::default(),
            args: Vec::new(),
            env: BTreeMap::new(),
            mounts: Vec::new(),
            runs: 1,
            rootfs: None,
            rootfs_on_disk: false,
            disk: false,
            settle_ms: 0,
            books: Vec::new(),
        }
    }
}

impl ProgramRun {
    /// The longest that the agent is silent before it starts the job, or after its report, in milliseconds.
    pub fn silence_ms(&self) -> u64 {
        self.settle_ms.saturating_add(if self.books.contains(&KernelBook::Leaks) { LEAK_SCAN_MS } else { 0 })
    }

    /// Whether it is what every program gets.
    pub(crate) fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

fn one() -> u32 {
    1
}

fn is_one(number: &u32) -> bool {
    *number == 1
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_run_is_read_from_nothing() {
        let read: ProgramRun = serde_json::from_str("{}").expect("a run");
        assert!(read.is_plain());
        let run = ProgramRun { protocol: ProgramProtocol::Ltp, args: vec!["-i".to_owned()], runs: 3, ..read };
        let text = serde_json::to_string(&run).expect("serialises");
        assert_eq!(serde_json::from_str::<ProgramRun>(&text).expect("a run"), run);
    }

    #[test]
    fn names_in_dossiers_are_those_of_the_protocol() {
        for protocol in ProgramProtocol::ALL {
            assert_eq!(serde_json::to_value(protocol).expect("serialises"), protocol.as_str());
        }
        for mount in GuestMount::ALL {
            assert_eq!(serde_json::to_value(mount).expect("serialises"), mount.as_str());
        }
    }
}
