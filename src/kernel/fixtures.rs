//! What several tests of this room make: packages, images, modules.

use std::io::Write;

use object::write::Object;
use object::{Architecture, BinaryFormat, Endianness, SectionKind};

/// A tar archive of regular files.
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

/// A tar archive with one entry whose name is written as it is, whatever it is.
pub fn tar_entry(path: &str, kind: tar::EntryType, bytes: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_entry_type(kind);
    if kind.is_symlink() || kind.is_hard_link() {
        header.set_link_name("/etc").unwrap();
    }
    header.set_cksum();
    let mut entry = header.as_bytes().to_vec();
    entry.extend(bytes);
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

/// An ar archive.
pub fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut ar = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        writeln!(ar, "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`", 0, 0, 0, "100644", bytes.len()).unwrap();
        ar.extend(*bytes);
        if bytes.len() % 2 == 1 {
            ar.push(b'\n');
        }
    }
    ar
}

pub const CONTROL: &str = "Package: linux-image-test\nVersion: 1.2-3\nArchitecture: amd64\n";

/// A package with this data.tar.
pub fn deb(data: &[u8]) -> Vec<u8> {
    let control = tar(&[("./control", CONTROL.as_bytes())]);
    ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control), ("data.tar", data)])
}

/// A bzImage's header and as much of a body as it promises.
pub fn bzimage(release: &str) -> Vec<u8> {
    let mut image = vec![0; 512 * 3 + 64 * 16];
    image[0x1f1] = 2;
    image[0x1f4..0x1f8].copy_from_slice(&64_u32.to_le_bytes());
    image[0x1fe..0x200].copy_from_slice(&0xaa55_u16.to_le_bytes());
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x206..0x208].copy_from_slice(&0x020f_u16.to_le_bytes());
    image[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
    image[0x236..0x238].copy_from_slice(&1_u16.to_le_bytes());
    let text = format!("{release} (someone@somewhere) #1 SMP\0");
    image[0x300..0x300 + text.len()].copy_from_slice(text.as_bytes());
    image
}

/// A module with this .modinfo.
pub fn module(modinfo: &[u8]) -> Vec<u8> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let section = object.add_section(Vec::new(), b".modinfo".to_vec(), SectionKind::ReadOnlyData);
    object.append_section_data(section, modinfo, 1);
    object.write().unwrap()
}
