//! Obtains kernels: packages, images and build trees become an image, its modules and its configuration.
//!
//! Everything that comes from outside (packages, images, modules, what apt says) is read by pure functions that are
//! bounded in memory and time; nothing is written anywhere but into the [`Store`], and there only under names that
//! this program chose.

mod apt;
pub(crate) mod compression;
mod config;
pub mod control;
mod deb;
mod error;
#[cfg(test)]
mod fixtures;
mod image;
mod kind;
mod local;
mod locked;
mod meta;
mod modules;
mod package;
mod payload;
mod store;
pub mod versions;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use config::{KernelConfig, NotAConfig, Setting};
pub use deb::DebError;
pub use error::{Blame, ObtainError, Quoted};
pub(crate) use image::as_release;
pub use image::{Image, NotAnImage, identify};
pub use kind::{FileKind, file_kind};
pub use locked::LockedFile;
pub use meta::stands_for;
pub use modules::{Module, ModulesError};
pub use payload::NoVmlinux;
pub(crate) use payload::{LARGEST_VMLINUX, vmlinux};
pub use store::Store;

use crate::matrix::Source;
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
}

/// What a kernel was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provenance {
    /// A package file.
    Package {
        /// Its name in its own control file.
        name: String,
        /// Its version.
        version: String,
        /// sha256 of the .deb.
        sha256: String,
    },
    /// The user's image.
    File {
        /// Where it was.
        path: PathBuf,
        /// Its sha256.
        sha256: String,
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

/// Why a recorded kernel is used without asking the mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// How old the mirror's answer is that it rests on.
    pub age: Duration,
    /// What kept us from asking again: `offline was asked for`, or what apt said.
    pub why: String,
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
    /// A package is being fetched.
    Fetching {
        /// The package.
        package: String,
        /// Bytes that are here.
        done: u64,
        /// Bytes of all of it.
        total: u64,
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
            Self::Waiting { .. } | Self::Refreshing { .. } | Self::Stale(_) => true,
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
            Self::Fetching { package, done: 0, total } => write!(f, "fetching {package} ({:.1} MiB)", mib(total)),
            Self::Fetching { package, done, total } => {
                write!(f, "fetching {package} ({:.1} of {:.1} MiB)", mib(done), mib(total))
            }
            Self::Unpacking { package } => write!(f, "unpacking {package}"),
            Self::Copying { folder } => write!(f, "copying {}", folder.display()),
            Self::Stale(Stale { age, why }) => {
                write!(f, "using what was recorded {} minutes ago: {why}", age.as_secs() / 60)
            }
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
    match source {
        Source::Apt { package, suite } => apt::obtain(package, suite.as_deref(), with),
        Source::Deb(files) => local::from_debs(files, with),
        Source::Image { image, modules, config } => {
            local::from_image(image, modules.as_deref(), config.as_deref(), with)
        }
        Source::Tree(tree) => local::from_tree(tree, with),
        Source::Control { control, line } => control::obtain(control, line, with),
    }
}

/// Whether this host has what `apt:` kernels come through, and where it looks.
///
/// # Errors
/// [`ObtainError::NoApt`] and [`ObtainError::NoMirror`].
pub fn apt_available(with: &Obtain) -> Result<String, ObtainError> {
    apt::available(with)
}

impl Kernel {
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
