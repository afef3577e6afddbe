//! What went on while a run did: a bounded series of steps.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use antiphon_core::{Clock, Spent, Usd, clock::Moment, job::FinishedRows, layers::meter::Metrics};
use serde::{Serialize, Serializer};

/// Steps that are kept at most; even, so that all of them have a neighbour to merge with.
const MOST_STEPS: usize = 300;
/// The first step: half a minute fits before steps become longer.
const FIRST_STEP: Duration = Duration::from_millis(100);

/// What went on between two moments of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Step {
    /// Since the run began, seconds.
    #[serde(rename = "from_s", serialize_with = "seconds")]
    pub from: Duration,
    /// Up to this time since the run began, seconds.
    #[serde(rename = "to_s", serialize_with = "seconds")]
    pub to: Duration,
    /// Rows finished by this run.
    pub finished: u64,
    /// Of these: failed.
    pub failed: u64,
    /// Attempts begun on the wire.
    pub attempts: u64,
    /// Attempts that were answered with 429.
    pub rate_limited: u64,
    /// The most calls in flight at once.
    pub in_flight: u64,
    /// Tokens read by models, in all answered attempts.
    pub input_tokens: u64,
    /// Tokens written by models.
    pub output_tokens: u64,
    /// Cost of the answers whose cost is known, dollars; `None` while answers have come and none of them has one.
    pub cost_usd: Option<Usd>,
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((time.as_secs_f64() * 1e3).round() / 1e3)
}

impl Step {
    /// Both as one step; `later` follows at once.
    #[must_use]
    pub fn merged(self, later: Self) -> Self {
        Self {
            from: self.from,
            to: later.to,
            finished: self.finished + later.finished,
            failed: self.failed + later.failed,
            attempts: self.attempts + later.attempts,
            rate_limited: self.rate_limited + later.rate_limited,
            in_flight: self.in_flight.max(later.in_flight),
            input_tokens: self.input_tokens + later.input_tokens,
            output_tokens: self.output_tokens + later.output_tokens,
            cost_usd: self
                .cost_usd
                .into_iter()
                .chain(later.cost_usd)
                .reduce(|sum, cost| sum + cost),
        }
    }
}

/// What a run has counted up to a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    finished: u64,
    failed: u64,
    attempts: u64,
    rate_limited: u64,
    peak_in_flight: u64,
    spent: Spent,
}

impl Counted {
    /// The counters now. The peak is that since they were last read.
    pub(crate) fn of(rows: &FinishedRows, metrics: &Metrics) -> Self {
        let (attempts, rate_limited) = metrics.attempts();
        Self {
            finished: rows.total() - rows.resumed,
            failed: rows.failed - rows.resumed_failed,
            attempts,
            rate_limited,
            peak_in_flight: metrics.take_peak(),
            spent: metrics.spent(),
        }
    }

    /// What came after an earlier moment.
    fn since(&self, earlier: &Self, from: Duration, to: Duration) -> Step {
        let (usage, before) = (
            self.spent.usage().unwrap_or_default(),
            earlier.spent.usage().unwrap_or_default(),
        );
        let cost_before = earlier.spent.known_cost().unwrap_or_default();
        Step {
            from,
            to,
            finished: self.finished.saturating_sub(earlier.finished),
            failed: self.failed.saturating_sub(earlier.failed),
            attempts: self.attempts.saturating_sub(earlier.attempts),
            rate_limited: self.rate_limited.saturating_sub(earlier.rate_limited),
            in_flight: self.peak_in_flight,
            input_tokens: usage.input_tokens.saturating_sub(before.input_tokens),
            output_tokens: usage.output_tokens.saturating_sub(before.output_tokens),
            cost_usd: self.spent.known_cost().map(|cost| cost.less(cost_before)),
        }
    }
}

/// Steps of equal length. When there are too many, neighbours are merged and the length doubles.
#[derive(Debug)]
struct Timeline {
    length: Duration,
    steps: Vec<Step>,
    counted: Counted,
}

impl Timeline {
    fn new() -> Self {
        Self {
            length: FIRST_STEP,
            steps: Vec::with_capacity(MOST_STEPS),
            counted: Counted::default(),
        }
    }

    /// Notes what came since the last time.
    fn note(&mut self, now: Duration, counted: Counted) {
        let from = self.steps.last().map_or(Duration::ZERO, |last| last.to);
        let step = counted.since(&self.counted, from, now.max(from));
        self.counted = counted;
        if now <= from
            && let Some(last) = self.steps.last_mut()
        {
            *last = last.merged(step);
            return;
        }
        if self.steps.len() == MOST_STEPS {
            let pairs = self.steps.chunks_exact(2);
            self.steps = pairs.map(|pair| pair[0].merged(pair[1])).collect();
            self.length *= 2;
        }
        self.steps.push(step);
    }
}

/// Records a timeline by looking at counters now and then: rows never pay for it.
#[derive(Debug)]
pub(crate) struct Recorder {
    clock: Arc<dyn Clock>,
    began: Moment,
    /// When the run began, for people.
    pub(crate) began_at: SystemTime,
    timeline: Mutex<Timeline>,
}

