//! Ubuntu's archive of mainline builds: <https://kernel.ubuntu.com/mainline/>, formerly below `/~kernel-ppa/`.
//!
//! Each version has a folder with packages, their `CHECKSUMS` and a signature over these. A folder's page only gives
//! the layout. Packages are chosen from the checksums and fetched by their sha256. The checksums must be signed if the
//! user configured a key. The archive rebuilds some versions, and removes old ones.

mod checksums;
mod choose;
mod error;
#[cfg(test)]
mod fixtures;
mod index;
mod signature;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use glob::Pattern;
use url::Url;

use self::choose::{Listed, MainlineBuild};
use self::error::{ArchiveProblem, MainlineError};
use self::index::ArchiveLayout;
use self::signature::TrustedKey;
use super::assemble::{self, AssembleError};
use super::clock;
use super::error::ObtainError;
use super::error_class::ClassedError as _;
use super::fetch::{self, Document, FetchRequest};
use super::file_error::FileError;
use super::obtain::Obtain;
use super::obtained::Kernel;
use super::origin::Origin;
use super::package::UnpackedPackage;
use super::progress::{Progress, Stale};
use super::provenance::{ArchiveSignature, Provenance};
use super::quoted::Quoted;
use super::source_kind::{Cached, Resolved, SourceKind};
use super::store::Store;
use crate::matrix::{ArchiveKey, LockedFile, MainlineArchive, MainlineVersion, archive_address};

/// The archive's default address.
const ADDRESS: &str = "https://kernel.ubuntu.com/mainline/";

/// The variable with its address, such as a company's mirror. It overrides the matrix.
const VARIABLE: &str = "BACKPROOF_MAINLINE";

/// The largest package, in bytes. Even one with almost all modules and their debug information is smaller.
const LARGEST_PACKAGE: u64 = 2 << 30;

/// The longest pattern, in bytes: longer than any name, because a pattern may be `*4*1*9*`.
const LONGEST_PATTERN: usize = 100;

/// The versions of an archive.
#[derive(Debug)]
pub struct MainlineListing {
    /// Its address.
    pub address: Url,
    /// The matching versions, in order.
    pub versions: Vec<MainlineVersion>,
    /// Set if this is a cached copy.
    pub stale: Option<Stale>,
}

/// A version's build, and its folder.
struct Chosen {
    folder: Url,
    build: MainlineBuild,
    signature: ArchiveSignature,
    key: Option<String>,
    stale: Option<Stale>,
}

/// The packages of a version's newest build.
struct Listing {
    files: Vec<LockedFile>,
    provenance: Provenance,
    folder: Url,
    stale: Option<Stale>,
}

/// A version, and the archive that has builds of it.
pub(super) struct MainlineSource<'a> {
    pub version: &'a MainlineVersion,
    pub archive: &'a MainlineArchive,
}

impl SourceKind for MainlineSource<'_> {
    /// Obtains the newest build of a version, or the locked one.
    fn obtain(&self, with: &Obtain) -> Result<Kernel, ObtainError> {
        if let Some(files) = with.locked {
            return Ok(locked(self.version, files, with)?);
        }
        Ok(from(&self.root()?, self.version, self.archive.key.as_ref(), with)?)
    }

    fn origin(&self, _: &Kernel) -> Origin {
        Origin::packages()
    }

    fn is_in_archives(&self) -> bool {
        false
    }

    /// Resolves it by its checksums alone, so lengths are unknown.
    fn resolve(&self, with: &Obtain) -> Result<Option<(Resolved, Option<Stale>)>, ObtainError> {
        let Listing { files, stale, .. } = listing(&self.root()?, self.version, self.archive.key.as_ref(), with)?;
        let release = Some(format!("{}-generic", self.version.numbers()));
        Ok(Some((Resolved { release, files }, stale)))
    }

    fn why_not_locked(&self) -> Option<&'static str> {
        None
    }

    fn cached(&self, locked: Option<&[LockedFile]>, store: &Store) -> (Cached, Option<u64>) {
        Cached::of_fetched(locked.unwrap_or_default(), store)
    }
}

impl MainlineSource<'_> {
    fn root(&self) -> Result<Url, MainlineError> {
        address(self.archive, std::env::var_os(VARIABLE).as_deref())
    }
}

