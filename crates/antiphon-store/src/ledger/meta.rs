//! Notes of the ledger: what a run writes down for the next one.

use antiphon_core::Spent;
use rusqlite::{Connection, OptionalExtension};

use super::{SqliteLedger, sums};

impl SqliteLedger {
    /// The number of this run: the first of a ledger is 1.
    pub fn run(&self) -> i64 {
        self.run
    }
}

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

/// What all runs have spent, as a note.
pub(super) fn spent_text(spent: Spent) -> String {
    // numbers to memory: cannot fail
    serde_json::to_string(&spent).unwrap_or_default()
}

/// What all runs so far have spent. Outcomes without such a note are of an older release, or the note is damaged: what
/// they cost is not known.
pub(super) fn spent_so_far(connection: &Connection) -> rusqlite::Result<Spent> {
    let noted = read_meta(connection, "spent")?;
    if let Some(spent) = noted.and_then(|text| serde_json::from_str(&text).ok()) {
        return Ok(spent);
    }
    let has_outcomes =
        connection.query_row("SELECT EXISTS (SELECT 1 FROM outcomes)", [], |row| {
            row.get(0)
        })?;
    Ok(match has_outcomes {
        true => Spent::answer(None),
        false => Spent::default(),
    })
}
