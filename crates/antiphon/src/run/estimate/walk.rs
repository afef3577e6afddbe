//! Reads all rows as a run would, and sends none.

use std::{collections::BTreeMap, num::NonZeroUsize, time::SystemTime};

use antiphon_core::{
    Error, Fingerprint, Spent,
    job::{RawRow, Seen, Verdict, custom_id_key},
};
use antiphon_store::{DiskSeen, PastOutcome, PastRuns};

use super::{foreseen::RowForeseen, group::Group};
use crate::{
    lines::Lines,
    run::{RunError, check::Checked, plan::ledger_error},
};

/// Rows, and bytes of them, that are prepared together.
const BATCH_ROWS: usize = 512;
const BATCH_BYTES: usize = 4 << 20;

/// What the rows of an input come to.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) rows: u64,
    pub(super) done: u64,
    pub(super) bad: u64,
    pub(super) first_bad_line: Option<String>,
    /// What earlier runs have spent.
    pub(super) spent: Spent,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) notes: Vec<String>,
    /// Rows that are done although one before them is to do: where there are none, they are no random ones.
    done_after_gap: u64,
    sends: bool,
}

/// A row, read.
struct Read {
    line: u64,
    custom_id: Option<String>,
    fingerprint: Fingerprint,
    call: Result<RowForeseen, Error>,
}

pub(super) fn walk(checked: &mut Checked) -> Result<Walked, RunError> {
    let mut walked = Walked::default();
    let past = walked.open_past(checked)?;
    let mut source = match checked.source.take() {
        Some(source) => source,
        None => checked.feed.open()?,
    };
    let scratch = tempfile::tempdir().map_err(|error| {
        RunError::of_system(format!("cannot make a temporary folder: {error}"), &error)
    })?;
    let mut seen = DiskSeen::new(scratch.path());
    let most = checked.config.limit.unwrap_or(u64::MAX);
    let mut batch: Vec<RawRow> = Vec::new();
    let mut bytes = 0;
    let mut read = 0;
    loop {
        let row = match read < most {
            true => source
                .next_row()
                .map_err(|error| checked.feed.unreadable(&error))?,
            false => None,
        };
        let ended = row.is_none();
        read += u64::from(!ended);
        bytes += row
            .as_ref()
            .map_or(0, |row| row.text.as_ref().map_or(0, |text| text.len()));
        batch.extend(row);
        if ended || batch.len() >= BATCH_ROWS || bytes >= BATCH_BYTES {
            for row in read_batch(&batch, &checked.lines) {
                walked.take(row, past.as_ref(), &mut seen, checked)?;
            }
            batch.clear();
            bytes = 0;
        }
        if ended {
            walked.note_first_rows();
            return Ok(walked);
        }
    }
}

/// Reads rows on all processors: counting their tokens takes longer than anything else.
fn read_batch(rows: &[RawRow], lines: &Lines) -> Vec<Read> {
    let now = SystemTime::now();
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let share = rows.len().div_ceil(threads).max(1);
    let read_all = |rows: &[RawRow]| -> Vec<Read> {
        rows.iter().map(|row| read_row(row, lines, now)).collect()
    };
    std::thread::scope(|scope| {
        let parts = rows
            .chunks(share)
            .map(|rows| scope.spawn(move || read_all(rows)));
        let parts: Vec<_> = parts.collect();
        let parts = parts.into_iter().flat_map(|part| match part.join() {
            Ok(read) => read,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        parts.collect()
    })
}

fn read_row(row: &RawRow, lines: &Lines, now: SystemTime) -> Read {
    let (prepared, model) = lines.resolved(row);
    let call = match (prepared.call, model) {
        (Ok(call), Some(model)) => Ok(RowForeseen::of(model, &call.request, now)),
        (Err(error), _) => Err(error),
        (Ok(_), None) => Err(Error::stopped("a call has a model")),
    };
    Read {
        line: row.line,
        custom_id: prepared.owns_custom_id.then_some(prepared.custom_id),
        fingerprint: prepared.fingerprint,
        call,
    }
}

impl Walked {
    /// What earlier runs found. One that cannot be read is salvaged by a run, not here.
    fn open_past(&mut self, checked: &Checked) -> Result<Option<PastRuns>, RunError> {
        let Some(state) = &checked.state else {
            return Ok(None);
        };
        if checked.options.fresh {
            self.notes
                .push("--fresh moves earlier answers aside: all rows are sent".to_owned());
            return Ok(None);
        }
        match PastRuns::read(state.dir.path()) {
            Ok(past) => {
                self.spent = past.spent().map_err(ledger_error)?;
                Ok(Some(past))
            }
            Err(error) => {
                self.notes
                    .push(format!("earlier answers are not counted: {error}"));
                Ok(None)
            }
        }
    }

    /// Rows of a run that was stopped are the first ones, and may be unlike the others.
    fn note_first_rows(&mut self) {
        if self.sends && self.done > 0 && self.done_after_gap == 0 {
            self.notes.push(
                "the rows that are done are the first ones; where the input is sorted the others may differ, and --sample draws at random"
                    .to_owned(),
            );
        }
    }

    fn take(
        &mut self,
        row: Read,
        past: Option<&PastRuns>,
        seen: &mut DiskSeen,
        checked: &Checked,
    ) -> Result<(), RunError> {
        self.rows += 1;
        let Read {
            line,
            custom_id,
            fingerprint,
            call,
        } = row;
        let stands_earlier = match &custom_id {
            Some(custom_id) => seen.note(custom_id_key(custom_id)).map_err(ledger_error)? > 0,
            None => false,
        };
        let fault = match (&call, &custom_id) {
            (Err(error), _) => Some(error.to_string()),
            (Ok(_), Some(custom_id)) if stands_earlier => Some(format!(
                "line {line}: custom_id {custom_id:?} stands on an earlier line"
            )),
            _ => None,
        };
        let (Ok(row), None) = (call, &fault) else {
            self.bad += 1;
            self.first_bad_line = self.first_bad_line.take().or(fault);
            return Ok(());
        };
        let occurrence = seen.note(*fingerprint.as_bytes()).map_err(ledger_error)?;
        let found = match past {
            Some(past) => past.find(fingerprint, occurrence).map_err(ledger_error)?,
            None => None,
        };
        let group = self
            .groups
            .entry(row.model.model.name().to_owned())
            .or_default();
        let is_done = |outcome: &PastOutcome| {
            checked.config.is_done(Some(Verdict {
                error: outcome.error,
                run: outcome.run,
            }))
        };
        match found.filter(is_done) {
            Some(outcome) => {
                self.done += 1;
                self.done_after_gap += u64::from(self.sends);
                group.done(&row, &outcome);
            }
            None => {
                self.sends = true;
                group.ahead(&row);
            }
        }
        Ok(())
    }
}
