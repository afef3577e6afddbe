//! How long answers are: what those in flight are thought to come to, from the newest ones.

use std::{collections::VecDeque, time::Duration};

/// Answers that are remembered: a job whose rows change is followed within as many, and hundreds are needed to know a
/// quantile that one in twenty exceeds.
const NEWEST: usize = 512;
/// The quantile is read again when one in so many of those remembered is new: selecting then costs less than counting.
const RENEWED: usize = 32;

/// One answer.
#[derive(Clone, Copy, Debug, Default)]
struct Answered {
    tokens: u64,
    /// How long its call was in flight, at least 1.
    millis: u64,
}

impl Answered {
    fn product(self) -> u128 {
        u128::from(self.tokens) * u128::from(self.millis)
    }
}

/// Lengths of the newest answers, exactly: a few kilobytes and a selection now and then are cheaper than any sketch, and
/// forgetting is exact too.
#[derive(Debug, Default)]
pub(super) struct Lengths {
    newest: VecDeque<Answered>,
    millis: u64,
    products: u128,
    high: u64,
    /// New answers since `high` was read.
    unread: usize,
}

impl Lengths {
    /// One more answer, of at most 2⁴⁰ tokens, and how long its call was in flight.
    pub(super) fn learn(&mut self, tokens: u64, lasted: Duration) {
        if self.newest.len() == NEWEST {
            let oldest = self.newest.pop_front().unwrap_or_default();
            self.millis -= oldest.millis;
            self.products -= oldest.product();
        }
        let millis = u32::try_from(lasted.as_millis()).unwrap_or(u32::MAX).max(1);
        let answered = Answered {
            tokens,
            millis: u64::from(millis),
        };
        self.newest.push_back(answered);
        self.millis += answered.millis;
        self.products += answered.product();
        self.unread += 1;
        if self.unread * RENEWED >= self.newest.len() {
            self.unread = 0;
            self.high = self.quantile();
        }
    }

    /// Answers that are known, up to as many as are remembered.
    pub(super) fn known(&self) -> usize {
        self.newest.len()
    }

    /// The mean length of answers in flight: each one so far weighs as much as it lasted, since long answers are in flight for
    /// longer and are more among those that are, than among those that have ended.
    pub(super) fn mean_in_flight(&self) -> f64 {
        self.products as f64 / self.millis.max(1) as f64
    }

    /// A length that 95 of 100 answers do not exceed.
    pub(super) fn high(&self) -> f64 {
        self.high as f64
    }

    fn quantile(&self) -> u64 {
        let mut lengths: Vec<u64> = self.newest.iter().map(|answered| answered.tokens).collect();
        let rank = (lengths.len() * 95).div_ceil(100).saturating_sub(1);
        *lengths.select_nth_unstable(rank).1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

        /// The mean is that of the newest answers, and the quantile is that of the newest ones a few answers ago.
        #[test]
        fn only_the_newest_count(
            stream in prop::collection::vec((0..1_u64 << 40, 1..1_000_000_u64), 1..1200),
        ) {
            let mut lengths = Lengths::default();
            let mut quantiles = Vec::new();
            for end in 1..=stream.len() {
                let (tokens, millis) = stream[end - 1];
                lengths.learn(tokens, Duration::from_millis(millis));
                let newest = &stream[end.saturating_sub(NEWEST)..end];
                let mut sorted: Vec<u64> = newest.iter().map(|(tokens, _)| *tokens).collect();
                sorted.sort_unstable();
                // the smallest length with at least 95 of 100 at or below it
                let at_or_below = |length: &u64| sorted.partition_point(|other| other <= length);
                let is_enough = |length: &&u64| at_or_below(length) * 100 >= sorted.len() * 95;
                quantiles.push(*sorted.iter().find(is_enough).unwrap() as f64);
                let late = newest.len().div_ceil(RENEWED);
                prop_assert!(quantiles.iter().rev().take(late).any(|q| *q == lengths.high()));
                if end % 100 == 0 || end == stream.len() {
                    let weighted: f64 = newest.iter().map(|(t, m)| *t as f64 * *m as f64).sum();
                    let mean = weighted / newest.iter().map(|(_, m)| *m as f64).sum::<f64>();
                    prop_assert!((lengths.mean_in_flight() - mean).abs() <= 1e-9 * mean);
                    prop_assert_eq!(lengths.known(), newest.len());
                }
            }
        }

        /// A job whose answers change is followed.
        #[test]
        fn a_change_is_followed(before in 0..100_000_u64, after in 0..100_000_u64) {
            let mut lengths = Lengths::default();
            (0..2 * NEWEST).for_each(|_| lengths.learn(before, SECOND));
            (0..NEWEST + NEWEST / RENEWED).for_each(|_| lengths.learn(after, SECOND));
            let learned = (lengths.mean_in_flight(), lengths.high());
            prop_assert_eq!(learned, (after as f64, after as f64));
        }
    }
}
