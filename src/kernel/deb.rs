//! Reads Debian packages (deb(5)): an ar archive with `control.tar` and `data.tar`, compressed or not.
//!
//! Nothing is written here: the wanted files are handed over in memory, under their names in the package. So a
//! hostile name can harm nobody, and is refused all the same, because no honest package has one.

use std::collections::HashSet;
use std::io::{self, Read};

use tar::EntryType;

use super::compression::{self, Compression};
use super::error::Quoted;

/// Why a package cannot be read. Reads well after "the package ….deb ".
#[derive(Debug, thiserror::Error)]
pub enum DebError {
    /// Another kind of file.
    #[error("is not a Debian package: {0}")]
    NotADeb(&'static str),
    /// The file ends early, or its compressed data is damaged.
    #[error("is truncated or damaged in its {part}: {source}")]
    Damaged {
        /// Which layer of the package.
        part: &'static str,
        /// What the reader of that layer said.
        source: io::Error,
    },
    /// A form that this program does not read.
    #[error("has its data in {0}, which is not supported (expected data.tar, or .xz, .gz, .zst of it)")]
    Unsupported(String),
    /// A package for another processor.
    #[error("is for {0}, expected amd64")]
    Architecture(String),
    /// An entry that no honest package has.
    #[error("is hostile or broken: {why}: {entry}")]
    Hostile {
        /// What is wrong with it.
        why: &'static str,
        /// The entry's name.
        entry: Quoted,
    },
    /// More than any kernel package has.
    #[error("is too large to be a kernel package, or a decompression bomb: {0}")]
    TooLarge(String),
}

/// An error of the package, or of the one who takes its files.
#[derive(Debug)]
pub enum ReadError {
    /// The package's.
    Deb(DebError),
    /// The taker's.
    Taker(io::Error),
}

impl From<DebError> for ReadError {
    fn from(error: DebError) -> Self {
        Self::Deb(error)
    }
}

/// Takes a wanted file: its path, and what is in it.
pub type Take<'a> = &'a mut dyn FnMut(String, Vec<u8>) -> io::Result<()>;

/// The fields of a package's control file that matter here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// `Package:`
    pub package: String,
    /// `Version:`
    pub version: String,
    /// `Architecture:`
    pub architecture: String,
    /// `Depends:`
    pub depends: String,
}

/// Entries in one tar archive; the largest kernel packages have 7,000.
const MAX_ENTRIES: usize = 200_000;
/// Bytes of one wanted file; the largest images and modules (with debug information) have less.
const MAX_FILE: u64 = 512 << 20;
/// Wanted files, and links, in one tar archive.
const MAX_TAKEN: usize = 20_000;
/// Bytes of a name: PATH_MAX.
const MAX_NAME: u64 = 4096;
/// Characters of a field of the control file.
const MAX_FIELD: usize = 1000;
/// Bytes of a PAX header.
const MAX_PAX: u64 = 64 << 10;

/// Reads the package, and hands every file that `wanted` chooses by its path (`boot/vmlinuz-…`, without `./`) to
/// `take`.
///
/// # Errors
/// [`ReadError::Deb`] for whatever is wrong with the package; the files that were handed over before it was noticed
/// must not be used then. [`ReadError::Taker`] as soon as `take` fails.
pub fn read(mut deb: impl Read, wanted: &dyn Fn(&str) -> bool, take: Take) -> Result<Control, ReadError> {
    let mut magic = [0; 8];
    let not = |why| DebError::NotADeb(why);
    read_up_to(&mut deb, &mut magic).map_err(|_| not("it cannot be read"))?;
    if &magic != b"!<arch>\n" {
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
            // deb(5): members with such names are for others to add and for everybody to ignore.
            name if name.starts_with('_') => {}
            _ => {
                return Err(
                    DebError::Hostile { why: "an unexpected member", entry: Quoted::of(name.as_bytes()) }.into()
                );
            }
        }
        first = false;
        let damaged = |source| DebError::Damaged { part: "ar archive", source };
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
        _ => Err(DebError::Damaged { part: "ar archive", source: io::ErrorKind::UnexpectedEof.into() }.into()),
    }
}

/// The next member's name and size; `None` at the archive's end.
fn next_member(deb: &mut impl Read) -> Result<Option<(String, u64)>, DebError> {
    let damaged = |source| DebError::Damaged { part: "ar archive", source };
    let mut header = [0; 60];
    match read_up_to(deb, &mut header).map_err(damaged)? {
        0 => return Ok(None),
        60 => {}
        _ => return Err(damaged(io::ErrorKind::UnexpectedEof.into())),
    }
    let bad = || DebError::NotADeb("a member's header is broken");
    let (fields, end) = header.split_at(58);
    let text = std::str::from_utf8(fields).map_err(|_| bad())?;
    if end != b"`\n" || !text.is_ascii() {
        return Err(bad());
    }
    let size = text[48..].trim_end().parse().map_err(|_| bad())?;
    Ok(Some((text[..16].trim_end().trim_end_matches('/').to_owned(), size)))
}

/// Opens the compressed tar in a member of `size` bytes; bounds what comes out of it.
fn open<'a>(name: &str, member: impl Read + 'a, size: u64) -> Result<Box<dyn Read + 'a>, DebError> {
    let suffix = name.split_once(".tar").map_or("", |(_, suffix)| suffix);
    let compression = match suffix {
        "" => Compression::None,
        ".xz" => Compression::Xz,
        ".gz" => Compression::Gzip,
        ".zst" => Compression::Zstd,
        other => return Err(DebError::Unsupported(format!("`{}`", Quoted::of(other.as_bytes())))),
    };
    compression::reader(compression, member, compression::bound(size))
        .map_err(|source| DebError::Damaged { part: "compressed data", source })
}

