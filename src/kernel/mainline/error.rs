//! What can be wrong with an archive.

use super::checksums::BadChecksums;
use super::index::NotAnIndex;
use super::signature::BadSignature;

/// What is wrong with an address of an archive. Reads well after the address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveProblem {
    /// It is no index.
    #[error(
        "{0}; check the address (BACKPROOF_MAINLINE, or `mainline-archive` in the matrix), and whether a captive portal or a \
         proxy stands between"
    )]
    Index(#[from] NotAnIndex),
    /// Packages of another release than their folder is named after.
    #[error("has the kernel of {found}, and its name promises {expected}; it is not used")]
    OtherRelease {
        /// What the kernel calls itself.
        found: String,
        /// How that should begin.
        expected: String,
    },
    /// Packages without sums.
    #[error("does not exist, and a package without its sha256 is not used")]
    NoChecksums,
    /// Sums that cannot be read.
    #[error("cannot be used: its lines {0}")]
    Checksums(#[from] BadChecksums),
    /// Sums without a signature.
    #[error("does not exist, and a key is configured that it has to be by; nothing of this folder is used")]
    NoSignature,
    /// A signature that is not believed.
    #[error("is not believed: the signature {0}; nothing of this folder is used")]
    Signature(#[from] BadSignature),
}
