//! What changed since the run before, as the page shows it.

use serde::Serialize;

use crate::words::{JobId, KernelName};

/// The changes, and the run that was compared with.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct PageChanges {
    /// The id of the run before.
    pub(super) since: String,
    /// The most important first.
    pub(super) changes: Vec<PageChange>,
}

/// One change: of a cell, or of a kernel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct PageChange {
    pub(super) kernel: String,
    /// The bug, with its profile if that is not the default one. None for a change of the kernel.
    pub(super) job: Option<String>,
    /// One sentence.
    pub(super) says: String,
}

impl PageChanges {
    /// Whether this cell changed.
    pub(super) fn is_of(&self, kernel: &KernelName, job: &JobId) -> bool {
        let job = job.to_string();
        self.changes.iter().any(|change| change.kernel == kernel.as_str() && change.job.as_ref() == Some(&job))
    }
}
