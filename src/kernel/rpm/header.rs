//! An RPM header: an index of tags, and the data that they point to. The signature before it has the same format.

use std::borrow::Cow;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::{damaged, not};
use crate::kernel::archive::PackageError;
use crate::kernel::store;

/// The numbers of tags, and their values (rpm's include/rpm/rpmtag.h and rpmcrypto.h).
pub(super) mod tag {
    pub const SIGNATURE_SHA256: u32 = 273;
    pub const NAME: u32 = 1000;
    pub const VERSION: u32 = 1001;
    pub const RELEASE: u32 = 1002;
    pub const EPOCH: u32 = 1003;
    pub const ARCH: u32 = 1022;
    pub const FILE_SIZES: u32 = 1028;
    pub const FILE_MODES: u32 = 1030;
    pub const FILE_DIGESTS: u32 = 1035;
    pub const SOURCE_RPM: u32 = 1044;
    pub const CHANGELOG_TIME: u32 = 1080;
    pub const CHANGELOG_NAME: u32 = 1081;
    pub const CHANGELOG_TEXT: u32 = 1082;
    pub const FILE_DEVICES: u32 = 1095;
    pub const FILE_INODES: u32 = 1096;
    pub const SOURCE_PACKAGE: u32 = 1106;
    pub const FOLDER_INDEXES: u32 = 1116;
    pub const BASE_NAMES: u32 = 1117;
    pub const FOLDER_NAMES: u32 = 1118;
    pub const PAYLOAD_FORMAT: u32 = 1124;
    pub const PAYLOAD_COMPRESSOR: u32 = 1125;
    pub const LONG_FILE_SIZES: u32 = 5008;
    pub const FILE_DIGEST_ALGORITHM: u32 = 5011;
    pub const PAYLOAD_DIGEST: u32 = 5092;
    pub const PAYLOAD_DIGEST_ALGORITHM: u32 = 5093;
    pub const FORMAT: u32 = 5114;
    /// The only supported algorithm of digests.
    pub const SHA256: u64 = 8;
}

/// The most items of one tag: no package has more files.
pub(super) const MAX_ITEMS: usize = crate::kernel::archive::MAX_ENTRIES;

/// The most tags of one header; rpm itself knows fewer than 300.
const MAX_TAGS: u32 = 4096;
/// The most bytes of a header's data. Kernel packages with 20 years of changelog have less than 10 MB; rpm allows 256
/// MiB.
const MAX_DATA: u32 = 64 << 20;

/// A raw header. Each tag is checked when it is read.
pub(super) struct Header {
    tags: Vec<Tag>,
    data: Vec<u8>,
}

struct Tag {
    number: u32,
    kind: u32,
    offset: usize,
    count: usize,
}

impl Header {
    /// Reads the header, and gives the sha256 of its bytes.
    pub fn read(rpm: &mut impl Read) -> Result<(Self, String), PackageError> {
        let mut hash = Sha256::new();
        let header = Self::read_with(rpm, &mut hash)?;
        Ok((header, store::hex(hash)))
    }

    /// Reads the signature, and its padding to a multiple of 8 bytes.
    pub fn read_signature(rpm: &mut impl Read) -> Result<Self, PackageError> {
        let header = Self::read_with(rpm, &mut Sha256::new())?;
        let padding = header.data.len().next_multiple_of(8) - header.data.len();
        exactly(rpm, padding as u64)?;
        Ok(header)
    }

    fn read_with(rpm: &mut impl Read, hash: &mut Sha256) -> Result<Self, PackageError> {
        let head = exactly(rpm, 16)?;
        // The magic number, the format's version, and four reserved bytes.
        if !head.starts_with(b"\x8e\xad\xe8\x01") {
            return Err(not("its header does not begin as one"));
        }
        let (tags, data) = (number(&head[8..12]), number(&head[12..16]));
        if tags > MAX_TAGS || data > MAX_DATA {
            return Err(PackageError::TooLarge(format!("a header with {tags} tags and {data} bytes")));
        }
        let index = exactly(rpm, u64::from(tags) * 16)?;
        let data = exactly(rpm, data.into())?;
        for part in [&head, &index, &data] {
            hash.update(part);
        }
        let tags = index.chunks_exact(16).map(|tag| Tag {
            number: number(&tag[..4]),
            kind: number(&tag[4..8]),
            offset: number(&tag[8..12]) as usize,
            count: number(&tag[12..]) as usize,
        });
        Ok(Self { tags: tags.collect(), data })
    }

    fn find(&self, number: u32) -> Result<Option<(&Tag, &[u8])>, PackageError> {
        let Some(tag) = self.tags.iter().find(|tag| tag.number == number) else { return Ok(None) };
        let data = self.data.get(tag.offset..).ok_or_else(|| broken("a tag points behind its data"))?;
        Ok(Some((tag, data)))
    }

    /// Whether it has the tag.
    pub fn has(&self, number: u32) -> bool {
        self.tags.iter().any(|tag| tag.number == number)
    }

    /// The tag's texts, at most `most`; empty if the header lacks the tag.
    pub fn texts(&self, number: u32, most: usize) -> Result<Vec<&[u8]>, PackageError> {
        let Some((tag, mut rest)) = self.find(number)? else { return Ok(Vec::new()) };
        // One text, several, or a translated one.
        if !matches!(tag.kind, 6 | 8 | 9) {
            return Err(broken("a tag that should be text is not"));
        }
        let mut texts = Vec::new();
        for _ in 0..tag.count.min(most) {
            let end = memchr::memchr(0, rest).ok_or_else(|| broken("a text has no end"))?;
            texts.push(&rest[..end]);
            rest = &rest[end + 1..];
        }
        Ok(texts)
    }

    /// The tag's text, or the first of several.
    pub fn text(&self, number: u32) -> Result<Option<Cow<'_, str>>, PackageError> {
        Ok(self.texts(number, 1)?.first().map(|text| String::from_utf8_lossy(text)))
    }

    /// The tag's numbers, at most `most`; empty if the header lacks the tag.
    pub fn numbers(&self, number: u32, most: usize) -> Result<Vec<u64>, PackageError> {
        let Some((tag, data)) = self.find(number)? else { return Ok(Vec::new()) };
        let width = match tag.kind {
            3 => 2,
            4 => 4,
            5 => 8,
            _ => return Err(broken("a tag that should be numbers is not")),
        };
        let count = tag.count.min(most);
        let data = data.get(..count * width).ok_or_else(|| broken("a tag points behind its data"))?;
        let value = |bytes: &[u8]| bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        Ok(data.chunks_exact(width).map(value).collect())
    }
}

fn broken(why: &'static str) -> PackageError {
    damaged("header", why)
}

/// A number of four bytes.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

/// The next `length` bytes. Memory grows only as they arrive, because the length may be a lie.
fn exactly(rpm: &mut impl Read, length: u64) -> Result<Vec<u8>, PackageError> {
    let failed = |source| PackageError::Damaged { part: "header", source };
    let mut bytes = Vec::new();
    rpm.take(length).read_to_end(&mut bytes).map_err(failed)?;
    if (bytes.len() as u64) < length {
        return Err(failed(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(bytes)
}
