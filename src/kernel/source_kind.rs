//! The interface of every kind of source.

use std::path::Path;

use serde::Serialize;

use super::error::ObtainError;
use super::obtain::Obtain;
use super::obtained::Kernel;
use super::origin::Origin;
use super::package::UnpackedPackage;
use super::progress::Stale;
use super::store::Store;
use crate::matrix::LockedFile;

/// The interface of every kind of source. CONTRIBUTING.md says how to add one.
pub(super) trait SourceKind {
    /// Obtains the kernel. If [`Obtain::locked`] lists files, uses exactly these.
    fn obtain(&self, with: &Obtain) -> Result<Kernel, ObtainError>;

    /// The facts that the source guarantees.
    fn origin(&self, kernel: &Kernel) -> Origin;

    /// The files that it resolves to now, by its archive's index alone, and why they may be old. `None` if it must be
    /// obtained to find out.
    fn resolve(&self, _: &Obtain) -> Result<Option<(Resolved, Option<Stale>)>, ObtainError> {
        Ok(None)
    }

    /// The index that resolves it, if other kernels share it: one refresh is enough for all of them.
    fn shared_index(&self) -> Option<String> {
        None
    }

    /// Why it cannot be locked; `None` if it can.
    fn why_not_locked(&self) -> Option<&'static str>;

    /// Whether the matrix's `archives` keep its packages; if so, `kernels update` locks their addresses there, too.
    fn is_in_archives(&self) -> bool;

    /// Whether it is cached (with these files, if it is locked), and the bytes of its files, if known.
    fn cached(&self, locked: Option<&[LockedFile]>, store: &Store) -> (Cached, Option<u64>);
}

/// The result of resolving a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Its release, from the image or the package's name, if known.
    pub release: Option<String>,
    /// Its files.
    pub files: Vec<LockedFile>,
}

/// Whether a kernel is cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cached {
    /// It is in the cache.
    Yes,
    /// It has to be fetched or built.
    No,
    /// It is a user's file.
    Local,
    /// It is a user's file that does not exist.
    Missing,
}

impl Cached {
    /// For a user's files, all of which must exist.
    pub(super) fn of_own(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        if paths.into_iter().all(|path| path.as_ref().exists()) { Self::Local } else { Self::Missing }
    }

    /// For fetched files.
    pub(super) fn of_fetched(files: &[LockedFile], store: &Store) -> (Self, Option<u64>) {
        let is_here = |file: &LockedFile| {
            UnpackedPackage::recorded(store, &file.sha256).is_some()
                || store.holds(&file.sha256, file.size)
                || store.find(&format!("downloads/{}", file.sha256)).is_some()
        };
        if files.is_empty() {
            return (Self::No, None);
        }
        // Some archives don't list lengths.
        let bytes = files.iter().all(|file| file.size > 0).then(|| files.iter().map(|file| file.size).sum());
        (if files.iter().all(is_here) { Self::Yes } else { Self::No }, bytes)
    }
}
