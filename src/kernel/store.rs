//! The cache folder: files named by what is in them, written whole or not at all.
//!
//! ```text
//! blobs/<sha256>          images and packed modules
//! packages/<sha256>.json  what was taken out of the package file with this sha256
//! apt/<suite>/            apt's private state for one suite, and our index of its kernel packages
//! controls/               what control kernels are built in and of, and records of those that were built
//! locks/<name>            locked (flock) while something is made; the lock ends with its process
//! tmp/                    files being written; whatever a killed process left is removed by the next one
//! ```

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::error::ObtainError;

/// The cache folder. Cheap to clone; any number of threads and processes can use one folder at once.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// A sha256 as 64 lower-case hexadecimal digits.
pub(super) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// An exclusive lock that ends when this is dropped, or with the process.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held for its lock")] File);

/// A file being written. It vanishes unless it is kept.
pub(super) struct Draft {
    file: NamedTempFile,
    /// While any draft lives, nobody clears the folder of drafts.
    _lock: File,
}

/// A folder for files that others write. It vanishes with all of them.
pub(super) struct DraftFolder {
    folder: tempfile::TempDir,
    _lock: File,
}

impl DraftFolder {
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Store {
    /// The store in `folder`, or where none is given in `$XDG_CACHE_HOME/backproof` or `~/.cache/backproof`.
    /// Makes what is missing, and removes what killed processes left.
    ///
    /// # Errors
    /// Where there is no home folder, or the folder cannot be made or written to.
    pub fn open(folder: Option<PathBuf>) -> Result<Self, ObtainError> {
        let root = match folder {
            Some(folder) => std::path::absolute(&folder).map_err(|e| ObtainError::io("opening", &folder, e))?,
            None => default_folder()?,
        };
        let store = Self { root };
        for folder in ["blobs", "packages", "apt", "locks", "tmp"] {
            let path = store.root.join(folder);
            fs::create_dir_all(&path).map_err(|e| ObtainError::io("making the cache folder", &path, e))?;
        }
        store.clear_drafts()?;
        Ok(store)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.root
    }

    /// A place in it for what is kept by name and not by content: relative to the folder, with `/` between parts.
    pub fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    pub(super) fn blob(&self, sha256: &str) -> PathBuf {
        self.root.join("blobs").join(sha256)
    }

    /// Waits for the lock `name`; calls `waiting` before it has to.
    pub(super) fn lock(&self, name: &str, waiting: impl FnOnce()) -> Result<Lock, ObtainError> {
        let path = self.root.join("locks").join(name);
        let failed = |e: io::Error| ObtainError::io("locking", &path, e);
        let file = open_lock(&path).map_err(failed)?;
        if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(failed(error.into()));
            }
            waiting();
            rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive)).map_err(|e| failed(e.into()))?;
        }
        Ok(Lock(file))
    }

    /// Starts a file that is not in the cache yet.
    pub(super) fn draft(&self) -> Result<Draft, ObtainError> {
        let folder = self.root.join("tmp");
        let make = || {
            let lock = self.writers()?;
            let file = tempfile::Builder::new().prefix("draft-").tempfile_in(&folder)?;
            Ok(Draft { file, _lock: lock })
        };
        make().map_err(|e| ObtainError::io("writing to", &folder, e))
    }

    /// A folder for files that others write.
    pub(super) fn draft_folder(&self) -> Result<DraftFolder, ObtainError> {
        let folder = self.root.join("tmp");
        let make = || {
            let lock = self.writers()?;
            let folder = tempfile::Builder::new().prefix("draft-").tempdir_in(&folder)?;
            Ok(DraftFolder { folder, _lock: lock })
        };
        make().map_err(|e| ObtainError::io("writing to", &folder, e))
    }

    /// Removes a folder, if it is there. It goes away as a whole, whatever ends this process: what is left of it then
    /// lies among the drafts, and is removed with them.
    pub(super) fn discard(&self, folder: &Path) -> Result<(), ObtainError> {
        let removing = |e| ObtainError::io("removing", folder, e);
        let DraftFolder { folder: grave, _lock } = self.draft_folder()?;
        match fs::rename(folder, grave.path().join("discarded")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(removing(error)),
            _ => grave.close().map_err(removing),
        }
    }

    /// A share of the lock that everybody holds who writes drafts.
    fn writers(&self) -> io::Result<File> {
        let lock = open_lock(&self.root.join("locks/tmp"))?;
        rustix::io::retry_on_intr(|| flock(&lock, FlockOperation::LockShared))?;
        Ok(lock)
    }

    /// Removes drafts whose writers were killed. Nobody writes one while the lock is exclusive, so all are stale.
    fn clear_drafts(&self) -> Result<(), ObtainError> {
        let folder = self.root.join("tmp");
        let clear = || {
            let lock = open_lock(&self.root.join("locks/tmp"))?;
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
                return Ok(());
            }
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let path = entry.path();
                if entry.file_type()?.is_dir() { fs::remove_dir_all(&path)? } else { fs::remove_file(&path)? }
            }
            Ok(())
        };
        clear().map_err(|e| ObtainError::io("clearing", &folder, e))
    }

    /// Puts the file `path` into the store, if it isn't there yet: its sha256.
    pub(super) fn adopt(&self, path: &Path) -> Result<String, ObtainError> {
        let reading = |e| ObtainError::io("reading", path, e);
        let mut file = File::open(path).map_err(reading)?;
        let (sha256, size) = sha256_of(&mut file).map_err(reading)?;
        if self.holds(&sha256, size) && self.verify(&sha256)? {
            return Ok(sha256);
        }
        // A build may be writing to the file right now, so the copy is hashed again and goes by its own name.
        let mut draft = self.draft()?;
        let mut source = File::open(path).map_err(reading)?;
        let mut hash = Sha256::new();
        copy(&mut source, |piece| {
            hash.update(piece);
            draft.file.write_all(piece)
        })
        .map_err(|e| ObtainError::io("copying", path, e))?;
        let sha256 = hex(hash);
        draft.keep(&self.blob(&sha256))?;
        Ok(sha256)
    }

    /// Puts `bytes` into the store: their sha256.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<String, ObtainError> {
        let sha256 = hex(Sha256::new_with_prefix(bytes));
        if !(self.holds(&sha256, bytes.len() as u64) && self.verify(&sha256)?) {
            let mut draft = self.draft()?;
            draft.write_all(bytes).map_err(|e| ObtainError::io("writing", &self.root, e))?;
            draft.keep(&self.blob(&sha256))?;
        }
        Ok(sha256)
    }

    /// Keeps `bytes` by content: their file, and their sha256.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub fn keep(&self, bytes: &[u8]) -> Result<(PathBuf, String), ObtainError> {
        let sha256 = self.put(bytes)?;
        Ok((self.blob(&sha256), sha256))
    }

    /// Whether the blob is there with this size.
    pub(super) fn holds(&self, sha256: &str, size: u64) -> bool {
        fs::metadata(self.blob(sha256)).is_ok_and(|m| m.is_file() && m.len() == size)
    }

    /// Whether the blob's content still is what its name says. Damaged ones are removed.
    pub(super) fn verify(&self, sha256: &str) -> Result<bool, ObtainError> {
        let path = self.blob(sha256);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(ObtainError::io("reading", &path, error)),
        };
        let (found, _) = sha256_of(&mut file).map_err(|e| ObtainError::io("reading", &path, e))?;
        if found != sha256 {
            fs::remove_file(&path).map_err(|e| ObtainError::io("removing", &path, e))?;
        }
        Ok(found == sha256)
    }

    /// A record that was written with [`Store::write_record`]; `None` where there is none, or none that can be read
    /// (it is made anew then).
    pub(super) fn read_record<T: DeserializeOwned>(&self, below: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.root.join(below)).ok()?).ok()
    }

    /// Writes a text file, all of it or nothing.
    pub(super) fn write_text(&self, path: &Path, text: &str) -> Result<(), ObtainError> {
        self.write_bytes(path, text.as_bytes())
    }

    /// Writes a file, all of it or nothing.
    pub(super) fn write_bytes(&self, path: &Path, bytes: &[u8]) -> Result<(), ObtainError> {
        let mut draft = self.draft()?;
        draft.write_all(bytes).map_err(|e| ObtainError::io("writing", path, e))?;
        draft.keep(path)
    }

    pub(super) fn write_record(&self, below: &str, record: &impl Serialize) -> Result<(), ObtainError> {
        let path = self.root.join(below);
        let json = serde_json::to_string(record).map_err(|e| ObtainError::io("writing", &path, e.into()))?;
        self.write_text(&path, &json)
    }
}

