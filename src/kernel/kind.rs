//! Tells what a file that a person names is, by its first bytes and never by its name.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// What a file is.
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

/// Bytes that tell: tar's magic comes last, at 257 (POSIX.1-1988, `ustar`).
const HEAD: usize = 512;

/// Tells by the first bytes of the file.
///
/// # Errors
/// Where they cannot be read.
pub fn file_kind(path: &Path) -> io::Result<FileKind> {
    // Opening a pipe would wait for whoever writes to it.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut head = Vec::with_capacity(HEAD);
    File::open(path)?.take(HEAD as u64 * 2).read_to_end(&mut head)?;
    Ok(kind(&head))
}

fn kind(head: &[u8]) -> FileKind {
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    if at(0, b"!<arch>\n") {
        FileKind::Deb
    } else if at(0, b"\xed\xab\xee\xdb") {
        FileKind::Rpm
    } else if at(0x202, b"HdrS") || at(0, b"\x7fELF") || at(0, b"MZ") {
        FileKind::Image
    } else if at(257, b"ustar")
        || [&b"\x1f\x8b"[..], b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"BZh"].iter().any(|magic| at(0, magic))
    {
        FileKind::Tarball
    } else {
        FileKind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_by_its_first_bytes() {
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
            (0, b"\x1f\x8b\x08", FileKind::Tarball),
            (0, b"\xfd7zXZ\0", FileKind::Tarball),
            (0, b"hello", FileKind::Other),
        ] {
            assert_eq!(kind(&with(offset, magic)), expected, "{magic:?}");
        }
        for length in 0..8 {
            assert_ne!(kind(&b"!<arch>\n"[..length]), FileKind::Deb, "{length} bytes tell nothing");
        }
    }
}
