//! Files by content.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::drafts::sync_folder_of;
use super::{Draft, Store, StoreLock};
use crate::kernel::file_error::FileError;
use crate::regular;

/// A sha256 as 64 lower-case hexadecimal digits.
pub(crate) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// The sha256 of a list of texts. Each part is hashed with its length, so two different lists never get the same hash
/// input.
pub(in crate::kernel) fn sha256_of_parts(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex(hash)
}

pub(in crate::kernel) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl Store {
    /// The path of the blob, even if it does not exist yet.
    pub(in crate::kernel) fn blob(&self, sha256: &str) -> PathBuf {
        let below = below(sha256);
        self.find(&below).unwrap_or_else(|| self.root.join(below))
    }

    /// Gives a draft with this sha256 its place.
    pub(in crate::kernel) fn settle(&self, draft: Draft, sha256: &str) -> Result<(), FileError> {
        let _lock = self.while_nobody_collects()?;
        draft.keep(&self.root.join(below(sha256)))
    }

    /// Moves a file of the store to its final name, once its content is safe on the disk.
    pub(in crate::kernel) fn settle_file(&self, file: &File, from: &Path, to: &Path) -> Result<(), FileError> {
        let _lock = self.while_nobody_collects()?;
        let failed = |e| FileError::io("write", to, e);
        file.sync_all().map_err(failed)?;
        fs::rename(from, to).and_then(|()| sync_folder_of(to)).map_err(failed)
    }

    /// Without this, `gc` could mistake a new file for the old one of that name.
    fn while_nobody_collects(&self) -> Result<StoreLock, FileError> {
        self.share("blobs")
    }

    /// Puts the file `path` into the store, unless it is there. Returns its sha256.
    pub(in crate::kernel) fn adopt(&self, path: &Path) -> Result<String, FileError> {
        let reading = |e| FileError::io("read", path, e);
        let mut file = regular::open(path).map_err(reading)?;
        let (sha256, size) = sha256_of(&mut file).map_err(reading)?;
        if self.is_there(&sha256, size)? {
            return Ok(sha256);
        }
        // A build may be writing to the file right now, so the copy is hashed again, and named by its own sha256.
        let mut draft = self.draft()?;
        let mut source = regular::open(path).map_err(reading)?;
        let mut hash = Sha256::new();
        copy(&mut source, |piece| {
            hash.update(piece);
            draft.write_all(piece)
        })
        .map_err(|e| FileError::io("copy", path, e))?;
        let sha256 = hex(hash);
        self.settle(draft, &sha256)?;
        Ok(sha256)
    }

    /// Puts `bytes` into the store. Returns their sha256.
    pub(in crate::kernel) fn put(&self, bytes: &[u8]) -> Result<String, FileError> {
        let sha256 = hex(Sha256::new_with_prefix(bytes));
        if !self.is_there(&sha256, bytes.len() as u64)? {
            let mut draft = self.draft()?;
            draft.write_all(bytes).map_err(|e| FileError::io("write", &self.root, e))?;
            self.settle(draft, &sha256)?;
        }
        Ok(sha256)
    }

    /// Whether the blob exists and is intact. It counts as used now, so it stays until it is leased.
    fn is_there(&self, sha256: &str, size: u64) -> Result<bool, FileError> {
        // The lease comes first, because `gc` could remove the file between the two steps.
        let lease = if self.holds(sha256, size) { self.lease(&self.blob(sha256))? } else { None };
        Ok(lease.is_some() && self.verify(sha256)?)
    }

    /// Whether the blob exists with this size.
    pub(in crate::kernel) fn holds(&self, sha256: &str, size: u64) -> bool {
        fs::metadata(self.blob(sha256)).is_ok_and(|m| m.is_file() && m.len() == size)
    }

    /// Whether the blob still matches its name. Damaged ones are removed, or skipped in stores below
    /// from now on.
    pub(in crate::kernel) fn verify(&self, sha256: &str) -> Result<bool, FileError> {
        Ok(self.verified(&below(sha256), sha256)?.is_some())
    }

    /// Path and size of the file `name` with this sha256; `None` if no store has it. A damaged file is treated as by
    /// [`Store::verify`]. A file of this store counts as used.
    pub(in crate::kernel) fn verified(&self, name: &str, sha256: &str) -> Result<Option<(PathBuf, u64)>, FileError> {
        while let Some(path) = self.find(name) {
            let is_own = self.is_own(&path);
            if is_own && self.lease(&path)?.is_none() {
                continue;
            }
            let failed = |e| FileError::io("read", &path, e);
            let read = regular::open(&path).and_then(|mut file| Ok((sha256_of(&mut file)?, file)));
            match read {
                Ok(((found, size), _)) if found == sha256 => return Ok(Some((path, size))),
                Ok((_, file)) if is_own => self.remove_same(&file, &path).map_err(failed)?,
                Err(error) if is_own && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if is_own => return Err(failed(error)),
                Ok(_) | Err(_) => {
                    tracing::warn!(path = %path.display(), "a file of a read-only cache is damaged");
                    self.pass_over(path);
                }
            }
        }
        Ok(None)
    }
}

fn below(sha256: &str) -> String {
    format!("blobs/{sha256}")
}

/// The sha256 and size of the rest of `file`.
pub fn sha256_of(file: &mut impl Read) -> io::Result<(String, u64)> {
    let mut hash = Sha256::new();
    let size = copy(file, |piece| {
        hash.update(piece);
        Ok(())
    })?;
    Ok((hex(hash), size))
}

/// Reads to the end, in pieces that fit the processor's cache.
pub(in crate::kernel) fn copy(from: &mut impl Read, mut to: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<u64> {
    let mut buffer = vec![0; 128 << 10];
    let mut total = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(n) => {
                to(&buffer[..n])?;
                total += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
