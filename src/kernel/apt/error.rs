//! Errors of apt and its mirrors.

use crate::kernel::assemble::AssembleError;
use crate::kernel::error_class::{ClassedError, ErrorClass};
use crate::kernel::file_error::FileError;
use crate::kernel::package::UnpackError;
use crate::kernel::quoted::Quoted;
use crate::kernel::store::NotCached;

/// Why apt failed to provide a kernel.
#[derive(Debug, thiserror::Error)]
pub enum AptError {
    /// The suite has no such package.
    #[error("cannot find the package `{package}` in {suite}{}", suggestion(similar))]
    UnknownPackage {
        /// The package.
        package: String,
        /// The suite.
        suite: String,
        /// Similar names.
        similar: Vec<String>,
    },
    /// The mirror does not serve this suite (any more).
    #[error("cannot find the suite `{suite}` on the mirror {mirror}: {detail}; check its name, or use another mirror")]
    UnknownSuite {
        /// The suite.
        suite: String,
        /// The mirror's address, from the system's configuration.
        mirror: String,
        /// apt's message.
        detail: String,
    },
    /// Not a name that a package or suite can have.
    #[error("invalid {what} `{text}`: expected {expected}")]
    BadName {
        /// The text.
        text: Quoted,
        /// The expected kind: package, suite and so on.
        what: &'static str,
        /// Its form.
        expected: &'static str,
    },
    /// This host has no apt.
    #[error("cannot find {program}, which `apt:` kernels need; install apt, or name package files under `deb:`")]
    NoApt {
        /// The missing program.
        program: &'static str,
    },
    /// The system's apt configuration names no archive of a distribution.
    #[error(
        "cannot find an archive with the component `main` in the system's apt configuration ({searched}); add one, or name \
         package files under `deb:`"
    )]
    NoMirror {
        /// Files that were read.
        searched: String,
    },
    /// The system is another distribution's, and a suite of Debian's is asked for.
    #[error(
        "cannot find Debian's suites on the system's apt archive {mirror}, which is another distribution's; name a Debian \
         archive under `apt:` (mirror, suite, keyring), or kernel files under `deb:`, `image:` or `url:`"
    )]
    NotDebian {
        /// The system's archive.
        mirror: String,
    },
    /// The network or the mirror failed, and nothing usable is cached.
    #[error("cannot {doing}: {detail}; check the network and the mirror, and try again")]
    Network {
        /// The failed action.
        doing: String,
        /// apt's message.
        detail: String,
    },
    /// The mirror no longer has a package that its index lists.
    #[error("cannot {doing}: {detail}; the mirror's index still lists it: try again later, or use another mirror")]
    Superseded {
        /// The failed action.
        doing: String,
        /// apt's message.
        detail: String,
    },
    /// No address serves a locked package any more.
    #[error(
        "cannot fetch {what} (sha256 {sha256}): {} no longer serves it; add the address of an archive that keeps it (Debian's \
         snapshot archive does) to its `addresses` in kernels.lock, or accept the newest with `backproof kernels update`",
        if tried.is_empty() { "no known address".to_owned() } else { tried.join(", ") }
    )]
    LockedGone {
        /// The package and its version.
        what: String,
        /// Its sha256.
        sha256: String,
        /// Addresses that don't have it.
        tried: Vec<String>,
    },
    /// apt failed in another way.
    #[error("cannot {doing}: {detail}")]
    Failed {
        /// The failed action.
        doing: String,
        /// apt's message.
        detail: String,
    },
    /// Nothing may be downloaded.
    #[error(transparent)]
    NotCached(#[from] NotCached),
    /// An error in the contents of its packages.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
}

impl AptError {
    /// Whether the last used kernel may be used instead.
    pub(super) fn is_survivable(&self) -> bool {
        let outside =
            matches!(self, Self::Network { .. } | Self::Superseded { .. } | Self::Failed { .. } | Self::NotCached(_));
        outside || self.is_gone()
    }
}

impl From<UnpackError> for AptError {
    fn from(error: UnpackError) -> Self {
        AssembleError::from(error).into()
    }
}

impl ClassedError for AptError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::UnknownPackage { .. } | Self::UnknownSuite { .. } | Self::LockedGone { .. } => ErrorClass::Gone,
            Self::BadName { .. } => ErrorClass::Usage,
            Self::NoApt { .. }
            | Self::NoMirror { .. }
            | Self::NotDebian { .. }
            | Self::Network { .. }
            | Self::Superseded { .. }
            | Self::Failed { .. } => ErrorClass::Host,
            Self::NotCached(error) => error.class(),
            Self::Assemble(error) => error.class(),
            Self::File(error) => error.class(),
        }
    }
}

fn suggestion(names: &[String]) -> String {
    match names {
        [] => "; check its name".to_owned(),
        names => format!("; did you mean {}?", names.join(", ")),
    }
}
