//! Reads source files and patches from a tarball, in one pass.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::files::{MAX_FILE, SourceFiles, bounded};
use super::patches::{is_packaging, is_patch};
use crate::kernel;
use crate::kernel::compression::{self, Compression};

/// The most entries. Linux 6.12 has 92,000.
const MAX_ENTRIES: usize = 1_000_000;

/// The most bytes that a tarball may unpack to. Linux 6.12 has 1.6 GB.
const MAX_BYTES: u64 = 8 << 30;

/// The most bytes to keep of wanted files, including those in a folder that turns out to be the wrong one.
const MAX_KEPT: usize = 128 << 20;

/// The wanted files of a tarball, and its packaging.
#[derive(Clone, Debug, Default)]
pub struct Tarball {
    files: BTreeMap<String, Vec<u8>>,
    /// Series and patches. Files that are too large have no text.
    packaging: BTreeMap<String, Option<Vec<u8>>>,
}

/// Why a tarball could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TarballError {
    /// The file cannot be opened or read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not a tarball.
    #[error("it is not a tarball: {0}")]
    NotOne(&'static str),
    /// Its content is invalid.
    #[error("the tarball is truncated, damaged or hostile: {0}")]
    Damaged(io::Error),
}

impl Tarball {
    /// Reads the files at the paths `wanted` from the tarball at `path`: plain, or compressed with gzip, xz, zstd or
    /// bzip2. Paths omit the top folder.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is not a tarball, is damaged, or unpacks to more than any kernel.
    pub fn open<'w>(path: &Path, wanted: impl IntoIterator<Item = &'w str>) -> Result<Self, TarballError> {
        let found = std::fs::metadata(path)?;
        if !found.is_file() {
            return Err(TarballError::NotOne("expected a file"));
        }
        let mut file = BufReader::with_capacity(128 << 10, File::open(path)?);
        let mut head = Vec::new();
        (&mut file).take(512).read_to_end(&mut head)?;
        let not = TarballError::NotOne("expected a tar archive, plain or compressed with gzip, xz, zstd or bzip2");
        let how = kernel::tarball_compression(&head).ok_or(not)?;
        let packed = io::Cursor::new(head).chain(file);
        read(how, packed, &wanted.into_iter().collect())
    }
}

impl SourceFiles for Tarball {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let packaging = || self.packaging.get(path).cloned().flatten();
        Ok(self.files.get(path).cloned().or_else(packaging))
    }

    fn patches(&self) -> io::Result<Vec<String>> {
        Ok(self.packaging.keys().filter(|path| is_patch(path)).cloned().collect())
    }
}

fn read(how: Compression, packed: impl Read, wanted: &BTreeSet<&str>) -> Result<Tarball, TarballError> {
    let reader = compression::reader(how, packed, MAX_BYTES).map_err(TarballError::Damaged)?;
    let mut reader = BufReader::with_capacity(128 << 10, reader);
    let mut head = Vec::new();
    (&mut reader).take(512).read_to_end(&mut head).map_err(TarballError::Damaged)?;
    // POSIX.1-1988, which every kernel's tarball follows.
    if head.get(257..262) != Some(b"ustar") {
        return Err(TarballError::NotOne("expected a tar archive, but the unpacked data is not one"));
    }
    let mut archive = tar::Archive::new(io::Cursor::new(head).chain(reader));
    // Only the end of the archive shows whether there is a top folder. Until then the files are kept for each possible
    // top folder, and for none.
    let mut tops: BTreeMap<Vec<u8>, Tarball> = BTreeMap::new();
    let is_kept = |path: &str| wanted.contains(path) || is_packaging(path);
    let mut kept = 0;
    for (count, entry) in archive.entries().map_err(TarballError::Damaged)?.enumerate() {
        let mut entry = entry.map_err(TarballError::Damaged)?;
        if count >= MAX_ENTRIES {
            return Err(TarballError::NotOne("it has more entries than any kernel"));
        }
        let path = entry.path_bytes().into_owned();
        let path = path.strip_prefix(b"./").unwrap_or(&path);
        let below = path.iter().position(|byte| *byte == b'/').map_or(path.len(), |slash| slash + 1);
        let (top, inner) = path.split_at(below);
        let places = [(&b""[..], path), (top, inner)];
        let places = places
            .map(|(top, path)| std::str::from_utf8(path).ok().filter(|path| is_kept(path)).map(|path| (top, path)));
        if places.iter().all(Option::is_none) {
            continue;
        }
        if !entry.header().entry_type().is_file() {
            // A link or a folder in the place of a file counts as missing.
            continue;
        }
        if entry.size() > MAX_FILE && places.iter().flatten().all(|(_, path)| !wanted.contains(path)) {
            for (top, path) in places.into_iter().flatten() {
                tops.entry(top.to_owned()).or_default().packaging.insert(path.to_owned(), None);
            }
            continue;
        }
        let text = bounded(&mut entry).map_err(TarballError::Damaged)?;
        if text.len() as u64 != entry.size() {
            return Err(TarballError::Damaged(io::ErrorKind::UnexpectedEof.into()));
        }
        kept += text.len();
        if kept > MAX_KEPT {
            return Err(TarballError::NotOne("it has more files with the wanted names than any kernel"));
        }
        for (top, path) in places.into_iter().flatten() {
            let tarball = tops.entry(top.to_owned()).or_default();
            if wanted.contains(path) {
                tarball.files.insert(path.to_owned(), text.clone());
            } else {
                tarball.packaging.insert(path.to_owned(), Some(text.clone()));
            }
        }
    }
    // The top folder is the one with most of the wanted files, because `tools` and `Documentation` have a Makefile too.
    Ok(tops.into_values().max_by_key(|tarball| tarball.files.len()).unwrap_or_default())
}

#[cfg(test)]
#[path = "tarball_tests.rs"]
mod tests;
