//! Locked kernels: exactly the packages of the lock, from any address that still has them.

use super::error::AptError;
use super::index::Served;
use super::mirror;
use super::{Place, Selection, check_names, current, selection_record};
use crate::kernel::apt::index;
use crate::kernel::assemble;
use crate::kernel::clock;
use crate::kernel::obtain::Obtain;
use crate::kernel::obtained::Kernel;
use crate::kernel::package::UnpackedPackage;
use crate::kernel::progress::{Progress, Stale};
use crate::kernel::source_kind::Resolved;
use crate::kernel::store::Store;
use crate::matrix::{AptArchive, LockedFile};

/// The kernel in these packages.
pub(super) fn obtain_locked(
    package: &str,
    suite: Option<&str>,
    archive: Option<&AptArchive>,
    files: &[LockedFile],
    with: &Obtain,
) -> Result<Kernel, AptError> {
    // Cached packages need neither apt nor the mirror.
    let here = files.iter().map(|file| UnpackedPackage::recorded(with.store, &file.sha256)).collect::<Option<Vec<_>>>();
    if let Some(mut kernel) = here.map_or(Ok(None), |packages| assemble::assemble(&packages, with.store))? {
        kernel.files = files.to_vec();
        return Ok(kernel);
    }
    let place = Place::of(suite, archive, with)?;
    check_names(package, &place)?;
    // Twice, because damaged cached files are only found, and removed, during assembly.
    for _ in 0..2 {
        let packages = files.iter().map(|file| one(file, &place, with)).collect::<Result<Vec<_>, _>>()?;
        if let Some(mut kernel) = assemble::assemble(&packages, with.store)? {
            kernel.files = files.to_vec();
            return Ok(kernel);
        }
    }
    Err(assemble::damaged(with.store).into())
}

fn one(file: &LockedFile, place: &Place, with: &Obtain) -> Result<UnpackedPackage, AptError> {
    if let Some(package) = UnpackedPackage::recorded(with.store, &file.sha256) {
        return Ok(package);
    }
    let what = format!("{} {}", file.name, file.version.as_deref().unwrap_or_default());
    if with.offline {
        return Err(with.store.not_cached(what).into());
    }
    let _lock = with.store.lock(&file.sha256, || (with.tell)(Progress::Waiting { what: what.clone() }))?;
    if let Some(package) = UnpackedPackage::recorded(with.store, &file.sha256) {
        return Ok(package);
    }
    let folder = with.store.draft_folder()?;
    let target = folder.path().join("package.deb");
    fetch(file, &what, place, &target, with)?;
    (with.tell)(Progress::Unpacking { package: file.name.clone() });
    Ok(UnpackedPackage::unpack(with.store, &target, &file.sha256)?)
}

/// Fetches it from the mirror, or else from the lock's addresses. Each file must have the sha256.
fn fetch(
    file: &LockedFile,
    what: &str,
    place: &Place,
    target: &std::path::Path,
    with: &Obtain,
) -> Result<(), AptError> {
    let same = |served: &Served| served.name == file.name && served.sha256 == file.sha256;
    // If the suite is gone or the mirror is down, other addresses may still have it.
    let index = current(place, false, with).ok().map(|current| current.index.packages).unwrap_or_default();
    let mut addresses: Vec<String> = index.into_iter().find(same).map(|served| served.uri).into_iter().collect();
    addresses.extend(file.addresses.iter().filter(|address| !addresses.contains(address)).cloned().collect::<Vec<_>>());
    let mut away = None;
    for address in &addresses {
        match mirror::fetch(&Served::at(file, address), place, target, with) {
            Ok(()) => return Ok(()),
            Err(error @ AptError::Superseded { .. }) => {
                tracing::debug!(%error, "a locked package is no longer there")
            }
            Err(error @ AptError::Network { .. }) => away = Some(error),
            Err(error) => return Err(error),
        }
    }
    // If one address could not be asked, the package may be there tomorrow.
    Err(away.unwrap_or_else(|| AptError::LockedGone {
        what: what.to_owned(),
        sha256: file.sha256.clone(),
        tried: addresses,
    }))
}

/// The newest kernel by the mirror's index alone, and why that may be stale.
pub(super) fn resolve(package: &str, place: &Place, with: &Obtain) -> Result<(Resolved, Option<Stale>), AptError> {
    check_names(package, place)?;
    let current = current(place, with.refresh, with)?;
    let age = clock::age(current.index.fetched);
    let stale = current.why_old.map(|why| Stale { age, why });
    let chosen = index::resolve(&current.index.packages, package).map_err(|similar| {
        let (package, suite) = (package.to_owned(), place.suite().to_owned());
        AptError::UnknownPackage { package, suite, similar }
    })?;
    let files: Vec<LockedFile> = chosen.into_iter().map(Served::locked).collect();
    let release = |file: &LockedFile| {
        let name = file.name.strip_prefix("linux-image-unsigned-");
        let name = name.or_else(|| file.name.strip_prefix("linux-image-"));
        name.filter(|name| name.starts_with(|c: char| c.is_ascii_digit())).map(str::to_owned)
    };
    Ok((Resolved { release: files.iter().find_map(release), files }, stale))
}

/// The last used packages, if recorded.
pub(super) fn used_last(package: &str, place: &Place, store: &Store) -> Option<Vec<LockedFile>> {
    let record = selection_record(package, place);
    let newest = store.records::<Selection>(&record).max_by_key(|selection| selection.fetched)?;
    Some(newest.packages.iter().map(Served::locked).collect())
}
