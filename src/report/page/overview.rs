//! The page's matrix: what it needs to show and sort all cells, and no more.

use serde::Serialize;

use super::super::grid::word;
use super::super::web::inert::inert;
use super::super::web::once::Once;
use super::changed::PageChanges;
use crate::results::MatrixDocument;
use crate::run::{Cell, CellTally};
use crate::words::{BugId, JobId, KernelName, ProfileName};

/// The matrix, and what stands above it.
#[derive(Debug, Serialize)]
pub(super) struct Overview {
    /// The run's id.
    run: String,
    /// From the page to the run's folder, as a relative address. None if there is no way, and files are only named.
    folder: Option<String>,
    /// What must be read before the verdicts: its kind, and a sentence.
    notices: Vec<(&'static str, String)>,
    /// What changed since the run before.
    changes: Option<PageChanges>,
    summary: CellTally,
    bugs: Vec<String>,
    profiles: Vec<OverviewProfile>,
    kernels: Vec<OverviewKernel>,
    /// The words for cells.
    words: Vec<String>,
    /// Every cell, in the matrix's order.
    cells: Vec<OverviewCell>,
}

#[derive(Debug, Serialize)]
struct OverviewProfile {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    says: Option<String>,
    sysctls: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmdline: Option<String>,
}

#[derive(Debug, Serialize)]
struct OverviewKernel {
    name: String,
    release: Option<String>,
    control: bool,
    /// Wall time of its boots.
    seconds: f64,
    cached: bool,
}

/// A cell: the places of its kernel, bug, profile and word; its outcome, verdict and state; its marks.
#[derive(Debug, Serialize)]
struct OverviewCell(usize, usize, usize, usize, &'static str, String, Option<&'static str>, u8);

/// Marks of a cell, as bits.
const UNEXPECTED: u8 = 1;
const CONFLICT: u8 = 2;
const CHANGED: u8 = 4;

/// Whether a cell is one to look at first.
pub(super) fn is_first(cell: &Cell, changes: Option<&PageChanges>) -> bool {
    !cell.expected || cell.judgement.conflict || is_changed(cell, changes)
}

fn is_changed(cell: &Cell, changes: Option<&PageChanges>) -> bool {
    changes.is_some_and(|changes| changes.is_of(&cell.kernel, &cell.job()))
}

impl Overview {
    pub(super) fn of(document: &MatrixDocument, folder: Option<String>, changes: Option<PageChanges>) -> Self {
        let (mut kernels, mut bugs) = (Once::<KernelName>::default(), Once::<BugId>::default());
        let (mut profiles, mut words) = (Once::<ProfileName>::default(), Once::<String>::default());
        let mut cells = Vec::with_capacity(document.cells.len());
        let mut known = Vec::new();
        for cell in &document.cells {
            let kernel = kernels.keep(cell.kernel.clone());
            if kernel == known.len() {
                known.push(OverviewKernel::of(document, cell));
            }
            let mark = |is: bool, bit: u8| if is { bit } else { 0 };
            let marks = mark(!cell.expected, UNEXPECTED)
                | mark(cell.judgement.conflict, CONFLICT)
                | mark(is_changed(cell, changes.as_ref()), CHANGED);
            let JobId { bug, profile } = cell.job();
            cells.push(OverviewCell(
                kernel,
                bugs.keep(bug),
                profiles.keep(profile),
                words.keep(word(cell)),
                cell.outcome.as_str(),
                cell.judgement.verdict.to_string(),
                cell.judgement.state.map(|state| state.as_str()),
                marks,
            ));
        }
        Self {
            run: inert(&document.run.id),
            folder,
            notices: notices(document),
            changes,
            summary: document.summary,
            bugs: bugs.all.iter().map(ToString::to_string).collect(),
            profiles: profiles.all.iter().map(|name| OverviewProfile::of(document, name)).collect(),
            kernels: known,
            words: words.all,
            cells,
        }
    }
}

impl OverviewKernel {
    fn of(document: &MatrixDocument, cell: &Cell) -> Self {
        let record = document.kernels.iter().find(|kernel| kernel.name == cell.kernel);
        let boots = record.map_or(&[][..], |record| &record.boots);
        let release = cell.release.as_ref().or_else(|| record.and_then(|record| record.release.as_ref()));
        Self {
            name: cell.kernel.to_string(),
            release: release.map(|release| inert(release)),
            control: cell.control,
            seconds: (boots.iter().map(|boot| boot.seconds).sum::<f64>() * 10.0).round() / 10.0,
            cached: !boots.is_empty() && boots.iter().all(|boot| boot.cached.is_some()),
        }
    }
}

impl OverviewProfile {
    fn of(document: &MatrixDocument, name: &ProfileName) -> Self {
        let known = document.run.profiles.iter().find(|profile| profile.name == *name);
        let sysctls = known.into_iter().flat_map(|profile| &profile.sysctls);
        Self {
            name: name.to_string(),
            says: known.and_then(|profile| profile.says.as_deref()).map(inert),
            sysctls: sysctls.map(|(name, value)| (inert(name), inert(value))).collect(),
            cmdline: known.and_then(|profile| profile.cmdline.as_deref()).map(inert),
        }
    }
}

fn notices(document: &MatrixDocument) -> Vec<(&'static str, String)> {
    let untrusted = document.cannot_be_trusted.iter().map(|says| ("untrusted", inert(says)));
    let conflicts = document.conflicts.iter().map(|says| ("conflict", inert(says)));
    let differing = document.differing.iter().map(|says| ("transcript differs", inert(says)));
    let lost = document.run.not_written.iter().map(|says| ("not written", inert(says)));
    untrusted.chain(conflicts).chain(differing).chain(lost).collect()
}
