//! A histogram of durations in atomics.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Upper bounds in milliseconds, from answers at hand to the longest reasoning. What is slower is in a last bucket.
const BOUNDS_MS: [u64; 18] = [
    1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 20_000, 30_000, 60_000, 120_000,
    300_000, 600_000,
];

/// Durations by bucket. Counts and sum are read one after the other: a scrape beside a call may see one of them first.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    counts: [AtomicU64; BOUNDS_MS.len() + 1],
    sum_nanos: AtomicU64,
}

impl Histogram {
    pub(super) fn observe(&self, duration: Duration) {
        let fits = |bound: &u64| duration <= Duration::from_millis(*bound);
        let bucket = BOUNDS_MS.iter().position(fits).unwrap_or(BOUNDS_MS.len());
        self.counts[bucket].fetch_add(1, Relaxed);
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.sum_nanos.fetch_add(nanos, Relaxed);
    }

    /// Seconds in all, how many durations, and how many in each bucket by its upper bound in seconds.
    pub(super) fn read(&self) -> (f64, u64, Vec<(f64, u64)>) {
        let bounds = BOUNDS_MS.iter().map(|bound| *bound as f64 / 1e3);
        let counts = self.counts.iter().map(|count| count.load(Relaxed));
        let buckets: Vec<_> = bounds.chain([f64::INFINITY]).zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let seconds = self.sum_nanos.load(Relaxed) as f64 / 1e9;
        (seconds, count, buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_it_does_not_exceed() {
        let histogram = Histogram::default();
        for millis in [0, 1, 2, 600_000, 600_001] {
            histogram.observe(Duration::from_millis(millis));
        }
        let (seconds, count, buckets) = histogram.read();
        assert_eq!((seconds, count), (1_200.004, 5));
        assert_eq!(buckets[0], (0.001, 2));
        assert_eq!(buckets[1], (0.005, 1));
        assert_eq!(buckets[17], (600.0, 1));
        assert_eq!(buckets[18], (f64::INFINITY, 1));
    }
}
