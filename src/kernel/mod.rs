//! Obtains kernels: packages, images and build trees become an image, its modules and its configuration.
//!
//! Everything that comes from outside (packages, images, modules, what apt says) is read by pure functions that are
//! bounded in memory and time; nothing is written anywhere but into the [`Store`], and there only under names that
//! this program chose.

mod apt;
mod archive;
pub mod cache;
mod changelog;
pub(crate) mod compression;
mod config;
pub mod control;
mod deb;
mod error;
mod fetch;
#[cfg(test)]
mod fixtures;
#[cfg(fuzzing)]
pub mod fuzzing;
mod image;
mod kind;
mod local;
mod mainline;
mod meta;
mod modules;
mod pack;
mod package;
mod payload;
mod remote;
mod resolve;
mod rpm;
mod store;
mod tarball;
pub mod versions;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use archive::PackageError;
pub use changelog::{Changelog, ChangelogEntry};
pub use config::{KernelConfig, NotAConfig, Setting, Unset};
pub use error::{Blame, ObtainError, Quoted};
pub use fetch::{Amount, NotFetched, Problem};
pub(crate) use image::as_release;
pub use image::{Image, NotAnImage, identify};
pub use kind::{FileKind, file_kind};
pub use local::image_release;
pub use mainline::{ArchiveProblem, BadKey, MainlineListing, list as list_mainline};
pub use meta::stands_for;
pub use modules::{Module, ModulesError};
pub use package::PackageKind;
pub use payload::NoVmlinux;
pub(crate) use payload::{LARGEST_VMLINUX, vmlinux};
pub use remote::Vouched;
pub use resolve::{Resolved, is_cached, resolve, used_last, why_not_locked};
pub use store::{Kept, Leases, Lock, Store};
pub(crate) use tarball::compression as tarball_compression;

use crate::json;
pub use crate::matrix::LockedFile;
use crate::matrix::{Remote, Source};
use crate::shim::Shim;

/// A kernel that can be booted.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// `uname -r`, where the image or its package tells it.
    pub release: Option<String>,
    /// The image for QEMU's `-kernel`: a file in the store that never changes.
    pub image: PathBuf,
    /// The image's sha256, computed now, in hexadecimal digits.
    pub image_sha256: String,
    /// The configuration that it was built with, where it is known.
    pub config: Option<KernelConfig>,
    /// What it was made from.
    pub provenance: Vec<Provenance>,
    /// The files that it was resolved to; none where its source cannot be locked (a build tree, a control).
    pub files: Vec<LockedFile>,
    /// Set where this may not be the newest: what was recorded earlier is used.
    pub stale: Option<Stale>,
    modules: modules::Modules,
    leases: Leases,
    changelog: Option<package::KeptChangelog>,
}

/// What a kernel was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provenance {
    /// A package file.
    Package {
        /// Its kind.
        #[serde(default)]
        kind: PackageKind,
        /// Its name in its own words.
        name: String,
        /// Its version.
        version: String,
        /// sha256 of the package file.
        sha256: String,
    },
    /// The user's image.
    File {
        /// Where it was.
        #[serde(serialize_with = "json::path")]
        path: PathBuf,
        /// Its sha256.
        sha256: String,
    },
    /// A file that was fetched: the package above, an image, or a tarball.
    Fetched {
        /// Where it came from.
        address: String,
        /// Its sha256.
        sha256: String,
        /// What vouches for it.
        vouched: Vouched,
    },
    /// The folder of an archive that the packages were had from.
    Archive {
        /// Its address.
        address: String,
        /// Which of its builds, by its date: `201907031431`.
        build: String,
        /// The other builds of the same version that it has.
        others: Vec<String>,
        /// What is known of whose it is.
        signature: ArchiveSignature,
        /// The fingerprint of the key that it was verified with.
        key: Option<String>,
    },
    /// A control kernel that was built here.
    Control {
        /// Its name.
        name: String,
        /// Its line of releases.
        line: String,
        /// What it was built of: a package and its version, or the user's tree.
        source: String,
        /// sha256 of that source.
        source_sha256: String,
        /// sha256 of its patch and configuration.
        recipe_sha256: String,
        /// What it was compiled with.
        toolchain: String,
    },
}

/// What is known of whose an archive's packages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArchiveSignature {
    /// Their checksums are signed with the user's key.
    Verified,
    /// No key is configured, so nobody looked.
    Unverified,
    /// They are those that kernels.lock names, byte for byte; whoever made it looked, or did not.
    Locked,
}

impl ArchiveSignature {
    /// Its word in files and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Unverified => "unverified",
            Self::Locked => "locked",
        }
    }
}

