//! Kernels that apt can serve.
//!
//! Each suite has its own apt state in the store, so one that is gone does not affect the others. apt handles mirrors,
//! proxies and signatures. Its index of all packages takes seconds, so backproof reads the few kernel packages from the
//! lists that apt has verified. It records them, so a second run starts no child at all.

mod child;
mod error;
mod index;
mod locked;
mod mirror;
mod place;
mod sources;
mod system;

use serde::{Deserialize, Serialize};

use self::error::AptError;
use self::index::Served;
use self::mirror::SuiteIndex;
use self::place::Place;
use self::system::System;
use super::assemble;
use super::clock;
use super::error::ObtainError;
use super::file_error::FileError;
use super::obtain::Obtain;
use super::obtained::Kernel;
use super::origin::Origin;
use super::package::UnpackedPackage;
use super::progress::{Progress, Stale};
use super::source_kind::{Cached, Resolved, SourceKind};
use super::store::Store;
use super::versions::dpkg;
use crate::kernel::quoted::Quoted;
use crate::matrix::{AptArchive, LockedFile};

/// Seconds for which a mirror's answer counts as new.
const FRESH: u64 = 6 * 60 * 60;

/// The last used packages of a package name.
#[derive(Serialize, Deserialize)]
struct Selection {
    /// When their index was fetched, in seconds since 1970.
    fetched: u64,
    packages: Vec<Served>,
}

/// An index, and why it is stale, if it is.
struct Current {
    index: SuiteIndex,
    asked_now: bool,
    why_old: Option<String>,
}

/// A package of an archive, or a meta-package that leads to one.
pub(super) struct AptPackage<'a> {
    pub package: &'a str,
    pub suite: Option<&'a str>,
    pub archive: Option<&'a AptArchive>,
}

impl SourceKind for AptPackage<'_> {
    fn obtain(&self, with: &Obtain) -> Result<Kernel, ObtainError> {
        Ok(match with.locked {
            Some(files) => locked::obtain_locked(self.package, self.suite, self.archive, files, with)?,
            None => obtain(self.package, &Place::of(self.suite, self.archive, with)?, with)?,
        })
    }

    fn origin(&self, _: &Kernel) -> Origin {
        Origin::packages()
    }

    fn is_in_archives(&self) -> bool {
        true
    }

    fn resolve(&self, with: &Obtain) -> Result<Option<(Resolved, Option<Stale>)>, ObtainError> {
        Ok(Some(locked::resolve(self.package, &Place::of(self.suite, self.archive, with)?, with)?))
    }

    fn shared_index(&self) -> Option<String> {
        let mirror = self.archive.map(|archive| archive.mirror.as_str());
        Some(format!("{} {}", self.suite.unwrap_or_default(), mirror.unwrap_or_default()))
    }

    fn why_not_locked(&self) -> Option<&'static str> {
        None
    }

    fn cached(&self, locked: Option<&[LockedFile]>, store: &Store) -> (Cached, Option<u64>) {
        let used_last = || locked::used_last(self.package, &Place::named(self.suite?, self.archive), store);
        Cached::of_fetched(&locked.map(<[_]>::to_vec).or_else(used_last).unwrap_or_default(), store)
    }
}

/// Checks that this host can obtain `apt:` kernels. Returns what its configuration offers, in words.
///
/// # Errors
/// If it has no apt, or apt knows no archive of a distribution.
pub fn available(with: &Obtain) -> Result<String, ObtainError> {
    let suite = System::read(with)?.own_suite()?;
    Ok(format!("the system's mirrors serve {suite} and other suites"))
}

/// Obtains the kernel that `package` names or leads to.
fn obtain(package: &str, place: &Place, with: &Obtain) -> Result<Kernel, AptError> {
    check_names(package, place)?;
    match newest(package, place, with) {
        Ok(kernel) => Ok(kernel),
        Err(error) => recorded(package, place, &error, with)?.ok_or(error),
    }
}

fn check_names(package: &str, place: &Place) -> Result<(), AptError> {
    let expected = "a name that starts with `linux-`, as linux-image-cloud-amd64";
    check("package", package, expected, package.starts_with("linux-"))?;
    check("suite", place.suite(), "a name such as bookworm or bookworm-backports", true)
}

