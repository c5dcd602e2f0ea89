//! Removes items that were unused for long.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::{CacheItem, CacheKind, KeptElsewhere, What, survey};
use crate::kernel::file_error::FileError;
use crate::kernel::store::{GRACE, Store, StoreLock};
use crate::regular;

/// The limits of the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Items that were not used for longer are removed.
    pub older_than: Option<Duration>,
    /// The most bytes that may stay: beyond that the least recently used items go, built control kernels last.
    pub max_bytes: Option<u64>,
}

impl Limits {
    fn is_too_old(&self, item: &CacheItem) -> bool {
        self.older_than.is_some_and(|limit| item.age() > limit)
    }

    fn is_too_much(&self, bytes: u64) -> bool {
        self.max_bytes.is_some_and(|limit| bytes > limit)
    }
}

/// The result of a collection.
#[derive(Debug)]
pub struct Collected {
    /// The items that were removed, or would be: the least recently used first.
    pub removed: Vec<CacheItem>,
    /// The items that exceed the limits but stayed.
    pub kept: Vec<(CacheItem, Why)>,
    /// The other items.
    pub left: Vec<CacheItem>,
}

/// Why an item stayed that exceeds the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It is in use.
    InUse,
    /// It was made or used in the last minutes, so it may be needed now.
    JustUsed,
}

/// Removes items that exceed the limits; with `dry_run`, only lists them. Only one process collects at a time:
/// `waiting` is called if it has to wait for another.
///
/// # Errors
/// If the cache cannot be read, or an item cannot be removed. Items that were removed earlier stay removed.
pub fn collect(
    store: &Store,
    elsewhere: &[KeptElsewhere],
    limits: Limits,
    dry_run: bool,
    waiting: impl FnOnce(),
) -> Result<Collected, FileError> {
    let _lock = store.lock("gc", waiting)?;
    let mut items = survey(store, elsewhere)?;
    items.sort_by_key(|item| item.used);
    let (mut removed, mut kept) = (Vec::new(), Vec::new());
    // First by age, then by size.
    for by_age in [true, false] {
        let mut total: u64 = items.iter().chain(kept.iter().map(|(item, _)| item)).map(|item| item.bytes).sum();
        let mut left = Vec::new();
        for item in items {
            if !(if by_age { limits.is_too_old(&item) } else { limits.is_too_much(total) }) {
                left.push(item);
                continue;
            }
            match remove(&item, store, dry_run)? {
                None => {
                    total = total.saturating_sub(item.bytes);
                    removed.push(item);
                }
                Some(why) => kept.push((item, why)),
            }
        }
        // Building a kernel again takes minutes, fetching the rest takes seconds.
        left.sort_by_key(|item| (matches!(item.kind, CacheKind::Control | CacheKind::Build), item.used));
        items = left;
    }
    Ok(Collected { removed, kept, left: items })
}

/// Removes it, unless it is in use.
fn remove(item: &CacheItem, store: &Store, dry_run: bool) -> Result<Option<Why>, FileError> {
    // A partial download in use is locked.
    let has_grace = !matches!(&item.what, What::Files { locks, .. } if !locks.is_empty());
    let is_young = |used| has_grace && is_young(used);
    if is_young(item.used) {
        return Ok(Some(Why::JustUsed));
    }
    match &item.what {
        What::Files { records, files, locks } => {
            let Some(_locks) = all_locks(locks, store)? else { return Ok(Some(Why::InUse)) };
            let mut held = Vec::new();
            for file in files {
                match hold(file).map_err(|e| FileError::io("lock", file, e))? {
                    Held::Gone => {}
                    Held::InUse => return Ok(Some(Why::InUse)),
                    // It was used since the survey.
                    Held::Locked(_, used) if is_young(used) => return Ok(Some(Why::JustUsed)),
                    Held::Locked(lock, _) => held.push((lock, file)),
                }
            }
            if dry_run {
                return Ok(None);
            }
            // Records go first, so they never name missing files.
            records.iter().try_for_each(remove_file)?;
            for (lock, file) in held {
                store.remove_same(&lock, file).map_err(|e| FileError::io("remove", file, e))?;
            }
        }
        What::Folder { path, locks } => {
            let Some(_locks) = all_locks(locks, store)? else { return Ok(Some(Why::InUse)) };
            if !dry_run {
                store.discard(path)?;
            }
        }
        What::Index { path, lock, beside } => {
            let failed = |e| FileError::io("lock", lock, e);
            let _held = match hold(lock).map_err(failed)? {
                Held::InUse => return Ok(Some(Why::InUse)),
                Held::Locked(lock, _) => Some(lock),
                Held::Gone => None,
            };
            if !dry_run {
                // An index without its log is rejected, and a log without its index is useless.
                [path].into_iter().chain(beside).try_for_each(remove_file)?;
            }
        }
    }
    Ok(None)
}

/// All of these locks; `None` if another process has one.
fn all_locks(names: &[String], store: &Store) -> Result<Option<Vec<StoreLock>>, FileError> {
    names.iter().map(|name| store.try_lock(name)).collect()
}

enum Held {
    Locked(File, SystemTime),
    InUse,
    Gone,
}

/// Locks a file exclusively.
fn hold(path: &Path) -> io::Result<Held> {
    use rustix::fs::{FlockOperation, flock};
    let file = match regular::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Held::Gone),
        Err(error) => return Err(error),
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            let used = file.metadata()?.modified()?;
            Ok(Held::Locked(file, used))
        }
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(Held::InUse),
        Err(error) => Err(error.into()),
    }
}

fn is_young(used: SystemTime) -> bool {
    // A time in the future means that the clock went back.
    SystemTime::now().duration_since(used).is_ok_and(|age| age < GRACE) || used > SystemTime::now()
}

fn remove_file(path: &PathBuf) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::io("remove", path, error)),
        _ => Ok(()),
    }
}
