//! What the cache holds, by kind, and what may be removed.
//!
//! Collecting is safe beside other users of the cache, and a kill at any moment leaves no partial item that looks whole:
//! records go before the files that they name, folders as a whole, and a file only when its lock shows that nobody has a lease
//! of it (`store/leases.rs`).

mod collect;
mod survey;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

pub use collect::{Collected, Limits, Why, collect};
pub use survey::survey;

/// What another room keeps in the cache: files in a folder of its own. Each has a lock file of the same name, which is
/// held while it is written; what begins with its name and `-` belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeptElsewhere {
    /// The folder, which is also the kind's name for machines.
    pub folder: &'static str,
    /// What the files are, in the plural, for people.
    pub plural: &'static str,
    /// How their names end.
    pub extensions: &'static [&'static str],
}

/// What something in the cache is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CacheKind {
    /// A package that was unpacked.
    Package,
    /// A control kernel that was built.
    Control,
    /// A file that no record names: the image of a file or tree, the initramfs of a guest.
    Boot,
    /// A fetched file, and the records of its addresses.
    Download,
    /// A fetched file that is partial, or has a wrong checksum.
    SetAside,
    /// The source and the objects that control kernels are built in.
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
            Self::Boot => "boot",
            Self::Download => "download",
            Self::SetAside => "set-aside",
            Self::BuildTree => "build-tree",
            Self::Suite => "suite",
            Self::Elsewhere(kept) => kept.folder,
        }
    }

    /// What they are, in the plural, for people.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Package => "unpacked packages",
            Self::Control => "control kernels",
            Self::Boot => "images and initramfs of boots",
            Self::Download => "downloads",
            Self::SetAside => "partial and wrong downloads",
            Self::BuildTree => "build trees of controls",
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

/// Something that goes as a whole or not at all.
#[derive(Clone, Debug, Serialize)]
pub struct CacheItem {
    /// What it is.
    pub kind: CacheKind,
    /// Its name, for people.
    pub name: String,
    /// Its size on the disk, without blobs that it shares with a more recently used item.
    pub bytes: u64,
    /// When it was used last.
    #[serde(serialize_with = "as_seconds")]
    pub used: SystemTime,
    #[serde(skip)]
    what: What,
}

impl CacheItem {
    /// How long ago it was used, by the host's clock; zero if that is in the future.
    pub fn age(&self) -> Duration {
        SystemTime::now().duration_since(self.used).unwrap_or_default()
    }
}

#[derive(Clone, Debug)]
enum What {
    /// Records, the files that they and nothing used later name, and locks of the store under which they are used.
    Files { records: Vec<PathBuf>, files: Vec<PathBuf>, locks: Vec<String> },
    /// A folder, and the locks of the store under which it is used.
    Folder { path: PathBuf, locks: Vec<String> },
    /// An index, the file that is locked while it is written, and the files beside it.
    Index { path: PathBuf, lock: PathBuf, beside: Vec<PathBuf> },
}

/// Seconds since 1970.
fn as_seconds<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    serializer.serialize_u64(since.as_secs())
}

#[cfg(test)]
mod tests;
