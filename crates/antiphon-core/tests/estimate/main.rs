//! Estimates: how often they hold, and what is certain of them.

mod jobs;

use antiphon_core::account::estimate::{Estimate, Estimator, Foreseen};
use fastrand::Rng;
use jobs::{Job, Lengths, Tally};
use proptest::prelude::*;

/// 200 replayed jobs, of every kind in turn.
fn replayed(sample: usize) -> Tally {
    let mut tally = Tally::default();
    for number in 0..200u64 {
        let mut dice = Rng::with_seed(number);
        let lengths = Lengths::TOLD[number as usize % Lengths::TOLD.len()];
        let job = Job::simulated(lengths, 1_000, 0.05, &mut dice);
        tally.take(&job, &job.estimated(sample, &mut dice));
    }
    tally
}

#[test]
fn the_interval_holds_for_nine_in_ten_of_200_jobs_and_narrows_with_the_sample() {
    let tallies = [20, 50, 100].map(replayed);
    for tally in &tallies {
        assert!(tally.coverage() >= 0.9, "{tally:?}");
    }
    let widths = tallies.map(|tally| tally.width());
    assert!(widths[0] > widths[1] && widths[1] > widths[2], "{widths:?}");
    assert!(widths[2] < 0.6, "{widths:?}");
}

/// Honest about its limit: one long row in fifty is often not in the sample, and then the allowance for what was not seen
/// has to do.
#[test]
fn rows_too_rare_for_the_sample_are_mostly_allowed_for() {
    let mut tally = Tally::default();
    for number in 0..200 {
        let mut dice = Rng::with_seed(number);
        let job = Job::simulated(Lengths::Rarest, 1_000, 0.05, &mut dice);
        tally.take(&job, &job.estimated(50, &mut dice));
    }
    assert!(tally.coverage() >= 0.8, "{tally:?}");
}

#[test]
fn without_a_sample_there_are_bounds_only() {
    let mut estimator = Estimator::default();
    assert_eq!(estimator.rest(), Estimate::exactly(0.0));
    let row = Foreseen {
        told: 1.0,
        low: 2.0,
        high: 9.0,
        most: Some(7.0),
    };
    estimator.ahead(&row);
    estimator.ahead(&row);
    assert_eq!(estimator.rest(), Estimate::between(4.0, 14.0));
    estimator.ahead(&Foreseen { most: None, ..row });
    assert_eq!(estimator.rest(), Estimate::between(6.0, 27.0));
}

#[test]
fn independent_errors_partly_cancel_and_bounds_do_not() {
    let judged = Estimate {
        low: 7.0,
        likely: Some(10.0),
        high: 14.0,
    };
    let both = judged.and(judged);
    assert_eq!(both.likely, Some(20.0));
    assert!(both.low > 14.0 && both.high < 28.0, "{both:?}");
    let bounds = Estimate::between(1.0, 2.0);
    assert_eq!(judged.and(bounds), Estimate::between(8.0, 16.0));
}

#[test]
fn of_more_rows_than_are_kept_each_may_be_one_of_them() {
    let mut estimator = Estimator::default();
    for row in 0..20_000u32 {
        estimator.done(0.0, f64::from(row % 2));
    }
    estimator.ahead(&Foreseen {
        told: 0.0,
        low: 0.0,
        high: 9.0,
        most: None,
    });
    let likely = estimator.rest().likely.unwrap_or_default();
    assert!((0.45..0.55).contains(&likely), "{likely}");
}

fn rows() -> impl Strategy<Value = Vec<(f64, f64)>> {
    proptest::collection::vec((0.0..100.0f64, 0.0..1_000.0f64), 10..60)
}

fn estimated(done: &[(f64, f64)], to_do: &[f64], most: Option<f64>) -> Estimate {
    let mut estimator = Estimator::default();
    for &(told, answer) in done {
        estimator.done(told, told + answer);
    }
    for &told in to_do {
        estimator.ahead(&Foreseen {
            told,
            low: 0.0,
            high: 1e4,
            most,
        });
    }
    estimator.rest()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn bounds_stand_around_the_guess_and_inside_what_is_certain(
        done in rows(),
        to_do in proptest::collection::vec(0.0..100.0f64, 1..50),
        most in proptest::option::of(0.0..2_000.0f64),
    ) {
        let rest = estimated(&done, &to_do, most);
        let likely = rest.likely.unwrap();
        prop_assert!(0.0 <= rest.low && rest.low <= likely && likely <= rest.high, "{:?}", rest);
        if let Some(most) = most.map(|most| most * to_do.len() as f64) {
            let free = estimated(&done, &to_do, None);
            let is_broken = free.likely.unwrap() > most * (1.0 + 1e-9);
            prop_assert!(if is_broken { rest == free } else { rest.high <= most * (1.0 + 1e-9) }, "{:?} {:?}", rest, free);
        }
    }

    #[test]
    fn it_is_the_same_in_any_currency(done in rows(), to_do in 1..50usize, factor in 1e-9..1e6f64) {
        let scaled: Vec<_> = done.iter().map(|(told, answer)| (told * factor, answer * factor)).collect();
        let one = estimated(&done, &vec![50.0; to_do], None);
        let other = estimated(&scaled, &vec![50.0 * factor; to_do], None);
        let near = |one: f64, other: f64| (one * factor - other).abs() <= 1e-6 * factor * one.abs().max(1.0);
        prop_assert!(near(one.low, other.low) && near(one.high, other.high), "{:?} {:?}", one, other);
    }

    #[test]
    fn more_rows_come_to_more(done in rows(), to_do in 1..50usize) {
        let fewer = estimated(&done, &vec![50.0; to_do], None);
        let more = estimated(&done, &vec![50.0; to_do + 1], None);
        prop_assert!(more.high >= fewer.high && more.likely >= fewer.likely, "{:?} {:?}", fewer, more);
    }
}
