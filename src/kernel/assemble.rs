//! Makes kernels from unpacked packages and images.

use std::fs::File;
use std::path::{Path, PathBuf};

use object::ReadCache;

use super::config::{KernelConfig, NotAConfig};
use super::error_class::{ClassedError, ErrorClass};
use super::file_error::{self, FileError};
use super::image::{self, Image, NotAnImage};
use super::modules::Modules;
use super::obtain::Obtain;
use super::obtained::Kernel;
use super::origin::Origin;
use super::pack::Packed;
use super::package::{self, PackageKind, UnpackError, UnpackedPackage};
use super::progress::Progress;
use super::provenance::Provenance;
use super::store::{Leases, Store};

/// Why no kernel can be made from these files.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// The image is not an x86-64 kernel that QEMU boots.
    #[error("cannot boot {}: expected an x86-64 bzImage, vmlinuz or PVH vmlinux, found {found}", path.display())]
    NotAnImage {
        /// The file, its path in its package, or its address.
        path: PathBuf,
        /// The kind that was found.
        found: NotAnImage,
    },
    /// The configuration is another kind of file.
    #[error("cannot use the configuration {}", path.display())]
    NotAConfig {
        /// The file.
        path: PathBuf,
        /// Why.
        source: NotAConfig,
    },
    /// The packages together don't hold exactly one kernel.
    #[error("cannot make one kernel of {packages}: found {found}; {advice}")]
    NotOneKernel {
        /// The packages.
        packages: String,
        /// Their contents.
        found: String,
        /// The advice.
        advice: &'static str,
    },
    /// A package cannot be taken apart.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// A file that is needed.
    #[error(transparent)]
    File(#[from] FileError),
}

impl AssembleError {
    /// Whether other content of the same file may fix it.
    pub(super) fn is_about_content(&self) -> bool {
        matches!(self, Self::NotAnImage { .. } | Self::Unpack(UnpackError::BadPackage { .. }))
    }

    /// The same error about the name by which the user knows the file.
    pub(super) fn of(self, path: PathBuf) -> Self {
        match self {
            Self::NotAnImage { found, .. } => Self::NotAnImage { path, found },
            Self::Unpack(UnpackError::BadPackage { problem, .. }) => UnpackError::BadPackage { path, problem }.into(),
            other => other,
        }
    }
}

impl ClassedError for AssembleError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NotAnImage { .. } | Self::NotAConfig { .. } | Self::NotOneKernel { .. } => ErrorClass::Usage,
            Self::Unpack(error) => error.class(),
            Self::File(error) => error.class(),
        }
    }
}

/// The kernel in packages that `unpack` takes apart, and the packages. Retries once, because the first try removes
/// damaged cached files, and `unpack` then makes them again.
pub(super) fn from_unpacked<E: From<AssembleError> + From<FileError>>(
    unpack: impl Fn() -> Result<Vec<UnpackedPackage>, E>,
    store: &Store,
) -> Result<(Kernel, Vec<UnpackedPackage>), E> {
    for _ in 0..2 {
        let packages = unpack()?;
        if let Some(kernel) = assemble(&packages, store)? {
            return Ok((kernel, packages));
        }
    }
    Err(damaged(store).into())
}

pub(super) fn damaged(store: &Store) -> FileError {
    let source = std::io::Error::other("what was just written reads back differently; check the disk");
    FileError::io("read", store.folder(), source)
}

/// The package file with this sha256, unpacked if it isn't yet. `name` is for people.
pub(super) fn unpacked(name: &str, file: &Path, sha256: &str, with: &Obtain) -> Result<UnpackedPackage, UnpackError> {
    if let Some(package) = UnpackedPackage::recorded(with.store, sha256) {
        return Ok(package);
    }
    let _lock = with.store.lock(sha256, || (with.tell)(Progress::Waiting { what: name.to_owned() }))?;
    if let Some(package) = UnpackedPackage::recorded(with.store, sha256) {
        return Ok(package);
    }
    (with.tell)(Progress::Unpacking { package: name.to_owned() });
    UnpackedPackage::unpack(with.store, file, sha256)
}

