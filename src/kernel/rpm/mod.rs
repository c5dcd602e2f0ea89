//! Reads RPM packages (format 3 and 4: rpm's docs/manual/format_*.md): a lead, a signature, a header that describes the
//! package, and its files as a compressed cpio archive.
//!
//! [`header`] replaces the crate `rpm`, which panics on offsets outside the file, and copies as many numbers as entries
//! claim, even of the same bytes. [`cpio`] replaces the crate of that name, which accepts names of any length, and
//! doesn't know rpm's own format for large files.

mod cpio;
mod files;
mod header;

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::archive::{About, ArchiveReadError, Choice, PackageError, Take, read_up_to};
use super::changelog::{self, Changelog};
use super::compression::{self, Compression};
use super::quoted::Quoted;
use super::store;
use files::RpmFiles;
use header::{Header, tag};

/// The magic number of a package.
pub(super) const MAGIC: &[u8; 4] = b"\xed\xab\xee\xdb";
/// The magic number of a delta package without a header (deltarpm's `rpmml.h`).
pub(super) const DELTA_MAGIC: &[u8; 4] = b"drpm";

/// gzip's magic number (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The expected kind of file, for messages.
const EXPECTED: &str = "an RPM package";

/// Reads the package, a file of `size` bytes, and hands every file that `wanted` chooses to `take`.
///
/// # Errors
/// [`ArchiveReadError::Package`] if anything is wrong with the package; files that were handed over earlier must not be
/// used then. [`ArchiveReadError::Taker`] as soon as `take` fails.
pub fn read(mut rpm: impl Read, size: u64, wanted: Choice, take: Take) -> Result<(About, Changelog), ArchiveReadError> {
    lead(&mut rpm)?;
    let signature = Header::read_signature(&mut rpm)?;
    let (header, sha256) = Header::read(&mut rpm)?;
    if signature.text(tag::SIGNATURE_SHA256)?.is_some_and(|said| said != sha256) {
        return Err(damaged("header", "its sha256 is not the one that the package says").into());
    }
    let about = about(&header)?;
    let how = payload_compression(&header)?;
    let expected = payload_sha256(&header)?;
    // If the archive's own digest is known, those of its files add nothing.
    let files = RpmFiles::read(&header, expected.is_none())?;
    let mut payload = Hashing { inner: &mut rpm, hash: expected.as_ref().map(|_| Sha256::new()) };
    let limit = compression::bound(size);
    let broken = |source| PackageError::Damaged { part: "compressed data", source };
    let mut begin = [0; 2];
    let length = read_up_to(&mut payload, &mut begin).map_err(broken)?;
    let how = how.unwrap_or(if begin == GZIP { Compression::Gzip } else { Compression::None });
    let archive = compression::reader(how, begin[..length].chain(&mut payload), limit).map_err(broken)?;
    cpio::read(archive, limit, &files, wanted, take)?;
    io::copy(&mut payload, &mut io::sink()).map_err(broken)?;
    let found = payload.hash.map(store::hex);
    if found != expected {
        return Err(damaged("compressed data", "its sha256 is not the one that the header says").into());
    }
    Ok((about, changelog(&header)?))
}

fn not(why: &'static str) -> PackageError {
    PackageError::NotAPackage { expected: EXPECTED, why }
}

fn damaged(part: &'static str, why: &'static str) -> PackageError {
    PackageError::Damaged { part, source: io::Error::new(io::ErrorKind::InvalidData, why) }
}

const DELTA: PackageError = PackageError::Foreign {
    found: "a delta package, which is nothing without the one that it changes",
    advice: "name the whole package",
};

const SOURCE: PackageError =
    PackageError::Foreign { found: "a source package, which has no kernel to boot", advice: "name the binary package" };

/// Reads the lead: 96 bytes that only give the kind of the file (rpm's lib/rpmlead.cc).
fn lead(rpm: &mut impl Read) -> Result<(), PackageError> {
    let mut lead = [0; 96];
    rpm.read_exact(&mut lead).map_err(|_| not("it ends before its lead does"))?;
    if lead.starts_with(DELTA_MAGIC) {
        return Err(DELTA);
    }
    if !lead.starts_with(MAGIC) {
        return Err(not("its first bytes are not a package's"));
    }
    match (lead[4], [lead[6], lead[7]]) {
        (3 | 4, [0, 0]) => Ok(()),
        (3 | 4, [0, 1]) => Err(SOURCE),
        (3 | 4, _) => Err(not("its lead names neither a binary nor a source package")),
        _ => Err(not("expected format 3 or 4")),
    }
}

