//! Puts source trees into the cache: from a package, from a tarball, or copied from a user's tree.

use std::fs::{self, File};
use std::io::{self, BufReader, Cursor, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tar::EntryType;

use crate::kernel::archive::{ArchiveReadError, Want};
use crate::kernel::build::{self, BuildError, BuildStep};
use crate::kernel::compression::{self, Compression};
use crate::kernel::deb;
use crate::kernel::package::UnpackError;
use crate::kernel::quoted::Quoted;
use crate::kernel::store;

/// The most files and folders of one source; 6.12 has 92,000.
const MAX_ENTRIES: usize = 500_000;

/// The most bytes that a source may unpack to; 6.12 has 1.6 GB.
const MAX_BYTES: u64 = 8 << 30;

/// The compression of a tarball, by its name.
fn compression(name: &str) -> Option<Compression> {
    let known = [
        (".tar", Compression::None),
        (".tar.xz", Compression::Xz),
        (".tar.gz", Compression::Gzip),
        (".tgz", Compression::Gzip),
        (".tar.zst", Compression::Zstd),
    ];
    known.into_iter().find(|(end, _)| name.ends_with(end)).map(|(_, how)| how)
}

/// Unpacks the tarball in Debian's source package `deb` below `into`. Returns the tree.
pub(super) fn package(deb: &Path, into: &Path) -> Result<PathBuf, BuildError> {
    let file = File::open(deb).map_err(BuildError::io(BuildStep::Unpack, deb))?;
    let wanted = |path: &str| match compression(path) {
        Some(_) if path.starts_with("usr/src/linux-source-") => Want::File,
        _ => Want::No,
    };
    let mut tree = None;
    let read = deb::read(BufReader::with_capacity(128 << 10, file), &wanted, &mut |path, bytes| {
        if let Some(how) = compression(&path).filter(|_| tree.is_none()) {
            tree = Some(untar(how, Cursor::new(bytes), Path::new(&path), into));
        }
        Ok(())
    });
    match (read, tree) {
        (Ok(_), Some(tree)) => tree,
        (Ok(_), None) => {
            let why = "the package has no tarball below usr/src".to_owned();
            Err(BuildError::NotASource { path: deb.to_owned(), why })
        }
        (Err(ArchiveReadError::Package(problem)), _) => {
            Err(BuildError::cache(BuildStep::Unpack)(UnpackError::BadPackage { path: deb.to_owned(), problem }))
        }
        (Err(ArchiveReadError::Taker(error)), _) => Err(BuildError::io(BuildStep::Unpack, into)(error)),
    }
}

/// Unpacks the tarball at `path` below `into`. Returns the tree.
pub(super) fn tarball(path: &Path, into: &Path) -> Result<PathBuf, BuildError> {
    let (how, file) = open(path)?;
    untar(how, file, path, into)
}

/// The release line of the tarball's tree, from its top Makefile. If the tarball has no top folder, Makefiles of other
/// folders come first.
pub(super) fn release(path: &Path) -> Result<String, BuildError> {
    let (how, file) = open(path)?;
    let damaged = |error: io::Error| not(path, &format!("it cannot be read ({error})"));
    let reader = compression::reader(how, file, MAX_BYTES).map_err(damaged)?;
    let mut why = "it has no Makefile at its top";
    for entry in tar::Archive::new(reader).entries().map_err(damaged)?.take(MAX_ENTRIES) {
        let mut entry = entry.map_err(damaged)?;
        let name = entry.path().map_err(damaged)?.into_owned();
        let depth = name.components().filter(|c| matches!(c, std::path::Component::Normal(_))).count();
        if depth <= 2 && name.file_name().is_some_and(|n| n == "Makefile") && entry.header().entry_type().is_file() {
            let mut text = Vec::new();
            (&mut entry).take(1 << 20).read_to_end(&mut text).map_err(damaged)?;
            match build::version(&text) {
                Some(release) => return Ok(release),
                None => why = build::NO_VERSION,
            }
        }
    }
    Err(not(path, why))
}

fn open(path: &Path) -> Result<(Compression, BufReader<File>), BuildError> {
    let how = path.file_name().and_then(|name| compression(&name.to_string_lossy()));
    let how = how.ok_or_else(|| not(path, "its name does not end as a tarball's"))?;
    let file = File::open(path).map_err(BuildError::io(BuildStep::Unpack, path))?;
    Ok((how, BufReader::with_capacity(128 << 10, file)))
}

fn not(path: &Path, why: &str) -> BuildError {
    BuildError::NotASource { path: path.to_owned(), why: why.to_owned() }
}

/// Unpacks a tar archive below `into`. The tar library refuses to write elsewhere, even through links.
fn untar(how: Compression, packed: impl Read, name: &Path, into: &Path) -> Result<PathBuf, BuildError> {
    let top = into.join("tree");
    let making = |error| BuildError::io(BuildStep::Unpack, into)(error);
    fs::create_dir_all(&top).map_err(making)?;
    let bad = |error: io::Error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BuildError::io(BuildStep::Unpack, into)(error),
        _ => not(name, &format!("it is truncated, damaged or hostile: {}", Quoted::of(deepest(&error).as_bytes()))),
    };
    let reader = compression::reader(how, packed, MAX_BYTES).map_err(bad)?;
    let mut archive = tar::Archive::new(BufReader::with_capacity(128 << 10, reader));
    archive.set_overwrite(false);
    for (count, entry) in archive.entries().map_err(bad)?.enumerate() {
        let mut entry = entry.map_err(bad)?;
        let shown = Quoted::of(&entry.path_bytes());
        let hostile = |why: &str| not(name, &format!("{why}: {shown}"));
        if count >= MAX_ENTRIES {
            return Err(hostile("it has more entries than any kernel"));
        }
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Directory | EntryType::Symlink | EntryType::Link => {}
            EntryType::XGlobalHeader => continue,
            _ => return Err(hostile("it has an entry that is no file, folder or link")),
        }
        if !entry.unpack_in(&top).map_err(bad)? {
            return Err(hostile("it has a path that leaves its folder"));
        }
    }
    let mut entries = fs::read_dir(&top).map_err(making)?.collect::<Result<Vec<_>, _>>().map_err(making)?;
    match (entries.pop(), entries.is_empty()) {
        // All kernel tarballs have one top folder.
        (Some(only), true) if only.path().is_dir() => Ok(only.path()),
        _ => Ok(top),
    }
}

