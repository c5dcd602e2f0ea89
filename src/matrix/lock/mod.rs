//! The lock of a matrix: what its kernels were resolved to, so that a run can be repeated byte for byte.
//!
//! It lies beside the matrix (`kernels.yaml` has `kernels.lock`), has a block a kernel, and is read as the matrix is: all
//! mistakes at once, with their places.

mod read;
mod write;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::problems::Problems;
use super::{KernelEntry, fields, file};
use crate::words::KernelName;

/// A file that a kernel was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedFile {
    /// Its name: a package's own, or that of the file.
    pub name: String,
    /// The package's version, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its sha256, in hexadecimal digits.
    pub sha256: String,
    /// Its length in bytes.
    pub size: u64,
    /// Where it was had from, and may be had from again: addresses, the best one first; none for a user's own file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
}

/// What a kernel was resolved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// The matrix's source of it then, in one line: where the matrix has another one now, this counts no more.
    pub source: String,
    /// When it was resolved.
    pub when: Timestamp,
    /// What it calls itself, where that was known.
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

/// How a kernel of a matrix stands in its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InLock<'a> {
    /// What it was resolved to.
    Current(&'a Locked),
    /// It was resolved when the matrix had another source for it.
    OtherSource(&'a Locked),
    /// It is not there.
    Absent,
}

impl Lock {
    /// The lock file of a matrix.
    pub fn path_of(matrix: &Path) -> PathBuf {
        matrix.with_extension("lock")
    }

    /// Reads the lock file; an empty lock where there is none.
    ///
    /// # Errors
    /// All mistakes at once; or that the file cannot be read.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        match file::bytes(path) {
            Ok(bytes) => Self::parse(&bytes, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Problems::of_file(path.to_owned(), format!("the lock file cannot be read: {error}"))),
        }
    }

    /// Reads a lock from its text. `path` is named in messages.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn parse(text: &[u8], path: &Path) -> Result<Self, Problems> {
        read::read(text, path)
    }

    /// How this kernel of the matrix stands here.
    pub fn standing(&self, kernel: &KernelEntry, matrix: &Path) -> InLock<'_> {
        match self.kernels.get(&kernel.name) {
            None => InLock::Absent,
            Some(locked) if locked.source == source_line(kernel, matrix) => InLock::Current(locked),
            Some(locked) => InLock::OtherSource(locked),
        }
    }

    /// Replaces the lock file of a matrix, all of it or nothing.
    ///
    /// # Errors
    /// Where it cannot be written, or would be longer than is ever read.
    pub fn save(&self, matrix: &Path) -> io::Result<()> {
        let text = self.text(matrix).map_err(io::Error::other)?;
        write::replace(&Self::path_of(matrix), &text)
    }

    /// The file's text.
    ///
    /// # Errors
    /// Where it would be longer than is ever read.
    pub fn text(&self, matrix: &Path) -> Result<String, TooLong> {
        let text = write::text(self, matrix);
        if text.len() > file::FILE_MAX { Err(TooLong(self.kernels.len())) } else { Ok(text) }
    }
}

/// A lock that is too long to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lock of {0} kernels is longer than {limit} KiB; split the matrix", limit = file::FILE_MAX / 1024)]
pub struct TooLong(pub usize);

/// A kernel's source in one line. Paths in it start at the matrix's folder, from wherever the matrix is named.
pub fn source_line(kernel: &KernelEntry, matrix: &Path) -> String {
    let folder = format!("{}/", fields::folder_of(matrix).display());
    let shown = kernel.source.to_string();
    let words = shown.split(' ').map(|word| word.strip_prefix(&folder).unwrap_or(word));
    words.collect::<Vec<_>>().join(" ").chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests;