impl Draft {
    /// Gives the file its final name, once its content is safe on the disk.
    pub(super) fn keep(mut self, path: &Path) -> Result<(), ObtainError> {
        let failed = |e| ObtainError::io("writing", path, e);
        self.file.flush().map_err(failed)?;
        self.file.as_file().sync_all().map_err(failed)?;
        self.file.persist(path).map_err(|e| failed(e.error))?;
        let folder = path.parent().unwrap_or(path);
        File::open(folder).and_then(|f| f.sync_all()).map_err(failed)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

fn default_folder() -> Result<PathBuf, ObtainError> {
    let from = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let cache = from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|home| home.join(".cache")));
    cache.map(|c| c.join("backproof")).ok_or_else(|| ObtainError::Unusable {
        what: "the cache folder",
        path: PathBuf::from("~/.cache/backproof"),
        problem: "cannot be found: neither XDG_CACHE_HOME nor HOME is set to an absolute path".to_owned(),
    })
}

/// The sha256 and the length of what is left in `file`.
pub(super) fn sha256_of(file: &mut impl Read) -> io::Result<(String, u64)> {
    let mut hash = Sha256::new();
    let size = copy(file, |piece| {
        hash.update(piece);
        Ok(())
    })?;
    Ok((hex(hash), size))
}

