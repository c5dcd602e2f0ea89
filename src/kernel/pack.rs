//! A package's files, except for its image, in one blob. Each file can be read alone.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::compression::{self, Compression};
use super::file_error::FileError;
use super::store::{self, Store};

/// zstd's fastest ordinary level: it shrinks plain modules to a third, in a tenth of the time needed to read them.
const ZSTD_LEVEL: i32 = 1;

/// The blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pack {
    pub sha256: String,
    pub size: u64,
}

/// A configuration, list or module in a package's pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Packed {
    /// Its path in the package.
    pub path: String,
    offset: u64,
    stored: u64,
    size: u64,
    zstd: bool,
    /// sha256 of the stored bytes.
    sha256: String,
}

impl Packed {
    /// The file's content.
    pub(super) fn read(&self, pack: &Path) -> io::Result<Vec<u8>> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the cached file is damaged");
        let mut file = File::open(pack)?;
        if self.offset.saturating_add(self.stored) > file.metadata()?.len() {
            return Err(damaged());
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut stored = Vec::new();
        file.take(self.stored).read_to_end(&mut stored)?;
        if store::hex(Sha256::new_with_prefix(&stored)) != self.sha256 {
            return Err(damaged());
        }
        if self.zstd { compression::decompress(Compression::Zstd, &stored, self.size) } else { Ok(stored) }
    }
}

/// Writes the blob.
pub(super) struct PackWriter {
    draft: store::Draft,
    hash: Sha256,
    size: u64,
}

impl PackWriter {
    pub fn new(store: &Store) -> Result<Self, FileError> {
        Ok(Self { draft: store.draft()?, hash: Sha256::new(), size: 0 })
    }

    /// Adds a file, compressed if `zstd` is set.
    pub fn add(&mut self, path: String, bytes: &[u8], zstd: bool) -> io::Result<Packed> {
        let packed = if zstd { &*zstd::bulk::compress(bytes, ZSTD_LEVEL)? } else { bytes };
        self.draft.write_all(packed)?;
        self.hash.update(packed);
        let (offset, stored) = (self.size, packed.len() as u64);
        self.size += stored;
        let sha256 = store::hex(Sha256::new_with_prefix(packed));
        Ok(Packed { path, offset, stored, size: bytes.len() as u64, zstd, sha256 })
    }

    /// The blob, unless it is empty.
    pub fn keep(self, store: &Store) -> Result<Option<Pack>, FileError> {
        if self.size == 0 {
            return Ok(None);
        }
        let sha256 = store::hex(self.hash);
        self.draft.keep(&store.blob(&sha256))?;
        Ok(Some(Pack { sha256, size: self.size }))
    }
}
