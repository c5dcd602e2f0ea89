//! What was found in a packaged kernel without a boot, kept by everything that it depends on: the package, what was looked
//! for, and this program. Reading an image's machine code costs as much as a tenth of a boot.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::kernel::{Kernel, Provenance, Store, hex};

/// The record of what was found.
#[derive(Serialize, Deserialize)]
struct LookFile<T> {
    kernel: String,
    said: T,
}

/// What was found in one kernel before.
pub(crate) struct LookCache<'s> {
    store: &'s Store,
    /// The kernel and this program, in words.
    subject: String,
    name: String,
}

impl<'s> LookCache<'s> {
    /// Of this kernel; None if something that can change was looked at, or this program's own file is unknown.
    pub(crate) fn of(store: &'s Store, kernel: &Kernel) -> Option<Self> {
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

    fn record(&self, wanted: &str) -> String {
        let all = Sha256::new().chain_update(&self.subject).chain_update([0]).chain_update(wanted);
        format!("looks/{}.json", hex(all))
    }

    /// What was found before. `wanted` is everything that it depends on, beside the kernel and this program.
    pub(crate) fn read<T: DeserializeOwned>(&self, wanted: &str) -> Option<T> {
        let record = self.record(wanted);
        let file: LookFile<T> = self.store.read_record(&record)?;
        self.store.touch(&record);
        Some(file.said)
    }

    /// Keeps it. Without space it is looked for again next time.
    pub(crate) fn write<T: Serialize>(&self, wanted: &str, said: &T) {
        let file = LookFile { kernel: self.name.clone(), said };
        if let Err(error) = self.store.write_record(&self.record(wanted), &file) {
            tracing::debug!(kernel = self.name, %error, "what was found is not cached");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::exhibits::Said;
    use crate::evidence::{Finding, Witness};
    use crate::kernel::{self, Obtain, fixtures};
    use crate::matrix::Source;
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
        let said = Said { findings: vec![Finding::unknown(Witness::Binary, "no symbols")], ..Said::default() };
        assert_eq!(cache.read::<Said>("a dossier"), None);
        cache.write("a dossier", &said);
        assert_eq!(cache.read("a dossier"), Some(said));
        assert_eq!(cache.read::<Said>("another dossier"), None);
        // The file of an image may be replaced by another one.
        assert!(LookCache::of(&store, &obtain(Source::Image { image: bare, modules: None, config: None })).is_none());
    }
}
