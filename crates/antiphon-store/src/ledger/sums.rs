//! The checksum of each kind of record.

use antiphon_core::{
    Spent,
    job::{Outcome, PlannedRow},
};

use crate::sum::Sum;

pub(super) fn meta(key: &str, value: &str) -> i64 {
    Sum::of("meta").text(key).text(value).finish()
}

pub(super) fn item(item: i64, fingerprint: &[u8], run: i64) -> i64 {
    Sum::of("items")
        .number(item)
        .bytes(fingerprint)
        .number(run)
        .finish()
}

pub(super) fn layout(row: &PlannedRow) -> i64 {
    place(
        signed(row.index),
        &row.hash,
        row.item,
        i64::from(row.occurrence),
        i64::from(row.owns_custom_id),
        &row.custom_id,
        row.input.as_deref(),
    )
}

/// The sum of a row of the layout, from its columns.
pub(super) fn place(
    row: i64,
    hash: &[u8],
    item: i64,
    occurrence: i64,
    owns: i64,
    custom_id: &str,
    input: Option<&str>,
) -> i64 {
    Sum::of("layout")
        .number(row)
        .bytes(hash)
        .number(item)
        .number(occurrence)
        .number(owns)
        .text(custom_id)
        .option(input)
        .finish()
}

pub(super) fn outcome(item: i64, run: i64, outcome: &Outcome) -> i64 {
    let usage = &outcome.usage;
    let counts = [
        i64::from(outcome.attempts),
        signed(usage.input_tokens),
        signed(usage.output_tokens),
        signed(usage.cached_input_tokens),
        signed(usage.reasoning_tokens),
        signed(usage.cache_write_tokens),
        signed(outcome.latency_us),
    ];
    let error = outcome.error.map(|kind| kind.code());
    let finish = outcome.finish.as_ref().map(|reason| reason.as_str());
    verdict(item, run, error, counts, finish)
}

/// The sum of an outcome without its answer, from its columns.
pub(super) fn verdict(
    item: i64,
    run: i64,
    error: Option<&str>,
    counts: [i64; 7],
    finish: Option<&str>,
) -> i64 {
    let sum = Sum::of("outcomes").number(item).number(run).option(error);
    let sum = counts.into_iter().fold(sum, Sum::number);
    sum.option(finish).finish()
}

pub(super) fn answer(item: i64, run: i64, head: &str, details: &str) -> i64 {
    Sum::of("answers")
        .number(item)
        .number(run)
        .text(head)
        .text(details)
        .finish()
}

pub(super) fn attempt(
    item: i64,
    run: i64,
    text: &str,
    fault: &str,
    usage: Option<&str>,
    part: &str,
) -> i64 {
    let sum = Sum::of("attempts")
        .number(item)
        .number(run)
        .text(text)
        .text(fault)
        .option(usage);
    // version 1 knew no parts: its records keep their sums
    if part.is_empty() {
        sum.finish()
    } else {
        sum.text(part).finish()
    }
}

/// SQLite has no unsigned integers; counts beyond 2⁶³ do not occur and would only fail their checksum.
pub(super) fn signed(number: u64) -> i64 {
    number.cast_signed()
}

pub(super) fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}

/// What an attempt used, as the attempts table keeps it. Older releases kept its tokens only, where they were told.
pub(super) fn spent_json(spent: Spent) -> Option<String> {
    serde_json::to_string(&spent).ok()
}
