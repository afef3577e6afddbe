//! Reads the input and decides, row by row, what is left to do.
//!
//! A resumed job has been surveyed first (`survey.rs`): the input was compared with the layout before anything
//! was sent. An unchanged input is not parsed again; a changed one is mapped by fingerprint and occurrence.

use tokio::sync::{mpsc, oneshot};

use super::{
    config::JobConfig,
    ledger::{
        Finished, ItemId, KnownRow, LayoutRow, Ledger, Outcome, PlannedRow, Verdict, custom_id_key,
    },
    progress::Progress,
    row::{Call, Prepare, RawRow, Seen, Source},
    sequencer::Notice,
    stop::{Stop, StopReason},
    survey::{Comparison, Settled, next_row, unreadable},
};
use crate::{Error, ErrorKind, Fingerprint};

/// Rows that are planned and recorded together.
const BATCH_ROWS: usize = 64;
/// Bytes of raw lines after which a batch is closed early.
const BATCH_BYTES: usize = 256 << 10;

/// A row that shall be sent.
#[derive(Debug)]
pub(super) struct Send {
    pub(super) index: u64,
    pub(super) item: ItemId,
    pub(super) existed: bool,
    pub(super) bytes: usize,
    pub(super) call: Call,
}

/// Rows to send, once their intents are committed.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) sends: Vec<Send>,
    /// `None` where they are committed already.
    pub(super) committed: Option<oneshot::Receiver<()>>,
}

/// Plans rows on a thread of its own.
pub(super) struct Planner<'a> {
    pub(super) source: &'a mut dyn Source,
    pub(super) prepare: &'a dyn Prepare,
    pub(super) ledger: &'a dyn Ledger,
    pub(super) seen: &'a mut dyn Seen,
    pub(super) config: &'a JobConfig,
    pub(super) comparison: Comparison,
    /// What the survey has settled: planning starts after it.
    pub(super) settled: Settled,
    /// Rows that stand in the output already and are not read from the ledger.
    pub(super) written_before: u64,
    pub(super) progress: &'a Progress,
    pub(super) stop: &'a Stop,
    pub(super) notices: std::sync::mpsc::SyncSender<Notice>,
    /// Told when no more of the input is read.
    pub(super) has_read: Option<oneshot::Sender<()>>,
    pub(super) batches: mpsc::Sender<Batch>,
}

/// The rest of the last run's rows.
type Layout<'a> = Box<dyn Iterator<Item = Result<LayoutRow, Error>> + std::marker::Send + 'a>;

/// A batch while it is filled.
#[derive(Default)]
struct Filling {
    rows: Vec<(PlannedRow, Option<Verdict>)>,
    faults: Vec<Finished>,
    sends: Vec<Send>,
    bytes: usize,
}

