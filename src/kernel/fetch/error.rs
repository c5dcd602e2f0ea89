//! Why a file was not fetched.

use std::fmt;

use url::Url;

use super::problem::FetchProblem;
use crate::kernel::error_class::{ClassedError, ErrorClass};
use crate::kernel::file_error::FileError;
use crate::kernel::store::NotCached;

/// Why a file was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No address served it.
    #[error(transparent)]
    NotFetched(#[from] NotFetched),
    /// Nothing may be downloaded.
    #[error(transparent)]
    NotCached(#[from] NotCached),
    /// This host cannot speak HTTP at all.
    #[error("cannot fetch anything on this host: {0}")]
    NoClient(String),
    /// An error of the cache.
    #[error(transparent)]
    File(#[from] FileError),
}

impl ClassedError for FetchError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NotFetched(failed) if failed.is_gone() => ErrorClass::Gone,
            Self::NotFetched(_) | Self::NoClient(_) => ErrorClass::Host,
            Self::NotCached(error) => error.class(),
            Self::File(error) => error.class(),
        }
    }
}

/// A file that could not be fetched, and the problem at each of its addresses.
#[derive(Debug)]
pub struct NotFetched {
    /// The file, in words.
    pub what: String,
    /// Every address that was tried, in turn.
    pub failures: Vec<(Url, FetchProblem)>,
}

impl NotFetched {
    /// Whether every address says that there is no such file.
    pub fn is_gone(&self) -> bool {
        !self.failures.is_empty() && self.failures.iter().all(|(_, problem)| matches!(problem, FetchProblem::Gone(_)))
    }
}

impl fmt::Display for NotFetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot fetch {}: ", self.what)?;
        for (index, (address, problem)) in self.failures.iter().enumerate() {
            let between = if index == 0 { "" } else { "; " };
            // A document's name is its address.
            match address.as_str() == self.what {
                true => write!(f, "{between}{problem}")?,
                false => write!(f, "{between}{address}: {problem}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for NotFetched {}