/// A package with a kernel's source, in a mirror's index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SourcePackage(Served);

impl SourcePackage {
    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    pub(super) fn version(&self) -> &str {
        &self.0.version
    }

    pub(super) fn sha256(&self) -> &str {
        &self.0.sha256
    }

    pub(super) fn size(&self) -> u64 {
        self.0.size
    }
}

/// The newest package with this name.
pub(super) fn source_package(package: &str, suite: &str, with: &Obtain) -> Result<SourcePackage, AptError> {
    let Current { index, .. } = current(&Place::named(suite, None), with.refresh, with)?;
    let newest = index.packages.into_iter().filter(|served| served.name == package);
    let newest = newest.max_by(|a, b| dpkg::compare(&a.version, &b.version));
    newest.map(SourcePackage).ok_or_else(|| AptError::UnknownPackage {
        package: package.to_owned(),
        suite: suite.to_owned(),
        similar: Vec::new(),
    })
}

/// Fetches a source package into `target`, or returns the one that replaced it on the mirror.
pub(super) fn fetch_source(
    package: &SourcePackage,
    suite: &str,
    target: &std::path::Path,
    with: &Obtain,
) -> Result<Option<SourcePackage>, AptError> {
    let SourcePackage(served) = package;
    if with.offline {
        return Err(with.store.not_cached(format!("{} {}", served.name, served.version)).into());
    }
    let superseded = match mirror::fetch(served, &Place::named(suite, None), target, with) {
        Ok(()) => return Ok(None),
        Err(error @ AptError::Superseded { .. }) => error,
        Err(error) => return Err(error),
    };
    let newest = source_package(&served.name, suite, &Obtain { refresh: true, ..*with })?;
    if newest == *package { Err(superseded) } else { Ok(Some(newest)) }
}

/// Names become arguments and folders, so only the letters of Debian Policy §5.6.1 are allowed.
fn check(what: &'static str, text: &str, expected: &'static str, form: bool) -> Result<(), AptError> {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let good = form
        && text.len() <= 200
        && text.bytes().next().is_some_and(letter)
        && text.bytes().all(|b| letter(b) || b"+-.".contains(&b));
    if good { Ok(()) } else { Err(AptError::BadName { text: Quoted::of(text.as_bytes()), what, expected }) }
}

/// The newest kernel in the mirror's index.
fn newest(package: &str, place: &Place, with: &Obtain) -> Result<Kernel, AptError> {
    let mut refresh = with.refresh;
    loop {
        let Current { index, asked_now, why_old } = current(place, refresh, with)?;
        let unknown = |similar| AptError::UnknownPackage {
            package: package.to_owned(),
            suite: place.suite().to_owned(),
            similar,
        };
        let chosen = index::resolve(&index.packages, package).map_err(unknown)?;
        match gather(&chosen, place, with.offline, with) {
            // The mirror changed since its index was fetched.
            Err(AptError::Superseded { .. }) if !asked_now && why_old.is_none() => refresh = true,
            Err(error) => return Err(error),
            Ok(mut kernel) => {
                kernel.files = chosen.iter().map(|served| served.locked()).collect();
                let selection = Selection { fetched: index.fetched, packages: chosen.into_iter().cloned().collect() };
                let known: Option<Selection> = with.store.read_record(&selection_record(package, place));
                if known.is_none_or(|k| k.fetched != selection.fetched || k.packages != selection.packages) {
                    with.store.write_record(&selection_record(package, place), &selection)?;
                }
                if let Some(why) = why_old {
                    mark_stale(&mut kernel, index.fetched, why, with);
                }
                return Ok(kernel);
            }
        }
    }
}

/// The last used kernel, if the newest fails with an `error` that is not the user's.
fn recorded(package: &str, place: &Place, error: &AptError, with: &Obtain) -> Result<Option<Kernel>, AptError> {
    if !error.is_survivable() {
        return Ok(None);
    }
    let record = selection_record(package, place);
    let newest = with.store.records::<Selection>(&record).max_by_key(|selection| selection.fetched);
    let Some(selection) = newest else {
        return Ok(None);
    };
    match gather(&selection.packages.iter().collect::<Vec<_>>(), place, true, with) {
        Ok(mut kernel) => {
            kernel.files = selection.packages.iter().map(Served::locked).collect();
            mark_stale(&mut kernel, selection.fetched, error.to_string(), with);
            Ok(Some(kernel))
        }
        // The first error explains more.
        Err(_) => Ok(None),
    }
}

