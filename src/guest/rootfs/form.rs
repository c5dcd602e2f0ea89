//! How a rootfs comes into a guest: in the initramfs, or on a disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use sha2::{Digest as _, Sha256};

use super::{INITRAMFS_MAX, Rootfs};
use crate::kernel::{FileError, Kept, Store, hex};

/// How a rootfs comes into a guest.
#[derive(Debug)]
pub enum GuestRootfs {
    /// In its initramfs.
    Initramfs(Arc<Rootfs>),
    /// On a read-only disk.
    Disk(RootfsImage),
}

/// A rootfs as the content of a disk: a squashfs image.
#[derive(Debug)]
pub struct RootfsImage {
    bytes: Vec<u8>,
    sha256: String,
    /// Its file in the cache, for as long as a run may boot it.
    kept: OnceLock<Kept>,
}

impl GuestRootfs {
    /// The form for these files.
    ///
    /// # Errors
    /// If no disk can hold them.
    pub(in crate::guest) fn of(files: &Arc<Rootfs>) -> Result<Self, String> {
        if files.size <= INITRAMFS_MAX {
            return Ok(Self::Initramfs(Arc::clone(files)));
        }
        let bytes = files.squashfs()?;
        Ok(Self::Disk(RootfsImage { sha256: hex(Sha256::new_with_prefix(&bytes)), bytes, kept: OnceLock::new() }))
    }

    /// The files that travel in the initramfs.
    pub(in crate::guest) fn in_initramfs(&self) -> Option<&Rootfs> {
        match self {
            Self::Initramfs(files) => Some(files),
            Self::Disk(_) => None,
        }
    }

    /// The disk that it is on.
    pub fn image(&self) -> Option<&RootfsImage> {
        match self {
            Self::Initramfs(_) => None,
            Self::Disk(image) => Some(image),
        }
    }
}

impl RootfsImage {
    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Its sha256.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Its file in the cache, which stays there as long as this lives.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn kept(&self, store: &Store) -> Result<&Path, FileError> {
        if let Some(kept) = self.kept.get() {
            return Ok(&kept.path);
        }
        let kept = store.keep(&self.bytes)?;
        Ok(&self.kept.get_or_init(|| kept).path)
    }
}

/// The rootfs of all programs, each read once.
#[derive(Debug, Default)]
pub struct RootfsShelf(BTreeMap<PathBuf, (Arc<Rootfs>, Arc<GuestRootfs>)>);

impl RootfsShelf {
    /// The bytes of all of them in memory: the files of one on a disk stay until all programs are checked.
    pub fn size(&self) -> usize {
        let of = |(files, rootfs): &(Arc<Rootfs>, Arc<GuestRootfs>)| match rootfs.image() {
            Some(image) => files.size() + image.size(),
            None => files.size(),
        };
        self.0.values().map(of).sum()
    }

    /// The files of a rootfs, and how they come into a guest.
    pub(in crate::guest) fn get(&mut self, path: &Path) -> Result<(Arc<Rootfs>, Arc<GuestRootfs>), String> {
        // One that does not exist is reported by its reader.
        let key = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if let Some(known) = self.0.get(&key) {
            return Ok(known.clone());
        }
        let files = Arc::new(Rootfs::load(path)?);
        let loaded = (Arc::clone(&files), Arc::new(GuestRootfs::of(&files)?));
        Ok(self.0.entry(key).or_insert(loaded).clone())
    }
}
