//! The archive in a package: cpio in the format `newc` (cpio(5)), or in rpm's own format, whose entries have only their
//! file's number in the header (rpm's lib/cpio.cc).

use std::collections::HashMap;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::damaged;
use super::files::{Content, RpmFile, RpmFiles};
use crate::kernel::archive::{
    ArchiveReadError, Choice, EntryKind, MAX_FILE, MAX_NAME, Names, PackageError, Take, layer_error, read_whole,
};
use crate::kernel::quoted::Quoted;
use crate::kernel::store;

/// The name of this layer, for messages.
const PART: &str = "cpio archive";
/// The name of the entry after the last file.
const TRAILER: &[u8] = b"TRAILER!!!";

/// Reads an archive to its end. The wanted files may have at most `limit` bytes together.
pub(super) fn read(
    archive: impl Read,
    limit: u64,
    files: &RpmFiles,
    wanted: Choice,
    take: Take,
) -> Result<(), ArchiveReadError> {
    let mut archive = Archive { inner: archive };
    let (mut names, mut links) = (Names::default(), Links::default());
    let mut left = limit;
    while let Some(entry) = archive.next(files)? {
        let path = names.judge(&entry.name, kind(entry.mode), wanted)?;
        let is_file = kind(entry.mode) == EntryKind::File;
        let paths = if is_file && entry.links > 1 { links.add(&entry, path) } else { path.into_iter().collect() };
        if paths.is_empty() {
            archive.skip(entry.size)?;
        } else {
            let bytes = read_whole(&mut archive.inner, entry.size, MAX_FILE, &entry.name, PART)?;
            let (count, mut bytes) = (paths.len(), Some(bytes));
            for (at, path) in paths.into_iter().enumerate() {
                // Only content with several names is copied.
                let own = if at + 1 == count { bytes.take() } else { bytes.clone() }.unwrap_or_default();
                check(files, &path, &own)?;
                left = left
                    .checked_sub(entry.size)
                    .ok_or_else(|| PackageError::TooLarge(format!("links make its files larger than {limit} bytes")))?;
                take(path, own).map_err(ArchiveReadError::Taker)?;
            }
        }
        archive.pad(entry.size)?;
    }
    if links.is_waiting() {
        return Err(damaged(PART, "a hard link has no content").into());
    }
    // Padding follows, but the compressed stream's checksum comes after it.
    io::copy(&mut archive.inner, &mut io::sink()).map_err(|source| layer_error(PART, source))?;
    Ok(())
}

fn kind(mode: u32) -> EntryKind {
    match mode & 0o170_000 {
        0o100_000 => EntryKind::File,
        0o040_000 => EntryKind::Folder,
        0o120_000 => EntryKind::Link,
        0o060_000 | 0o020_000 | 0o010_000 | 0o140_000 => EntryKind::Device,
        _ => EntryKind::Other,
    }
}

fn check(files: &RpmFiles, path: &str, bytes: &[u8]) -> Result<(), PackageError> {
    match files.sha256(path) {
        Some(said) if said != store::hex(Sha256::new_with_prefix(bytes)) => Err(PackageError::Hostile {
            why: "a file whose sha256 is not the one that the header says",
            entry: Quoted::of(path.as_bytes()),
        }),
        _ => Ok(()),
    }
}

/// Files with several names; the last one has the content.
#[derive(Default)]
struct Links {
    sets: HashMap<Content, Set>,
}

#[derive(Default)]
struct Set {
    seen: u32,
    wanted: Vec<String>,
}

impl Links {
    /// The wanted paths of this entry's content; none if the content comes later.
    fn add(&mut self, entry: &RpmFile, path: Option<String>) -> Vec<String> {
        let set = self.sets.entry(entry.content).or_default();
        set.seen += 1;
        set.wanted.extend(path);
        if entry.size == 0 && set.seen < entry.links {
            return Vec::new();
        }
        self.sets.remove(&entry.content).map(|set| set.wanted).unwrap_or_default()
    }

    fn is_waiting(&self) -> bool {
        self.sets.values().any(|set| !set.wanted.is_empty())
    }
}

struct Archive<R> {
    inner: R,
}

impl<R: Read> Archive<R> {
    /// The next entry; `None` at the archive's end.
    fn next(&mut self, files: &RpmFiles) -> Result<Option<RpmFile>, PackageError> {
        let magic = self.bytes(6)?;
        if magic == b"07070X" {
            let index = hex(&self.bytes(8)?)?;
            self.pad(6 + 8)?;
            let file = files.get(index).cloned();
            return file.map(Some).ok_or_else(|| damaged(PART, "an entry is not in the header"));
        }
        if magic != b"070701" && magic != b"070702" {
            return Err(damaged(PART, "an entry has no magic number"));
        }
        // inode, mode, uid, gid, links, mtime, size, major, minor, rmajor, rminor, and the length of the name with its
        // NUL. rpm doesn't use the checksum after them.
        let mut fields = [0; 13];
        for field in &mut fields {
            *field = hex(&self.bytes(8)?)?;
        }
        let [inode, mode, _, _, links, _, size, major, minor, _, _, length, _] = fields;
        if u64::from(length) > MAX_NAME + 1 {
            return Err(PackageError::TooLarge(format!("a name of {length} bytes")));
        }
        let mut name = self.bytes(length.into())?;
        if name.pop() != Some(0) {
            return Err(damaged(PART, "a name has no end"));
        }
        self.pad(110 + u64::from(length))?;
        let content = (u64::from(major) << 32 | u64::from(minor), inode.into());
        let file = RpmFile { name, mode, size: size.into(), links, content };
        Ok((file.name != TRAILER).then_some(file))
    }

    fn bytes(&mut self, length: u64) -> Result<Vec<u8>, PackageError> {
        read_whole(&mut self.inner, length, length, b"", PART)
    }

    fn skip(&mut self, length: u64) -> Result<(), PackageError> {
        let skipped = io::copy(&mut (&mut self.inner).take(length), &mut io::sink());
        let failed = |source| layer_error(PART, source);
        if skipped.map_err(failed)? < length { Err(failed(io::ErrorKind::UnexpectedEof.into())) } else { Ok(()) }
    }

    /// Skips the padding of `length` bytes to a multiple of 4.
    fn pad(&mut self, length: u64) -> Result<(), PackageError> {
        self.skip((4 - length % 4) % 4)
    }
}

/// Eight hexadecimal digits.
fn hex(digits: &[u8]) -> Result<u32, PackageError> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = char::from(*digit).to_digit(16).ok_or_else(|| damaged(PART, "a number is invalid"))?;
        Ok(value << 4 | digit)
    })
}
