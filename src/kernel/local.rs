//! Kernels that the user has: package files, an image, a build tree.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::assemble::{self, AssembleError};
use super::config::KernelConfig;
use super::error::ObtainError;
use super::error_class::{ClassedError, ErrorClass};
use super::file_error::{self, FileError};
use super::image::{self, BUILT_IMAGE};
use super::kind::{FileKind, file_kind};
use super::modules::Modules;
use super::obtain::Obtain;
use super::obtained::Kernel;
use super::origin::{ConfigOrigin, Origin};
use super::provenance::Provenance;
use super::source_kind::{Cached, SourceKind};
use super::store::{self, Store};
use crate::matrix::LockedFile;

/// Why a user's file can't be used as a kernel.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// It differs from the locked one.
    #[error(
        "cannot use {}: its sha256 is {found}, and kernels.lock has {wanted}; put the old file back, or accept this one with \
         `backproof kernels update`",
        path.display()
    )]
    OtherThanLocked {
        /// The file.
        path: PathBuf,
        /// Its sha256 now.
        found: String,
        /// The lock's.
        wanted: String,
    },
    /// The lock has files that the source no longer names.
    #[error(
        "cannot use {} alone: kernels.lock also has {more}; name that too, or accept the change with \
         `backproof kernels update`",
        path.display()
    )]
    LockedMore {
        /// The last file that is named.
        path: PathBuf,
        /// The first that is not.
        more: String,
    },
    /// An error in the contents of the files.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
}

impl ClassedError for LocalError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::OtherThanLocked { .. } | Self::LockedMore { .. } => ErrorClass::Usage,
            Self::Assemble(error) => error.class(),
            Self::File(error) => error.class(),
        }
    }
}

/// Package files, of one format or another.
pub(super) struct PackageFiles<'a>(pub &'a [PathBuf]);

impl SourceKind for PackageFiles<'_> {
    fn obtain(&self, with: &Obtain) -> Result<Kernel, ObtainError> {
        Ok(from_packages(self.0, with)?)
    }

    fn origin(&self, _: &Kernel) -> Origin {
        Origin::packages()
    }

    fn is_in_archives(&self) -> bool {
        false
    }

    fn why_not_locked(&self) -> Option<&'static str> {
        None
    }

    fn cached(&self, _: Option<&[LockedFile]>, _: &Store) -> (Cached, Option<u64>) {
        (Cached::of_own(self.0), None)
    }
}

/// An image, its modules and its configuration.
pub(super) struct UserImage<'a> {
    pub image: &'a Path,
    pub modules: Option<&'a Path>,
    pub config: Option<&'a Path>,
}

impl SourceKind for UserImage<'_> {
    fn obtain(&self, with: &Obtain) -> Result<Kernel, ObtainError> {
        Ok(from_image(self.image, self.modules, self.config, with)?)
    }

    fn origin(&self, _: &Kernel) -> Origin {
        let config = self.config.map_or(ConfigOrigin::Unknown, |path| ConfigOrigin::Beside(path.to_owned()));
        Origin { names_release: true, config }
    }

    fn is_in_archives(&self) -> bool {
        false
    }

    fn why_not_locked(&self) -> Option<&'static str> {
        None
    }

    fn cached(&self, _: Option<&[LockedFile]>, _: &Store) -> (Cached, Option<u64>) {
        (Cached::of_own([Some(self.image), self.modules, self.config].into_iter().flatten()), None)
    }
}

/// A build tree, or a tarball of one.
pub(super) struct BuildTree<'a>(pub &'a Path);

impl SourceKind for BuildTree<'_> {
    fn obtain(&self, with: &Obtain) -> Result<Kernel, ObtainError> {
        Ok(from_tree(self.0, with)?)
    }

    fn origin(&self, _: &Kernel) -> Origin {
        if !self.0.is_dir() {
            return Origin::tarball();
        }
        Origin { names_release: false, config: ConfigOrigin::Tree(self.0.to_owned()) }
    }

    fn is_in_archives(&self) -> bool {
        false
    }

    fn why_not_locked(&self) -> Option<&'static str> {
        (!self.0.is_file()).then_some("a build tree changes with each build")
    }

    fn cached(&self, _: Option<&[LockedFile]>, _: &Store) -> (Cached, Option<u64>) {
        (Cached::of_own([self.0]), None)
    }
}

/// The kernel in package files.
fn from_packages(files: &[PathBuf], with: &Obtain) -> Result<Kernel, LocalError> {
    let Some(last) = files.last() else {
        let (packages, found) = ("no packages".to_owned(), "nothing".to_owned());
        return Err(AssembleError::NotOneKernel { packages, found, advice: "name at least one" }.into());
    };
    let mut locked = Vec::new();
    for (at, file) in files.iter().enumerate() {
        file_error::check("the package", file)?;
        let (sha256, size) = sum(file)?;
        compare(file, &sha256, at, with)?;
        locked.push(own_file(file, sha256, size));
    }
    none_left(last, files.len(), with)?;
    let unpack = || -> Result<_, AssembleError> {
        let files = files.iter().zip(&locked);
        Ok(files.map(|(file, own)| assemble::unpacked(&own.name, file, &own.sha256, with)).collect::<Result<_, _>>()?)
    };
    let (kernel, packages) = assemble::from_unpacked(unpack, with.store)?;
    for (file, package) in locked.iter_mut().zip(packages) {
        file.version = Some(package.version);
    }
    Ok(Kernel { files: locked, ..kernel })
}

