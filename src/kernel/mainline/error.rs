//! Errors of an archive of mainline builds.

use std::path::PathBuf;

use super::checksums::BadChecksums;
use super::index::NotAnIndex;
use super::signature::{BadKey, BadSignature};
use crate::kernel::assemble::AssembleError;
use crate::kernel::error_class::{ClassedError, ErrorClass};
use crate::kernel::fetch::FetchError;
use crate::kernel::file_error::FileError;
use crate::kernel::quoted::Quoted;

/// Why an archive failed to provide a kernel or the list of its versions.
#[derive(Debug, thiserror::Error)]
pub enum MainlineError {
    /// It has no build of this version (any more).
    #[error("cannot find a build of {version} for amd64 in {archive}: {why}")]
    NoBuild {
        /// The version.
        version: String,
        /// The archive's address.
        archive: String,
        /// The reason, with the archive's closest builds.
        why: String,
    },
    /// The archive's data cannot be used.
    #[error("{address} {problem}")]
    BadArchive {
        /// The address.
        address: String,
        /// The fault.
        problem: ArchiveProblem,
    },
    /// The key for its signatures cannot be used.
    #[error("the key {} {problem}", path.display())]
    BadKey {
        /// Its file.
        path: PathBuf,
        /// The fault.
        problem: BadKey,
    },
    /// An invalid name.
    #[error("invalid {what} `{text}`: expected {expected}")]
    BadName {
        /// The text.
        text: Quoted,
        /// The expected kind.
        what: &'static str,
        /// Its form.
        expected: &'static str,
    },
    /// The lock has no usable address.
    #[error(
        "cannot fetch {what} (sha256 {sha256}): kernels.lock has no http or https address for it; add one to its `addresses`, \
         or accept the newest build with `backproof kernels update`"
    )]
    NoAddress {
        /// The package.
        what: String,
        /// Its sha256.
        sha256: String,
    },
    /// An error in the contents of its packages.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// They were not fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
}

impl ClassedError for MainlineError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NoBuild { .. } | Self::NoAddress { .. } => ErrorClass::Gone,
            Self::BadKey { .. } | Self::BadName { .. } => ErrorClass::Usage,
            Self::BadArchive { .. } => ErrorClass::Host,
            Self::Assemble(error) => error.class(),
            Self::Fetch(error) => error.class(),
            Self::File(error) => error.class(),
        }
    }
}

/// The fault of an archive's address. Reads well after the address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveProblem {
    /// It is not an index.
    #[error(
        "{0}; check the address (BACKPROOF_MAINLINE, or `mainline-archive` in the matrix), and whether a captive portal or a \
         proxy intercepts it"
    )]
    Index(#[from] NotAnIndex),
    /// A kernel of another release than its folder.
    #[error("cannot be used: it has the kernel {found}, expected {expected}")]
    OtherRelease {
        /// The kernel's own release.
        found: String,
        /// The expected start of that.
        expected: String,
    },
    /// Packages without checksums.
    #[error("does not exist, and packages without a sha256 are not used")]
    NoChecksums,
    /// Checksums that cannot be read.
    #[error("cannot be used: its lines {0}")]
    Checksums(#[from] BadChecksums),
    /// Checksums without a signature.
    #[error("does not exist, and the configured key requires it; nothing in this folder is used")]
    NoSignature,
    /// A signature that is rejected.
    #[error("is rejected: the signature {0}; nothing in this folder is used")]
    Signature(#[from] BadSignature),
}