/// The versions of an archive that match a pattern: `4.19.5*`, `v5.?-rc1`, `*`.
///
/// # Errors
/// If the archive cannot be asked, and its index is not cached.
pub fn list(pattern: &str, archive: &MainlineArchive, with: &Obtain) -> Result<MainlineListing, ObtainError> {
    Ok(list_from(address(archive, std::env::var_os(VARIABLE).as_deref())?, pattern, with)?)
}

/// The archive's address: from the environment, the matrix, or the default.
fn address(archive: &MainlineArchive, variable: Option<&std::ffi::OsStr>) -> Result<Url, MainlineError> {
    let bad = |text: &[u8]| MainlineError::BadName {
        text: Quoted::of(text),
        what: "address in BACKPROOF_MAINLINE",
        expected: "that of an archive's folder, as https://kernel.ubuntu.com/mainline/",
    };
    match (variable.filter(|text| !text.is_empty()), &archive.address) {
        (Some(text), _) => {
            let bytes = text.as_encoded_bytes();
            text.to_str().and_then(|text| archive_address(text).ok()).ok_or_else(|| bad(bytes))
        }
        (None, Some(address)) => Ok(address.clone()),
        (None, None) => archive_address(ADDRESS).map_err(|_| bad(ADDRESS.as_bytes())),
    }
}

fn list_from(address: Url, pattern: &str, with: &Obtain) -> Result<MainlineListing, MainlineError> {
    // Only `*` and `?` are special, because names of versions have no brackets.
    let is_plain = pattern.bytes().all(|b| b.is_ascii_alphanumeric() || b"*?.-".contains(&b));
    let parsed = Pattern::new(pattern).ok().filter(|_| is_plain && (1..=LONGEST_PATTERN).contains(&pattern.len()));
    let glob = parsed.ok_or_else(|| MainlineError::BadName {
        text: Quoted::of(pattern.as_bytes()),
        what: "pattern of versions",
        expected: "a version with `*` or `?` in it, as in '4.19.5*'",
    })?;
    let page = fetch::document(&address, index::LARGEST, with)?;
    let all = index::versions(&page.bytes).map_err(|problem| bad_archive(&address, problem))?;
    let fits = |version: &MainlineVersion| {
        let name = version.to_string();
        glob.matches(&name) || name.strip_prefix('v').is_some_and(|number| glob.matches(number))
    };
    let versions = all.into_iter().filter(fits).collect();
    Ok(MainlineListing { address, versions, stale: page.stale })
}

/// The newest build of a version in the archive at this address.
fn from(
    root: &Url,
    version: &MainlineVersion,
    key: Option<&ArchiveKey>,
    with: &Obtain,
) -> Result<Kernel, MainlineError> {
    let Listing { files, provenance, folder, stale } = listing(root, version, key, with)?;
    let mut kernel = gather(files, with)?;
    check_release(version, &kernel, folder.as_str())?;
    kernel.provenance.push(provenance);
    kernel.stale = stale;
    Ok(kernel)
}

/// The packages of the newest build. The checksums don't list lengths, so a file's length is counted while it is
/// fetched.
fn listing(
    root: &Url,
    version: &MainlineVersion,
    key: Option<&ArchiveKey>,
    with: &Obtain,
) -> Result<Listing, MainlineError> {
    let Chosen { folder, build, signature, key, stale } = choose(root, version, key, with)?;
    let provenance =
        Provenance::Archive { address: folder.to_string(), build: build.date, others: build.others, signature, key };
    if let Some(from) = provenance.remark() {
        (with.tell)(Progress::Chosen { what: version.to_string(), from });
    }
    let mut files = Vec::new();
    for Listed { name, sha256 } in build.packages {
        let at = below(&folder, &name)?;
        files.push(LockedFile { name, version: None, sha256, size: 0, addresses: vec![at.to_string()] });
    }
    Ok(Listing { files, provenance, folder, stale })
}

/// Checks that the kernel has the release that its folder is named after, because versions are compared by that name.
fn check_release(version: &MainlineVersion, kernel: &Kernel, address: &str) -> Result<(), MainlineError> {
    let (release, expected) = (kernel.release.as_deref().unwrap_or_default(), version.numbers());
    match release.strip_prefix(&expected) {
        Some(rest) if !rest.starts_with(|c: char| c.is_ascii_alphanumeric()) => Ok(()),
        _ => {
            let found = if release.is_empty() { "an unknown release".to_owned() } else { release.to_owned() };
            let problem = ArchiveProblem::OtherRelease { found, expected };
            Err(MainlineError::BadArchive { address: address.to_owned(), problem })
        }
    }
}

