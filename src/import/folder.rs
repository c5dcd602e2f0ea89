//! Writes dossiers and their programs into a folder. The dossier comes last, so an interruption leaves none without its
//! program, and no half file.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::Builder;

use super::candidate::{Candidate, ProgramPlace};
use super::program;
use super::{ImportError, ImportTarget, Imported, Rejected, RejectionKind, names};
use crate::matrix::{Bug, Bugs, DOSSIERS_MAX};
use crate::regular;
use crate::words::BugId;

/// The folder of programs, beside the dossiers.
const PROGRAMS: &str = "programs";

/// The most bytes of the files beside a program.
const FILES_MAX: u64 = 64 << 20;

/// The permissions of a program, and of anything else.
const MODES: (u32, u32) = (0o755, 0o644);

/// A folder of dossiers that are imported.
pub(super) struct ImportFolder<'a> {
    target: ImportTarget<'a>,
    /// The names that this import has given.
    taken: BTreeSet<BugId>,
    /// How many dossiers the folder has.
    dossiers: usize,
}

/// A file to write.
struct PlannedFile {
    path: PathBuf,
    bytes: Vec<u8>,
    mode: u32,
}

impl<'a> ImportFolder<'a> {
    /// Opens the folder. It is made when the first dossier is written.
    pub(super) fn open(target: ImportTarget<'a>) -> Result<Self, ImportError> {
        let unwritable = |source| ImportError::Unwritable { path: target.folder.to_owned(), source };
        let is_dossier = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|extension| extension == "yaml");
        let dossiers = match fs::read_dir(target.folder) {
            Ok(entries) => entries.flatten().filter(is_dossier).count(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(unwritable(error)),
        };
        Ok(Self { target, taken: BTreeSet::new(), dossiers })
    }

    /// Writes a candidate, or says why it cannot be one.
    pub(super) fn add(&mut self, candidate: Candidate) -> Result<Result<Imported, Rejected>, ImportError> {
        let (id, planned) = match self.plan(&candidate) {
            Ok(planned) => planned,
            Err(rejected) => return Ok(Err(rejected)),
        };
        let rejected = |kind, why| Ok(Err(Rejected::new(&candidate.name, kind, why)));
        let mut missing = Vec::new();
        for file in &planned {
            match is_there(file) {
                Ok(Some(true)) => {}
                Ok(Some(false)) if !self.target.force => {
                    let why = format!("{} differs: replace it with --force", file.path.display());
                    return rejected(RejectionKind::Exists, why);
                }
                Ok(_) => missing.push(file),
                Err(error) => {
                    return rejected(RejectionKind::Exists, format!("cannot read {}: {error}", file.path.display()));
                }
            }
        }
        let dossier = path_of(planned.last());
        let program = match &candidate.place {
            ProgramPlace::Beside(_) => path_of(planned.first()),
            ProgramPlace::Rootfs(_) => candidate.program.clone(),
        };
        if !dossier.exists() {
            if self.dossiers >= DOSSIERS_MAX {
                return rejected(
                    RejectionKind::Full,
                    format!("a folder holds at most {DOSSIERS_MAX} dossiers: import the rest with another --to"),
                );
            }
            self.dossiers += 1;
        }
        for file in &missing {
            put(file).map_err(|source| ImportError::Unwritable { path: file.path.clone(), source })?;
        }
        let mut notes = candidate.notes.clone();
        if id.as_str() != candidate.name {
            notes.insert(0, format!("named {id}"));
        }
        self.taken.insert(id.clone());
        Ok(Ok(Imported {
            title: candidate.shown_title(),
            name: candidate.name,
            id,
            dossier,
            program,
            written: !missing.is_empty(),
            notes,
        }))
    }

