//! Records to and from rows of the tables.

use std::path::Path;

use antiphon_core::{
    Error, ErrorKind, Fingerprint, FinishReason, Spent, Usage,
    job::{
        Answered, AnsweredAttempt, KnownRow, LayoutRow, Outcome, OutputRow, PlannedRow,
        RecordedAttempt, Verdict, custom_id_key,
    },
};
use rusqlite::{CachedStatement, Connection, Row, params};

use super::sums::{self, signed, unsigned};

/// Columns of an outcome without its answer, in the order of [`verdict_of`].
pub(super) const VERDICT: &str = "o.item, o.run, o.error, o.attempts, o.input_tokens, o.output_tokens, \
     o.cached_input_tokens, o.reasoning_tokens, o.cache_write_tokens, o.latency_us, o.finish, o.sum";
/// How many columns that is.
pub(super) const VERDICT_COLUMNS: usize = 12;

/// The fault of an answer that has none: that of a part of a call.
const GOOD: &str = "";

pub(super) fn insert_item(
    c: &Connection,
    item: i64,
    print: &[u8],
    run: i64,
) -> rusqlite::Result<()> {
    let sum = sums::item(item, print, run);
    c.prepare_cached("INSERT INTO items VALUES (?1, ?2, ?3, ?4) ON CONFLICT (item) DO UPDATE SET run = ?3, sum = ?4")?
        .execute(params![item, print, run, sum])?;
    Ok(())
}

pub(super) fn insert_layout(c: &Connection, row: &PlannedRow) -> rusqlite::Result<()> {
    c.prepare_cached("INSERT OR REPLACE INTO layout VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            signed(row.index),
            row.hash,
            row.item,
            row.occurrence,
            row.owns_custom_id,
            row.custom_id,
            row.input,
            sums::layout(row),
        ])?;
    Ok(())
}

pub(super) fn insert_outcome(
    c: &Connection,
    item: i64,
    run: i64,
    outcome: &Outcome,
) -> rusqlite::Result<()> {
    let usage = &outcome.usage;
    let mut insert: CachedStatement<'_> = c.prepare_cached(
        "INSERT OR REPLACE INTO outcomes VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)",
    )?;
    insert.execute(params![
        item,
        run,
        outcome.error.map(ErrorKind::code),
        outcome.attempts,
        signed(usage.input_tokens),
        signed(usage.output_tokens),
        signed(usage.cached_input_tokens),
        signed(usage.reasoning_tokens),
        signed(usage.cache_write_tokens),
        signed(outcome.latency_us),
        outcome.finish.as_ref().map(FinishReason::as_str),
        sums::outcome(item, run, outcome),
        sums::answer(item, run, &outcome.head, &outcome.details),
        outcome.head,
        outcome.details,
    ])?;
    Ok(())
}

