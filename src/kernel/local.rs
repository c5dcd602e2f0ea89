//! Kernels that the user has: package files, an image, a build tree.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use object::ReadCache;

use super::config::KernelConfig;
use super::error::ObtainError;
use super::image::{self, Image, NotAnImage};
use super::kind::{FileKind, file_kind};
use super::modules::Modules;
use super::pack::Packed;
use super::package::{self, Package, PackageKind};
use super::store::{self, Leases, Store};
use super::{Kernel, LockedFile, Obtain, Progress, Provenance};

/// The kernel in package files.
pub(super) fn from_packages(files: &[PathBuf], with: &Obtain) -> Result<Kernel, ObtainError> {
    if files.is_empty() {
        let (packages, found) = ("no packages".to_owned(), "nothing".to_owned());
        return Err(ObtainError::NotOneKernel { packages, found, advice: "name at least one" });
    }
    let mut locked = Vec::new();
    for (at, file) in files.iter().enumerate() {
        check_file("the package", file)?;
        let (sha256, size) = sum(file)?;
        compare(file, &sha256, at, with)?;
        locked.push(own_file(file, sha256, size));
    }
    none_left(&files[files.len() - 1], files.len(), with)?;
    let unpack =
        || files.iter().zip(&locked).map(|(file, locked)| unpacked(&locked.name, file, &locked.sha256, with)).collect();
    let (kernel, packages) = from_unpacked(unpack, with)?;
    for (file, package) in locked.iter_mut().zip(packages) {
        file.version = Some(package.version);
    }
    Ok(Kernel { files: locked, ..kernel })
}

/// The file's sha256 and length.
fn sum(file: &Path) -> Result<(String, u64), ObtainError> {
    let reading = |e| ObtainError::io("reading", file, e);
    let mut open = File::open(file).map_err(reading)?;
    store::sha256_of(&mut open).map_err(reading)
}

/// The kernel in packages that `unpack` takes apart, and the packages. Asks a second time where something in the cache was
/// damaged, which is gone then, while the packages are still there.
pub(super) fn from_unpacked(
    unpack: impl Fn() -> Result<Vec<Package>, ObtainError>,
    with: &Obtain,
) -> Result<(Kernel, Vec<Package>), ObtainError> {
    for _ in 0..2 {
        let packages = unpack()?;
        if let Some(kernel) = assemble(&packages, with.store)? {
            return Ok((kernel, packages));
        }
    }
    Err(damaged(with.store))
}

/// The kernel in a tarball of a build.
fn from_tarball(tarball: &Path, with: &Obtain) -> Result<Kernel, ObtainError> {
    let (sha256, size) = sum(tarball)?;
    compare(tarball, &sha256, 0, with)?;
    none_left(tarball, 1, with)?;
    let file = own_file(tarball, sha256.clone(), size);
    let (mut kernel, _) = from_unpacked(|| Ok(vec![unpacked(&file.name, tarball, &sha256, with)?]), with)?;
    kernel.files = vec![file];
    kernel.provenance = vec![Provenance::File { path: tarball.to_owned(), sha256 }];
    Ok(kernel)
}

/// A file of the user's, as the lock has it.
fn own_file(path: &Path, sha256: String, size: u64) -> LockedFile {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let name = name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    LockedFile { name, version: None, sha256, size, addresses: Vec::new() }
}

/// Whether the file is the one that the lock has at this place.
fn compare(path: &Path, sha256: &str, at: usize, with: &Obtain) -> Result<(), ObtainError> {
    let Some(locked) = with.locked else { return Ok(()) };
    let wanted = locked.get(at).map_or("none", |file| file.sha256.as_str());
    if wanted == sha256 {
        return Ok(());
    }
    let (path, found, wanted) = (path.to_owned(), sha256.to_owned(), wanted.to_owned());
    Err(ObtainError::OtherThanLocked { path, found, wanted })
}

