//! The regression behind an estimate, and how far it may be off.

use fastrand::Rng;

use super::{Point, SEED};

/// Samples drawn from the sample.
const RESAMPLES: usize = 1_000;
/// Student's t of each side, nominally: 95 % together.
const LEFT: f64 = 0.975;
/// More to the right: what a small sample of skewed lengths misses is there.
const RIGHT: f64 = 0.012_5;
/// A resample may have no spread at all; then its t is taken as if it had this share of the sample's.
const LEAST_SPREAD: f64 = 0.05;
/// No t is taken to be larger: a handful of rows would otherwise allow for anything.
const MOST_T: f64 = 8.0;

/// A line through the differences between what rows came to and what was told of them, read at the mean of the rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fit {
    /// The difference of a row of the rest, in the mean.
    pub(super) mean: f64,
    /// Variance of a single difference about the line.
    variance: f64,
    /// The share of that variance that the mean has: 1/n, and more the farther the rest is from the sample.
    share: f64,
    freedom: f64,
    at: f64,
}

impl Fit {
    /// Fits the line, and reads it at `at`. There are several points.
    pub(super) fn of(points: &[Point], at: f64) -> Self {
        Self::through(points.iter().copied(), points.len(), at)
    }

    fn through(points: impl Iterator<Item = Point> + Clone, number: usize, at: f64) -> Self {
        let n = number as f64;
        let (told, difference) = points.clone().fold((0.0, 0.0), |(told, sum), point| {
            (told + point.told, sum + point.came - point.told)
        });
        let (told, difference) = (told / n, difference / n);
        let (mut xx, mut xz, mut zz) = (0.0, 0.0, 0.0);
        for point in points {
            let x = point.told - told;
            let z = point.came - point.told - difference;
            xx += x * x;
            xz += x * z;
            zz += z * z;
        }
        // rows of which the same was told have no slope; nor have those that differ by rounding only
        let slopes = xx > n * (told * 1e-9).powi(2);
        let slope = if slopes { xz / xx } else { 0.0 };
        let freedom = if slopes { n - 2.0 } else { n - 1.0 };
        Self {
            mean: difference + slope * (at - told),
            variance: ((zz - slope * xz) / freedom).max(0.0),
            share: 1.0 / n
                + if slopes {
                    (at - told).powi(2) / xx
                } else {
                    0.0
                },
            freedom,
            at,
        }
    }

    fn error(&self) -> f64 {
        (self.variance * self.share).sqrt()
    }

    /// The mean difference of `rest` more rows lies between these.
    pub(super) fn interval(&self, points: &[Point], rest: u64) -> (f64, f64) {
        let t = student(self.freedom);
        let (left, right) = self.resampled(points);
        // the mean of the rest is itself a draw
        let error = (self.variance * (self.share + 1.0 / rest as f64)).sqrt();
        (
            self.mean - left.max(t).min(MOST_T) * error,
            self.mean + right.max(t).min(MOST_T) * error,
        )
    }

    /// How many errors the mean of a sample lies off, to the right and to the left, as its own resamples tell.
    fn resampled(&self, points: &[Point]) -> (f64, f64) {
        let error = self.error();
        if error <= 0.0 {
            return (0.0, 0.0);
        }
        let mut dice = Rng::with_seed(SEED);
        let mut drawn = Vec::with_capacity(points.len());
        let ts = (0..RESAMPLES).map(|_| {
            drawn.clear();
            drawn.extend((0..points.len()).map(|_| points[dice.usize(..points.len())]));
            let again = Self::of(&drawn, self.at);
            (again.mean - self.mean) / (again.error() + LEAST_SPREAD * error)
        });
        let mut ts: Vec<f64> = ts.collect();
        ts.sort_by(f64::total_cmp);
        let quantile = |share: f64| ts[((share * RESAMPLES as f64) as usize).min(RESAMPLES - 1)];
        (quantile(LEFT), -quantile(RIGHT))
    }
}

/// The middle one of the differences.
pub(super) fn median_difference(points: &[Point]) -> f64 {
    let mut differences: Vec<f64> = points.iter().map(|point| point.came - point.told).collect();
    let middle = differences.len() / 2;
    match differences.is_empty() {
        true => 0.0,
        false => *differences.select_nth_unstable_by(middle, f64::total_cmp).1,
    }
}

/// The quantile 0.975 of Student's t, by the expansion of Cornish and Fisher: right to a percent from 8 degrees of freedom
/// on (Abramowitz and Stegun 26.7.5).
fn student(freedom: f64) -> f64 {
    const Z: f64 = 1.959_964;
    let one = (Z.powi(3) + Z) / 4.0;
    let two = (5.0 * Z.powi(5) + 16.0 * Z.powi(3) + 3.0 * Z) / 96.0;
    let three = (3.0 * Z.powi(7) + 19.0 * Z.powi(5) + 17.0 * Z.powi(3) - 15.0 * Z) / 384.0;
    Z + one / freedom + two / freedom.powi(2) + three / freedom.powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn students_t_is_that_of_the_tables() {
        for (freedom, t) in [(8.0, 2.306), (19.0, 2.093), (50.0, 2.009), (1e6, 1.96)] {
            assert!((student(freedom) - t).abs() < 0.005, "{freedom}");
        }
    }

    #[test]
    fn what_grows_with_what_was_told_is_read_where_the_rest_is() {
        let points: Vec<Point> = (1..=20)
            .map(|told| Point {
                told: f64::from(told),
                came: 3.0 * f64::from(told) + 1.0,
            })
            .collect();
        let fit = Fit::of(&points, 100.0);
        assert!((fit.mean - 201.0).abs() < 1e-6, "{fit:?}");
        assert!(fit.error() < 1e-3, "{fit:?}");
    }
}
