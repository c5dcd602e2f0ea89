//! Runs as rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::digest::{CellDigest, GuestClock, KernelDigest, RunDigest};
use super::error::RowError;
use super::trend::{PastCell, RUNS, RunsBefore};
use crate::exit::Exit;
use crate::results::{CellStanding, ComparedRun};
use crate::words::{JobId, KernelName, Outcome};

/// A run of the history.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RunRow {
    pub(super) id: i64,
    pub(super) run: ComparedRun,
    pub(super) trusted: bool,
    /// How many cells it judged, and how many of them are unexpected.
    pub(super) counts: (u32, u32),
}

const RUN_COLUMNS: &str = "id, name, started, matrix, selection, interrupted, trusted, exit_code, cells, unexpected";

/// Whether a run was before the one that started at ?2 and has the name ?3. Runs of the same second are in the order in which
/// they were recorded; one that is not recorded yet is the last.
const IS_BEFORE: &str =
    "(run.started, run.id) < (?2, coalesce((SELECT own.id FROM run AS own WHERE own.name = ?3), 9223372036854775807))";

impl RunRow {
    fn of(row: &Row<'_>) -> Result<Self, RowError> {
        let selection: String = row.get(4)?;
        let run = ComparedRun {
            id: row.get(1)?,
            started: row.get(2)?,
            matrix: row.get(3)?,
            selection: serde_json::from_str(&selection).map_err(RowError::content)?,
            interrupted: row.get(5)?,
            exit_code: Exit::from(row.get::<_, u8>(7)?),
        };
        Ok(Self { id: row.get(0)?, run, trusted: row.get(6)?, counts: (row.get(8)?, row.get(9)?) })
    }
}

/// The run of this name.
pub(super) fn run(db: &Connection, name: &str) -> Result<Option<RunRow>, RowError> {
    let mut statement = db.prepare(&format!("SELECT {RUN_COLUMNS} FROM run WHERE name = ?1"))?;
    let mut rows = statement.query([name])?;
    rows.next()?.map(RunRow::of).transpose()
}

/// All runs, the newest first.
pub(super) fn all_runs(db: &Connection) -> Result<Vec<RunRow>, RowError> {
    let mut statement = db.prepare(&format!("SELECT {RUN_COLUMNS} FROM run ORDER BY started DESC, id DESC"))?;
    let mut rows = statement.query([])?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        runs.push(RunRow::of(row)?);
    }
    Ok(runs)
}

/// The trusted runs of the same matrix before this one, the newest first.
pub(super) fn runs_before(db: &Connection, run: &ComparedRun) -> Result<Vec<RunRow>, RowError> {
    let mut statement = db.prepare(&format!(
        "SELECT {RUN_COLUMNS} FROM run WHERE matrix = ?1 AND {IS_BEFORE} AND trusted ORDER BY started DESC, id DESC"
    ))?;
    let mut rows = statement.query([&run.matrix, &run.started, &run.id])?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        runs.push(RunRow::of(row)?);
    }
    Ok(runs)
}

/// Adds a run, and replaces an earlier record of it.
pub(super) fn insert(db: &Transaction<'_>, digest: &RunDigest) -> Result<(), RowError> {
    let RunDigest { run, trusted, kernels, cells } = digest;
    db.execute("DELETE FROM run WHERE name = ?1", [&run.id])?;
    db.execute(
        "INSERT INTO run (name, started, matrix, selection, interrupted, trusted, exit_code, cells, unexpected)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            run.id,
            run.started,
            run.matrix,
            json(&run.selection)?,
            run.interrupted,
            trusted,
            run.exit_code.code(),
            number(cells.len()),
            number(cells.values().filter(|cell| !cell.standing.expected).count()),
        ],
    )?;
    let id = db.last_insert_rowid();
    let mut words = Words::of(db)?;
    let mut statement =
        db.prepare("INSERT INTO kernel (run, name, release, image, transcripts) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (name, kernel) in kernels {
        let release = kernel.release.as_deref().map(|release| words.id(release)).transpose()?;
        let (image, said) = (words.id(&kernel.image_sha256)?, words.id(&json(&kernel.transcripts)?)?);
        statement.execute(params![id, name.as_str(), release, image, said])?;
    }
    let mut find = db.prepare("SELECT id FROM subject WHERE kernel = ?1 AND job = ?2")?;
    let mut make = db.prepare("INSERT INTO subject (kernel, job) VALUES (?1, ?2)")?;
    let mut statement = db.prepare(
        "INSERT INTO cell (run, subject, outcome, standing, image, guest_ms, is_real) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for ((kernel, job), CellDigest { standing, clock }) in cells {
        let job = job.to_string();
        let known = find.query_row([kernel.as_str(), &job], |row| row.get(0)).optional()?;
        let subject: i64 = match known {
            Some(id) => id,
            None => make.insert([kernel.as_str(), &job])?,
        };
        let image = kernels.get(kernel).map(|kernel| words.id(&kernel.image_sha256)).transpose()?;
        // The time has a column of its own, so that equal standings are stored once.
        let ms = standing.guest_ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX));
        let words_of = words.id(&json(&CellStanding { guest_ms: None, ..standing.clone() })?)?;
        let is_real = *clock == GuestClock::Real;
        statement.execute(params![id, subject, code(standing.outcome), words_of, image, ms, is_real])?;
    }
    Ok(())
}

