//! What can go wrong while a kernel is obtained.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::archive::PackageError;
use super::config::NotAConfig;
use super::fetch::NotFetched;
use super::image::NotAnImage;
use super::mainline::{ArchiveProblem, BadKey};
use crate::lack;

/// Why a kernel could not be obtained.
#[derive(Debug, thiserror::Error)]
pub enum ObtainError {
    /// A file or folder that was named is not there, or is of another kind.
    #[error("{what} {} {problem}", path.display())]
    Unusable {
        /// What it should be: `the image`, `the build tree` …
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// What is wrong with it: `does not exist` …
        problem: String,
    },
    /// The image is not an x86-64 kernel that QEMU boots.
    #[error("{} is no kernel to boot: expected an x86-64 bzImage, vmlinuz or PVH vmlinux, found {found}", path.display())]
    NotAnImage {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: NotAnImage,
    },
    /// The configuration is another kind of file.
    #[error("{} is not a kernel configuration", path.display())]
    NotAConfig {
        /// The file.
        path: PathBuf,
        /// Why.
        source: NotAConfig,
    },
    /// A package or a tarball cannot be read, or is hostile.
    #[error("{} {problem}", path.display())]
    BadPackage {
        /// The file, or its address.
        path: PathBuf,
        /// What is wrong with it.
        problem: PackageError,
    },
    /// The packages together don't hold exactly one kernel.
    #[error("{packages} hold {found}; {advice}")]
    NotOneKernel {
        /// The packages.
        packages: String,
        /// What they hold.
        found: String,
        /// What to do.
        advice: &'static str,
    },
    /// The suite has no such package.
    #[error("{suite} has no package `{package}`{}", suggestion(similar))]
    UnknownPackage {
        /// The package.
        package: String,
        /// The suite.
        suite: String,
        /// Names that look like it.
        similar: Vec<String>,
    },
    /// The mirror does not serve this suite (any more).
    #[error("the mirror {mirror} does not serve the suite `{suite}`: {detail}; check its name, or use another mirror")]
    UnknownSuite {
        /// The suite.
        suite: String,
        /// The mirror's address, from the system's configuration.
        mirror: String,
        /// What apt said.
        detail: String,
    },
    /// The archive of mainline builds has no build of this version (any more).
    #[error("the archive {archive} has no build of {version} for amd64: {why}")]
    NoBuild {
        /// The version.
        version: String,
        /// The archive's address.
        archive: String,
        /// What it has instead.
        why: String,
    },
    /// What an archive serves cannot be used.
    #[error("{address} {problem}")]
    BadArchive {
        /// The address of it.
        address: String,
        /// What is wrong.
        problem: ArchiveProblem,
    },
    /// The key that an archive's signatures are to be checked with cannot be used.
    #[error("the key {} {problem}", path.display())]
    BadKey {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        problem: BadKey,
    },
    /// Not a name that a package or suite can have.
    #[error("`{text}` is no {what}: expected {expected}")]
    BadName {
        /// The text.
        text: Quoted,
        /// What it should be.
        what: &'static str,
        /// Its form.
        expected: &'static str,
    },
    /// This host has no apt.
    #[error(
        "{program} was not found, and `apt:` kernels come through it; install apt, or name package files under `deb:`"
    )]
    NoApt {
        /// The missing program.
        program: &'static str,
    },
    /// The system's apt configuration names no archive of a distribution.
    #[error(
        "the system's apt configuration ({searched}) names no archive with the component `main`; add one, or name package files under `deb:`"
    )]
    NoMirror {
        /// Files that were read.
        searched: String,
    },
    /// The system is another distribution's, and a suite of Debian's is asked for.
    #[error(
        "the system's apt archive {mirror} is not Debian's and serves no suite of Debian's; name a Debian archive under `apt:` \
         (mirror, suite, keyring), or kernel files under `deb:`, `image:` or `url:`"
    )]
    NotDebian {
        /// The system's archive.
        mirror: String,
    },
    /// The network or the mirror failed, and nothing usable is cached.
    #[error("{doing} failed: {detail}; check the network and the mirror, and try again")]
    Network {
        /// What was being done.
        doing: String,
        /// What apt said.
        detail: String,
    },
    /// No address gave the file.
    #[error("{0}")]
    NotFetched(NotFetched),
    /// An address gives another file than the lock has.
    #[error(
        "{address} gives a file with the sha256 {found}, and the lock has {locked}; the new one is kept aside in {} and \
         never used: if the change is meant, take it with `backproof kernels update`",
        kept.display()
    )]
    LockedOtherwise {
        /// The address.
        address: String,
        /// The sha256 in the lock.
        locked: String,
        /// The sha256 of what came.
        found: String,
        /// Where that lies.
        kept: PathBuf,
    },
    /// This host cannot speak HTTP at all.
    #[error("this host cannot fetch anything: {detail}")]
    NoClient {
        /// What failed.
        detail: String,
    },
    /// Offline was asked for, and the cache doesn't have it.
    #[error("{what} is not in the cache {}, and nothing may be downloaded offline; run once without --offline", store.display())]
    NotCached {
        /// What is missing.
        what: String,
        /// The cache folder.
        store: PathBuf,
    },
    /// A file of the user's is not the one that was locked.
    #[error("{} is not what the lock has: its sha256 is {found}, and was {wanted}; put the old file back, or take this one with `backproof kernels update`", path.display())]
    OtherThanLocked {
        /// The file.
        path: PathBuf,
        /// Its sha256 now.
        found: String,
        /// The lock's.
        wanted: String,
    },
    /// The lock has files that the source names no more.
    #[error("the lock has {more} beside {}, which is not named any more; name it again, or take what is named with `backproof kernels update`", path.display())]
    LockedMore {
        /// The last file that is named.
        path: PathBuf,
        /// The first that is not.
        more: String,
    },
    /// The lock has fewer files than the matrix.
    #[error(
        "kernels.lock has no entry for {address}, and nothing else may be taken than what it has; lock it with `backproof \
         kernels update`"
    )]
    NotLocked {
        /// The address.
        address: String,
    },
    /// A package that was locked is nowhere served any more.
    #[error("{what} (sha256 {sha256}) is not served any more by {}; add the address of an archive that keeps it (Debian's snapshot archive does) to its `addresses` in the lock, or take the newest with `backproof kernels update`", if tried.is_empty() { "anybody that is known".to_owned() } else { tried.join(", ") })]
    LockedGone {
        /// The package and its version.
        what: String,
        /// Its sha256.
        sha256: String,
        /// Addresses that don't have it.
        tried: Vec<String>,
    },
    /// A control kernel has to be built first.
    #[error("the control kernel {control} ({line}) {why}; run `backproof controls build {control} --line {line}`")]
    NotBuilt {
        /// The control.
        control: String,
        /// Its line.
        line: String,
        /// `is not built`, or `was built of an older recipe`.
        why: &'static str,
    },
    /// apt failed in another way.
    #[error("{doing} failed: {detail}")]
    Apt {
        /// What was being done.
        doing: String,
        /// What apt said.
        detail: String,
    },
    /// No space, no inode or no quota is left.
    #[error("no {} for {}; free some, or choose another cache folder", lack::at(path), path.display())]
    DiskFull {
        /// What was being written.
        path: PathBuf,
    },
    /// Reading or writing failed.
    #[error("{doing} {} failed", path.display())]
    Io {
        /// `reading`, `writing` …
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Who can mend an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The one who wrote the matrix or the command line: exit code 2.
    User,
    /// The host, the network or the mirror: exit code 3.
    Host,
}