/// That the lock has no more files than these, the last of them at `path`.
fn none_left(path: &Path, files: usize, with: &Obtain) -> Result<(), ObtainError> {
    match with.locked.and_then(|locked| locked.get(files)) {
        None => Ok(()),
        Some(more) => Err(ObtainError::LockedMore { path: path.to_owned(), more: more.name.clone() }),
    }
}

pub(super) fn damaged(store: &Store) -> ObtainError {
    let source = std::io::Error::other("what was just written reads back differently; check the disk");
    ObtainError::io("reading", store.folder(), source)
}

/// The package file with this sha256, taken apart by whoever comes first. `name` is what people know it by.
pub(super) fn unpacked(name: &str, file: &Path, sha256: &str, with: &Obtain) -> Result<Package, ObtainError> {
    if let Some(package) = Package::recorded(with.store, sha256) {
        return Ok(package);
    }
    let _lock = with.store.lock(sha256, || (with.tell)(Progress::Waiting { what: name.to_owned() }))?;
    if let Some(package) = Package::recorded(with.store, sha256) {
        return Ok(package);
    }
    (with.tell)(Progress::Unpacking { package: name.to_owned() });
    Package::unpack(with.store, file, sha256)
}

/// Makes one kernel of packages. `None` where a cached file turned out to be damaged; the records that named it are
/// gone then, so that the caller can have them made again.
pub(super) fn assemble(packages: &[Package], store: &Store) -> Result<Option<Kernel>, ObtainError> {
    let names = || packages.iter().map(|p| format!("{} {}", p.package, p.version)).collect::<Vec<_>>().join(", ");
    let not_one = |found, advice| ObtainError::NotOneKernel { packages: names(), found, advice };
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
    let found = |found| ObtainError::NotAnImage { path: PathBuf::from(&image.path), found };
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
        Package::is_config(file) && (of == release.as_deref() || release.is_none())
    };
    let read = || -> Result<_, ObtainError> {
        let mut config = None;
        if let Some((pack, file)) = files().find(|(_, f)| is_own(f)) {
            let text = file.read(&pack).map_err(|e| ObtainError::io("reading", &pack, e))?;
            let not = |source| ObtainError::NotAConfig { path: PathBuf::from(&file.path), source };
            config = Some(KernelConfig::parse(&text).map_err(not)?);
        }
        Ok((config, Modules::packed(files().map(|(pack, file)| (pack, file.clone())), names())?))
    };
    let (config, modules) = match read() {
        Ok(read) => read,
        Err(ObtainError::Io { .. }) => {
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
        modules,
        leases: Leases::default(),
        changelog: of_image.changelog(store),
    }))
}

/// The kernel in an image file.
pub(super) fn from_image(
    image: &Path,
    modules: Option<&Path>,
    config: Option<&Path>,
    with: &Obtain,
) -> Result<Kernel, ObtainError> {
    let (blob, sha256, release) = adopt(image, with.store)?;
    compare(image, &sha256, 0, with)?;
    let size = |path: &Path| fs::metadata(path).map(|m| m.len()).map_err(|e| ObtainError::io("reading", path, e));
    let mut files = vec![own_file(image, sha256.clone(), size(&blob)?)];
    let modules = match modules {
        Some(folder) if folder.is_dir() => Modules::in_folder(folder, release.as_deref())?,
        Some(folder) => return Err(unusable("the modules folder", folder, "is not a folder; check the path")),
        None => Modules::default(),
    };
    if let Some(config) = config {
        check_file("the configuration", config)?;
        let (sha256, size) = sum(config)?;
        compare(config, &sha256, 1, with)?;
        files.push(own_file(config, sha256, size));
    }
    none_left(config.unwrap_or(image), files.len(), with)?;
    let config = config.map(read_config).transpose()?;
    let provenance = vec![Provenance::File { path: image.to_owned(), sha256: sha256.clone() }];
    Ok(Kernel {
        release,
        image: blob,
        image_sha256: sha256,
        config,
        provenance,
        files,
        stale: None,
        modules,
        leases: Leases::default(),
        changelog: None,
    })
}

