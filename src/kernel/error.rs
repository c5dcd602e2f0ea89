//! Why a kernel could not be obtained, as far as the caller can act on it.

use std::error::Error;
use std::fmt;

use super::failure::{Blame, Failure, FailureKind};

/// Why a kernel could not be obtained: what can be done about it, and the error of the room where it happened.
#[derive(Debug)]
pub struct ObtainError {
    kind: FailureKind,
    cause: Box<dyn Error + Send + Sync>,
}

impl ObtainError {
    /// What can be done about it.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// Whether the package, suite, build or file is not served (any more).
    pub fn is_gone(&self) -> bool {
        self.kind == FailureKind::Gone
    }

    /// Who can mend it.
    pub fn blame(&self) -> Blame {
        self.kind.blame()
    }
}

impl<E: Failure> From<E> for ObtainError {
    fn from(error: E) -> Self {
        Self { kind: error.kind(), cause: error.into() }
    }
}

impl fmt::Display for ObtainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl Error for ObtainError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}
