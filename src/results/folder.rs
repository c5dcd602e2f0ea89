//! Writes a run's folder while the run goes on.
//!
//! matrix.json is written anew, beside and then over the old one, whenever a kernel is done: it starts with every
//! planned cell as an error, so that a run that dies leaves what was finished and claims nothing else. Consoles and
//! QMP lines are appended as they come.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::document::{MatrixDocument, RunRecord, SCHEMA_VERSION, Unjudged};
use super::pcapng::pcapng;
use super::time_line;
use crate::run::{BootId, Cell, ControlFault, Event, Question, Recording, Seen, Tally};
use crate::words::{JobId, KernelName};

/// A results folder that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("could not write {path}: {cause}; {remedy}", path = path.display(), remedy = remedy(cause))]
pub struct FolderError {
    path: PathBuf,
    // Not called `source`, which would have it printed twice: the message has it in the middle.
    cause: io::Error,
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space, or give another --results folder"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "give a --results folder you may write",
        _ => "give another --results folder",
    }
}

/// Attaches the path that an operation was about.
trait At<T> {
    fn at(self, path: &Path) -> Result<T, FolderError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T, FolderError> {
        self.map_err(|cause| FolderError { path: path.to_owned(), cause })
    }
}

/// The folder of a run that goes on.
pub struct Folder {
    path: PathBuf,
    began: Instant,
    run: RunRecord,
    planned: Vec<Question>,
    kernels: Vec<crate::run::KernelRecord>,
    judged: HashMap<(KernelName, JobId), Cell>,
    open: HashMap<BootId, BootFiles>,
}

struct BootFiles {
    console: (PathBuf, File),
    qmp: (PathBuf, File),
}

impl Folder {
    /// Makes the run's folder below `results`, and points `latest` at it.
    ///
    /// # Errors
    /// Where the folder cannot be written; nothing has been booted then.
    pub fn create(results: &Path, run: RunRecord) -> Result<Self, FolderError> {
        fs::create_dir_all(results).at(results)?;
        let path = results.join(&run.id);
        fs::create_dir(&path).at(&path)?;
        let link = results.join("latest");
        let new = results.join(format!(".latest-{}", run.id));
        std::os::unix::fs::symlink(&run.id, &new).at(&new)?;
        if let Err(error) = fs::rename(&new, &link) {
            // The run is of more use than the link; but nothing is left lying about.
            tracing::warn!(link = %link.display(), %error, "the link to the newest run could not be made");
            let _ = fs::remove_file(&new);
        }
        let folder = Self {
            path,
            began: Instant::now(),
            run,
            planned: Vec::new(),
            kernels: Vec::new(),
            judged: HashMap::new(),
            open: HashMap::new(),
        };
        folder.write_document()?;
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes note of an event.
    ///
    /// # Errors
    /// Where it cannot be written: the run's evidence would be lost, so the run has to stop.
    pub fn event(&mut self, event: &Event) -> Result<(), FolderError> {
        match event {
            Event::Planned(questions) => {
                self.planned.clone_from(questions);
                self.write_document().map(drop)
            }
            Event::Obtained(record) => {
                self.kernels.push(record.clone());
                Ok(())
            }
            Event::BootStarted { boot, recording, .. } => self.start_boot(boot, recording),
            Event::Console { boot, bytes } => self.append(boot, |files| &mut files.console, bytes),
            Event::Qmp { boot, line } => self.append(boot, |files| &mut files.qmp, format!("{line}\n").as_bytes()),
            Event::BootEnded(record) => {
                self.open.remove(&BootId { kernel: record.kernel.clone(), number: record.number });
                if let Some(kernel) = self.kernels.iter_mut().find(|k| k.name == record.kernel) {
                    kernel.boots.push(record.clone());
                }
                self.write_document().map(drop)
            }
            Event::Judged { cell, seen } => self.judge(cell, seen),
            Event::Done { .. } => self.write_document().map(drop),
            Event::Obtaining { .. }
            | Event::Indexing { .. }
            | Event::Stage { .. }
            | Event::AcceleratorFellBack { .. }
            | Event::Note { .. } => Ok(()),
        }
    }

    /// The run is over.
    pub fn close(&mut self, accelerator: String, interrupted: bool) {
        self.run.seconds = seconds(self.began);
        self.run.accelerator = accelerator;
        self.run.finished = true;
        self.run.interrupted = interrupted;
    }

    /// The run as it is known now.
    pub fn document(&self) -> MatrixDocument {
        let unjudged = match (self.run.interrupted, self.run.finished) {
            (true, _) => Unjudged::Interrupted,
            (false, true) => Unjudged::Failed,
            (false, false) => Unjudged::NotYet,
        };
        let cells: Vec<Cell> = self
            .planned
            .iter()
            .map(|question| {
                let key = (question.kernel.clone(), question.job.clone());
                self.judged.get(&key).cloned().unwrap_or_else(|| unjudged.cell(question))
            })
            .collect();
        let summary = Tally::of(&cells);
        let exit_code = match (self.run.interrupted, self.run.finished) {
            (true, _) => 130,
            (false, true) if !cells.is_empty() => summary.exit_code(),
            // A run that is not over has shown nothing yet.
            (false, _) => summary.exit_code().max(3),
        };
        MatrixDocument {
            schema_version: SCHEMA_VERSION,
            cannot_be_trusted: wrong_controls(&cells),
            conflicts: cells.iter().filter_map(Cell::conflict_complaint).collect(),
            run: RunRecord {
                seconds: if self.run.finished { self.run.seconds } else { seconds(self.began) },
                ..self.run.clone()
            },
            kernels: self.kernels.clone(),
            cells,
            summary,
            exit_code,
        }
    }

    /// Writes matrix.json.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write_document(&self) -> Result<MatrixDocument, FolderError> {
        let document = self.document();
        write_json(&self.path.join("matrix.json"), &document, self.run.finished)?;
        Ok(document)
    }

