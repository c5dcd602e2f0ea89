//! The common part of the package readers: it selects the files to extract, rejects hostile names, and limits sizes.
//!
//! Nothing is written here: the callers get the wanted files in memory, under their names in the package. So a
//! hostile name does no harm; it is rejected because no honest package has one.

use std::collections::HashSet;
use std::io::{self, Read};

use super::compression;
use super::quoted::Quoted;

/// Why a package cannot be read. Reads well after the file's name.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// Another kind of file.
    #[error("is not {expected}: {why}")]
    NotAPackage {
        /// The expected kind: `a Debian package` …
        expected: &'static str,
        /// Why it is not.
        why: &'static str,
    },
    /// A package that can't have a bootable kernel.
    #[error("is {found}; {advice}")]
    Foreign {
        /// The kind that was found.
        found: &'static str,
        /// The advice.
        advice: &'static str,
    },
    /// The file ends early, or its data is damaged.
    #[error("is truncated or damaged in its {part}: {source}")]
    Damaged {
        /// The layer of the package.
        part: &'static str,
        /// The error of that layer's reader.
        source: io::Error,
    },
    /// An unsupported format.
    #[error("has its data in {found}, which is not supported (expected {expected})")]
    Unsupported {
        /// The format.
        found: String,
        /// The supported formats.
        expected: &'static str,
    },
    /// A tarball of something other than a build.
    #[error("holds no kernel: {0}")]
    NoKernel(&'static str),
    /// A package for another processor.
    #[error("is for {found}, expected {expected}")]
    Architecture {
        /// The processor, as this kind of package names it.
        found: String,
        /// The one that is booted.
        expected: &'static str,
    },
    /// An entry that no honest package has.
    #[error("is hostile or broken: {why}: {entry}")]
    Hostile {
        /// The fault.
        why: &'static str,
        /// The entry's name.
        entry: Quoted,
    },
    /// More than any kernel package has.
    #[error("is too large to be a kernel package, or a decompression bomb: {0}")]
    TooLarge(String),
}

/// An error of the package, or of the caller that takes its files.
#[derive(Debug)]
pub enum ArchiveReadError {
    /// The package's.
    Package(PackageError),
    /// The taker's.
    Taker(io::Error),
}

impl From<PackageError> for ArchiveReadError {
    fn from(error: PackageError) -> Self {
        Self::Package(error)
    }
}

/// Takes a wanted file: its path, and its content.
pub type Take<'a> = &'a mut dyn FnMut(String, Vec<u8>) -> io::Result<()>;

/// Chooses files by their paths (`boot/vmlinuz-…`, without `./`).
pub type Choice<'a> = &'a dyn Fn(&str) -> Want;

/// Whether a file is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// No.
    No,
    /// Yes, and a link in its place is hostile.
    File,
    /// Yes, unless it is a link; some packages link to another package's file.
    UnlessLink,
}

/// A package's own description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Its name.
    pub package: String,
    /// Its version: `[epoch:]version-release`.
    pub version: String,
    /// The processor that it is for.
    pub architecture: String,
    /// Its dependencies, in its own grammar; empty for kinds that don't list them here.
    pub depends: String,
}

/// The kind of an archive's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    File,
    Folder,
    Link,
    Device,
    Other,
}

/// The most entries in one archive; the largest kernel packages have 7,000.
pub(super) const MAX_ENTRIES: usize = 200_000;
/// The most bytes of one wanted file; the largest images and modules (with debug information) have less.
pub(super) const MAX_FILE: u64 = 512 << 20;
/// The most wanted files, and links, in one archive.
pub(super) const MAX_TAKEN: usize = 20_000;
/// The longest name, in bytes: PATH_MAX.
pub(super) const MAX_NAME: u64 = 4096;

/// The names of one archive so far.
#[derive(Default)]
pub(super) struct Names {
    links: HashSet<String>,
    taken: HashSet<String>,
    count: usize,
}

impl Names {
    /// The entry's path, if it is a wanted file.
    pub fn judge(&mut self, name: &[u8], kind: EntryKind, wanted: Choice) -> Result<Option<String>, PackageError> {
        self.count += 1;
        let hostile = |why| Err(PackageError::Hostile { why, entry: Quoted::of(name) });
        if self.count > MAX_ENTRIES {
            return Err(PackageError::TooLarge(format!("more than {MAX_ENTRIES} entries")));
        }
        if name.len() as u64 > MAX_NAME {
            return hostile("a name longer than PATH_MAX");
        }
        let text = String::from_utf8_lossy(name);
        let text = text.trim_end_matches('\0');
        if text.starts_with('/') {
            return hostile("an absolute path");
        }
        if text.split('/').any(|c| c == "..") {
            return hostile("a path that leaves its folder");
        }
        let path = text.split('/').filter(|c| !c.is_empty() && *c != ".").collect::<Vec<_>>().join("/");
        match (kind, wanted(&path)) {
            (EntryKind::Device, _) => return hostile("a device node"),
            (EntryKind::Folder, _) => return Ok(None),
            (EntryKind::Link, Want::File) => return hostile("a link instead of a file"),
            (EntryKind::Link, _) => {
                if self.links.len() >= MAX_TAKEN {
                    return Err(PackageError::TooLarge(format!("more than {MAX_TAKEN} links")));
                }
                self.links.insert(path);
                return Ok(None);
            }
            (_, Want::No) => return Ok(None),
            (EntryKind::File, _) => {}
            (EntryKind::Other, _) => return hostile("a file of an unknown kind"),
        }
        let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
        if parents.into_iter().any(|parent| self.links.contains(parent)) {
            return hostile("a file below a link");
        }
        if self.taken.len() >= MAX_TAKEN {
            return Err(PackageError::TooLarge(format!("more than {MAX_TAKEN} kernel files")));
        }
        if !self.taken.insert(path.clone()) {
            return hostile("the same file twice");
        }
        Ok(Some(path))
    }
}

/// The `size` bytes that an entry claims to have, at most `limit`. `reader` ends with the entry, or before.
pub(super) fn read_whole(
    reader: &mut impl Read,
    size: u64,
    limit: u64,
    name: &[u8],
    part: &'static str,
) -> Result<Vec<u8>, PackageError> {
    if size > limit {
        let entry = Quoted::of(name);
        return Err(PackageError::TooLarge(format!("{entry} claims {size} bytes, expected at most {limit}")));
    }
    let mut bytes = Vec::new();
    let damaged = |source| layer_error(part, source);
    reader.take(size).read_to_end(&mut bytes).map_err(damaged)?;
    if (bytes.len() as u64) < size {
        return Err(damaged(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(bytes)
}

pub(super) fn layer_error(part: &'static str, source: io::Error) -> PackageError {
    match compression::is_bomb(&source) {
        true => PackageError::TooLarge(source.to_string()),
        false => PackageError::Damaged { part, source },
    }
}

/// Fills `buffer` until the reader ends. Returns the number of bytes.
pub(super) fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