/// The kernel in these locked files.
fn locked(version: &MainlineVersion, files: &[LockedFile], with: &Obtain) -> Result<Kernel, MainlineError> {
    let mut kernel = gather(files.to_vec(), with)?;
    let first = files.iter().flat_map(|file| &file.addresses).next();
    let address = first.map_or_else(|| version.to_string(), |address| folder_of(address));
    check_release(version, &kernel, &address)?;
    kernel.provenance.push(Provenance::Archive {
        address,
        build: files.first().and_then(|file| choose::date_of(version, &file.name)).unwrap_or_default().to_owned(),
        others: Vec::new(),
        signature: ArchiveSignature::Locked,
        key: None,
    });
    Ok(kernel)
}

fn folder_of(address: &str) -> String {
    address.rsplit_once('/').map_or(address, |(folder, _)| folder).to_owned() + "/"
}

/// The newest build, by checksums that are signed if a key is configured.
fn choose(
    root: &Url,
    version: &MainlineVersion,
    key: Option<&ArchiveKey>,
    with: &Obtain,
) -> Result<Chosen, MainlineError> {
    let now = clock::now();
    // A bad key is always an error, even if the archive has no build.
    let key = key.map(|key| Ok::<_, MainlineError>((trusted(key, now)?, key.fingerprint.to_string()))).transpose()?;
    let no_build =
        |why: String| MainlineError::NoBuild { version: version.to_string(), archive: root.to_string(), why };
    let folder = below(root, &format!("{version}/"))?;
    let page = match fetch::document(&folder, index::LARGEST, with) {
        Err(error) if error.is_gone() => return Err(no_build(absent(root, version, with)?)),
        page => page?,
    };
    let layouts = index::layouts(&page.bytes).map_err(|problem| bad_archive(&folder, problem))?;
    let mut without = None;
    for folder in layouts.iter().map(|layout: &ArchiveLayout| below(&folder, layout.folder())) {
        let folder = folder?;
        let at = below(&folder, "CHECKSUMS")?;
        let sums = match fetch::document(&at, checksums::LARGEST, with) {
            Err(error) if error.is_gone() => {
                without = Some(bad_archive(&at, ArchiveProblem::NoChecksums));
                continue;
            }
            sums => sums?,
        };
        if let Some((key, _)) = &key {
            check(key, &folder, &sums, now, with)?;
        }
        let listed = checksums::parse(&sums.bytes).map_err(|problem| bad_archive(&at, problem))?;
        if let Some(build) = choose::newest(version, &listed) {
            let key = key.map(|(_, fingerprint)| fingerprint);
            let signature = if key.is_some() { ArchiveSignature::Verified } else { ArchiveSignature::Unverified };
            return Ok(Chosen { folder, build, signature, key, stale: sums.stale });
        }
    }
    let failed = "its folder has no complete build for amd64: the build failed, or was removed".to_owned();
    Err(without.unwrap_or_else(|| no_build(failed)))
}

/// Checks that the checksums are signed with the user's key.
fn check(key: &TrustedKey, folder: &Url, sums: &Document, now: u64, with: &Obtain) -> Result<(), MainlineError> {
    let at = below(folder, "CHECKSUMS.gpg")?;
    let signature = match fetch::document(&at, signature::LARGEST, with) {
        Err(error) if error.is_gone() => return Err(bad_archive(&at, ArchiveProblem::NoSignature)),
        signature => signature?,
    };
    key.verify(&sums.bytes, &signature.bytes, now).map_err(|problem| bad_archive(&at, problem))
}

/// Why the archive has no folder of a version, with the versions of the same line that its root lists. It is an error
/// if the root is not an archive's, because then its versions are unknown.
fn absent(root: &Url, version: &MainlineVersion, with: &Obtain) -> Result<String, MainlineError> {
    let page = fetch::document(root, index::LARGEST, with)?;
    let all = index::versions(&page.bytes).map_err(|problem| bad_archive(root, problem))?;
    let line = version.release().line();
    let (before, after): (Vec<_>, Vec<_>) =
        all.iter().filter(|other| other.release().line() == line).partition(|other| *other < version);
    let near: Vec<String> = before.last().into_iter().chain(after.first()).map(ToString::to_string).collect();
    Ok(match &near[..] {
        [] => "it has no such folder, and none of its line".to_owned(),
        near => format!("it has no such folder, but {}", near.join(" and ")),
    })
}

