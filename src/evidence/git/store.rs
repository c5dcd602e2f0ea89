//! The SQLite file of an index: what it holds, and how it is written and read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::Oid;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::GitError;
use super::graph::Graph;
use super::message::{Abbreviation, Kind};
use super::walk::{Fact, Facts};

/// The number of this layout. A file with another one is built anew.
const LAYOUT: i64 = 4;
/// How many commits share a row of the table `graph`.
const CHUNK: u32 = 64 * 1024;
/// How long another process may write before this one gives up.
const PATIENCE: Duration = Duration::from_secs(30);

const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE commits (number INTEGER PRIMARY KEY, sha BLOB NOT NULL, time INTEGER NOT NULL, subject INTEGER NOT NULL);
CREATE TABLE mentions (prefix INTEGER NOT NULL, kind INTEGER NOT NULL, number INTEGER NOT NULL, digits TEXT NOT NULL);
CREATE TABLE undone (subject INTEGER NOT NULL, number INTEGER NOT NULL);
CREATE TABLE quoted (subject INTEGER NOT NULL, number INTEGER NOT NULL);
CREATE TABLE graph (first INTEGER PRIMARY KEY, sum INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE cuts (number INTEGER PRIMARY KEY);
CREATE TABLE tags (name TEXT PRIMARY KEY, number INTEGER NOT NULL, time INTEGER NOT NULL) WITHOUT ROWID;
";

/// Made after the first filling: a sorted whole is quicker than a million insertions.
const INDICES: &str = "
CREATE INDEX IF NOT EXISTS commits_sha ON commits (sha);
CREATE INDEX IF NOT EXISTS commits_subject ON commits (subject);
CREATE INDEX IF NOT EXISTS mentions_prefix ON mentions (prefix);
CREATE INDEX IF NOT EXISTS mentions_of_merges ON mentions (number) WHERE kind = 3;
CREATE INDEX IF NOT EXISTS undone_subject ON undone (subject);
CREATE INDEX IF NOT EXISTS quoted_subject ON quoted (subject);
";

/// An open index file.
pub(super) struct Store {
    path: PathBuf,
    db: Connection,
}

/// A commit that names another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    /// The commit that says so.
    pub number: u32,
    /// How.
    pub kind: Kind,
    /// What it says.
    pub commit: Abbreviation,
}

/// A tag that leads to a commit.
pub(super) struct Tag {
    pub name: String,
    pub number: u32,
    /// When its commit was committed, in seconds since 1970.
    pub time: i64,
}

impl Store {
    /// Starts a file. Nothing of it is safe against a power cut before [`Store::finish`].
    pub fn create(path: &Path) -> Result<Self, GitError> {
        let store = Self { path: path.to_owned(), db: Connection::open(path).map_err(|e| failed(path, &e))? };
        let start = || {
            store.db.pragma_update(None, "journal_mode", "OFF")?;
            store.db.pragma_update(None, "synchronous", "OFF")?;
            store.db.pragma_update(None, "page_size", 8192)?;
            store.db.pragma_update(None, "cache_size", -65536)?;
            store.db.execute_batch(TABLES)?;
            store.db.pragma_update(None, "user_version", LAYOUT)
        };
        start().map_err(|e| failed(path, &e))?;
        Ok(store)
    }

