//! Restores input order in bounded memory.
//!
//! Finished rows wait here for those before them. Their lines are kept only up to a byte bound; beyond it they are
//! dropped and read again from the ledger when their turn comes, so one slow row at the front costs no memory. Which
//! rows are finished is kept as ranges: as many as there are gaps, and gaps are rows in the window. Numbers that the source
//! has left out, because a sample was drawn, are passed over.

use std::{
    collections::BTreeMap,
    sync::mpsc::{Receiver, TryRecvError},
};

use super::{
    config::JobConfig,
    ledger::{Checkpoint, Ledger, LedgerEvent, OutputRow, PlannedRow, Verdict},
    progress::Progress,
    ranges::Ranges,
    row::LineHash,
    sink::{Order, Sink},
    stop::{Stop, StopReason},
};
use crate::{Error, ErrorKind};

/// Bytes of finished lines that wait in memory for an earlier row.
const MOST_WAITING_BYTES: usize = 16 << 20;
/// Rows that are read from the ledger at once.
const LEDGER_READ_ROWS: u64 = 256;
/// Rows between two checkpoints of the output.
const CHECKPOINT_ROWS: u64 = 4096;
/// Finished rows from which on the error rate is judged.
const RATE_JUDGED_FROM: u64 = 100;
/// Bytes that are gathered before they are written.
const WRITE_BYTES: usize = 64 << 10;

/// What the sequencer is told. The planner announces rows in input order, before anything else is said of them.
#[derive(Debug)]
pub(super) enum Notice {
    /// Rows enter the window. Those with a verdict need no call: their outcome is in the ledger.
    Planned(Vec<(PlannedRow, Option<Verdict>)>),
    /// The ledger spoke.
    Ledger(LedgerEvent),
}

/// Puts rows in order and writes them.
pub(super) struct Sequencer<'a> {
    ledger: &'a dyn Ledger,
    sink: &'a mut dyn Sink,
    progress: &'a Progress,
    stop: &'a Stop,
    order: Order,
    max_error_rate: Option<f64>,
    next: u64,
    finished: Ranges,
    /// The row after the last that was announced.
    announced: u64,
    /// Rows that the source has left out, start → end (exclusive).
    left_out: BTreeMap<u64, u64>,
    waiting: BTreeMap<u64, Vec<u8>>,
    waiting_bytes: usize,
    // custom ids of rows in the window, which their outcomes do not carry
    planned: BTreeMap<u64, PlannedRow>,
    written: Vec<u8>,
    output: Checkpoint,
    saved: Checkpoint,
    broken: bool,
}

impl<'a> Sequencer<'a> {
    pub(super) fn new(
        ledger: &'a dyn Ledger,
        sink: &'a mut dyn Sink,
        progress: &'a Progress,
        stop: &'a Stop,
        config: &JobConfig,
    ) -> Self {
        let output = sink.start();
        Self {
            ledger,
            sink,
            progress,
            stop,
            order: config.order,
            max_error_rate: config.max_error_rate,
            next: output.rows,
            finished: Ranges::default(),
            announced: output.rows,
            left_out: BTreeMap::new(),
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            planned: BTreeMap::new(),
            written: Vec::with_capacity(WRITE_BYTES * 2),
            output,
            saved: output,
            broken: false,
        }
    }

    /// Works until the ledger is closed.
    pub(super) fn run(mut self, notices: &Receiver<Notice>) {
        while let Some(notice) = self.next_notice(notices) {
            match notice {
                Notice::Planned(rows) => self.planned(rows),
                Notice::Ledger(LedgerEvent::Committed(outcomes)) => {
                    self.progress
                        .committed(outcomes.iter().map(|(_, outcome)| outcome));
                    self.judge_error_rate();
                    for (index, outcome) in outcomes {
                        if let Some(line) = self.line_of(index, outcome) {
                            self.keep(index, line);
                        }
                    }
                }
                // the job drains already
                Notice::Ledger(LedgerEvent::Failed(_)) => {}
                Notice::Ledger(LedgerEvent::Closed) => break,
            }
            self.advance();
        }
        self.finish();
    }

    fn planned(&mut self, rows: Vec<(PlannedRow, Option<Verdict>)>) {
        for (row, verdict) in rows {
            if row.index > self.announced {
                self.left_out.insert(self.announced, row.index);
            }
            self.announced = self.announced.max(row.index + 1);
            match verdict {
                Some(verdict) => {
                    self.progress.resumed(verdict);
                    if row.index >= self.next {
                        self.finished.insert(row.index);
                    }
                }
                None => {
                    self.planned.insert(row.index, row);
                }
            }
        }
    }

    fn judge_error_rate(&self) {
        let Some(most) = self.max_error_rate else {
            return;
        };
        let finished = self.progress.snapshot().finished;
        let rate = finished.failed as f64 / finished.total().max(1) as f64;
        if finished.total() >= RATE_JUDGED_FROM && rate > most {
            self.stop.drain(StopReason::ErrorRate { rate });
        }
    }