fn read_control(tar: impl Read) -> Result<Control, ReadError> {
    let mut text = None;
    read_tar(tar, "control.tar", &|path| path == "control", &mut |_, bytes| {
        text = Some(bytes);
        Ok(())
    })?;
    let text = text.ok_or(DebError::NotADeb("its control.tar has no control file"))?;
    let control = parse_control(&text);
    match control.architecture.as_str() {
        "amd64" | "all" => Ok(control),
        "" => Err(DebError::NotADeb("its control file names no architecture").into()),
        other => Err(DebError::Architecture(Quoted::of(other.as_bytes()).to_string()).into()),
    }
}

fn parse_control(text: &[u8]) -> Control {
    let mut control = Control::default();
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
fn read_tar(
    mut tar: impl Read,
    part: &'static str,
    wanted: &dyn Fn(&str) -> bool,
    take: Take,
) -> Result<(), ReadError> {
    let damaged = |source| layer_error(part, source);
    let mut names = Names::default();
    let mut archive = tar::Archive::new(&mut tar);
    // Raw, because the library would read headers of any length into memory by itself.
    for entry in archive.entries().map_err(damaged)?.raw(true) {
        let mut entry = entry.map_err(damaged)?;
        let kind = entry.header().entry_type();
        let mut extension = |limit| read_whole(&mut entry, limit, part);
        match kind {
            EntryType::GNULongName => names.long = Some(extension(MAX_NAME)?),
            EntryType::XHeader => names.take_pax(&extension(MAX_PAX)?)?,
            EntryType::GNULongLink => drop(extension(MAX_NAME)?),
            EntryType::XGlobalHeader => drop(extension(MAX_PAX)?),
            _ => {
                let name = names.long.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                let path = names.judge(&name, kind, wanted)?;
                if let Some(path) = path {
                    let bytes = read_whole(&mut entry, MAX_FILE, part)?;
                    take(path, bytes).map_err(ReadError::Taker)?;
                }
            }
        }
    }
    // What follows the archive's end is padding, but the compressed stream's checksum is at its very end.
    io::copy(&mut tar, &mut io::sink()).map_err(damaged)?;
    Ok(())
}

/// What has been seen of one archive's names.
#[derive(Default)]
struct Names {
    /// The next entry's name, from a header of its own.
    long: Option<Vec<u8>>,
    links: HashSet<String>,
    taken: HashSet<String>,
    count: usize,
}

impl Names {
    fn take_pax(&mut self, records: &[u8]) -> Result<(), DebError> {
        for record in tar::PaxExtensions::new(records) {
            let broken = |_| DebError::Hostile { why: "a broken PAX header", entry: Quoted::of(records) };
            let record = record.map_err(broken)?;
            match record.key_bytes() {
                b"path" => self.long = Some(record.value_bytes().to_vec()),
                // Readers that disagree about sizes see different files in one archive.
                b"size" => return Err(DebError::Hostile { why: "a size in a PAX header", entry: Quoted::of(records) }),
                _ => {}
            }
        }
        Ok(())
    }

    /// The entry's path, where it is a wanted file.
    fn judge(
        &mut self,
        name: &[u8],
        kind: EntryType,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Option<String>, DebError> {
        self.count += 1;
        let hostile = |why| Err(DebError::Hostile { why, entry: Quoted::of(name) });
        if self.count > MAX_ENTRIES {
            return Err(DebError::TooLarge(format!("more than {MAX_ENTRIES} entries")));
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
        match kind {
            EntryType::Block | EntryType::Char | EntryType::Fifo => return hostile("a device node"),
            EntryType::Directory => return Ok(None),
            EntryType::Symlink | EntryType::Link if wanted(&path) => return hostile("a link instead of a file"),
            EntryType::Symlink | EntryType::Link => {
                if self.links.len() >= MAX_TAKEN {
                    return Err(DebError::TooLarge(format!("more than {MAX_TAKEN} links")));
                }
                self.links.insert(path);
                return Ok(None);
            }
            _ if !wanted(&path) => return Ok(None),
            EntryType::Regular | EntryType::Continuous => {}
            _ => return hostile("a file of an unknown kind"),
        }
        let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
        if parents.into_iter().any(|parent| self.links.contains(parent)) {
            return hostile("a file below a link");
        }
        if self.taken.len() >= MAX_TAKEN {
            return Err(DebError::TooLarge(format!("more than {MAX_TAKEN} kernel files")));
        }
        if !self.taken.insert(path.clone()) {
            return hostile("the same file twice");
        }
        Ok(Some(path))
    }
}

fn read_whole(entry: &mut tar::Entry<'_, impl Read>, limit: u64, part: &'static str) -> Result<Vec<u8>, DebError> {
    let size = entry.size();
    if size > limit {
        let entry = Quoted::of(&entry.path_bytes());
        return Err(DebError::TooLarge(format!("{entry} claims {size} bytes, expected at most {limit}")));
    }
    let mut bytes = Vec::new();
    let damaged = |source| layer_error(part, source);
    entry.read_to_end(&mut bytes).map_err(damaged)?;
    if (bytes.len() as u64) < size {
        return Err(damaged(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(bytes)
}

fn layer_error(part: &'static str, source: io::Error) -> DebError {
    match compression::is_bomb(&source) {
        true => DebError::TooLarge(source.to_string()),
        false => DebError::Damaged { part, source },
    }
}

/// Fills `buffer` as far as the reader goes; the number of bytes that came.
fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
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

#[cfg(test)]
#[path = "deb_tests.rs"]
mod tests;
