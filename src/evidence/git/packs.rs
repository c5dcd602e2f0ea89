//! Checks the indexes of packs before libgit2 maps them. libgit2 trusts their content, so a damaged one can crash the
//! process. Each ends with a checksum of the rest (gitformat-pack(5)).

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::GitError;
use super::repository::{SETTLED, hex};

/// The depth to which alternates of alternates are followed, as in git.
const DEEPEST: usize = 5;
/// The longest list of alternates to read, in bytes.
const LONGEST: u64 = 1 << 20;
/// The length of a checksum.
const SUM: u64 = 20;

/// The indexes of a repository's packs.
pub(super) struct PackIndexes {
    files: Vec<PathBuf>,
    stamp: Option<String>,
}

impl PackIndexes {
    /// Lists the indexes in a folder of objects and in its alternates.
    pub fn of(objects: &Path) -> Self {
        let mut folders = vec![objects.to_owned()];
        let (mut from, mut depth) = (0, 0);
        while from < folders.len() && depth < DEEPEST {
            let next: Vec<PathBuf> = folders[from..].iter().flat_map(|folder| alternates(folder)).collect();
            from = folders.len();
            folders.extend(next);
            depth += 1;
        }
        let mut files: Vec<PathBuf> = Vec::new();
        for folder in folders {
            let entries = fs::read_dir(folder.join("pack")).into_iter().flatten().flatten().map(|entry| entry.path());
            let is_index =
                |path: &PathBuf| path.extension().is_some_and(|end| end == "idx") || path.ends_with("multi-pack-index");
            files.extend(entries.filter(is_index));
        }
        files.sort();
        files.dedup();
        let stamp = stamp(&files);
        Self { files, stamp }
    }

    /// A text that changes when any of them does. None if one changed so recently that a further change might have the
    /// same time.
    pub fn stamp(&self) -> Option<&str> {
        self.stamp.as_deref()
    }

    /// Checks each against its checksum.
    pub fn check(&self) -> Result<(), GitError> {
        for file in &self.files {
            let what = match check(file) {
                Ok(None) => continue,
                Ok(Some(what)) => what.to_owned(),
                Err(error) => error.to_string(),
            };
            return Err(GitError::PackIndex { file: file.clone(), what });
        }
        Ok(())
    }
}

/// The folders of objects that a folder's `info/alternates` names.
fn alternates(objects: &Path) -> Vec<PathBuf> {
    let list = objects.join("info/alternates");
    let is_small = fs::metadata(&list).is_ok_and(|about| about.is_file() && about.len() <= LONGEST);
    let text = if is_small { fs::read_to_string(&list).unwrap_or_default() } else { String::new() };
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| objects.join(line)).collect()
}

fn stamp(files: &[PathBuf]) -> Option<String> {
    use sha2::{Digest as _, Sha256};
    let lately = SystemTime::now().checked_sub(SETTLED)?;
    let mut digest = Sha256::new();
    for file in files {
        let about = fs::metadata(file).ok()?;
        if about.modified().ok()? >= lately {
            return None;
        }
        digest.update(format!("{:?}", (file, about.len(), about.mtime(), about.mtime_nsec(), about.ino())));
    }
    Some(hex(&digest.finalize()))
}

/// The defect of an index; none if its checksum is right.
fn check(file: &Path) -> io::Result<Option<&'static str>> {
    use sha1::{Digest as _, Sha1};
    if !fs::metadata(file)?.is_file() {
        return Ok(Some("it is not a regular file"));
    }
    let file = File::open(file)?;
    let Some(len) = file.metadata()?.len().checked_sub(SUM) else { return Ok(Some("it is too short")) };
    let mut digest = Sha1::new();
    let mut body = file.take(len);
    let mut chunk = vec![0; 1 << 20];
    loop {
        match body.read(&mut chunk)? {
            0 => break,
            read => digest.update(&chunk[..read]),
        }
    }
    let mut said = [0; SUM as usize];
    body.into_inner().read_exact(&mut said)?;
    Ok((digest.finalize()[..] != said).then_some("its checksum is wrong"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::Repository;
    use super::super::fixture::Fixture;
    use super::*;

    fn packed(fixture: &Fixture, arguments: &[&str]) -> Vec<PathBuf> {
        let done = Command::new("git").arg("-C").arg(fixture.path()).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        PackIndexes::of(&fixture.path().join("objects")).files
    }

    /// Overwrites a file, which git makes read-only.
    fn put(file: &Path, bytes: &[u8]) {
        fs::remove_file(file).unwrap();
        fs::write(file, bytes).unwrap();
    }

    #[test]
    fn flipped_byte_in_a_pack_index_is_rejected() {
        let fixture = Fixture::new();
        fixture.mainline();
        let files = packed(&fixture, &["repack", "-adq"]);
        let [file] = files.as_slice() else { panic!("{files:?}") };
        let whole = fs::read(file).unwrap();
        assert!(fixture.try_index().is_ok());
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            put(file, &flipped);
            // The cached index was made with the intact file, and must not vouch for this one.
            match fixture.try_index().map(|_| ()) {
                Err(error @ GitError::PackIndex { .. }) if at > 0 => drop(error),
                Err(error @ GitError::PackIndex { .. }) => {
                    let says = error.to_string();
                    assert!(says.contains("its checksum is wrong") && says.contains("index-pack"), "{says}");
                }
                other => panic!("byte {at}: {other:?}"),
            }
        }
        for length in [0, 19, 20, whole.len() - 1] {
            put(file, &whole[..length]);
            assert!(matches!(fixture.try_index().map(|_| ()), Err(GitError::PackIndex { .. })), "cut to {length}");
        }
        put(file, &whole);
        assert!(fixture.try_index().is_ok());
    }

    #[test]
    fn damaged_index_of_an_alternate_is_rejected() {
        let (fixture, other) = (Fixture::new(), Fixture::new());
        other.mainline();
        packed(&other, &["repack", "-adq"]);
        let list = fixture.path().join("objects/info/alternates");
        fs::create_dir_all(list.parent().unwrap()).unwrap();
        fs::write(list, format!("{}\n", other.path().join("objects").display())).unwrap();
        let files = packed(&other, &["multi-pack-index", "write"]);
        assert_eq!(files.len(), 2, "{files:?}");
        let index = || Repository::open(&fixture.path())?.index(&fixture.dir.path().join("cache"), &|_| {});
        assert!(index().is_ok());
        for file in files {
            let mut flipped = fs::read(&file).unwrap();
            let middle = flipped.len() / 2;
            flipped[middle] ^= 1;
            let whole = fs::read(&file).unwrap();
            put(&file, &flipped);
            assert!(matches!(index().map(|_| ()), Err(GitError::PackIndex { .. })), "{}", file.display());
            put(&file, &whole);
        }
    }

    #[test]
    fn pack_indexes_are_checked_again_only_when_changed() {
        let fixture = Fixture::new();
        fixture.mainline();
        let [file] = &packed(&fixture, &["repack", "-adq"])[..] else { panic!("one pack") };
        let age = |seconds| {
            let old = SystemTime::now() - std::time::Duration::from_secs(seconds);
            File::open(file).unwrap().set_modified(old).unwrap();
        };
        let stamp = || PackIndexes::of(&fixture.path().join("objects")).stamp;
        age(0);
        assert_eq!(stamp(), None, "too new to be believed");
        age(60);
        let old = stamp();
        assert!(old.is_some() && old == stamp());
        age(90);
        assert_ne!(stamp(), old);
    }
}
