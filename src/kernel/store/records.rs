//! Small files by name, written atomically and sealed: each record has the sha256 of its name and content. A damaged
//! record counts as absent, and is made again.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::{Store, hex};
use crate::kernel::file_error::FileError;
use crate::regular;

/// The largest record, in bytes; that of a package with 8,000 modules has 2 MiB.
const MAX_RECORD: u64 = 64 << 20;

/// The start of a record: the seal is the first field of its JSON object.
const SEAL: &str = r#"{"seal":""#;

/// Hexadecimal digits of a seal.
const DIGITS: usize = 64;

impl Store {
    /// A record that was written with [`Store::write_record`]; `None` if it is missing or unreadable, so that it is
    /// made again.
    pub fn read_record<T: DeserializeOwned>(&self, below: &str) -> Option<T> {
        self.records(below).next()
    }

    /// The record of this name in this store, for facts that only hold for its files.
    pub(in crate::kernel) fn own_record<T: DeserializeOwned>(&self, below: &str) -> Option<T> {
        read(&self.root, below)
    }

    /// The records of this name: this store's first, then those of the stores below.
    pub(in crate::kernel) fn records<T: DeserializeOwned>(&self, below: &str) -> impl Iterator<Item = T> {
        self.layers().filter_map(move |layer| read(layer, below))
    }

    /// Writes a text file atomically.
    pub(in crate::kernel) fn write_text(&self, path: &Path, text: &str) -> Result<(), FileError> {
        self.write_bytes(path, text.as_bytes())
    }

    /// Writes a file atomically.
    pub(in crate::kernel) fn write_bytes(&self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
        let mut draft = self.draft()?;
        draft.write_all(bytes).map_err(|e| FileError::io("write", path, e))?;
        draft.keep(path)
    }

    /// Writes a sealed record, which must be a JSON object.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_record(&self, below: &str, record: &impl Serialize) -> Result<(), FileError> {
        let path = self.root.join(below);
        let failed = |e| FileError::io("write", &path, e);
        let json = serde_json::to_string(record).map_err(|e| failed(e.into()))?;
        let sealed = seal(below, &json).ok_or_else(|| failed(io::Error::other("a record is a JSON object")))?;
        // A file cannot replace a folder, and no folder belongs there.
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir()) {
            self.discard(&path)?;
        }
        self.write_text(&path, &sealed)
    }

    /// Removes this store's record of this name, if there is one.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove_record(&self, below: &str) -> Result<(), FileError> {
        let path = self.root.join(below);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::io("remove", &path, error)),
            _ => Ok(()),
        }
    }
}

/// The record `below` of the store in `root`; `None` if it cannot be read or its seal is broken.
pub(in crate::kernel) fn read<T: DeserializeOwned>(root: &Path, below: &str) -> Option<T> {
    let path = root.join(below);
    let bytes = match regular::read(&path, MAX_RECORD) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot read a record of the cache");
            return None;
        }
    };
    let record = unseal(below, &bytes).and_then(|json| serde_json::from_slice(&json).ok());
    if record.is_none() {
        tracing::debug!(path = %path.display(), "a record of the cache is damaged, or of an older version");
    }
    record
}

/// The JSON object with its seal as first field.
fn seal(below: &str, json: &str) -> Option<String> {
    let rest = json.strip_prefix('{')?;
    Some(format!("{SEAL}{}\",{rest}", digest(below, json.as_bytes())))
}

/// The sealed JSON object of this name.
fn unseal(below: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let (found, rest) = bytes.strip_prefix(SEAL.as_bytes())?.split_at_checked(DIGITS)?;
    let mut json = vec![b'{'];
    json.extend_from_slice(rest.strip_prefix(b"\",")?);
    (found == digest(below, &json).as_bytes()).then_some(json)
}

/// The seal covers the name, so a record under another record's name is invalid.
fn digest(below: &str, json: &[u8]) -> String {
    hex(Sha256::new().chain_update(below).chain_update([0]).chain_update(json))
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
