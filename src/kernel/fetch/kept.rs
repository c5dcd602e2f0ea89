//! Fetched files by content, and records of their addresses.
//!
//! ```text
//! downloads/<sha256>        a complete file, as it was served
//! addresses/<key>.json      the file that an address last served, to ask whether it changed
//! partial/<key>, <key>.json a partial file, and the proof that the rest belongs to it
//! partial/<key>.sums        the proof that it did not change on the disk
//! quarantine/<sha256>       a file with a wrong checksum, for inspection
//! ```
//!
//! A key is the sha256 of the address.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

use super::headers;
use crate::kernel::clock;
use crate::kernel::file_error::FileError;
use crate::kernel::store::{self, Store};

/// Increase it if older records must not be used any more.
const FORMAT: u32 = 2;

/// The record of the file that an address last served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FetchRecord {
    format: u32,
    address: String,
    /// Its entity tag, strong or weak.
    etag: Option<String>,
    last_modified: Option<String>,
    pub sha256: String,
    pub size: u64,
    /// When the server last confirmed it: seconds since 1970.
    when: u64,
}

/// The key of an address in file names.
pub(super) fn key(address: &Url) -> String {
    store::hex(Sha256::new_with_prefix(address.as_str()))
}

/// The path for a file with this sha256.
pub(super) fn path(store: &Store, sha256: &str) -> PathBuf {
    store.path("downloads").join(sha256)
}

/// The path of the file with this sha256, in this cache or one below.
pub(super) fn place(store: &Store, sha256: &str) -> PathBuf {
    store.find(&format!("downloads/{sha256}")).unwrap_or_else(|| path(store, sha256))
}

/// Path and size of the file with this sha256, if it is intact. A damaged one is removed.
pub(super) fn find(store: &Store, sha256: &str) -> Result<Option<(PathBuf, u64)>, FileError> {
    store.verified(&format!("downloads/{sha256}"), sha256)
}

/// Creates a folder of the store if needed.
pub(super) fn folder(store: &Store, name: &str) -> Result<PathBuf, FileError> {
    let path = store.path(name);
    fs::create_dir_all(&path).map_err(|e| FileError::io("create the cache folder", &path, e))?;
    Ok(path)
}

impl FetchRecord {
    /// The record of an answer with these headers.
    pub(super) fn of(address: &Url, headers: &HeaderMap, sha256: String, size: u64) -> Self {
        let kept = |name| headers::text(headers, &name).map(str::to_owned);
        let (etag, last_modified) = (kept(header::ETAG), kept(header::LAST_MODIFIED));
        Self { format: FORMAT, address: address.to_string(), etag, last_modified, sha256, size, when: clock::now() }
    }

    /// The record of an address and its file, if the file is intact.
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

    /// The same, confirmed by the server now.
    pub(super) fn confirmed(&self) -> Self {
        Self { when: clock::now(), ..self.clone() }
    }

    /// Headers that ask whether the file changed; empty without a validator.
    pub(super) fn condition(&self) -> HeaderMap {
        let value = |text: &Option<String>| text.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
        let etag = value(&self.etag).map(|value| (header::IF_NONE_MATCH, value));
        let modified = value(&self.last_modified).map(|value| (header::IF_MODIFIED_SINCE, value));
        etag.into_iter().chain(modified).collect()
    }

    /// Makes the next request unconditional, because this file is doubtful.
    pub(super) fn doubt(store: &Store, address: &Url) -> Result<(), FileError> {
        match Self::read(store, address)? {
            Some((seen, _)) => Self { etag: None, last_modified: None, ..seen }.write(store, address),
            None => Ok(()),
        }
    }

    /// The time since the server last confirmed it.
    pub(super) fn age(&self) -> Duration {
        clock::age(self.when)
    }
}

fn record(address: &Url) -> String {
    format!("addresses/{}.json", key(address))
}
