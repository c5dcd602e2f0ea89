//! A build whose inputs were all read: the source with its patches, and the configuration.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::BuildError;
use super::kept::{self, BuildRecord};
use super::listing::{BlobId, FileId, FileMode, Listing};
use super::order::{self, BuildConfigOrder};
use super::origin::OpenOrigin;
use super::patch::{Direction, Patched, PatchedFile};
use super::snapshot::{SnapshotBase, SourceSnapshot};
use super::source_copy::SourceToCopy;
use crate::kernel::config::KernelConfig;
use crate::kernel::file_error::{self, FileError};
use crate::kernel::obtain::Obtain;
use crate::kernel::obtained::Kernel;
use crate::kernel::provenance::Provenance;
use crate::kernel::store::{self, sha256_of_parts};
use crate::matrix::{BuildOrigin, BuildSource, Commit, LockedFile};
use crate::regular;

/// The largest patch, in bytes; the one of 6.1's last stable release over 6.1 has some 90 MiB.
pub const PATCH_MAX: u64 = 256 << 20;

/// The content of each file that patches changed; none if they removed it.
type PatchedFiles = BTreeMap<String, Option<Vec<u8>>>;

/// The name of the source in the lock.
const SOURCE: &str = "source";

/// A build that is ready to start.
pub(super) struct PreparedBuild {
    pub origin: OpenOrigin,
    /// The origin's path, for people.
    pub path: PathBuf,
    /// The files with all patches.
    listing: Listing,
    patched: PatchedFiles,
    pub config: BuildConfigOrder,
    /// The key of its record.
    pub key: String,
    /// What it was resolved to, for the lock.
    files: Vec<LockedFile>,
    source_sha256: String,
    patches: Vec<String>,
    repo: Option<(PathBuf, String)>,
}

impl PreparedBuild {
    /// Reads everything that the build depends on.
    pub(super) fn of(wanted: &BuildSource, with: &Obtain) -> Result<Self, BuildError> {
        let locked = |name: &str| with.locked.and_then(|files| files.iter().find(|file| file.name == name));
        let commit = locked(SOURCE).and_then(|source| source.version.as_deref());
        let origin = OpenOrigin::open(&wanted.origin, commit, with.store)?;
        let mut files = vec![LockedFile {
            name: SOURCE.to_owned(),
            version: origin.commit.as_ref().map(|(commit, _)| commit.clone()),
            sha256: origin.listing.sha256(),
            size: 0,
            addresses: Vec::new(),
        }];
        let mut patched = Patched::default();
        let mut patches = Vec::new();
        let reverted = wanted.revert.iter().rev().map(|path| (path, Direction::Reverse));
        for (path, direction) in reverted.chain(wanted.patches.iter().map(|path| (path, Direction::Forward))) {
            file_error::check("the patch", path)?;
            let patch = regular::read(path, PATCH_MAX).map_err(|error| FileError::io("read", path, error))?;
            let misfit = |file: String, why: String| {
                let reverse = direction == Direction::Reverse;
                BuildError::Misfit { patch: path.clone(), reverse, file, why }
            };
            let mut failed = None;
            let applied = patched.apply(&patch, direction, |file| stock(&origin, file, &mut failed));
            if let Some(error) = failed {
                return Err(error);
            }
            applied.map_err(|found| misfit(found.file, found.why))?;
            files.push(file_of(path, &patch));
            patches.push(files.last().map(|file| file.sha256.clone()).unwrap_or_default());
        }
        let mut config = order::order(wanted)?;
        files.extend(config.files.iter().map(|(path, text)| file_of(path, text)));
        compare(&files, with.locked)?;

        let (listing, patched) = with_patches(&origin.listing, &patched);
        config.order.depends = Some(format!("Kconfig {}", listing.kconfig_sha256()));
        let source_sha256 = listing.sha256();
        let key = kept::key(&source_sha256, &config.order.text);
        let repo = match &wanted.origin {
            BuildOrigin::Repo { repo, revision } => Some((repo.clone(), revision.clone())),
            BuildOrigin::Tree(_) => None,
        };
        let path = wanted.origin.path().to_owned();
        Ok(Self { origin, path, listing, patched, config, key, files, source_sha256, patches, repo })
    }

