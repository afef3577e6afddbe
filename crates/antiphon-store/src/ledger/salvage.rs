//! A broken file is not the end of what was paid for: every record whose checksum holds moves into a new ledger.

use std::path::{Path, PathBuf};

use antiphon_core::{Error, ErrorKind};
use rusqlite::{Connection, types::Value};

use super::{SqliteLedger, header, records::ledger_error, schema};

/// Records that are skipped at most in one step over an unreadable stretch.
const LONGEST_STEP: i64 = 1 << 20;

/// Ending of the file that says of a ledger that a run met a broken page in it.
const MARK: &str = ".damaged";

/// Has the next run salvage this ledger. Opening one cannot look at every page: that would take minutes for a large one.
pub(super) fn mark(path: &Path) {
    // where even this cannot be written, the next run meets the same page and says the same
    let _unmarked = crate::state_dir::private_file(&with_suffix(path, MARK));
}

/// Opens a ledger; a broken one is salvaged into a new file first. The second value tells that in words.
///
/// # Errors
/// It cannot be opened, or not even made anew.
pub fn open_or_salvage(folder: &Path) -> Result<(SqliteLedger, Option<String>), Error> {
    let path = folder.join(SqliteLedger::FILE);
    let known_damaged = with_suffix(&path, MARK).exists()
        || header::is_damaged(&path, &with_suffix(&path, "-wal")).unwrap_or(false);
    if known_damaged {
        return reopen_salvaged(folder);
    }
    match SqliteLedger::open(folder) {
        Err(error) if is_broken_file(&error) => reopen_salvaged(folder),
        opened => Ok((opened?, None)),
    }
}

fn reopen_salvaged(folder: &Path) -> Result<(SqliteLedger, Option<String>), Error> {
    let (aside, kept) = salvage(folder)?;
    let told = format!(
        "the ledger was damaged: {kept} records were saved into a new one, the old one is kept as {}",
        aside.display()
    );
    Ok((SqliteLedger::open(folder)?, Some(told)))
}

fn is_broken_file(error: &Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<rusqlite::Error>())
        .is_some_and(super::records::is_broken)
}

/// Moves the broken file aside and copies what can be read. Checksums are verified by every later read, so records are
/// copied as they are.
fn salvage(folder: &Path) -> Result<(PathBuf, u64), Error> {
    let path = folder.join(SqliteLedger::FILE);
    let aside = (1..)
        .map(|number| folder.join(format!("ledger.damaged-{number}.db")))
        .find(|candidate| !candidate.exists())
        .unwrap_or_else(|| folder.join("ledger.damaged.db"));
    let failed = |error: std::io::Error| {
        Error::new(
            ErrorKind::Ledger,
            format!("the damaged {} cannot be moved aside: {error}", path.display()),
        )
        .with_source(error)
    };
    std::fs::rename(&path, &aside).map_err(failed)?;
    for suffix in ["-wal", "-shm"] {
        let _absent = std::fs::rename(with_suffix(&path, suffix), with_suffix(&aside, suffix));
    }
    // what cannot be mended is found out by reading
    let _as_it_is = header::mend(&aside);
    let _unmarked = std::fs::remove_file(with_suffix(&path, MARK));
    crate::state_dir::private_file(&path).map_err(failed)?;
    let new = schema::open_writer(&path).map_err(|error| ledger_error(&path, error))?;
    let kept = match Connection::open(&aside) {
        Ok(old) => copy_tables(&old, &new).map_err(|error| ledger_error(&path, error))?,
        Err(_) => 0,
    };
    Ok((aside, kept))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn copy_tables(old: &Connection, new: &Connection) -> rusqlite::Result<u64> {
    // without it SQLite refuses every page of a file that is shorter than its header says
    old.execute_batch("PRAGMA writable_schema=ON")?;
    new.execute_batch("BEGIN")?;
    let mut kept = 0;
    for (table, key) in schema::RECORD_TABLES {
        kept += copy_table(old, new, table, key)?;
    }
    // the layout may have holes now: rows are found by fingerprint, and the output is written anew
    super::writer::set_meta(new, "layout_whole", "no")?;
    for key in ["run", "plan", "created"] {
        if let Ok(Some(value)) = super::read_meta(old, key) {
            super::writer::set_meta(new, key, &value)?;
        }
    }
    new.execute_batch("COMMIT")?;
    Ok(kept)
}

fn copy_table(old: &Connection, new: &Connection, table: &str, key: &str) -> rusqlite::Result<u64> {
    let mut kept = 0;
    let mut after = i64::MIN;
    let mut step = 1;
    let mut stuck = 0;
    // an unreadable stretch is stepped over in growing steps; 64 without a record are the end
    while stuck < 64 {
        let (last, copied, whole) = copy_from(old, new, table, key, after)?;
        kept += copied;
        if whole {
            break;
        }
        if copied > 0 {
            (step, stuck) = (1, 0);
        } else {
            stuck += 1;
            step = (step * 2).min(LONGEST_STEP);
        }
        after = last
            .max(if after == i64::MIN { -1 } else { after })
            .saturating_add(step);
    }
    Ok(kept)
}

/// Copies records after a key until one cannot be read: the last key, how many, and whether the end was reached.
fn copy_from(
    old: &Connection,
    new: &Connection,
    table: &str,
    key: &str,
    after: i64,
) -> rusqlite::Result<(i64, u64, bool)> {
    let mut last = after;
    let mut copied = 0;
    let select = format!("SELECT * FROM {table} WHERE {key} > ?1 ORDER BY {key}");
    let Ok(mut select) = old.prepare(&select) else {
        return Ok((last, 0, true));
    };
    let columns = select.column_count();
    let marks = vec!["?"; columns].join(",");
    // an older ledger lacks the columns that came later
    let names = select.column_names().collect::<Vec<_>>().join(",");
    let mut insert = new.prepare_cached(&format!(
        "INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"
    ))?;
    let Ok(mut rows) = select.query([after]) else {
        return Ok((last, 0, false));
    };
    loop {
        match rows.next() {
            Ok(None) => return Ok((last, copied, true)),
            Err(_) => return Ok((last, copied, false)),
            Ok(Some(row)) => {
                let values: Result<Vec<Value>, _> = (0..columns)
                    .map(|column| row.get::<_, Value>(column))
                    .collect();
                let Ok(values) = values else {
                    return Ok((last, copied, false));
                };
                if let Value::Integer(number) = values[0] {
                    last = number;
                }
                // a value that breaks the new table's rules is damaged
                copied += insert
                    .execute(rusqlite::params_from_iter(values))
                    .unwrap_or(0) as u64;
            }
        }
    }
}
