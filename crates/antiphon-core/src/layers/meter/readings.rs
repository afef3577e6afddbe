//! What is read of [`Metrics`] while a job goes on, at less than the price of a snapshot.

use std::sync::atomic::Ordering::Relaxed;

use super::{LatencyBucket, Metrics, latency, lock};
use crate::ErrorKind;

impl Metrics {
    /// Attempts so far: begun on the wire, and met by a rate limit.
    pub fn attempts(&self) -> (u64, u64) {
        let failures = &lock(&self.rare).failures;
        let limited = failures.get(&ErrorKind::RateLimited).copied();
        (self.attempts.load(Relaxed), limited.unwrap_or(0))
    }

    /// The most attempts on the wire at once since this was last asked. One reader asks.
    pub fn take_peak(&self) -> u64 {
        let now = self.in_flight.load(Relaxed);
        self.peak_since_taken.swap(now, Relaxed).max(now)
    }

    /// How the latencies of the successes are spread, in at most `most` neighbouring buckets.
    pub fn latencies(&self, most: usize) -> Vec<LatencyBucket> {
        latency::buckets(&lock(&self.latency), most)
    }
}
