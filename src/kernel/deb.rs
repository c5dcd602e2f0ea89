//! Reads Debian packages (deb(5)): an ar archive with `control.tar` and `data.tar`, compressed or not.

use std::io::{self, Read};

use tar::EntryType;

use super::archive::{
    self, About, ArchiveReadError, Choice, EntryKind, MAX_FILE, MAX_NAME, Names, PackageError, Take, Want, layer_error,
    read_up_to,
};
use super::compression::{self, Compression};
use super::quoted::Quoted;

/// The magic number of an ar archive.
pub(super) const MAGIC: &[u8; 8] = b"!<arch>\n";

/// The expected kind of file, for messages.
const EXPECTED: &str = "a Debian package";
/// The longest field of the control file, in characters.
const MAX_FIELD: usize = 1000;
/// The largest PAX header, in bytes.
const MAX_PAX: u64 = 64 << 10;

/// Reads the package, and hands every file that `wanted` chooses by its path (`boot/vmlinuz-…`, without `./`) to
/// `take`.
///
/// # Errors
/// [`ArchiveReadError::Package`] if anything is wrong with the package; files that were handed over earlier must not be
/// used then. [`ArchiveReadError::Taker`] as soon as `take` fails.
pub fn read(mut deb: impl Read, wanted: Choice, take: Take) -> Result<About, ArchiveReadError> {
    let mut magic = [0; 8];
    read_up_to(&mut deb, &mut magic).map_err(|_| not("it cannot be read"))?;
    if &magic != MAGIC {
        return Err(not("expected an ar archive (`!<arch>`)").into());
    }
    let (mut control, mut data, mut first) = (None, false, true);
    while let Some((name, size)) = next_member(&mut deb)? {
        let mut member = (&mut deb).take(size);
        match name.as_str() {
            "debian-binary" => {
                let mut version = String::new();
                let read = (&mut member).take(64).read_to_string(&mut version);
                if read.is_err() || !version.starts_with("2.") {
                    return Err(not("expected format version 2").into());
                }
            }
            _ if first => return Err(not("expected `debian-binary` as its first member").into()),
            name if name.starts_with("control.tar") && control.is_none() => {
                control = Some(read_control(open(name, &mut member, size)?)?);
            }
            name if name.starts_with("data.tar") && control.is_some() && !data => {
                data = true;
                read_tar(open(name, &mut member, size)?, "data.tar", wanted, take)?;
            }
            // deb(5): others may add members with such names, and readers ignore them.
            name if name.starts_with('_') => {}
            _ => {
                return Err(
                    PackageError::Hostile { why: "an unexpected member", entry: Quoted::of(name.as_bytes()) }.into()
                );
            }
        }
        first = false;
        let damaged = |source| PackageError::Damaged { part: "ar archive", source };
        io::copy(&mut member, &mut io::sink()).map_err(damaged)?;
        if member.limit() > 0 {
            return Err(damaged(io::ErrorKind::UnexpectedEof.into()).into());
        }
        if size % 2 == 1 {
            // Members start at even offsets; the last one's padding may be missing.
            let _ = read_up_to(&mut deb, &mut [0; 1]).map_err(damaged)?;
        }
    }
    match control {
        Some(control) if data => Ok(control),
        _ => Err(PackageError::Damaged { part: "ar archive", source: io::ErrorKind::UnexpectedEof.into() }.into()),
    }
}

fn not(why: &'static str) -> PackageError {
    PackageError::NotAPackage { expected: EXPECTED, why }
}

/// The next member's name and size; `None` at the archive's end.
fn next_member(deb: &mut impl Read) -> Result<Option<(String, u64)>, PackageError> {
    let damaged = |source| PackageError::Damaged { part: "ar archive", source };
    let mut header = [0; 60];
    match read_up_to(deb, &mut header).map_err(damaged)? {
        0 => return Ok(None),
        60 => {}
        _ => return Err(damaged(io::ErrorKind::UnexpectedEof.into())),
    }
    let bad = || not("a member's header is broken");
    let (fields, end) = header.split_at(58);
    let text = std::str::from_utf8(fields).map_err(|_| bad())?;
    if end != b"`\n" || !text.is_ascii() {
        return Err(bad());
    }
    let size = text[48..].trim_end().parse().map_err(|_| bad())?;
    Ok(Some((text[..16].trim_end().trim_end_matches('/').to_owned(), size)))
}

