//! [`Series`]: what is counted for one model, key and wire format.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use antiphon::{ErrorKind, Spent, core::account::Range};

use super::histogram::Histogram;
use crate::observe::{CallEnded, Outcome};

/// Micrograms in a kilogram.
const MICROGRAMS: f64 = 1e9;
/// Microjoules in a kilowatt-hour.
const MICROJOULES: f64 = 3.6e12;

/// Whose calls are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Labels {
    pub(super) model: Arc<str>,
    /// Empty where no keys are used.
    pub(super) key: Arc<str>,
    pub(super) wire: &'static str,
}

/// Counts of one model, key and wire format. Money, carbon and energy are whole numbers, so that sums are exact and need
/// no lock.
#[derive(Debug, Default)]
pub(super) struct Series {
    pub(super) answered: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) hung_up: AtomicU64,
    pub(super) cached: AtomicU64,
    pub(super) attempts: AtomicU64,
    pub(super) took: Histogram,
    pub(super) first_token: Histogram,
    pub(super) input_tokens: AtomicU64,
    pub(super) cached_input_tokens: AtomicU64,
    pub(super) cache_write_tokens: AtomicU64,
    pub(super) output_tokens: AtomicU64,
    pub(super) reasoning_tokens: AtomicU64,
    pub(super) cost_picos: AtomicU64,
    pub(super) unpriced: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) unestimated: AtomicU64,
    pub(super) carbon_micrograms: Bounds,
    pub(super) energy_microjoules: Bounds,
    errors: Mutex<BTreeMap<ErrorKind, u64>>,
}

/// At least, at most.
#[derive(Debug, Default)]
pub(super) struct Bounds(pub(super) [AtomicU64; 2]);

impl Bounds {
    fn add(&self, range: Range, unit: f64) {
        for (sum, value) in self.0.iter().zip([range.min, range.max]) {
            // a cast of what is negative or too large ends at the bounds of the integer
            add(sum, (value * unit).round() as u64);
        }
    }
}

impl Series {
    /// Counts a call.
    pub(super) fn ended(&self, end: &CallEnded) {
        match end.outcome {
            Outcome::Answered => {
                add(&self.answered, 1);
                self.took.observe(end.took);
            }
            Outcome::HungUp => add(&self.hung_up, 1),
            Outcome::Failed(kind) => {
                add(&self.failed, 1);
                *self.lock_errors().entry(kind).or_default() += 1;
            }
        }
        if let Some(after) = end.first_piece.filter(|_| end.call.is_streamed) {
            self.first_token.observe(after);
        }
        add(&self.cached, end.is_cached.into());
        add(&self.attempts, end.attempts.into());
        self.spent(&end.spent);
    }

    fn spent(&self, spent: &Spent) {
        if let Some(usage) = spent.usage() {
            add(&self.input_tokens, usage.input_tokens);
            add(&self.cached_input_tokens, usage.cached_input_tokens);
            add(&self.cache_write_tokens, usage.cache_write_tokens);
            add(&self.output_tokens, usage.output_tokens);
            add(&self.reasoning_tokens, usage.reasoning_tokens);
        }
        add(
            &self.cost_picos,
            spent.known_cost().unwrap_or_default().picos(),
        );
        add(&self.unpriced, spent.unpriced());
        add(&self.lost, spent.lost_attempts());
        add(&self.unestimated, spent.unestimated());
        if let Some(impacts) = spent.known_impacts() {
            self.carbon_micrograms.add(impacts.gwp_kgco2eq, MICROGRAMS);
            self.energy_microjoules.add(impacts.energy_kwh, MICROJOULES);
        }
    }

    /// Failures by kind.
    pub(super) fn errors(&self) -> BTreeMap<ErrorKind, u64> {
        self.lock_errors().clone()
    }

    fn lock_errors(&self) -> std::sync::MutexGuard<'_, BTreeMap<ErrorKind, u64>> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(sum: &AtomicU64, more: u64) {
    if more > 0 {
        sum.fetch_add(more, Relaxed);
    }
}
