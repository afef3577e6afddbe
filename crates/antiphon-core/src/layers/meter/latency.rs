//! How long answers took, from a histogram.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Buckets in a factor of ten, the finest first. The last is coarse enough for all that the histogram can hold.
const PER_DECADE: [i32; 7] = [96, 48, 24, 12, 6, 3, 2];

/// Milliseconds on the wire, from sending to the end of the body; waiting for limits and back-off is not in them.
/// Exact to three digits, 0 before the first success.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LatencySnapshot {
    /// The mean.
    pub mean_ms: f64,
    /// The median.
    pub p50_ms: f64,
    /// Nine of ten are faster.
    pub p90_ms: f64,
    /// Ninety-nine of a hundred are faster.
    pub p99_ms: f64,
}

impl LatencySnapshot {
    pub(super) fn of(micros: &Histogram<u64>) -> Self {
        if micros.is_empty() {
            return Self::default();
        }
        let quantile = |q| micros.value_at_quantile(q) as f64 / 1000.0;
        Self {
            mean_ms: micros.mean() / 1000.0,
            p50_ms: quantile(0.5),
            p90_ms: quantile(0.9),
            p99_ms: quantile(0.99),
        }
    }
}

/// Answers that took about the same time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LatencyBucket {
    /// They took at least so long, milliseconds.
    pub from_ms: f64,
    /// They took less than this, milliseconds.
    pub to_ms: f64,
    /// How many there are.
    pub count: u64,
}

/// Neighbouring buckets, of equal width on a logarithmic scale, from the fastest to the slowest answer: as narrow as
/// `most` of them allow, as long as `most` is at least 20.
pub(super) fn buckets(micros: &Histogram<u64>, most: usize) -> Vec<LatencyBucket> {
    let mut filled = Vec::new();
    for per_decade in PER_DECADE {
        let mut counts: BTreeMap<i32, u64> = BTreeMap::new();
        for value in micros.iter_recorded() {
            let latency_ms = value.value_iterated_to() as f64 / 1000.0;
            let place = place_of(latency_ms, per_decade);
            *counts.entry(place).or_default() += value.count_at_value();
        }
        let (Some((&first, _)), Some((&last, _))) =
            (counts.first_key_value(), counts.last_key_value())
        else {
            return filled;
        };
        let bucket = |place| LatencyBucket {
            from_ms: bound_ms(place, per_decade),
            to_ms: bound_ms(place + 1, per_decade),
            count: counts.get(&place).copied().unwrap_or(0),
        };
        filled = (first..=last).map(bucket).collect();
        if filled.len() <= most {
            break;
        }
    }
    filled
}

/// The bucket that a latency falls into.
fn place_of(latency_ms: f64, per_decade: i32) -> i32 {
    let place = (latency_ms.log10() * f64::from(per_decade)).floor() as i32;
    // bounds are rounded, so a latency beside one may belong to the neighbour
    if latency_ms < bound_ms(place, per_decade) {
        place - 1
    } else if latency_ms >= bound_ms(place + 1, per_decade) {
        place + 1
    } else {
        place
    }
}

/// The lower bound of a bucket, to three digits.
fn bound_ms(place: i32, per_decade: i32) -> f64 {
    let bound = 10_f64.powf(f64::from(place) / f64::from(per_decade));
    // through text: the float nearest to the three digits
    format!("{bound:.2e}").parse().unwrap_or(bound)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LONGEST: u64 = 3_600_000_000;

    fn histogram(micros: &[u64]) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, LONGEST, 3).unwrap();
        micros
            .iter()
            .for_each(|micros| histogram.record(*micros).unwrap());
        histogram
    }

    #[test]
    fn buckets_are_as_narrow_as_their_number_allows() {
        assert_eq!(buckets(&histogram(&[]), 24), []);
        let bucket = |from_ms, to_ms, count| LatencyBucket {
            from_ms,
            to_ms,
            count,
        };
        let same = buckets(&histogram(&[1_001; 3]), 24);
        assert_eq!(same, [bucket(1.0, 1.02, 3)]);
        let apart = buckets(&histogram(&[1_001, 9_000_000]), 24);
        assert_eq!(apart.first(), Some(&bucket(1.0, 1.47, 1)));
        assert_eq!(apart.len(), 24);
        let widest = buckets(&histogram(&[1, LONGEST]), 20);
        assert!(widest.len() <= 20, "{widest:?}");
    }

    proptest! {
        #[test]
        fn every_answer_is_in_the_bucket_of_its_time(
            micros in prop::collection::vec(1..LONGEST, 1..200),
            most in 20..60_usize,
        ) {
            let buckets = buckets(&histogram(&micros), most);
            prop_assert!(buckets.len() <= most);
            let counted: u64 = buckets.iter().map(|bucket| bucket.count).sum();
            prop_assert_eq!(counted, micros.len() as u64);
            prop_assert!(buckets.first().unwrap().count > 0 && buckets.last().unwrap().count > 0);
            for pair in buckets.windows(2) {
                prop_assert!(pair[0].from_ms < pair[0].to_ms);
                prop_assert_eq!(pair[0].to_ms, pair[1].from_ms);
            }
            // the histogram itself is exact to three digits
            let slack = 1.001;
            for bucket in &buckets {
                let within = micros.iter().filter(|micros| {
                    let ms = **micros as f64 / 1000.0;
                    ms * slack >= bucket.from_ms && ms < bucket.to_ms * slack
                });
                prop_assert!(within.count() as u64 >= bucket.count);
            }
        }
    }
}
