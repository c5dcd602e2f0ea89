//! The cache's content by kind, and its collection.
//!
//! Collecting is safe while others use the cache, and a kill at any moment leaves no partial item that looks whole.
//! Records go before the files that they name, and folders go as a whole. A file goes only if its lock shows that
//! nobody has a lease of it (`store/leases.rs`).

mod collect;
mod survey;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

pub use collect::{Collected, Limits, Why, collect};
pub use survey::survey;

/// A folder of files that another room keeps in the cache. A lock file of the same name is held while a file is
/// written. Files that start with its name and `-` belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeptElsewhere {
    /// The folder, which is also the kind's name for machines.
    pub folder: &'static str,
    /// A word for the files, in the plural, for people.
    pub plural: &'static str,
    /// The end of their names.
    pub extensions: &'static [&'static str],
}

/// The kind of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CacheKind {
    /// An unpacked package.
    Package,
    /// A built control kernel.
    Control,
    /// A kernel built from a user's source.
    Build,
    /// A file that no record names: the image of a file or tree, the initramfs of a guest.
    Boot,
    /// A finished boot with its image and initramfs, or the findings about a kernel without a boot.
    Answer,
    /// A fetched file, and the records of its addresses.
    Download,
    /// A fetched file that is partial, or has a wrong checksum.
    SetAside,
    /// The source and objects of kernels that were built.
    BuildTree,
    /// apt's lists of a suite, and the index of its kernels.
    Suite,
    /// Another room's file.
    Elsewhere(KeptElsewhere),
}

impl CacheKind {
    /// Its name for machines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Package => "package",
            Self::Control => "control",
            Self::Build => "build",
            Self::Boot => "boot",
            Self::Answer => "answer",
            Self::Download => "download",
            Self::SetAside => "set-aside",
            Self::BuildTree => "build-tree",
            Self::Suite => "suite",
            Self::Elsewhere(kept) => kept.folder,
        }
    }

    /// A word for such items, in the plural, for people.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Package => "unpacked packages",
            Self::Control => "control kernels",
            Self::Build => "kernels built from source",
            Self::Boot => "images and initramfs of boots",
            Self::Answer => "cached boots and findings",
            Self::Download => "downloads",
            Self::SetAside => "partial and wrong downloads",
            Self::BuildTree => "build trees",
            Self::Suite => "apt's lists of suites",
            Self::Elsewhere(kept) => kept.plural,
        }
    }
}

impl Serialize for CacheKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A part of the cache that goes as a whole or not at all.
#[derive(Clone, Debug, Serialize)]
pub struct CacheItem {
    /// Its kind.
    pub kind: CacheKind,
    /// Its name, for people.
    pub name: String,
    /// Its size on the disk, without blobs that it shares with a more recently used item.
    pub bytes: u64,
    /// The time of its last use.
    #[serde(serialize_with = "as_seconds")]
    pub used: SystemTime,
    #[serde(skip)]
    what: What,
}

impl CacheItem {
    /// The time since its last use, by the host's clock; zero if that is in the future.
    pub fn age(&self) -> Duration {
        SystemTime::now().duration_since(self.used).unwrap_or_default()
    }
}

#[derive(Clone, Debug)]
enum What {
    /// Records, the files that only they (and records used earlier) name, and the store's locks for their use.
    Files { records: Vec<PathBuf>, files: Vec<PathBuf>, locks: Vec<String> },
    /// A folder, and the store's locks for its use.
    Folder { path: PathBuf, locks: Vec<String> },
    /// An index, its lock file, and the files next to it.
    Index { path: PathBuf, lock: PathBuf, beside: Vec<PathBuf> },
}

/// Seconds since 1970.
fn as_seconds<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    serializer.serialize_u64(since.as_secs())
}

#[cfg(test)]
mod tests;
