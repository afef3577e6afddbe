//! Notes of the ledger: what a run writes down for the next one.

use rusqlite::{Connection, OptionalExtension};

use super::sums;

/// The number of the run before this one. Where its note is damaged the outcomes tell: a number that begins again would
/// make earlier outcomes look like this run's own, and their rows would be paid again.
pub(super) fn last_run(connection: &Connection) -> rusqlite::Result<i64> {
    let noted = read_meta(connection, "run")?.and_then(|run| run.parse().ok());
    match noted {
        Some(run) => Ok(run),
        None => connection.query_row("SELECT coalesce(max(run), 0) FROM outcomes", [], |row| {
            row.get(0)
        }),
    }
}

/// A note, unless it is damaged.
pub(super) fn read_meta(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    let found: Option<(String, i64)> = connection
        .query_row("SELECT value, sum FROM meta WHERE key = ?1", [key], |row| {
            // what cannot even be read as text is damaged too
            Ok(row.get(0).ok().zip(row.get(1).ok()))
        })
        .optional()?
        .flatten();
    Ok(found.and_then(|(value, sum)| (sum == sums::meta(key, &value)).then_some(value)))
}
