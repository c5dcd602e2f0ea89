//! The run that another one is compared with, if nobody names one.

use std::collections::HashSet;

use rusqlite::Connection;

use super::digest::RunDigest;
use super::error::RowError;
use super::rows::RunRow;

/// How many runs to search for one that judged the same cells.
const SEARCHED_MOST: usize = 50;

/// The last of the runs before (the newest first) that can be compared with `after`: one that asked for all that `after` asks
/// for. A run of one kernel says little about a run of hundreds. Without such a run, the last one that judged one of its
/// cells, else the last one.
pub(super) fn baseline<'a>(
    db: &Connection,
    after: &RunDigest,
    before: &'a [RunRow],
) -> Result<Option<&'a RunRow>, RowError> {
    let whole = || before.iter().filter(|row| !row.run.interrupted);
    if let Some(row) = whole().find(|row| row.run.selection.covers(&after.run.selection)) {
        return Ok(Some(row));
    }
    let wanted: HashSet<(String, String)> =
        after.cells.keys().map(|(kernel, job)| (kernel.to_string(), job.to_string())).collect();
    let mut statement = db.prepare(
        "SELECT subject.kernel, subject.job FROM cell JOIN subject ON subject.id = cell.subject WHERE cell.run = ?1",
    )?;
    for row in whole().take(SEARCHED_MOST) {
        let mut cells = statement.query([row.id])?;
        while let Some(cell) = cells.next()? {
            if wanted.contains(&(cell.get(0)?, cell.get(1)?)) {
                return Ok(Some(row));
            }
        }
    }
    Ok(whole().next().or_else(|| before.first()))
}
