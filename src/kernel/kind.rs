//! Recognises files by their first bytes, never by their names.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;

use super::compression::{self, Compression};

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A Debian package.
    Deb,
    /// An RPM package.
    Rpm,
    /// A kernel image, or something that starts like one.
    Image,
    /// A tarball, packed or not.
    Tarball,
    /// Something else.
    Other,
}

/// These bytes decide: tar's magic number is at 257 (POSIX.1-1988, `ustar`), x86's boot header at 0x202.
const HEAD: u64 = 1024;

/// Recognises a file by its first bytes; a compressed one by the first bytes of its content.
///
/// # Errors
/// If they cannot be read.
pub fn file_kind(path: &Path) -> io::Result<FileKind> {
    // Opening a pipe would wait for its writer.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut file = BufReader::new(File::open(path)?);
    let mut head = Vec::new();
    (&mut file).take(HEAD).read_to_end(&mut head)?;
    Ok(match Compression::of(&head) {
        None => kind(&head),
        Some(how) => match compression::reader(how, Cursor::new(head).chain(file), HEAD * 64) {
            Ok(unpacked) => packed(unpacked),
            Err(_) => FileKind::Tarball,
        },
    })
}

/// The kind of a compressed file: a kernel, or else presumably a tarball, whose reader reports errors.
fn packed(unpacked: impl Read) -> FileKind {
    let mut head = Vec::new();
    // The real reader reports errors after the first bytes.
    let _ = unpacked.take(HEAD).read_to_end(&mut head);
    match kind(&head) {
        FileKind::Image => FileKind::Image,
        _ => FileKind::Tarball,
    }
}

fn kind(head: &[u8]) -> FileKind {
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    if at(0, b"!<arch>\n") {
        FileKind::Deb
    } else if at(0, b"\xed\xab\xee\xdb") {
        FileKind::Rpm
    } else if at(257, b"ustar") {
        FileKind::Tarball
    } else if IMAGES.iter().any(|(offset, magic)| at(*offset, magic)) {
        FileKind::Image
    } else {
        FileKind::Other
    }
}

/// The magic numbers of kernels: x86's boot header, ELF, EFI, arm64's Image and arm's zImage (Documentation/arch/), and
/// lz4's old frame, because only kernels are packed with it.
const IMAGES: [(usize, &[u8]); 6] = [
    (0x202, b"HdrS"),
    (0, b"\x7fELF"),
    (0, b"MZ"),
    (0x38, b"ARM\x64"),
    (0x24, b"\x18\x28\x6f\x01"),
    (0, b"\x02\x21\x4c\x18"),
];

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::kernel::fixtures::{bzimage, tar};

    #[test]
    fn file_kind_is_read_from_the_first_bytes() {
        let with = |offset: usize, magic: &[u8]| {
            let mut head = vec![0; 1024];
            head.splice(offset..offset + magic.len(), magic.iter().copied());
            head
        };
        for (offset, magic, expected) in [
            (0, &b"!<arch>\n"[..], FileKind::Deb),
            (0, b"\xed\xab\xee\xdb\x03", FileKind::Rpm),
            (0x202, b"HdrS", FileKind::Image),
            (0, b"\x7fELF\x02", FileKind::Image),
            (257, b"ustar\x0000", FileKind::Tarball),
            (0x38, b"ARM\x64", FileKind::Image),
            (0x24, b"\x18\x28\x6f\x01", FileKind::Image),
            (0, b"hello", FileKind::Other),
        ] {
            assert_eq!(kind(&with(offset, magic)), expected, "{magic:?}");
        }
        for length in 0..8 {
            assert_ne!(kind(&b"!<arch>\n"[..length]), FileKind::Deb, "{length} bytes tell nothing");
        }
    }

    #[test]
    fn packed_file_kind_is_read_from_its_content() {
        let gzip = |bytes: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        let bzip2 = |bytes: &[u8]| {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        type Pack<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;
        let packers: [Pack; 4] = [&gzip, &bzip2, &|bytes| liblzma::encode_all(bytes, 1).unwrap(), &|bytes| {
            zstd::encode_all(bytes, 1).unwrap()
        }];
        // More than one of zstd's blocks, and incompressible data.
        let mut long = b"\x7fELF".to_vec();
        long.extend((0..300_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()));
        let arm64 = [&[0; 0x38][..], b"ARM\x64", &[0; 100]].concat();
        let tarball = tar(&[("linux/Makefile", b"VERSION = 6")]);
        let told = |bytes: &[u8]| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(bytes).unwrap();
            file_kind(file.path()).unwrap()
        };
        for pack in packers {
            assert_eq!(told(&pack(&long)), FileKind::Image);
            assert_eq!(told(&pack(&bzimage("6.1.0"))), FileKind::Image);
            assert_eq!(told(&pack(&arm64)), FileKind::Image);
            assert_eq!(told(&pack(&tarball)), FileKind::Tarball);
            // The reader of tarballs reports these.
            assert_eq!(told(&pack(b"hello")), FileKind::Tarball);
            let packed = pack(&long);
            for length in [6, 12] {
                assert_eq!(told(&packed[..length]), FileKind::Tarball, "cut to {length}");
            }
        }
    }
}