/// Reads to the end, in pieces that the processor's cache can hold.
pub(super) fn copy(from: &mut impl Read, mut to: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<u64> {
    let mut buffer = vec![0; 128 << 10];
    let mut total = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(n) => {
                to(&buffer[..n])?;
                total += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().join("cache"))).unwrap();
        (folder, store)
    }

    #[test]
    fn what_is_put_in_is_found_under_its_hash_and_once() {
        let (_folder, store) = store();
        let sha256 = store.put(b"abc").unwrap();
        // FIPS 180-4's example.
        assert_eq!(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(store.put(b"abc").unwrap(), sha256);
        assert_eq!(fs::read(store.blob(&sha256)).unwrap(), b"abc");
        assert!(store.verify(&sha256).unwrap());
        let file = store.folder().join("elsewhere");
        fs::write(&file, b"abc").unwrap();
        assert_eq!(store.adopt(&file).unwrap(), sha256);
        assert_eq!(fs::read_dir(store.path("blobs")).unwrap().count(), 1);
        assert_eq!(fs::read_dir(store.path("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn what_is_put_in_again_is_never_taken_from_a_damaged_blob() {
        let (folder, store) = store();
        let sha256 = store.put(b"kernel").unwrap();
        fs::write(store.blob(&sha256), b"kernal").unwrap();
        assert_eq!(store.put(b"kernel").unwrap(), sha256);
        assert_eq!(fs::read(store.blob(&sha256)).unwrap(), b"kernel");
        fs::write(store.blob(&sha256), b"kernal").unwrap();
        let image = folder.path().join("image");
        fs::write(&image, b"kernel").unwrap();
        assert_eq!(store.adopt(&image).unwrap(), sha256);
        assert_eq!(fs::read(store.blob(&sha256)).unwrap(), b"kernel");
    }

    #[test]
    fn a_flipped_bit_is_noticed_and_the_file_removed() {
        let (_folder, store) = store();
        let sha256 = store.put(b"abc").unwrap();
        fs::write(store.blob(&sha256), b"abb").unwrap();
        assert!(store.holds(&sha256, 3));
        assert!(!store.verify(&sha256).unwrap());
        assert!(!store.holds(&sha256, 3));
        assert!(!store.verify(&sha256).unwrap());
    }

    #[test]
    fn drafts_of_killed_processes_are_removed_but_not_those_of_living_ones() {
        let (_folder, store) = store();
        let stale = store.path("tmp/draft-stale");
        fs::write(&stale, b"half").unwrap();
        let living = store.draft().unwrap();
        let again = Store::open(Some(store.folder().to_owned())).unwrap();
        assert!(living.file.path().exists() && stale.exists());
        drop(living);
        Store::open(Some(again.folder().to_owned())).unwrap();
        assert!(!stale.exists());
    }

    #[test]
    fn a_folder_is_discarded_as_a_whole_and_what_a_kill_left_of_it_goes_with_the_drafts() {
        let (_folder, store) = store();
        let tree = store.path("controls/6.1/x");
        fs::create_dir_all(tree.join("src/net")).unwrap();
        fs::write(tree.join("src/net/x.c"), "x").unwrap();
        store.discard(&tree).unwrap();
        assert!(!tree.exists() && fs::read_dir(store.path("tmp")).unwrap().count() == 0);
        store.discard(&tree).unwrap();
        // As a process leaves it that was killed in the middle of removing; and a link is not followed.
        let left = store.path("tmp/draft-left");
        fs::create_dir_all(left.join("discarded/src")).unwrap();
        let (outside, file) = (store.path("controls/outside"), store.path("controls/outside/file"));
        fs::create_dir_all(&outside).unwrap();
        fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink(&outside, left.join("discarded/src/net")).unwrap();
        std::os::unix::fs::symlink(&outside, store.path("tmp/link")).unwrap();
        Store::open(Some(store.folder().to_owned())).unwrap();
        assert!(fs::read_dir(store.path("tmp")).unwrap().count() == 0 && file.exists());
    }

    #[test]
    fn a_draft_that_is_not_kept_leaves_nothing() {
        let (_folder, store) = store();
        let mut draft = store.draft().unwrap();
        draft.write_all(b"half").unwrap();
        drop(draft);
        assert_eq!(fs::read_dir(store.path("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn a_lock_keeps_others_out_until_it_is_dropped() {
        let (_folder, store) = store();
        let lock = store.lock("x", || panic!("nobody holds it")).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let other = store.clone();
        let thread = std::thread::spawn(move || {
            let lock = other.lock("x", || tell.send("waiting").unwrap()).unwrap();
            tell.send("locked").unwrap();
            drop(lock);
        });
        assert_eq!(told.recv(), Ok("waiting"));
        assert!(told.try_recv().is_err());
        drop(lock);
        assert_eq!(told.recv(), Ok("locked"));
        thread.join().unwrap();
    }

    #[test]
    fn a_record_that_was_cut_counts_as_none() {
        let (_folder, store) = store();
        store.write_record("packages/a.json", &[1, 2, 3]).unwrap();
        assert_eq!(store.read_record::<Vec<u32>>("packages/a.json"), Some(vec![1, 2, 3]));
        fs::write(store.path("packages/a.json"), b"[1, 2").unwrap();
        assert_eq!(store.read_record::<Vec<u32>>("packages/a.json"), None);
        assert_eq!(store.read_record::<Vec<u32>>("packages/b.json"), None);
    }
}
