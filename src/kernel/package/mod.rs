//! Unpacks a package once: its image, configuration and modules go into the store, with a record.

mod error;
mod packer;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub(in crate::kernel) use self::error::UnpackError;
use self::packer::Packer;
use crate::kernel::archive::{ArchiveReadError, PackageError, Take, Want, read_up_to};
use crate::kernel::changelog::Changelog;
use crate::kernel::deb;
use crate::kernel::file_error::FileError;
use crate::kernel::kind::{FileKind, file_kind};
use crate::kernel::modules;
use crate::kernel::pack::{Pack, Packed};
use crate::kernel::rpm;
use crate::kernel::store::{self, Store};
use crate::kernel::tarball;

/// Increase it if older records must not be used any more.
const FORMAT: u32 = 2;

/// The kind of a package.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageKind {
    /// Debian's, and the default, because older records know no other kind.
    #[default]
    Deb,
    /// RPM.
    Rpm,
    /// A tarball of a build, which has no package name.
    Tarball,
}

/// The record of one unpacked package file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::kernel) struct UnpackedPackage {
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
pub(in crate::kernel) struct ImageFile {
    pub path: String,
    pub sha256: String,
    pub size: u64,
}

/// Names of changelogs, the package's own first: Debian Policy §12.7. A native package's is called like an upstream's.
const CHANGELOGS: [&str; 2] = ["changelog.Debian.gz", "changelog.gz"];

/// The role of a path in a package.
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
pub(in crate::kernel) fn is_image(path: &str) -> bool {
    kind(path) == Some(Kind::Image)
}

/// Splits `lib/modules/<release>/…` (or below usr/) into the release and the rest.
pub(in crate::kernel) fn in_modules_folder(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("usr/").unwrap_or(path).strip_prefix("lib/modules/")?.split_once('/')
}

impl UnpackedPackage {
    /// The record of the package file with this sha256, if all its files exist.
    pub(in crate::kernel) fn recorded(store: &Store, sha256: &str) -> Option<Self> {
        let whole = |package: &Self| {
            package.format == FORMAT
                && package.file_sha256 == sha256
                && package.images.iter().all(|i| store.holds(&i.sha256, i.size))
                && package.pack.iter().all(|p| store.holds(&p.sha256, p.size))
        };
        store.records(&record(sha256)).find(whole)
    }

    /// Marks it as used now: a package without an image or modules is never leased.
    pub(in crate::kernel) fn touch(&self, store: &Store) {
        store.touch(&record(&self.file_sha256));
    }

    /// Forgets the package, because one of its files is damaged.
    pub(in crate::kernel) fn forget(&self, store: &Store) {
        // A damaged blob must not keep its name.
        let blobs = self.images.iter().map(|i| &i.sha256).chain(self.pack.iter().map(|p| &p.sha256));
        for blob in blobs {
            // A failed check has already removed the blob, and errors return when it is made again.
            let _ = store.verify(blob);
        }
        let _ = std::fs::remove_file(store.path(&record(&self.file_sha256)));
    }

    /// Unpacks the package file `path`, which must have this sha256.
    pub(in crate::kernel) fn unpack(store: &Store, path: &Path, sha256: &str) -> Result<Self, UnpackError> {
        let bad = |problem| UnpackError::BadPackage { path: path.to_owned(), problem };
        let reading = |e| FileError::io("read", path, e);
        let file = File::open(path).map_err(reading)?;
        let size = file.metadata().map_err(reading)?.len();
        let mut file = Hashing { inner: BufReader::with_capacity(128 << 10, file), hash: Sha256::new(), size: 0 };
        let packer = Packer::new(store)?;
        // Decompressing takes longest, so files are stored in parallel. Only one file waits, because the largest
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
        // The write error explains more than the read error.
        let mut packed = packed?;
        let about = match read {
            Ok(about) => about,
            Err(ArchiveReadError::Package(problem)) => return Err(bad(problem)),
            Err(ArchiveReadError::Taker(error)) => return Err(FileError::io("write to", store.folder(), error).into()),
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
        // The record is written last, so it never names missing files.
        store.write_record(&record(sha256), &package)?;
        Ok(package)
    }

    /// The name of the pack's blob, which has `files`.
    pub(in crate::kernel) fn pack(&self) -> Option<&str> {
        self.pack.as_ref().map(|p| p.sha256.as_str())
    }

    /// Its changelog, if it has one.
    pub(in crate::kernel) fn changelog(&self, store: &Store) -> Option<KeptChangelog> {
        let (pack, file) = (store.blob(self.pack()?), self.changelog.clone()?);
        Some(KeptChangelog { pack, file })
    }

    /// Whether `file` is a configuration.
    pub(in crate::kernel) fn is_config(file: &Packed) -> bool {
        kind(&file.path) == Some(Kind::Config)
    }
}

/// A changelog in the store.
#[derive(Clone, Debug)]
pub(in crate::kernel) struct KeptChangelog {
    pack: PathBuf,
    file: Packed,
}

impl KeptChangelog {
    /// The blob that has it.
    pub(in crate::kernel) fn pack(&self) -> &Path {
        &self.pack
    }

    /// Reads it.
    pub(in crate::kernel) fn read(&self) -> io::Result<Changelog> {
        Ok(serde_json::from_slice(&self.file.read(&self.pack)?)?)
    }
}

/// A package's own description.
struct Contents {
    kind: PackageKind,
    package: String,
    version: String,
    /// The changelog, if it is not a file of the package.
    changelog: Option<Changelog>,
}

/// Reads a package of any kind, and recognises it by its content.
fn read(path: &Path, mut file: impl Read, size: u64, take: Take) -> Result<Contents, ArchiveReadError> {
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

fn record(sha256: &str) -> String {
    format!("packages/{sha256}.json")
}

/// Hashes and counts the bytes that pass through.
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
mod tests;
