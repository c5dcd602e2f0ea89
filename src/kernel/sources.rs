//! The list of all kinds of sources, and obtaining kernels by it.

use super::error::ObtainError;
use super::error_class::{ClassedError, ErrorClass};
use super::obtain::Obtain;
use super::obtained::Kernel;
use super::progress::Stale;
use super::source_kind::{Cached, Resolved, SourceKind};
use super::store::Store;
use super::{apt, assemble, build, control, local, mainline, remote};
use crate::matrix::{LockedFile, Source};

/// The kind of a source: the registration of all kinds.
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
        Source::Build(wanted) => Box::new(build::SourceBuild(wanted)),
        Source::Mainline { version, archive } => Box::new(mainline::MainlineSource { version, archive }),
        Source::Control { control, line } => Box::new(control::BuiltControl { control, line }),
    }
}

/// Obtains a kernel. Blocks, for minutes if apt fetches it. Any number of threads and processes can do so concurrently.
///
/// # Errors
/// See [`ObtainError`]: [`ObtainError::blame`] says who can fix it, [`ObtainError::is_gone`] whether it is no longer
/// served.
pub fn obtain(source: &Source, with: &Obtain) -> Result<Kernel, ObtainError> {
    // If gc removes a file before it is leased, the file is made again.
    for _ in 0..3 {
        let kind = kind(source);
        let mut kernel = kind.obtain(with)?;
        kernel.origin = kind.origin(&kernel);
        let leases = with.store.leases(kernel.stored())?;
        if let Some(leases) = leases {
            kernel.leases = leases;
            return Ok(kernel);
        }
    }
    Err(assemble::damaged(with.store).into())
}

/// Only a stale index is known, but the newest is required.
#[derive(Debug, thiserror::Error)]
#[error("cannot resolve {source_line}: {why}; check the network and the mirror, and try again")]
struct OnlyOld {
    source_line: String,
    why: String,
}

impl ClassedError for OnlyOld {
    fn class(&self) -> ErrorClass {
        ErrorClass::Host
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

/// The index that resolves a kernel, if other kernels share it: one refresh is enough for all of them.
pub fn shared_index(source: &Source) -> Option<String> {
    kind(source).shared_index()
}

/// Why a kernel of this source cannot be locked; `None` if it can.
pub fn why_not_locked(source: &Source) -> Option<&'static str> {
    kind(source).why_not_locked()
}

/// Whether the matrix's `archives` keep its packages.
pub fn is_in_archives(source: &Source) -> bool {
    kind(source).is_in_archives()
}

/// Whether a kernel is cached (with these files, if it is locked), and the bytes of its files, if known.
pub fn cached(source: &Source, locked: Option<&[LockedFile]>, store: &Store) -> (Cached, Option<u64>) {
    kind(source).cached(locked, store)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::kernel::{ConfigOrigin, PackageKind, Provenance};
    use crate::matrix::{BuildOrigin, BuildSource};

    fn files_below(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn only_two_files_name_the_kinds_of_sources() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let guide = fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
        let guide = guide.split("## How to add").find(|part| part.starts_with(" a kernel source")).unwrap();
        for path in files_below(&root.join("src")) {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if name.ends_with("tests.rs") || name == "src/matrix/source.rs" {
                continue;
            }
            let names = ["Source::Apt {", "Source::Rpm(", "Source::Mainline {"].iter().any(|kind| code.contains(kind));
            if names {
                assert!(["src/kernel/sources.rs", "src/answer/look.rs"].contains(&name.as_str()), "{name}");
                assert!(guide.contains(&format!("`{name}`")), "{name}");
            }
        }
    }

    #[test]
    fn source_vouches_for_names_and_configurations_it_knows() {
        let folder = tempfile::tempdir().unwrap();
        let bare = || {
            Kernel::of_image(
                "image".into(),
                String::new(),
                None,
                Provenance::File { path: "image".into(), sha256: String::new() },
            )
        };
        let packaged = Kernel {
            provenance: vec![Provenance::Package {
                kind: PackageKind::Rpm,
                name: "kernel-core".to_owned(),
                version: "1".to_owned(),
                sha256: String::new(),
            }],
            ..bare()
        };
        let own = |source: &Source, kernel: &Kernel| {
            let origin = kind(source).origin(kernel);
            (origin.names_release, matches!(origin.config, ConfigOrigin::Own(_)), origin.tree().is_some())
        };
        let image = Source::Image { image: "a".into(), modules: None, config: Some("b".into()) };
        for (source, kernel, expected) in [
            (Source::Apt { package: "a".into(), suite: None, archive: None }, &packaged, (true, true, false)),
            (Source::Deb(vec!["a".into()]), &packaged, (true, true, false)),
            (Source::Rpm(vec!["a".into()]), &packaged, (true, true, false)),
            (Source::Url(Vec::new()), &packaged, (true, true, false)),
            (Source::Url(Vec::new()), &bare(), (false, true, false)),
            (image, &bare(), (true, false, false)),
            (Source::Tree(folder.path().into()), &bare(), (false, false, true)),
            (Source::Tree(folder.path().join("build.tar")), &bare(), (false, true, false)),
            (Source::Build(BuildSource::plain(BuildOrigin::Tree(folder.path().into()))), &bare(), (false, true, false)),
            (Source::Control { control: "stock".parse().unwrap(), line: "6.1".into() }, &bare(), (false, true, false)),
        ] {
            assert_eq!(own(&source, kernel), expected, "{source}");
        }
    }
}
