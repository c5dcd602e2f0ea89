//! A run as one HTML page that needs no network: the matrix, and for each cell all its evidence.
//!
//! The page holds its data as JSON, and a script that shows it. Foreign text becomes text nodes only, and the page's
//! policy lets nothing run or load but its own script and style.

mod changed;
mod details;
mod excerpts;
mod overview;
mod picture;
mod pictures;
mod shell;

use std::io::{self, Write};

use super::formats::{RunFormat, RunReport};
use super::web::inert::{embedded_json, inert};
use super::web::links;
use changed::PageChanges;
use details::Details;
use overview::Overview;
use shell::Shell;

/// Writes a run as a page.
pub(super) const FORMAT: RunFormat =
    RunFormat { name: "html", help: "For browsers: one page with all evidence", write: |run, _, out| page(run, out) };

/// The page's name in a run's folder.
pub const PAGE: &str = "page.html";

/// Writes the page of a run.
///
/// # Errors
/// If it cannot be written.
pub fn page(run: &RunReport, out: &mut dyn Write) -> io::Result<()> {
    let changes = run.document.changes.as_ref().and_then(|found| {
        let since = inert(&found.before.as_ref()?.id);
        let changes = found.changes.iter().map(|change| changed::PageChange {
            kernel: change.kernel.to_string(),
            job: change.job().map(|job| job.to_string()),
            says: inert(&change.says),
        });
        Some(PageChanges { since, changes: changes.collect() })
    });
    let details = Details::of(run.document, run.folder, changes.as_ref());
    let overview = Overview::of(run.document, links::to_folder(run), changes);
    let shell = Shell::of(run.document, embedded_json(&overview)?, embedded_json(&details)?);
    shell.write(out)
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