/// The cause of an error of the tar library, which only says "failed to unpack" by itself.
fn deepest(error: &io::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// Copies a tree without git's files, and links as links. Times are kept, because make compares them.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), BuildError> {
    let reading = |error| BuildError::io(BuildStep::Unpack, from)(error);
    fs::create_dir_all(to).map_err(BuildError::io(BuildStep::Unpack, to))?;
    for entry in fs::read_dir(from).map_err(reading)? {
        let entry = entry.map_err(reading)?;
        let (kind, from, target) = (entry.file_type().map_err(reading)?, entry.path(), to.join(entry.file_name()));
        if entry.file_name() == ".git" {
            continue;
        }
        if kind.is_dir() {
            copy(&from, &target)?;
        } else {
            copy_one(kind, &from, &target).map_err(|error| {
                let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
                BuildError::io(BuildStep::Unpack, if is_full { to } else { &from })(error)
            })?;
        }
    }
    Ok(())
}

fn copy_one(kind: fs::FileType, from: &Path, to: &Path) -> io::Result<()> {
    if kind.is_symlink() {
        std::os::unix::fs::symlink(fs::read_link(from)?, to)?;
    } else if kind.is_file() {
        let modified = fs::symlink_metadata(from)?.modified()?;
        fs::copy(from, to)?;
        // A file that its owner may not write can still be built.
        if let Ok(file) = File::options().write(true).open(to) {
            file.set_modified(modified)?;
        }
    }
    Ok(())
}

/// A stamp that changes with the tree: a sha256 of its files' names, sizes and times, without reading them. And their
/// total size in bytes.
pub(super) fn stamp(tree: &Path) -> io::Result<(String, u64)> {
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    stamp_below(tree, &mut hash, &mut bytes)?;
    Ok((store::hex(hash), bytes))
}

fn stamp_below(folder: &Path, hash: &mut Sha256, bytes: &mut u64) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries.into_iter().filter(|entry| entry.file_name() != ".git") {
        let found = entry.metadata()?;
        // Each name is hashed with its length, so two different trees never get the same hash input.
        let name = entry.file_name();
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name.as_encoded_bytes());
        if found.is_dir() {
            hash.update(b"{");
            stamp_below(&entry.path(), hash, bytes)?;
            hash.update(b"}");
        } else {
            for part in [found.size().cast_signed(), found.mtime(), found.mtime_nsec(), i64::from(found.mode())] {
                hash.update(part.to_le_bytes());
            }
            *bytes += found.size();
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;
