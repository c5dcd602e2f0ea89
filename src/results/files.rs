//! Writes files of a results folder, and explains what cannot be written.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::document::MatrixDocument;
use crate::{json, lack};

/// A results folder that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("could not write {path}: {cause}; {remedy}", path = path.display(), remedy = remedy(path, cause))]
pub struct FolderError {
    path: PathBuf,
    // Not named `source`, because the message already includes it.
    pub(super) cause: io::Error,
}

fn remedy(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("no {}; free some, or give another --results folder", lack::at(path))
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "give a --results folder you may write".to_owned()
        }
        _ => "give another --results folder".to_owned(),
    }
}

/// Adds the path to an error.
pub(super) trait At<T> {
    fn at(self, path: &Path) -> Result<T, FolderError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T, FolderError> {
        self.map_err(|cause| FolderError { path: path.to_owned(), cause })
    }
}

/// Writes the document of a run that has ended once more.
///
/// # Errors
/// If it cannot be written; the earlier one stays.
pub fn write_document(folder: &Path, document: &MatrixDocument) -> Result<(), FolderError> {
    write_json(&folder.join("matrix.json"), document, true)
}

/// Writes a JSON file whole or not at all, even if this process is killed. `durable` also survives a power failure, but
/// waits for the disk, and guests would wait with it.
pub(super) fn write_json(path: &Path, value: &impl Serialize, durable: bool) -> Result<(), FolderError> {
    write_file(path, &json::to_vec(value).at(path)?, durable)
}

/// Writes a file whole or not at all, even if this process is killed. `durable` also survives a power failure.
///
/// # Errors
/// If it cannot be written.
pub fn write_file(path: &Path, bytes: &[u8], durable: bool) -> Result<(), FolderError> {
    replace_file(path, bytes, durable).at(path)
}

/// The same, for a file outside the results folder.
///
/// # Errors
/// If it cannot be written. The file stays as it was.
pub fn replace_file(path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
    let mut file = new_file_beside(path)?;
    file.write_all(bytes).map_err(without_path)?;
    if durable {
        file.as_file().sync_data()?;
    }
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A file without a lasting name, in the folder of `path`.
///
/// # Errors
/// If it cannot be made.
pub fn new_file_beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mode = fs::Permissions::from_mode(0o666);
    tempfile::Builder::new().prefix(".writing-").permissions(mode).tempfile_in(folder).map_err(without_path)
}

/// The error without the name of the temporary file, which would confuse people.
fn without_path(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::StorageFull => rustix::io::Errno::NOSPC.into(),
        io::ErrorKind::QuotaExceeded => rustix::io::Errno::DQUOT.into(),
        _ => error,
    }
}
