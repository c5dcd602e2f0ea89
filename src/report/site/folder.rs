//! The site's folder: whose it is, who writes it, and which of its files nobody needs any more.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use sha2::{Digest as _, Sha256};

use super::data::{PREFIX, parsed, script};
use super::error::SiteError;
use super::frame::GENERATOR;
use super::overview::{FORMAT, Overview};
use super::summary::SiteProgress;
use crate::regular;
use crate::results::{lock_if_possible, replace_file};

/// The frame.
pub(super) const INDEX: &str = "index.html";
/// The overview, and the folders beside it.
pub(super) const OVERVIEW: &str = "overview.js";
pub(super) const NIGHTS: &str = "nights";
pub(super) const CHANGES: &str = "changes";

/// How the names of the data folders start; the version follows.
const DATA: &str = "data-";

/// The largest overview that is read: that of a million runs.
const OVERVIEW_MOST: u64 = 1 << 28;

/// The names of unfinished files start so. The lock tells that nobody writes them.
const UNFINISHED: &str = ".writing-";

/// The site's folder, locked against other writers.
#[derive(Debug)]
pub(super) struct SiteFolder {
    path: PathBuf,
    /// The files written so far, and their bytes.
    pub(super) written: (usize, u64),
    _lock: File,
}

impl SiteFolder {
    /// Makes the folder, or checks that it has a site and nothing else. Waits while another process writes it.
    pub(super) fn open(path: &Path, tell: &mut dyn FnMut(&SiteProgress)) -> Result<Self, SiteError> {
        if path.exists() && !path.is_dir() {
            return Err(SiteError::NotFolder(path.to_owned()));
        }
        fs::create_dir_all(path).map_err(SiteError::io(path))?;
        let lock = lock(path, tell).map_err(SiteError::io(path))?;
        let folder = Self { path: path.to_owned(), written: (0, 0), _lock: lock };
        folder.check()?;
        for name in [NIGHTS, CHANGES] {
            let path = folder.data(name);
            fs::create_dir_all(&path).map_err(SiteError::io(&path))?;
        }
        Ok(folder)
    }

    /// A file or folder of the data.
    pub(super) fn data(&self, name: &str) -> PathBuf {
        self.path.join(format!("{DATA}{FORMAT}")).join(name)
    }

    pub(super) fn index(&self) -> PathBuf {
        self.path.join(INDEX)
    }

