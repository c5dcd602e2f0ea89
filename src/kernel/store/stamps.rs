//! The sha256 of files outside the store, such as QEMU. It is remembered with the file's stamp, and a file with another
//! stamp is read again.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Store, hex, sha256_of};
use crate::kernel::file_error::FileError;
use crate::regular;

/// A file that was changed this recently may change again with the same stamp: file systems count time in steps.
const SETTLED: Duration = Duration::from_secs(2);

/// Distinguishes one content of a file from another. Only root can set `ctime` back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    dev: u64,
    ino: u64,
    size: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
}

/// `stamps/<sha256 of the path>.json`.
#[derive(Serialize, Deserialize)]
struct Stamped {
    path: PathBuf,
    stamp: Stamp,
    sha256: String,
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self {
            dev: file.dev(),
            ino: file.ino(),
            size: file.size(),
            mtime: (file.mtime(), file.mtime_nsec()),
            ctime: (file.ctime(), file.ctime_nsec()),
        }
    }

    /// Whether a later change would show in the stamp.
    fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let changed = Duration::from_secs(u64::try_from(self.ctime.0.max(self.mtime.0)).unwrap_or_default());
        changed + SETTLED < now
    }
}

impl Store {
    /// The sha256 of a file, read only if it may have changed since the last time.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn file_sha256(&self, path: &Path) -> Result<String, FileError> {
        let reading = |e| FileError::io("read", path, e);
        let below = format!("stamps/{}.json", hex(Sha256::new_with_prefix(path.as_os_str().as_encoded_bytes())));
        let stamp = Stamp::of(&fs::metadata(path).map_err(reading)?);
        let known = self.own_record::<Stamped>(&below).filter(|known| known.path == path && known.stamp == stamp);
        if let Some(known) = known {
            return Ok(known.sha256);
        }
        let mut file = regular::open(path).map_err(reading)?;
        let stamp = Stamp::of(&file.metadata().map_err(reading)?);
        let (sha256, _) = sha256_of(&mut file).map_err(reading)?;
        let is_same = Stamp::of(&file.metadata().map_err(reading)?) == stamp;
        // JSON has no paths that are not UTF-8.
        if is_same && stamp.is_settled(SystemTime::now()) && path.to_str().is_some() {
            let record = Stamped { path: path.to_owned(), stamp, sha256: sha256.clone() };
            if let Err(error) = self.write_record(&below, &record) {
                tracing::debug!(path = %path.display(), %error, "the sha256 of a file is not remembered");
            }
        }
        Ok(sha256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aged(path: &Path, seconds_ago: u64) {
        let then = SystemTime::now() - Duration::from_secs(seconds_ago);
        fs::File::options().write(true).open(path).expect("a file").set_modified(then).expect("a time");
    }

    #[test]
    fn changed_file_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(Some(folder.path().join("cache"))).expect("a cache");
        let file = folder.path().join("a-program");
        for text in ["one", "two", "three"] {
            fs::write(&file, text).expect("a file");
            aged(&file, 60);
            let want = hex(Sha256::new_with_prefix(text));
            assert_eq!(store.file_sha256(&file).expect("a sha256"), want);
            assert_eq!(store.file_sha256(&file).expect("a sha256"), want);
        }
    }

    #[test]
    fn stamp_counts_only_once_it_is_settled() {
        let at = |second| Stamp { dev: 1, ino: 1, size: 1, mtime: (50, 0), ctime: (second, 0) };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        assert!(at(90).is_settled(now));
        assert!(!at(99).is_settled(now) && !at(100).is_settled(now) && !at(200).is_settled(now));
    }
}