impl Provenance {
    /// What people should know of it, where there is anything.
    pub fn remark(&self) -> Option<String> {
        let Self::Archive { address, build, others, signature, .. } = self else { return None };
        let left =
            if others.is_empty() { String::new() } else { format!("; left out: the builds of {}", others.join(", ")) };
        Some(format!("the build of {build} in {address} (signature: {}{left})", signature.as_str()))
    }
}

/// A file that was fetched.
#[derive(Clone, Debug)]
pub struct Downloaded {
    /// Where it lies, in the cache.
    pub path: PathBuf,
    /// Its sha256.
    pub sha256: String,
    /// Set where no server was asked, though one should have been.
    pub stale: Option<Stale>,
}

/// Why what was recorded is used without asking the mirror or server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stale {
    /// How old the answer is that it rests on; whole seconds in documents.
    #[serde(rename = "seconds", with = "seconds")]
    pub age: Duration,
    /// What kept us from asking again: `offline was asked for`, or what apt said.
    pub why: String,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what was recorded {} minutes ago: {}", self.age.as_secs() / 60, self.why)
    }
}

mod seconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(time.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}

/// What is going on, for people.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Another thread or process is making what is needed here.
    Waiting {
        /// What is waited for.
        what: String,
    },
    /// The mirror's index of a suite is being fetched.
    Refreshing {
        /// The suite.
        suite: String,
    },
    /// A package or another file is being fetched.
    Fetching {
        /// The package, or the file in words.
        package: String,
        /// Bytes that are here.
        done: u64,
        /// Bytes of all of it, where that is known.
        total: Option<u64>,
        /// Bytes a second at present, where that is measured.
        speed: Option<u64>,
    },
    /// A file is gone on with of which a part came earlier.
    Resuming {
        /// The file, in words.
        what: String,
        /// Bytes that are here.
        done: u64,
        /// Bytes of all of it, where that is known.
        total: Option<u64>,
    },
    /// Something went wrong that may be overcome.
    Trouble {
        /// What is being fetched.
        what: String,
        /// What went wrong.
        why: String,
        /// What is done about it: `trying again in 0.7 s`.
        then: String,
    },
    /// One of several things that an archive has was chosen, or one that nobody vouches for.
    Chosen {
        /// What was asked for.
        what: String,
        /// What was taken.
        from: String,
    },
    /// A package is being taken apart.
    Unpacking {
        /// The package's file.
        package: String,
    },
    /// A source tree is being copied.
    Copying {
        /// The user's tree.
        folder: PathBuf,
    },
    /// Something recorded earlier is used; the same is in [`Kernel::stale`].
    Stale(Stale),
}

impl Progress {
    /// Whether this takes so long that people want to know of it even where there are no bars.
    pub fn is_slow(&self) -> bool {
        match self {
            Self::Waiting { .. }
            | Self::Refreshing { .. }
            | Self::Resuming { .. }
            | Self::Trouble { .. }
            | Self::Chosen { .. }
            | Self::Stale(_) => true,
            // Said once, when it begins.
            Self::Fetching { done, .. } => *done == 0,
            Self::Unpacking { .. } | Self::Copying { .. } => false,
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: &u64| *bytes as f64 / f64::from(1 << 20);
        match self {
            Self::Waiting { what } => write!(f, "waiting for {what}"),
            Self::Refreshing { suite } => write!(f, "refreshing the index of {suite}"),
            Self::Fetching { package, done: 0, total: None, .. } => write!(f, "fetching {package}"),
            Self::Fetching { package, done: 0, total: Some(total), .. } => {
                write!(f, "fetching {package} ({:.1} MiB)", mib(total))
            }
            Self::Fetching { package, done, total, speed } => {
                write!(f, "fetching {package} ({:.1}", mib(done))?;
                total.iter().try_for_each(|total| write!(f, " of {:.1}", mib(total)))?;
                f.write_str(" MiB")?;
                speed.iter().try_for_each(|speed| write!(f, ", {:.1} MiB/s", mib(speed)))?;
                f.write_str(")")
            }
            Self::Resuming { what, done, total } => {
                write!(f, "going on with {what}, of which {:.1}", mib(done))?;
                total.iter().try_for_each(|total| write!(f, " of {:.1}", mib(total)))?;
                f.write_str(" MiB are here")
            }
            Self::Trouble { what, why, then } => write!(f, "{what}: {why}; {then}"),
            Self::Chosen { what, from } => write!(f, "{what}: {from}"),
            Self::Unpacking { package } => write!(f, "unpacking {package}"),
            Self::Copying { folder } => write!(f, "copying {}", folder.display()),
            Self::Stale(stale) => write!(f, "using {stale}"),
        }
    }
}

/// How kernels are obtained.
pub struct Obtain<'a> {
    /// The cache.
    pub store: &'a Store,
    /// Starts apt, so that it ends with this process.
    pub shim: &'a Shim,
    /// Use what is cached and never the network.
    pub offline: bool,
    /// Ask the mirror for its index however young the recorded one is.
    pub refresh: bool,
    /// What it was resolved to before, where the same and nothing newer is to be taken: the files of its entry in
    /// kernels.lock.
    pub locked: Option<&'a [LockedFile]>,
    /// Is told what is going on, from the thread that called.
    pub tell: &'a (dyn Fn(Progress) + Send + Sync),
}