    /// Whether everything in it may be written. Hidden files, such as those of git, may stand beside a site.
    fn check(&self) -> Result<(), SiteError> {
        let entries = fs::read_dir(&self.path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries.map_err(SiteError::io(&self.path))?;
        let mut names: Vec<String> = entries.iter().map(|it| it.file_name().to_string_lossy().into_owned()).collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        let foreign = |found: &str| Err(SiteError::Foreign { folder: self.path.clone(), found: found.to_owned() });
        let index = self.index();
        if index.symlink_metadata().is_ok() && !starts_with_frame(&index) {
            return foreign(INDEX);
        }
        let has_data = |name: &String| is_version(name) && is_own_data(&self.path.join(name));
        let has_overview = |name: &String| has_data(name) && self.path.join(name).join(OVERVIEW).exists();
        match names.iter().find(|name| *name != INDEX && !has_data(name)) {
            Some(found) if !index.exists() && !names.iter().any(has_overview) => foreign(found),
            _ => Ok(()),
        }
    }

    /// The overview that is there. None if there is none of this version, or it is damaged.
    pub(super) fn overview(&self) -> Option<Overview> {
        let overview: Overview = parsed(&regular::read(&self.data(OVERVIEW), OVERVIEW_MOST).ok()?)?;
        (overview.site == "overview" && overview.format == FORMAT).then_some(overview)
    }

    /// Whether a site is there, of whatever version.
    pub(super) fn has_site(&self) -> bool {
        self.index().exists() || self.has_overview()
    }

    /// Whether an overview of this version is there, damaged or not.
    pub(super) fn has_overview(&self) -> bool {
        self.data(OVERVIEW).is_file()
    }

    /// Writes a data file, unless it is there already. Returns its bytes.
    pub(super) fn put_data(&mut self, name: &str, value: &impl serde::Serialize) -> Result<u64, SiteError> {
        let path = self.data(name);
        let bytes = script(value).map_err(SiteError::io(&path))?;
        self.put(&path, &bytes)?;
        Ok(bytes.len() as u64)
    }

    /// Writes a file whole or not at all, unless it is there already.
    pub(super) fn put(&mut self, path: &Path, bytes: &[u8]) -> Result<(), SiteError> {
        if regular::read(path, bytes.len() as u64).is_ok_and(|found| found == bytes) {
            return Ok(());
        }
        replace_file(path, bytes, false).map_err(SiteError::io(path))?;
        self.written = (self.written.0 + 1, self.written.1 + bytes.len() as u64);
        Ok(())
    }

    /// Removes the data files of this version that an overview does not need, and those of other versions if `all`, and
    /// returns how many. Files that backproof did not write stay. What cannot be removed harms nobody, and is tried again
    /// next time.
    pub(super) fn sweep(&self, overview: &Overview, all: bool) -> usize {
        let nights = overview.files().map(|file| self.data(NIGHTS).join(&file.name));
        let changes = overview.runs().map(|run| self.data(CHANGES).join(run.changes_name()));
        let needed: BTreeSet<PathBuf> = nights.chain(changes).chain([self.data(OVERVIEW)]).collect();
        let own = self.data("");
        let is_data = |path: &Path| path.file_name().and_then(OsStr::to_str).is_some_and(is_version);
        let is_other = |path: &Path| all && is_own(&path.join(OVERVIEW));
        let mut removed = 0;
        for version in folders(&self.path).filter(|path| is_data(path) && (*path == own || is_other(path))) {
            for folder in [version.clone(), version.join(NIGHTS), version.join(CHANGES)] {
                removed += remove_unfinished(&folder);
                let unneeded = files(&folder).filter(|path| !needed.contains(path) && is_own(path));
                removed += unneeded.filter(|path| fs::remove_file(path).is_ok()).count();
            }
            if version != own {
                // Only empty folders go.
                for folder in [version.join(NIGHTS), version.join(CHANGES), version] {
                    let _ = fs::remove_dir(folder);
                }
            }
        }
        removed
    }
}

/// Locks a folder for one writer.
fn lock(folder: &Path, tell: &mut dyn FnMut(&SiteProgress)) -> io::Result<File> {
    let file = File::open(folder)?;
    match lock_if_possible(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            tell(&SiteProgress::Waiting);
            lock_if_possible(&file, FlockOperation::LockExclusive)?;
        }
        taken => taken?,
    }
    Ok(file)
}

fn entries(folder: &Path) -> impl Iterator<Item = (PathBuf, fs::FileType)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.path(), entry.file_type().ok()?)))
}

/// The folders in a folder. Links are not followed.
fn folders(folder: &Path) -> impl Iterator<Item = PathBuf> {
    entries(folder).filter(|(_, kind)| kind.is_dir()).map(|(path, _)| path)
}

fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    entries(folder).filter(|(_, kind)| kind.is_file()).map(|(path, _)| path)
}

fn remove_unfinished(folder: &Path) -> usize {
    let is_unfinished =
        |path: &PathBuf| path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with(UNFINISHED));
    files(folder).filter(is_unfinished).filter(|path| fs::remove_file(path).is_ok()).count()
}

/// Whether a folder of this name has the data of a version.
fn is_version(name: &str) -> bool {
    name.strip_prefix(DATA).is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether backproof wrote this data file.
fn is_own(path: &Path) -> bool {
    starts_with(path, PREFIX.len() as u64, |start| start == PREFIX.as_bytes())
}

/// Whether backproof made this data folder, even if it was stopped before it wrote anything there.
fn is_own_data(folder: &Path) -> bool {
    let is_known = |path: &Path| match path.file_name().and_then(OsStr::to_str) {
        Some(OVERVIEW) => is_own(path),
        Some(NIGHTS | CHANGES) => path.is_dir(),
        Some(name) => name.starts_with(UNFINISHED),
        None => false,
    };
    folder.is_dir() && entries(folder).all(|(path, _)| is_known(&path))
}

/// Whether backproof wrote this frame.
fn starts_with_frame(path: &Path) -> bool {
    starts_with(path, 1024, |start| start.windows(GENERATOR.len()).any(|found| found == GENERATOR.as_bytes()))
}

fn starts_with(path: &Path, most: u64, is: impl FnOnce(&[u8]) -> bool) -> bool {
    let mut start = Vec::new();
    regular::open(path).and_then(|file| file.take(most).read_to_end(&mut start)).is_ok() && is(&start)
}

/// The first 16 digits of a sha256.
pub(super) fn short_hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
