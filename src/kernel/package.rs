//! Takes a package apart, once: its image, configuration and modules go into the store, and a record says where.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::archive::{PackageError, ReadError, Take, Want, read_up_to};
use super::changelog::{self, Changelog};
use super::compression::{self, Compression};
use super::deb;
use super::error::ObtainError;
use super::kind::{FileKind, file_kind};
use super::modules;
use super::pack::{Pack, PackWriter, Packed};
use super::rpm;
use super::store::{self, Store};
use super::tarball;

/// Changes whenever older records must not be used any more.
const FORMAT: u32 = 2;

/// Bytes of a compressed changelog; a Debian 12 kernel's has 1.3 MB.
const MAX_CHANGELOG: usize = 16 << 20;
/// A package's own changelog, and its source's.
const MAX_CHANGELOGS: usize = 2;

/// The kind of a package.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageKind {
    /// Debian's: what every package was that older records tell of.
    #[default]
    Deb,
    /// RPM.
    Rpm,
    /// A tarball of a build, which names nobody's package.
    Tarball,
}

/// What was taken out of one package file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Package {
    format: u32,
    pub kind: PackageKind,
    pub package: String,
    pub version: String,
    /// sha256 of the package file.
    pub file_sha256: String,
    /// Its length.
    pub file_size: u64,
    /// Kernel images, each a blob.
    pub images: Vec<ImageFile>,
    /// The blob that holds `files` one after another.
    pack: Option<Pack>,
    pub files: Vec<Packed>,
    /// Its changelog, which is in the pack, too.
    changelog: Option<Packed>,
}

/// A kernel image in a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ImageFile {
    pub path: String,
    pub sha256: String,
    pub size: u64,
}

/// Names of changelogs, the package's own first: Debian Policy §12.7. A native package's is called like an upstream's.
const CHANGELOGS: [&str; 2] = ["changelog.Debian.gz", "changelog.gz"];

/// What a path in a package is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Image,
    Config,
    Modules,
    Changelog,
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
    if let Some(file) = path.strip_prefix("usr/share/doc/") {
        let name = file.split_once('/').map(|(_, name)| name);
        return name.filter(|name| CHANGELOGS.contains(name)).map(|_| Kind::Changelog);
    }
    let (_, below) = in_modules_folder(path)?;
    match below {
        "vmlinuz" => Some(Kind::Image),
        "config" => Some(Kind::Config),
        "modules.builtin" => Some(Kind::Modules),
        _ => modules::name_of_file(below).map(|_| Kind::Modules),
    }
}