/// The file's sha256 and length.
fn sum(file: &Path) -> Result<(String, u64), FileError> {
    let reading = |e| FileError::io("read", file, e);
    let mut open = File::open(file).map_err(reading)?;
    store::sha256_of(&mut open).map_err(reading)
}

/// The kernel in a tarball of a build.
fn from_tarball(tarball: &Path, with: &Obtain) -> Result<Kernel, LocalError> {
    let (sha256, size) = sum(tarball)?;
    compare(tarball, &sha256, 0, with)?;
    none_left(tarball, 1, with)?;
    let file = own_file(tarball, sha256.clone(), size);
    let unpack = || -> Result<_, AssembleError> { Ok(vec![assemble::unpacked(&file.name, tarball, &sha256, with)?]) };
    let (kernel, _) = assemble::from_unpacked(unpack, with.store)?;
    let provenance = vec![Provenance::File { path: tarball.to_owned(), sha256 }];
    Ok(Kernel { files: vec![file], provenance, ..kernel })
}

/// A file of the user's, as the lock has it.
fn own_file(path: &Path, sha256: String, size: u64) -> LockedFile {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let name = name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    LockedFile { name, version: None, sha256, size, addresses: Vec::new() }
}

/// Whether the file is the one that the lock has at this place.
fn compare(path: &Path, sha256: &str, at: usize, with: &Obtain) -> Result<(), LocalError> {
    let Some(locked) = with.locked else { return Ok(()) };
    let wanted = locked.get(at).map_or("none", |file| file.sha256.as_str());
    if wanted == sha256 {
        return Ok(());
    }
    let (path, found, wanted) = (path.to_owned(), sha256.to_owned(), wanted.to_owned());
    Err(LocalError::OtherThanLocked { path, found, wanted })
}

/// Checks that the lock has no more files than these. The last of them is `path`.
fn none_left(path: &Path, files: usize, with: &Obtain) -> Result<(), LocalError> {
    match with.locked.and_then(|locked| locked.get(files)) {
        None => Ok(()),
        Some(more) => Err(LocalError::LockedMore { path: path.to_owned(), more: more.name.clone() }),
    }
}

/// The kernel in an image file.
fn from_image(
    image: &Path,
    modules: Option<&Path>,
    config: Option<&Path>,
    with: &Obtain,
) -> Result<Kernel, LocalError> {
    let kernel = assemble::bare(image, with.store)?;
    compare(image, &kernel.image_sha256, 0, with)?;
    let size = fs::metadata(&kernel.image).map_err(|e| FileError::io("read", &kernel.image, e))?.len();
    let mut files = vec![own_file(image, kernel.image_sha256.clone(), size)];
    let modules = match modules {
        Some(folder) if folder.is_dir() => Modules::in_folder(folder, kernel.release.as_deref())?,
        Some(folder) => {
            let problem = "is not a folder; check the path";
            return Err(FileError::unusable("the modules folder", folder, problem).into());
        }
        None => Modules::default(),
    };
    if let Some(config) = config {
        file_error::check("the configuration", config)?;
        let (sha256, size) = sum(config)?;
        compare(config, &sha256, 1, with)?;
        files.push(own_file(config, sha256, size));
    }
    none_left(config.unwrap_or(image), files.len(), with)?;
    let config = config.map(read_config).transpose()?;
    Ok(Kernel { config, files, modules, ..kernel })
}

/// The kernel in a build tree.
fn from_tree(tree: &Path, with: &Obtain) -> Result<Kernel, LocalError> {
    if tree.is_file() && file_kind(tree).is_ok_and(|kind| kind == FileKind::Tarball) {
        return from_tarball(tree, with);
    }
    let unusable = |problem: &str| FileError::unusable("the build tree", tree, problem);
    if !tree.is_dir() {
        return Err(unusable("is neither a folder nor a tarball of one; check the path").into());
    }
    let image = tree.join(BUILT_IMAGE);
    if !image.is_file() {
        return Err(unusable("has no arch/x86/boot/bzImage; build it (`make bzImage`)").into());
    }
    let kernel = assemble::bare(&image, with.store)?;
    let config = Some(tree.join(".config")).filter(|path| path.is_file());
    let config = config.as_deref().map(read_config).transpose()?;
    // The image's own word comes first: make writes kernel.release before it links the image.
    let recorded = fs::read(tree.join("include/config/kernel.release")).ok();
    let release = kernel.release.clone().or_else(|| image::as_release(&recorded?));
    Ok(Kernel { release, config, modules: Modules::in_tree(tree)?, ..kernel })
}

fn read_config(path: &Path) -> Result<KernelConfig, AssembleError> {
    file_error::check("the configuration", path)?;
    let text = fs::read(path).map_err(|e| FileError::io("read", path, e))?;
    KernelConfig::parse(&text).map_err(|source| AssembleError::NotAConfig { path: path.to_owned(), source })
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
