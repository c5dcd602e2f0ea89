//! page.html: the page in a run's folder.

use std::io;
use std::path::Path;

use crate::report::{PAGE, RunReport, page, say, visible};
use crate::results::{MatrixDocument, write_file};

/// Writes the page of a run into its folder, whole or not at all.
///
/// # Errors
/// If it cannot be written.
pub(super) fn write(document: &MatrixDocument, folder: &Path) -> io::Result<()> {
    let path = folder.join(PAGE);
    let mut bytes = Vec::new();
    page(&RunReport { document, folder, file: Some(&path) }, &mut bytes)?;
    write_file(&path, &bytes, false).map_err(io::Error::other)
}

/// As [`write()`] at the end of a run. The run is complete without its page.
pub(super) fn write_or_say(document: &MatrixDocument, folder: &Path) {
    if let Err(error) = write(document, folder) {
        let run = visible(&folder.display().to_string());
        say(format_args!("backproof: {error}; then write the page with `backproof report {run} --html`"));
    }
}
