//! Reads a run's folder back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::document::{MatrixDocument, SCHEMA_VERSION};
use crate::matrix::Problems;
use crate::regular;
use crate::run::{BootId, Recording};
use crate::vm::Transcript;
use crate::words::KernelName;

/// The largest file to read: 100,000 cells take a tenth of it.
const MAX_FILE: u64 = 4 << 30;

/// A run that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such run.
    #[error("there is no run `{run}`: neither {folder} nor a folder of that name holds a matrix.json; see what {results} holds", folder = folder.display(), results = results.display())]
    NoRun {
        /// What was asked for.
        run: String,
        /// Where it was looked for.
        folder: PathBuf,
        /// The results folder.
        results: PathBuf,
    },
    /// The run has no such boot.
    #[error("run {run} has no boot-{number} of a kernel `{kernel}`; it has {booted}")]
    NoBoot {
        /// The run's folder.
        run: String,
        /// What was asked for.
        kernel: KernelName,
        /// The boot that was asked for.
        number: u32,
        /// What there is.
        booted: String,
    },
    /// A file cannot be read.
    #[error("could not read {path}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is damaged, or not backproof's.
    #[error("{path} is not a file of backproof's, or a damaged one", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The mistake.
        source: serde_json::Error,
    },
    /// A recorded dossier that this program does not understand.
    #[error("the run's copy of a dossier cannot be read:\n{0}")]
    Dossier(Box<Problems>),
    /// A file of another version.
    #[error("{path} has schema version {found}, and this backproof reads version {SCHEMA_VERSION}: use the one that wrote it", path = path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

/// The folder of a run: a path, or the name of a folder in `results` (`latest` for the newest).
///
/// # Errors
/// If neither has a matrix.json.
pub fn find_run(results: &Path, run: &str) -> Result<PathBuf, ReadError> {
    let folder = results.join(run);
    let places = [folder.clone(), PathBuf::from(run)];
    let found = places.into_iter().find(|place| place.join("matrix.json").is_file());
    found.ok_or_else(|| ReadError::NoRun { run: run.to_owned(), folder, results: results.to_owned() })
}

/// The document of a run.
///
/// # Errors
/// If it cannot be read, or has another version.
pub fn read_document(run: &Path) -> Result<MatrixDocument, ReadError> {
    let path = run.join("matrix.json");
    let value: serde_json::Value = read_json(&path)?;
    let found = value.get("schema_version").and_then(serde_json::Value::as_u64).unwrap_or(0);
    if found != u64::from(SCHEMA_VERSION) {
        return Err(ReadError::Schema { path, found: u32::try_from(found).unwrap_or(u32::MAX) });
    }
    serde_json::from_value(value).map_err(|source| ReadError::Format { path, source })
}

/// The folder of a kernel's boot.
///
/// # Errors
/// If there is none.
pub fn boot_folder(run: &Path, kernel: &KernelName, number: u32) -> Result<PathBuf, ReadError> {
    let folder = run.join(BootId { kernel: kernel.clone(), number }.to_string());
    if folder.join("boot.json").is_file() {
        return Ok(folder);
    }
    let names = |folder: &Path| -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let mut booted = Vec::new();
    for kernel in names(run) {
        let boots = names(&run.join(&kernel)).into_iter().filter(|name| name.starts_with("boot-"));
        booted.extend(boots.map(|boot| format!("{kernel}/{boot}")));
    }
    booted.sort();
    let booted = if booted.is_empty() { "none".to_owned() } else { booted.join(", ") };
    Err(ReadError::NoBoot { run: run.display().to_string(), kernel: kernel.clone(), number, booted })
}

/// What the guest of a boot's `folder` said.
///
/// # Errors
/// If it cannot be read.
pub fn read_transcript(folder: &Path) -> Result<Transcript, ReadError> {
    let read = |name: &str| {
        let path = folder.join(name);
        regular::read(&path, MAX_FILE).map_err(|source| ReadError::Io { path, source })
    };
    Ok(Transcript { console: read("console.log")?, agent: read("agent.jsonl")? })
}

/// The recording in a boot's `folder`, to boot it again.
///
/// # Errors
/// If it cannot be read.
pub fn read_recording(folder: &Path) -> Result<Recording, ReadError> {
    read_json(&folder.join("boot.json"))
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, ReadError> {
    let bytes = regular::read(path, MAX_FILE).map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes).map_err(|source| ReadError::Format { path: path.to_owned(), source })
}
