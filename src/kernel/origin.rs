//! The facts about a kernel that its source guarantees, beyond its files.

use std::path::{Path, PathBuf};

/// The facts about a kernel that its source guarantees, beyond its files. Each kind of source provides them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Whether its release or package version says which source it was built from. For own builds it doesn't, because
    /// their builders choose the name freely.
    pub names_release: bool,
    /// The origin of its configuration, if it has one.
    pub config: ConfigOrigin,
}

/// The origin of a kernel's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ConfigOrigin {
    /// Nobody knows.
    #[default]
    Unknown,
    /// The user named this file along with the image; it may be another build's.
    Beside(PathBuf),
    /// It certainly belongs to the image: `the configuration in its package`.
    Own(&'static str),
    /// It is the `.config` of this build tree, which may have changed since the build.
    Tree(PathBuf),
}

impl Origin {
    /// The build tree that it lies in.
    pub fn tree(&self) -> Option<&Path> {
        match &self.config {
            ConfigOrigin::Tree(tree) => Some(tree),
            ConfigOrigin::Unknown | ConfigOrigin::Beside(_) | ConfigOrigin::Own(_) => None,
        }
    }

    /// The origin of a kernel in released packages.
    pub(super) fn packages() -> Self {
        Self { names_release: true, config: ConfigOrigin::Own("the configuration in its package") }
    }

    /// The origin of a kernel in a tarball of a build.
    pub(super) fn tarball() -> Self {
        Self { names_release: false, config: ConfigOrigin::Own("the configuration in its tarball") }
    }
}