/// The kernel in a build tree.
pub(super) fn from_tree(tree: &Path, with: &Obtain) -> Result<Kernel, ObtainError> {
    if tree.is_file() && file_kind(tree).is_ok_and(|kind| kind == FileKind::Tarball) {
        return from_tarball(tree, with);
    }
    if !tree.is_dir() {
        return Err(unusable("the build tree", tree, "is not a folder, and no tarball of one; check the path"));
    }
    let image = tree.join("arch/x86/boot/bzImage");
    if !image.is_file() {
        return Err(unusable("the build tree", tree, "has no arch/x86/boot/bzImage; build it (`make bzImage`)"));
    }
    let (blob, sha256, in_image) = adopt(&image, with.store)?;
    let config = Some(tree.join(".config")).filter(|path| path.is_file());
    let config = config.as_deref().map(read_config).transpose()?;
    // The image's own word comes first: kernel.release is made anew before the image is.
    let recorded = fs::read(tree.join("include/config/kernel.release")).ok();
    let release = in_image.or_else(|| image::as_release(&recorded?));
    let provenance = vec![Provenance::File { path: image, sha256: sha256.clone() }];
    let modules = Modules::in_tree(tree)?;
    Ok(Kernel {
        release,
        image: blob,
        image_sha256: sha256,
        config,
        provenance,
        files: Vec::new(),
        stale: None,
        modules,
        leases: Leases::default(),
        changelog: None,
    })
}

/// Checks an image and copies it into the store, because results and replays are about exactly these bytes, and a
/// build tree's image changes with the next build. Its blob, its sha256, and its release.
pub(super) fn adopt(image: &Path, store: &Store) -> Result<(PathBuf, String, Option<String>), ObtainError> {
    check_file("the image", image)?;
    let not = |found| ObtainError::NotAnImage { path: image.to_owned(), found };
    identify(image)?.map_err(not)?;
    let sha256 = store.adopt(image)?;
    let blob = store.blob(&sha256);
    let release = image_release(&blob)?;
    Ok((blob, sha256, release))
}

/// What a kernel image calls itself (`uname -r`), where it tells: by its setup header, or by the banner in a vmlinux. No
/// other name that is known of the kernel is looked at.
///
/// # Errors
/// Where the file cannot be read or is no image.
pub fn image_release(image: &Path) -> Result<Option<String>, ObtainError> {
    let not = |found| ObtainError::NotAnImage { path: image.to_owned(), found };
    match identify(image)?.map_err(not)? {
        Image::BzImage { release } => Ok(release),
        Image::Vmlinux => {
            let file = File::open(image).map_err(|e| ObtainError::io("reading", image, e))?;
            image::banner_release(file).map_err(|e| ObtainError::io("reading", image, e))
        }
    }
}

fn identify(path: &Path) -> Result<Result<Image, NotAnImage>, ObtainError> {
    let file = File::open(path).map_err(|e| ObtainError::io("reading", path, e))?;
    Ok(image::identify(&ReadCache::new(file)))
}

fn read_config(path: &Path) -> Result<KernelConfig, ObtainError> {
    check_file("the configuration", path)?;
    let text = fs::read(path).map_err(|e| ObtainError::io("reading", path, e))?;
    KernelConfig::parse(&text).map_err(|source| ObtainError::NotAConfig { path: path.to_owned(), source })
}

fn check_file(what: &'static str, path: &Path) -> Result<(), ObtainError> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(unusable(what, path, "is not a file; check the path")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(unusable(what, path, "does not exist; check the path"))
        }
        Err(error) => Err(unusable(what, path, &format!("cannot be read ({error})"))),
    }
}

fn unusable(what: &'static str, path: &Path, problem: &str) -> ObtainError {
    ObtainError::Unusable { what, path: path.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