pub(super) fn insert_attempt(
    c: &Connection,
    item: i64,
    run: i64,
    recorded: &RecordedAttempt,
) -> rusqlite::Result<()> {
    let (text, fault, usage) = match &recorded.answered {
        Answered::Faulty(attempt) => (
            &attempt.text,
            attempt.fault.as_str(),
            sums::spent_json(attempt.spent),
        ),
        Answered::Good(record) => (record, GOOD, None),
    };
    let part = &recorded.part;
    let sum = sums::attempt(item, run, text, fault, usage.as_deref(), part);
    c.prepare_cached(
        "INSERT INTO attempts (item, run, text, fault, usage, sum, part) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![item, run, text, fault, usage, sum, part])?;
    Ok(())
}

/// An item's number; `None` where the record is damaged. Columns: item, fingerprint, run, sum.
pub(super) fn item_of(row: &Row<'_>) -> Option<i64> {
    let (item, print): (i64, [u8; 16]) = (row.get(0).ok()?, row.get(1).ok()?);
    let (run, sum): (i64, i64) = (row.get(2).ok()?, row.get(3).ok()?);
    (sum == sums::item(item, &print, run)).then_some(item)
}

/// An answered attempt; `None` where the record is damaged. Columns: item, run, text, fault, usage, sum, part.
pub(super) fn attempt_of(row: &Row<'_>) -> Option<RecordedAttempt> {
    let (item, run): (i64, i64) = (row.get(0).ok()?, row.get(1).ok()?);
    let (text, fault): (String, String) = (row.get(2).ok()?, row.get(3).ok()?);
    let usage: Option<String> = row.get(4).ok()?;
    let sum: i64 = row.get(5).ok()?;
    let part: String = row.get(6).ok()?;
    if sum != sums::attempt(item, run, &text, &fault, usage.as_deref(), &part) {
        return None;
    }
    let answered = if fault == GOOD {
        Answered::Good(text)
    } else {
        Answered::Faulty(AnsweredAttempt {
            spent: match usage {
                Some(spent) => serde_json::from_str(&spent).unwrap_or_default(),
                None => Spent::answer(None),
            },
            text,
            fault,
        })
    };
    Some(RecordedAttempt { part, answered })
}

/// An outcome without its answer, and the run it is of; `None` where it is absent or damaged.
pub(super) fn verdict_of(row: &Row<'_>, first: usize) -> Option<(i64, Outcome)> {
    let item: i64 = row.get(first).ok()?;
    let run: i64 = row.get(first + 1).ok()?;
    let error: Option<String> = row.get(first + 2).ok()?;
    let count = |column: usize| row.get(first + column).map(unsigned);
    let finish: Option<String> = row.get(first + 10).ok()?;
    let outcome = Outcome {
        error: match error {
            None => None,
            Some(code) => Some(ErrorKind::from_code(&code)?),
        },
        attempts: row.get(first + 3).ok()?,
        finish: finish.map(finish_reason),
        usage: Usage {
            input_tokens: count(4).ok()?,
            output_tokens: count(5).ok()?,
            cached_input_tokens: count(6).ok()?,
            reasoning_tokens: count(7).ok()?,
            cache_write_tokens: count(8).ok()?,
            // how long cache writes live has been priced already
            ..Usage::default()
        },
        // its line tells it
        cost: None,
        latency_us: count(9).ok()?,
        head: String::new(),
        details: String::new(),
    };
    let sum: i64 = row.get(first + 11).ok()?;
    (sum == sums::outcome(item, run, &outcome)).then_some((run, outcome))
}

/// The whole outcome; `None` where it is absent or damaged. Columns: [`VERDICT`], `answer_sum`, `head`, `details`.
pub(super) fn outcome_of(row: &Row<'_>, first: usize) -> Option<Outcome> {
    let item: i64 = row.get(first).ok()?;
    let (run, mut outcome) = verdict_of(row, first)?;
    let after = first + VERDICT_COLUMNS;
    let sum: i64 = row.get(after).ok()?;
    outcome.head = row.get(after + 1).ok()?;
    outcome.details = row.get(after + 2).ok()?;
    (sum == sums::answer(item, run, &outcome.head, &outcome.details)).then_some(outcome)
}

/// A row of the layout; `None` where it is damaged. Columns: row, hash, item, occurrence, owns, custom_id, input, sum,
/// fingerprint, item's run, item's sum.
pub(super) fn layout_of(row: &Row<'_>) -> Option<(PlannedRow, Fingerprint)> {
    let fingerprint: [u8; 16] = row.get(8).ok()?;
    let planned = PlannedRow {
        index: row.get(0).map(unsigned).ok()?,
        hash: row.get(1).ok()?,
        item: row.get(2).ok()?,
        occurrence: row.get(3).ok()?,
        owns_custom_id: row.get(4).ok()?,
        custom_id: row.get(5).ok()?,
        input: row.get(6).ok()?,
        fingerprint: Fingerprint::from_bytes(fingerprint),
        intent: false,
    };
    let item_run: i64 = row.get(9).ok()?;
    let (sum, item_sum): (i64, i64) = (row.get(7).ok()?, row.get(10).ok()?);
    let sound = sum == sums::layout(&planned)
        && item_sum == sums::item(planned.item, &fingerprint, item_run);
    sound.then_some((planned, Fingerprint::from_bytes(fingerprint)))
}

pub(super) fn layout_row(row: &Row<'_>) -> rusqlite::Result<LayoutRow> {
    let index = row.get(0).map(unsigned)?;
    Ok(match layout_of(row) {
        Some((planned, fingerprint)) => LayoutRow {
            index,
            hash: planned.hash,
            item: planned.item,
            fingerprint,
            owns_custom_id: planned.owns_custom_id,
            custom_id: planned.custom_id,
            verdict: verdict_of(row, 11).map(|(run, outcome)| Verdict {
                run,
                error: outcome.error,
            }),
        },
        // a hash that no line has: the comparison fails here, and the row is found by its fingerprint
        None => LayoutRow {
            index,
            hash: [0; 16],
            item: -1,
            fingerprint: Fingerprint::from_bytes([0; 16]),
            owns_custom_id: false,
            custom_id: String::new(),
            verdict: None,
        },
    })
}

/// Columns of [`known_row`].
pub(super) const KNOWN_COLUMNS: &str = "l.row, l.hash, l.item, l.occurrence, l.owns, l.custom_id, l.input, l.sum, \
     i.fingerprint, i.run, i.sum, o.run, o.error, o.attempts, o.input_tokens, o.output_tokens, \
     o.cached_input_tokens, o.reasoning_tokens, o.cache_write_tokens, o.latency_us, o.finish, o.sum";

/// A row of the layout as the survey needs it. A damaged one has a hash that no line has.
pub(super) fn known_row(row: &Row<'_>) -> rusqlite::Result<KnownRow> {
    let index = row.get(0).map(unsigned)?;
    let nothing = KnownRow {
        index,
        hash: [0; 16],
        fingerprint: Fingerprint::from_bytes([0; 16]),
        custom_id: None,
        verdict: None,
    };
    Ok(known_place(row, index).map_or(nothing, |place| KnownRow {
        verdict: known_verdict(row),
        ..place
    }))
}

// without a copy of any text: a survey reads a million of these
fn known_place(row: &Row<'_>, index: u64) -> Option<KnownRow> {
    let number = |column: usize| row.get_ref(column).ok()?.as_i64().ok();
    let (item, owns) = (number(2)?, number(4)?);
    let hash = row.get_ref(1).ok()?.as_blob().ok()?;
    let custom_id = row.get_ref(5).ok()?.as_str().ok()?;
    let input = row.get_ref(6).ok()?.as_str_or_null().ok()?;
    let print = row.get_ref(8).ok()?.as_blob().ok()?;
    let (sum, occurrence) = (number(7)?, number(3)?);
    let is_sound =
        sum == sums::place(
            signed(index),
            hash,
            item,
            occurrence,
            owns,
            custom_id,
            input,
        ) && number(10)? == sums::item(item, print, number(9)?);
    is_sound.then_some(KnownRow {
        index,
        hash: hash.try_into().ok()?,
        fingerprint: Fingerprint::from_bytes(print.try_into().ok()?),
        custom_id: (owns != 0).then(|| custom_id_key(custom_id)),
        verdict: None,
    })
}

fn known_verdict(row: &Row<'_>) -> Option<Verdict> {
    let number = |column: usize| row.get_ref(column).ok()?.as_i64().ok();
    let (item, run) = (number(2)?, number(11)?);
    let error = row.get_ref(12).ok()?.as_str_or_null().ok()?;
    let finish = row.get_ref(20).ok()?.as_str_or_null().ok()?;
    let mut counts = [0; 7];
    for (count, column) in counts.iter_mut().zip(13..) {
        *count = number(column)?;
    }
    let is_sound = number(21)? == sums::verdict(item, run, error, counts, finish);
    let error = match error {
        None => None,
        Some(code) => Some(ErrorKind::from_code(code)?),
    };
    is_sound.then_some(Verdict { error, run })
}

/// A line of output; `None` where it is damaged or has no outcome.
pub(super) fn output_row(row: &Row<'_>) -> Option<OutputRow> {
    let (planned, fingerprint) = layout_of(row)?;
    Some(OutputRow {
        index: planned.index,
        id: format!("{fingerprint}-{}", planned.occurrence),
        custom_id: planned.custom_id,
        input: planned.input,
        outcome: outcome_of(row, 11)?,
    })
}

fn finish_reason(text: String) -> FinishReason {
    serde_json::from_value(serde_json::Value::String(text.clone()))
        .unwrap_or(FinishReason::Other(text))
}

/// An error of SQLite in our own words, right where it came up: the disk's own word is asked for, and lasts only until
/// this thread's next call of the operating system fails.
pub(crate) fn ledger_error(path: &Path, error: rusqlite::Error) -> Error {
    let last = std::io::Error::last_os_error();
    let shown = path.display();
    let message = match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => format!("{shown}: the disk is full"),
        // to SQLite every other cause is an "I/O error"
        Some(rusqlite::ErrorCode::SystemIoFailure) if is_of_disk(&last) => {
            format!("{shown} cannot be read or written: {last}")
        }
        _ if is_broken(&error) => return damaged(&error.to_string()).with_source(error),
        _ => format!("{shown} cannot be read or written: {error}"),
    };
    Error::new(ErrorKind::Ledger, message).with_source(error)
}

