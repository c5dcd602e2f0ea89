//! Kernels that are fetched: packages, an image, or a tarball of a build, recognised by their content.

use std::path::PathBuf;

use url::Url;

use super::assemble::{self, AssembleError};
use super::error::ObtainError;
use super::error_class::{ClassedError, ErrorClass};
use super::fetch::{self, FetchError, FetchProblem, FetchRequest, Fetched};
use super::file_error::FileError;
use super::kind::{FileKind, file_kind};
use super::obtain::Obtain;
use super::obtained::{Downloaded, Kernel};
use super::origin::Origin;
use super::package::{PackageKind, UnpackedPackage};
use super::progress::{Progress, Stale};
use super::provenance::{Provenance, Vouched};
use super::source_kind::{Cached, SourceKind};
use super::store::Store;
use crate::matrix::{LockedFile, Pin, Remote};

/// The most bytes of one file: four times the largest kernel packages, those with debug information.
const LARGEST: u64 = 4 << 30;

/// Why fetched files can't be used as a kernel.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// An address gives another file than the lock has.
    #[error(
        "cannot use {address}: its sha256 is now {found}, and kernels.lock has {locked}; the new file is kept in {} and never \
         used: if the change is intended, accept it with `backproof kernels update`",
        kept.display()
    )]
    LockedOtherwise {
        /// The address.
        address: String,
        /// The sha256 in the lock.
        locked: String,
        /// The sha256 of the fetched file.
        found: String,
        /// The path of the fetched file.
        kept: PathBuf,
    },
    /// The lock has fewer files than the matrix.
    #[error("cannot use {0}: kernels.lock has no entry for it; lock it with `backproof kernels update`")]
    NotLocked(Url),
    /// The file is not usable.
    #[error("cannot use {address}: it {problem}")]
    Unfit {
        /// Its address.
        address: Url,
        /// The fault.
        problem: &'static str,
    },
    /// An error in the contents of the files.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// They were not fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
}

impl RemoteError {
    /// Whether other bytes from the same address may fix it.
    fn is_about_content(&self) -> bool {
        match self {
            Self::Unfit { .. } => true,
            Self::Assemble(error) => error.is_about_content(),
            Self::LockedOtherwise { .. } | Self::NotLocked(_) | Self::Fetch(_) | Self::File(_) => false,
        }
    }
}

impl ClassedError for RemoteError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::LockedOtherwise { .. } => ErrorClass::Host,
            Self::NotLocked(_) | Self::Unfit { .. } => ErrorClass::Usage,
            Self::Assemble(error) => error.class(),
            Self::Fetch(error) => error.class(),
            Self::File(error) => error.class(),
        }
    }
}

/// Files to fetch.
pub(super) struct RemoteFiles<'a>(pub &'a [Remote]);

impl SourceKind for RemoteFiles<'_> {
    fn obtain(&self, with: &Obtain) -> Result<Kernel, ObtainError> {
        Ok(obtain(self.0, with)?)
    }

    fn origin(&self, kernel: &Kernel) -> Origin {
        // An image or a build on a server may have any name.
        if kernel.package().is_some() { Origin::packages() } else { Origin::tarball() }
    }

    fn is_in_archives(&self) -> bool {
        false
    }

    fn why_not_locked(&self) -> Option<&'static str> {
        None
    }

    fn cached(&self, locked: Option<&[LockedFile]>, store: &Store) -> (Cached, Option<u64>) {
        Cached::of_fetched(locked.unwrap_or_default(), store)
    }
}

/// A file that is wanted.
struct Asked<'a> {
    remote: &'a Remote,
    /// The matrix's addresses, and then the lock's.
    addresses: Vec<Url>,
    sha256: Option<&'a str>,
    vouched: Vouched,
}

/// A file in the cache, or one that was unpacked earlier.
struct Got<'a> {
    asked: Asked<'a>,
    sha256: String,
    size: u64,
    /// The address that it came from, or would have.
    address: Url,
    /// Its path; none if it was unpacked earlier and is no longer needed.
    path: Option<PathBuf>,
    stale: Option<Stale>,
    /// Whether the server only confirmed the cached copy.
    was_here: bool,
    kind: FileKind,
}

