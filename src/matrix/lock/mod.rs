//! The lock of a matrix records which files its kernels were resolved to, so that a run can be repeated byte for byte.
//!
//! It is next to the matrix (`kernels.yaml` has `kernels.lock`), and has a block for each kernel. Like the matrix, it
//! reports all mistakes at once, with their places.

mod guard;
mod read;
mod write;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::guard::LockGuard;
use super::problems::Problems;
use super::{KernelEntry, fields, file};
use crate::regular;
use crate::words::KernelName;

/// A file of a locked kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedFile {
    /// The package's name, or the file's.
    pub name: String,
    /// The package's version, if it is a package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its sha256, in hexadecimal digits.
    pub sha256: String,
    /// Its size in bytes; 0 if unknown, because it was not fetched yet and its archive doesn't list sizes.
    pub size: u64,
    /// Addresses to fetch it from, the best one first; none for a user's own file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
}

/// The result of resolving a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// Its source in the matrix at that time, in one line. If the matrix has another one now, the entry is invalid.
    pub source: String,
    /// When it was resolved.
    pub when: Timestamp,
    /// Its release, if it was known.
    pub release: Option<String>,
    /// The files; never empty.
    pub files: Vec<LockedFile>,
}

/// A lock file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// Its kernels.
    pub kernels: BTreeMap<KernelName, Locked>,
}

/// A kernel's state in the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InLock<'a> {
    /// The current entry.
    Current(&'a Locked),
    /// It was locked with another source.
    OtherSource(&'a Locked),
    /// It is not locked.
    Absent,
}

impl Lock {
    /// The lock file of a matrix.
    pub fn path_of(matrix: &Path) -> PathBuf {
        matrix.with_extension("lock")
    }

    /// Reads the lock file; an empty lock if there is none.
    ///
    /// # Errors
    /// All mistakes at once; or that the file cannot be read.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        match regular::read(path, file::FILE_MAX as u64 + 1) {
            Ok(bytes) => Self::parse(&bytes, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Problems::of_file(path.to_owned(), format!("cannot read the lock file: {error}"))),
        }
    }

    /// Reads a lock from its text. Messages name `path`.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn parse(text: &[u8], path: &Path) -> Result<Self, Problems> {
        read::read(text, path)
    }

    /// The state of this kernel of the matrix.
    pub fn standing(&self, kernel: &KernelEntry, matrix: &Path) -> InLock<'_> {
        match self.kernels.get(&kernel.name) {
            None => InLock::Absent,
            Some(locked) if locked.source == source_line(kernel, matrix) => InLock::Current(locked),
            Some(locked) => InLock::OtherSource(locked),
        }
    }

    /// Replaces the lock file of a matrix atomically.
    ///
    /// # Errors
    /// If it cannot be written, or would be too long to read again.
    pub fn save(&self, matrix: &Path) -> io::Result<()> {
        let text = self.text(matrix).map_err(io::Error::other)?;
        write::replace(&Self::path_of(matrix), &text)
    }

    /// The file's text.
    ///
    /// # Errors
    /// If it would be too long to read again.
    pub fn text(&self, matrix: &Path) -> Result<String, TooLong> {
        let text = write::text(self, matrix);
        if text.len() > file::FILE_MAX { Err(TooLong(self.kernels.len())) } else { Ok(text) }
    }
}

impl Locked {
    /// Adds the addresses of its packages in each of these archives, as of the time when it was locked.
    pub fn add_archives(&mut self, archives: &[String]) {
        // The form of the folders of Debian's snapshot archive.
        let time = self.when.strftime("%Y%m%dT%H%M%SZ").to_string();
        for file in &mut self.files {
            let pool = file.addresses.iter().find_map(|address| Some(address.rsplit_once("/pool/")?.1.to_owned()));
            let Some(pool) = pool else { continue };
            for archive in archives {
                let address = format!("{}/pool/{pool}", archive.replace("{time}", &time).trim_end_matches('/'));
                if !file.addresses.contains(&address) {
                    file.addresses.push(address);
                }
            }
        }
    }

    /// Whether it is the same kernel, regardless of its addresses. The same sha256 implies the same size and version.
    pub fn is_same(&self, other: &Self) -> bool {
        self.source == other.source && self.has_same_bytes(other)
    }

    /// Whether its files are the same, byte for byte.
    pub fn has_same_bytes(&self, other: &Self) -> bool {
        let same =
            |(ours, theirs): (&LockedFile, &LockedFile)| (&ours.name, &ours.sha256) == (&theirs.name, &theirs.sha256);
        self.files.len() == other.files.len() && self.files.iter().zip(&other.files).all(same)
    }
}

/// A lock that is too long to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lock of {0} kernels is longer than {limit} KiB; split the matrix", limit = file::FILE_MAX / 1024)]
pub struct TooLong(pub usize);

/// A kernel's source in one line. Its paths are relative to the matrix's folder.
pub fn source_line(kernel: &KernelEntry, matrix: &Path) -> String {
    kernel.source.lock_line(fields::folder_of(matrix))
}

#[cfg(test)]
mod tests;