    /// What people should know of the inputs.
    pub(super) fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if let (None, Some((commit, changed @ 1..))) = (&self.repo, &self.origin.commit) {
            let short = commit.get(..12).unwrap_or(commit);
            remarks.push(format!("the tree is built as it is: {changed} of its files differ from its commit {short}"));
        }
        if !self.config.adapted.is_empty() {
            let lines = self.config.adapted.join(", ");
            remarks.push(format!("modules are not built; changed in the configuration: {lines}"));
        }
        remarks
    }

    /// The files that patches changed.
    pub(super) fn patched(&self) -> impl Iterator<Item = &str> {
        self.patched.keys().map(String::as_str)
    }

    /// Its files for the lock.
    pub(super) fn into_files(self) -> Vec<LockedFile> {
        self.files
    }

    /// The kernel of a record.
    pub(super) fn kernel(&self, built: &BuildRecord, with: &Obtain) -> Result<Kernel, BuildError> {
        let store = with.store;
        if !(store.verify(&built.image_sha256)? & store.verify(&built.config_sha256)?) {
            // The damaged file was removed, so the next build makes it again.
            return Err(crate::kernel::assemble::damaged(store).into());
        }
        let path = store.blob(&built.config_sha256);
        let text = fs::read(&path).map_err(|error| FileError::io("read", &path, error))?;
        let config = KernelConfig::parse(&text).map_err(|source| BuildError::NotAConfig { path, source })?;
        let commit = self.origin.commit.as_ref();
        let from = Provenance::Build {
            source: self.path.clone(),
            revision: self.repo.as_ref().map(|(_, revision)| revision.clone()),
            commit: commit.map(|(commit, _)| commit.clone()),
            changed_files: commit.map_or(0, |(_, changed)| *changed),
            source_sha256: self.source_sha256.clone(),
            patches: self.patches.clone(),
            config_sha256: sha256_of_parts(&[&self.config.order.text]),
            adapted: self.config.adapted.clone(),
            dropped: built.dropped.clone(),
            workarounds: built.workarounds.clone(),
            toolchain: built.toolchain.clone(),
        };
        let image = store.blob(&built.image_sha256);
        let kernel = Kernel::of_image(image, built.image_sha256.clone(), built.release.clone(), from);
        let lockable = self.repo.is_some();
        let files = if lockable { self.files.clone() } else { Vec::new() };
        Ok(Kernel { config: Some(config), files, source: Some(self.snapshot()), commit: self.commit(), ..kernel })
    }

    /// The commit that it was built from; none if patches changed it.
    fn commit(&self) -> Option<Commit> {
        let (repository, _) = self.repo.as_ref().filter(|_| self.patched.is_empty())?;
        let (revision, _) = self.origin.commit.as_ref()?;
        Some(Commit { repository: repository.clone(), revision: revision.clone() })
    }

    fn snapshot(&self) -> SourceSnapshot {
        let base = match (&self.repo, &self.origin.commit) {
            (Some((repository, _)), Some((commit, _))) => {
                SnapshotBase::Commit { repository: repository.clone(), commit: commit.clone() }
            }
            _ => SnapshotBase::Folder(self.path.clone()),
        };
        SourceSnapshot { base, patched: self.patched.clone() }
    }
}

impl SourceToCopy for PreparedBuild {
    fn listing(&self) -> &Listing {
        &self.listing
    }

    fn require(&self, files: &mut dyn Iterator<Item = (&String, &FileId)>) -> Result<(), BuildError> {
        self.origin.require(&mut files.filter(|(path, _)| !self.patched.contains_key(*path)))
    }

    fn read(&self, path: &str, id: &FileId) -> Result<Vec<u8>, BuildError> {
        match self.patched.get(path) {
            Some(Some(text)) => Ok(text.clone()),
            _ => self.origin.read(path, id),
        }
    }
}

/// A file of the source without patches. An error that is not the patch's goes into `failed`.
fn stock(origin: &OpenOrigin, path: &str, failed: &mut Option<BuildError>) -> Result<Option<Vec<u8>>, String> {
    if let Some(link) = origin.listing.link_above(path) {
        return Err(format!("{link} is a link, and no patch is applied through it"));
    }
    match origin.listing.files.get(path) {
        None => Ok(None),
        Some(id) if id.mode == FileMode::Link => Err("it is a link, expected a file".to_owned()),
        Some(id) => origin.read(path, id).map(Some).map_err(|error| {
            let why = error.to_string();
            *failed = Some(error);
            why
        }),
    }
}

/// The listing with the patched files, and these.
fn with_patches(stock: &Listing, patched: &Patched) -> (Listing, PatchedFiles) {
    let mut listing = stock.clone();
    let mut texts = BTreeMap::new();
    for PatchedFile { path, text, executable, origin } in patched.files() {
        let before = stock.files.get(path);
        let mode = match executable {
            Some(true) => FileMode::Executable,
            Some(false) => FileMode::Plain,
            // A script that is moved stays one.
            None => before.or_else(|| stock.files.get(origin)).map_or(FileMode::Plain, |id| id.mode),
        };
        let id = FileId { mode, blob: BlobId::of(text.unwrap_or_default()) };
        // Patches that cancel each other out change nothing.
        if text.is_some() && before == Some(&id) || text.is_none() && before.is_none() {
            continue;
        }
        match text {
            Some(_) => listing.files.insert(path.to_owned(), id),
            None => listing.files.remove(path),
        };
        texts.insert(path.to_owned(), text.map(<[u8]>::to_vec));
    }
    (listing, texts)
}

fn file_of(path: &Path, content: &[u8]) -> LockedFile {
    use sha2::Digest as _;
    LockedFile {
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        version: None,
        sha256: store::hex(sha2::Sha256::new_with_prefix(content)),
        size: content.len() as u64,
        addresses: Vec::new(),
    }
}

/// Compares the inputs with the lock's.
fn compare(files: &[LockedFile], locked: Option<&[LockedFile]>) -> Result<(), BuildError> {
    let Some(locked) = locked else { return Ok(()) };
    let other = |what: &str, found: &str, wanted: &str| BuildError::OtherThanLocked {
        what: what.to_owned(),
        found: found.to_owned(),
        wanted: wanted.to_owned(),
    };
    for (at, file) in files.iter().enumerate() {
        match locked.get(at) {
            Some(wanted) if wanted.sha256 == file.sha256 => {}
            Some(wanted) => return Err(other(&file.name, &file.sha256, &wanted.sha256)),
            None => return Err(other(&file.name, &file.sha256, "no such file")),
        }
    }
    match locked.get(files.len()) {
        Some(more) => Err(other(&more.name, "missing", &more.sha256)),
        None => Ok(()),
    }
}
