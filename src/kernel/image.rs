//! Recognises an image file as an x86-64 kernel that QEMU can boot, or says why it is not one.

use std::io::{self, Read};

use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, ReadRef};

/// The image of a built tree, below it (arch/x86/boot/Makefile).
pub const BUILT_IMAGE: &str = "arch/x86/boot/bzImage";

/// An image that QEMU's `-kernel` boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// A bzImage, with the release from its setup header (Documentation/arch/x86/boot.rst, `kernel_version`).
    BzImage {
        /// `uname -r`, if the header has it.
        release: Option<String>,
    },
    /// An ELF vmlinux with a PVH entry point.
    Vmlinux,
}

/// Why a file is not a bootable image. Reads well after "expected an x86-64 kernel image, found ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnImage {
    /// It is empty.
    #[error("an empty file")]
    Empty,
    /// It is readable text.
    #[error("a text file")]
    Text,
    /// A kernel for another processor.
    #[error("a kernel for {0}")]
    OtherArchitecture(String),
    /// It ends early.
    #[error("a truncated one: its header promises {promised} bytes, the file has {present}")]
    Truncated {
        /// Bytes that the header promises.
        promised: u64,
        /// Bytes that the file has.
        present: u64,
    },
    /// An ELF kernel without the note that QEMU needs.
    #[error(
        "an ELF file without a PVH entry (XEN_ELFNOTE_PHYS32_ENTRY), which QEMU cannot boot; give the bzImage of the same \
         build (from Linux 5.0 on, CONFIG_PVH=y makes a vmlinux bootable too)"
    )]
    NoPvh,
    /// Something else that has a name.
    #[error("{0}")]
    Other(&'static str),
}

/// The offsets of the boot sector's fields (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header").
mod at {
    pub const SETUP_SECTS: u64 = 0x1f1;
    pub const SYSSIZE: u64 = 0x1f4;
    pub const HEADER: u64 = 0x202;
    pub const VERSION: u64 = 0x206;
    pub const KERNEL_VERSION: u64 = 0x20e;
    pub const XLOADFLAGS: u64 = 0x236;
}

/// From this boot protocol on, `xloadflags` exists (Linux 3.8).
const PROTOCOL_WITH_XLOADFLAGS: u16 = 0x020c;

/// `xloadflags` bit 0: the kernel has the 64-bit entry point, so it is a 64-bit kernel.
const XLF_KERNEL_64: u16 = 1;

/// A vmlinux is searched in pieces of this many bytes.
const PIECE: usize = 1 << 20;

/// The note with the PVH entry point (xen/interface/elfnote.h), by which QEMU boots an ELF kernel.
const XEN_ELFNOTE_PHYS32_ENTRY: elf::NoteType = elf::NoteType(18);

/// Recognises the image in `data`.
///
/// # Errors
/// If it is not an x86-64 kernel that QEMU boots.
pub fn identify<'a, R: ReadRef<'a>>(data: R) -> Result<Image, NotAnImage> {
    let length = data.len().map_err(|()| NotAnImage::Other("a file that cannot be read"))?;
    let head = data.read_bytes_at(0, length.min(4096)).map_err(|()| NotAnImage::Other("a file that cannot be read"))?;
    if bytes::<R, 4>(data, at::HEADER) == Some(*b"HdrS") {
        return bzimage(data, length);
    }
    match head {
        [] => Err(NotAnImage::Empty),
        [0x7f, b'E', b'L', b'F', ..] => vmlinux(data, length, head),
        _ if head.get(0x38..0x3c) == Some(b"ARM\x64") => Err(NotAnImage::OtherArchitecture("arm64".to_owned())),
        _ if head.get(0x24..0x28) == Some(&[0x18, 0x28, 0x6f, 0x01]) => {
            Err(NotAnImage::OtherArchitecture("arm".to_owned()))
        }
        [0x1f, 0x8b, ..] => Err(NotAnImage::Other("a gzip file; unpack it, or give the bzImage")),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Err(NotAnImage::Other("an xz file; unpack it")),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Err(NotAnImage::Other("a zstd file; unpack it")),
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => {
            Err(NotAnImage::Other("an archive; if it is a Debian package, name it under `deb:`"))
        }
        [0xed, 0xab, 0xee, 0xdb, ..] => Err(NotAnImage::Other("an RPM package")),
        [b'M', b'Z', ..] => Err(NotAnImage::Other("an EFI program without an x86 boot header")),
        _ if head.iter().all(|b| matches!(b, b'\t' | b'\n' | b'\r' | 0x1b | b' '..=b'~' | 0x80..)) => {
            Err(NotAnImage::Text)
        }
        _ => Err(NotAnImage::Other("a file with neither an x86 boot header (HdrS) nor an ELF header")),
    }
}

fn bzimage<'a, R: ReadRef<'a>>(data: R, length: u64) -> Result<Image, NotAnImage> {
    let cut = |promised| NotAnImage::Truncated { promised, present: length };
    let field16 = |offset| bytes::<R, 2>(data, offset).map(u16::from_le_bytes);
    let version = field16(at::VERSION).ok_or(cut(at::VERSION + 2))?;
    if version >= PROTOCOL_WITH_XLOADFLAGS {
        let flags = field16(at::XLOADFLAGS).ok_or(cut(at::XLOADFLAGS + 2))?;
        if flags & XLF_KERNEL_64 == 0 {
            return Err(NotAnImage::OtherArchitecture("32-bit x86".to_owned()));
        }
    }
    let [sectors] = bytes::<R, 1>(data, at::SETUP_SECTS).ok_or(cut(at::HEADER))?;
    let paragraphs = bytes::<R, 4>(data, at::SYSSIZE).map(u32::from_le_bytes).ok_or(cut(at::HEADER))?;
    // "If setup_sects contains 0, the real value is 4"; the boot sector comes before them; syssize counts 16 bytes.
    let setup = (u64::from(if sectors == 0 { 4 } else { sectors }) + 1) * 512;
    let promised = setup + u64::from(paragraphs) * 16;
    // Signing tools add padding, and the build rounds syssize up to a paragraph.
    if length + 15 < promised {
        return Err(cut(promised));
    }
    let pointer = field16(at::KERNEL_VERSION).unwrap_or(0);
    let release = (pointer != 0).then(|| release_at(data, u64::from(pointer) + 0x200, length)).flatten();
    Ok(Image::BzImage { release })
}

