//! How kernels are obtained.

use super::progress::Progress;
use super::store::Store;
use crate::matrix::LockedFile;
use crate::shim::Shim;

/// How kernels are obtained.
pub struct Obtain<'a> {
    /// The cache.
    pub store: &'a Store,
    /// Starts apt, so that it ends with this process.
    pub shim: &'a Shim,
    /// Use what is cached and never the network.
    pub offline: bool,
    /// Ask the mirror for its index however young the recorded one is.
    pub refresh: bool,
    /// What it was resolved to before, where the same and nothing newer is to be taken: the files of its entry in
    /// kernels.lock.
    pub locked: Option<&'a [LockedFile]>,
    /// Is told what is going on, from the thread that called.
    pub tell: &'a (dyn Fn(Progress) + Send + Sync),
}