impl Recorder {
    /// Begins now.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            began: clock.now(),
            began_at: clock.wall(),
            clock,
            timeline: Mutex::new(Timeline::new()),
        }
    }

    /// Records until it is dropped.
    pub(crate) async fn record(&self, counted: impl Fn() -> Counted) -> Infallible {
        loop {
            let until = self.clock.now() + self.lock().length;
            self.clock.sleep_until(until).await;
            self.note(counted());
        }
    }

    /// Notes the end of the run, and tells all steps.
    pub(crate) fn close(&self, counted: Counted) -> Vec<Step> {
        self.note(counted);
        self.lock().steps.clone()
    }

    fn note(&self, counted: Counted) {
        let now = self.clock.now().since(self.began);
        self.lock().note(now, counted);
    }

    fn lock(&self) -> MutexGuard<'_, Timeline> {
        self.timeline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use antiphon_core::{SystemClock, Usage};
    use proptest::prelude::*;

    use super::*;

    /// An answer with or without a price.
    fn answer(price: Option<Usd>) -> Spent {
        let usage = Usage {
            input_tokens: 3,
            output_tokens: 2,
            ..Usage::default()
        };
        Spent::answer(Some(usage)).priced(price)
    }

    /// Counters after so many rows, every third of which failed.
    fn after(rows: u64, in_flight: u64, spent: Spent) -> Counted {
        Counted {
            finished: rows,
            failed: rows / 3,
            attempts: rows * 2,
            rate_limited: rows / 5,
            peak_in_flight: in_flight,
            spent,
        }
    }

    fn total(steps: &[Step]) -> Step {
        steps
            .iter()
            .copied()
            .reduce(Step::merged)
            .unwrap_or_default()
    }

    #[test]
    fn cost_is_unknown_until_an_answer_with_a_price_comes() {
        let mut timeline = Timeline::new();
        let mut spent = Spent::default();
        for (second, price) in [(1, None), (2, Some(Usd::from_picos(7))), (3, None)] {
            spent += answer(price);
            timeline.note(Duration::from_secs(second), after(second, 1, spent));
        }
        let costs: Vec<_> = timeline.steps.iter().map(|step| step.cost_usd).collect();
        let some = |picos| Some(Usd::from_picos(picos));
        assert_eq!(costs, [None, some(7), some(0)]);
        assert_eq!(total(&timeline.steps).cost_usd, some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn steps_follow_the_clock_and_grow_longer() {
        let recorder = Recorder::new(SystemClock::shared());
        let rows = std::sync::atomic::AtomicU64::new(0);
        let count = || {
            let rows = rows.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            after(rows, 1, Spent::default())
        };
        let run = FIRST_STEP * (MOST_STEPS as u32 * 3 / 2) + FIRST_STEP / 2;
        tokio::select! {
            never = recorder.record(count) => match never {},
            () = tokio::time::sleep(run) => {}
        }
        let steps = recorder.close(count());
        assert!(steps.len() <= MOST_STEPS, "{}", steps.len());
        assert_eq!(steps[0].to, FIRST_STEP * 2, "two steps became one");
        let sum = total(&steps);
        assert_eq!((sum.finished, sum.to), (rows.into_inner() - 1, run));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_in_a_bounded_number_of_steps(
            pauses in prop::collection::vec((0..5_000_u64, 0..4_u64, 0..50_u64), 1..1_500),
        ) {
            let mut timeline = Timeline::new();
            let (mut now, mut rows, mut most) = (Duration::ZERO, 0, 0);
            let mut spent = Spent::default();
            for (pause, more, in_flight) in pauses {
                now += Duration::from_millis(pause);
                rows += more;
                most = most.max(in_flight);
                for _ in 0..more {
                    spent += answer((rows % 2 == 1).then_some(Usd::from_picos(rows)));
                }
                timeline.note(now, after(rows, in_flight, spent));
            }
            let steps = &timeline.steps;
            prop_assert!(steps.len() <= MOST_STEPS);
            let sum = total(steps);
            let last = after(rows, 0, spent);
            let usage = spent.usage().unwrap_or_default();
            prop_assert_eq!((sum.input_tokens, sum.output_tokens), (usage.input_tokens, usage.output_tokens));
            prop_assert_eq!(sum.cost_usd.unwrap_or_default(), spent.known_cost().unwrap_or_default());
            prop_assert_eq!((sum.finished, sum.failed), (last.finished, last.failed));
            prop_assert_eq!((sum.attempts, sum.rate_limited), (last.attempts, last.rate_limited));
            prop_assert_eq!((sum.in_flight, sum.to), (most, now));
            prop_assert_eq!(steps[0].from, Duration::ZERO);
            for pair in steps.windows(2) {
                prop_assert!(pair[0].from < pair[0].to || pair[0].to == Duration::ZERO);
                prop_assert_eq!(pair[0].to, pair[1].from);
            }
        }
    }
}
