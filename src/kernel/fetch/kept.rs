//! What was fetched: files by content, and by address what a server said of them.
//!
//! ```text
//! downloads/<sha256>        a file as it came, whole
//! addresses/<key>.json      what an address gave last, for asking whether it still does
//! partial/<key>, <key>.json what came of a file so far, and what proves that the rest belongs to it
//! partial/<key>.sums        what proves that it did not change on the disk
//! quarantine/<sha256>       a file that is not what it should be, for people to look at
//! ```
//!
//! A key is the sha256 of the address.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{self, HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

use super::headers;
use crate::kernel::file_error::FileError;
use crate::kernel::store::{self, Store};

/// Changes whenever older records must not be used any more.
const FORMAT: u32 = 2;

/// A record of what an address gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FetchRecord {
    format: u32,
    address: String,
    /// Its entity tag, strong or weak.
    etag: Option<String>,
    last_modified: Option<String>,
    pub sha256: String,
    pub size: u64,
    /// When the server last said that this is what it has: seconds since 1970.
    when: u64,
}

/// The name of what belongs to an address.
pub(super) fn key(address: &Url) -> String {
    store::hex(Sha256::new_with_prefix(address.as_str()))
}

/// Where a file with this sha256 is to be kept.
pub(super) fn path(store: &Store, sha256: &str) -> PathBuf {
    store.path("downloads").join(sha256)
}

/// Where the file with this sha256 is, here or in a cache below.
pub(super) fn place(store: &Store, sha256: &str) -> PathBuf {
    store.find(&format!("downloads/{sha256}")).unwrap_or_else(|| path(store, sha256))
}

/// Where the kept file with this sha256 is, and its length, if it is there and whole. A damaged one is removed.
pub(super) fn find(store: &Store, sha256: &str) -> Result<Option<(PathBuf, u64)>, FileError> {
    store.verified(&format!("downloads/{sha256}"), sha256)
}

/// Makes a folder of the store, if it isn't there yet.
pub(super) fn folder(store: &Store, name: &str) -> Result<PathBuf, FileError> {
    let path = store.path(name);
    fs::create_dir_all(&path).map_err(|e| FileError::io("create the cache folder", &path, e))?;
    Ok(path)
}

impl FetchRecord {
    /// What an answer with these headers gave.
    pub(super) fn of(address: &Url, headers: &HeaderMap, sha256: String, size: u64) -> Self {
        let kept = |name| headers::text(headers, &name).map(str::to_owned);
        let (etag, last_modified) = (kept(header::ETAG), kept(header::LAST_MODIFIED));
        Self { format: FORMAT, address: address.to_string(), etag, last_modified, sha256, size, when: now() }
    }

    /// The record of an address and its file, if that is there and whole.
    pub(super) fn read(store: &Store, address: &Url) -> Result<Option<(Self, PathBuf)>, FileError> {
        let same =
            |seen: &Self| seen.format == FORMAT && seen.address == address.as_str() && store::is_sha256(&seen.sha256);
        for seen in store.records(&record(address)).filter(same) {
            if let Some((path, _)) = find(store, &seen.sha256)?.filter(|(_, size)| *size == seen.size) {
                return Ok(Some((seen, path)));
            }
        }
        Ok(None)
    }

    pub(super) fn write(&self, store: &Store, address: &Url) -> Result<(), FileError> {
        folder(store, "addresses")?;
        store.write_record(&record(address), self)
    }

    /// As of now, after the server said that nothing changed.
    pub(super) fn confirmed(&self) -> Self {
        Self { when: now(), ..self.clone() }
    }

    /// The question whether this is still what the server has; none where it gave nothing to ask with.
    pub(super) fn condition(&self) -> HeaderMap {
        let value = |text: &Option<String>| text.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
        let etag = value(&self.etag).map(|value| (header::IF_NONE_MATCH, value));
        let modified = value(&self.last_modified).map(|value| (header::IF_MODIFIED_SINCE, value));
        etag.into_iter().chain(modified).collect()
    }

    /// Has the address asked without a condition next time: nothing says any more that this is what it should give.
    pub(super) fn doubt(store: &Store, address: &Url) -> Result<(), FileError> {
        match Self::read(store, address)? {
            Some((seen, _)) => Self { etag: None, last_modified: None, ..seen }.write(store, address),
            None => Ok(()),
        }
    }

    /// How long ago the server said so.
    pub(super) fn age(&self) -> Duration {
        Duration::from_secs(now().saturating_sub(self.when))
    }
}

fn record(address: &Url) -> String {
    format!("addresses/{}.json", key(address))
}

/// Seconds since 1970, by the host's clock.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
