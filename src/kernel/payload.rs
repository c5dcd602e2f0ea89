//! Extracts the kernel itself, an ELF vmlinux, from an image file.
//!
//! A bzImage's header gives the place of its payload (Documentation/arch/x86/boot.rst, `payload_offset` and
//! `payload_length`). The payload is the vmlinux, packed by one of the compressors of scripts/Makefile.lib. Its last
//! four bytes are the unpacked size, from gzip or from the build's `size_append`.

use std::borrow::Cow;
use std::io::{self, Read};

use liblzma::stream::Stream;

use super::compression::{self, XZ_MEMORY};
use super::image::{Image, NotAnImage, identify};

/// The largest vmlinux, in bytes: x86-64's code model addresses 2 GiB, and an allyesconfig has a quarter of that.
pub(crate) const LARGEST_VMLINUX: u64 = 512 << 20;

/// Why a file has no vmlinux.
#[derive(Debug, thiserror::Error)]
pub enum NoVmlinux {
    /// It is not a kernel image.
    #[error("expected an x86-64 kernel image, found {0}")]
    NotAnImage(#[from] NotAnImage),
    /// Its boot protocol is older than Linux 2.6.26.
    #[error("the image's boot protocol {}.{:02} is older than 2.08, the first that says where its kernel is", .0 >> 8, .0 & 0xff)]
    OldProtocol(u16),
    /// The payload is not inside the file.
    #[error("the image's header puts its kernel at bytes {start} to {end}, the file has {present}")]
    Outside {
        /// Its first byte.
        start: u64,
        /// The byte after its last.
        end: u64,
        /// Bytes that the file has.
        present: u64,
    },
    /// A compressor that is not supported.
    #[error("the kernel in the image is packed with {0}, which is not supported; unpack it and give the vmlinux")]
    Unsupported(&'static str),
    /// The magic number of no known compressor.
    #[error("the kernel in the image starts with the bytes {0:02x?}, which no known compressor writes")]
    UnknownFormat([u8; 4]),
    /// It promises more bytes than any kernel has.
    #[error("the kernel in the image would unpack to {0} bytes, larger than any kernel")]
    TooLarge(u64),
    /// It does not unpack.
    #[error("the kernel in the image, packed with {how}, does not unpack: {error}")]
    Broken {
        /// The compressor.
        how: &'static str,
        /// The error.
        error: io::Error,
    },
    /// It unpacks to another size than promised.
    #[error("the kernel in the image unpacks to {found} bytes instead of the promised {promised}")]
    WrongSize {
        /// Unpacked bytes; if there are too many, one more than promised.
        found: u64,
        /// Bytes that the image promises.
        promised: u64,
    },
    /// The content is something else.
    #[error("the kernel in the image is not an ELF file")]
    NotElf,
}

/// The kernel's compressors (init/Kconfig, `KERNEL_GZIP` and its neighbours).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packer {
    Gzip,
    Bzip2,
    Lzma,
    Xz,
    Lz4,
    Zstd,
}

impl Packer {
    /// By the magic numbers of lib/decompress.c.
    fn of(head: &[u8]) -> Result<Self, NoVmlinux> {
        Ok(match head {
            [0x1f, 0x8b, ..] | [0x1f, 0x9e, ..] => Self::Gzip,
            [0x42, 0x5a, ..] => Self::Bzip2,
            [0x5d, 0x00, ..] => Self::Lzma,
            [0xfd, 0x37, ..] => Self::Xz,
            [0x02, 0x21, 0x4c, 0x18, ..] => Self::Lz4,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0x89, b'L', ..] => return Err(NoVmlinux::Unsupported("lzo")),
            [a, b, c, d, ..] => return Err(NoVmlinux::UnknownFormat([*a, *b, *c, *d])),
            _ => return Err(NoVmlinux::NotElf),
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Lzma => "lzma",
            Self::Xz => "xz",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Unpacks one stream; never more than `limit` bytes.
    fn unpack(self, packed: &[u8], limit: u64) -> io::Result<Vec<u8>> {
        let all = |from: &mut dyn Read| {
            let mut bytes = Vec::new();
            from.take(limit).read_to_end(&mut bytes).map(|_| bytes)
        };
        match self {
            Self::Gzip => all(&mut flate2::read::GzDecoder::new(packed)),
            Self::Bzip2 => all(&mut bzip2::read::BzDecoder::new(packed)),
            Self::Lzma => all(&mut liblzma::read::XzDecoder::new_stream(packed, Stream::new_lzma_decoder(XZ_MEMORY)?)),
            Self::Xz => {
                all(&mut liblzma::read::XzDecoder::new_stream(packed, Stream::new_stream_decoder(XZ_MEMORY, 0)?))
            }
            // In one go, because a stream decoder would need a window of 128 MiB more.
            Self::Zstd => zstd::bulk::decompress(packed, usize::try_from(limit).map_err(io::Error::other)?),
            Self::Lz4 => lz4_legacy(packed, limit),
        }
    }
}

/// lz4's old frame (`lz4 -l`, lib/decompress_unlz4.c): the magic number, then blocks of at most 8 MiB, each after its
/// packed size.
fn lz4_legacy(packed: &[u8], limit: u64) -> io::Result<Vec<u8>> {
    const MAGIC: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];
    const BLOCK: usize = 8 << 20;
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let mut unpacked = Vec::new();
    let mut block = vec![0; BLOCK];
    let mut rest = packed.strip_prefix(&MAGIC).ok_or_else(cut)?;
    while let Some((size, after)) = rest.split_first_chunk() {
        rest = after;
        if *size == MAGIC {
            continue;
        }
        let size = u32::from_le_bytes(*size) as usize;
        if size == 0 {
            break;
        }
        let (piece, after) = rest.split_at_checked(size).ok_or_else(cut)?;
        let length = lz4_flex::block::decompress_into(piece, &mut block).map_err(io::Error::other)?;
        let room = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(unpacked.len());
        unpacked.extend_from_slice(&block[..length.min(room)]);
        if length >= room {
            break;
        }
        rest = after;
    }
    Ok(unpacked)
}

/// The vmlinux in an image file: a bzImage, a vmlinux, or a compressed vmlinux. The ELF file may be truncated, or not
/// be a kernel.
///
/// # Errors
/// See [`NoVmlinux`].
pub(crate) fn vmlinux(file: &[u8]) -> Result<Cow<'_, [u8]>, NoVmlinux> {
    match identify(file) {
        Ok(Image::BzImage { .. }) => from_bzimage(file),
        Ok(Image::Vmlinux) | Err(NotAnImage::NoPvh) => Ok(Cow::Borrowed(file)),
        Err(NotAnImage::Empty) => Err(NotAnImage::Empty.into()),
        // A compressed vmlinux; for other compressors, `identify` has already given the reason.
        Err(what) => {
            let Ok(packer) = Packer::of(file) else { return Err(what.into()) };
            let limit = compression::bound(file.len() as u64).min(LARGEST_VMLINUX);
            let bytes =
                packer.unpack(file, limit + 1).map_err(|error| NoVmlinux::Broken { how: packer.name(), error })?;
            if bytes.len() as u64 > limit {
                return Err(NoVmlinux::TooLarge(bytes.len() as u64));
            }
            match identify(&*bytes) {
                // `vmlinuz.gz`: packed twice.
                Ok(Image::BzImage { .. }) => from_bzimage(&bytes).map(|vmlinux| Cow::Owned(vmlinux.into_owned())),
                Err(other @ NotAnImage::OtherArchitecture(_)) => Err(other.into()),
                _ => elf(bytes).map_err(|_| what.into()),
            }
        }
    }
}

fn from_bzimage(file: &[u8]) -> Result<Cow<'_, [u8]>, NoVmlinux> {
    let short = || NotAnImage::Truncated { promised: 0x250, present: file.len() as u64 };
    let field = |at: usize| file.get(at..at + 4).and_then(|b| b.first_chunk()).copied().map(u32::from_le_bytes);
    let version = field(0x206).ok_or_else(short)? as u16;
    if version < 0x0208 {
        return Err(NoVmlinux::OldProtocol(version));
    }
    // "If setup_sects contains 0, the real value is 4"; the boot sector comes before them.
    let sectors = match *file.get(0x1f1).ok_or_else(short)? {
        0 => 4,
        sectors => u64::from(sectors),
    };
    let start = (sectors + 1) * 512 + u64::from(field(0x248).ok_or_else(short)?);
    let end = start + u64::from(field(0x24c).ok_or_else(short)?);
    let outside = NoVmlinux::Outside { start, end, present: file.len() as u64 };
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    let Some(payload) = range.and_then(|(start, end)| file.get(start..end)) else { return Err(outside) };
    if payload.starts_with(b"\x7fELF") {
        return Ok(Cow::Borrowed(payload));
    }
    let packer = Packer::of(payload)?;
    let Some((stream, size)) = payload.split_last_chunk::<4>() else { return Err(outside) };
    let promised = u64::from(u32::from_le_bytes(*size));
    if promised > compression::bound(payload.len() as u64).min(LARGEST_VMLINUX) {
        return Err(NoVmlinux::TooLarge(promised));
    }
    // In gzip's case the size is part of the stream.
    let stream = if packer == Packer::Gzip { payload } else { stream };
    let bytes = packer.unpack(stream, promised + 1).map_err(|error| NoVmlinux::Broken { how: packer.name(), error })?;
    if bytes.len() as u64 != promised {
        return Err(NoVmlinux::WrongSize { found: bytes.len() as u64, promised });
    }
    elf(bytes)
}

fn elf(bytes: Vec<u8>) -> Result<Cow<'static, [u8]>, NoVmlinux> {
    if bytes.starts_with(b"\x7fELF") { Ok(Cow::Owned(bytes)) } else { Err(NoVmlinux::NotElf) }
}

#[cfg(test)]
#[path = "payload_tests.rs"]
pub(super) mod tests;
