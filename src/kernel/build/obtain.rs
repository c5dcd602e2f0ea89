//! Kernels that are built from source, as a source of kernels.

use super::prepared::PreparedBuild;
use crate::kernel::error::ObtainError;
use crate::kernel::obtain::Obtain;
use crate::kernel::obtained::Kernel;
use crate::kernel::origin::{ConfigOrigin, Origin};
use crate::kernel::progress::Stale;
use crate::kernel::source_kind::{Cached, Resolved, SourceKind};
use crate::kernel::store::Store;
use crate::matrix::{BuildOrigin, BuildSource, LockedFile};

/// A kernel that a matrix has built.
pub(in crate::kernel) struct SourceBuild<'a>(pub &'a BuildSource);

impl SourceKind for SourceBuild<'_> {
    fn obtain(&self, with: &Obtain) -> Result<Kernel, ObtainError> {
        Ok(super::build(self.0, with)?.kernel)
    }

    fn origin(&self, _: &Kernel) -> Origin {
        // The release doesn't show patches, or what was committed after a release.
        Origin { names_release: false, config: ConfigOrigin::Own("the configuration that it was built with") }
    }

    /// Reads the source and the patches, and builds nothing.
    fn resolve(&self, with: &Obtain) -> Result<Option<(Resolved, Option<Stale>)>, ObtainError> {
        let files = PreparedBuild::of(self.0, &Obtain { locked: None, ..*with })?.into_files();
        Ok(Some((Resolved { release: None, files }, None)))
    }

    fn why_not_locked(&self) -> Option<&'static str> {
        match self.0.origin {
            BuildOrigin::Tree(_) => Some("a source tree changes while people work in it"),
            BuildOrigin::Repo { .. } => None,
        }
    }

    fn is_in_archives(&self) -> bool {
        false
    }

    fn cached(&self, _: Option<&[LockedFile]>, _: &Store) -> (Cached, Option<u64>) {
        (Cached::of_own(self.0.paths()), None)
    }
}
