//! Takes a package apart, once: its image, configuration and modules go into the store, and a record says where.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::compression::{self, Compression};
use super::deb::{self, Control, DebError, ReadError};
use super::error::ObtainError;
use super::kind::{FileKind, file_kind};
use super::modules;
use super::store::{self, Store};
use super::tarball;

/// Changes whenever older records must not be used any more.
const FORMAT: u32 = 1;

/// zstd's fastest ordinary level: plain modules shrink to a third in a tenth of the time that reading them takes.
const ZSTD_LEVEL: i32 = 1;

/// What was taken out of one package file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Package {
    format: u32,
    pub package: String,
    pub version: String,
    /// sha256 of the package file.
    pub file_sha256: String,
    /// Its length; older records don't have it.
    #[serde(default)]
    pub file_size: Option<u64>,
    /// Kernel images, each a blob.
    pub images: Vec<ImageFile>,
    /// The blob that holds `files` one after another.
    pack: Option<Pack>,
    pub files: Vec<Packed>,
}

/// A kernel image in a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ImageFile {
    pub path: String,
    pub sha256: String,
    pub size: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pack {
    sha256: String,
    size: u64,
}

/// A configuration, list or module in a package's pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Packed {
    /// Its path in the package.
    pub path: String,
    offset: u64,
    stored: u64,
    size: u64,
    zstd: bool,
    /// sha256 of the stored bytes.
    sha256: String,
}

/// What a path in a package is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Image,
    Config,
    Modules,
}

fn kind(path: &str) -> Option<Kind> {
    if let Some(file) = path.strip_prefix("boot/") {
        return match file {
            _ if file.contains('/') => None,
            _ if file.starts_with("vmlinuz-") => Some(Kind::Image),
            _ if file.starts_with("config-") => Some(Kind::Config),
            _ => None,
        };
    }
    let (_, below) = in_modules_folder(path)?;
    match below {
        "vmlinuz" => Some(Kind::Image),
        "config" => Some(Kind::Config),
        "modules.builtin" => Some(Kind::Modules),
        _ => modules::name_of_file(below).map(|_| Kind::Modules),
    }
}

/// Splits `lib/modules/<release>/…` (or below usr/) into the release and the rest.
pub(super) fn in_modules_folder(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("usr/").unwrap_or(path).strip_prefix("lib/modules/")?.split_once('/')
}

impl Package {
    /// The record of the package file with this sha256, if everything that it names is there.
    pub(super) fn recorded(store: &Store, sha256: &str) -> Option<Self> {
        let whole = |package: &Self| {
            package.format == FORMAT
                && package.file_sha256 == sha256
                && package.images.iter().all(|i| store.holds(&i.sha256, i.size))
                && package.pack.iter().all(|p| store.holds(&p.sha256, p.size))
        };
        store.records(&record(sha256)).find(whole)
    }

    /// Forgets the package, because what was taken out of it is damaged.
    pub(super) fn forget(&self, store: &Store) {
        // The blobs' names are their content: what is damaged must not stay under them.
        let blobs = self.images.iter().map(|i| &i.sha256).chain(self.pack.iter().map(|p| &p.sha256));
        for blob in blobs {
            // A failed check has removed the blob already, and an error comes back when it is made again.
            let _ = store.verify(blob);
        }
        let _ = std::fs::remove_file(store.path(&record(&self.file_sha256)));
    }

