//! Fetches files and small documents over HTTP, each of them once.
//!
//! A file whose sha256 is known is fetched only if the cache lacks it; others are requested with the server's last
//! validator, so that they are fetched again only if they changed. A partial file is resumed if the server can prove
//! that it still has the same one. Everything is hashed while it arrives, and gets its name only when it is complete.

mod answer;
mod client;
mod error;
mod headers;
mod kept;
mod partial;
mod patience;
mod problem;
mod proxy;
mod speed;
mod transfer;
mod web_page;

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;

use url::Url;

use self::client::HttpClient;
pub(super) use self::error::FetchError;
use self::error::NotFetched;
use self::kept::FetchRecord;
use self::patience::Patience;
pub(super) use self::problem::FetchProblem;
use self::proxy::Proxy;
use self::transfer::{Failed, FileTransfer};
use super::file_error::FileError;
use super::obtain::Obtain;
use super::progress::{Progress, Stale};

/// The file to fetch.
pub(super) struct FetchRequest<'a> {
    /// The file, for people.
    pub what: &'a str,
    /// Its addresses, the best first; they are tried in turn.
    pub addresses: &'a [Url],
    /// Its sha256, if known.
    pub sha256: Option<&'a str>,
    /// Its size in bytes, if known.
    pub size: Option<u64>,
    /// The size limit in bytes.
    pub limit: u64,
}

/// A cached file.
#[derive(Debug)]
pub(super) struct Fetched {
    /// Its sha256.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
    /// The address that it came from, or would have.
    pub address: Url,
    /// Its path in the cache.
    pub path: PathBuf,
    /// Set if no server was asked, and why.
    pub stale: Option<Stale>,
    /// Whether a server only confirmed the cached copy.
    pub was_here: bool,
}

/// A cached small document.
#[derive(Debug)]
pub(super) struct Document {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Set if this is a cached copy, and why.
    pub stale: Option<Stale>,
}

/// The expected kind of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// Anything but a web page.
    File,
    /// Anything.
    Document,
}

/// Fetches a file, unless the cache has it. Blocks; threads and processes may do so concurrently.
pub(super) fn file(wanted: &FetchRequest, with: &Obtain) -> Result<Fetched, FetchError> {
    get(wanted, Content::File, with, &Patience::default())
}

/// Makes the next fetch of an unusable file unconditional.
pub(super) fn doubt(address: &Url, with: &Obtain) -> Result<(), FileError> {
    FetchRecord::doubt(with.store, address)
}

/// Fetches a small document (an index, a list of checksums), or uses the cached one if it has not changed, offline, or
/// if the server is down.
pub(super) fn document(address: &Url, limit: u64, with: &Obtain) -> Result<Document, FetchError> {
    read_document(address, limit, with, &Patience::default())
}

fn read_document(address: &Url, limit: u64, with: &Obtain, patience: &Patience) -> Result<Document, FetchError> {
    let what = address.to_string();
    let addresses = std::slice::from_ref(address);
    let wanted = FetchRequest { what: &what, addresses, sha256: None, size: None, limit };
    let Fetched { path, stale, .. } = get(&wanted, Content::Document, with, patience)?;
    let bytes = fs::read(&path).map_err(|e| FileError::io("read", &path, e))?;
    Ok(Document { bytes, stale })
}

fn get(wanted: &FetchRequest, content: Content, with: &Obtain, patience: &Patience) -> Result<Fetched, FetchError> {
    let missing = || FetchError::from(with.store.not_cached(wanted.what));
    let Some(sha256) = wanted.sha256 else {
        if with.offline {
            return earlier(wanted, with, "offline mode")?.ok_or_else(missing);
        }
        return match from_anywhere(wanted, content, with, patience) {
            Err(FetchError::NotFetched(failed)) if failed.failures.iter().any(|(_, problem)| problem.is_away()) => {
                let found = earlier(wanted, with, &failed.to_string())?;
                found.ok_or(failed.into())
            }
            other => other,
        };
    };
    if let Some(found) = pinned(wanted, sha256, with)? {
        return Ok(found);
    }
    if with.offline {
        return Err(missing());
    }
    let waiting = || (with.tell)(Progress::Waiting { what: wanted.what.to_owned() });
    let _lock = with.store.lock(&format!("download-{sha256}"), waiting)?;
    match pinned(wanted, sha256, with)? {
        Some(found) => Ok(found),
        None => from_anywhere(wanted, content, with, patience),
    }
}

/// The file with this sha256, if it is cached.
fn pinned(wanted: &FetchRequest, sha256: &str, with: &Obtain) -> Result<Option<Fetched>, FileError> {
    let (Some(address), Some((path, size))) = (wanted.addresses.first(), kept::find(with.store, sha256)?) else {
        return Ok(None);
    };
    Ok(Some(Fetched { sha256: sha256.to_owned(), size, address: address.clone(), path, stale: None, was_here: false }))
}

/// The cached copy of one of the addresses.
fn earlier(wanted: &FetchRequest, with: &Obtain, why: &str) -> Result<Option<Fetched>, FileError> {
    for address in wanted.addresses {
        if let Some((seen, path)) =
            FetchRecord::read(with.store, address)?.filter(|(seen, _)| seen.size <= wanted.limit)
        {
            let stale = Stale { age: seen.age(), why: why.to_owned() };
            (with.tell)(Progress::Stale(stale.clone()));
            let (sha256, size, address) = (seen.sha256, seen.size, address.clone());
            return Ok(Some(Fetched { sha256, size, address, path, stale: Some(stale), was_here: false }));
        }
    }
    Ok(None)
}

/// Tries each address in turn.
fn from_anywhere(
    wanted: &FetchRequest,
    content: Content,
    with: &Obtain,
    patience: &Patience,
) -> Result<Fetched, FetchError> {
    let client = HttpClient::new(patience)?;
    let mut failures = Vec::new();
    let mut addresses = wanted.addresses.iter().peekable();
    let deadline = Cell::new(None);
    while let Some(address) = addresses.next() {
        Proxy::of(address).map_err(|error| FetchError::NoClient(error.to_string()))?;
        match (FileTransfer { wanted, content, with, patience, client: &client, address, deadline: &deadline }).run() {
            Ok(fetched) => return Ok(fetched),
            Err(Failed::Here(error)) => return Err(error.into()),
            Err(Failed::There(problem)) => {
                if matches!(problem, FetchProblem::TooSlow { .. }) {
                    // The time limit is for all of them.
                    failures.push((address.clone(), problem));
                    break;
                }
                if let Some(next) = addresses.peek() {
                    (with.tell)(trouble(wanted, address, &problem.to_string(), format!("trying {next}")));
                }
                failures.push((address.clone(), problem));
            }
        }
    }
    Err(NotFetched { what: wanted.what.to_owned(), failures }.into())
}

/// Reports trouble at an address. A document's name is its address, which is said only once.
fn trouble(wanted: &FetchRequest, address: &Url, why: &str, then: String) -> Progress {
    let what = wanted.what.to_owned();
    let why = if what == address.as_str() { why.to_owned() } else { format!("{address}: {why}") };
    Progress::Trouble { what, why, then }
}

#[cfg(test)]
#[path = "../../../tests/common/server.rs"]
pub(super) mod server;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trouble_tests;
#[cfg(test)]
mod world;

/// Reads headers, for `fuzz/`.
#[cfg(fuzzing)]
pub(super) fn fuzz(bytes: &[u8]) {
    headers::fuzz(bytes);
    let _ = web_page::is_one(bytes);
}
