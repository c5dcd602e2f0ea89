//! A partial download: it survives a kill, and the next process resumes it.
//!
//! After each piece, the sha256 of everything so far is appended to the file of sums. If no sha256 will judge the whole
//! file, a later process resumes from the last piece that these prove.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

use super::headers::Validator;
use super::kept;
use crate::kernel::file_error::FileError;
use crate::kernel::store::{self, Store};

/// Increase it if older records must not be used any more.
const FORMAT: u32 = 1;

/// The size of a piece, in bytes.
const PIECE: usize = 64 << 10;

/// The size of a sum, in bytes.
const SUM: usize = 32;

/// The record of a partial file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    format: u32,
    address: String,
    validator: Validator,
    /// Total bytes, if the server said so.
    total: Option<u64>,
    /// The host's boot that wrote it, because after a crash of the host it may have holes.
    boot: Option<String>,
}

/// A partial download. Its owner holds the lock of its address.
pub(super) struct Partial<'a> {
    store: &'a Store,
    address: &'a Url,
    file: File,
    path: PathBuf,
    sums: File,
    record: Option<Record>,
    hash: Sha256,
    length: u64,
    /// Whether it has bytes from an earlier connection.
    resumed: bool,
}

impl<'a> Partial<'a> {
    /// The partial file of this address. `vouched` if a sha256 will judge the whole.
    pub(super) fn open(store: &'a Store, address: &'a Url, vouched: bool) -> Result<Self, FileError> {
        let path = kept::folder(store, "partial")?.join(kept::key(address));
        let open = |path: &Path| {
            let file = store::open_own(path, File::options().read(true).write(true).create(true).truncate(false));
            file.map_err(|e| FileError::io("open", path, e))
        };
        let (file, sums, hash) = (open(&path)?, open(&sums(&path))?, Sha256::new());
        let mut partial = Self { store, address, file, path, sums, record: None, hash, length: 0, resumed: false };
        let record: Option<Record> = store.own_record(&partial.record_name());
        let usable = |record: &Record| {
            let whole = vouched || (record.boot.is_some() && record.boot == boot());
            record.format == FORMAT && record.address == address.as_str() && whole
        };
        match record.filter(usable) {
            Some(record) => partial.take_up(record, vouched)?,
            None => partial.restart()?,
        }
        Ok(partial)
    }

    fn take_up(&mut self, record: Record, vouched: bool) -> Result<(), FileError> {
        // Never all of it, because the server's headers are needed: it must send at least the last byte.
        let most = record.total.map_or(u64::MAX, |total| total.saturating_sub(1));
        self.read_through(most, vouched).map_err(|e| FileError::io("read", &self.path, e))?;
        self.record = Some(record);
        self.resumed = self.length > 0;
        Ok(())
    }

    /// Hashes at most so many bytes (unless `vouched`, only those that the sums prove), and truncates the file there.
    fn read_through(&mut self, most: u64, vouched: bool) -> io::Result<()> {
        let (mut known, mut sums) = (Vec::new(), Vec::new());
        let longest = self.file.metadata()?.len() / PIECE as u64 * SUM as u64;
        (&self.sums).take(longest).read_to_end(&mut known)?;
        let mut known = known.chunks_exact(SUM);
        let (mut hash, mut length) = (Sha256::new(), 0);
        loop {
            let mut piece = Vec::new();
            (&self.file).take(most.saturating_sub(length).min(PIECE as u64)).read_to_end(&mut piece)?;
            let is_whole = piece.len() == PIECE;
            let mut next = hash.clone();
            next.update(&piece);
            let sum = next.clone().finalize();
            let is_proven = vouched || (is_whole && known.next() == Some(&sum[..]));
            if !is_proven {
                break;
            }
            (hash, length) = (next, length + piece.len() as u64);
            if !is_whole {
                break;
            }
            sums.extend_from_slice(&sum);
        }
        self.file.set_len(length)?;
        self.file.seek(SeekFrom::Start(length))?;
        self.sums.set_len(0)?;
        self.sums.seek(SeekFrom::Start(0))?;
        self.sums.write_all(&sums)?;
        (self.hash, self.length) = (hash, length);
        Ok(())
    }

