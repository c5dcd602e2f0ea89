//! What the witnesses without a boot said of a packaged kernel, kept by everything that it depends on: the package, the
//! dossier, and this program. Reading an image's machine code costs as much as a tenth of a boot.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::evidence::exhibits::Said;
use crate::kernel::{Kernel, Provenance, Store, hex};
use crate::matrix::Bug;

/// The record of what was said of one bug.
#[derive(Serialize, Deserialize)]
struct LookFile {
    kernel: String,
    said: Said,
}

/// What was said of one kernel before.
pub(super) struct LookCache<'s> {
    store: &'s Store,
    /// The kernel and this program, in words.
    subject: String,
    name: String,
}

impl<'s> LookCache<'s> {
    /// Of this kernel; None if something that can change was looked at, or this program's own file is unknown.
    pub(super) fn of(store: &'s Store, kernel: &Kernel) -> Option<Self> {
        let is_fixed = |from: &Provenance| matches!(from, Provenance::Package { .. } | Provenance::Control { .. });
        if kernel.origin.tree().is_some() || !kernel.provenance.iter().any(is_fixed) {
            return None;
        }
        let program = std::env::current_exe().ok()?;
        let program = store.file_sha256(&program).ok()?;
        let Kernel { release, image_sha256, provenance, origin, files, .. } = kernel;
        let subject = format!("{program}\n{release:?}\n{image_sha256}\n{provenance:?}\n{origin:?}\n{files:?}");
        Some(Self { store, subject, name: release.clone().unwrap_or_else(|| image_sha256.clone()) })
    }

    fn record(&self, bug: &Bug) -> String {
        // All of a dossier, whatever a witness uses of it.
        let all = Sha256::new().chain_update(&self.subject).chain_update([0]).chain_update(format!("{bug:?}"));
        format!("looks/{}.json", hex(all))
    }

    /// What was said of a bug before.
    pub(super) fn read(&self, bug: &Bug) -> Option<Said> {
        let record = self.record(bug);
        let file: LookFile = self.store.read_record(&record)?;
        self.store.touch(&record);
        Some(file.said)
    }

    /// Keeps it. Without space it is said again next time.
    pub(super) fn write(&self, bug: &Bug, said: &Said) {
        let file = LookFile { kernel: self.name.clone(), said: said.clone() };
        if let Err(error) = self.store.write_record(&self.record(bug), &file) {
            tracing::debug!(kernel = self.name, %error, "what the witnesses said is not cached");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{Finding, Witness};
    use crate::kernel::{self, Obtain, fixtures};
    use crate::matrix::{Bugs, Source};
    use crate::shim::Shim;

    #[test]
    fn only_the_same_dossier_of_a_package_finds_what_was_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(Some(folder.path().join("cache"))).expect("a cache");
        let image = fixtures::bzimage("6.1.0-9-amd64");
        let deb = folder.path().join("linux-image.deb");
        std::fs::write(&deb, fixtures::deb(&fixtures::tar(&[("boot/vmlinuz-6.1.0-9-amd64", &image)]))).expect("a file");
        let bare = folder.path().join("bzImage");
        std::fs::write(&bare, &image).expect("a file");
        let shim = Shim::at("/nonexistent".into());
        let obtain = |source| {
            let with =
                Obtain { store: &store, shim: &shim, offline: true, refresh: false, locked: None, tell: &|_| {} };
            kernel::obtain(&source, &with).expect("a kernel")
        };
        let package = obtain(Source::Deb(vec![deb]));
        let cache = LookCache::of(&store, &package).expect("a package never changes");
        let bugs = Bugs::built_in();
        let bug = bugs.iter().next().expect("a bug");
        let said = Said { findings: vec![Finding::unknown(Witness::Binary, "no symbols")], ..Said::default() };
        assert_eq!(cache.read(bug), None);
        cache.write(bug, &said);
        assert_eq!(cache.read(bug), Some(said));
        let mut changed = bug.clone();
        changed.title.push('!');
        assert_eq!(cache.read(&changed), None);
        // The file of an image may be replaced by another one.
        assert!(LookCache::of(&store, &obtain(Source::Image { image: bare, modules: None, config: None })).is_none());
    }
}
