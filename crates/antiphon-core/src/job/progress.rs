//! What a running job tells about itself: counters that anyone may read at any time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use super::{
    ledger::{Outcome, PlannedRow, Verdict},
    notable::Notable,
    survey::Settled,
};
use crate::{Error, ErrorKind, FinishReason, Spent, chat::Decision};

/// Counters of a job.
#[derive(Debug, Default)]
pub struct Progress {
    reached: Mutex<Reached>,
    planned_all: AtomicBool,
    counted: OnceLock<u64>,
    total_bytes: AtomicU64,
    most_rows: AtomicU64,
    finished: Mutex<Finished>,
    notable: Mutex<Notable>,
    dropped: Mutex<BTreeSet<String>>,
    first_bad_line: OnceLock<String>,
}

/// How far the input has been read.
#[derive(Clone, Copy, Debug, Default)]
struct Reached {
    rows: u64,
    bytes: u64,
}

/// Rows that have an outcome.
#[derive(Clone, Debug, Default)]
pub struct Finished {
    /// Rows with an answer, those of earlier runs included.
    pub succeeded: u64,
    /// Rows that failed, those of earlier runs included.
    pub failed: u64,
    /// Rows whose outcome came from the ledger.
    pub resumed: u64,
    /// Of these: rows that had failed.
    pub resumed_failed: u64,
    /// Rows that were answered without a call of their own: from the cache, or by the call of an equal row.
    pub shared: u64,
    /// Of the answers of this run: ended at their length limit.
    pub cut_off: u64,
    /// Of the answers of this run: the model declined.
    pub refused: u64,
    /// Of the answers of this run: the first of several, because the decision over them failed.
    pub undecided: u64,
    /// Of the answers of this run: the text that stands in where every model failed.
    pub rescued: u64,
    /// Failed rows by kind.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// What answers at hand have saved this run.
    pub avoided: Spent,
}

impl Finished {
    /// Rows with an outcome.
    pub fn total(&self) -> u64 {
        self.succeeded + self.failed
    }

    fn resume(&mut self, error: Option<ErrorKind>, rows: u64) {
        self.count(error, rows);
        self.resumed += rows;
        self.resumed_failed += if error.is_some() { rows } else { 0 };
    }

    fn count(&mut self, error: Option<ErrorKind>, rows: u64) {
        match error {
            None => self.succeeded += rows,
            Some(kind) => {
                self.failed += rows;
                *self.errors.entry(kind).or_default() += rows;
            }
        }
    }
}

/// How far a job is.
#[derive(Clone, Debug, Default)]
pub struct ProgressSnapshot {
    /// Rows read so far.
    pub planned: u64,
    /// Bytes of input up to and including the last of them.
    pub read_bytes: u64,
    /// The number of rows: exact once all are read or counted, before that judged by the share of the input that was
    /// read.
    pub expected: Option<u64>,
    /// Whether that number is exact.
    pub is_exact: bool,
    /// Rows with an outcome.
    pub finished: Finished,
    /// Parameters that targets could not take, each with the model it was meant for.
    pub dropped: Vec<String>,
    /// What is wrong with the first bad line that this run has read.
    pub first_bad_line: Option<String>,
}

impl Progress {
    pub(super) fn input_size(&self, bytes: u64, most_rows: Option<u64>) {
        self.total_bytes.store(bytes, Relaxed);
        self.most_rows.store(most_rows.unwrap_or(u64::MAX), Relaxed);
    }

    pub(super) fn planned(&self, rows: u64, read_bytes: u64) {
        *self.reached() = Reached {
            rows,
            bytes: read_bytes,
        };
    }

    /// The input of a run that stopped early was counted to its end: the number of rows is known after all.
    pub fn counted(&self, rows: u64) {
        // whoever counts first has counted
        let _known = self.counted.set(rows);
    }

    pub(super) fn planned_all(&self) {
        self.planned_all.store(true, Release);
    }

    pub(super) fn settled(&self, settled: &Settled) {
        self.planned(settled.beginning.rows, settled.beginning.end);
        let mut finished = self.lock();
        for (error, rows) in &settled.outcomes {
            finished.resume(*error, *rows);
        }
    }

    pub(super) fn resumed(&self, verdict: Verdict) {
        self.lock().resume(verdict.error, 1);
    }

    pub(super) fn committed<'a>(&self, outcomes: impl Iterator<Item = &'a Outcome>) {
        let mut finished = self.lock();
        for outcome in outcomes {
            finished.count(outcome.error, 1);
            finished.shared += u64::from(outcome.error.is_none() && outcome.attempts == 0);
            match outcome.finish {
                Some(FinishReason::Length) => finished.cut_off += 1,
                Some(FinishReason::ContentFilter) => finished.refused += 1,
                _ => {}
            }
        }
    }

    pub(super) fn note_row(&self, row: &PlannedRow, outcome: &Outcome) {
        self.notable_rows().note(row, outcome);
    }

    pub(super) fn note_decision(&self, decision: &Decision) {
        let mut finished = self.lock();
        match decision.by.as_str() {
            "first" => finished.undecided += 1,
            "rescue" => finished.rescued += 1,
            _ => {}
        }
    }

    pub(super) fn note_avoided(&self, spent: Spent) {
        self.lock().avoided += spent;
    }

    pub(super) fn note_dropped(&self, model: &str, names: &[String]) {
        let mut dropped = self.dropped();
        for name in names {
            let told = format!("{name} ({model})");
            if !dropped.contains(&told) {
                dropped.insert(told);
            }
        }
    }

    fn reached(&self) -> std::sync::MutexGuard<'_, Reached> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_bad_line(&self, error: &Error) {
        if error.kind().is_of_the_line() {
            self.first_bad_line.get_or_init(|| error.to_string());
        }
    }

    fn dropped(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Finished> {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notable_rows(&self) -> std::sync::MutexGuard<'_, Notable> {
        self.notable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rows of this run that stand out.
    pub fn notable(&self) -> Notable {
        self.notable_rows().clone()
    }

    /// How far the job is now.
    pub fn snapshot(&self) -> ProgressSnapshot {
        // in this order: what is read once all are planned is all
        let planned_all = self.planned_all.load(Acquire);
        let Reached {
            rows: planned,
            bytes: read,
        } = *self.reached();
        let total = self.total_bytes.load(Relaxed);
        let counted = self.counted.get().copied();
        let exact = planned_all.then_some(planned).or(counted);
        let expected = if exact.is_some() {
            exact
        } else if read > 0 && total >= read {
            let share = read as f64 / total as f64;
            let all = (planned as f64 / share).round() as u64;
            Some(all.min(self.most_rows.load(Relaxed)))
        } else {
            None
        };
        ProgressSnapshot {
            planned,
            read_bytes: read,
            expected,
            is_exact: exact.is_some(),
            finished: self.lock().clone(),
            dropped: self.dropped().iter().cloned().collect(),
            first_bad_line: self.first_bad_line.get().cloned(),
        }
    }
}
