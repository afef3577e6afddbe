//! Simulated jobs whose end is known, to be estimated from a sample of their rows. The bench replays them, too.

use antiphon_core::account::estimate::{Estimate, Estimator, Foreseen};
use fastrand::Rng;

/// Dollars a token.
const INPUT_PRICE: f64 = 0.15e-6;
const OUTPUT_PRICE: f64 = 0.6e-6;
/// The output cap of every request.
const CAP: f64 = 4_096.0;

/// How long answers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lengths {
    /// Labels: all about the same.
    Constant,
    /// Log-normal, σ = 0.6: prose.
    Skewed,
    /// Log-normal, σ = 1.2: some answers are ten times as long as the usual one.
    HeavyTailed,
    /// Four in five are short, the fifth is ten times as long.
    TwoKinds,
    /// They grow with their questions.
    Growing,
    /// One in twenty is twenty times as long as the others.
    Rare,
    /// One in fifty is: most samples of 20 rows, and many of 50, show none of them.
    Rarest,
}

impl Lengths {
    /// Those that a sample is expected to tell. The rarest are beyond that.
    pub(crate) const TOLD: [Self; 6] = [
        Self::Constant,
        Self::Skewed,
        Self::HeavyTailed,
        Self::TwoKinds,
        Self::Growing,
        Self::Rare,
    ];

    fn draw(self, input: f64, dice: &mut Rng) -> f64 {
        let mut spread = |sigma: f64| (sigma * normal(dice)).exp();
        let length = match self {
            Self::Constant => 40.0,
            Self::Skewed => 200.0 * spread(0.6),
            Self::HeavyTailed => 150.0 * spread(1.2),
            Self::Growing => 0.8 * input * spread(0.3),
            Self::TwoKinds => {
                let usual = 150.0 * spread(0.2);
                if dice.f64() < 0.2 {
                    10.0 * usual
                } else {
                    usual
                }
            }
            Self::Rare | Self::Rarest => {
                let usual = 100.0 * spread(0.2);
                let share = if self == Self::Rare { 0.05 } else { 0.02 };
                if dice.f64() < share {
                    20.0 * usual
                } else {
                    usual
                }
            }
        };
        length.round().clamp(1.0, CAP)
    }
}

/// A row as it went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Its price as far as it is known before it is sent, dollars.
    pub(crate) told: f64,
    /// What it has cost, with all answers that were billed, dollars.
    pub(crate) cost: f64,
}

/// A job whose end is known.
#[derive(Debug)]
pub(crate) struct Job {
    rows: Vec<Row>,
}

impl Job {
    /// A job of so many rows with answers of such lengths.
    pub(crate) fn simulated(lengths: Lengths, rows: usize, again: f64, dice: &mut Rng) -> Self {
        let tokens: Vec<(f64, f64)> = (0..rows)
            .map(|_| {
                let input = (200.0 * (0.5 * normal(dice)).exp()).round().max(8.0);
                (input, lengths.draw(input, dice))
            })
            .collect();
        Self::of(&tokens, again, dice)
    }

    /// A job of rows with these tokens in and out. `again` is the share of answers that are billed and asked for again, twice at
    /// most.
    pub(crate) fn of(tokens: &[(f64, f64)], again: f64, dice: &mut Rng) -> Self {
        let rows = tokens.iter().map(|&(input, output)| {
            let told = input * INPUT_PRICE;
            let mut answers = 1.0;
            while answers < 3.0 && dice.f64() < again {
                answers += 1.0;
            }
            Row {
                told,
                cost: answers * (told + output * OUTPUT_PRICE),
            }
        });
        Self {
            rows: rows.collect(),
        }
    }

    /// What it has cost in the end.
    pub(crate) fn cost(&self) -> f64 {
        self.rows.iter().map(|row| row.cost).sum()
    }

    /// What it is expected to cost when `sample` of its rows have been answered, which are drawn at random.
    pub(crate) fn estimated(&self, sample: usize, dice: &mut Rng) -> Estimate {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        dice.shuffle(&mut order);
        let (drawn, rest) = order.split_at(sample.min(order.len()));
        let mut estimator = Estimator::default();
        let mut spent = 0.0;
        for &place in drawn {
            let row = self.rows[place];
            spent += row.cost;
            estimator.done(row.told, row.cost);
        }
        for &place in rest {
            let told = self.rows[place].told;
            estimator.ahead(&Foreseen {
                told,
                low: told,
                high: told + CAP * OUTPUT_PRICE,
                most: Some(3.0 * (told + CAP * OUTPUT_PRICE)),
            });
        }
        Estimate::exactly(spent).and(estimator.rest())
    }
}

/// How often intervals held, and how wide they were.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) jobs: u32,
    pub(crate) held: u32,
    widths: f64,
}

impl Tally {
    pub(crate) fn take(&mut self, job: &Job, estimate: &Estimate) {
        let cost = job.cost();
        let rounding = cost * 1e-9;
        self.jobs += 1;
        self.held += u32::from(estimate.low <= cost + rounding && cost - rounding <= estimate.high);
        self.widths += (estimate.high - estimate.low) / cost;
    }

    /// The share of jobs whose cost was in the interval.
    pub(crate) fn coverage(&self) -> f64 {
        f64::from(self.held) / f64::from(self.jobs)
    }

    /// Width of the interval in final costs, in the mean.
    pub(crate) fn width(&self) -> f64 {
        self.widths / f64::from(self.jobs)
    }
}

/// A draw from the standard normal distribution (Box and Muller).
fn normal(dice: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - dice.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * dice.f64()).cos()
}
