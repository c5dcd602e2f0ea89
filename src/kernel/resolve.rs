//! What a kernel would be resolved to, without fetching it where its archive's index tells.

use super::package::Package;
use super::store::Store;
use super::{LockedFile, Obtain, ObtainError, Stale, apt, mainline, obtain};
use crate::matrix::Source;

/// What a kernel was resolved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// What it calls itself, or what its package is named after, where that is known.
    pub release: Option<String>,
    /// Its files.
    pub files: Vec<LockedFile>,
}

/// Why a kernel of this source cannot be locked; `None` where it can.
pub fn why_not_locked(source: &Source) -> Option<&'static str> {
    match source {
        Source::Tree(tree) if !tree.is_file() => Some("a build tree changes with each build"),
        Source::Control { .. } => Some("it is built here, and its recipe says what it is"),
        Source::Apt { .. }
        | Source::Deb(_)
        | Source::Rpm(_)
        | Source::Url(_)
        | Source::Mainline { .. }
        | Source::Image { .. }
        | Source::Tree(_) => None,
    }
}

/// Resolves a kernel anew, whatever it was locked to.
///
/// # Errors
/// As [`obtain`], and where a mirror cannot be asked: what was recorded earlier is not the newest.
pub fn resolve(source: &Source, with: &Obtain) -> Result<Resolved, ObtainError> {
    match source {
        Source::Apt { package, suite, archive } => {
            let files = apt::resolve(package, &apt::Place::of(suite.as_deref(), archive.as_ref(), with)?, with)?;
            let release = |file: &LockedFile| {
                let name = file.name.strip_prefix("linux-image-unsigned-");
                let name = name.or_else(|| file.name.strip_prefix("linux-image-"));
                name.filter(|name| name.starts_with(|c: char| c.is_ascii_digit())).map(str::to_owned)
            };
            Ok(Resolved { release: files.iter().find_map(release), files })
        }
        Source::Mainline { version, archive } => {
            let (files, stale) = mainline::resolve(version, archive, with)?;
            asked(source, stale.as_ref(), with)?;
            Ok(Resolved { release: Some(format!("{}-generic", version.numbers())), files })
        }
        _ => {
            let kernel = obtain(source, &Obtain { locked: None, ..*with })?;
            asked(source, kernel.stale.as_ref(), with)?;
            Ok(Resolved { release: kernel.release, files: kernel.files })
        }
    }
}

/// Refuses an old answer, for what is asked for is the newest, and it would pass for that.
fn asked(source: &Source, stale: Option<&Stale>, with: &Obtain) -> Result<(), ObtainError> {
    match stale {
        Some(stale) if !with.offline => {
            Err(ObtainError::Network { doing: format!("asking for {source}"), detail: stale.why.clone() })
        }
        _ => Ok(()),
    }
}

/// What a kernel was made of when it was used last, where that is recorded.
pub fn used_last(source: &Source, store: &Store) -> Option<Vec<LockedFile>> {
    match source {
        Source::Apt { package, suite: Some(suite), archive } => {
            apt::used_last(package, &apt::Place::named(suite, archive.as_ref()), store)
        }
        _ => None,
    }
}

/// Whether all of these files, or what was taken out of them, are in the cache.
pub fn is_cached(files: &[LockedFile], store: &Store) -> bool {
    let one = |file: &LockedFile| {
        Package::recorded(store, &file.sha256).is_some()
            || store.holds(&file.sha256, file.size)
            || store.find(&format!("downloads/{}", file.sha256)).is_some()
    };
    !files.is_empty() && files.iter().all(one)
}