/// The kernel in these files.
fn obtain(files: &[Remote], with: &Obtain) -> Result<Kernel, RemoteError> {
    let mut got = get_all(files, with)?;
    let mut made = made_of(&got, with);
    if let Err(error) = &made
        && error.is_about_content()
        && doubt(&got, with)?
    {
        let (what, why) =
            (got.iter().map(|got| name(got.asked.remote)).collect::<Vec<_>>().join(", "), error.to_string());
        (with.tell)(Progress::Trouble { what, why, then: "fetching all of it again".to_owned() });
        got = get_all(files, with)?;
        made = made_of(&got, with);
    }
    let (mut kernel, packages) = made?;
    let fetched = got.iter().map(|got| Provenance::Fetched {
        address: got.address.to_string(),
        sha256: got.sha256.clone(),
        vouched: got.asked.vouched,
    });
    let from_packages = std::mem::take(&mut kernel.provenance).into_iter().filter(|from| {
        // A tarball is not a package, and the path of a fetched image in the cache means nothing to people.
        matches!(from, Provenance::Package { sha256, .. } if got.iter().any(|got| is_package(got) && got.sha256 == *sha256))
    });
    kernel.provenance = from_packages.chain(fetched).collect();
    kernel.files = got.iter().map(|got| locked(got, &packages)).collect();
    kernel.stale = got.iter().find_map(|got| got.stale.clone());
    Ok(kernel)
}

fn get_all<'a>(files: &'a [Remote], with: &Obtain<'a>) -> Result<Vec<Got<'a>>, RemoteError> {
    files.iter().enumerate().map(|(at, remote)| get(ask_for(remote, at, with)?, with)).collect()
}

/// The kernel in these files, and the packages that it was unpacked from.
fn made_of(got: &[Got], with: &Obtain) -> Result<(Kernel, Vec<UnpackedPackage>), RemoteError> {
    if let [Got { kind: FileKind::Image, path: Some(path), asked, .. }] = got {
        let kernel = assemble::bare(path, with.store);
        return Ok((kernel.map_err(|error| of_address(error, asked.remote))?, Vec::new()));
    }
    let is_usable = |got: &&Got| matches!(got.kind, FileKind::Deb | FileKind::Rpm | FileKind::Tarball);
    if let Some(other) = got.iter().find(|got| !is_usable(got)) {
        return Err(unfit(other, got.len()));
    }
    assemble::from_unpacked(|| got.iter().map(|got| unpacked(got, with)).collect(), with.store)
}

/// Stops trusting the first files from these addresses. Returns whether fetching them again may give others.
fn doubt(got: &[Got], with: &Obtain) -> Result<bool, FileError> {
    let first: Vec<_> =
        got.iter().filter(|got| got.asked.vouched == Vouched::FirstUse && got.stale.is_none()).collect();
    first.iter().try_for_each(|got| fetch::doubt(&got.address, with))?;
    Ok(first.iter().any(|got| got.was_here))
}

/// Fetches a file, unless the cache has it. Blocks.
///
/// # Errors
/// As [`obtain`](super::obtain).
pub fn fetch(remote: &Remote, with: &Obtain) -> Result<Downloaded, ObtainError> {
    let Fetched { sha256, path, stale, .. } = get_file(&ask_for(remote, 0, with)?, with)?;
    Ok(Downloaded { path, sha256, stale })
}

/// The request for the file at this position. Only the lock's file is accepted, from any address; but a sha256 in the
/// matrix takes precedence.
fn ask_for<'a>(remote: &'a Remote, at: usize, with: &Obtain<'a>) -> Result<Asked<'a>, RemoteError> {
    let locked = with.locked.map(|files| files.get(at));
    let (sha256, vouched) = match (&remote.pin, locked) {
        (Pin::Sha256(sum), _) => (Some(sum.as_str()), Vouched::Sha256),
        (Pin::TrustOnFirstUse, Some(Some(locked))) => (Some(locked.sha256.as_str()), Vouched::Lock),
        (Pin::TrustOnFirstUse, Some(None)) => {
            return Err(RemoteError::NotLocked(remote.address.clone()));
        }
        (Pin::TrustOnFirstUse, None) => (None, Vouched::FirstUse),
    };
    let mut addresses: Vec<_> = std::iter::once(&remote.address).chain(&remote.mirrors).cloned().collect();
    // The lock may have addresses that the matrix does not; the sha256 decides.
    let of_lock = locked.flatten().filter(|locked| Some(locked.sha256.as_str()) == sha256);
    for further in of_lock.into_iter().flat_map(|locked| &locked.addresses) {
        match Remote::parse(further) {
            Ok(further) if !addresses.contains(&further.address) => addresses.push(further.address),
            Ok(_) => {}
            Err(why) => tracing::debug!(%further, %why, "cannot fetch from an address in the lock"),
        }
    }
    Ok(Asked { remote, addresses, sha256, vouched })
}

