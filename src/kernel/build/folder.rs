//! A user's source folder: its files by content. Files that didn't change since the last look aren't read again.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::error::{BuildError, BuildStep};
use super::listing::{BlobId, FileId, FileMode, Listing};
use super::makefile::refuse_built;
use crate::regular;

/// The most files of one source; 6.12 has 87,000.
pub(super) const MAX_FILES: usize = 500_000;

/// The largest source file, in bytes. The largest of 6.12 has 23 MiB.
pub(super) const MAX_FILE: u64 = 512 << 20;

/// A file that was written later than this before a look may change again without a new time.
const SETTLED: Duration = Duration::from_secs(3);

/// A source folder that was looked through.
pub(super) struct SourceFolder {
    pub path: PathBuf,
    /// The size of its files.
    pub bytes: u64,
    pub listing: Listing,
}

/// The files of a folder as they were at the last look.
#[derive(Default, PartialEq, Serialize, Deserialize)]
pub(super) struct SeenFiles {
    files: BTreeMap<String, SeenFile>,
}

/// A file's content, and what changes with it: size, time of content and of inode, and inode.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct SeenFile(FileId, (u64, i64, i64, i64, i64, u64));

impl SourceFolder {
    /// Looks through a folder. Returns what to remember for the next look, too.
    pub(super) fn look(path: &Path, seen: &SeenFiles) -> Result<(Self, SeenFiles), BuildError> {
        let not = |why: String| BuildError::NotASource { path: path.to_owned(), why };
        let found = fs::metadata(path).map_err(|error| not(error.to_string()))?;
        if !found.is_dir() {
            return Err(not("it is not a folder".to_owned()));
        }
        refuse_built(path)?;
        let mut look = FolderLook {
            top: path,
            before: seen,
            now: SeenFiles::default(),
            listing: Listing::default(),
            bytes: 0,
            settled: SystemTime::now().checked_sub(SETTLED).unwrap_or(SystemTime::UNIX_EPOCH),
        };
        look.folder("")?;
        Ok((Self { path: path.to_owned(), bytes: look.bytes, listing: look.listing }, look.now))
    }

    /// A file of the listing, which must not have changed since.
    pub(super) fn read(&self, name: &str, id: &FileId) -> Result<Vec<u8>, BuildError> {
        let path = self.path.join(name);
        let changed = || BuildError::Changed { path: self.path.clone() };
        let content = content(&path, id.mode).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => changed(),
            _ => BuildError::io(BuildStep::Unpack, &path)(error),
        })?;
        if BlobId::of(&content) == id.blob { Ok(content) } else { Err(changed()) }
    }
}

struct FolderLook<'a> {
    top: &'a Path,
    before: &'a SeenFiles,
    now: SeenFiles,
    listing: Listing,
    bytes: u64,
    settled: SystemTime,
}

impl FolderLook<'_> {
    fn folder(&mut self, below: &str) -> Result<(), BuildError> {
        let path = self.top.join(below);
        let reading = || BuildError::io(BuildStep::Fetch, &path);
        let not = |why: String| BuildError::NotASource { path: self.top.to_owned(), why };
        for entry in fs::read_dir(&path).map_err(reading())? {
            let entry = entry.map_err(reading())?;
            let Ok(name) = entry.file_name().into_string() else {
                return Err(not(format!("it has a file whose name is not UTF-8: {}", entry.path().display())));
            };
            if name == ".git" {
                continue;
            }
            let name = if below.is_empty() { name } else { format!("{below}/{name}") };
            // A file may vanish meanwhile: an editor's, for example.
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() {
                self.folder(&name)?;
            } else if let Some(mode) = mode(&found) {
                if self.listing.files.len() >= MAX_FILES {
                    return Err(not("it has more files than any kernel".to_owned()));
                }
                self.file(name, &found, mode)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, name: String, found: &Metadata, mode: FileMode) -> Result<(), BuildError> {
        let stamp = (found.size(), found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec(), found.ino());
        let known = self.before.files.get(&name).filter(|seen| seen.1 == stamp && seen.0.mode == mode);
        let id = match known {
            Some(seen) => seen.0,
            None => {
                let path = self.top.join(&name);
                let content = content(&path, mode).map_err(BuildError::io(BuildStep::Fetch, &path))?;
                FileId { mode, blob: BlobId::of(&content) }
            }
        };
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(found.ctime().max(0).cast_unsigned());
        if changed < self.settled {
            self.now.files.insert(name.clone(), SeenFile(id, stamp));
        }
        self.bytes += found.size();
        self.listing.files.insert(name, id);
        Ok(())
    }
}

/// None for what is neither a file nor a link.
pub(super) fn mode(found: &Metadata) -> Option<FileMode> {
    match found.permissions().mode() & 0o100 {
        _ if found.is_symlink() => Some(FileMode::Link),
        _ if !found.is_file() => None,
        0 => Some(FileMode::Plain),
        _ => Some(FileMode::Executable),
    }
}

/// The content of a file, or the target of a link.
pub(super) fn content(path: &Path, mode: FileMode) -> io::Result<Vec<u8>> {
    use std::os::unix::ffi::OsStringExt as _;
    match mode {
        FileMode::Link => Ok(fs::read_link(path)?.into_os_string().into_vec()),
        FileMode::Plain | FileMode::Executable => regular::read(path, MAX_FILE),
    }
}
