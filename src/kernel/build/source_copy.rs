//! The copy of a source in the cache, shared by all builds of one origin.
//!
//! ```text
//! builds/<origin>/origin.json  the path of the origin, for people
//!                /src          the source of the last build, with its patches
//!                /source.json  its files by content; absent while they are being written
//!                /seen.json    the user's files at the last look
//!                /obj/<config> the objects of one family of configurations
//!                /<config>.building
//!                              exists while make works there
//!                /logs         make's output
//! ```
//!
//! Only files whose content changes are written: make goes by times, so a file's time must change exactly when its
//! content does.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::{BuildError, BuildStep};
use super::folder::{SeenFiles, content, mode};
use super::listing::{BlobId, FileId, FileMode, Listing};
use super::objects::ObjectTree;
use crate::json;
use crate::kernel::store::{Store, sha256_of_parts};

/// The copy of one origin.
pub(super) struct SourceCopy {
    /// Its folder, below the cache's.
    below: String,
    name: String,
    origin: PathBuf,
}

/// The record of an origin.
#[derive(Serialize)]
struct OriginRecord<'a> {
    #[serde(serialize_with = "json::path")]
    origin: &'a Path,
}

/// A source to copy.
pub(super) trait SourceToCopy {
    /// Its files.
    fn listing(&self) -> &Listing;

    /// Checks that these files can be read, before anything is written.
    fn require(&self, files: &mut dyn Iterator<Item = (&String, &FileId)>) -> Result<(), BuildError>;

    /// The content of a file.
    fn read(&self, path: &str, id: &FileId) -> Result<Vec<u8>, BuildError>;
}

/// The files that an update changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CopyUpdate {
    pub written: usize,
    pub removed: usize,
}

impl SourceCopy {
    /// Of this folder, or of the repository with its objects in this folder.
    pub(super) fn of(origin: &Path) -> Self {
        let sum = sha256_of_parts(&[&origin.to_string_lossy()]);
        let name = sum.get(..16).unwrap_or_default().to_owned();
        Self { below: format!("builds/{name}"), name, origin: origin.to_owned() }
    }

    /// Makes its folder.
    fn make(&self, store: &Store) -> Result<(), BuildError> {
        let folder = store.path(&self.below);
        make_folder(&folder)?;
        if folder.join("origin.json").exists() {
            return Ok(());
        }
        let record = OriginRecord { origin: &self.origin };
        let written = store.write_record(&format!("{}/origin.json", self.below), &record);
        written.map_err(BuildError::cache(BuildStep::Fetch))
    }

    /// The store's lock of all that is in its folder.
    pub(super) fn lock(&self) -> String {
        format!("builds-{}", self.name)
    }

    /// The record of the user's files.
    pub(super) fn seen(&self) -> String {
        format!("{}/seen.json", self.below)
    }

    fn listing(&self) -> String {
        format!("{}/source.json", self.below)
    }

    pub(super) fn src(&self, store: &Store) -> PathBuf {
        store.path(&self.below).join("src")
    }

    pub(super) fn logs(&self, store: &Store) -> PathBuf {
        store.path(&self.below).join("logs")
    }

    /// The objects of a family of configurations.
    pub(super) fn objects(&self, family: &str, store: &Store) -> ObjectTree {
        let folder = store.path(&self.below);
        let (obj, mark) = (folder.join("obj").join(family), folder.join(format!("{family}.building")));
        ObjectTree { src: folder.join("src"), obj, mark }
    }

    /// Keeps what is known of the user's files.
    pub(super) fn remember(&self, seen: &SeenFiles, store: &Store) -> Result<(), BuildError> {
        self.make(store)?;
        store.write_record(&self.seen(), seen).map_err(BuildError::cache(BuildStep::Fetch))
    }

    /// The files that are there, and whole.
    fn present(&self, store: &Store) -> Result<Listing, BuildError> {
        if let Some(known) = store.own_record(&self.listing()) {
            return Ok(known);
        }
        // An update was killed, so only the content tells which files are right.
        let src = self.src(store);
        let mut listing = Listing::default();
        list(&src, "", &mut listing).map_err(BuildError::io(BuildStep::Unpack, &src))?;
        Ok(listing)
    }