/// The user's key, from its file.
fn trusted(key: &ArchiveKey, now: u64) -> Result<TrustedKey, MainlineError> {
    let ArchiveKey { file, fingerprint } = key;
    let bytes = read_key(file)?;
    TrustedKey::read(&bytes, fingerprint, now).map_err(|problem| MainlineError::BadKey { path: file.clone(), problem })
}

fn read_key(path: &Path) -> Result<Vec<u8>, FileError> {
    let unusable = |problem: &str| FileError::unusable("the archive's key", path, problem);
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(signature::LARGEST_KEY + 1).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(unusable("does not exist; check the path")),
        Err(error) => Err(unusable(&format!("cannot be read ({error})"))),
        Ok(_) if bytes.len() as u64 > signature::LARGEST_KEY => Err(unusable("is too large to be a key")),
        Ok(_) => Ok(bytes),
    }
}

/// Makes a kernel from these packages, and fetches missing ones. Fills in their versions and sizes.
fn gather(mut files: Vec<LockedFile>, with: &Obtain) -> Result<Kernel, MainlineError> {
    let unpack = || files.iter().map(|file| package(file, with)).collect::<Result<_, MainlineError>>();
    let (mut kernel, packages) = assemble::from_unpacked(unpack, with.store)?;
    for (file, package) in files.iter_mut().zip(packages) {
        file.size = package.file_size;
        file.version = Some(package.version);
    }
    kernel.files = files;
    Ok(kernel)
}

/// One package, unpacked.
fn package(file: &LockedFile, with: &Obtain) -> Result<UnpackedPackage, MainlineError> {
    if let Some(package) = UnpackedPackage::recorded(with.store, &file.sha256) {
        return Ok(package);
    }
    // Skip addresses that only apt can fetch.
    let web = |address: &Url| matches!(address.scheme(), "http" | "https");
    let parsed = file.addresses.iter().filter_map(|address| Url::parse(address).ok());
    let addresses: Vec<Url> = parsed.filter(web).collect();
    if addresses.is_empty() && !with.offline {
        return Err(MainlineError::NoAddress { what: file.name.clone(), sha256: file.sha256.clone() });
    }
    let wanted = FetchRequest {
        what: &file.name,
        addresses: &addresses,
        sha256: Some(&file.sha256),
        size: Some(file.size).filter(|size| *size > 0),
        limit: LARGEST_PACKAGE,
    };
    let fetched = fetch::file(&wanted, with)?;
    Ok(assemble::unpacked(&file.name, &fetched.path, &fetched.sha256, with).map_err(AssembleError::from)?)
}

/// An address below a folder of the archive. Names have known forms, so it cannot leave the folder.
fn below(folder: &Url, name: &str) -> Result<Url, MainlineError> {
    folder.join(name).map_err(|_| MainlineError::BadName {
        text: Quoted::of(format!("{folder}{name}").as_bytes()),
        what: "address",
        expected: "one below the archive's",
    })
}

fn bad_archive(address: &Url, problem: impl Into<ArchiveProblem>) -> MainlineError {
    MainlineError::BadArchive { address: address.to_string(), problem: problem.into() }
}

/// Reads pages and checksums, for `fuzz/`.
#[cfg(fuzzing)]
pub(super) fn fuzz_pages(bytes: &[u8]) {
    let _ = (index::versions(bytes).is_ok(), index::layouts(bytes).is_ok());
    if let (Ok(sums), Ok(version)) = (checksums::parse(bytes), "v4.19.57".parse()) {
        let _ = choose::newest(&version, &sums);
    }
}

/// Reads a key, and a signature if a NUL separates the two, for `fuzz/`.
#[cfg(fuzzing)]
pub(super) fn fuzz_signature(bytes: &[u8]) {
    let (key, signature) = bytes.iter().position(|byte| *byte == 0).map_or((bytes, &[][..]), |at| bytes.split_at(at));
    let Ok(fingerprint) = "60AA7B6F30434AE68E569963E50C6A0917C622B0".parse() else { return };
    if let Ok(key) = TrustedKey::read(key, &fingerprint, 1_700_000_000) {
        let _ = key.verify(b"text", signature, 1_700_000_000);
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
