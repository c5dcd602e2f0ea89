//! Reads the matrix of kernels (`kernels.yaml`) and the bugs' dossiers.
//!
//! serde stops at the first mistake and keeps no positions. So `tree.rs` reads the YAML into a tree with positions, and
//! `check.rs`, `kernels.rs` and `dossier/` check all of it (`read.rs` has their common parts). All mistakes are
//! returned at once, as [`Problems`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::words::{BugId, Expectation, KernelName, Outcome};

mod build;
mod check;
mod dossier;
mod fields;
mod file;
mod kernels;
mod lock;
mod mainline;
mod policy;
mod problems;
mod profile;
mod read;
mod refused_sysctl;
mod remote;
mod select;
mod source;
mod sysctl;
mod text;
mod tree;
mod value_modules;

#[cfg(test)]
mod mistakes;

pub use build::{BuildOrigin, BuildSource};
pub use dossier::{
    Backport, BadDossiers, BadMachinePattern, BadPattern, BadRelease, Bug, Bugs, CrashKind, CrashOracle, DOSSIERS_MAX,
    DistributionLine, Elsewhere, First, MachinePattern, Measure, Mitigation, Needs, NoSuchBug, ONE_OF, OwnProgram,
    PackageVersion, PositiveControl, ProgramSource, Refusal, ReleaseLine, Releases, ReproducerSpec, RootfsSource,
    Signature, SignatureCase, SourceCase, SourcePattern, SourceSignature, Spans, StableLine, Standing, Step, Steps,
    TaintFlags, TellingString, Upstream, c, goes_straight_on, is_cve,
};
pub use file::FILE_MAX;
pub use lock::{InLock, Lock, LockGuard, Locked, LockedFile, TooLong, source_line};
pub use mainline::{
    ArchiveKey, BadMainlineVersion, Fingerprint, MainlineArchive, MainlineVersion, archive_address, mainline_numbers,
};
pub use policy::{Acceptable, Acceptance, GatePolicy, Requirement, SEEDS_MAX};
pub use problems::{KEPT, Problem, Problems};
pub use profile::{BadProfiles, Profile, SysctlPlace};
pub use select::Unselectable;
pub use source::{AptArchive, Pin, Remote, Source};
pub use sysctl::LeftOut;
pub(crate) use text::nearest;
pub use text::{TextPlace, expected_one_of};

use file::FileShape;

/// The kernels to boot, the bugs to look for in each, and the expectations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// The file it was read from.
    pub path: PathBuf,
    /// All known bugs, including those of its own folder of dossiers.
    pub known: Bugs,
    /// The bugs to look for in kernels without their own list, in the file's order.
    pub bugs: Vec<BugId>,
    /// Kernels with one of these tags run only if selected by name or tag.
    pub opt_in: BTreeSet<String>,
    /// Its own profiles, each name once; the bugs' dossiers have more.
    pub profiles: Vec<Profile>,
    /// The bugs whose own programs may share a guest, although each could write the others' reports.
    pub share_guest: BTreeSet<BugId>,
    /// Archives that keep packages for ever, for the lock: addresses to which the path from `pool/` on is appended.
    /// `{time}` in them means the time when the kernel was locked.
    pub archives: Vec<String>,
    /// The archive that `mainline:` kernels come from.
    pub mainline: MainlineArchive,
    /// The kernels in the file's order; never empty, each name once.
    pub kernels: Vec<KernelEntry>,
}

impl Matrix {
    /// A matrix without a file.
    pub fn of_kernels(kernels: Vec<KernelEntry>, known: Bugs, bugs: Vec<BugId>) -> Self {
        let path = PathBuf::from("(the command line)");
        let (opt_in, profiles, archives) = (BTreeSet::new(), Vec::new(), Vec::new());
        let (mainline, share_guest) = (MainlineArchive::default(), BTreeSet::new());
        Self { path, known, bugs, opt_in, profiles, share_guest, archives, mainline, kernels }
    }
}

