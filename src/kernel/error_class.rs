//! The class of every room's error, which determines the remedy.

use std::error::Error;

/// The class of a failure, by its remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// Choose something else, because it is not served. An optional kernel is skipped.
    Gone,
    /// Correct the matrix, the lock or the command line.
    Usage,
    /// Allow downloads: the cache doesn't have it.
    NotCached,
    /// Fix the host, the network or the server.
    Host,
}

impl ErrorClass {
    /// The party that can apply the remedy.
    pub fn blame(self) -> Blame {
        match self {
            Self::Gone | Self::Usage => Blame::User,
            Self::NotCached | Self::Host => Blame::Host,
        }
    }
}

/// The party that can fix an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The author of the matrix or the command line: exit code 2.
    User,
    /// The host, the network or the server: exit code 3.
    Host,
}

/// A room's error.
pub trait ClassedError: Error + Send + Sync + 'static {
    /// The class, which determines the remedy.
    fn class(&self) -> ErrorClass;

    /// Whether the requested file is not served (any more).
    fn is_gone(&self) -> bool {
        self.class() == ErrorClass::Gone
    }
}