fn get<'a>(asked: Asked<'a>, with: &Obtain) -> Result<Got<'a>, RemoteError> {
    if let Some(sha256) = asked.sha256
        && let Some(package) = UnpackedPackage::recorded(with.store, sha256)
    {
        let size = package.file_size;
        let (sha256, address) = (sha256.to_owned(), asked.remote.address.clone());
        let kind = match package.kind {
            PackageKind::Deb => FileKind::Deb,
            PackageKind::Rpm => FileKind::Rpm,
            PackageKind::Tarball => FileKind::Tarball,
        };
        return Ok(Got { asked, sha256, size, address, path: None, stale: None, was_here: false, kind });
    }
    let Fetched { sha256, size, address, path, stale, was_here } = get_file(&asked, with)?;
    let kind = file_kind(&path).map_err(|e| FileError::io("read", &path, e))?;
    Ok(Got { asked, sha256, size, address, path: Some(path), stale, was_here, kind })
}

fn get_file(asked: &Asked, with: &Obtain) -> Result<Fetched, RemoteError> {
    let what = name(asked.remote);
    let (addresses, sha256) = (&asked.addresses, asked.sha256);
    let wanted = FetchRequest { what: &what, addresses, sha256, size: None, limit: LARGEST };
    fetch::file(&wanted, with).map_err(|error| otherwise(error, asked.vouched))
}

/// The file's name, or the host if the address has no file name.
fn name(remote: &Remote) -> String {
    let segments = remote.address.path_segments();
    let last = segments.and_then(|mut parts| parts.next_back()).filter(|name| !name.is_empty());
    last.or(remote.address.host_str()).unwrap_or("a file").to_owned()
}

/// A file that differs from the lock's is not a broken transfer, so the user has to decide.
fn otherwise(error: FetchError, vouched: Vouched) -> RemoteError {
    if let (Vouched::Lock, FetchError::NotFetched(failed)) = (vouched, &error) {
        for (address, problem) in &failed.failures {
            if let FetchProblem::WrongChecksum { expected, found, kept, .. } = problem {
                let (address, locked, found) = (address.to_string(), expected.clone(), found.clone());
                return RemoteError::LockedOtherwise { address, locked, found, kept: kept.clone() };
            }
        }
    }
    error.into()
}

fn unfit(got: &Got, files: usize) -> RemoteError {
    let problem = match got.kind {
        FileKind::Image if files > 1 => "is an image, which cannot be combined with other files; name it alone",
        _ => "is neither a package, an x86-64 kernel image nor a tarball of a build; check the address",
    };
    RemoteError::Unfit { address: got.asked.remote.address.clone(), problem }
}

fn is_package(got: &Got) -> bool {
    matches!(got.kind, FileKind::Deb | FileKind::Rpm)
}

fn unpacked(got: &Got, with: &Obtain) -> Result<UnpackedPackage, RemoteError> {
    let again = || get_file(&got.asked, with).map(|fetched| fetched.path);
    let path = match &got.path {
        Some(path) => path.clone(),
        None => match UnpackedPackage::recorded(with.store, &got.sha256) {
            Some(package) => return Ok(package),
            // Its unpacked files were damaged and removed.
            None => again()?,
        },
    };
    let package = assemble::unpacked(&name(got.asked.remote), &path, &got.sha256, with);
    package.map_err(|error| of_address(error.into(), got.asked.remote).into())
}

/// Names the address, because the path in the cache means nothing to people.
fn of_address(error: AssembleError, remote: &Remote) -> AssembleError {
    error.of(PathBuf::from(remote.address.as_str()))
}

fn locked(got: &Got, packages: &[UnpackedPackage]) -> LockedFile {
    let package = packages.iter().find(|p| p.file_sha256 == got.sha256 && is_package(got));
    LockedFile {
        name: package.map_or_else(|| name(got.asked.remote), |package| package.package.clone()),
        version: package.map(|package| package.version.clone()),
        sha256: got.sha256.clone(),
        size: got.size,
        addresses: addresses(got.asked.remote),
    }
}

fn addresses(remote: &Remote) -> Vec<String> {
    std::iter::once(&remote.address).chain(&remote.mirrors).map(ToString::to_string).collect()
}

#[cfg(test)]
#[path = "remote_tests.rs"]
mod tests;
