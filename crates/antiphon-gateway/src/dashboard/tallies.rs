//! Counts by name: of models, and of callers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use antiphon::core::Moment;
use serde::Serialize;

use super::{
    counts::{Counts, ToldCounts},
    latencies::{Latencies, Quantiles},
};
use crate::observe::{CallEnded, Outcome};

/// Names that are counted one by one; those that come later are summed.
pub(super) const MOST_NAMES: usize = 200;
/// Two of them are what quantiles of a name are taken from: five to ten minutes.
const STEP: Duration = Duration::from_secs(300);

/// The calls of one name.
#[derive(Debug)]
struct Tally {
    counts: Counts,
    latency: Latencies,
    first_token: Latencies,
}

/// The calls of each name. Each has a lock of its own, so that whoever reads many holds up no call for longer than it
/// takes to copy one.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    named: HashMap<Arc<str>, Arc<Mutex<Tally>>>,
    others: Option<Arc<Mutex<Tally>>>,
}

/// The calls of one name as the page is told of them.
#[derive(Debug, Serialize)]
pub(super) struct ToldTally {
    /// The name; `null` stands for all that are not counted by name.
    pub(super) name: Option<String>,
    #[serde(flatten)]
    pub(super) counts: ToldCounts,
    /// Of whole answers and streams, to their end; `null` without any in the last minutes.
    latency_ms: Option<Quantiles>,
    /// Of streams, to their first piece.
    first_token_ms: Option<Quantiles>,
}

impl Tallies {
    /// A call of this name has ended. Names that were made up are not kept: whoever sends them could fill the table.
    pub(super) fn add(&mut self, name: &str, ended: &CallEnded, is_known: bool, now: Moment) {
        let tally = match self.named.get(name) {
            Some(tally) => tally,
            None if is_known && self.named.len() < MOST_NAMES => {
                self.named.entry(name.into()).or_default()
            }
            None => self.others.get_or_insert_default(),
        };
        lock(tally).add(ended, now);
    }

    /// All of them, to be read without the lock around this.
    pub(super) fn shared(&self) -> SharedTallies {
        let named = self.named.iter();
        let mut all: Vec<Named> = named
            .map(|(name, tally)| (Some(Arc::clone(name)), Arc::clone(tally)))
            .collect();
        all.extend(self.others.clone().map(|others| (None, others)));
        SharedTallies(all)
    }
}

/// Whose calls, and the calls; `None` stands for all that are not counted by name.
type Named = (Option<Arc<str>>, Arc<Mutex<Tally>>);

/// [`Tallies`] at one moment; what they count goes on.
#[derive(Debug)]
pub(super) struct SharedTallies(Vec<Named>);

impl SharedTallies {
    /// Those with most calls first.
    pub(super) fn told(self, now: Moment) -> Vec<ToldTally> {
        let mut told: Vec<(u64, ToldTally)> = self
            .0
            .into_iter()
            .map(|(name, tally)| {
                let mut tally = lock(&tally);
                let (latency, first_token) =
                    (tally.latency.window(now), tally.first_token.window(now));
                let counts = tally.counts;
                drop(tally);
                let told = ToldTally {
                    name: name.map(|name| name.to_string()),
                    counts: counts.into(),
                    latency_ms: latency.quantiles(),
                    first_token_ms: first_token.quantiles(),
                };
                (counts.ended(), told)
            })
            .collect();
        told.sort_by(|(a, one), (b, other)| {
            let last = |told: &ToldTally| told.name.is_none();
            (last(one), b, &one.name).cmp(&(last(other), a, &other.name))
        });
        told.into_iter().map(|(_, told)| told).collect()
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            counts: Counts::default(),
            latency: Latencies::new(STEP, 2),
            first_token: Latencies::new(STEP, 2),
        }
    }
}

impl Tally {
    fn add(&mut self, ended: &CallEnded, now: Moment) {
        self.counts.add(ended);
        if ended.outcome == Outcome::Answered {
            self.latency.record(ended.took, now);
        }
        if let Some(first) = first_token(ended) {
            self.first_token.record(first, now);
        }
    }
}

/// The time to the first token, which only streams have.
pub(super) fn first_token(ended: &CallEnded) -> Option<Duration> {
    ended.first_piece.filter(|_| ended.call.is_streamed)
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