    fn line_of(&mut self, index: u64, outcome: super::ledger::Outcome) -> Option<Vec<u8>> {
        let row = self.planned.remove(&index)?;
        self.progress.note_row(&row, &outcome);
        let row = OutputRow {
            index,
            id: format!("{}-{}", row.fingerprint, row.occurrence),
            custom_id: row.custom_id,
            input: row.input,
            outcome,
        };
        let mut line = Vec::with_capacity(row.outcome.head.len() + row.outcome.details.len() + 256);
        row.write_line(&mut line);
        Some(line)
    }

    fn keep(&mut self, index: u64, line: Vec<u8>) {
        if self.order == Order::Completion {
            self.write(&line);
            self.output.rows += 1;
            return;
        }
        self.finished.insert(index);
        if index == self.next || self.waiting_bytes + line.len() <= MOST_WAITING_BYTES {
            self.waiting_bytes += line.len();
            self.waiting.insert(index, line);
        }
    }

    /// Writes as far as rows are finished without a gap.
    fn advance(&mut self) {
        if self.order == Order::Completion {
            return self.write_finished();
        }
        loop {
            if let Some(end) = self.left_out.remove(&self.next) {
                self.next = end;
            } else if let Some(end) = self.finished.end_of(self.next) {
                self.write_rows_to(end);
                if self.broken {
                    return;
                }
            } else {
                break;
            }
        }
        self.finished.forget_below(self.next);
        self.output.rows = self.next;
        let is_due = self.output.rows >= self.saved.rows + CHECKPOINT_ROWS;
        if is_due && self.sink.is_in_place() {
            self.save();
        }
    }

    /// Writes a run of rows whose lines are not in memory.
    fn write_from_ledger(&mut self, finished_to: u64) {
        let most = finished_to.min(self.next + LEDGER_READ_ROWS);
        let in_memory = self.waiting.range(self.next..most).next();
        let end = in_memory.map_or(most, |(&index, _)| index);
        match self.ledger.output(self.next, end) {
            Ok(rows) => {
                let mut line = Vec::new();
                for row in &rows {
                    line.clear();
                    row.write_line(&mut line);
                    self.write(&line);
                }
                self.next = end;
            }
            Err(error) => self.fail(StopReason::Disk(error)),
        }
    }

    fn write(&mut self, line: &[u8]) {
        self.written.extend_from_slice(line);
        self.output.bytes += line.len() as u64;
        self.output.tail = line_hash(line);
        if self.written.len() >= WRITE_BYTES {
            self.write_out();
        }
    }

    /// The next notice. Before it waits for one it writes what it has: whoever reads along sees each row as it is done.
    fn next_notice(&mut self, notices: &Receiver<Notice>) -> Option<Notice> {
        match notices.try_recv() {
            Ok(notice) => Some(notice),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                self.write_out();
                notices.recv().ok()
            }
        }
    }

    fn write_out(&mut self) {
        if self.broken {
            self.written.clear();
        }
        if self.written.is_empty() {
            return;
        }
        let result = self.sink.write(&self.written);
        self.written.clear();
        if let Err(error) = result {
            self.output_failed(&error);
        }
    }

    fn output_failed(&mut self, error: &std::io::Error) {
        let reason = if error.kind() == std::io::ErrorKind::BrokenPipe {
            StopReason::OutputClosed
        } else {
            StopReason::Disk(Error::new(
                ErrorKind::Stopped,
                format!("the output cannot be written: {error}"),
            ))
        };
        self.fail(reason);
    }

    fn fail(&mut self, reason: StopReason) {
        self.broken = true;
        self.stop.drain(reason);
    }

    /// Hands everything to the operating system and notes how far the output is.
    fn save(&mut self) {
        self.write_out();
        if !self.broken && self.sink.flush().is_ok() {
            self.saved = self.output;
            // a later one replaces it: nobody waits
            drop(self.ledger.checkpoint(self.output));
        }
    }

    /// Rows beyond a gap are in the output too, in order; the checkpoint stays before the first gap. It is noted when
    /// the output stands: one that spoke of a file still to be renamed would be believed of the file before it.
    fn finish(mut self) {
        let in_order = self.output;
        self.write_finished();
        self.write_out();
        let end = match self.order {
            Order::Input => in_order,
            Order::Completion => self.output,
        };
        if self.broken {
            return;
        }
        match self.sink.flush().and_then(|()| self.sink.finish()) {
            Err(error) => self.output_failed(&error),
            // a checkpoint that is lost only costs the next run some writing
            Ok(()) => drop(self.ledger.checkpoint(end).blocking_recv()),
        }
    }

    /// Writes every finished row, gaps or not.
    fn write_finished(&mut self) {
        let ranges = std::mem::take(&mut self.finished);
        for (start, end) in ranges.ranges() {
            self.next = start;
            self.write_rows_to(end);
            self.output.rows += end - start;
        }
    }

    /// Writes finished rows from `next` up to `end`, from memory where they are there.
    fn write_rows_to(&mut self, end: u64) {
        while !self.broken && self.next < end {
            match self.waiting.remove(&self.next) {
                Some(line) => {
                    self.waiting_bytes -= line.len();
                    self.write(&line);
                    self.next += 1;
                }
                None => self.write_from_ledger(end),
            }
        }
    }
}

/// Hash of a line, as checkpoints keep it.
pub fn line_hash(line: &[u8]) -> LineHash {
    let mut short = LineHash::default();
    short.copy_from_slice(&blake3::hash(line).as_bytes()[..16]);
    short
}