/// The first word of the version text ("6.1.0 (user@host) #1 SMP …"), if it looks like a release.
fn release_at<'a, R: ReadRef<'a>>(data: R, offset: u64, length: u64) -> Option<String> {
    let text = data.read_bytes_at(offset, length.checked_sub(offset)?.min(256)).ok()?;
    as_release(text)
}

/// The release that starts `text`: up to a space or NUL, at most 64 bytes as in `struct new_utsname`.
pub(crate) fn as_release(text: &[u8]) -> Option<String> {
    let word = text.split(|&b| b == b' ' || b == 0 || b == b'\n').next()?;
    let good = (1..=64).contains(&word.len())
        && word[0].is_ascii_digit()
        && word.iter().all(|&b| b.is_ascii_alphanumeric() || b"._+-~".contains(&b));
    good.then(|| String::from_utf8_lossy(word).into_owned())
}

/// The release in a vmlinux, from the kernel's banner, `Linux version …` (init/version.c).
pub(super) fn banner_release(mut file: impl Read) -> io::Result<Option<String>> {
    const BANNER: &[u8] = b"Linux version ";
    // Pieces overlap, so a banner across their border is found, too.
    const OVERLAP: usize = BANNER.len() + 65;
    let mut window = Vec::with_capacity(2 * PIECE);
    loop {
        let before = window.len();
        (&mut file).take(PIECE as u64).read_to_end(&mut window)?;
        let last = window.len() == before;
        let starts = window.iter().enumerate().filter(|(_, b)| **b == BANNER[0]).map(|(at, _)| at);
        for at in starts {
            let text = &window[at..];
            let whole = last || text.len() >= OVERLAP;
            if let Some(release) = text.strip_prefix(BANNER).filter(|_| whole).and_then(as_release) {
                return Ok(Some(release));
            }
        }
        if last {
            return Ok(None);
        }
        window.drain(..window.len().saturating_sub(OVERLAP));
    }
}

fn vmlinux<'a, R: ReadRef<'a>>(data: R, length: u64, head: &[u8]) -> Result<Image, NotAnImage> {
    let broken = NotAnImage::Other("an ELF file with a broken header");
    // The machine's field has the same offset for all classes and byte orders.
    let machine = match (head.get(5).map(|&d| elf::DataEncoding(d)), head.get(18..20)) {
        (Some(elf::ELFDATA2LSB), Some(&[a, b])) => u16::from_le_bytes([a, b]),
        (Some(elf::ELFDATA2MSB), Some(&[a, b])) => u16::from_be_bytes([a, b]),
        _ => return Err(broken),
    };
    if machine != elf::EM_X86_64.0 {
        return Err(NotAnImage::OtherArchitecture(machine_name(machine)));
    }
    let header = elf::FileHeader64::<Endianness>::parse(data).map_err(|_| broken.clone())?;
    let endian = header.endian().map_err(|_| broken.clone())?;
    if header.e_type(endian) == elf::ET_REL {
        return Err(NotAnImage::Other("an object file or module, not a kernel"));
    }
    let segments = header
        .program_headers(endian, data)
        .map_err(|_| NotAnImage::Truncated { promised: header.e_phoff(endian), present: length })?;
    let end = |s: &elf::ProgramHeader64<Endianness>| s.p_offset(endian).saturating_add(s.p_filesz(endian));
    if let Some(promised) = segments.iter().map(end).max().filter(|&promised| promised > length) {
        return Err(NotAnImage::Truncated { promised, present: length });
    }
    for segment in segments {
        let Ok(Some(mut notes)) = segment.notes(endian, data) else { continue };
        while let Ok(Some(note)) = notes.next() {
            if note.name() == b"Xen" && note.n_type(endian) == XEN_ELFNOTE_PHYS32_ENTRY {
                return Ok(Image::Vmlinux);
            }
        }
    }
    Err(if segments.is_empty() { NotAnImage::Other("an ELF file without anything to load") } else { NotAnImage::NoPvh })
}

fn machine_name(machine: u16) -> String {
    match elf::Machine(machine) {
        elf::EM_386 => "32-bit x86".to_owned(),
        elf::EM_AARCH64 => "arm64".to_owned(),
        elf::EM_ARM => "arm".to_owned(),
        elf::EM_RISCV => "riscv".to_owned(),
        elf::EM_PPC64 => "powerpc64".to_owned(),
        elf::EM_S390 => "s390".to_owned(),
        elf::EM_MIPS => "mips".to_owned(),
        elf::EM_LOONGARCH => "loongarch".to_owned(),
        other => format!("another processor (ELF machine {})", other.0),
    }
}

fn bytes<'a, R: ReadRef<'a>, const N: usize>(data: R, offset: u64) -> Option<[u8; N]> {
    data.read_bytes_at(offset, N as u64).ok()?.try_into().ok()
}

#[cfg(test)]
#[path = "image_tests.rs"]
pub(super) mod tests;