/// Whether the disk is at fault, and the same command may go on once it is not.
pub fn is_of_disk(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    /// No `ErrorKind` stands for it.
    const EIO: i32 = 5;
    matches!(error.kind(), StorageFull | QuotaExceeded) || error.raw_os_error() == Some(EIO)
}

/// The same of an error of the ledger.
pub fn is_disk_failure(error: &Error) -> bool {
    use rusqlite::ErrorCode::{DiskFull, SystemIoFailure};
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let of_sqlite = cause.downcast_ref::<rusqlite::Error>();
        let code = of_sqlite.and_then(rusqlite::Error::sqlite_error_code);
        let of_system = cause.downcast_ref::<std::io::Error>();
        if matches!(code, Some(DiskFull | SystemIoFailure)) || of_system.is_some_and(is_of_disk) {
            return true;
        }
        source = cause.source();
    }
    false
}

/// A part of the ledger that is not as it was written. Whoever reports it has the ledger marked for salvage.
pub(super) fn damaged(what: &str) -> Error {
    let message = format!(
        "the ledger is damaged ({what}); the same command again goes on with what is left of it"
    );
    Error::new(ErrorKind::Ledger, message)
}

/// Whether the file itself is broken, as opposed to full or locked.
pub(crate) fn is_broken(error: &rusqlite::Error) -> bool {
    // our statements never change: one that makes no sense to SQLite says that the tables are not as they were made
    let tables_differ = matches!(error, rusqlite::Error::SqlInputError { .. });
    let code = error.sqlite_error_code();
    tables_differ
        || matches!(
            code,
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
        )
}
