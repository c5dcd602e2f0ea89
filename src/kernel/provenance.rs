//! The files and sources from which kernels were made.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::package::PackageKind;
use crate::json;

/// A file or source from which a kernel was made.
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
        /// Its path.
        #[serde(serialize_with = "json::path")]
        path: PathBuf,
        /// Its sha256.
        sha256: String,
    },
    /// A fetched file: the package above, an image, or a tarball.
    Fetched {
        /// Its address.
        address: String,
        /// Its sha256.
        sha256: String,
        /// Why it is trusted.
        vouched: Vouched,
    },
    /// The folder of an archive that the packages came from.
    Archive {
        /// Its address.
        address: String,
        /// The date of its build: `201907031431`.
        build: String,
        /// The other builds of the same version there.
        others: Vec<String>,
        /// Whether its signature was checked.
        signature: ArchiveSignature,
        /// The fingerprint of the key that it was verified with.
        key: Option<String>,
    },
    /// A control kernel built on this host.
    Control {
        /// Its name.
        name: String,
        /// Its line of releases.
        line: String,
        /// Its source: a package and its version, or the user's tree.
        source: String,
        /// sha256 of that source.
        source_sha256: String,
        /// sha256 of its patch and configuration.
        recipe_sha256: String,
        /// Its compiler.
        toolchain: String,
    },
    /// A kernel built on this host from the user's source.
    Build {
        /// The source tree or repository.
        #[serde(serialize_with = "json::path")]
        source: PathBuf,
        /// The revision in the matrix, if it is a repository.
        revision: Option<String>,
        /// The commit of the revision, or the one that the tree is at.
        commit: Option<String>,
        /// How many files of that commit differ in the tree.
        changed_files: usize,
        /// sha256 of the files' names and contents, with all patches.
        source_sha256: String,
        /// sha256 of each patch, those that were taken out first.
        patches: Vec<String>,
        /// sha256 of the requested configuration.
        config_sha256: String,
        /// Lines that were changed in the user's configuration.
        adapted: Vec<String>,
        /// Lines of the configuration that the source doesn't support.
        dropped: Vec<String>,
        /// Arguments of make that the source requires with this compiler.
        workarounds: Vec<String>,
        /// Its compiler.
        toolchain: String,
    },
}

/// Whether an archive's signature was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArchiveSignature {
    /// Their checksums are signed with the user's key.
    Verified,
    /// No key is configured, so it was not checked.
    Unverified,
    /// The packages are those in kernels.lock, byte for byte; it does not record whether the signature was checked.
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
    /// A remark for people, if there is one.
    pub fn remark(&self) -> Option<String> {
        let Self::Archive { address, build, others, signature, .. } = self else { return None };
        let left =
            if others.is_empty() { String::new() } else { format!("; left out: the builds of {}", others.join(", ")) };
        Some(format!("the build of {build} in {address} (signature: {}{left})", signature.as_str()))
    }
}

/// Why a fetched file is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Vouched {
    /// Its sha256 is in the matrix, or on the command line.
    Sha256,
    /// Its sha256 is in kernels.lock.
    Lock,
    /// It was the first file from this address (trust on first use).
    FirstUse,
}
