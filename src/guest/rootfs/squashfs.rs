//! Writes a rootfs as a squashfs image: the same bytes for the same files, whenever and wherever it is made.

use std::io::Cursor;

use backhand::compression::{CompressionOptions, Compressor, Gzip};
use backhand::{BackhandError, FilesystemCompressor, FilesystemWriter, NodeHeader};

use super::{INITRAMFS_MAX, Rootfs, RootfsEntry};

/// Images end at a multiple of this, because a guest maps them by whole pages of 2 MiB (`SUBSECTION_SIZE` of the kernel's
/// include/linux/mmzone.h).
const ALIGN: usize = 2 << 20;

/// zlib is squashfs's own default. At level 0 nothing is compressed: the image lies in memory anyway, and an emulated
/// processor takes long to unpack it.
const STORED: Gzip = Gzip { compression_level: 0, window_size: 15, strategies: 0 };

/// The longest target of a link that backhand writes, in bytes.
const LINK_MAX: usize = 255;

impl Rootfs {
    /// Its image.
    ///
    /// # Errors
    /// What squashfs cannot hold.
    pub(in crate::guest) fn squashfs(&self) -> Result<Vec<u8>, String> {
        let mut image = Vec::with_capacity(self.size() + self.size() / 16 + ALIGN);
        self.write(&mut image)?;
        image.resize(image.len().next_multiple_of(ALIGN), 0);
        Ok(image)
    }

    fn write(&self, image: &mut Vec<u8>) -> Result<(), String> {
        let failed = |error: BackhandError| format!("its rootfs cannot be a squashfs image: {error}");
        let mut writer = FilesystemWriter::default();
        let stored = FilesystemCompressor::new(Compressor::Gzip, Some(CompressionOptions::Gzip(STORED)));
        writer.set_compressor(stored.map_err(failed)?);
        writer.set_emit_compression_options(false);
        writer.set_no_padding();
        writer.set_root_mode(0o755);
        for (path, entry) in &self.entries {
            let header =
                |mode: u32| NodeHeader { permissions: u16::try_from(mode).unwrap_or(0o755), ..NodeHeader::default() };
            match entry {
                RootfsEntry::Folder { mode } => writer.push_dir(path, header(*mode)).map_err(failed)?,
                RootfsEntry::File { mode, bytes } => {
                    writer.push_file(bytes.as_slice(), path, header(*mode)).map_err(failed)?;
                }
                RootfsEntry::Link { target } if target.len() > LINK_MAX => {
                    return Err(format!(
                        "the link {path} in its rootfs has a target of {} bytes: above {} MiB, a rootfs can have {LINK_MAX}",
                        target.len(),
                        INITRAMFS_MAX >> 20
                    ));
                }
                RootfsEntry::Link { target } => writer.push_symlink(target, path, header(0o777)).map_err(failed)?,
            }
        }
        writer.write(Cursor::new(image)).map_err(failed)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use backhand::{FilesystemReader, InnerNode};

    use super::*;

    #[test]
    fn link_that_no_image_can_hold_is_rejected() {
        let with = |length: usize| {
            let mut rootfs = Rootfs::default();
            rootfs.insert("link".to_owned(), RootfsEntry::Link { target: "x".repeat(length) }).expect("a link");
            rootfs.squashfs()
        };
        assert!(with(LINK_MAX).is_ok());
        assert!(
            with(LINK_MAX + 1).is_err_and(|why| why.contains("the link link in its rootfs has a target of 256 bytes"))
        );
    }

    #[test]
    fn squashfs_image_holds_the_files_of_a_rootfs() {
        let mut rootfs = Rootfs::default();
        let large: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        for (path, entry) in [
            ("usr", RootfsEntry::Folder { mode: 0o700 }),
            ("usr/large", RootfsEntry::File { mode: 0o4755, bytes: large.clone() }),
            ("usr/empty", RootfsEntry::File { mode: 0o644, bytes: Vec::new() }),
            ("bin", RootfsEntry::Link { target: "usr/bin".to_owned() }),
        ] {
            rootfs.insert(path.to_owned(), entry).expect("an entry");
        }
        let image = rootfs.squashfs().expect("an image");
        assert_eq!(image, rootfs.squashfs().expect("an image"), "the same bytes");
        assert!(image.len().is_multiple_of(ALIGN) && image.starts_with(b"hsqs"));
        let read = FilesystemReader::from_reader(Cursor::new(image)).expect("a file system");
        let mut found = Vec::new();
        for node in read.files() {
            let path = node.fullpath.to_str().expect("UTF-8").to_owned();
            let content = match &node.inner {
                InnerNode::File(file) => {
                    let mut bytes = Vec::new();
                    read.file(file).reader().read_to_end(&mut bytes).expect("its content");
                    bytes
                }
                InnerNode::Symlink(link) => link.link.to_str().expect("UTF-8").as_bytes().to_vec(),
                _ => Vec::new(),
            };
            found.push((path, node.header.permissions, content));
        }
        found.sort();
        let expected = [
            ("/", 0o755, Vec::new()),
            ("/bin", 0o777, b"usr/bin".to_vec()),
            ("/usr", 0o700, Vec::new()),
            ("/usr/empty", 0o644, Vec::new()),
            ("/usr/large", 0o4755, large),
        ];
        assert_eq!(found, expected.map(|(path, mode, content)| (path.to_owned(), mode, content)));
    }
}