/// Makes one kernel of packages. `None` if a cached file was damaged: the records that name it are then removed, so the
/// caller can have them made again.
pub(super) fn assemble(packages: &[UnpackedPackage], store: &Store) -> Result<Option<Kernel>, AssembleError> {
    let names = || packages.iter().map(|p| format!("{} {}", p.package, p.version)).collect::<Vec<_>>().join(", ");
    let not_one = |found, advice| AssembleError::NotOneKernel { packages: names(), found, advice };
    let images = packages.iter().flat_map(|p| p.images.iter().map(move |image| (p, image))).collect::<Vec<_>>();
    let Some((of_image, image)) = images.first() else {
        let advice = match packages.iter().all(|p| p.kind == PackageKind::Rpm) {
            true => "name the package with the image, too: kernel-core, kernel, kernel-default or kernel-uek-core",
            false => "name the package with boot/vmlinuz-*, which may be one that this one depends on",
        };
        return Err(not_one("no kernel image".to_owned(), advice));
    };
    if images.iter().any(|(_, other)| other.sha256 != image.sha256) {
        let found = images.iter().map(|(_, i)| i.path.as_str()).collect::<Vec<_>>().join(" and ");
        return Err(not_one(found, "name the packages of one kernel only"));
    }
    if !store.verify(&image.sha256)? {
        packages.iter().for_each(|p| p.forget(store));
        return Ok(None);
    }
    let path = store.blob(&image.sha256);
    // The path in the package means more to people than the blob's.
    let found = |found| AssembleError::NotAnImage { path: PathBuf::from(&image.path), found };
    let release = match identify(&path)?.map_err(found)? {
        Image::BzImage { release } => release,
        Image::Vmlinux => None,
    };
    let in_path = || match package::in_modules_folder(&image.path) {
        Some((release, _)) => Some(release),
        None => image.path.strip_prefix("boot/vmlinuz-"),
    };
    let release = release.or_else(|| in_path().map(str::to_owned));

    let files = || {
        let all = packages.iter().flat_map(|p| p.files.iter().map(move |f| (p, f)));
        all.filter_map(|(p, file)| Some((store.blob(p.pack()?), file)))
    };
    let releases = || files().filter_map(|(_, f)| package::in_modules_folder(&f.path)).map(|(release, _)| release);
    let other = release.as_deref().and_then(|own| releases().find(|r| *r != own).map(|other| (own, other)));
    if let Some((own, other)) = other {
        let found = format!("the image of {own} and modules of {other}");
        return Err(not_one(found, "name the packages of one kernel only"));
    }
    // Another kernel's configuration says nothing about this image.
    let is_own = |file: &Packed| {
        let of = package::in_modules_folder(&file.path)
            .map_or_else(|| file.path.strip_prefix("boot/config-"), |(of, _)| Some(of));
        UnpackedPackage::is_config(file) && (of == release.as_deref() || release.is_none())
    };
    let read = || -> Result<_, AssembleError> {
        let mut config = None;
        if let Some((pack, file)) = files().find(|(_, f)| is_own(f)) {
            let text = file.read(&pack).map_err(|e| FileError::io("read", &pack, e))?;
            let not = |source| AssembleError::NotAConfig { path: PathBuf::from(&file.path), source };
            config = Some(KernelConfig::parse(&text).map_err(not)?);
        }
        Ok((config, Modules::packed(files().map(|(pack, file)| (pack, file.clone())), names())?))
    };
    let (config, modules) = match read() {
        Ok(read) => read,
        Err(AssembleError::File(FileError::Io { .. })) => {
            packages.iter().for_each(|p| p.forget(store));
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    packages.iter().for_each(|package| package.touch(store));
    let provenance = packages.iter().map(|p| Provenance::Package {
        kind: p.kind,
        name: p.package.clone(),
        version: p.version.clone(),
        sha256: p.file_sha256.clone(),
    });
    Ok(Some(Kernel {
        release,
        image: path,
        image_sha256: image.sha256.clone(),
        config,
        provenance: provenance.collect(),
        files: Vec::new(),
        stale: None,
        origin: Origin::default(),
        source: None,
        commit: None,
        modules,
        leases: Leases::default(),
        changelog: of_image.changelog(store),
    }))
}

/// The kernel in an image file, without modules and configuration.
pub(super) fn bare(image: &Path, store: &Store) -> Result<Kernel, AssembleError> {
    let (blob, sha256, release) = adopt(image, store)?;
    let from = Provenance::File { path: image.to_owned(), sha256: sha256.clone() };
    Ok(Kernel::of_image(blob, sha256, release, from))
}

/// Checks an image and copies it into the store, because results and replays are about exactly these bytes, and a
/// build tree's image changes with the next build. Its blob, its sha256, and its release.
pub(super) fn adopt(image: &Path, store: &Store) -> Result<(PathBuf, String, Option<String>), AssembleError> {
    file_error::check("the image", image)?;
    let not = |found| AssembleError::NotAnImage { path: image.to_owned(), found };
    identify(image)?.map_err(not)?;
    let sha256 = store.adopt(image)?;
    let blob = store.blob(&sha256);
    let release = image_release(&blob)?;
    Ok((blob, sha256, release))
}

/// The release of a kernel image (`uname -r`), if it has one: from its setup header, or the banner in a vmlinux. No
/// other name that is known of the kernel is looked at.
///
/// # Errors
/// If the file cannot be read or is not an image.
pub fn image_release(image: &Path) -> Result<Option<String>, AssembleError> {
    let not = |found| AssembleError::NotAnImage { path: image.to_owned(), found };
    match identify(image)?.map_err(not)? {
        Image::BzImage { release } => Ok(release),
        Image::Vmlinux => {
            let reading = |e| FileError::io("read", image, e);
            Ok(image::banner_release(File::open(image).map_err(reading)?).map_err(reading)?)
        }
    }
}

fn identify(path: &Path) -> Result<Result<Image, NotAnImage>, FileError> {
    let file = File::open(path).map_err(|e| FileError::io("read", path, e))?;
    Ok(image::identify(&ReadCache::new(file)))
}
