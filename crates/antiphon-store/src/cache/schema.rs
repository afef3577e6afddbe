//! Tables of the cache. `docs/cache.md` is their reference.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::{ledger::schema::PAGE_BYTES, sum::Sum};

/// Version of the tables. A newer cache is refused.
const VERSION: i64 = 1;

/// How long a commit waits for one of another process.
const PATIENCE: Duration = Duration::from_secs(5);

/// What an answer takes up beside its text: key, times, checksum, and its places in the indices.
const OVERHEAD: i64 = 128;

// rows are appended: with the hash as primary key each would go to a random page
const TABLES: &str = "
CREATE TABLE answers (entry INTEGER PRIMARY KEY, key BLOB NOT NULL, created INTEGER NOT NULL, used INTEGER NOT NULL,
  sum INTEGER NOT NULL, record TEXT NOT NULL);
CREATE UNIQUE INDEX answers_by_key ON answers (key);
CREATE INDEX answers_by_use ON answers (used);
CREATE TABLE total (one INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, sum INTEGER NOT NULL);
";

/// The file was written by a release that knows more.
pub(super) struct Newer(pub(super) i64);

/// Opens the connections that write and read, making the tables where the file is new.
pub(super) fn open(
    path: &Path,
    synced: bool,
) -> rusqlite::Result<Result<(Connection, Connection), Newer>> {
    let mut write = Connection::open(path)?;
    write.busy_timeout(PATIENCE)?;
    write.pragma_update(None, "page_size", PAGE_BYTES)?;
    write.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=4096; PRAGMA journal_size_limit=67108864;
         PRAGMA temp_store=FILE; PRAGMA cache_size=-4096;",
    )?;
    let level = if synced { "FULL" } else { "NORMAL" };
    write.pragma_update(None, "synchronous", level)?;
    let transaction = write.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match version {
        0 => transaction.execute_batch(&format!("{TABLES} PRAGMA user_version={VERSION};"))?,
        VERSION => {}
        newer => return Ok(Err(Newer(newer))),
    }
    transaction.commit()?;
    let read = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    read.busy_timeout(PATIENCE)?;
    read.execute_batch("PRAGMA cache_size=-4096;")?;
    Ok(Ok((write, read)))
}

/// What an answer of the table `answers` counts for, in SQL. The length of a text stands in front of it, so the text is
/// not read.
pub(super) fn size() -> String {
    format!("(octet_length(record) + {OVERHEAD})")
}

/// Bytes that an answer counts for.
pub(super) fn size_of(record: &str) -> i64 {
    i64::try_from(record.len())
        .unwrap_or(i64::MAX)
        .saturating_add(OVERHEAD)
}

/// Checksum of an answer. The time of its last use may change, and is worth no more than a place in a queue.
pub(super) fn sum_of(key: &[u8], created: i64, record: &str) -> i64 {
    Sum::of("cache")
        .bytes(key)
        .number(created)
        .text(record)
        .finish()
}