/// Whether a path in a package is that of a kernel.
pub(super) fn is_image(path: &str) -> bool {
    kind(path) == Some(Kind::Image)
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

    /// Notes that it is used now: a package without an image or modules has nothing that anybody leases.
    pub(super) fn touch(&self, store: &Store) {
        store.touch(&record(&self.file_sha256));
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
        let reading = |e| ObtainError::io("reading", path, e);
        let file = File::open(path).map_err(reading)?;
        let size = file.metadata().map_err(reading)?.len();
        let mut file = Hashing { inner: BufReader::with_capacity(128 << 10, file), hash: Sha256::new(), size: 0 };
        let packer = Packer::new(store)?;
        // Decompressing takes longest, so what comes out of it is kept meanwhile. One file waits, and no more: the largest
        // are half a gigabyte.
        let (read, packed) = thread::scope(|scope| {
            let (give, given) = mpsc::sync_channel(1);
            let packing = scope.spawn(move || packer.keep_all(given));
            let read = read(path, &mut file, size, &mut |path, bytes| {
                give.send((path, bytes)).map_err(|_| io::Error::other("nobody takes it"))
            });
            drop(give);
            (read, packing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        // Why nobody took a file says more than that nobody did.
        let mut packed = packed?;
        let about = match read {
            Ok(about) => about,
            Err(ReadError::Package(problem)) => return Err(bad(problem)),
            Err(ReadError::Taker(error)) => return Err(ObtainError::io("writing to", store.folder(), error)),
        };
        if store::hex(file.hash) != sha256 {
            let why = "it changed while it was read";
            return Err(bad(PackageError::Damaged { part: "file", source: io::Error::other(why) }));
        }
        let Contents { kind, package, version, changelog } = about;
        let changelog = changelog.unwrap_or_else(|| packed.debian_changelog(&package));
        let changelog = packed.add_changelog(&changelog)?;
        let Packer { images, files, pack, .. } = packed;
        let (format, file_sha256, file_size, pack) = (FORMAT, sha256.to_owned(), file.size, pack.keep(store)?);
        let package = Self { format, kind, package, version, file_sha256, file_size, images, pack, files, changelog };
        // Last, so that a record never names what is not there.
        store.write_record(&record(sha256), &package)?;
        Ok(package)
    }

    /// The name of the pack's blob; `files` are in it.
    pub(super) fn pack(&self) -> Option<&str> {
        self.pack.as_ref().map(|p| p.sha256.as_str())
    }

    /// Its changelog, where it has one.
    pub(super) fn changelog(&self, store: &Store) -> Option<KeptChangelog> {
        let (pack, file) = (store.blob(self.pack()?), self.changelog.clone()?);
        Some(KeptChangelog { pack, file })
    }

    /// Whether `file` is a configuration.
    pub(super) fn is_config(file: &Packed) -> bool {
        kind(&file.path) == Some(Kind::Config)
    }
}

/// A changelog in the store.
#[derive(Clone, Debug)]
pub(super) struct KeptChangelog {
    pack: PathBuf,
    file: Packed,
}

impl KeptChangelog {
    /// The blob that it is in.
    pub(super) fn pack(&self) -> &Path {
        &self.pack
    }

    /// Reads it.
    pub(super) fn read(&self) -> io::Result<Changelog> {
        Ok(serde_json::from_slice(&self.file.read(&self.pack)?)?)
    }
}

/// What a package says of itself.
struct Contents {
    kind: PackageKind,
    package: String,
    version: String,
    /// The changelog, where it is no file of the package's.
    changelog: Option<Changelog>,
}

/// Reads a package of any kind, which its content tells.
fn read(path: &Path, mut file: impl Read, size: u64, take: Take) -> Result<Contents, ReadError> {
    let wanted = |path: &str| match kind(path) {
        None => Want::No,
        // openSUSE has its image below usr/lib/modules and a link to it here.
        Some(Kind::Image | Kind::Config) if path.starts_with("boot/") => Want::UnlessLink,
        Some(Kind::Changelog) => Want::UnlessLink,
        Some(_) => Want::File,
    };
    let failed = |source| PackageError::Damaged { part: "file", source };
    if file_kind(path).map_err(failed)? == FileKind::Tarball {
        tarball::read(path, file, &wanted, take)?;
        let (package, version) = ("a tarball of a build".to_owned(), String::new());
        return Ok(Contents { kind: PackageKind::Tarball, package, version, changelog: Some(Changelog::default()) });
    }
    let mut magic = [0; 8];
    let length = read_up_to(&mut file, &mut magic).map_err(failed)?;
    let (begin, whole) = (&magic[..length], magic[..length].chain(file));
    if begin.starts_with(rpm::MAGIC) || begin.starts_with(rpm::DELTA_MAGIC) {
        let (about, changelog) = rpm::read(whole, size, &wanted, take)?;
        let (package, version) = (about.package, about.version);
        return Ok(Contents { kind: PackageKind::Rpm, package, version, changelog: Some(changelog) });
    }
    if begin == deb::MAGIC {
        let about = deb::read(whole, &wanted, take)?;
        return Ok(Contents {
            kind: PackageKind::Deb,
            package: about.package,
            version: about.version,
            changelog: None,
        });
    }
    let why = "its first bytes are those of another file";
    Err(PackageError::NotAPackage { expected: "a Debian or an RPM package", why }.into())
}

/// Keeps what comes out of a package.
struct Packer<'a> {
    store: &'a Store,
    images: Vec<ImageFile>,
    files: Vec<Packed>,
    /// Compressed, by path.
    changelogs: Vec<(String, Vec<u8>)>,
    pack: PackWriter,
}

impl<'a> Packer<'a> {
    fn new(store: &'a Store) -> Result<Self, ObtainError> {
        let (images, files, changelogs) = Default::default();
        Ok(Self { store, images, files, changelogs, pack: PackWriter::new(store)? })
    }

    fn keep_all(mut self, given: mpsc::Receiver<(String, Vec<u8>)>) -> Result<Self, ObtainError> {
        for (path, bytes) in given {
            self.keep(path, bytes)?;
        }
        Ok(self)
    }

    fn keep(&mut self, path: String, bytes: Vec<u8>) -> Result<(), ObtainError> {
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
                self.files.push(packed.map_err(|e| ObtainError::io("writing to", self.store.folder(), e))?);
            }
        }
        Ok(())
    }

    /// The changelog of the package with this name. One that cannot be read is none: it is no part of the kernel.
    fn debian_changelog(&self, package: &str) -> Changelog {
        let own = CHANGELOGS.map(|name| format!("usr/share/doc/{package}/{name}"));
        let found = own.iter().find_map(|own| self.changelogs.iter().find(|(path, _)| path == own));
        let text = found.and_then(|(_, packed)| {
            compression::decompress(Compression::Gzip, packed, changelog::MAX_BYTES as u64).ok()
        });
        Changelog::of_debian(&String::from_utf8_lossy(&text.unwrap_or_default()))
    }

    fn add_changelog(&mut self, changelog: &Changelog) -> Result<Option<Packed>, ObtainError> {
        if changelog.entries.is_empty() {
            return Ok(None);
        }
        let json = serde_json::to_vec(changelog).map_err(io::Error::from);
        let added = json.and_then(|json| self.pack.add("changelog".to_owned(), &json, true));
        added.map(Some).map_err(|e| ObtainError::io("writing to", self.store.folder(), e))
    }
}

