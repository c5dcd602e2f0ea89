//! Finds the source of a line: Debian's package, or the user's tree or tarball.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::unpack;
use crate::kernel::apt::{self, SourcePackage};
use crate::kernel::build::{BuildError, BuildStep, SourceId, refuse_built, release_of};
use crate::kernel::obtain::Obtain;
use crate::kernel::progress::Progress;
use crate::kernel::store;
use crate::recipe::{ControlLine, Recipes};

/// A source that can be put into the cache.
pub(super) struct ControlSource {
    pub id: SourceId,
    pub line: &'static ControlLine,
    kind: SourceForm,
}

enum SourceForm {
    Package(SourcePackage),
    Tarball(PathBuf),
    Folder { path: PathBuf, bytes: u64 },
}

/// Debian's package of the line: the one used last, unless `refresh` asks for the newest. A point release alone causes
/// no rebuild.
pub(super) fn package(line: &'static ControlLine, with: &Obtain) -> Result<ControlSource, BuildError> {
    let record = format!("controls/{}/package.json", line.name);
    let known = if with.refresh { None } else { with.store.read_record::<SourcePackage>(&record) };
    let package = match known {
        Some(package) => package,
        None => {
            let found =
                apt::source_package(&line.package, &line.suite, with).map_err(BuildError::cache(BuildStep::Fetch))?;
            with.store.write_record(&record, &found).map_err(BuildError::cache(BuildStep::Fetch))?;
            found
        }
    };
    Ok(ControlSource::of_package(line, package))
}

/// The tree or tarball at `path`. It must be of one of the lines in `asked`; empty means any.
pub(super) fn named(path: &Path, asked: &[&ControlLine], with: &Obtain) -> Result<ControlSource, BuildError> {
    let path = &std::path::absolute(path).map_err(BuildError::io(BuildStep::Fetch, path))?;
    let not = |why: &str| BuildError::NotASource { path: path.clone(), why: why.to_owned() };
    let found = fs::metadata(path).map_err(|error| not(&error.to_string()))?;
    let (release, sha256, kind) = if found.is_dir() {
        let release = release_of(path).map_err(|why| not(&why))?;
        refuse_built(path)?;
        let (sha256, bytes) = unpack::stamp(path).map_err(BuildError::io(BuildStep::Fetch, path))?;
        (release, sha256, SourceForm::Folder { path: path.clone(), bytes })
    } else if found.is_file() {
        let (release, sha256) = tarball(path, &found, with)?;
        (release, sha256, SourceForm::Tarball(path.clone()))
    } else {
        return Err(not("it is neither a folder nor a file"));
    };
    let recipes = Recipes::built_in();
    let expected: Vec<&str> = match asked {
        [] => recipes.lines().iter().map(|line| line.name.as_str()).collect(),
        asked => asked.iter().map(|line| line.name.as_str()).collect(),
    };
    match recipes.line(&release).filter(|line| expected.contains(&line.name.as_str())) {
        Some(line) => {
            let id = SourceId { what: path.display().to_string(), sha256 };
            Ok(ControlSource { id, line, kind })
        }
        None => Err(BuildError::OtherLine { path: path.clone(), found: release, expected: expected.join(" or ") }),
    }
}

impl ControlSource {
    fn of_package(line: &'static ControlLine, package: SourcePackage) -> Self {
        let what = format!("{} {}", package.name(), package.version());
        let id = SourceId { what, sha256: package.sha256().to_owned() };
        Self { id, line, kind: SourceForm::Package(package) }
    }

    /// The folder of this source's trees in the cache.
    pub(super) fn folder(&self) -> String {
        format!("controls/{}/{}", self.line.name, self.id.sha256.get(..super::TREE_NAME).unwrap_or_default())
    }

    /// MiB that unpacking takes. Measured: linux-source-6.1 takes 1438 MiB and linux-source-6.12 1640, both twelve
    /// times as much as their packages, which need space at the same time.
    pub(super) fn unpacked_mib(&self) -> u64 {
        match &self.kind {
            SourceForm::Package(package) => (package.size() * 13) >> 20,
            SourceForm::Tarball(path) => (fs::metadata(path).map_or(0, |m| m.len()) * 12) >> 20,
            SourceForm::Folder { bytes, .. } => bytes >> 20,
        }
    }

