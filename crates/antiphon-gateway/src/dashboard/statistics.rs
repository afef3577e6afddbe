//! What is counted of all calls, and the lock around it.

use std::{collections::BTreeMap, time::Duration};

use antiphon::{ErrorKind, core::Moment};

use super::{
    counts::Counts,
    latencies::{Latencies, Window},
    latest::{Latest, LatestCalls, kind, short},
    seconds::{Second, Seconds, WINDOW},
    tallies::{SharedTallies, Tallies, first_token},
};
use crate::observe::{CallEnded, Outcome};

/// Seconds in a step of the chart of latencies.
pub(super) const LATENCY_STEP: u64 = 10;
/// Seconds in a step of the chart of calls.
pub(super) const CALLS_STEP: u64 = 5;
/// Seconds in a step of the chart of costs.
pub(super) const COST_STEP: u64 = 60;
/// Calls that are told of one by one.
const LATEST: usize = 25;
/// The same of those that failed, which would be gone at once where many succeed.
const LATEST_FAILURES: usize = 10;

/// Everything that is counted. Its size does not depend on the number of calls.
#[derive(Debug)]
pub(super) struct Statistics {
    in_flight: u64,
    total: Counts,
    seconds: Seconds,
    latency: Latencies,
    first_token: Latencies,
    models: Tallies,
    callers: Tallies,
    errors: BTreeMap<ErrorKind, u64>,
    latest: LatestCalls,
    failures: LatestCalls,
}

/// What [`Statistics`] hold at one moment, copied out of their lock: the rest is computed without it.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) in_flight: u64,
    pub(super) rate: f64,
    pub(super) last_minute: u64,
    pub(super) total: Counts,
    pub(super) window: Second,
    pub(super) calls: Vec<Second>,
    pub(super) costs: Vec<Second>,
    pub(super) latency: Window,
    pub(super) first_token: Window,
    pub(super) models: SharedTallies,
    pub(super) callers: SharedTallies,
    pub(super) errors: BTreeMap<ErrorKind, u64>,
    pub(super) latest: Vec<Latest>,
    pub(super) failures: Vec<Latest>,
}

impl Statistics {
    pub(super) fn new() -> Self {
        let latencies = || {
            Latencies::new(
                Duration::from_secs(LATENCY_STEP),
                (WINDOW / LATENCY_STEP) as usize,
            )
        };
        Self {
            in_flight: 0,
            total: Counts::default(),
            seconds: Seconds::new(),
            latency: latencies(),
            first_token: latencies(),
            models: Tallies::default(),
            callers: Tallies::default(),
            errors: BTreeMap::new(),
            latest: LatestCalls::new(LATEST),
            failures: LatestCalls::new(LATEST_FAILURES),
        }
    }

    /// A call has come.
    pub(super) fn began(&mut self, now: Moment) {
        self.in_flight += 1;
        self.seconds.at(now).came += 1;
    }

    /// A call has ended.
    pub(super) fn ended(&mut self, ended: &CallEnded, now: Moment) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.total.add(ended);
        self.seconds.at(now).counts.add(ended);
        if ended.outcome == Outcome::Answered {
            self.latency.record(ended.took, now);
        }
        if let Some(first) = first_token(ended) {
            self.first_token.record(first, now);
        }
        let kind = kind(ended);
        // something was sent, and somebody knew the name
        let is_known =
            ended.model.is_some() || (ended.attempts > 0 && kind != Some(ErrorKind::ModelNotFound));
        let asked = short(&ended.call.asked);
        self.models.add(&asked, ended, is_known, now);
        if let Some(caller) = &ended.call.caller {
            self.callers.add(caller, ended, true, now);
        }
        if let Some(kind) = kind {
            *self.errors.entry(kind).or_default() += 1;
            self.failures.push(ended);
        }
        self.latest.push(ended);
    }

    /// A copy of what is told.
    pub(super) fn gather(&mut self, now: Moment) -> Gathered {
        Gathered {
            in_flight: self.in_flight,
            rate: self.seconds.rate(now),
            last_minute: self.seconds.last_minute(now),
            total: self.total,
            window: self.seconds.window(now),
            calls: self.seconds.steps(CALLS_STEP, now, false),
            costs: self.seconds.steps(COST_STEP, now, true),
            latency: self.latency.window(now),
            first_token: self.first_token.window(now),
            models: self.models.shared(),
            callers: self.callers.shared(),
            errors: self.errors.clone(),
            latest: self.latest.copy(),
            failures: self.failures.copy(),
        }
    }
}
