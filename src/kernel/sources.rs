//! The kinds of sources: what each of them can do, and the one place that knows them all.

use std::path::Path;

use serde::Serialize;

use super::error::ObtainError;
use super::failure::{Failure, FailureKind};
use super::obtain::Obtain;
use super::obtained::Kernel;
use super::package::UnpackedPackage;
use super::progress::Stale;
use super::store::Store;
use super::{apt, assemble, control, local, mainline, remote};
use crate::matrix::{LockedFile, Source};

/// What every kind of source can do. CONTRIBUTING.md says how to add one.
pub(super) trait SourceKind {
    /// Obtains the kernel: exactly the files in [`Obtain::locked`], where there are any.
    fn obtain(&self, with: &Obtain) -> Result<Kernel, ObtainError>;

    /// What it would be resolved to now, by its archive's index alone, and why that may be old; `None` where only obtaining
    /// it tells.
    fn resolve(&self, _: &Obtain) -> Result<Option<(Resolved, Option<Stale>)>, ObtainError> {
        Ok(None)
    }

    /// Why it cannot be locked; `None` where it can.
    fn why_not_locked(&self) -> Option<&'static str>;

    /// Whether it is here, with these files where it is locked to them; and the bytes of its files, where they are known.
    fn cached(&self, locked: Option<&[LockedFile]>, store: &Store) -> (Cached, Option<u64>);
}

/// The kind of a source, with what the matrix says of it: the one list of all kinds.
fn kind(source: &Source) -> Box<dyn SourceKind + '_> {
    match source {
        Source::Apt { package, suite, archive } => {
            Box::new(apt::AptPackage { package, suite: suite.as_deref(), archive: archive.as_ref() })
        }
        Source::Deb(files) | Source::Rpm(files) => Box::new(local::PackageFiles(files)),
        Source::Url(files) => Box::new(remote::RemoteFiles(files)),
        Source::Image { image, modules, config } => {
            Box::new(local::UserImage { image, modules: modules.as_deref(), config: config.as_deref() })
        }
        Source::Tree(tree) => Box::new(local::BuildTree(tree)),
        Source::Mainline { version, archive } => Box::new(mainline::MainlineSource { version, archive }),
        Source::Control { control, line } => Box::new(control::BuiltControl { control, line }),
    }
}

/// Obtains a kernel. Blocks, while apt works for minutes; any number of threads and processes can do so at once.
///
/// # Errors
/// See [`ObtainError`]: [`ObtainError::blame`] tells who can mend it, [`ObtainError::is_gone`] whether it is no
/// longer served.
pub fn obtain(source: &Source, with: &Obtain) -> Result<Kernel, ObtainError> {
    // A file that gc removes before it is leased is made again.
    for _ in 0..3 {
        let mut kernel = kind(source).obtain(with)?;
        let leases = with.store.leases(kernel.stored())?;
        if let Some(leases) = leases {
            kernel.leases = leases;
            return Ok(kernel);
        }
    }
    Err(assemble::damaged(with.store).into())
}

/// What a kernel was resolved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Its release, from the image or the package's name, if known.
    pub release: Option<String>,
    /// Its files.
    pub files: Vec<LockedFile>,
}

/// That only an old answer is known, and the newest is asked for.
#[derive(Debug, thiserror::Error)]
#[error("cannot resolve {source_line}: {why}; check the network and the mirror, and try again")]
struct OnlyOld {
    source_line: String,
    why: String,
}

impl Failure for OnlyOld {
    fn kind(&self) -> FailureKind {
        FailureKind::Host
    }
}

/// Resolves a kernel again, ignoring the lock.
///
/// # Errors
/// As [`obtain`], and if a mirror cannot be asked, because a cached answer may not be the newest.
pub fn resolve(source: &Source, with: &Obtain) -> Result<Resolved, ObtainError> {
    let (resolved, stale) = match kind(source).resolve(with)? {
        Some(resolved) => resolved,
        None => {
            let Kernel { release, files, stale, .. } = obtain(source, &Obtain { locked: None, ..*with })?;
            (Resolved { release, files }, stale)
        }
    };
    match stale {
        Some(Stale { why, .. }) if !with.offline => Err(OnlyOld { source_line: source.to_string(), why }.into()),
        _ => Ok(resolved),
    }
}

/// Why a kernel of this source cannot be locked; `None` where it can.
pub fn why_not_locked(source: &Source) -> Option<&'static str> {
    kind(source).why_not_locked()
}

/// Whether a kernel is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cached {
    /// It is in the cache.
    Yes,
    /// It has to be fetched or built.
    No,
    /// It is the user's own.
    Local,
    /// The user's own is not there.
    Missing,
}

/// Whether a kernel is here, with the files that it is locked to where it is; and the bytes of its files, where they are
/// known.
pub fn cached(source: &Source, locked: Option<&[LockedFile]>, store: &Store) -> (Cached, Option<u64>) {
    kind(source).cached(locked, store)
}

impl Cached {
    /// Of files of the user's: all have to be there.
    pub(super) fn of_own(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        if paths.into_iter().all(|path| path.as_ref().exists()) { Self::Local } else { Self::Missing }
    }

    /// Of files that are fetched.
    pub(super) fn of_fetched(files: &[LockedFile], store: &Store) -> (Self, Option<u64>) {
        let is_here = |file: &LockedFile| {
            UnpackedPackage::recorded(store, &file.sha256).is_some()
                || store.holds(&file.sha256, file.size)
                || store.find(&format!("downloads/{}", file.sha256)).is_some()
        };
        if files.is_empty() {
            return (Self::No, None);
        }
        // Some archives tell no lengths before a file is fetched.
        let bytes = files.iter().all(|file| file.size > 0).then(|| files.iter().map(|file| file.size).sum());
        (if files.iter().all(is_here) { Self::Yes } else { Self::No }, bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    fn files_below(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn kinds_of_sources_are_known_only_where_contributing_says() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let guide = fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
        let guide = guide.split("## How to add").find(|part| part.starts_with(" a kernel source")).unwrap();
        for path in files_below(&root.join("src")) {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let is_known = ["Source::Rpm(", "Source::Mainline {"].iter().any(|kind| code.contains(kind));
            if is_known && !name.ends_with("tests.rs") {
                assert!(guide.contains(&format!("`{name}`")), "{name}");
            }
        }
    }
}