    /// Puts the source into `target`, all of it or nothing. Returns another source if the mirror has replaced the
    /// package meanwhile.
    pub(super) fn put(&self, target: &Path, with: &Obtain) -> Result<Option<Self>, BuildError> {
        let draft = with.store.draft_folder().map_err(BuildError::cache(BuildStep::Unpack))?;
        let tree = match &self.kind {
            SourceForm::Package(package) => {
                let file = draft.path().join("source.deb");
                let fetched = apt::fetch_source(package, &self.line.suite, &file, with);
                if let Some(newer) = fetched.map_err(BuildError::cache(BuildStep::Fetch))? {
                    let record = format!("controls/{}/package.json", self.line.name);
                    with.store.write_record(&record, &newer).map_err(BuildError::cache(BuildStep::Fetch))?;
                    return Ok(Some(Self::of_package(self.line, newer)));
                }
                (with.tell)(Progress::Unpacking { package: self.id.what.clone() });
                unpack::package(&file, draft.path())?
            }
            SourceForm::Tarball(path) => {
                (with.tell)(Progress::Unpacking { package: self.id.what.clone() });
                unpack::tarball(path, draft.path())?
            }
            SourceForm::Folder { path, .. } => {
                (with.tell)(Progress::Copying { folder: path.clone() });
                let to = draft.path().join("tree");
                copy(path, &to, &self.id.sha256)?;
                to
            }
        };
        check(&tree, self)?;
        settle(&tree, target).map_err(BuildError::io(BuildStep::Unpack, target))?;
        Ok(None)
    }
}

/// Copies a tree that must have this stamp, before and after.
fn copy(from: &Path, to: &Path, stamp: &str) -> Result<(), BuildError> {
    let copied = unpack::copy(from, to);
    let (now, _) = unpack::stamp(from).map_err(BuildError::io(BuildStep::Unpack, from))?;
    // Checked first, because a change may be the reason why the copy failed.
    if now == stamp { copied } else { Err(BuildError::Changed { path: from.to_owned() }) }
}

/// Moves the tree to its place once it is safe on the disk. It has too many files to sync one by one.
fn settle(tree: &Path, target: &Path) -> io::Result<()> {
    rustix::fs::syncfs(File::open(tree)?)?;
    fs::create_dir_all(target.parent().unwrap_or(target))?;
    fs::rename(tree, target)
}

/// Checks that the unpacked tree is of the expected line.
fn check(tree: &Path, source: &ControlSource) -> Result<(), BuildError> {
    let path = PathBuf::from(&source.id.what);
    let release = release_of(tree).map_err(|why| BuildError::NotASource { path: path.clone(), why })?;
    if release == source.line.name {
        return Ok(());
    }
    Err(BuildError::OtherLine { path, found: release, expected: source.line.name.clone() })
}

/// The record of a tarball, to recognise it without hashing or unpacking it.
#[derive(Serialize, Deserialize, PartialEq)]
struct Known {
    size: u64,
    modified: (i64, i64),
    inode: u64,
    sha256: String,
    release: String,
}

/// The release line and sha256 of the tarball.
fn tarball(path: &Path, found: &fs::Metadata, with: &Obtain) -> Result<(String, String), BuildError> {
    let name = store::hex(Sha256::new_with_prefix(path.as_os_str().as_encoded_bytes()));
    let record = format!("controls/tarball-{}.json", name.get(..16).unwrap_or_default());
    let (size, modified, inode) = (found.len(), (found.mtime(), found.mtime_nsec()), found.ino());
    if let Some(known) = with.store.read_record::<Known>(&record)
        && (known.size, known.modified, known.inode) == (size, modified, inode)
    {
        return Ok((known.release, known.sha256));
    }
    let reading = || BuildError::io(BuildStep::Fetch, path);
    let (sha256, _) = store::sha256_of(&mut File::open(path).map_err(reading())?).map_err(reading())?;
    let release = unpack::release(path)?;
    let known = Known { size, modified, inode, sha256, release };
    with.store.write_record(&record, &known).map_err(BuildError::cache(BuildStep::Fetch))?;
    Ok((known.release, known.sha256))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::error_class::Blame;

    #[test]
    fn tree_that_changes_during_the_copy_is_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::write(from.join("x.c"), "x").unwrap();
        let (stamp, _) = unpack::stamp(&from).unwrap();
        copy(&from, &to, &stamp).unwrap();
        fs::write(from.join("x.c"), "xy").unwrap();
        let said = copy(&from, &to, &stamp).map_err(|error| (error.blame(), error.to_string()));
        assert!(matches!(&said, Err((Blame::User, text)) if text.contains("from changed while")), "{said:?}");
    }
}
