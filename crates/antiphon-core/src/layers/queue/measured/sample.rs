//! How long calls took, and whether those of a probe took longer.
//!
//! A client that handles `c` calls at once lets `k - c` of `k` wait: each is out `k / c` times as long as alone (Little's
//! law), in whatever order it takes them. So the two samples are compared by their mean logarithms, which a few slow answers
//! do not move, with a sequential test of likelihoods (A. Wald, Sequential Tests of Statistical Hypotheses, 1945): few answers are enough where
//! they are alike, and more are waited for where they scatter.

use std::{collections::VecDeque, time::Duration};

/// Times that are remembered.
const WINDOW: usize = 128;
/// Answers of a probe that have to be enough.
const MOST: usize = 256;
/// Before much is known: times scatter by a factor of three (standard deviation of the logarithm), and that is believed as
/// firmly as so many answers.
const SCATTER: f64 = 0.45;
const BELIEF: f64 = 8.0;
/// Logarithm of the odds for a finding: one in a thousand is wrong.
const ODDS: f64 = 8.0;
/// Calls that would take less than so many times as long were as good as alone.
const ALONE: f64 = 1.05;
/// Shorter times say nothing of a client.
const SHORTEST: Duration = Duration::from_micros(100);

/// How long a call took, as the logarithm of its seconds.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) struct Took(f64);

impl Took {
    pub(super) fn of(time: Duration) -> Self {
        Self(time.max(SHORTEST).as_secs_f64().ln())
    }
}

/// Times of calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Times(VecDeque<Took>);

/// Number, mean and spread of logarithms.
#[derive(Clone, Copy, Debug)]
struct Sample {
    count: f64,
    mean: f64,
    squares: f64,
}

/// What a probe says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Its calls take no longer: the client handles them at once.
    Parallel,
    /// Its calls take longer: some wait.
    Waiting,
    /// More of its answers have to be seen.
    Open,
    /// Too little is known of calls at the last good width.
    Unknown,
    /// Its calls had so little company that they say nothing.
    Starved,
}

impl Times {
    pub(super) fn push(&mut self, took: Took) {
        if self.0.len() == WINDOW {
            self.0.pop_front();
        }
        self.0.push_back(took);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn slowest(&self) -> Option<Duration> {
        let slowest = self.0.iter().map(|took| took.0).reduce(f64::max)?;
        Some(Duration::try_from_secs_f64(slowest.exp()).unwrap_or(Duration::MAX))
    }
}

impl Sample {
    fn of<'a>(times: impl Iterator<Item = &'a Took> + Clone) -> Self {
        let logs = times.map(|took| took.0);
        let count = logs.clone().count() as f64;
        let mean = logs.clone().sum::<f64>() / count.max(1.0);
        let squares = logs.map(|log| (log - mean).powi(2)).sum();
        Self {
            count,
            mean,
            squares,
        }
    }
}

/// What the answers of a probe say, against calls at the last good width. `longer`: how many times as long they are out if
/// the client lets some of them wait. `width`: that of the probe.
pub(super) fn compare(alone: &Times, probe: &[Took], longer: f64, width: u32) -> Finding {
    let (alone, probe) = (Sample::of(alone.0.iter()), Sample::of(probe.iter()));
    // the first to come find a client that is not full yet
    if alone.count < 2.0 || probe.count < f64::from(2 * width) {
        return Finding::Open;
    }
    let squares = alone.squares + probe.squares + BELIEF * SCATTER * SCATTER;
    let variance = squares / (alone.count + probe.count + BELIEF - 2.0);
    let error = variance * (1.0 / alone.count + 1.0 / probe.count);
    let (seen, expected) = (probe.mean - alone.mean, longer.ln());
    let odds = expected * (seen - expected / 2.0) / error;
    let is_last = probe.count >= MOST as f64;
    if is_last && longer < ALONE {
        Finding::Starved
    } else if odds > ODDS || (is_last && odds > 0.0) {
        Finding::Waiting
    } else if odds < -ODDS || is_last {
        Finding::Parallel
    } else if probe.count >= 3.0 * alone.count {
        Finding::Unknown
    } else {
        Finding::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(of: &[u64]) -> Vec<Took> {
        let took = |ms: &u64| Took::of(Duration::from_millis(*ms));
        of.iter().map(took).collect()
    }

    fn alone(of: &[u64]) -> Times {
        let mut alone = Times::default();
        times(of).into_iter().for_each(|time| alone.push(time));
        alone
    }

    #[test]
    fn even_answers_are_enough_after_a_few() {
        let alone = alone(&[300; 8]);
        assert_eq!(compare(&alone, &times(&[300; 3]), 2.0, 2), Finding::Open);
        assert_eq!(
            compare(&alone, &times(&[300; 8]), 2.0, 2),
            Finding::Parallel
        );
        assert_eq!(compare(&alone, &times(&[600; 8]), 2.0, 2), Finding::Waiting);
    }

    #[test]
    fn scattered_answers_need_more() {
        let alone = alone(&[100, 300, 170, 220, 130, 280]);
        let probe = times(&[300, 110, 250, 160, 200, 120]);
        assert_eq!(compare(&alone, &probe, 4.0 / 3.0, 4), Finding::Open);
        let many: Vec<_> = probe.iter().copied().cycle().take(18).collect();
        assert_eq!(compare(&alone, &many, 4.0 / 3.0, 4), Finding::Unknown);
        let most: Vec<_> = probe.iter().copied().cycle().take(MOST).collect();
        assert_eq!(compare(&alone, &most, 4.0 / 3.0, 4), Finding::Parallel);
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        let none = Times::default();
        assert_eq!(compare(&none, &[], 2.0, 2), Finding::Open);
        assert_eq!(compare(&none, &times(&[1; 300]), 2.0, 2), Finding::Open);
    }
}
