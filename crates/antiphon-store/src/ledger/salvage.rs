//! A broken file is not the end of what was paid for: every record whose checksum holds moves into a new ledger.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use antiphon_core::{Error, ErrorKind};
use rusqlite::{Connection, types::Value};

use super::{SqliteLedger, header, records::ledger_error, schema};

/// Records that are skipped at most in one step over an unreadable stretch.
const LONGEST_STEP: i64 = 1 << 20;

/// Ending of the file that says of a ledger that it is to be salvaged: because a run met a broken page in it, or, once
/// it holds the name of the file that was moved aside, because a salvage was begun.
const MARK: &str = ".damaged";
/// Key of the note that a new ledger was made whole from this file.
const SALVAGED_NOTE: &str = "salvaged";

/// Has the next run salvage this ledger. Opening one cannot look at every page: that would take minutes for a large one.
pub(super) fn mark(path: &Path) {
    // where even this cannot be written, the next run meets the same page and says the same
    let _unmarked = write_mark(path, "");
}

fn write_mark(path: &Path, aside: &str) -> io::Result<()> {
    let mut mark = crate::state_dir::private_file(&with_suffix(path, MARK))?;
    mark.set_len(0)?;
    mark.write_all(aside.as_bytes())?;
    mark.sync_data()
}

/// Whether the folder holds a ledger, or one that is being salvaged.
pub(super) fn holds_ledger(folder: &Path) -> bool {
    let path = folder.join(SqliteLedger::FILE);
    path.is_file() || with_suffix(&path, MARK).is_file()
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
/// copied as they are. One that is cut short, by a full disk or a crash, is begun again by the next run.
fn salvage(folder: &Path) -> Result<(PathBuf, u64), Error> {
    let path = folder.join(SqliteLedger::FILE);
    let failed = |error: io::Error| {
        let message = format!("{} cannot be salvaged: {error}", path.display());
        Error::new(ErrorKind::Ledger, message).with_source(error)
    };
    let begun = std::fs::read_to_string(with_suffix(&path, MARK)).unwrap_or_default();
    let name = match begun.as_str() {
        "" => free_name(folder),
        begun => begun.to_owned(),
    };
    let aside = folder.join(&name);
    write_mark(&path, &name).map_err(failed)?;
    let kept = match read_note(&path, SALVAGED_NOTE) {
        // all but the mark's end was done
        Some(from) if from == name => 0,
        _ => {
            move_aside(&path, &aside).map_err(failed)?;
            copy(&aside, &path, &name)?
        }
    };
    std::fs::remove_file(with_suffix(&path, MARK)).map_err(failed)?;
    Ok((aside, kept))
}

fn free_name(folder: &Path) -> String {
    let names = (1..).map(|number| format!("ledger.damaged-{number}.db"));
    let mut free = names.filter(|name| !folder.join(name).exists());
    free.next().unwrap_or_default()
}

/// Moves the file itself last: once it is there, what stands in its place is an unfinished new one.
fn move_aside(path: &Path, aside: &Path) -> io::Result<()> {
    if aside.exists() {
        for suffix in ["", "-wal", "-shm"] {
            let _absent = std::fs::remove_file(with_suffix(path, suffix));
        }
    } else {
        for suffix in ["-wal", "-shm"] {
            let _absent = std::fs::rename(with_suffix(path, suffix), with_suffix(aside, suffix));
        }
        std::fs::rename(path, aside)?;
    }
    match header::mend(aside) {
        Err(error) if super::is_of_disk(&error) => Err(error),
        // what cannot be mended is found out by reading
        _ => crate::state_dir::private_file(path).map(drop),
    }
}

fn copy(aside: &Path, path: &Path, name: &str) -> Result<u64, Error> {
    let copied = Connection::open(aside).and_then(|old| {
        let new = schema::open_writer(path)?;
        copy_tables(&old, &new, name)
    });
    copied.map_err(|error| ledger_error(path, error))
}

fn read_note(path: &Path, key: &str) -> Option<String> {
    let ledger = schema::open_reader(path).ok()?;
    super::read_meta(&ledger, key).ok()?
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn copy_tables(old: &Connection, new: &Connection, name: &str) -> rusqlite::Result<u64> {
    // without it SQLite refuses every page of a file that is shorter than its header says
    old.execute_batch("PRAGMA writable_schema=ON")?;
    new.execute_batch("BEGIN")?;
    let mut kept = 0;
    for (table, key) in schema::RECORD_TABLES {
        kept += copy_table(old, new, table, key)?;
    }
    // the layout may have holes now: rows are found by fingerprint, and the output is written anew
    super::writer::set_meta(new, "layout_whole", "no")?;
    super::writer::set_meta(new, SALVAGED_NOTE, name)?;
    for key in ["run", "plan", "created", "spent", super::ceiling::NOTE] {
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
    let mut select = match old.prepare(&select) {
        Ok(select) => select,
        Err(error) if refuses(&error) => return Err(error),
        Err(_) => return Ok((last, 0, true)),
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
            Err(error) if refuses(&error) => return Err(error),
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
                copied += match insert.execute(rusqlite::params_from_iter(values)) {
                    Ok(inserted) => inserted as u64,
                    Err(error) if refuses(&error) => return Err(error),
                    // a value that breaks the new table's rules is damaged
                    Err(_) => 0,
                };
            }
        }
    }
}

/// Whether the disk refuses now what it may do later, as opposed to a stretch of the old file that nobody can read: what
/// is left out for that would be paid for again.
fn refuses(error: &rusqlite::Error) -> bool {
    use rusqlite::{ErrorCode, ffi};
    const UNREADABLE: [i32; 2] = [ffi::SQLITE_IOERR_READ, ffi::SQLITE_IOERR_SHORT_READ];
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        return false;
    };
    let of_disk = matches!(
        failure.code,
        ErrorCode::DiskFull | ErrorCode::SystemIoFailure
    );
    of_disk && !UNREADABLE.contains(&failure.extended_code)
}
