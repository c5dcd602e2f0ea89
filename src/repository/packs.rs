//! Checks the indexes of packs before libgit2 maps them. libgit2 trusts their content, so a damaged one can crash the
//! process. Each ends with a checksum of the rest (gitformat-pack(5)).

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{RepositoryError, SETTLED, hex};

/// The depth to which alternates of alternates are followed, as in git.
const DEEPEST: usize = 5;
/// The longest list of alternates to read, in bytes.
const LONGEST: u64 = 1 << 20;
/// The length of a checksum.
const SUM: u64 = 20;

/// The indexes of a repository's packs.
pub(crate) struct PackIndexes {
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

    /// Their paths.
    #[cfg(test)]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Checks each against its checksum.
    pub fn check(&self) -> Result<(), RepositoryError> {
        for file in &self.files {
            let what = match check(file) {
                Ok(None) => continue,
                Ok(Some(what)) => what.to_owned(),
                Err(error) => error.to_string(),
            };
            return Err(RepositoryError::PackIndex { file: file.clone(), what });
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
