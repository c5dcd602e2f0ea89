//! Kernels and other files that were obtained.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::build::SourceSnapshot;
use super::changelog::Changelog;
use super::config::KernelConfig;
use super::modules::{Module, Modules, ModulesError};
use super::origin::Origin;
use super::package::{KeptChangelog, PackageKind};
use super::progress::Stale;
use super::provenance::Provenance;
use super::store::Leases;
use crate::matrix::{Commit, LockedFile};

/// A kernel that can be booted.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// `uname -r`, from the image or its package, if known.
    pub release: Option<String>,
    /// The image for QEMU's `-kernel`: a file in the store that never changes.
    pub image: PathBuf,
    /// The image's sha256, computed now, in hexadecimal digits.
    pub image_sha256: String,
    /// The configuration that it was built with, if known.
    pub config: Option<KernelConfig>,
    /// Its provenance.
    pub provenance: Vec<Provenance>,
    /// The files that it was resolved to; empty if its source cannot be locked (a build tree, a control).
    pub files: Vec<LockedFile>,
    /// Set if this may not be the newest, because a cached copy is used.
    pub stale: Option<Stale>,
    /// The facts that its source guarantees.
    pub origin: Origin,
    /// The source that it was built from, if it was built here.
    pub source: Option<SourceSnapshot>,
    /// The commit that it was built from, without patches.
    pub commit: Option<Commit>,
    pub(super) modules: Modules,
    pub(super) leases: Leases,
    pub(super) changelog: Option<KeptChangelog>,
}

impl Kernel {
    /// A bare image.
    pub(super) fn of_image(image: PathBuf, sha256: String, release: Option<String>, from: Provenance) -> Self {
        Self {
            release,
            image,
            image_sha256: sha256,
            config: None,
            provenance: vec![from],
            files: Vec::new(),
            stale: None,
            origin: Origin::default(),
            source: None,
            commit: None,
            modules: Modules::default(),
            leases: Leases::default(),
            changelog: None,
        }
    }

    /// Its files in the store.
    pub(super) fn stored(&self) -> impl Iterator<Item = &Path> {
        let changelog = self.changelog.iter().map(KeptChangelog::pack);
        std::iter::once(self.image.as_path()).chain(self.modules.packs()).chain(changelog)
    }

    /// The package that it came in, if any: its format, name and version.
    pub fn package(&self) -> Option<(PackageKind, &str, &str)> {
        self.provenance.iter().find_map(|from| match from {
            Provenance::Package { kind, name, version, .. } => Some((*kind, name.as_str(), version.as_str())),
            Provenance::File { .. }
            | Provenance::Fetched { .. }
            | Provenance::Archive { .. }
            | Provenance::Control { .. }
            | Provenance::Build { .. } => None,
        })
    }

    /// The changelog of the image's package, if any.
    ///
    /// # Errors
    /// If the cached changelog cannot be read, or is damaged.
    pub fn changelog(&self) -> io::Result<Option<Changelog>> {
        self.changelog.as_ref().map(KeptChangelog::read).transpose()
    }

    /// The names of its modules, and of the built-in ones if they are known. None if nothing is known about its modules.
    pub fn module_names(&self) -> Option<BTreeSet<String>> {
        self.modules.names()
    }

    /// The wanted modules and their dependencies, in loading order, without the built-in ones. If nothing is known
    /// about a kernel's modules (a bare image), the list is empty, and the guest has to find out.
    ///
    /// # Errors
    /// [`ModulesError::Absent`] if the kernel lacks a wanted module; others if files are damaged or belong to another
    /// kind of kernel.
    pub fn modules_for(&self, wanted: &[&str]) -> Result<Vec<Module>, ModulesError> {
        self.modules.load_order(wanted, self.config.as_ref())
    }

    /// The modules that answer these requests of the kernel, by their names or aliases (at most four for an alias, where
    /// modprobe loads all), with their dependencies and in loading order. Requests that no module answers are left out, and so are damaged modules.
    pub fn modules_on_request(&self, requested: &[String]) -> Vec<Module> {
        self.modules.on_request(requested)
    }
}

/// A fetched file.
#[derive(Clone, Debug)]
pub struct Downloaded {
    /// Its path in the cache.
    pub path: PathBuf,
    /// Its sha256.
    pub sha256: String,
    /// Set if no server was asked, and why.
    pub stale: Option<Stale>,
}
