//! Latencies of the last while: a histogram for each step of time, the oldest forgotten.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use antiphon::core::Moment;
use hdrhistogram::Histogram;
use serde::Serialize;

/// Longer ones count as this.
const LONGEST: Duration = Duration::from_secs(3600);
/// Digits that quantiles have.
const DIGITS: u8 = 2;

/// Quantiles of some latencies, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Quantiles {
    /// How many latencies there are; never none.
    pub(super) count: u64,
    /// The median.
    pub(super) p50: f64,
    /// Nine of ten are faster.
    pub(super) p90: f64,
    /// Ninety-nine of a hundred are faster.
    pub(super) p99: f64,
}

/// A sliding window over latencies.
#[derive(Debug)]
pub(super) struct Latencies {
    step: Duration,
    /// Steps of the window, the open one included.
    steps: usize,
    /// The number of the open step since the clock began.
    number: u64,
    open: Histogram<u32>,
    /// The steps before it, the latest last. `None`: nothing was measured.
    closed: VecDeque<Option<Closed>>,
}

#[derive(Clone, Debug)]
struct Closed {
    quantiles: Quantiles,
    // shared with whoever reads, so that a lock is held for no longer than counting the reference takes
    histogram: Arc<Histogram<u32>>,
}

/// The window at one moment, free of the lock that the window is behind.
#[derive(Debug)]
pub(super) struct Window {
    steps: usize,
    open: Histogram<u32>,
    closed: VecDeque<Option<Closed>>,
}

impl Latencies {
    /// So many steps of this length.
    pub(super) fn new(step: Duration, steps: usize) -> Self {
        Self {
            step,
            steps,
            number: 0,
            open: empty(),
            closed: VecDeque::new(),
        }
    }

    /// Something took so long.
    pub(super) fn record(&mut self, took: Duration, now: Moment) {
        self.advance(now);
        let micros = took.min(LONGEST).as_micros() as u64;
        self.open.saturating_record(micros.max(1));
    }

    /// Closes the steps that are over.
    fn advance(&mut self, now: Moment) {
        let number = (now.since_start().as_nanos() / self.step.as_nanos()) as u64;
        let over = number.saturating_sub(self.number);
        if over == 0 {
            return;
        }
        self.number = number;
        let closed = Quantiles::of(&self.open).map(|quantiles| Closed {
            quantiles,
            histogram: Arc::new(std::mem::replace(&mut self.open, empty())),
        });
        self.closed.push_back(closed);
        for _ in 1..over.min(self.steps as u64) {
            self.closed.push_back(None);
        }
        while self.closed.len() >= self.steps {
            self.closed.pop_front();
        }
    }

    /// A copy to compute from.
    pub(super) fn window(&mut self, now: Moment) -> Window {
        self.advance(now);
        Window {
            steps: self.steps,
            open: self.open.clone(),
            closed: self.closed.clone(),
        }
    }
}

impl Window {
    /// Of all steps together; `None` where nothing was measured.
    pub(super) fn quantiles(&self) -> Option<Quantiles> {
        let mut all = self.open.clone();
        for closed in self.closed.iter().flatten() {
            // both have the same bounds, so nothing can be out of them
            let _same_bounds = all.add(closed.histogram.as_ref());
        }
        Quantiles::of(&all)
    }

    /// Of each step, the open one last; steps before the first count as without any.
    pub(super) fn by_step(&self) -> Vec<Option<Quantiles>> {
        let missing = self.steps - 1 - self.closed.len();
        let closed = self.closed.iter().map(|closed| {
            let closed = closed.as_ref()?;
            Some(closed.quantiles)
        });
        std::iter::repeat_n(None, missing)
            .chain(closed)
            .chain([Quantiles::of(&self.open)])
            .collect()
    }
}

impl Quantiles {
    fn of(micros: &Histogram<u32>) -> Option<Self> {
        let quantile = |q| micros.value_at_quantile(q) as f64 / 1000.0;
        (!micros.is_empty()).then(|| Self {
            count: micros.len(),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
        })
    }
}

fn empty() -> Histogram<u32> {
    let most = LONGEST.as_micros() as u64;
    Histogram::new_with_bounds(1, most, DIGITS).expect("constant bounds are valid")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    fn latencies() -> Latencies {
        Latencies::new(Duration::from_secs(10), 6)
    }

    #[test]
    fn old_latencies_are_forgotten_step_by_step() {
        let mut latencies = latencies();
        assert_eq!(latencies.window(at(3)).quantiles(), None);
        latencies.record(Duration::from_millis(100), at(5));
        latencies.record(Duration::from_secs(9_999), at(12));
        let window = latencies.window(at(59));
        assert_eq!(window.quantiles().unwrap().count, 2);
        let counts: Vec<Option<u64>> = window
            .by_step()
            .iter()
            .map(|step| step.map(|step| step.count))
            .collect();
        assert_eq!(counts, [Some(1), Some(1), None, None, None, None]);
        let left = latencies.window(at(60)).quantiles().unwrap();
        assert_eq!(left.count, 1);
        assert!((3_500_000.0..3_700_000.0).contains(&left.p50), "{left:?}");
        assert_eq!(latencies.window(at(1_000_000)).quantiles(), None);
    }

    #[test]
    fn quantiles_have_two_digits() {
        let mut latencies = latencies();
        for milliseconds in 1..=1000 {
            latencies.record(Duration::from_millis(milliseconds), at(milliseconds / 25));
        }
        let all = latencies.window(at(40)).quantiles().unwrap();
        for (told, truth) in [(all.p50, 500.0), (all.p90, 900.0), (all.p99, 990.0)] {
            assert!((told / truth - 1.0_f64).abs() < 0.01, "{told} for {truth}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_window_holds_what_came_in_its_steps(
            moments in prop::collection::vec((0_u64..400, 1_u64..100_000), 0..20)
        ) {
            let mut moments = moments;
            moments.sort_unstable();
            let mut latencies = latencies();
            for (number, (second, micros)) in moments.iter().enumerate() {
                latencies.record(Duration::from_micros(*micros), at(*second));
                let from = (second / 10).saturating_sub(5) * 10;
                let expected = moments[..=number].iter().filter(|(s, _)| *s >= from).count();
                let window = latencies.window(at(*second));
                prop_assert_eq!(window.by_step().len(), 6);
                prop_assert_eq!(window.quantiles().unwrap().count, expected as u64);
            }
        }
    }
}
