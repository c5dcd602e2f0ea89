//! What a kernel was resolved to: the files that it is made of, so that the same can be had again later.

use serde::{Deserialize, Serialize};

/// A file that a kernel was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedFile {
    /// Its name: a package's own, or that of the file.
    pub name: String,
    /// The package's version, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its sha256, in hexadecimal digits.
    pub sha256: String,
    /// Its length in bytes.
    pub size: u64,
    /// Where it was had from, and may be had from again: addresses, the best one first; none for a user's own file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
}