fn record(sha256: &str) -> String {
    format!("packages/{sha256}.json")
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
    use super::super::fixtures;
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
            ("usr/share/doc/linux-image-6.1.0/changelog.gz", Some(Kind::Changelog)),
            ("usr/share/doc/linux-image-6.1.0/changelog.Debian.gz", Some(Kind::Changelog)),
            ("usr/share/doc/linux-image-6.1.0/x/changelog.gz", None),
            ("usr/share/doc/changelog.gz", None),
            ("usr/lib/debug/lib/modules/6.1.0/vmlinux", None),
        ] {
            assert_eq!(kind(path), expected, "{path}");
        }
    }

    #[test]
    fn a_damaged_record_of_a_package_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().join("cache"))).unwrap();
        let files =
            [("./boot/vmlinuz-6.1.92", &fixtures::bzimage("6.1.92")[..]), ("./boot/config-6.1.92", b"CONFIG_TUN=m\n")];
        let path = folder.path().join("linux.deb");
        std::fs::write(&path, fixtures::deb(&fixtures::tar(&files))).unwrap();
        let sha256 = store::hex(Sha256::new_with_prefix(std::fs::read(&path).unwrap()));
        let whole = Package::unpack(&store, &path, &sha256).unwrap();
        let record = store.path(&record(&sha256));
        let good = std::fs::read(&record).unwrap();
        assert_eq!(Package::recorded(&store, &sha256), Some(whole.clone()));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            std::fs::write(&record, &bad).unwrap();
            assert_eq!(Package::recorded(&store, &sha256), None, "byte {at}");
        }
        assert_eq!(Package::unpack(&store, &path, &sha256).unwrap(), whole, "and it is made again");
        assert_eq!(Package::recorded(&store, &sha256), Some(whole));
    }
}
