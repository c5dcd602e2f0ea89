//! What the witnesses without a boot said of a packaged kernel, kept by everything that it depends on: the package, the
//! dossier, and this program. Reading an image's machine code costs as much as a tenth of a boot.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::evidence::exhibits::Said;
use crate::kernel::{Kernel, Provenance, Store};
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
        let key: String = all.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("looks/{key}.json")
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
