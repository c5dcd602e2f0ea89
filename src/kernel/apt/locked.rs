//! Kernels that were resolved before: exactly the packages of the lock, from wherever they still are.

use super::index::Served;
use super::mirror::{self, FetchError};
use super::{Place, Selection, check_names, current, selection_record};
use crate::kernel::apt::index;
use crate::kernel::error::ObtainError;
use crate::kernel::package::Package;
use crate::kernel::store::Store;
use crate::kernel::{Kernel, LockedFile, Obtain, Progress, local};
use crate::matrix::AptArchive;

/// The kernel in these packages.
pub(in crate::kernel) fn obtain_locked(
    package: &str,
    suite: Option<&str>,
    archive: Option<&AptArchive>,
    files: &[LockedFile],
    with: &Obtain,
) -> Result<Kernel, ObtainError> {
    // What is here needs neither apt nor a mirror that serves the suite.
    let here = files.iter().map(|file| Package::recorded(with.store, &file.sha256)).collect::<Option<Vec<_>>>();
    if let Some(mut kernel) = here.map_or(Ok(None), |packages| local::assemble(&packages, with.store))? {
        kernel.files = files.to_vec();
        return Ok(kernel);
    }
    let place = Place::of(suite, archive, with)?;
    check_names(package, &place)?;
    // Twice, because a damaged cached file is only noticed, and removed, when all is put together.
    for _ in 0..2 {
        let packages = files.iter().map(|file| one(file, &place, with)).collect::<Result<Vec<_>, _>>()?;
        if let Some(mut kernel) = local::assemble(&packages, with.store)? {
            kernel.files = files.to_vec();
            return Ok(kernel);
        }
    }
    Err(local::damaged(with.store))
}

fn one(file: &LockedFile, place: &Place, with: &Obtain) -> Result<Package, ObtainError> {
    if let Some(package) = Package::recorded(with.store, &file.sha256) {
        return Ok(package);
    }
    let what = format!("{} {}", file.name, file.version.as_deref().unwrap_or_default());
    if with.offline {
        return Err(ObtainError::NotCached { what, store: with.store.folder().to_owned() });
    }
    let _lock = with.store.lock(&file.sha256, || (with.tell)(Progress::Waiting { what: what.clone() }))?;
    if let Some(package) = Package::recorded(with.store, &file.sha256) {
        return Ok(package);
    }
    let folder = with.store.draft_folder()?;
    let target = folder.path().join("package.deb");
    fetch(file, &what, place, &target, with)?;
    (with.tell)(Progress::Unpacking { package: file.name.clone() });
    Package::unpack(with.store, &target, &file.sha256)
}

/// Fetches it from the mirror while that serves it, and else from where the lock says. Each is compared with the sha256.
fn fetch(
    file: &LockedFile,
    what: &str,
    place: &Place,
    target: &std::path::Path,
    with: &Obtain,
) -> Result<(), ObtainError> {
    let same = |served: &Served| served.name == file.name && served.sha256 == file.sha256;
    // A suite that has gone, or a mirror that is away, is no reason not to look elsewhere.
    let index = current(place, false, with).ok().map(|current| current.index.packages).unwrap_or_default();
    let mut addresses: Vec<String> = index.into_iter().find(same).map(|served| served.uri).into_iter().collect();
    addresses.extend(file.addresses.iter().filter(|address| !addresses.contains(address)).cloned().collect::<Vec<_>>());
    let mut away = None;
    for address in &addresses {
        match mirror::fetch(&Served::at(file, address), place, target, with) {
            Ok(()) => return Ok(()),
            Err(FetchError::Superseded(error)) => tracing::debug!(%error, "a locked package is not there any more"),
            Err(FetchError::Other(error @ ObtainError::Network { .. })) => away = Some(error),
            Err(FetchError::Other(error)) => return Err(error),
        }
    }
    // Where one of them could not be asked, the package may be there tomorrow.
    Err(away.unwrap_or_else(|| ObtainError::LockedGone {
        what: what.to_owned(),
        sha256: file.sha256.clone(),
        tried: addresses,
    }))
}

/// What the newest kernel would be, by the mirror's index alone.
pub(in crate::kernel) fn resolve(package: &str, place: &Place, with: &Obtain) -> Result<Vec<LockedFile>, ObtainError> {
    check_names(package, place)?;
    let current = current(place, with.refresh, with)?;
    if let (Some(detail), false) = (current.why_old, with.offline) {
        // What is asked for is the newest, and an old answer would pass for that.
        return Err(ObtainError::Network { doing: format!("refreshing the index of {}", place.suite()), detail });
    }
    let unknown = |similar| {
        let (package, suite) = (package.to_owned(), place.suite().to_owned());
        ObtainError::UnknownPackage { package, suite, similar }
    };
    let chosen = index::resolve(&current.index.packages, package).map_err(unknown)?;
    Ok(chosen.into_iter().map(Served::locked).collect())
}

/// What was used last, as far as that is recorded.
pub(in crate::kernel) fn used_last(package: &str, place: &Place, store: &Store) -> Option<Vec<LockedFile>> {
    let record = selection_record(package, place);
    let newest = store.records::<Selection>(&record).max_by_key(|selection| selection.fetched)?;
    Some(newest.packages.iter().map(Served::locked).collect())
}
