use object::elf::{ELFCLASS64, ELFDATA2LSB};
use proptest::prelude::*;

use super::*;
use crate::kernel::fixtures::{bzimage, module};

/// A little-endian ELF with one PT_NOTE segment.
pub(in crate::kernel) fn elf(machine: u16, kind: u16, note_type: u32) -> Vec<u8> {
    let mut elf = vec![0x7f, b'E', b'L', b'F', ELFCLASS64.0, ELFDATA2LSB.0, 1];
    elf.resize(16, 0);
    elf.extend([kind.to_le_bytes(), machine.to_le_bytes()].concat());
    elf.extend(1_u32.to_le_bytes());
    elf.extend([0_u64, 64, 0].map(u64::to_le_bytes).concat());
    elf.extend([0_u16, 0, 64, 56, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    elf.resize(64, 0);
    elf.extend([4_u32, 4].map(u32::to_le_bytes).concat());
    elf.extend([120_u64, 0, 0, 24, 24, 4].map(u64::to_le_bytes).concat());
    elf.extend([4_u32, 8, note_type].map(u32::to_le_bytes).concat());
    elf.extend(b"Xen\0\0\0\0\x01\0\0\0\0");
    elf
}

#[test]
fn kernels_are_recognised_with_their_release() {
    let found = identify(&bzimage("6.1.0-56-cloud-amd64")[..]);
    assert_eq!(found, Ok(Image::BzImage { release: Some("6.1.0-56-cloud-amd64".to_owned()) }));
    assert_eq!(identify(&bzimage("garbage")[..]), Ok(Image::BzImage { release: None }));
    assert_eq!(identify(&elf(62, 2, 18)[..]), Ok(Image::Vmlinux));
}

#[test]
fn other_kinds_of_files_are_named() {
    let mut x86_32 = bzimage("4.19.0");
    x86_32[0x236] = 0;
    let mut arm64 = vec![0; 200];
    arm64[0x38..0x3c].copy_from_slice(b"ARM\x64");
    for (bytes, says) in [
        (vec![], "empty"),
        (b"just a text\n".to_vec(), "text file"),
        (x86_32, "32-bit x86"),
        (arm64, "arm64"),
        (elf(183, 2, 18), "arm64"),
        (elf(243, 2, 18), "riscv"),
        (elf(62, 2, 1), "PVH"),
        (module(b"name=tun\0"), "module"),
        (b"\x1f\x8b\x08\0".to_vec(), "gzip"),
        (b"!<arch>\ndebian-binary".to_vec(), "`deb:`"),
        (vec![0; 4096], "HdrS"),
    ] {
        let error = identify(&bytes[..]).unwrap_err().to_string();
        assert!(error.contains(says), "{says}: {error}");
    }
}

#[test]
fn cut_image_is_never_accepted() {
    let image = bzimage("6.1.0");
    // The build rounds the promised size up to 16 bytes.
    for length in 0..image.len() - 15 {
        assert!(identify(&image[..length]).is_err(), "{length}");
    }
    let error = identify(&image[..2000]).unwrap_err();
    assert_eq!(error, NotAnImage::Truncated { promised: 2560, present: 2000 });
    let elf = elf(62, 2, 18);
    assert!((0..elf.len()).all(|length| identify(&elf[..length]).is_err()));
}

#[test]
fn banner_is_found_across_the_border_of_two_pieces() {
    for before in [0, PIECE - 20, PIECE - 3, PIECE, 2 * PIECE - 8] {
        let mut file = vec![0; before];
        file.extend(b"Linux version %s\0Linux version 5.2.1-test (x@y) #1\0");
        file.resize(file.len() + 100, 0);
        assert_eq!(banner_release(&file[..]).unwrap().as_deref(), Some("5.2.1-test"), "{before}");
    }
    assert_eq!(banner_release(&b"Linux version 6.1"[..]).unwrap().as_deref(), Some("6.1"));
    assert_eq!(banner_release(&b"Linux"[..]).unwrap(), None);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..700), at in 0..2000usize, which in 0..3) {
        let mut image = match which { 0 => vec![], 1 => bzimage("6.1.0"), _ => elf(62, 2, 18) };
        let at = at.min(image.len());
        image.truncate((at + bytes.len()).max(image.len()));
        image.splice(at..(at + bytes.len()).min(image.len()), bytes);
        let _ = identify(&image[..]);
        let _ = banner_release(&image[..]);
    }
}
