//! Makes the folder of a run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::document::RunRecord;
use super::files::{At as _, FolderError};

/// Makes the folder of a run. A command that makes two runs in the same second numbers the second one.
pub(super) fn new_folder(results: &Path, run: RunRecord) -> Result<(PathBuf, RunRecord), FolderError> {
    const MOST: u32 = 100;
    let (mut id, mut number) = (run.id.clone(), 1);
    loop {
        let path = results.join(&id);
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < MOST => {
                number += 1;
                id = format!("{}-{number}", run.id);
            }
            made => {
                made.at(&path)?;
                return Ok((path, RunRecord { id, ..run }));
            }
        }
    }
}