    /// Discards the content.
    pub(super) fn restart(&mut self) -> Result<(), FileError> {
        self.forget()?;
        let empty = |file: &mut File| {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))
        };
        empty(&mut self.file).and_then(|_| empty(&mut self.sums)).map_err(|e| FileError::io("write", &self.path, e))?;
        (self.hash, self.length, self.resumed) = (Sha256::new(), 0, false);
        Ok(())
    }

    /// Starts a file from nothing. Without a validator it cannot be resumed later.
    pub(super) fn begin(&mut self, validator: Option<Validator>, total: Option<u64>) -> Result<(), FileError> {
        self.restart()?;
        let address = self.address.to_string();
        self.record = validator.map(|validator| Record { format: FORMAT, address, validator, total, boot: boot() });
        match &self.record {
            Some(record) => self.store.write_record(&self.record_name(), record),
            None => Ok(()),
        }
    }

    /// Another connection resumes it.
    pub(super) fn go_on(&mut self) {
        self.resumed = true;
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let writing = |e| FileError::io("write", &self.path, e);
        self.file.write_all(bytes).map_err(writing)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let left = PIECE - (self.length % PIECE as u64) as usize;
            let (now, later) = rest.split_at(left.min(rest.len()));
            self.hash.update(now);
            self.length += now.len() as u64;
            rest = later;
            if now.len() == left {
                self.sums.write_all(&self.hash.clone().finalize()).map_err(writing)?;
            }
        }
        Ok(())
    }

    /// Bytes so far.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Whether it has bytes from more than one connection.
    pub(super) fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// The proof that the rest belongs to this part; none if the part is empty, or nothing can be proven.
    pub(super) fn validator(&self) -> Option<&Validator> {
        self.record.as_ref().filter(|_| self.length > 0).map(|record| &record.validator)
    }

    /// Total bytes, if the server said so at the start.
    pub(super) fn total(&self) -> Option<u64> {
        self.record.as_ref().and_then(|record| record.total)
    }

    /// Its sha256.
    pub(super) fn sha256(&self) -> String {
        store::hex(self.hash.clone())
    }

    /// Its first bytes.
    pub(super) fn head(&self, length: usize) -> Result<Vec<u8>, FileError> {
        let mut head = Vec::new();
        let read = File::open(&self.path).and_then(|file| file.take(length as u64).read_to_end(&mut head));
        read.map_err(|e| FileError::io("read", &self.path, e))?;
        Ok(head)
    }

    /// Gives the complete file its final name.
    pub(super) fn keep(self, to: &Path) -> Result<(), FileError> {
        self.store.settle_file(&self.file, &self.path, to)?;
        self.forget()?;
        self.forget_sums()
    }

    /// Removes the partial file.
    pub(super) fn discard(self) -> Result<(), FileError> {
        self.forget()?;
        fs::remove_file(&self.path).map_err(|e| FileError::io("remove", &self.path, e))?;
        self.forget_sums()
    }

    fn forget(&self) -> Result<(), FileError> {
        let record = self.store.path(&self.record_name());
        match fs::remove_file(&record) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::io("remove", &record, error)),
            _ => Ok(()),
        }
    }

    /// Removes the sums, which are useless without the file.
    fn forget_sums(&self) -> Result<(), FileError> {
        let sums = sums(&self.path);
        fs::remove_file(&sums).map_err(|e| FileError::io("remove", &sums, e))
    }

    fn record_name(&self) -> String {
        format!("partial/{}.json", kept::key(self.address))
    }
}

/// The path of the sums of the file at `partial`.
fn sums(partial: &Path) -> PathBuf {
    partial.with_extension("sums")
}

/// The kernel's name for the host's boot (random(4)).
fn boot() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned())
}