    /// Makes the copy equal to the source.
    pub(super) fn update(&self, source: &impl SourceToCopy, store: &Store) -> Result<CopyUpdate, BuildError> {
        let wanted = source.listing();
        let src = self.src(store);
        self.make(store)?;
        make_folder(&src)?;
        let present = self.present(store)?;
        let mut update = CopyUpdate::default();
        if present == *wanted && store.path(&self.listing()).exists() {
            return Ok(update);
        }
        let to_write = || wanted.files.iter().filter(|(path, id)| present.files.get(*path) != Some(*id));
        source.require(&mut to_write())?;
        store.remove_record(&self.listing()).map_err(BuildError::cache(BuildStep::Unpack))?;
        let families = self.families(store)?;
        let drop_objects = |path: &str| families.iter().try_for_each(|tree| tree.drop_object(Path::new(path)));
        for path in present.files.keys().filter(|path| !wanted.files.contains_key(*path)) {
            // Otherwise make would link the object of a file that is gone.
            drop_objects(path)?;
            remove(&src, path).map_err(BuildError::io(BuildStep::Unpack, &src.join(path)))?;
            update.removed += 1;
        }
        for (path, id) in to_write() {
            let content = source.read(path, id)?;
            drop_objects(path)?;
            write(&src, path, id.mode, &content).map_err(BuildError::io(BuildStep::Unpack, &src.join(path)))?;
            update.written += 1;
        }
        let synced = fs::File::open(&src).and_then(|folder| Ok(rustix::fs::syncfs(folder)?));
        synced.map_err(BuildError::io(BuildStep::Unpack, &src))?;
        store.write_record(&self.listing(), wanted).map_err(BuildError::cache(BuildStep::Unpack))?;
        Ok(update)
    }

    /// The object trees of all families.
    fn families(&self, store: &Store) -> Result<Vec<ObjectTree>, BuildError> {
        let folder = store.path(&self.below).join("obj");
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(BuildError::io(BuildStep::Unpack, &folder)(error)),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.map(|family| self.objects(&family, store)).collect())
    }
}

fn make_folder(folder: &Path) -> Result<(), BuildError> {
    fs::create_dir_all(folder).map_err(BuildError::io(BuildStep::Unpack, folder))
}

/// Lists the files and links below a folder by their content.
fn list(src: &Path, below: &str, listing: &mut Listing) -> io::Result<()> {
    for entry in fs::read_dir(src.join(below))? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let name = if below.is_empty() { name } else { format!("{below}/{name}") };
        let found = entry.metadata()?;
        if found.is_dir() {
            list(src, &name, listing)?;
        } else if let Some(mode) = mode(&found) {
            listing.files.insert(name, FileId { mode, blob: BlobId::of(&content(&entry.path(), mode)?) });
        }
    }
    Ok(())
}

/// Removes a file, and the folders that it leaves empty.
fn remove(src: &Path, path: &str) -> io::Result<()> {
    match fs::remove_file(src.join(path)) {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Err(error),
        _ => {}
    }
    let mut folder = Path::new(path).parent();
    while let Some(above) = folder.filter(|above| !above.as_os_str().is_empty()) {
        if fs::remove_dir(src.join(above)).is_err() {
            break;
        }
        folder = above.parent();
    }
    Ok(())
}

/// Writes a file. The record of the files is absent meanwhile, so a half-written one is found by its content.
fn write(src: &Path, path: &str, mode: FileMode, content: &[u8]) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let target = src.join(path);
    fs::create_dir_all(target.parent().unwrap_or(src))?;
    match fs::symlink_metadata(&target) {
        // Not through a link, and not into a file that is linked elsewhere.
        Ok(_) => fs::remove_file(&target)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    match mode {
        FileMode::Link => std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(content), &target),
        FileMode::Plain => fs::write(&target, content),
        FileMode::Executable => {
            fs::write(&target, content)?;
            fs::set_permissions(&target, fs::Permissions::from_mode(0o755))
        }
    }
}

#[cfg(test)]
#[path = "source_copy_tests.rs"]
mod tests;