    /// Opens a file. None where it is of another layout, or no index at all.
    pub fn open(path: &Path) -> Result<Option<Self>, GitError> {
        let open = || {
            let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let db = Connection::open_with_flags(path, flags)?;
            db.busy_timeout(PATIENCE)?;
            let layout: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
            Ok((layout == LAYOUT).then_some(db))
        };
        match open() {
            Ok(db) => Ok(db.map(|db| Self { path: path.to_owned(), db })),
            Err(error) if is_damage(&error) => Ok(None),
            Err(error) => Err(failed(path, &error)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds commits, the graph's from `from` on, and says what the refs now are, all or nothing.
    pub fn append(&mut self, facts: &Facts, graph: &Graph, from: u32, meta: &[(&str, &str)]) -> Result<(), GitError> {
        let path = self.path.clone();
        let mut write = || -> rusqlite::Result<()> {
            let change = self.db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            {
                let mut commits = change.prepare("INSERT INTO commits VALUES (?1, ?2, ?3, ?4)")?;
                for (number, Fact { sha, time, subject }) in (from..).zip(&facts.commits) {
                    commits.execute(params![number, sha, time, subject])?;
                }
                let mut mentions = change.prepare("INSERT INTO mentions VALUES (?1, ?2, ?3, ?4)")?;
                for (number, kind, commit) in &facts.mentions {
                    mentions.execute(params![commit.prefix(), *kind as u8, number, commit.to_hex()])?;
                }
                let mut undone = change.prepare("INSERT INTO undone VALUES (?2, ?1)")?;
                for (number, subject) in &facts.undone_subjects {
                    undone.execute(params![number, subject])?;
                }
                let mut quoted = change.prepare("INSERT INTO quoted VALUES (?2, ?1)")?;
                for (number, subject) in &facts.quoted_subjects {
                    quoted.execute(params![number, subject])?;
                }
                let mut cuts = change.prepare("INSERT INTO cuts VALUES (?1)")?;
                for number in &facts.cuts {
                    cuts.execute(params![number])?;
                }
                let mut chunks = change.prepare("INSERT INTO graph VALUES (?1, ?2, ?3)")?;
                for first in (from..graph.len()).step_by(CHUNK as usize) {
                    let data = graph.encode(first, graph.len().min(first.saturating_add(CHUNK)));
                    chunks.execute(params![first, sum(&data), data])?;
                }
                let mut pairs = change.prepare("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?;
                let count = graph.len().to_string();
                for (key, value) in meta.iter().chain(&[("commits", count.as_str())]) {
                    pairs.execute(params![key, value])?;
                }
            }
            change.commit()
        };
        write().map_err(|e| failed(&path, &e))
    }

    /// Replaces the tags.
    pub fn set_tags(&mut self, tags: &[(String, u32)]) -> Result<(), GitError> {
        let path = self.path.clone();
        let mut write = || -> rusqlite::Result<()> {
            let change = self.db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            change.execute("DELETE FROM tags", [])?;
            {
                let mut insert =
                    change.prepare("INSERT INTO tags SELECT ?1, number, time FROM commits WHERE number = ?2")?;
                for (name, number) in tags {
                    insert.execute(params![name, number])?;
                }
            }
            change.commit()
        };
        write().map_err(|e| failed(&path, &e))
    }

    /// Ends the first filling: look-ups become quick, and the file is as every later writer expects it.
    pub fn finish(self) -> Result<(), GitError> {
        let path = self.path.clone();
        let end = || {
            self.db.execute_batch(INDICES)?;
            self.db.execute_batch("ANALYZE")?;
            self.db.pragma_update(None, "journal_mode", "DELETE")
        };
        end().map_err(|e| failed(&path, &e))?;
        self.db.close().map_err(|(_, e)| failed(&path, &e))
    }

    /// The graph. None where it does not hold together: the file is damaged.
    pub fn graph(&self) -> Result<Option<Graph>, GitError> {
        let mut graph = Graph::default();
        let mut read = || -> rusqlite::Result<bool> {
            let mut chunks = self.db.prepare("SELECT first, sum, data FROM graph ORDER BY first")?;
            let mut rows = chunks.query([])?;
            while let Some(row) = rows.next()? {
                let (first, expected): (u32, i64) = (row.get(0)?, row.get(1)?);
                let data = row.get_ref(2)?.as_blob().unwrap_or_default();
                if first != graph.len() || sum(data) != expected || !graph.decode(data) {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        match read() {
            Ok(sound) => Ok((sound && self.meta("commits")? == Some(graph.len().to_string())).then_some(graph)),
            Err(error) if is_damage(&error) => Ok(None),
            Err(error) => Err(failed(&self.path, &error)),
        }
    }

    /// What was noted under this key.
    pub fn meta(&self, key: &str) -> Result<Option<String>, GitError> {
        let value = self.db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional();
        value.or_else(|e| if is_damage(&e) { Ok(None) } else { Err(failed(&self.path, &e)) })
    }

    /// What the folders of refs looked like when the refs were last found to be those of this index.
    pub fn stamp(&self) -> Option<String> {
        self.meta("stamp").ok().flatten()
    }

    /// Notes that. Where it cannot be written, the refs are read again the next time.
    pub fn set_stamp(&self, stamp: Option<&str>) {
        if let Some(stamp) = stamp.filter(|stamp| self.stamp().as_deref() != Some(stamp)) {
            let _ = self.db.execute("INSERT OR REPLACE INTO meta VALUES ('stamp', ?1)", [stamp]);
        }
    }

    /// The number of a commit.
    pub fn number(&self, oid: Oid) -> Result<Option<u32>, GitError> {
        let mut find = self.prepare("SELECT number FROM commits WHERE sha = ?1")?;
        find.query_row([oid.as_bytes()], |row| row.get(0)).optional().map_err(|e| failed(&self.path, &e))
    }

    /// The commits whose names begin so, two at most: more than one is one too many.
    pub fn starting(&self, name: Abbreviation) -> Result<Vec<u32>, GitError> {
        let (low, high) = name.range();
        let mut find = self.prepare("SELECT number FROM commits WHERE sha BETWEEN ?1 AND ?2 LIMIT 2")?;
        let rows = find.query_map(params![low, high], |row| row.get(0));
        rows.and_then(Iterator::collect).map_err(|e| failed(&self.path, &e))
    }

    /// A commit's name, and when it was committed.
    pub fn commit(&self, number: u32) -> Result<Option<([u8; 20], i64)>, GitError> {
        let mut find = self.prepare("SELECT sha, time FROM commits WHERE number = ?1")?;
        let row = find.query_row([number], |row| Ok((row.get(0)?, row.get(1)?))).optional();
        row.map_err(|e| failed(&self.path, &e))
    }

    /// The hash of a commit's plain subject.
    pub fn subject(&self, number: u32) -> Result<Option<i64>, GitError> {
        let mut find = self.prepare("SELECT subject FROM commits WHERE number = ?1")?;
        find.query_row([number], |row| row.get(0)).optional().map_err(|e| failed(&self.path, &e))
    }

    /// The commits with this plain subject.
    pub fn with_subject(&self, hash: i64) -> Result<Vec<u32>, GitError> {
        self.numbers("SELECT number FROM commits WHERE subject = ?1 ORDER BY number", hash)
    }

    /// The commits that speak of undoing the one with this subject.
    pub fn undoing_subject(&self, hash: i64) -> Result<Vec<u32>, GitError> {
        self.numbers("SELECT number FROM undone WHERE subject = ?1 ORDER BY number", hash)
    }

    /// The commits that quote this subject.
    pub fn quoting_subject(&self, hash: i64) -> Result<Vec<u32>, GitError> {
        self.numbers("SELECT number FROM quoted WHERE subject = ?1 ORDER BY number", hash)
    }

    /// The commits that name a commit that may be this one.
    pub fn naming(&self, commit: Abbreviation) -> Result<Vec<Named>, GitError> {
        // A name of seven digits lies under eight, the last of them a zero.
        let sql = "SELECT number, kind, digits FROM mentions WHERE prefix IN (?1, ?1 & 4294967280)";
        let named = self.named(sql, commit.prefix())?;
        Ok(named.into_iter().filter(|named| named.commit.agrees(commit)).collect())
    }

    /// The commits that revert merges.
    pub fn reverting_merges(&self) -> Result<Vec<Named>, GitError> {
        self.named("SELECT number, kind, digits FROM mentions WHERE kind = 3 AND number >= ?1", 0)
    }

    /// All tags.
    pub fn tags(&self) -> Result<Vec<Tag>, GitError> {
        let mut find = self.prepare("SELECT name, number, time FROM tags")?;
        let rows = find.query_map([], |row| Ok(Tag { name: row.get(0)?, number: row.get(1)?, time: row.get(2)? }));
        rows.and_then(Iterator::collect).map_err(|e| failed(&self.path, &e))
    }

    /// The commits whose parents are not all here.
    pub fn cuts(&self) -> Result<Vec<u32>, GitError> {
        self.numbers("SELECT number FROM cuts WHERE number >= ?1", 0)
    }

    fn numbers(&self, sql: &str, key: i64) -> Result<Vec<u32>, GitError> {
        let mut find = self.prepare(sql)?;
        let rows = find.query_map([key], |row| row.get(0));
        rows.and_then(Iterator::collect).map_err(|e| failed(&self.path, &e))
    }

    fn named(&self, sql: &str, key: u32) -> Result<Vec<Named>, GitError> {
        let mut find = self.prepare(sql)?;
        let rows = find.query_map([key], |row| {
            let digits: String = row.get(2)?;
            let (kind, commit) = (Kind::from_number(row.get(1)?), Abbreviation::parse(digits.as_bytes()));
            Ok(kind.zip(commit).map(|(kind, commit)| (row.get(0), kind, commit)))
        });
        let mut found = Vec::new();
        for row in rows.map_err(|e| failed(&self.path, &e))? {
            if let Some((number, kind, commit)) = row.map_err(|e| failed(&self.path, &e))? {
                found.push(Named { number: number.map_err(|e| failed(&self.path, &e))?, kind, commit });
            }
        }
        found.sort();
        Ok(found)
    }

    fn prepare(&self, sql: &str) -> Result<rusqlite::CachedStatement<'_>, GitError> {
        self.db.prepare_cached(sql).map_err(|e| failed(&self.path, &e))
    }
}

fn failed(path: &Path, error: &rusqlite::Error) -> GitError {
    if is_damage(error) {
        // Damage is met in the middle of a question too. Without the file, the next one starts from the repository.
        discard(path);
    }
    GitError::Index { path: path.to_owned(), what: error.to_string() }
}

/// Removes a file and its journal, which would be rolled back into the next file of that name.
pub(super) fn discard(path: &Path) {
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    let _ = std::fs::remove_file(journal);
    let _ = std::fs::remove_file(path);
}

/// Whether the file itself is at fault, and not the disk or another process.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, TypeMismatch};
    match error {
        rusqlite::Error::SqliteFailure(failure, message) => {
            matches!(failure.code, DatabaseCorrupt | NotADatabase | TypeMismatch)
                || message.as_deref().is_some_and(|text| text.starts_with("no such table"))
        }
        rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::FromSqlConversionFailure(..) => true,
        _ => false,
    }
}

/// A sum that a flipped or missing byte changes: as FNV-1a, but eight bytes at a time, and turned so that the highest bits
/// reach the lowest.
fn sum(bytes: &[u8]) -> i64 {
    let mix = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
    let (words, rest) = bytes.as_chunks::<8>();
    let whole = words.iter().fold(0xcbf2_9ce4_8422_2325, |sum, word| mix(sum, u64::from_le_bytes(*word)));
    rest.iter().fold(whole, |sum, byte| mix(sum, u64::from(*byte))).cast_signed()
}