/// Removes a run.
pub(super) fn remove(db: &Transaction<'_>, name: &str) -> Result<(), RowError> {
    db.execute("DELETE FROM run WHERE name = ?1", [name])?;
    Ok(())
}

/// Removes the texts and subjects that no run uses any more.
pub(super) fn sweep(db: &Transaction<'_>) -> Result<(), RowError> {
    db.execute_batch(
        "DELETE FROM subject WHERE id NOT IN (SELECT subject FROM cell);
         DELETE FROM word WHERE id NOT IN (
             SELECT standing FROM cell UNION SELECT image FROM cell WHERE image IS NOT NULL UNION
             SELECT image FROM kernel UNION SELECT transcripts FROM kernel UNION
             SELECT release FROM kernel WHERE release IS NOT NULL)",
    )?;
    Ok(())
}

/// The whole of a run.
pub(super) fn load(db: &Connection, row: RunRow) -> Result<RunDigest, RowError> {
    let mut kernels = BTreeMap::new();
    let mut statement = db.prepare(
        "SELECT kernel.name, release.text, image.text, said.text FROM kernel
         LEFT JOIN word AS release ON release.id = kernel.release
         JOIN word AS image ON image.id = kernel.image
         JOIN word AS said ON said.id = kernel.transcripts
         WHERE kernel.run = ?1",
    )?;
    let mut rows = statement.query([row.id])?;
    while let Some(row) = rows.next()? {
        let said: String = row.get(3)?;
        let kernel = KernelDigest {
            release: row.get(1)?,
            image_sha256: row.get(2)?,
            transcripts: serde_json::from_str(&said).map_err(RowError::content)?,
        };
        kernels.insert(name(row.get_ref(0)?.as_str().map_err(RowError::content)?)?, kernel);
    }
    let mut standings: HashMap<i64, CellStanding> = HashMap::new();
    let mut cells = BTreeMap::new();
    let mut statement = db.prepare(
        "SELECT subject.kernel, subject.job, cell.standing, cell.guest_ms, cell.is_real FROM cell
         JOIN subject ON subject.id = cell.subject WHERE cell.run = ?1",
    )?;
    let mut text = db.prepare("SELECT text FROM word WHERE id = ?1")?;
    let mut rows = statement.query([row.id])?;
    while let Some(row) = rows.next()? {
        let id = row.get(2)?;
        let standing = match standings.get(&id) {
            Some(known) => known.clone(),
            None => {
                let json: String = text.query_row([id], |row| row.get(0))?;
                let standing: CellStanding = serde_json::from_str(&json).map_err(RowError::content)?;
                standings.insert(id, standing.clone());
                standing
            }
        };
        let standing = CellStanding { guest_ms: milliseconds(row.get(3)?), ..standing };
        cells.insert(key(row)?, CellDigest { standing, clock: clock(row.get(4)?) });
    }
    Ok(RunDigest { run: row.run, trusted: row.trusted, kernels, cells })
}

