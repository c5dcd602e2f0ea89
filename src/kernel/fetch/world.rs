//! A cache and impatient fetching, for tests.

use std::fs;
use std::sync::Mutex;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;
use crate::kernel::store::{self, Store};
use crate::shim::Shim;

/// A store, and the progress that its users reported.
pub(super) struct FetchWorld {
    pub folder: TempDir,
    pub told: Mutex<Vec<Progress>>,
}

/// Short limits, so that tests are fast, but long enough for a busy machine to answer on loopback.
pub(super) fn quick() -> Patience {
    Patience {
        connect: Duration::from_secs(5),
        stall: Duration::from_millis(1500),
        total: Duration::from_secs(60),
        crawl: Duration::from_secs(60),
        slowest: 4000,
        tries: 3,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_secs(2),
    }
}

pub(super) fn sum(bytes: &[u8]) -> String {
    store::hex(Sha256::new_with_prefix(bytes))
}

/// Varied bytes that are not a web page.
pub(super) fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 256 * 13) as u8).collect()
}

impl FetchWorld {
    pub(super) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), told: Mutex::default() }
    }

    pub(super) fn store(&self) -> Store {
        Store::open(Some(self.folder.path().join("cache"))).unwrap()
    }

    pub(super) fn with<T>(&self, offline: bool, what: impl FnOnce(&Obtain) -> T) -> T {
        let (store, shim) = (self.store(), Shim::at("/nonexistent".into()));
        let tell = |p| self.told.lock().unwrap().push(p);
        what(&Obtain { store: &store, shim: &shim, offline, refresh: false, locked: None, tell: &tell })
    }

    pub(super) fn fetch_with(
        &self,
        addresses: &[&str],
        sha256: Option<&str>,
        change: impl FnOnce(&mut FetchRequest),
        patience: &Patience,
    ) -> Result<Fetched, FetchError> {
        let addresses: Vec<Url> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let mut wanted = FetchRequest { what: "the file", addresses: &addresses, sha256, size: None, limit: 1 << 20 };
        change(&mut wanted);
        self.with(false, |with| get(&wanted, Content::File, with, patience))
    }

    pub(super) fn fetch(&self, addresses: &[&str], sha256: Option<&str>) -> Result<Fetched, FetchError> {
        self.fetch_with(addresses, sha256, |_| {}, &quick())
    }

    /// The problem at the only address.
    pub(super) fn problem(&self, address: &str, sha256: Option<&str>) -> FetchProblem {
        problem(self.fetch(&[address], sha256))
    }

    /// The messages about problems so far.
    pub(super) fn troubles(&self) -> Vec<String> {
        let told = self.told.lock().unwrap();
        told.iter().filter(|p| matches!(p, Progress::Trouble { .. })).map(ToString::to_string).collect()
    }

    pub(super) fn files(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join("cache").join(folder));
        entries.into_iter().flatten().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }
}

pub(super) fn problem(result: Result<Fetched, FetchError>) -> FetchProblem {
    match result.unwrap_err() {
        FetchError::NotFetched(mut failed) => failed.failures.remove(0).1,
        other => panic!("{other}"),
    }
}

#[track_caller]
pub(super) fn whole(fetched: &Fetched, expected: &[u8]) {
    assert!(fs::read(&fetched.path).unwrap() == expected, "other bytes");
    assert_eq!((fetched.sha256.as_str(), fetched.size), (sum(expected).as_str(), expected.len() as u64));
}
