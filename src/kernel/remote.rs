//! Kernels that are fetched: packages, an image, or a tarball of a build, told by what is in the files.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::ObtainError;
use super::fetch::{self, Fetched, Problem, Wanted};
use super::kind::{FileKind, file_kind};
use super::package::Package;
use super::{Kernel, LockedFile, Obtain, Provenance, local};
use crate::matrix::{Pin, Remote};

/// The most bytes of one file: four times the largest kernel packages, those with debug information.
const LARGEST: u64 = 4 << 30;

/// What vouches for a file that was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Vouched {
    /// Its sha256 stands in the matrix, or on the command line.
    Sha256,
    /// Its sha256 stands in kernels.lock.
    Lock,
    /// Nothing yet: it came first, and is trusted for that.
    FirstUse,
}

/// A file that is here.
struct Got<'a> {
    remote: &'a Remote,
    fetched: Fetched,
    vouched: Vouched,
    kind: FileKind,
}

/// The kernel in these files.
pub(super) fn obtain(files: &[Remote], with: &Obtain) -> Result<Kernel, ObtainError> {
    let got = files.iter().map(|remote| get(remote, with)).collect::<Result<Vec<_>, _>>()?;
    let (mut kernel, packages) = match &got[..] {
        [only] if only.kind == FileKind::Image => {
            // What was fetched has been compared with the lock.
            let kernel = local::from_image(&only.fetched.path, None, None, &Obtain { locked: None, ..*with });
            (kernel.map_err(|error| of_address(error, only))?, Vec::new())
        }
        _ => {
            if let Some(other) =
                got.iter().find(|got| !matches!(got.kind, FileKind::Deb | FileKind::Rpm | FileKind::Tarball))
            {
                return Err(unfit(other, got.len()));
            }
            local::from_unpacked(|| got.iter().map(|got| unpacked(got, with)).collect(), with)?
        }
    };
    let fetched = got.iter().map(|got| Provenance::Fetched {
        address: got.fetched.address.to_string(),
        sha256: got.fetched.sha256.clone(),
        vouched: got.vouched,
    });
    let from_packages = std::mem::take(&mut kernel.provenance).into_iter().filter(|from| {
        // A tarball is no package, and where a fetched image lies in the cache tells nobody anything.
        matches!(from, Provenance::Package { sha256, .. } if got.iter().any(|got| is_package(got) && got.fetched.sha256 == *sha256))
    });
    kernel.provenance = from_packages.chain(fetched).collect();
    kernel.files = got.iter().map(|got| locked(got, &packages)).collect();
    kernel.stale = got.iter().find_map(|got| got.fetched.stale.clone());
    Ok(kernel)
}

/// Fetches one file, whatever is in it: where it lies, and what it was resolved to.
pub(super) fn file(remote: &Remote, with: &Obtain) -> Result<(PathBuf, LockedFile), ObtainError> {
    let got = get(remote, with)?;
    let locked = locked(&got, &[]);
    Ok((got.fetched.path, locked))
}

fn get<'a>(remote: &'a Remote, with: &Obtain) -> Result<Got<'a>, ObtainError> {
    let in_lock = |file: &&LockedFile| file.addresses.iter().any(|address| address == remote.address.as_str());
    let locked = with.locked.into_iter().flatten().find(in_lock);
    let (sha256, vouched) = match (&remote.pin, locked) {
        (Pin::Sha256(sum), _) => (Some(sum.as_str()), Vouched::Sha256),
        (Pin::TrustOnFirstUse, Some(locked)) => (Some(locked.sha256.as_str()), Vouched::Lock),
        (Pin::TrustOnFirstUse, None) => (None, Vouched::FirstUse),
    };
    let what = name(remote);
    let addresses: Vec<_> = std::iter::once(&remote.address).chain(&remote.mirrors).cloned().collect();
    let wanted = Wanted { what: &what, addresses: &addresses, sha256, size: None, limit: LARGEST };
    let fetched = fetch::file(&wanted, with).map_err(|error| otherwise(error, vouched))?;
    let kind = file_kind(&fetched.path).map_err(|e| ObtainError::io("reading", &fetched.path, e))?;
    Ok(Got { remote, fetched, vouched, kind })
}

/// The file's name, or where the address has none its host.
fn name(remote: &Remote) -> String {
    let segments = remote.address.path_segments();
    let last = segments.and_then(|mut parts| parts.next_back()).filter(|name| !name.is_empty());
    last.or(remote.address.host_str()).unwrap_or("a file").to_owned()
}

/// Another file than the lock has is no broken transfer: somebody has to decide.
fn otherwise(error: ObtainError, vouched: Vouched) -> ObtainError {
    if let (Vouched::Lock, ObtainError::NotFetched(failed)) = (vouched, &error) {
        for (address, problem) in &failed.failures {
            if let Problem::WrongChecksum { expected, found, kept, .. } = problem {
                let (address, locked, found) = (address.to_string(), expected.clone(), found.clone());
                return ObtainError::LockedOtherwise { address, locked, found, kept: kept.clone() };
            }
        }
    }
    error
}

fn unfit(got: &Got, files: usize) -> ObtainError {
    let path = PathBuf::from(got.remote.address.as_str());
    let problem = match got.kind {
        FileKind::Image if files > 1 => "is an image, and other files beside it are not used; give it alone",
        _ => "is neither a package nor an x86-64 kernel image nor a tarball of a build; check the address",
    };
    ObtainError::Unusable { what: "the fetched file", path, problem: problem.to_owned() }
}

fn is_package(got: &Got) -> bool {
    matches!(got.kind, FileKind::Deb | FileKind::Rpm)
}

fn unpacked(got: &Got, with: &Obtain) -> Result<Package, ObtainError> {
    local::unpacked(&got.fetched.path, &got.fetched.sha256, with).map_err(|error| of_address(error, got))
}

/// Names the address, which means more to people than the cache's file.
fn of_address(error: ObtainError, got: &Got) -> ObtainError {
    let path = PathBuf::from(got.remote.address.as_str());
    match error {
        ObtainError::BadPackage { problem, .. } => ObtainError::BadPackage { path, problem },
        ObtainError::NotAnImage { found, .. } => ObtainError::NotAnImage { path, found },
        other => other,
    }
}

fn locked(got: &Got, packages: &[Package]) -> LockedFile {
    let package = packages.iter().find(|p| p.file_sha256 == got.fetched.sha256 && is_package(got));
    let addresses = std::iter::once(&got.remote.address).chain(&got.remote.mirrors).map(ToString::to_string);
    LockedFile {
        name: package.map_or_else(|| name(got.remote), |package| package.package.clone()),
        version: package.map(|package| package.version.clone()),
        sha256: got.fetched.sha256.clone(),
        size: got.fetched.size,
        addresses: addresses.collect(),
    }
}

#[cfg(test)]
#[path = "remote_tests.rs"]
mod tests;
