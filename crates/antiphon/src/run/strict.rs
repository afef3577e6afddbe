//! `--strict`: the whole input is read before anything is sent or written.

use antiphon_core::{
    Fingerprint,
    job::{JobConfig, Prepare, Seen},
};
use antiphon_store::DiskSeen;

use super::{RunError, feed::Feed, plan::ledger_error};
use crate::lines::Lines;

/// Bad lines that are named.
const MOST_BAD_LINES: usize = 10;

/// Reads all of the input and refuses it when any line is bad.
pub(super) fn refuse_bad_lines(
    feed: &Feed,
    lines: &Lines,
    config: &JobConfig,
) -> Result<(), RunError> {
    let mut source = feed.open()?;
    let scratch = tempfile::tempdir()
        .map_err(|error| RunError::usage(format!("cannot make a temporary folder: {error}")))?;
    let mut seen = DiskSeen::new(scratch.path());
    let mut bad = Vec::new();
    let mut count = 0u64;
    let mut read = 0;
    while let Some(row) = source.next_row().map_err(|error| feed.unreadable(&error))? {
        if config.limit.is_some_and(|limit| read >= limit) {
            break;
        }
        read += 1;
        let prepared = lines.prepare(&row);
        let mut fault = prepared.call.err().map(|error| error.to_string());
        if fault.is_none() && prepared.owns_custom_id {
            let key = Fingerprint::of_bytes("custom_id", prepared.custom_id.as_bytes());
            if seen.note(*key.as_bytes()).map_err(ledger_error)? > 0 {
                fault = Some(format!(
                    "line {}: custom_id {:?} stands on an earlier line",
                    row.line, prepared.custom_id
                ));
            }
        }
        if let Some(fault) = fault {
            count += 1;
            if bad.len() < MOST_BAD_LINES {
                bad.push(fault);
            }
        }
    }
    if count == 0 {
        return Ok(());
    }
    let noun = if count == 1 { "line" } else { "lines" };
    let more = count as usize - bad.len();
    if more > 0 {
        bad.push(format!("and {more} more"));
    }
    Err(
        RunError::usage(format!("{count} bad {noun}:\n  {}", bad.join("\n  "))).with_hint(
            "without --strict each becomes an error line in its place, and the run goes on",
        ),
    )
}
