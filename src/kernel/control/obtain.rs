//! Built control kernels, as a source of kernels.

use std::fs;

use super::kept::{ControlStatus, standing};
use crate::kernel::assemble::AssembleError;
use crate::kernel::config::KernelConfig;
use crate::kernel::error::ObtainError;
use crate::kernel::error_class::{ClassedError, ErrorClass};
use crate::kernel::file_error::FileError;
use crate::kernel::obtain::Obtain;
use crate::kernel::obtained::Kernel;
use crate::kernel::origin::{ConfigOrigin, Origin};
use crate::kernel::provenance::Provenance;
use crate::kernel::source_kind::{Cached, SourceKind};
use crate::kernel::store::Store;
use crate::matrix::LockedFile;
use crate::recipe::{ControlRecipe, Recipes};
use crate::words::KernelName;

/// A control kernel that has to be built first.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot use the control kernel {control} ({line}): it {why}; run `backproof controls build {control} --line {line}`"
)]
struct NotBuilt {
    control: String,
    line: String,
    /// `is not built` …
    why: &'static str,
}

impl ClassedError for NotBuilt {
    fn class(&self) -> ErrorClass {
        ErrorClass::Host
    }
}

/// A control kernel of a line of releases.
pub(in crate::kernel) struct BuiltControl<'a> {
    pub control: &'a KernelName,
    pub line: &'a str,
}

impl BuiltControl<'_> {
    fn recipe(&self) -> Option<ControlRecipe<'static>> {
        let recipes = Recipes::built_in();
        let (line, control) = recipes.pair(self.line, self.control.as_str())?;
        Some(recipes.recipe(line, control))
    }
}

impl SourceKind for BuiltControl<'_> {
    /// Obtains the most recently built one.
    fn obtain(&self, with: &Obtain) -> Result<Kernel, ObtainError> {
        let not_built =
            |why| Err(NotBuilt { control: self.control.to_string(), line: self.line.to_owned(), why }.into());
        let Some(recipe) = self.recipe() else { return not_built("has no recipe") };
        let built = match standing(&recipe, with.store) {
            ControlStatus::Built(built) => built,
            ControlStatus::Outdated => return not_built("was built from an older recipe"),
            ControlStatus::NotBuilt => return not_built("is not built"),
        };
        // This removes damaged blobs, so the next build makes them again.
        if !(with.store.verify(&built.image_sha256)? & with.store.verify(&built.config_sha256)?) {
            return not_built("was damaged in the cache");
        }
        let path = with.store.blob(&built.config_sha256);
        let text = fs::read(&path).map_err(|e| FileError::io("read", &path, e))?;
        let config = KernelConfig::parse(&text).map_err(|source| AssembleError::NotAConfig { path, source })?;
        let from = Provenance::Control {
            name: built.control.to_string(),
            line: built.line,
            source: built.source.what,
            source_sha256: built.source.sha256,
            recipe_sha256: built.recipe_sha256,
            toolchain: built.toolchain,
        };
        let image = with.store.blob(&built.image_sha256);
        let kernel = Kernel::of_image(image, built.image_sha256, built.release, from);
        Ok(Kernel { config: Some(config), ..kernel })
    }

    fn origin(&self, _: &Kernel) -> Origin {
        // The release doesn't show the recipe's changes.
        let config = ConfigOrigin::Own("the configuration that it was built with");
        Origin { names_release: false, config }
    }

    fn is_in_archives(&self) -> bool {
        false
    }

    fn why_not_locked(&self) -> Option<&'static str> {
        Some("it is built here, and its recipe says what it is")
    }

    fn cached(&self, _: Option<&[LockedFile]>, store: &Store) -> (Cached, Option<u64>) {
        match self.recipe().map(|recipe| standing(&recipe, store)) {
            Some(ControlStatus::Built(built)) => (Cached::Yes, Some(built.image_size)),
            Some(ControlStatus::Outdated | ControlStatus::NotBuilt) | None => (Cached::No, None),
        }
    }
}
