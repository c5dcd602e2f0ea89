//! Packages, images and modules for several tests of this room.

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

/// A tar archive with one entry of this name, which may be hostile.
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

/// A bzImage with a header, and a body of the promised length.
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

/// The value of a tag in an RPM header.
#[derive(Clone)]
pub enum RpmValue {
    Text(String),
    Texts(Vec<String>),
    Numbers(Vec<u32>),
}

impl RpmValue {
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub fn texts(texts: &[&str]) -> Self {
        Self::Texts(texts.iter().map(|text| (*text).to_owned()).collect())
    }
}

/// An RPM header with these tags.
pub fn rpm_header(tags: &[(u32, RpmValue)]) -> Vec<u8> {
    let (mut index, mut data) = (Vec::new(), Vec::new());
    for (tag, item) in tags {
        data.resize(if matches!(item, RpmValue::Numbers(_)) { data.len().next_multiple_of(4) } else { data.len() }, 0);
        let offset = data.len();
        let (kind, count) = match item {
            RpmValue::Text(text) => {
                data.extend([text.as_bytes(), b"\0"].concat());
                (6, 1)
            }
            RpmValue::Texts(texts) => {
                texts.iter().for_each(|text| data.extend([text.as_bytes(), b"\0"].concat()));
                (8, texts.len())
            }
            RpmValue::Numbers(numbers) => {
                numbers.iter().for_each(|number| data.extend(number.to_be_bytes()));
                (4, numbers.len())
            }
        };
        for field in [*tag, kind, offset as u32, count as u32] {
            index.extend(field.to_be_bytes());
        }
    }
    let counts = [tags.len() as u32, data.len() as u32].map(u32::to_be_bytes).concat();
    [b"\x8e\xad\xe8\x01\0\0\0\0".as_slice(), &counts, &index, &data].concat()
}

/// The tags of a kernel package: name, version, release, architecture, source package, and the payload's compression.
pub fn rpm_tags(name: &str, compressor: &str) -> Vec<(u32, RpmValue)> {
    let texts = [
        (1000, name),
        (1001, "5.14.0"),
        (1002, "427.el9_4"),
        (1022, "x86_64"),
        (1044, "kernel.src.rpm"),
        (1125, compressor),
    ];
    texts.map(|(tag, text)| (tag, RpmValue::text(text))).to_vec()
}

/// An RPM package with this header and payload. Its signature has the header's sha256.
pub fn rpm(tags: &[(u32, RpmValue)], payload: &[u8]) -> Vec<u8> {
    let mut lead = vec![0; 96];
    lead[..8].copy_from_slice(b"\xed\xab\xee\xdb\x03\0\0\0");
    let header = rpm_header(tags);
    let mut signature = rpm_header(&[(273, RpmValue::Text(sha256(&header)))]);
    signature.resize(signature.len().next_multiple_of(8), 0);
    [lead, signature, header, payload.to_vec()].concat()
}

/// The sha256 of `bytes`, in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    <sha2::Sha256 as sha2::Digest>::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An entry of a cpio archive.
pub fn cpio_entry(name: &str, mode: u32, (inode, links): (u32, u32), bytes: &[u8]) -> Vec<u8> {
    let builder = cpio::newc::Builder::new(name).mode(mode).ino(inode).nlink(links);
    let mut writer = builder.write(Vec::new(), bytes.len() as u32);
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// A cpio archive of these entries.
pub fn cpio(entries: &[Vec<u8>]) -> Vec<u8> {
    cpio::newc::trailer(entries.concat()).unwrap()
}