    /// The files of a candidate: its program, the files beside it, and at last the dossier.
    fn plan(&self, candidate: &Candidate) -> Result<(BugId, Vec<PlannedFile>), Rejected> {
        let rejected = |kind, why: String| Rejected::new(&candidate.name, kind, why);
        let id = self.free_id(&candidate.id);
        let id =
            id.ok_or_else(|| rejected(RejectionKind::Malformed, "nothing of its name can name a bug".to_owned()))?;
        let below = format!("{PROGRAMS}/{id}");
        let folder = self.target.folder.join(&below);
        let (of_program, of_file) = MODES;
        let (mut planned, mut own_libraries) = (Vec::new(), Vec::new());
        // A source that leaves its program in the rootfs has checked it there.
        if let ProgramPlace::Beside(name) = &candidate.place {
            let bytes = program::read(&candidate.name, &candidate.program)?;
            program::check(&candidate.name, &bytes, candidate.rootfs.as_deref())?;
            if candidate.rootfs.is_none() {
                own_libraries = program::own_libraries(&candidate.name, &bytes, &candidate.program)?;
            }
            planned.push(PlannedFile { path: folder.join(name), bytes, mode: of_program });
        }
        for (from, name) in &candidate.files {
            let bytes = regular::read(from, FILES_MAX)
                .map_err(|error| rejected(RejectionKind::Files, format!("cannot read {}: {error}", from.display())))?;
            let mode = if super::tree::is_executable(from) { of_program } else { of_file };
            if planned.iter().any(|other| other.path == folder.join(name)) {
                return Err(rejected(RejectionKind::Files, format!("two of its files are called {name:.100}")));
            }
            planned.push(PlannedFile { path: folder.join(name), bytes, mode });
        }
        for library in own_libraries {
            let path = folder.join(&library.name);
            if planned.iter().all(|other| other.path != path) {
                planned.push(PlannedFile { path, bytes: library.bytes, mode: of_program });
            }
        }
        let path = self.target.folder.join(format!("{id}.yaml"));
        let malformed = |error: String| rejected(RejectionKind::Malformed, format!("no dossier can hold it: {error}"));
        let text = candidate.text(&id, &below).map_err(|error| malformed(error.to_string()))?;
        // Our own reader is the last to say.
        Bug::parse(&text, &path).map_err(|problems| malformed(problems.to_string()))?;
        planned.push(PlannedFile { path, bytes: text.into_bytes(), mode: of_file });
        Ok((id, planned))
    }

    /// The name that this candidate gets: its own, or else with a number.
    fn free_id(&self, wanted: &str) -> Option<BugId> {
        let built_in = Bugs::built_in();
        let is_free = |id: &BugId| !self.taken.contains(id) && built_in.get(id).is_none();
        let id = names::bug_id(wanted)?;
        if is_free(&id) {
            return Some(id);
        }
        // A longer name would be cut before its number.
        let start: String = id.as_str().chars().take(90).collect();
        (2..1000).filter_map(|number| names::bug_id(&format!("{start}-{number}"))).find(is_free)
    }
}

fn path_of(file: Option<&PlannedFile>) -> PathBuf {
    file.map(|file| file.path.clone()).unwrap_or_default()
}

/// Whether the file is there with this content; none if there is nothing.
fn is_there(file: &PlannedFile) -> io::Result<Option<bool>> {
    match regular::read(&file.path, file.bytes.len() as u64) {
        Ok(bytes) => Ok(Some(bytes == file.bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Ok(Some(false)),
        Err(error) => Err(error),
    }
}

/// Writes a file under another name and moves it to its place.
fn put(file: &PlannedFile) -> io::Result<()> {
    let folder = file.path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    // Readers of dossiers ignore files that start with a dot.
    let mut new = Builder::new().prefix(".import-").tempfile_in(folder)?;
    new.write_all(&file.bytes)?;
    new.as_file().set_permissions(fs::Permissions::from_mode(file.mode))?;
    new.as_file().sync_all()?;
    new.persist(&file.path).map_err(|error| error.error)?;
    Ok(())
}