/// Obtains a kernel. Blocks, while apt works for minutes; any number of threads and processes can do so at once.
///
/// # Errors
/// See [`ObtainError`]: [`ObtainError::blame`] tells who can mend it, [`ObtainError::is_gone`] whether it is no
/// longer served.
pub fn obtain(source: &Source, with: &Obtain) -> Result<Kernel, ObtainError> {
    // What is collected before it is leased is made again; it would have to lie unused for long, and happen twice.
    for _ in 0..3 {
        let mut kernel = obtain_once(source, with)?;
        let packs = kernel.modules.packs();
        let changelog = kernel.changelog.iter().map(package::KeptChangelog::pack);
        let files = std::iter::once(kernel.image.as_path()).chain(packs).chain(changelog);
        if let Some(leases) = with.store.leases(files)? {
            kernel.leases = leases;
            return Ok(kernel);
        }
    }
    Err(local::damaged(with.store))
}

fn obtain_once(source: &Source, with: &Obtain) -> Result<Kernel, ObtainError> {
    match (source, with.locked) {
        (Source::Apt { package, suite, archive }, Some(files)) => {
            apt::obtain_locked(package, suite.as_deref(), archive.as_ref(), files, with)
        }
        (Source::Apt { package, suite, archive }, None) => {
            apt::obtain(package, &apt::Place::of(suite.as_deref(), archive.as_ref(), with)?, with)
        }
        (Source::Deb(files) | Source::Rpm(files), _) => local::from_packages(files, with),
        (Source::Url(files), _) => remote::obtain(files, with),
        (Source::Image { image, modules, config }, _) => {
            local::from_image(image, modules.as_deref(), config.as_deref(), with)
        }
        (Source::Tree(tree), _) => local::from_tree(tree, with),
        (Source::Mainline { version, archive }, _) => mainline::obtain(version, archive, with),
        (Source::Control { control, line }, _) => control::obtain(control, line, with),
    }
}

/// Fetches a file, unless the cache has it. Blocks.
///
/// # Errors
/// As [`obtain`].
pub fn fetch(remote: &Remote, with: &Obtain) -> Result<Downloaded, ObtainError> {
    remote::file(remote, with)
}

/// Whether this host has what `apt:` kernels come through, and where it looks.
///
/// # Errors
/// [`ObtainError::NoApt`] and [`ObtainError::NoMirror`].
pub fn apt_available(with: &Obtain) -> Result<String, ObtainError> {
    apt::available(with)
}

impl Kernel {
    /// The changelog of the package that the image came in; none where it came in none, or that has none.
    ///
    /// # Errors
    /// Where what is cached of it cannot be read, or is damaged.
    pub fn changelog(&self) -> std::io::Result<Option<Changelog>> {
        self.changelog.as_ref().map(package::KeptChangelog::read).transpose()
    }

    /// The wanted modules and those that they need, in the order in which they have to be loaded. What is built in
    /// is left out, so the list may be empty. Where nothing at all is known about a kernel's modules (a bare image)
    /// the list is empty too, and the guest has to find out.
    ///
    /// # Errors
    /// [`ModulesError::Absent`] where the kernel has a wanted one neither built in nor as a module; the others where
    /// files are damaged or belong to another kind of kernel.
    pub fn modules_for(&self, wanted: &[&str]) -> Result<Vec<Module>, ModulesError> {
        self.modules.load_order(wanted, self.config.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_shown_in_bytes_and_speed_as_far_as_they_are_known() {
        let mib = |n: u64| n << 20;
        let fetching = |done, total, speed| Progress::Fetching { package: "a".to_owned(), done, total, speed };
        for (progress, shown) in [
            (fetching(0, None, None), "fetching a"),
            (fetching(0, Some(mib(3)), None), "fetching a (3.0 MiB)"),
            (fetching(mib(1), Some(mib(3)), None), "fetching a (1.0 of 3.0 MiB)"),
            (fetching(mib(1), None, Some(mib(5))), "fetching a (1.0 MiB, 5.0 MiB/s)"),
            (fetching(mib(1), Some(mib(3)), Some(mib(5))), "fetching a (1.0 of 3.0 MiB, 5.0 MiB/s)"),
        ] {
            assert_eq!(progress.to_string(), shown);
        }
        let resuming = Progress::Resuming { what: "a".to_owned(), done: mib(1), total: Some(mib(3)) };
        assert_eq!(resuming.to_string(), "going on with a, of which 1.0 of 3.0 MiB are here");
    }
}
