//! Writes a run's folder during the run.
//!
//! matrix.json is replaced whenever a kernel is done. Every planned cell starts as an error, so that a run that dies keeps
//! its finished cells and claims nothing else. Consoles and QMP lines are appended. A full disk loses no verdict: space for
//! matrix.json is reserved, verdicts are written before other files, and `run.not_written` names those that failed.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::FallocateFlags;

use super::document::{MatrixDocument, RunRecord, SCHEMA_VERSION, Unjudged};
use super::files::{At as _, FolderError, write_json};
use super::lease::RunLease;
use super::new_folder::new_folder;
use super::pcapng::pcapng;
use super::time_line;
use crate::evidence::Witness;
use crate::exit::Exit;
use crate::json;
use crate::run::{BootId, BootRecord, Cell, CellTally, ControlFault, Event, Recording, WireRecord};
use crate::verdict::Question;
use crate::words::{JobId, KernelName};

/// Bytes to reserve for each kernel and each cell in matrix.json.
const ROOM_EACH: u64 = 8 << 10;

/// The most bytes to reserve.
const ROOM_MOST: u64 = 64 << 20;

/// The most files to name as not written.
const NAMED_MOST: usize = 100;

/// Writing matrix.json may take 1/20 of a run's time: with thousands of kernels it is large.
const WRITING_SHARE: u32 = 20;

/// The folder of a run in progress.
pub struct Folder {
    path: PathBuf,
    began: Instant,
    run: RunRecord,
    planned: Vec<Question>,
    kernels: Vec<crate::run::KernelRecord>,
    judged: HashMap<(KernelName, JobId), Cell>,
    /// How backproof itself failed at a kernel.
    faults: HashMap<KernelName, String>,
    open: HashMap<BootId, BootFiles>,
    /// Reserved space for matrix.json on a full disk: a file without a name.
    room: Option<File>,
    /// When matrix.json may be written next.
    next: Instant,
    /// Whether matrix.json is out of date.
    changed: bool,
    /// Shows others that the run goes on.
    lease: Option<RunLease>,
}

struct BootFiles {
    console: (PathBuf, File),
    agent: (PathBuf, File),
    qmp: (PathBuf, File),
}

impl Folder {
    /// Creates the run's folder in `results`, and links `latest` to it.
    ///
    /// # Errors
    /// If the folder cannot be written. Nothing has been booted then.
    pub fn create(results: &Path, run: RunRecord) -> Result<Self, FolderError> {
        fs::create_dir_all(results).at(results)?;
        let (path, run) = new_folder(results, run)?;
        let mut folder = Self {
            lease: RunLease::take(&path),
            path,
            began: Instant::now(),
            run,
            planned: Vec::new(),
            kernels: Vec::new(),
            judged: HashMap::new(),
            faults: HashMap::new(),
            open: HashMap::new(),
            room: None,
            next: Instant::now(),
            changed: false,
        };
        if let Err(error) = folder.write_document() {
            // An empty folder would look like a run.
            let _ = fs::remove_dir(&folder.path);
            return Err(error);
        }
        folder.link(results);
        Ok(folder)
    }

