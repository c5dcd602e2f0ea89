//! Stores the files of a package.

use std::io;
use std::sync::mpsc;

use super::{CHANGELOGS, ImageFile, Kind, kind};
use crate::kernel::changelog::{self, Changelog};
use crate::kernel::compression::{self, Compression};
use crate::kernel::file_error::FileError;
use crate::kernel::pack::{PackWriter, Packed};
use crate::kernel::store::Store;

/// The most bytes of a compressed changelog; a Debian 12 kernel's has 1.3 MB.
const MAX_CHANGELOG: usize = 16 << 20;
/// The most changelogs: a package's own, and its source's.
const MAX_CHANGELOGS: usize = 2;

/// Stores files of a package as they arrive.
pub(super) struct Packer<'a> {
    store: &'a Store,
    pub images: Vec<ImageFile>,
    pub files: Vec<Packed>,
    /// Compressed, by path.
    changelogs: Vec<(String, Vec<u8>)>,
    pub pack: PackWriter,
}

impl<'a> Packer<'a> {
    pub(super) fn new(store: &'a Store) -> Result<Self, FileError> {
        let (images, files, changelogs) = Default::default();
        Ok(Self { store, images, files, changelogs, pack: PackWriter::new(store)? })
    }

    pub(super) fn keep_all(mut self, given: mpsc::Receiver<(String, Vec<u8>)>) -> Result<Self, FileError> {
        for (path, bytes) in given {
            self.keep(path, bytes)?;
        }
        Ok(self)
    }

    fn keep(&mut self, path: String, bytes: Vec<u8>) -> Result<(), FileError> {
        match kind(&path) {
            Some(Kind::Image) => {
                let (sha256, size) = (self.store.put(&bytes)?, bytes.len() as u64);
                self.images.push(ImageFile { path, sha256, size });
            }
            Some(Kind::Changelog) => {
                if self.changelogs.len() < MAX_CHANGELOGS && bytes.len() <= MAX_CHANGELOG {
                    self.changelogs.push((path, bytes));
                }
            }
            _ => {
                let plain = path.ends_with(".ko");
                let packed = self.pack.add(path, &bytes, plain);
                self.files.push(packed.map_err(|e| FileError::io("write to", self.store.folder(), e))?);
            }
        }
        Ok(())
    }

    /// The changelog of the package with this name. An unreadable one is ignored: it is not part of the kernel.
    pub(super) fn debian_changelog(&self, package: &str) -> Changelog {
        let own = CHANGELOGS.map(|name| format!("usr/share/doc/{package}/{name}"));
        let found = own.iter().find_map(|own| self.changelogs.iter().find(|(path, _)| path == own));
        let text = found.and_then(|(_, packed)| {
            compression::decompress(Compression::Gzip, packed, changelog::MAX_BYTES as u64).ok()
        });
        Changelog::of_debian(&String::from_utf8_lossy(&text.unwrap_or_default()))
    }

    pub(super) fn add_changelog(&mut self, changelog: &Changelog) -> Result<Option<Packed>, FileError> {
        if changelog.entries.is_empty() {
            return Ok(None);
        }
        let json = serde_json::to_vec(changelog).map_err(io::Error::from);
        let added = json.and_then(|json| self.pack.add("changelog".to_owned(), &json, true));
        added.map(Some).map_err(|e| FileError::io("write to", self.store.folder(), e))
    }
}
