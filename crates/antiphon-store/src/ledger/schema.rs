//! Tables of the ledger. `docs/ledger.md` is their reference.

use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// Version of the tables. A newer ledger is refused, an older one is read.
pub(super) const VERSION: i64 = 2;

/// Bytes of a page. Larger than SQLite's 4,096: a commit of some thirty answers writes half as many.
pub(crate) const PAGE_BYTES: u16 = 8192;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS items (item INTEGER PRIMARY KEY, fingerprint BLOB NOT NULL, run INTEGER NOT NULL, sum INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS layout (row INTEGER PRIMARY KEY, hash BLOB NOT NULL, item INTEGER NOT NULL, occurrence INTEGER NOT NULL,
  owns INTEGER NOT NULL, custom_id TEXT NOT NULL, input TEXT, sum INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS outcomes (item INTEGER PRIMARY KEY, run INTEGER NOT NULL, error TEXT, attempts INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cached_input_tokens INTEGER NOT NULL,
  reasoning_tokens INTEGER NOT NULL, cache_write_tokens INTEGER NOT NULL, latency_us INTEGER NOT NULL, finish TEXT,
  sum INTEGER NOT NULL, answer_sum INTEGER NOT NULL, head TEXT NOT NULL, details TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS attempts (attempt INTEGER PRIMARY KEY, item INTEGER NOT NULL, run INTEGER NOT NULL, text TEXT NOT NULL,
  fault TEXT NOT NULL, usage TEXT, sum INTEGER NOT NULL, part TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS attempts_by_item ON attempts (item);
";

/// The tables that salvage copies, each with its rowid column.
pub(super) const RECORD_TABLES: [(&str, &str); 4] = [
    ("items", "item"),
    ("layout", "row"),
    ("outcomes", "item"),
    ("attempts", "attempt"),
];

/// Opens the writing connection, making the tables where the file is new.
pub(super) fn open_writer(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    write_ahead(&connection)?;
    connection.execute_batch(
        "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=4096;
         PRAGMA journal_size_limit=67108864; PRAGMA temp_store=FILE; PRAGMA cache_size=-2048;",
    )?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 {
        connection.execute_batch(&format!(
            "BEGIN; {TABLES} PRAGMA user_version={VERSION}; COMMIT;"
        ))?;
    }
    Ok(connection)
}

/// Brings the tables of version 1 up to date: it knew no parts, and a record without one has the sum that it had there.
/// It is told by its tables, not by its version, of which a bit may be flipped.
pub(super) fn upgrade(connection: &Connection) -> rusqlite::Result<()> {
    let has_parts: bool = connection.query_row(
        "SELECT count(*) FROM pragma_table_info('attempts') WHERE name = 'part'",
        [],
        |row| row.get(0),
    )?;
    if !has_parts {
        connection.execute_batch(&format!(
            "BEGIN; ALTER TABLE attempts ADD COLUMN part TEXT NOT NULL DEFAULT '';
             PRAGMA user_version={VERSION}; COMMIT;"
        ))?;
    }
    Ok(())
}

/// Has the ledger write its log ahead. The answer comes before the change is committed, so it is read to its end: where
/// the disk fails at that, the ledger would go on in SQLite's older way, in which readers and the writer wait for each
/// other.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let mut change = connection.prepare("PRAGMA journal_mode=WAL")?;
    let mut answers = change.query([])?;
    while answers.next()?.is_some() {}
    Ok(())
}

/// Opens a connection that only reads; it sees what the writer has committed.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.execute_batch("PRAGMA cache_size=-4096;")?;
    Ok(connection)
}