impl ObtainError {
    /// Whether the package, suite or build is no longer (or was never) served, which an optional kernel survives as a skip.
    pub fn is_gone(&self) -> bool {
        match self {
            Self::UnknownPackage { .. }
            | Self::UnknownSuite { .. }
            | Self::NoBuild { .. }
            | Self::LockedGone { .. } => true,
            Self::NotFetched(failed) => failed.is_gone(),
            _ => false,
        }
    }

    /// Who can mend it.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Unusable { .. }
            | Self::NotAnImage { .. }
            | Self::NotAConfig { .. }
            | Self::BadPackage { .. }
            | Self::NotOneKernel { .. }
            | Self::UnknownPackage { .. }
            | Self::UnknownSuite { .. }
            | Self::NoBuild { .. }
            | Self::BadKey { .. }
            | Self::BadName { .. }
            | Self::OtherThanLocked { .. }
            | Self::LockedMore { .. }
            | Self::NotLocked { .. }
            | Self::LockedGone { .. } => Blame::User,
            Self::NotFetched(failed) if failed.is_gone() => Blame::User,
            Self::NoApt { .. }
            | Self::NoMirror { .. }
            | Self::NotDebian { .. }
            | Self::Network { .. }
            | Self::NotFetched(_)
            | Self::LockedOtherwise { .. }
            | Self::NoClient { .. }
            | Self::BadArchive { .. }
            | Self::NotCached { .. }
            | Self::NotBuilt { .. }
            | Self::Apt { .. }
            | Self::DiskFull { .. }
            | Self::Io { .. } => Blame::Host,
        }
    }

    pub(super) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { doing, path, source },
        }
    }
}

fn suggestion(names: &[String]) -> String {
    match names {
        [] => "; check its name".to_owned(),
        names => format!("; it has {}", names.join(", ")),
    }
}

/// Text from outside, cut and escaped so that it can be shown to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted(String);

impl Quoted {
    /// At most 200 bytes of `text`, with everything unprintable escaped.
    pub fn of(text: &[u8]) -> Self {
        let cut = text.len() > 200;
        let mut shown = String::new();
        for &byte in &text[..text.len().min(200)] {
            match byte {
                b' '..=b'~' => shown.push(char::from(byte)),
                other => shown += &other.escape_ascii().to_string(),
            }
        }
        if cut {
            shown.push('…');
        }
        Self(shown)
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
