//! The parameters for obtaining kernels.

use super::progress::Progress;
use super::store::Store;
use crate::matrix::LockedFile;
use crate::shim::Shim;

/// The parameters for obtaining kernels.
pub struct Obtain<'a> {
    /// The cache.
    pub store: &'a Store,
    /// Starts apt so that it ends with this process.
    pub shim: &'a Shim,
    /// Use only the cache, never the network.
    pub offline: bool,
    /// Ask the mirror for its index even if the cached one is new.
    pub refresh: bool,
    /// The files of the kernel's entry in kernels.lock, if only those may be used.
    pub locked: Option<&'a [LockedFile]>,
    /// Receives progress, on the calling thread.
    pub tell: &'a (dyn Fn(Progress) + Send + Sync),
}
