//! The rootfs that tests may be given, if they need more than a guest has.

use std::path::{Path, PathBuf};

use super::ImportError;
use crate::guest::Rootfs;

/// Makers of file systems, and the modules that mount them. ext4 mounts its predecessors, too (`CONFIG_EXT4_USE_FOR_EXT2`).
const FILE_SYSTEMS: [(&str, &str); 7] = [
    ("ext2", "ext4"),
    ("ext3", "ext4"),
    ("ext4", "ext4"),
    ("xfs", "xfs"),
    ("btrfs", "btrfs"),
    ("vfat", "vfat"),
    ("exfat", "exfat"),
];

/// A rootfs for imported tests.
#[derive(Debug)]
pub struct ImportRootfs {
    path: PathBuf,
    files: Rootfs,
}

impl ImportRootfs {
    /// Reads it.
    ///
    /// # Errors
    /// If no guest can have it.
    pub fn open(path: &Path) -> Result<Self, ImportError> {
        let path = path.canonicalize().map_err(|error| ImportError::unusable(path, error.to_string()))?;
        let files = Rootfs::load(&path).map_err(|why| ImportError::unusable(&path, why))?;
        Ok(Self { path, files })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its files.
    pub(super) fn files(&self) -> &Rootfs {
        &self.files
    }

    /// The path that a file or folder of this host has in it.
    pub(super) fn place_of(&self, path: &Path) -> Option<String> {
        Some(format!("/{}", path.strip_prefix(&self.path).ok()?.to_str()?))
    }

    /// Those of these commands that it lacks.
    pub(super) fn lacks(&self, commands: &[String]) -> Vec<String> {
        commands.iter().filter(|name| !self.files.has_command(name)).cloned().collect()
    }

    /// Those of these file systems that it can make, and the modules that mount them.
    pub(super) fn mountable(&self, kinds: &[&str]) -> (Vec<&'static str>, Vec<&'static str>) {
        let can_make = |kind: &str| self.files.has_command(&format!("mkfs.{kind}"));
        let of = |kind: &&str| FILE_SYSTEMS.iter().find(|(name, _)| name == kind && can_make(name));
        kinds.iter().filter_map(of).copied().unzip()
    }

    /// The names of all file systems that may be made.
    pub(super) fn all_kinds() -> Vec<&'static str> {
        FILE_SYSTEMS.iter().map(|(name, _)| *name).collect()
    }
}