/// One kernel of the matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelEntry {
    /// Its name, and that of its folder in the results.
    pub name: KernelName,
    /// Its source.
    pub source: Source,
    /// The commit that it was built from, for the witness `git`.
    pub git: Option<Commit>,
    /// Tags to select it by.
    pub tags: BTreeSet<String>,
    /// Whether it is a skip, not an error, if its source is gone.
    pub optional: bool,
    /// The bugs to look for: its own list, or the matrix's. Never empty, each once.
    pub bugs: Vec<BugId>,
    /// The expectation for each of [`KernelEntry::bugs`]; its own overrides the matrix's. Absent means `pass`.
    pub expect: BTreeMap<BugId, Expectation>,
    /// The settings of its guest.
    pub guest: GuestSettings,
}

/// A commit of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The repository's folder.
    pub repository: PathBuf,
    /// A tag, a branch, a commit's SHA-1.
    pub revision: String,
}

/// Kernels with this tag are controls: their state is known, and a run that judges one wrongly cannot be trusted.
/// Kernels of `backproof controls` have it automatically.
pub const CONTROL_TAG: &str = "control";

impl KernelEntry {
    /// A kernel with default settings, to check for these bugs, and expected to pass.
    pub fn plain(name: KernelName, source: Source, bugs: Vec<BugId>) -> Self {
        let (tags, expect, guest) = (BTreeSet::new(), BTreeMap::new(), GuestSettings::default());
        Self { name, source, git: None, tags, optional: false, bugs, expect, guest }
    }

    /// Whether it is a control kernel.
    pub fn is_control(&self) -> bool {
        self.tags.contains(CONTROL_TAG)
    }

    /// The expectation for this bug.
    pub fn expected(&self, bug: &BugId) -> Expectation {
        self.expect.get(bug).copied().unwrap_or(Expectation::Outcome(Outcome::Pass))
    }
}

/// The settings of a kernel's guest; absent means the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuestSettings {
    /// Memory in MiB.
    pub memory_mib: Option<u32>,
    /// Number of processors.
    pub cpus: Option<u32>,
    /// Parameters to add to the kernel's command line.
    pub cmdline: Option<String>,
    /// QEMU's machine.
    pub machine: Option<MachineType>,
    /// Wall time until the agent must respond, instead of the computed deadline.
    pub timeout: Option<Duration>,
}

/// QEMU's machine for x86 guests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineType {
    /// Intel Q35 with PCI Express: the default.
    #[default]
    Q35,
    /// Intel i440FX, for kernels that don't run on Q35.
    Pc,
    /// Without PCI and BIOS.
    Microvm,
}

impl MachineType {
    /// All machines.
    pub const ALL: [Self; 3] = [Self::Q35, Self::Pc, Self::Microvm];

    /// Its name in the matrix and for QEMU's `-machine`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Q35 => "q35",
            Self::Pc => "pc",
            Self::Microvm => "microvm",
        }
    }
}

impl fmt::Display for MachineType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reads and checks the matrix in this file. Of the files that it names, only the folder of dossiers must exist now;
/// the others are needed only when their kernel is obtained.
///
/// # Errors
/// All mistakes at once; or that the file cannot be read.
pub fn load(path: &Path, bugs: &Bugs) -> Result<Matrix, Problems> {
    let bytes = file::bytes(path).map_err(|error| {
        let message =
            format!("cannot read the matrix: {error}; name another file, or create this one (docs/matrix.md)");
        Problems::of_file(path.to_owned(), message)
    })?;
    read(&bytes, path, bugs)
}

/// Checks the matrix in `text`. Messages name `path`, and paths in the matrix are relative to its folder.
///
/// # Errors
/// All mistakes at once.
pub fn parse(text: &str, path: &Path, bugs: &Bugs) -> Result<Matrix, Problems> {
    read(text.as_bytes(), path, bugs)
}

fn read(bytes: &[u8], path: &Path, bugs: &Bugs) -> Result<Matrix, Problems> {
    let expected = FileShape { file: "a matrix of kernels", root: "a mapping with `kernels`" };
    file::read(bytes, path, expected, |root, problems| check::check(root, path, bugs, problems))
}

#[cfg(test)]
#[path = "matrix_tests.rs"]
mod tests;
