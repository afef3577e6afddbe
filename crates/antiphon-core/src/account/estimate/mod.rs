//! What the rows to do will come to, judged by rows that are done.
//!
//! Of each row something is foreseen before it is sent, such as the price of its input. What it comes to differs from that by
//! an amount that nobody knows: how long the answer is, whether it is asked for again. The differences of a random sample
//! of rows tell those of the rest, by a regression on what was foreseen, so that answers which grow with their questions
//! are judged well, too.
//!
//! The interval is made to hold for lengths as they are, which are skewed: a bootstrap of Student's t (Efron 1981; Hall 1988) has
//! the right side longer than the left. And a sample cannot show what is rare: rows that one in ten samples of this size
//! would miss are taken to come to twelve times the usual. `docs/estimate.md` says how often it holds.

mod fit;

use fastrand::Rng;
use serde::Serialize;

use fit::Fit;

/// Points that are kept: more would not narrow the interval by much.
const MOST_POINTS: usize = 4_096;
/// Rows that a sample must have to be judged by. Below this, one long answer decides about everything.
const LEAST_POINTS: usize = 10;
/// Rows rarer than this share of one are missed by one sample in ten: (1 - 2.3/n)^n is about 0.1.
const MISSED_BY_A_TENTH: f64 = 2.3;
/// What a row that no sample shows comes to, in usual ones.
const UNSEEN: f64 = 12.0;
/// Sums of floats differ by so much that should be equal.
const ROUNDING: f64 = 1e-9;
const SEED: u64 = 0x616e_7469_7068_6f6e;

/// From the least to the most that something is expected to come to. Never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// Expected at least.
    pub low: f64,
    /// The best guess; `None` where nothing is known but bounds.
    pub likely: Option<f64>,
    /// Expected at most.
    pub high: f64,
}

impl Estimate {
    /// What is known.
    pub const fn exactly(value: f64) -> Self {
        Self {
            low: value,
            likely: Some(value),
            high: value,
        }
    }

    /// Bounds, of which nobody knows where in between.
    pub const fn between(low: f64, high: f64) -> Self {
        Self {
            low,
            likely: None,
            high,
        }
    }

    /// The sum of two that err independently of each other; where one is mere bounds, these are added.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self.likely, other.likely) {
            (Some(one), Some(two)) => {
                let likely = one + two;
                let below = (one - self.low).hypot(two - other.low);
                let above = (self.high - one).hypot(other.high - two);
                Self {
                    low: (likely - below).max(0.0),
                    likely: Some(likely),
                    high: likely + above,
                }
            }
            _ => Self::between(self.low + other.low, self.high + other.high),
        }
    }

    /// So many times as much.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self {
            low: self.low * factor,
            likely: self.likely.map(|likely| likely * factor),
            high: self.high * factor,
        }
    }
}

/// What is foreseen of a row that is to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Foreseen {
    /// What can be told before it is sent.
    pub told: f64,
    /// What it comes to at least where there is no sample to judge by.
    pub low: f64,
    /// What it comes to at most where there is none.
    pub high: f64,
    /// More than this it cannot come to; `None` where there is no bound.
    pub most: Option<f64>,
}

impl Foreseen {
    /// What comes to nothing.
    pub const NOTHING: Self = Self {
        told: 0.0,
        low: 0.0,
        high: 0.0,
        most: Some(0.0),
    };
}

/// A row that is done: what was told before, and what it came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    told: f64,
    came: f64,
}

/// Estimates what rows of one kind will come to, in memory that does not grow with them.
#[derive(Clone, Debug)]
pub struct Estimator {
    points: Vec<Point>,
    done: u64,
    to_do: u64,
    told: f64,
    low: f64,
    high: f64,
    most: Option<f64>,
    dice: Rng,
}

impl Default for Estimator {
    fn default() -> Self {
        Self {
            points: Vec::new(),
            done: 0,
            to_do: 0,
            told: 0.0,
            low: 0.0,
            high: 0.0,
            most: Some(0.0),
            dice: Rng::with_seed(SEED),
        }
    }
}

impl Estimator {
    /// Takes a row that is done.
    pub fn done(&mut self, told: f64, came: f64) {
        self.done += 1;
        let point = Point { told, came };
        if self.points.len() < MOST_POINTS {
            self.points.push(point);
            return;
        }
        // each row that was taken so far stays with the same probability
        let place = self.dice.u64(0..self.done);
        if let Ok(place) = usize::try_from(place)
            && let Some(kept) = self.points.get_mut(place)
        {
            *kept = point;
        }
    }

    /// Takes a row that is to do.
    pub fn ahead(&mut self, row: &Foreseen) {
        self.to_do += 1;
        self.told += row.told;
        self.low += row.low;
        self.high += row.high;
        self.most = self.most.zip(row.most).map(|(sum, most)| sum + most);
    }

    /// Whether rows that are done are enough to judge the rest by.
    pub fn has_sample(&self) -> bool {
        self.points.len() >= LEAST_POINTS
    }

    /// What the rows to do will come to.
    pub fn rest(&self) -> Estimate {
        if self.to_do == 0 {
            return Estimate::exactly(0.0);
        }
        if !self.has_sample() {
            let within = |value| bounded(value, self.most);
            let (low, told) = (within(self.low), self.told);
            let high = within(self.high).max(low);
            return Estimate {
                low,
                // what was told is a guess of the whole only where it is one, and not a part of it
                likely: (low <= told && told <= high).then_some(told),
                high,
            };
        }
        let rows = self.to_do as f64;
        let fit = Fit::of(&self.points, self.told / rows);
        let interval = fit.interval(&self.points, self.to_do);
        let usual = fit::median_difference(&self.points).max(0.0);
        let missed = MISSED_BY_A_TENTH / self.points.len() as f64;
        let unseen = rows * missed * (UNSEEN - 1.0) * usual;
        let likely = self.told + rows * fit.mean;
        let low = self.told + rows * interval.0;
        let high = (self.told + rows * interval.1).max(likely + unseen);
        // a bound that the sample has broken is none: a server may count otherwise than its model's maker
        let most = self.most.filter(|most| likely <= *most * (1.0 + ROUNDING));
        let within = |value| bounded(value, most);
        Estimate {
            low: within(low),
            likely: Some(within(likely)),
            high: within(high),
        }
    }
}

fn bounded(value: f64, most: Option<f64>) -> f64 {
    value.max(0.0).min(most.unwrap_or(f64::INFINITY))
}
