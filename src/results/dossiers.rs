//! The dossiers of users' own bugs in a run's folder, so that a replay judges by them.

use std::io;
use std::path::{Path, PathBuf};

use super::Folder;
use super::read::ReadError;
use crate::matrix::{Bug, FILE_MAX};
use crate::regular;
use crate::words::BugId;

/// The copy of a dossier. No kernel can have its folder's name.
fn copy_of(run: &Path, bug: &BugId) -> PathBuf {
    run.join("_dossiers").join(format!("{bug}.yaml"))
}

impl Folder {
    /// Keeps copies of the dossiers of users' own bugs.
    pub fn keep_dossiers<'b>(&mut self, bugs: impl IntoIterator<Item = &'b Bug>) {
        for bug in bugs {
            if let Some(text) = &bug.text {
                let path = copy_of(self.path(), &bug.id);
                self.artefact(&path, text.as_bytes(), 0o666);
            }
        }
    }
}

/// The user's dossier by which a run judged a bug; None if the bug is built in, or the run predates such copies.
///
/// # Errors
/// If it cannot be read, or this program does not understand it.
pub fn read_dossier(run: &Path, bug: &BugId) -> Result<Option<Bug>, ReadError> {
    let path = copy_of(run, bug);
    let text = match regular::read(&path, FILE_MAX as u64) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|source| ReadError::Io { path: path.clone(), source })?,
    };
    let bug = Bug::parse(&String::from_utf8_lossy(&text), &path);
    bug.map(Some).map_err(|problems| ReadError::Dossier(Box::new(problems)))
}