fn about(header: &Header) -> Result<About, PackageError> {
    if header.numbers(tag::FORMAT, 1)?.first().is_some_and(|format| *format > 4) {
        return Err(not("it is of a later format: expected format 3 or 4"));
    }
    // A binary package names its source package.
    if header.has(tag::SOURCE_PACKAGE) || !header.has(tag::SOURCE_RPM) {
        return Err(SOURCE);
    }
    let architecture = needed(header, tag::ARCH, "its header names no architecture")?;
    if !matches!(architecture.as_str(), "x86_64" | "noarch") {
        return Err(PackageError::Architecture { found: architecture, expected: "x86_64" });
    }
    let version = needed(header, tag::VERSION, "its header has no version")?;
    let release = needed(header, tag::RELEASE, "its header has no release")?;
    let epoch = header.numbers(tag::EPOCH, 1)?.first().map(|epoch| format!("{epoch}:")).unwrap_or_default();
    let package = needed(header, tag::NAME, "its header has no name")?;
    Ok(About { package, version: format!("{epoch}{version}-{release}"), architecture, depends: String::new() })
}

/// A text that every package has, safe to show.
fn needed(header: &Header, tag: u32, missing: &'static str) -> Result<String, PackageError> {
    let text = header.text(tag)?.filter(|text| !text.is_empty()).ok_or_else(|| not(missing))?;
    Ok(Quoted::of(text.as_bytes()).to_string())
}

/// The payload's compression. If the header doesn't say, it is gzip or none (rpmbuild's `w.ufdio`): rpm reads both
/// through zlib, which recognises gzip by its magic number.
fn payload_compression(header: &Header) -> Result<Option<Compression>, PackageError> {
    let expected = "cpio, with gzip, bzip2, lzma, xz, zstd or nothing";
    let unsupported =
        |found: &str| PackageError::Unsupported { found: Quoted::of(found.as_bytes()).to_string(), expected };
    match header.text(tag::PAYLOAD_FORMAT)?.as_deref() {
        None | Some("cpio") => {}
        Some("drpm") => return Err(DELTA),
        Some(other) => return Err(unsupported(other)),
    }
    let how = match header.text(tag::PAYLOAD_COMPRESSOR)?.as_deref() {
        None => return Ok(None),
        Some("gzip") => Compression::Gzip,
        Some("bzip2") => Compression::Bzip2,
        Some("lzma") => Compression::Lzma,
        Some("xz") => Compression::Xz,
        Some("zstd") => Compression::Zstd,
        Some("none" | "identity") => Compression::None,
        Some(other) => return Err(unsupported(other)),
    };
    Ok(Some(how))
}

/// The payload's sha256, as rpm 4.14 and later write it.
fn payload_sha256(header: &Header) -> Result<Option<String>, PackageError> {
    if header.numbers(tag::PAYLOAD_DIGEST_ALGORITHM, 1)?.first() != Some(&tag::SHA256) {
        return Ok(None);
    }
    Ok(header.text(tag::PAYLOAD_DIGEST)?.map(|digest| digest.to_ascii_lowercase()))
}

fn changelog(header: &Header) -> Result<Changelog, PackageError> {
    let mut changelog = Changelog::default();
    let times = header.numbers(tag::CHANGELOG_TIME, header::MAX_ITEMS)?;
    let names = header.texts(tag::CHANGELOG_NAME, header::MAX_ITEMS)?;
    let texts = header.texts(tag::CHANGELOG_TEXT, header::MAX_ITEMS)?;
    let mut left = changelog::MAX_BYTES;
    for ((time, name), text) in times.iter().zip(&names).zip(&texts) {
        let lossy = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        let Some(rest) = left.checked_sub(text.len()) else { break };
        left = rest;
        if !changelog.add(title(*time, &lossy(name)), lossy(text)) {
            break;
        }
    }
    Ok(changelog)
}

/// `2019-06-18 Jan Stancek [3.10.0-957.21.3.el7]`: the day, and the name without its address.
fn title(time: u64, name: &str) -> String {
    let day = i64::try_from(time).ok().and_then(|time| jiff::Timestamp::from_second(time).ok());
    let day = day.map(|day| day.strftime("%Y-%m-%d ").to_string()).unwrap_or_default();
    let name = match (name.split_once('<'), name.split_once('>')) {
        (Some((before, _)), Some((_, after))) => format!("{} {}", before.trim(), after.trim()),
        _ => name.to_owned(),
    };
    format!("{day}{}", name.trim())
}

/// Hashes the bytes that pass through, if `hash` is set.
struct Hashing<R> {
    inner: R,
    hash: Option<Sha256>,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if let Some(hash) = &mut self.hash {
            hash.update(&buffer[..read]);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
