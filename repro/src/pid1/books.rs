//! Reads the kernel's own books around a job: its taint, and its memory leaks.

use std::fs;

use super::kmemleak::LeakDetector;
use backproof_protocol::{Aftermath, KernelBook, LeakScan};

/// The kernel's taint (Documentation/admin-guide/tainted-kernels.rst).
const TAINTED: &str = "/proc/sys/kernel/tainted";

/// The kernel's taint, if these books have it. None if it cannot be read.
pub(super) fn tainted(books: &[KernelBook]) -> Option<u64> {
    if !books.contains(&KernelBook::Taint) {
        return None;
    }
    fs::read_to_string(TAINTED).ok()?.trim().parse().ok()
}

/// Books that are read after a job.
#[derive(Debug)]
pub(super) struct Books<'a> {
    wanted: &'a [KernelBook],
    /// The leak detector, without records of earlier leaks; or why there is none.
    leaks: Option<Result<LeakDetector, String>>,
}

impl<'a> Books<'a> {
    /// Prepares these books for a job. None if there are none.
    pub(super) fn open(wanted: &'a [KernelBook]) -> Option<Self> {
        let leaks = wanted.contains(&KernelBook::Leaks).then(LeakDetector::cleared);
        (!wanted.is_empty()).then_some(Self { wanted, leaks })
    }

    /// What they show now.
    pub(super) fn aftermath(self, job: &str) -> Aftermath {
        let leaks = self.leaks.map(|detector| match detector {
            Err(why) => LeakScan::Unavailable(why),
            Ok(detector) => detector.records().unwrap_or_else(LeakScan::Failed),
        });
        Aftermath { job: job.to_owned(), tainted: tainted(self.wanted), leaks }
    }
}