impl Planner<'_> {
    /// Plans until the input ends or the job drains. Says whether all rows were planned.
    pub(super) fn run(mut self) -> bool {
        if let Some(bytes) = self.source.total_bytes() {
            self.progress.input_size(bytes, self.config.limit);
        }
        let ledger = self.ledger;
        let mut layout = match self.comparison {
            Comparison::Same => ledger.layout(self.settled.beginning.rows),
            Comparison::Fresh | Comparison::Changed { .. } => Box::new(std::iter::empty()),
        };
        let mut filling = Filling::default();
        let all = self.plan_all(&mut layout, &mut filling);
        // nobody waits for it once the job is over
        let _job_is_over = self.has_read.take().map(|told| told.send(()));
        let all = match all {
            Ok(false) => self.show_finished(layout, filling).map(|()| false),
            all => all,
        };
        match all {
            Ok(all) => all,
            Err(error) => {
                self.stop.drain(match error.kind() {
                    ErrorKind::Stopped => StopReason::Input(error.to_string()),
                    _ => StopReason::Disk(error),
                });
                false
            }
        }
    }

    fn plan_all(&mut self, layout: &mut Layout<'_>, filling: &mut Filling) -> Result<bool, Error> {
        let mut next_item = self.ledger.next_item();
        let mut planned = self.settled.beginning.rows;
        self.progress.settled(&self.settled);
        self.source
            .skip(self.settled.beginning)
            .map_err(unreadable)?;
        while let Some(row) = next_row(self.source, self.config, planned)? {
            planned += 1;
            filling.bytes += row.text.as_ref().map_or(0, |text| text.len());
            match layout.next().transpose()? {
                // whoever edits the input between survey and plan gets new calls, never another row's answer
                Some(known) if known.index == row.index && known.hash == row.hash => {
                    self.known(row.clone(), known, filling)?;
                }
                _ => self.unknown(&row, &mut next_item, filling)?,
            }
            self.progress.planned(planned, row.end);
            let full = filling.rows.len() >= BATCH_ROWS || filling.bytes >= BATCH_BYTES;
            if (full || !self.source.is_ready()) && !self.close(filling) {
                return Ok(false);
            }
            if self.stop.draining().is_cancelled() {
                return Ok(false);
            }
        }
        if !self.close(filling) {
            return Ok(false);
        }
        self.progress.planned_all();
        Ok(true)
    }

    /// A job that stops shows all rows that earlier runs have finished, also those beyond the last one that was planned:
    /// the survey found them where they were.
    fn show_finished(&self, layout: Layout<'_>, left: Filling) -> Result<(), Error> {
        if self.comparison != Comparison::Same {
            return Ok(());
        }
        let mut finished = left.rows;
        finished.retain(|(row, _)| !row.intent);
        let limit = self.config.limit.unwrap_or(u64::MAX);
        for known in layout {
            let known = known?;
            if known.index >= limit {
                break;
            }
            let verdict = known.verdict;
            let row = PlannedRow {
                index: known.index,
                hash: known.hash,
                item: known.item,
                fingerprint: known.fingerprint,
                // neither is read of a row that has its outcome
                occurrence: 0,
                custom_id: known.custom_id,
                owns_custom_id: known.owns_custom_id,
                input: None,
                intent: false,
            };
            if self.stands(&row, verdict)? {
                finished.push((row, verdict));
            }
            let is_full = finished.len() >= BATCH_ROWS;
            if is_full && !self.announce(std::mem::take(&mut finished)) {
                return Ok(());
            }
        }
        self.announce(finished);
        Ok(())
    }

    /// Tells the sequencer of rows; says whether it is still there.
    fn announce(&self, rows: Vec<(PlannedRow, Option<Verdict>)>) -> bool {
        self.notices.send(Notice::Planned(rows)).is_ok()
    }

    /// A row that stands where it stood.
    fn known(&mut self, row: RawRow, known: LayoutRow, filling: &mut Filling) -> Result<(), Error> {
        let occurrence = note_row(self.seen, &KnownRow::from(&known))?;
        let mut planned = PlannedRow {
            index: row.index,
            hash: row.hash,
            item: known.item,
            fingerprint: known.fingerprint,
            occurrence,
            custom_id: known.custom_id,
            owns_custom_id: known.owns_custom_id,
            input: None,
            intent: false,
        };
        if self.stands(&planned, known.verdict)? {
            filling.rows.push((planned, known.verdict));
            return Ok(());
        }
        planned.input = self.input_of(&row);
        let prepared = self.prepare.prepare(&row);
        self.add(&row, planned, prepared.call, true, filling);
        Ok(())
    }

    /// A row that the layout does not know: new, moved or edited.
    fn unknown(
        &mut self,
        row: &RawRow,
        next_item: &mut ItemId,
        filling: &mut Filling,
    ) -> Result<(), Error> {
        let mut prepared = self.prepare.prepare(row);
        if prepared.owns_custom_id
            && self.seen.note(custom_id_key(&prepared.custom_id))? > 0
            && prepared.call.is_ok()
        {
            let message = format!(
                "line {}: custom_id {:?} stands on an earlier line",
                row.line, prepared.custom_id
            );
            prepared.call = Err(Error::new(ErrorKind::DuplicateCustomId, message));
            prepared.fingerprint =
                Fingerprint::of_bytes("duplicate", prepared.fingerprint.as_bytes());
        }
        let occurrence = self.seen.note(*prepared.fingerprint.as_bytes())?;
        let found = match self.comparison {
            Comparison::Changed { .. } => self.ledger.find(prepared.fingerprint, occurrence)?,
            Comparison::Fresh | Comparison::Same => None,
        };
        let existed = found.is_some();
        let (item, verdict) = found.unwrap_or_else(|| {
            *next_item += 1;
            (*next_item - 1, None)
        });
        let planned = PlannedRow {
            index: row.index,
            hash: row.hash,
            item,
            fingerprint: prepared.fingerprint,
            occurrence,
            custom_id: prepared.custom_id,
            owns_custom_id: prepared.owns_custom_id,
            input: self.input_of(row),
            intent: false,
        };
        // the message of a bad line names its place, which may have changed
        if prepared.call.is_ok() && self.stands(&planned, verdict)? {
            filling.rows.push((planned, verdict));
            return Ok(());
        }
        self.add(row, planned, prepared.call, existed, filling);
        Ok(())
    }

    /// Whether an earlier outcome stands. One that will be shown is read to the end first: a damaged answer is redone.
    fn stands(&self, row: &PlannedRow, verdict: Option<Verdict>) -> Result<bool, Error> {
        let shown = row.index >= self.written_before;
        Ok(self.config.is_done(verdict) && (!shown || self.ledger.is_sound(row.item)?))
    }

    fn add(
        &self,
        row: &RawRow,
        mut planned: PlannedRow,
        call: Result<Call, Error>,
        existed: bool,
        filling: &mut Filling,
    ) {
        let (index, item) = (planned.index, planned.item);
        planned.intent = true;
        match call {
            Ok(mut call) => {
                if !self.config.share_equal_rows {
                    call.request.sample = planned.occurrence;
                }
                filling.sends.push(Send {
                    index,
                    item,
                    existed,
                    bytes: row.text.as_ref().map_or(0, |text| text.len()),
                    call,
                });
            }
            // a key that is missing is not the row's fault: it stays pending
            Err(error) if error.stops_the_run() => {
                self.stop.drain(StopReason::Account(error));
                return;
            }
            Err(error) => {
                self.progress.note_bad_line(&error);
                filling.faults.push(Finished {
                    index,
                    item,
                    outcome: Outcome::failed("", &error),
                    receipt: None,
                });
            }
        }
        filling.rows.push((planned, None));
    }

    fn input_of(&self, row: &RawRow) -> Option<Box<str>> {
        if !self.config.include_input {
            return None;
        }
        if let Some(extract) = self.prepare.extract(row) {
            return Some(extract.into());
        }
        let text = row.text.as_ref().map_or_else(
            |_| std::borrow::Cow::Borrowed(""),
            |text| String::from_utf8_lossy(text),
        );
        // read as a value: what is nested too deeply for readers of the output is kept as text
        let is_json = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        let json = if is_json && self.config.input_is_json {
            text.into_owned()
        } else {
            serde_json::Value::String(text.into_owned()).to_string()
        };
        Some(json.into())
    }

    /// Hands a batch on: to the ledger, the sequencer and the driver. Says whether to go on.
    fn close(&self, filling: &mut Filling) -> bool {
        let Filling {
            rows,
            faults,
            sends,
            ..
        } = std::mem::take(filling);
        if rows.is_empty() {
            return true;
        }
        let to_record: Vec<PlannedRow> = match self.comparison {
            // rows that are done and where they were need no new record
            Comparison::Same => rows
                .iter()
                .filter(|(row, _)| row.intent)
                .map(|(row, _)| row.clone())
                .collect(),
            _ => rows.iter().map(|(row, _)| row.clone()).collect(),
        };
        let moves_done_rows = to_record.iter().any(|row| !row.intent);
        let mut committed = None;
        if !to_record.is_empty() {
            committed = Some(self.ledger.plan(to_record));
        }
        // the sequencer reads rows that are done by their place in the layout: it is told when they are found there
        if moves_done_rows
            && let Some(committed) = committed.take()
            && committed.blocking_recv().is_err()
        {
            return false;
        }
        // before the first outcome is queued: an outcome is of a row that was announced
        if !self.announce(rows) {
            return false;
        }
        for fault in faults {
            self.ledger.commit(fault);
        }
        sends.is_empty()
            || self
                .batches
                .blocking_send(Batch { sends, committed })
                .is_ok()
    }
}

/// Notes a row's keys, and says which of several equal requests it is.
pub(super) fn note_row(seen: &mut dyn Seen, row: &KnownRow) -> Result<u32, Error> {
    if let Some(custom_id) = row.custom_id {
        seen.note(custom_id)?;
    }
    seen.note(*row.fingerprint.as_bytes())
}
