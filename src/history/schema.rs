//! The tables of the history.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::{HistoryError, RowError};

/// The version of the tables (`PRAGMA user_version`).
pub const VERSION: i64 = 1;

/// Marks a history (`PRAGMA application_id`): "bpfh".
const APPLICATION: i64 = 0x6270_6668;

/// How long to wait for another process that writes. A run's night takes it some milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// A night has thousands of cells that differ in a few words, so texts and outcomes are stored once. Cells are in the order
/// of their runs, for comparing two of them, with an index for the past of one.
const TABLES: &str = "
CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    started TEXT NOT NULL,
    matrix TEXT NOT NULL,
    selection TEXT NOT NULL,
    interrupted INTEGER NOT NULL,
    trusted INTEGER NOT NULL,
    exit_code INTEGER NOT NULL,
    cells INTEGER NOT NULL,
    unexpected INTEGER NOT NULL
);
CREATE INDEX run_by_start ON run (matrix, started);
CREATE TABLE subject (
    id INTEGER PRIMARY KEY,
    kernel TEXT NOT NULL,
    job TEXT NOT NULL,
    UNIQUE (kernel, job)
);
CREATE TABLE cell (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    subject INTEGER NOT NULL REFERENCES subject (id),
    outcome INTEGER NOT NULL,
    standing INTEGER NOT NULL REFERENCES word (id),
    image INTEGER REFERENCES word (id),
    guest_ms INTEGER,
    is_real INTEGER NOT NULL,
    PRIMARY KEY (run, subject)
) WITHOUT ROWID;
CREATE INDEX cell_by_subject ON cell (subject, run);
CREATE TABLE kernel (
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    release INTEGER REFERENCES word (id),
    image INTEGER NOT NULL REFERENCES word (id),
    transcripts INTEGER NOT NULL REFERENCES word (id),
    PRIMARY KEY (run, name)
) WITHOUT ROWID;
";

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenAs {
    /// An empty file, which gets the tables.
    New,
    /// A history.
    Writable,
    /// A history that cannot be written.
    ReadOnly,
}

/// Opens the history. A file without tables is damaged unless it is new: as an empty history it would hide all runs.
///
/// The journal is SQLite's ordinary one and not the write-ahead log, which needs shared memory (no network file system has
/// it) and a writable folder even to read.
pub(super) fn open(path: &Path, how: OpenAs) -> Result<Connection, HistoryError> {
    let mode = match how {
        OpenAs::New => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        OpenAs::Writable => OpenFlags::SQLITE_OPEN_READ_WRITE,
        OpenAs::ReadOnly => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    let mut connection = connection.map_err(|error| RowError::from(error).of(path))?;
    let versions = prepare(&mut connection, how).map_err(|error| error.of(path))?;
    match versions {
        (APPLICATION, VERSION) => Ok(connection),
        (APPLICATION, found) if found > VERSION => Err(HistoryError::Newer { path: path.to_owned(), found }),
        (application, version) => {
            let why = format!("no history of backproof (application {application:#x}, version {version})");
            Err(HistoryError::Damaged { path: path.to_owned(), why })
        }
    }
}

/// Makes the tables in a new file. Returns the file's application and version.
fn prepare(connection: &mut Connection, how: OpenAs) -> Result<(i64, i64), RowError> {
    connection.busy_timeout(PATIENCE)?;
    connection.execute_batch("PRAGMA foreign_keys = ON; PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY")?;
    let versions = versions(connection)?;
    if how != OpenAs::New {
        return Ok(versions);
    }
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    // Another process may have made them meanwhile; another program's tables stay.
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()?;
    self::versions(connection)
}

fn versions(connection: &Connection) -> Result<(i64, i64), RowError> {
    let of = |name: &str| connection.pragma_query_value(None, name, |row| row.get(0));
    Ok((of("application_id")?, of("user_version")?))
}
