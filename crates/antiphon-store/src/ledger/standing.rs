//! How far a job is, read from its ledger without a trace: also while another process writes it, and after one died.

use std::path::Path;

use antiphon_core::{Error, ErrorKind, Spent};
use rusqlite::{Connection, Row};
use serde_json::Value;

use super::{
    SqliteLedger,
    meta::{self, read_meta},
    past, records, schema,
};

/// How far a job is.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Rows that were planned; of an input that was not read to its end there are more.
    pub planned: u64,
    /// Whether the last run that ended in order had planned them all.
    pub is_whole: bool,
    /// Rows with an answer.
    pub succeeded: u64,
    /// Rows that failed.
    pub failed: u64,
    /// Of the rows with an outcome: found by the last run.
    pub of_last_run: u64,
    /// What all runs have spent.
    pub spent: Spent,
    /// Rows that failed, from the first on; not all of them.
    pub failures: Vec<FailedRow>,
    /// The last row that the newest run with failures has found to fail.
    pub last_failure: Option<FailedRow>,
    /// What the last run wrote down under the key that was asked for.
    pub note: Option<String>,
}

/// A row that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRow {
    /// The line's `custom_id`, or `row-N`.
    pub custom_id: String,
    /// The kind of error.
    pub kind: ErrorKind,
    /// What went wrong.
    pub message: String,
}

const FAILED: &str = "SELECT l.custom_id, o.error, o.head FROM layout l JOIN outcomes o ON o.item = l.item \
     WHERE o.error IS NOT NULL";

impl Standing {
    /// Reads the ledger of a state folder: up to `most` failures, and the note under `key`. `in_use`: somebody writes it now.
    /// Nobody waits for the reader.
    ///
    /// # Errors
    /// It is damaged, of a newer release, or cannot be read.
    pub fn read(folder: &Path, in_use: bool, most: usize, key: &str) -> Result<Self, Error> {
        let path = folder.join(SqliteLedger::FILE);
        let mut log = path.clone().into_os_string();
        log.push("-wal");
        let log = Path::new(&log);
        let read = || {
            let has_log = log.metadata().is_ok_and(|meta| in_use || meta.len() > 0);
            let connection = past::open(&path, has_log)?;
            read_all(&connection, most, key)
        };
        // a writer that ends takes its log away, perhaps just now
        let found = read().or_else(|_| read());
        match found.map_err(|error| records::ledger_error(&path, error))? {
            Some(standing) => Ok(standing),
            None => {
                let message = format!("{} was written by a newer antiphon", path.display());
                Err(Error::new(ErrorKind::Ledger, message))
            }
        }
    }
}

/// All of it as it stands at one moment; `None`: a newer release has written it.
fn read_all(connection: &Connection, most: usize, key: &str) -> rusqlite::Result<Option<Standing>> {
    connection.execute_batch("BEGIN")?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version > schema::VERSION {
        return Ok(None);
    }
    let run = meta::last_run(connection)?;
    let planned = connection.query_row("SELECT count(*) FROM layout", [], count)?;
    let counts = "SELECT count(*), count(o.error), coalesce(sum(o.run = ?1), 0) \
         FROM layout l JOIN outcomes o ON o.item = l.item";
    let (finished, failed, of_last_run) = connection.query_row(counts, [run], |row| {
        Ok((number(row, 0)?, number(row, 1)?, number(row, 2)?))
    })?;
    let failures = |order: &str, most: usize| {
        let mut select = connection.prepare(&format!("{FAILED} ORDER BY {order} LIMIT ?1"))?;
        let rows = select.query_map([i64::try_from(most).unwrap_or(i64::MAX)], failed_row)?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    Ok(Some(Standing {
        planned,
        is_whole: read_meta(connection, "layout_whole")?.as_deref() == Some("yes"),
        succeeded: finished.saturating_sub(failed),
        failed,
        of_last_run,
        spent: meta::spent_so_far(connection)?,
        failures: failures("l.row", most)?,
        last_failure: failures("o.run DESC, l.row DESC", 1)?.pop(),
        note: read_meta(connection, key)?,
    }))
}

fn count(row: &Row<'_>) -> rusqlite::Result<u64> {
    number(row, 0)
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(super::sums::unsigned)
}

fn failed_row(row: &Row<'_>) -> rusqlite::Result<FailedRow> {
    let code: String = row.get(1)?;
    let head: String = row.get(2)?;
    let head: Value = serde_json::from_str(&format!("{{{head}}}")).unwrap_or_default();
    let message = head.pointer("/error/message").and_then(Value::as_str);
    Ok(FailedRow {
        custom_id: row.get(0)?,
        kind: ErrorKind::from_code(&code).unwrap_or(ErrorKind::Ledger),
        message: message.unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{outcome, row, write};
    use super::*;

    #[test]
    fn a_standing_is_read_beside_the_writer_and_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let rows = vec![row(0, 0, "a", 0), row(1, 1, "b", 0), row(2, 2, "c", 0)];
        let mut failure = outcome("no", Some(ErrorKind::Rejected));
        failure.head =
            "\"response\":null,\"error\":{\"code\":\"rejected\",\"message\":\"declined\"}"
                .to_owned();
        write(
            folder.path(),
            rows,
            vec![(1, 1, failure), (2, 2, outcome("yes", None))],
        );
        let ledger = SqliteLedger::open(folder.path()).unwrap();
        ledger.write_note("job", "words".to_owned()).unwrap();
        let read = |in_use| Standing::read(folder.path(), in_use, 5, "job").unwrap();
        let standing = read(true);
        assert_eq!(
            (standing.planned, standing.succeeded, standing.failed),
            (3, 1, 1)
        );
        assert!(standing.is_whole);
        assert_eq!(standing.of_last_run, 0, "this run has found nothing yet");
        assert_eq!(standing.note.as_deref(), Some("words"));
        assert_eq!(standing.failures.len(), 1);
        assert_eq!(standing.failures[0].kind, ErrorKind::Rejected);
        assert_eq!(standing.failures[0].message, "declined");
        assert_eq!(standing.last_failure.as_ref(), standing.failures.first());
        drop(ledger);
        assert_eq!(read(false).planned, 3);
        assert!(Standing::read(&folder.path().join("none"), false, 5, "job").is_err());
    }
}
