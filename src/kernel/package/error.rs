//! Errors of unpacking a package file.

use std::path::PathBuf;

use crate::kernel::archive::PackageError;
use crate::kernel::error_class::{ClassedError, ErrorClass};
use crate::kernel::file_error::FileError;

/// Why a package file, or a tarball of a build, could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It cannot be read, or is hostile.
    #[error("{} {problem}", path.display())]
    BadPackage {
        /// The file, or its address.
        path: PathBuf,
        /// The fault.
        problem: PackageError,
    },
    /// An error of the file, or of the cache.
    #[error(transparent)]
    File(#[from] FileError),
}

impl ClassedError for UnpackError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::BadPackage { .. } => ErrorClass::Usage,
            Self::File(error) => error.class(),
        }
    }
}
