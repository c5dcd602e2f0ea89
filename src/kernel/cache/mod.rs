//! What the cache holds, by kind, and what of it may go.
//!
//! Collecting is safe beside whoever uses the cache, and a kill at any moment leaves nothing that is taken for whole:
//! records go before what they name, folders go as a whole, and a file only once its lock shows that nobody has a lease
//! of it (`store/leases.rs`).

mod collect;
mod survey;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::Serialize;

pub use collect::{Collected, Limits, Why, collect};
pub use survey::survey;

/// What something in the cache is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheKind {
    /// What was taken out of a package.
    Package,
    /// A control kernel that was built.
    Control,
    /// A file that no record names: the image of a file or tree, the initramfs of a guest.
    Boot,
    /// A fetched file, and what is known of its addresses.
    Download,
    /// A fetched file that is not whole, or was found to be wrong.
    SetAside,
    /// The source and the objects that control kernels are built in.
    BuildTree,
    /// apt's lists of a suite, and the index of its kernels.
    Suite,
    /// The index of a git repository.
    Git,
}

impl CacheKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Package,
        Self::Control,
        Self::Boot,
        Self::Download,
        Self::SetAside,
        Self::BuildTree,
        Self::Suite,
        Self::Git,
    ];

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
            Self::Git => "indexes of repositories",
        }
    }
}

/// Something that goes as a whole or not at all.
#[derive(Clone, Debug, Serialize)]
pub struct CacheItem {
    /// What it is.
    pub kind: CacheKind,
    /// Its name, for people.
    pub name: String,
    /// Bytes that it takes on the disk, without what it shares with something that was used later.
    pub bytes: u64,
    /// When it was used last.
    #[serde(serialize_with = "as_seconds")]
    pub used: SystemTime,
    #[serde(skip)]
    what: What,
}

impl CacheItem {
    /// How long ago it was used, by the host's clock. What was used in the future was used now.
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
fn as_seconds<S: serde::Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    serializer.serialize_u64(since.as_secs())
}

#[cfg(test)]
mod tests;
