//! Pins files that were trusted on first use in the matrix's lock: later runs accept only these.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;

use super::host;
use crate::kernel::{Provenance, Vouched};
use crate::matrix::{Lock, Locked, Matrix, source_line};
use crate::run::{Event, KernelRecord};
use crate::words::KernelName;

/// Pins kernels in a lock.
pub(super) struct Pins {
    matrix: PathBuf,
    /// The source of each kernel that may be pinned.
    sources: BTreeMap<KernelName, String>,
}

impl Pins {
    /// For the kernels of a matrix; None for the built-in one, which has no lock.
    pub(super) fn of(matrix: &Matrix) -> Option<Self> {
        if !matrix.path.is_file() {
            return None;
        }
        let source = |entry| source_line(entry, &matrix.path);
        let sources = matrix.kernels.iter().map(|entry| (entry.name.clone(), source(entry)));
        Some(Self { matrix: matrix.path.clone(), sources: sources.collect() })
    }

    /// Pins an obtained kernel if a file of it was trusted on first use. Returns a message for the user.
    pub(super) fn event(&self, event: &Event) -> Option<String> {
        let Event::Obtained(record) = event else { return None };
        let is_first = |from: &Provenance| matches!(from, Provenance::Fetched { vouched: Vouched::FirstUse, .. });
        if !record.provenance.iter().any(is_first) {
            return None;
        }
        let (name, path) = (&record.name, Lock::path_of(&self.matrix));
        if let Some(why) = &record.stale {
            return Some(format!("{name}: trusted on first use, but not pinned, because it was cached earlier: {why}"));
        }
        match self.pin(record) {
            Ok(true) => {
                let sums = record.files.iter().map(|file| format!("{} {}", file.name, file.sha256));
                let sums = sums.collect::<Vec<_>>().join(", ");
                Some(format!("{name}: trusted on first use, and pinned in {} from now on: {sums}", path.display()))
            }
            Ok(false) => None,
            Err(error) => Some(format!("{name}: trusted on first use, but NOT pinned: {error:#}")),
        }
    }

    /// Writes the entry unless there is one. Returns whether it was written.
    fn pin(&self, record: &KernelRecord) -> anyhow::Result<bool> {
        let Some(source) = self.sources.get(&record.name) else { return Ok(false) };
        let path = Lock::path_of(&self.matrix);
        let _guard = Lock::guard(&self.matrix).with_context(|| format!("cannot lock {}", path.display()))?;
        let mut lock = Lock::load(&path)?;
        match lock.kernels.get(&record.name).filter(|there| there.source == *source) {
            Some(there) if there.files == record.files => return Ok(false),
            Some(_) => anyhow::bail!("another run has just pinned another file in {}", path.display()),
            None => {}
        }
        let (release, files) = (record.release.clone(), record.files.clone());
        let entry = Locked { source: source.clone(), when: host::now(), release, files };
        lock.kernels.insert(record.name.clone(), entry);
        lock.save(&self.matrix).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(true)
    }
}
