//! What changed in a night.

use serde::Serialize;

use super::super::web::inert::inert;
use crate::results::{NotCompared, RunChange, RunChanges};
use crate::words::KernelName;

/// The most kernels to name that were not compared, for one reason.
const NAMED_MOST: usize = 20;

/// The changes of a run, as the site shows them.
#[derive(Debug, Serialize)]
pub(super) struct NightChanges {
    site: &'static str,
    /// The run that it was compared with: its id and its start.
    before: Option<(String, String)>,
    compared: usize,
    /// The most important first.
    changes: Vec<Change>,
    apart: Vec<Apart>,
}

/// The kernel, the bug if the change is a cell's, the kinds, and the change in one sentence.
#[derive(Debug, Serialize)]
struct Change(String, Option<String>, Vec<crate::results::ChangeKind>, String);

/// Some of the kernels that were not compared, how many there are, the bug if only its cells were not, and why.
#[derive(Debug, Serialize)]
struct Apart(Vec<String>, usize, Option<String>, String);

impl NightChanges {
    pub(super) fn of(found: &RunChanges) -> Self {
        Self {
            site: "changes",
            before: found.before.as_ref().map(|run| (inert(&run.id), inert(&run.started))),
            compared: found.compared,
            changes: found.changes.iter().map(Change::of).collect(),
            apart: found.not_compared.iter().map(Apart::of).collect(),
        }
    }
}

impl Change {
    fn of(change: &RunChange) -> Self {
        let job = change.job().map(|job| job.to_string());
        Self(change.kernel.to_string(), job, change.kinds.clone(), inert(&change.says))
    }
}

impl Apart {
    fn of(NotCompared { kernels, job, why }: &NotCompared) -> Self {
        let named = kernels.iter().take(NAMED_MOST).map(KernelName::to_string).collect();
        Self(named, kernels.len(), job.as_ref().map(ToString::to_string), inert(why))
    }
}
