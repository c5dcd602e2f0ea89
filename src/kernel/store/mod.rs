//! The cache folder: files named by their content, written whole or not at all.
//!
//! ```text
//! blobs/<sha256>          images, packed modules, guests' initramfs
//! packages/<sha256>.json  the record of the unpacked package file with this sha256
//! apt/<suite>/            apt's private state for one suite, and our index of its kernel packages
//! controls/               sources and objects of control kernels, and records of built ones
//! builds/                 the same of kernels built from a user's source
//! downloads/, addresses/, partial/, quarantine/
//!                         fetched and partial files (fetch/kept.rs)
//! git/                    indexes of repositories
//! boots/                  finished boots, by everything that they depend on (run/boot_cache.rs)
//! looks/                  what was found in packaged kernels without a boot (run/look_cache.rs)
//! unpacked/               records of images' unpacked kernels
//! stamps/                 the sha256 of files outside, such as QEMU
//! locks/<name>            locked (flock) while something is made; the lock ends with its process
//! tmp/                    files being written; the next process removes those of a killed one
//! ```
//!
//! A store may have read-only stores below it: files that it lacks are read from them, and verified like its own.
//! Nothing is written there, not even a lock or a time, so they may be another host's, mounted read-only.
//!
//! A lease (file `leases.rs`) protects a blob in use from `gc`.

mod blobs;
mod drafts;
mod leases;
mod locks;
mod records;
mod stamps;

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use blobs::hex;
pub use blobs::sha256_of;
pub(super) use blobs::{is_sha256, sha256_of_parts};
pub(super) use drafts::Draft;
pub(super) use leases::GRACE;
pub use leases::{Kept, Leases};
pub use locks::StoreLock;
pub(super) use locks::open_own;
pub(super) use records::read as read_sealed;

use super::error_class::{ClassedError, ErrorClass};
use super::file_error::FileError;

/// The cache folder. Cheap to clone; any number of threads and processes can use one folder concurrently.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    lower: Arc<Lower>,
}

/// The cache lacks something, offline.
#[derive(Debug, thiserror::Error)]
#[error("cannot download {what}: offline, and not in the cache {}; run once without --offline", folder.display())]
pub struct NotCached {
    what: String,
    folder: PathBuf,
}

impl ClassedError for NotCached {
    fn class(&self) -> ErrorClass {
        ErrorClass::NotCached
    }
}

/// The read-only stores below.
#[derive(Debug, Default)]
struct Lower {
    folders: Vec<PathBuf>,
    /// Blobs that are damaged there. They cannot be removed, so they are skipped.
    damaged: Mutex<HashSet<PathBuf>>,
}

impl Store {
    /// The store in `folder`, or by default in `$XDG_CACHE_HOME/backproof` or `~/.cache/backproof`.
    /// Creates missing folders, and removes what killed processes left.
    ///
    /// # Errors
    /// If there is no home folder, or the folder cannot be created or written.
    pub fn open(folder: Option<PathBuf>) -> Result<Self, FileError> {
        let root = match folder {
            Some(folder) => std::path::absolute(&folder).map_err(|e| FileError::io("open", &folder, e))?,
            None => default_folder()?,
        };
        let store = Self { root, lower: Arc::default() };
        for folder in ["blobs", "packages", "apt", "boots", "looks", "unpacked", "stamps", "locks", "tmp"] {
            let path = store.root.join(folder);
            fs::create_dir_all(&path).map_err(|e| store.unwritable(&path, e))?;
        }
        store.clear_drafts()?;
        Ok(store)
    }

    /// The same store with read-only stores below it, the nearest first.
    ///
    /// # Errors
    /// If one is missing, because a failed mount must not look like an empty cache.
    pub fn over(self, folders: &[PathBuf]) -> Result<Self, FileError> {
        let mut lower = Vec::new();
        for folder in folders {
            let path = std::path::absolute(folder).map_err(|e| FileError::io("open", folder, e))?;
            if !path.is_dir() {
                return Err(FileError::unusable("the cache to read from", &path, "is not a folder; is it mounted?"));
            }
            lower.push(path);
        }
        let lower = Arc::new(Lower { folders: lower, damaged: Mutex::default() });
        Ok(Self { lower, ..self })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.root
    }

    /// The error that it lacks `what` in offline mode.
    pub(super) fn not_cached(&self, what: impl Into<String>) -> NotCached {
        NotCached { what: what.into(), folder: self.root.clone() }
    }

    /// The folders of the read-only stores below.
    pub fn lower(&self) -> &[PathBuf] {
        &self.lower.folders
    }

    /// The path of a file that is stored by name: relative to the folder, with `/` between parts.
    /// It is in this store, for writing; [`Store::find`] also looks in those below.
    pub fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// The path of a file in this store or in one below.
    pub(super) fn find(&self, below: &str) -> Option<PathBuf> {
        self.layers().map(|layer| layer.join(below)).find(|path| path.is_file() && !self.is_passed_over(path))
    }

    /// The folders to search, this store's first.
    fn layers(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.root.as_path()).chain(self.lower.folders.iter().map(PathBuf::as_path))
    }

    fn is_own(&self, path: &Path) -> bool {
        path.starts_with(&self.root)
    }

    fn is_passed_over(&self, path: &Path) -> bool {
        self.lower.damaged.lock().unwrap_or_else(PoisonError::into_inner).contains(path)
    }

    fn pass_over(&self, path: PathBuf) {
        self.lower.damaged.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
    }

    /// The error that the folder cannot be written, with what to do if it is meant to be read-only.
    fn unwritable(&self, path: &Path, error: io::Error) -> FileError {
        match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                let advice = "to only read it, use --cache-from, and name a writable folder with --cache";
                FileError::unusable("the cache folder", &self.root, format!("cannot be written ({error}); {advice}"))
            }
            _ => FileError::io("create the cache folder", path, error),
        }
    }
}

fn default_folder() -> Result<PathBuf, FileError> {
    let from = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let cache = from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|home| home.join(".cache")));
    cache.map(|c| c.join("backproof")).ok_or_else(|| {
        let problem = "cannot be found: neither XDG_CACHE_HOME nor HOME is set to an absolute path";
        FileError::unusable("the cache folder", Path::new("~/.cache/backproof"), problem)
    })
}

#[cfg(test)]
mod tests;