    /// Takes apart the package file `path`, which has to have this sha256.
    pub(super) fn unpack(store: &Store, path: &Path, sha256: &str) -> Result<Self, ObtainError> {
        let bad = |problem| ObtainError::BadPackage { path: path.to_owned(), problem };
        let file = File::open(path).map_err(|e| ObtainError::io("reading", path, e))?;
        let mut file = Hashing { inner: BufReader::with_capacity(128 << 10, file), hash: Sha256::new(), size: 0 };
        let (mut images, mut files) = (Vec::new(), Vec::new());
        let mut pack = PackWriter { draft: store.draft()?, hash: Sha256::new(), size: 0 };
        let mut failed = None;
        let wanted = |path: &str| kind(path).is_some();
        let mut take = |path: String, bytes: Vec<u8>| {
            if kind(&path) == Some(Kind::Image) {
                match store.put(&bytes) {
                    Ok(sha256) => images.push(ImageFile { path, sha256, size: bytes.len() as u64 }),
                    Err(error) => {
                        failed = Some(error);
                        return Err(io::ErrorKind::Other.into());
                    }
                }
            } else {
                files.push(pack.add(path, &bytes)?);
            }
            Ok(())
        };
        let result = match file_kind(path).map_err(|e| ObtainError::io("reading", path, e))? {
            FileKind::Tarball => tarball::read(path, &mut file, &wanted, &mut take)
                .map(|()| Control { package: "a tarball of a build".to_owned(), ..Control::default() }),
            _ => deb::read(&mut file, &wanted, &mut take),
        };
        let control = match (result, failed) {
            (_, Some(error)) => return Err(error),
            (Ok(control), _) => control,
            (Err(ReadError::Deb(problem)), _) => return Err(bad(problem)),
            (Err(ReadError::Taker(error)), _) => return Err(ObtainError::io("writing to", store.folder(), error)),
        };
        if store::hex(file.hash) != sha256 {
            let why = "it changed while it was read";
            return Err(bad(DebError::Damaged { part: "file", source: io::Error::other(why) }));
        }
        let file_size = Some(file.size);
        let pack = if files.is_empty() { None } else { Some(pack.keep(store)?) };
        let (package, version) = (control.package, control.version);
        let file_sha256 = sha256.to_owned();
        let package = Self { format: FORMAT, package, version, file_sha256, file_size, images, pack, files };
        // Last, so that a record never names what is not there.
        store.write_record(&record(sha256), &package)?;
        Ok(package)
    }

    /// The name of the pack's blob; `files` are in it.
    pub(super) fn pack(&self) -> Option<&str> {
        self.pack.as_ref().map(|p| p.sha256.as_str())
    }

    /// Whether `file` is a configuration.
    pub(super) fn is_config(file: &Packed) -> bool {
        kind(&file.path) == Some(Kind::Config)
    }
}

fn record(sha256: &str) -> String {
    format!("packages/{sha256}.json")
}

impl Packed {
    /// The file's content.
    pub(super) fn read(&self, pack: &Path) -> io::Result<Vec<u8>> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the cached file is damaged");
        let mut file = File::open(pack)?;
        if self.offset.saturating_add(self.stored) > file.metadata()?.len() {
            return Err(damaged());
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut stored = Vec::new();
        file.take(self.stored).read_to_end(&mut stored)?;
        if store::hex(Sha256::new_with_prefix(&stored)) != self.sha256 {
            return Err(damaged());
        }
        if self.zstd { compression::decompress(Compression::Zstd, &stored, self.size) } else { Ok(stored) }
    }
}

struct PackWriter {
    draft: store::Draft,
    hash: Sha256,
    size: u64,
}

impl PackWriter {
    fn add(&mut self, path: String, bytes: &[u8]) -> io::Result<Packed> {
        let zstd = path.ends_with(".ko");
        let packed = if zstd { &*zstd::bulk::compress(bytes, ZSTD_LEVEL)? } else { bytes };
        self.draft.write_all(packed)?;
        self.hash.update(packed);
        let (offset, stored) = (self.size, packed.len() as u64);
        self.size += stored;
        let sha256 = store::hex(Sha256::new_with_prefix(packed));
        Ok(Packed { path, offset, stored, size: bytes.len() as u64, zstd, sha256 })
    }

    fn keep(self, store: &Store) -> Result<Pack, ObtainError> {
        let sha256 = store::hex(self.hash);
        store.settle(self.draft, &sha256)?;
        Ok(Pack { sha256, size: self.size })
    }
}

/// Hashes and counts what goes through.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
    size: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.size += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_boot_needs_is_taken() {
        for (path, expected) in [
            ("boot/vmlinuz-6.1.0-56-cloud-amd64", Some(Kind::Image)),
            ("lib/modules/6.1.0/vmlinuz", Some(Kind::Image)),
            ("boot/config-6.1.0", Some(Kind::Config)),
            ("usr/lib/modules/6.12/config", Some(Kind::Config)),
            ("lib/modules/6.1.0/modules.builtin", Some(Kind::Modules)),
            ("lib/modules/6.1.0/kernel/drivers/net/tun.ko", Some(Kind::Modules)),
            ("usr/lib/modules/6.12/kernel/drivers/net/tun.ko.xz", Some(Kind::Modules)),
            ("boot/System.map-6.1.0", None),
            ("boot/grub/vmlinuz-1", None),
            ("lib/modules/6.1.0/modules.builtin.modinfo", None),
            ("usr/share/doc/tun.ko", None),
            ("usr/lib/debug/lib/modules/6.1.0/vmlinux", None),
        ] {
            assert_eq!(kind(path), expected, "{path}");
        }
    }
}