/// What the runs before showed of the cells of `after`.
pub(super) fn past(db: &Connection, after: &RunDigest, runs: &[RunRow]) -> Result<RunsBefore, RowError> {
    let mut past = RunsBefore::default();
    let mut subjects: HashMap<i64, (KernelName, JobId)> = HashMap::new();
    let mut statement = db.prepare("SELECT kernel, job, id FROM subject")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let key = key(row)?;
        if after.cells.contains_key(&key) {
            subjects.insert(row.get(2)?, key);
        }
    }
    let mut by_subject: HashMap<i64, Vec<PastCell>> = HashMap::new();
    let mut images: HashMap<i64, Arc<str>> = HashMap::new();
    let mut text = db.prepare("SELECT text FROM word WHERE id = ?1")?;
    let mut statement = db.prepare("SELECT subject, outcome, guest_ms, is_real, image FROM cell WHERE run = ?1")?;
    for run in runs.iter().filter(|row| !row.run.interrupted).take(RUNS) {
        let mut rows = statement.query([run.id])?;
        while let Some(row) = rows.next()? {
            let subject = row.get(0)?;
            if !subjects.contains_key(&subject) {
                continue;
            }
            let image = match row.get::<_, Option<i64>>(4)? {
                None => None,
                Some(id) => match images.get(&id) {
                    Some(known) => Some(known.clone()),
                    None => {
                        let image: Arc<str> = text.query_row([id], |row| row.get::<_, String>(0))?.into();
                        images.insert(id, image.clone());
                        Some(image)
                    }
                },
            };
            let (guest_ms, clock) = (milliseconds(row.get(2)?), clock(row.get(3)?));
            let cell = PastCell { outcome: outcome(row.get(1)?)?, guest_ms, clock, image };
            by_subject.entry(subject).or_default().push(cell);
        }
    }
    past.cells = by_subject.into_iter().filter_map(|(id, cells)| Some((subjects.remove(&id)?, cells))).collect();
    past.judged = past.cells.keys().map(|(kernel, _)| kernel.clone()).collect();
    // Few kernels are left: those that the last runs did not judge. `CROSS JOIN` keeps this order: from the runs on, SQLite
    // would look at all cells of all runs to find that a kernel is new.
    let mut judged = db.prepare(&format!(
        "SELECT EXISTS (SELECT 1 FROM subject CROSS JOIN cell ON cell.subject = subject.id
         CROSS JOIN run ON run.id = cell.run WHERE matrix = ?1 AND {IS_BEFORE} AND subject.kernel = ?4)"
    ))?;
    let run = &after.run;
    let kernels: BTreeSet<&KernelName> = after.cells.keys().map(|(kernel, _)| kernel).collect();
    for kernel in kernels {
        if !past.judged.contains(kernel)
            && judged.query_row([&run.matrix, &run.started, &run.id, kernel.as_str()], |row| row.get(0))?
        {
            past.judged.insert(kernel.clone());
        }
    }
    Ok(past)
}

/// Texts that are stored once.
struct Words<'db> {
    known: HashMap<String, i64>,
    find: rusqlite::Statement<'db>,
    make: rusqlite::Statement<'db>,
}

impl<'db> Words<'db> {
    fn of(db: &'db Connection) -> Result<Self, RowError> {
        let find = db.prepare("SELECT id FROM word WHERE text = ?1")?;
        Ok(Self { known: HashMap::new(), find, make: db.prepare("INSERT INTO word (text) VALUES (?1)")? })
    }

    fn id(&mut self, text: &str) -> Result<i64, RowError> {
        if let Some(id) = self.known.get(text) {
            return Ok(*id);
        }
        let id = match self.find.query_row([text], |row| row.get(0)).optional()? {
            Some(id) => id,
            None => self.make.insert([text])?,
        };
        self.known.insert(text.to_owned(), id);
        Ok(id)
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, RowError> {
    serde_json::to_string(value).map_err(RowError::content)
}

fn name(text: &str) -> Result<KernelName, RowError> {
    text.parse().map_err(RowError::content)
}

/// The kernel and the job of a row that starts with them.
pub(super) fn key(row: &Row<'_>) -> Result<(KernelName, JobId), RowError> {
    let text = |at| -> Result<&str, RowError> { row.get_ref(at)?.as_str().map_err(RowError::content) };
    Ok((name(text(0)?)?, text(1)?.parse().map_err(RowError::content)?))
}

fn number(count: usize) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

fn milliseconds(column: Option<i64>) -> Option<u64> {
    column.and_then(|ms| u64::try_from(ms).ok())
}

fn clock(is_real: bool) -> GuestClock {
    if is_real { GuestClock::Real } else { GuestClock::Virtual }
}

/// An outcome as a number; the numbers are those of [`Outcome::ALL`].
fn code(outcome: Outcome) -> i64 {
    Outcome::ALL.iter().position(|known| *known == outcome).and_then(|at| at.try_into().ok()).unwrap_or(-1)
}

fn outcome(code: i64) -> Result<Outcome, RowError> {
    let known = usize::try_from(code).ok().and_then(|at| Outcome::ALL.get(at));
    known.copied().ok_or_else(|| RowError::Content(format!("unknown outcome {code}")))
}