fn selection_record(package: &str, place: &Place) -> String {
    format!("apt/{}/{package}.json", place.id())
}

fn mark_stale(kernel: &mut Kernel, fetched: u64, why: String, with: &Obtain) {
    let stale = Stale { age: clock::age(fetched), why };
    (with.tell)(Progress::Stale(stale.clone()));
    kernel.stale = Some(stale);
}

/// Reads a list of packages, for `fuzz/`.
#[cfg(fuzzing)]
pub(super) fn fuzz(bytes: &[u8]) {
    if let Ok(index) = index::read(bytes, "http://mirror.example/") {
        let _ = index::resolve(&index, "linux-image-amd64");
    }
}

/// The suite's index: the recorded one if it is new, else the mirror's.
fn current(place: &Place, refresh: bool, with: &Obtain) -> Result<Current, AptError> {
    let record = format!("apt/{}/index.json", place.id());
    // The newest of all layers.
    let read = || with.store.records::<SuiteIndex>(&record).max_by_key(|index| index.fetched);
    let known = read();
    if with.offline {
        let what = || format!("the index of {}", place.suite());
        let missing = || AptError::from(with.store.not_cached(what()));
        let why_old = Some("offline mode".to_owned());
        return Ok(Current { index: known.ok_or_else(missing)?, asked_now: false, why_old });
    }
    let fresh = |index: &SuiteIndex| clock::now().checked_sub(index.fetched).is_some_and(|age| age < FRESH);
    match known {
        Some(index) if !refresh && fresh(&index) => return Ok(Current { index, asked_now: false, why_old: None }),
        _ => {}
    }
    let before = known.as_ref().map(|k| k.fetched);
    let waiting = || (with.tell)(Progress::Waiting { what: format!("the index of {}", place.suite()) });
    let asked = clock::now();
    let _lock = with.store.lock(&format!("apt-{}", place.id()), waiting)?;
    match read() {
        // Another process refreshed it while this one waited for the lock.
        Some(index) if Some(index.fetched) != before && (index.fetched >= asked || fresh(&index)) => {
            return Ok(Current { index, asked_now: true, why_old: None });
        }
        _ => {}
    }
    match mirror::refresh(place, with) {
        Ok(index) => {
            with.store.write_record(&record, &index)?;
            Ok(Current { index, asked_now: true, why_old: None })
        }
        Err(error) => match known {
            Some(index) if !matches!(error, AptError::File(FileError::DiskFull { .. })) => {
                Ok(Current { index, asked_now: false, why_old: Some(error.to_string()) })
            }
            _ => Err(error),
        },
    }
}

/// Makes a kernel from packages, and fetches missing ones.
fn gather(chosen: &[&Served], place: &Place, offline: bool, with: &Obtain) -> Result<Kernel, AptError> {
    // Twice, because damaged cached files are only found, and removed, during assembly.
    for _ in 0..2 {
        let mut packages = Vec::new();
        for served in chosen {
            packages.push(package(served, place, offline, with)?);
        }
        if let Some(kernel) = assemble::assemble(&packages, with.store)? {
            return Ok(kernel);
        }
    }
    Err(assemble::damaged(with.store).into())
}

fn package(served: &Served, place: &Place, offline: bool, with: &Obtain) -> Result<UnpackedPackage, AptError> {
    if let Some(package) = UnpackedPackage::recorded(with.store, &served.sha256) {
        return Ok(package);
    }
    let name = format!("{} {}", served.name, served.version);
    if offline {
        return Err(with.store.not_cached(name).into());
    }
    let _lock = with.store.lock(&served.sha256, || (with.tell)(Progress::Waiting { what: name.clone() }))?;
    if let Some(package) = UnpackedPackage::recorded(with.store, &served.sha256) {
        return Ok(package);
    }
    let folder = with.store.draft_folder()?;
    let file = folder.path().join(format!("{}.deb", served.name));
    mirror::fetch(served, place, &file, with)?;
    (with.tell)(Progress::Unpacking { package: served.name.clone() });
    Ok(UnpackedPackage::unpack(with.store, &file, &served.sha256)?)
}