    /// Links `latest` to the run. The run goes on without the link.
    fn link(&self, results: &Path) {
        let link = results.join("latest");
        let new = results.join(format!(".latest-{}", self.run.id));
        let made = std::os::unix::fs::symlink(&self.run.id, &new).and_then(|()| fs::rename(&new, &link));
        if let Err(error) = made {
            tracing::warn!(link = %link.display(), %error, "could not make the link to the newest run");
            let _ = fs::remove_file(&new);
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Records an event. A write error does not end the run: verdicts stay in memory until matrix.json can be written, and
    /// other files are named as not written.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Planned(questions) => {
                self.planned.extend_from_slice(questions);
                self.keep_room();
                self.write_soon();
            }
            Event::Obtained(record) => self.kernels.push(record.clone()),
            Event::BootStarted { boot, recording, .. } => self.start_boot(boot, recording),
            Event::Console { boot, bytes } => self.append(boot, |files| &mut files.console, bytes),
            Event::Agent { boot, bytes } => self.append(boot, |files| &mut files.agent, bytes),
            Event::Qmp { boot, line } => self.append(boot, |files| &mut files.qmp, format!("{line}\n").as_bytes()),
            Event::BootEnded(record) => {
                self.open.remove(&record.id());
                if let Some(kernel) = self.kernels.iter_mut().find(|k| k.name == record.kernel) {
                    kernel.boots.push(record.clone());
                    kernel.boots.sort_by_key(|boot| boot.number);
                }
                self.write_soon();
            }
            Event::Judged { cell, wire } => self.judge(cell, wire),
            Event::Failed { kernel, why } => {
                self.faults.insert(kernel.clone(), why.clone());
                self.write_soon();
            }
            Event::Done { .. } => self.write_soon(),
            Event::TranscriptDiffers { boot, cached } => {
                let folder = self.path.join(boot.to_string());
                self.artefact(&folder.join("cached-console.log"), &cached.console, 0o666);
                self.artefact(&folder.join("cached-agent.jsonl"), &cached.agent, 0o666);
            }
            Event::Obtaining { .. }
            | Event::Indexing { .. }
            | Event::Stage { .. }
            | Event::AcceleratorFellBack { .. }
            | Event::TimeFellBack { .. }
            | Event::Note { .. } => {}
        }
    }

    /// Ends the run and writes its document.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn close(&mut self, accelerator: String, time: String, interrupted: bool) -> Result<(), FolderError> {
        self.run.seconds = seconds(self.began);
        self.run.accelerator = accelerator;
        self.run.time = time;
        self.run.finished = true;
        self.run.interrupted = interrupted;
        let written = self.write_document();
        self.room = None;
        written
    }

    /// What shows that the run still goes on, as when its reports are written.
    pub fn take_lease(&mut self) -> Option<RunLease> {
        self.lease.take()
    }

    /// When to write matrix.json, if it is out of date.
    pub fn due(&self) -> Option<Instant> {
        self.changed.then_some(self.next)
    }

    /// Writes matrix.json. If that fails, it is due again later.
    pub fn write_due(&mut self) {
        let began = Instant::now();
        if let Err(error) = self.write_document() {
            tracing::debug!(%error, "matrix.json is written later");
        }
        self.next = Instant::now() + began.elapsed() * WRITING_SHARE;
    }

    fn write_soon(&mut self) {
        self.changed = true;
        if self.next <= Instant::now() {
            self.write_due();
        }
    }

    /// The run so far.
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
                let fault = self.faults.get(&question.kernel).map(String::as_str);
                self.judged.get(&key).cloned().unwrap_or_else(|| unjudged.cell(question, fault))
            })
            .collect();
        let summary = CellTally::of(&cells);
        let exit_code = match (self.run.interrupted, self.run.finished) {
            (true, _) => Exit::Interrupted,
            (false, true) if !cells.is_empty() => summary.exit(),
            // An unfinished run has no result.
            (false, _) => Exit::NoVerdict,
        };
        MatrixDocument {
            schema_version: SCHEMA_VERSION,
            cannot_be_trusted: wrong_controls(&cells),
            conflicts: cells.iter().filter_map(Cell::conflict_complaint).collect(),
            differing: self
                .kernels
                .iter()
                .flat_map(|kernel| &kernel.boots)
                .filter_map(BootRecord::difference)
                .collect(),
            changes: None,
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

    /// Writes matrix.json, on a full disk into the reserved space.
    fn write_document(&mut self) -> Result<(), FolderError> {
        let (path, document) = (self.path.join("matrix.json"), self.document());
        let mut written = write_json(&path, &document, self.run.finished);
        if written.is_err() && self.room.take().is_some() {
            written = write_json(&path, &document, self.run.finished);
            self.keep_room();
        }
        self.changed = written.is_err();
        written
    }

    /// Reserves space for matrix.json, as far as there is any.
    fn keep_room(&mut self) {
        let each = (self.planned.len() * 2) as u64 * ROOM_EACH;
        let mut size = each.saturating_add(64 << 10).min(ROOM_MOST);
        // Some file systems cannot reserve space.
        let Ok(file) = tempfile::tempfile_in(&self.path) else { return };
        while size >= 4 << 10 {
            if rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, size).is_ok() {
                self.room = Some(file);
                return;
            }
            size /= 2;
        }
    }

    /// Notes that a file is missing or cut short.
    fn lose(&mut self, path: &Path, error: &io::Error) {
        let name = path.strip_prefix(&self.path).unwrap_or(path).display().to_string();
        let lost = &mut self.run.not_written;
        if lost.len() < NAMED_MOST && !lost.iter().any(|line| line.starts_with(&format!("{name}: "))) {
            lost.push(format!("{name}: {error}"));
        }
    }

    /// Writes a file; removes it if it could not be written whole.
    pub(super) fn artefact(&mut self, path: &Path, bytes: &[u8], mode: u32) -> bool {
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
            file.write_all(bytes)
        };
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| write());
        written
            .inspect_err(|error| {
                let _ = fs::remove_file(path);
                self.lose(path, error);
            })
            .is_ok()
    }

    fn start_boot(&mut self, boot: &BootId, recording: &Recording) {
        let folder = self.path.join(boot.to_string());
        self.artefact(&folder.join("boot.sh"), &recording.script, 0o777);
        match json::to_vec(recording) {
            Ok(json) => drop(self.artefact(&folder.join("boot.json"), &json, 0o666)),
            Err(error) => self.lose(&folder.join("boot.json"), &error),
        }
        let mut open = |name: &str| {
            let path = folder.join(name);
            match OpenOptions::new().create_new(true).append(true).open(&path) {
                Ok(file) => Some((path, file)),
                Err(error) => {
                    self.lose(&path, &error);
                    None
                }
            }
        };
        if let (Some(console), Some(agent), Some(qmp)) = (open("console.log"), open("agent.jsonl"), open("qmp.jsonl")) {
            self.open.insert(boot.clone(), BootFiles { console, agent, qmp });
        }
    }

    fn append(&mut self, boot: &BootId, which: impl Fn(&mut BootFiles) -> &mut (PathBuf, File), bytes: &[u8]) {
        let Some(files) = self.open.get_mut(boot) else { return };
        let (path, file) = which(files);
        if let Err(error) = file.write_all(bytes) {
            let path = path.clone();
            self.lose(&path, &error);
        }
    }

    /// Writes the verdict first, then each of its files.
    fn judge(&mut self, cell: &Cell, wire: &WireRecord) {
        let name = format!("{}/{}", cell.kernel, cell.job());
        let key = (cell.kernel.clone(), cell.job());
        self.judged.insert(key.clone(), cell.clone());
        self.changed = true;
        let folder = self.path.join(&name);
        self.ledger(&folder, cell);
        let mut files = Vec::new();
        if !wire.packets.is_empty() {
            match pcapng(&wire.packets) {
                Ok(bytes) => files.push(("wire.pcapng".to_owned(), bytes)),
                Err(error) => self.lose(&folder.join("wire.pcapng"), &io::Error::other(error)),
            }
        }
        files.extend(time_lines(cell, wire));
        let mut cell = cell.clone();
        for (file, bytes) in files {
            if self.artefact(&folder.join(&file), &bytes, 0o666) {
                // These files all show the guest's behaviour.
                cell.judgement.add_artefact(Witness::Runtime, &format!("{name}/{file}"));
            }
        }
        if self.judged.get(&key) != Some(&cell) {
            self.ledger(&folder, &cell);
            self.judged.insert(key, cell);
        }
    }

    /// Writes a cell's ledger.json, without ever leaving half of it.
    fn ledger(&mut self, folder: &Path, cell: &Cell) {
        let path = folder.join("ledger.json");
        let written = fs::create_dir_all(folder).at(folder).and_then(|()| write_json(&path, cell, false));
        if let Err(error) = written {
            self.lose(&path, &error.cause);
        }
    }
}

fn wrong_controls(cells: &[Cell]) -> Vec<String> {
    let wrong = cells.iter().filter(|cell| cell.control_fault() == Some(ControlFault::Wrong));
    wrong.filter_map(Cell::control_complaint).collect()
}

/// A table and a graph for each time line.
fn time_lines(cell: &Cell, wire: &WireRecord) -> Vec<(String, Vec<u8>)> {
    let mut named = BTreeSet::new();
    let mut files = Vec::new();
    for (name, segments) in &wire.time_lines {
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

fn seconds(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
