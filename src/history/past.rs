//! The past of one kernel's cells, and the list of runs.

use rusqlite::{Connection, params};
use serde::Serialize;

use super::error::{HistoryError, RowError};
use super::file::HistoryFile;
use super::rows;
use crate::matrix::nearest;
use crate::results::{CellStanding, ComparedRun};
use crate::words::{BugId, JobId, KernelName, ProfileName};

/// The version of the shape of [`KernelPast`].
const PAST_VERSION: u32 = 1;

/// The past of a kernel's cells.
#[derive(Debug, PartialEq, Serialize)]
pub struct KernelPast {
    /// 1.
    pub schema_version: u32,
    /// The kernel.
    pub kernel: KernelName,
    /// Its cells. Those of different matrices are apart, because the kernels may be, too.
    pub cells: Vec<CellPast>,
}

/// The past of a cell.
#[derive(Debug, PartialEq, Serialize)]
pub struct CellPast {
    /// The matrix, as it was named.
    pub matrix: String,
    /// The bug.
    pub bug: BugId,
    /// The profile.
    pub profile: ProfileName,
    /// The newest first.
    pub spans: Vec<CellSpan>,
}

/// Runs one after another in which a cell came to the same.
#[derive(Debug, PartialEq, Serialize)]
pub struct CellSpan {
    /// What it came to, in the newest of these runs.
    pub standing: CellStanding,
    /// How many runs.
    pub runs: usize,
    /// When the first of them started: RFC 3339, UTC.
    pub since: String,
    /// The first of them.
    pub first_run: String,
    /// When the last of them started.
    pub until: String,
    /// The last of them.
    pub last_run: String,
}

/// A run of the history.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecordedRun {
    /// The run.
    #[serde(flatten)]
    pub run: ComparedRun,
    /// Whether no control kernel was judged wrongly.
    pub trusted: bool,
    /// Its cells.
    pub cells: u32,
    /// Those that are unexpected.
    pub unexpected: u32,
}

impl HistoryFile {
    /// The past of a kernel's cells, or of its cells of one bug. Runs whose verdicts cannot be trusted are left out.
    ///
    /// # Errors
    /// If the history cannot be read, or has no such kernel or bug.
    pub fn past(&mut self, kernel: &KernelName, bug: Option<&BugId>) -> Result<KernelPast, HistoryError> {
        let mut past = self.with(|db| past(db, kernel))?;
        if past.cells.is_empty() {
            let known = self.with(|db| kernels(db))?;
            return Err(unknown("kernel", kernel.as_str(), known));
        }
        if let Some(bug) = bug {
            let mut known: Vec<String> = past.cells.iter().map(|cell| cell.bug.to_string()).collect();
            known.dedup();
            past.cells.retain(|cell| cell.bug == *bug);
            if past.cells.is_empty() {
                return Err(unknown("bug of this kernel", bug.as_str(), known));
            }
        }
        Ok(past)
    }

    /// All its runs, the newest first.
    ///
    /// # Errors
    /// If the history cannot be read.
    pub fn runs(&mut self) -> Result<Vec<RecordedRun>, HistoryError> {
        let rows = self.with(|db| rows::all_runs(db))?;
        let of = |rows::RunRow { run, trusted, counts: (cells, unexpected), .. }| RecordedRun {
            run,
            trusted,
            cells,
            unexpected,
        };
        Ok(rows.into_iter().map(of).collect())
    }
}

fn past(db: &Connection, kernel: &KernelName) -> Result<KernelPast, RowError> {
    let mut statement = db.prepare(
        "SELECT subject.kernel, subject.job, run.matrix, run.name, run.started, word.text, cell.guest_ms FROM subject
         JOIN cell ON cell.subject = subject.id JOIN run ON run.id = cell.run JOIN word ON word.id = cell.standing
         WHERE subject.kernel = ?1 AND run.trusted ORDER BY subject.job, run.matrix, run.started DESC, run.id DESC",
    )?;
    let mut rows = statement.query(params![kernel.as_str()])?;
    let mut cells: Vec<CellPast> = Vec::new();
    while let Some(row) = rows.next()? {
        let (_, JobId { bug, profile }) = rows::key(row)?;
        let (matrix, run, started): (String, String, String) = (row.get(2)?, row.get(3)?, row.get(4)?);
        let standing: CellStanding = serde_json::from_str(&row.get::<_, String>(5)?).map_err(RowError::content)?;
        let guest_ms = row.get::<_, Option<i64>>(6)?.and_then(|ms| u64::try_from(ms).ok());
        let standing = CellStanding { guest_ms, ..standing };
        let is_same_cell = |it: &&mut CellPast| (&it.matrix, &it.bug, &it.profile) == (&matrix, &bug, &profile);
        let spans = match cells.last_mut().filter(is_same_cell) {
            Some(cell) => &mut cell.spans,
            None => {
                cells.push(CellPast { matrix, bug, profile, spans: Vec::new() });
                match cells.last_mut() {
                    Some(cell) => &mut cell.spans,
                    None => continue,
                }
            }
        };
        match spans.last_mut().filter(|span| is_same(&span.standing, &standing)) {
            Some(span) => {
                span.runs += 1;
                (span.since, span.first_run) = (started, run);
            }
            None => spans.push(CellSpan {
                standing,
                runs: 1,
                since: started.clone(),
                first_run: run.clone(),
                until: started,
                last_run: run,
            }),
        }
    }
    Ok(KernelPast { schema_version: PAST_VERSION, kernel: kernel.clone(), cells })
}

/// Whether a cell came to the same, as a run's changes tell it.
fn is_same(a: &CellStanding, b: &CellStanding) -> bool {
    let told =
        |it: &CellStanding| (it.outcome, it.verdict, it.state, it.expected, it.conflict, it.mitigated, it.unproven);
    told(a) == told(b)
}

fn kernels(db: &Connection) -> Result<Vec<String>, RowError> {
    let mut statement = db.prepare("SELECT DISTINCT kernel FROM subject ORDER BY kernel")?;
    let names = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(names)
}

/// The error of a name that the history does not have, with the most similar one, or with a few.
fn unknown(what: &'static str, name: &str, known: Vec<String>) -> HistoryError {
    // Of equally similar names the last, which is the newest version's.
    let hint = match nearest(name, known.iter().rev().map(String::as_str)) {
        Some(near) => format!(" (did you mean `{near}`?)"),
        _ if known.is_empty() => ": it is empty".to_owned(),
        _ => format!(": it has {}", known.iter().take(10).cloned().collect::<Vec<_>>().join(", ")),
    };
    HistoryError::Unknown { what, name: name.to_owned(), hint }
}