    fn start_boot(&mut self, boot: &BootId, recording: &Recording) -> Result<(), FolderError> {
        let folder = self.path.join(boot.kernel.as_str()).join(boot.folder());
        fs::create_dir_all(&folder).at(&folder)?;
        write_json(&folder.join("boot.json"), recording, false)?;
        let script = folder.join("boot.sh");
        fs::write(&script, &recording.script).at(&script)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).at(&script)?;
        let open = |name: &str| {
            let path = folder.join(name);
            let file = OpenOptions::new().create_new(true).append(true).open(&path).at(&path)?;
            Ok((path, file))
        };
        let files = BootFiles { console: open("console.log")?, qmp: open("qmp.jsonl")? };
        self.open.insert(boot.clone(), files);
        Ok(())
    }

    fn append(
        &mut self,
        boot: &BootId,
        which: impl Fn(&mut BootFiles) -> &mut (PathBuf, File),
        bytes: &[u8],
    ) -> Result<(), FolderError> {
        let Some(files) = self.open.get_mut(boot) else { return Ok(()) };
        let (path, file) = which(files);
        file.write_all(bytes).at(path)
    }

    fn judge(&mut self, cell: &Cell, seen: &Seen) -> Result<(), FolderError> {
        let name = format!("{}/{}", cell.kernel, cell.job());
        let folder = self.path.join(&name);
        fs::create_dir_all(&folder).at(&folder)?;
        let mut files = Vec::new();
        if !seen.packets.is_empty() {
            // The packets are a guest's word: what cannot be written of them is no reason to stop.
            match pcapng(&seen.packets) {
                Ok(bytes) => files.push(("wire.pcapng".to_owned(), bytes)),
                Err(error) => tracing::warn!(cell = name, %error, "a packet capture is lost"),
            }
        }
        files.extend(time_lines(cell, seen));
        let mut cell = cell.clone();
        for (file, bytes) in files {
            let path = folder.join(&file);
            fs::write(&path, bytes).at(&path)?;
            for finding in &mut cell.findings {
                finding.artefacts.push(format!("{name}/{file}"));
            }
        }
        write_json(&folder.join("ledger.json"), &cell, false)?;
        self.judged.insert((cell.kernel.clone(), cell.job()), cell);
        Ok(())
    }
}

fn wrong_controls(cells: &[Cell]) -> Vec<String> {
    let wrong = cells.iter().filter(|cell| cell.control_fault() == Some(ControlFault::Wrong));
    wrong.filter_map(Cell::control_complaint).collect()
}

/// The files of a cell's time lines: a table and a graph of each.
fn time_lines(cell: &Cell, seen: &Seen) -> Vec<(String, Vec<u8>)> {
    let mut named = BTreeSet::new();
    let mut files = Vec::new();
    for (name, segments) in &seen.time_lines {
        let Some(part) = time_line::file_part(name).filter(|part| named.insert(part.clone())) else {
            tracing::warn!(kernel = %cell.kernel, job = %cell.job(), ?name, "a time line's name makes no file's name");
            continue;
        };
        let title = format!("{}  {}  {name}", cell.kernel, cell.job());
        files.push((format!("timeline-{part}.tsv"), time_line::tsv(segments).into_bytes()));
        files.push((format!("timeline-{part}.svg"), time_line::svg(&title, segments).into_bytes()));
    }
    files
}

/// Writes a JSON file whole or not at all, whenever this process is killed; with `durable` also when the power goes.
/// That takes the disk's time, which a run that goes on has guests waiting for.
fn write_json(path: &Path, value: &impl Serialize, durable: bool) -> Result<(), FolderError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(io::Error::other).at(path)?;
    bytes.push(b'\n');
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".writing-")
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(folder)
        .at(path)?;
    file.write_all(&bytes).at(path)?;
    if durable {
        file.as_file().sync_data().at(path)?;
    }
    file.persist(path).map_err(|error| error.error).at(path)?;
    Ok(())
}

fn seconds(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
