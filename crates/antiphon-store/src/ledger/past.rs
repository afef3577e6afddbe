//! What earlier runs found, read without a trace: for whoever wants to know what a run would do, and does not run.

use std::path::{Path, PathBuf};

use antiphon_core::{Error, ErrorKind, Fingerprint, Spent, Usage, Usd, account::Range};
use rusqlite::{Connection, OpenFlags, Row};
use serde_json::Value;

use super::{SqliteLedger, meta, records, schema};

/// A ledger that is only read: neither it nor the files beside it are written.
///
/// Whoever reads it has the lock of its folder, so nobody else writes it meanwhile.
#[derive(Debug)]
pub struct PastRuns {
    path: PathBuf,
    connection: Connection,
}

/// How an item ended.
#[derive(Clone, Debug, PartialEq)]
pub struct PastOutcome {
    /// The error it ended in; `None` is an answer.
    pub error: Option<ErrorKind>,
    /// The run it is of.
    pub run: i64,
    /// Attempts on the wire; 0 where the answer was at hand.
    pub attempts: u32,
    /// Tokens over all answered attempts.
    pub usage: Usage,
    /// Cost over all of them, where it is known.
    pub cost: Option<Usd>,
    /// Energy of all of them, kWh, where it is known.
    pub energy_kwh: Option<Range>,
    /// Their greenhouse gases, kg of CO2 equivalent, where they are known.
    pub gwp_kgco2eq: Option<Range>,
    /// Time on the wire of the answering attempt, in microseconds.
    pub latency_us: u64,
}

impl PastRuns {
    /// Reads the ledger of a state folder.
    ///
    /// # Errors
    /// It is damaged, of a newer release, or cannot be read.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(SqliteLedger::FILE);
        let mut log = path.clone().into_os_string();
        log.push("-wal");
        let has_log = Path::new(&log).metadata().is_ok_and(|log| log.len() > 0);
        let opened = open(&path, has_log).and_then(|connection| {
            let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            if version <= schema::VERSION {
                list_items(&connection)?;
            }
            Ok((connection, version))
        });
        let (connection, version) = opened.map_err(|error| records::ledger_error(&path, error))?;
        if version > schema::VERSION {
            let message = format!("{} was written by a newer antiphon", path.display());
            return Err(Error::new(ErrorKind::Ledger, message));
        }
        Ok(Self { path, connection })
    }

    /// What all runs have spent.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn spent(&self) -> Result<Spent, Error> {
        let spent = meta::spent_so_far(&self.connection);
        spent.map_err(|error| records::ledger_error(&self.path, error))
    }

    /// The outcome that the `k`-th of several equal requests will be given: answers come first, then failures.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn find(&self, fingerprint: Fingerprint, k: u32) -> Result<Option<PastOutcome>, Error> {
        let find = || {
            let mut select = self.connection.prepare_cached(&format!(
                "SELECT {}, o.details FROM temp.found f JOIN outcomes o ON o.item = f.item
                 WHERE f.fingerprint = ?1 ORDER BY o.error IS NOT NULL, f.item LIMIT 1 OFFSET ?2",
                records::VERDICT
            ))?;
            let mut rows = select.query(rusqlite::params![fingerprint.as_bytes(), k])?;
            Ok(rows.next()?.and_then(outcome_of))
        };
        find().map_err(|error| records::ledger_error(&self.path, error))
    }
}

/// Opens it so that nothing is written: where it has no log of writes to come, as a file that does not change.
pub(super) fn open(path: &Path, has_log: bool) -> rusqlite::Result<Connection> {
    if has_log {
        return schema::open_reader(path);
    }
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte));
            }
            byte => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri, flags)
}

/// The ledger has no index of fingerprints unless an input has changed. Here it is made in a file of SQLite's own, which
/// goes with the connection.
fn list_items(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "PRAGMA temp_store=FILE;
         CREATE TEMP TABLE found (fingerprint BLOB NOT NULL, item INTEGER NOT NULL, PRIMARY KEY (fingerprint, item)) WITHOUT ROWID;
         INSERT INTO temp.found SELECT i.fingerprint, i.item FROM main.items i JOIN main.outcomes o ON o.item = i.item;",
    )
}

/// `None` where it is damaged: then the row will be asked again.
fn outcome_of(row: &Row<'_>) -> Option<PastOutcome> {
    let (run, outcome) = records::verdict_of(row, 0)?;
    let details: String = row.get(records::VERDICT_COLUMNS).ok()?;
    let mut details: Value = serde_json::from_str(&format!("{{{details}}}")).unwrap_or_default();
    let mut take = |name| details.get_mut(name).map(Value::take).unwrap_or_default();
    let cost = serde_json::from_value(take("cost_usd")).ok();
    let mut range = |name| serde_json::from_value(take(name)).ok();
    Some(PastOutcome {
        error: outcome.error,
        run,
        attempts: outcome.attempts,
        usage: outcome.usage,
        cost,
        energy_kwh: range("energy_kwh"),
        gwp_kgco2eq: range("gwp_kgco2eq"),
        latency_us: outcome.latency_us,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{outcome, row, write};
    use super::*;

    fn print_of(name: &str) -> Fingerprint {
        Fingerprint::of_bytes("test", name.as_bytes())
    }

    #[test]
    fn outcomes_are_found_as_a_run_would_find_them_and_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("a b?%c");
        std::fs::create_dir(&state).unwrap();
        let mut answer = outcome("yes", None);
        answer.details =
            "\"text\":\"yes\",\"cost_usd\":0.25,\"energy_kwh\":{\"min\":1e-5,\"max\":2e-5}"
                .to_owned();
        let failure = outcome("no", Some(ErrorKind::Timeout));
        let rows = vec![row(0, 0, "a", 0), row(1, 1, "a", 1), row(2, 2, "b", 0)];
        let own = tempfile::tempdir().unwrap();
        write(own.path(), rows, vec![(0, 0, failure), (1, 1, answer)]);
        // all of it is in the one file; its writer may close its log a moment later
        let file = SqliteLedger::FILE;
        std::fs::copy(own.path().join(file), state.join(file)).unwrap();
        let files = || {
            let entries = std::fs::read_dir(&state).unwrap().map(|entry| {
                let entry = entry.unwrap();
                let meta = entry.metadata().unwrap();
                (entry.file_name(), meta.len(), meta.modified().unwrap())
            });
            let mut files: Vec<_> = entries.collect();
            files.sort();
            files
        };
        let before = files();

        let past = PastRuns::read(&state).unwrap();
        let first = past.find(print_of("a"), 0).unwrap().unwrap();
        assert_eq!((first.error, first.cost), (None, Usd::from_f64(0.25)));
        let energy = Range {
            min: 1e-5,
            max: 2e-5,
        };
        assert_eq!((first.energy_kwh, first.gwp_kgco2eq), (Some(energy), None));
        let second = past.find(print_of("a"), 1).unwrap().unwrap();
        assert_eq!(
            (second.error, second.cost),
            (Some(ErrorKind::Timeout), None)
        );
        assert_eq!(second.usage.output_tokens, 3);
        assert_eq!(past.find(print_of("a"), 2).unwrap(), None);
        assert_eq!(past.find(print_of("b"), 0).unwrap(), None);
        drop(past);
        assert_eq!(files(), before);
    }

    #[test]
    fn what_is_no_ledger_is_said_to_be_none() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(SqliteLedger::FILE), "no ledger at all").unwrap();
        let error = PastRuns::read(folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Ledger);
    }
}