/// Opens the compressed tar in a member of `size` bytes, and bounds its content.
fn open<'a>(name: &str, member: impl Read + 'a, size: u64) -> Result<Box<dyn Read + 'a>, PackageError> {
    let suffix = name.split_once(".tar").map_or("", |(_, suffix)| suffix);
    let compression = match suffix {
        "" => Compression::None,
        ".xz" => Compression::Xz,
        ".gz" => Compression::Gzip,
        ".zst" => Compression::Zstd,
        ".bz2" => Compression::Bzip2,
        ".lzma" => Compression::Lzma,
        other => {
            return Err(PackageError::Unsupported {
                found: format!("`{}`", Quoted::of(other.as_bytes())),
                expected: "data.tar, or .xz, .gz, .zst, .bz2, .lzma of it",
            });
        }
    };
    compression::reader(compression, member, compression::bound(size))
        .map_err(|source| PackageError::Damaged { part: "compressed data", source })
}

fn read_control(tar: impl Read) -> Result<About, ArchiveReadError> {
    let mut text = None;
    read_tar(tar, "control.tar", &|path| if path == "control" { Want::File } else { Want::No }, &mut |_, bytes| {
        text = Some(bytes);
        Ok(())
    })?;
    let text = text.ok_or(not("its control.tar has no control file"))?;
    let control = parse_control(&text);
    match control.architecture.as_str() {
        "amd64" | "all" => Ok(control),
        "" => Err(not("its control file names no architecture").into()),
        other => {
            Err(PackageError::Architecture { found: Quoted::of(other.as_bytes()).to_string(), expected: "amd64" }
                .into())
        }
    }
}

fn parse_control(text: &[u8]) -> About {
    let mut control = About::default();
    for line in String::from_utf8_lossy(text).lines() {
        let Some((field, value)) = line.split_once(':') else { continue };
        let value = value.trim().chars().take(MAX_FIELD).collect();
        match field {
            "Package" => control.package = value,
            "Version" => control.version = value,
            "Architecture" => control.architecture = value,
            "Depends" => control.depends = value,
            _ => {}
        }
    }
    control
}

/// Reads a tar archive (ustar, GNU or PAX) to its end.
pub(super) fn read_tar(
    mut tar: impl Read,
    part: &'static str,
    wanted: Choice,
    take: Take,
) -> Result<(), ArchiveReadError> {
    let damaged = |source| layer_error(part, source);
    let (mut names, mut long) = (Names::default(), LongName::default());
    let mut archive = tar::Archive::new(&mut tar);
    // Raw, because the library would read headers of any length into memory.
    for entry in archive.entries().map_err(damaged)?.raw(true) {
        let mut entry = entry.map_err(damaged)?;
        let kind = entry.header().entry_type();
        let mut extension = |limit| read_whole(&mut entry, limit, part);
        match kind {
            EntryType::GNULongName => long.0 = Some(extension(MAX_NAME)?),
            EntryType::XHeader => long.take_pax(&extension(MAX_PAX)?)?,
            EntryType::GNULongLink => drop(extension(MAX_NAME)?),
            EntryType::XGlobalHeader => drop(extension(MAX_PAX)?),
            _ => {
                let name = long.0.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                let path = names.judge(&name, entry_kind(kind), wanted)?;
                if let Some(path) = path {
                    let bytes = read_whole(&mut entry, MAX_FILE, part)?;
                    take(path, bytes).map_err(ArchiveReadError::Taker)?;
                }
            }
        }
    }
    // Padding follows the archive's end, but the compressed stream's checksum comes after it.
    io::copy(&mut tar, &mut io::sink()).map_err(damaged)?;
    Ok(())
}

/// The next entry's name, if a separate header has it.
#[derive(Default)]
struct LongName(Option<Vec<u8>>);

impl LongName {
    fn take_pax(&mut self, records: &[u8]) -> Result<(), PackageError> {
        for record in tar::PaxExtensions::new(records) {
            let hostile = |why| PackageError::Hostile { why, entry: Quoted::of(records) };
            let record = record.map_err(|_| hostile("a broken PAX header"))?;
            match record.key_bytes() {
                b"path" => self.0 = Some(record.value_bytes().to_vec()),
                // Readers that disagree about sizes see different files in one archive.
                b"size" => return Err(hostile("a size in a PAX header")),
                _ => {}
            }
        }
        Ok(())
    }
}

fn entry_kind(kind: EntryType) -> EntryKind {
    match kind {
        EntryType::Regular | EntryType::Continuous => EntryKind::File,
        EntryType::Directory => EntryKind::Folder,
        EntryType::Symlink | EntryType::Link => EntryKind::Link,
        EntryType::Block | EntryType::Char | EntryType::Fifo => EntryKind::Device,
        _ => EntryKind::Other,
    }
}

fn read_whole(entry: &mut tar::Entry<'_, impl Read>, limit: u64, part: &'static str) -> Result<Vec<u8>, PackageError> {
    let (size, name) = (entry.size(), entry.path_bytes().into_owned());
    archive::read_whole(entry, size, limit, &name, part)
}

#[cfg(test)]
#[path = "deb_tests.rs"]
mod tests;
