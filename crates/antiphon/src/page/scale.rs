//! Axes: which values have a label, and where they stand.

use serde::Serialize;

use crate::numbers::{digits, milliseconds};

/// A label on an axis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Tick {
    /// Share of the axis, percent.
    pub(super) at: f64,
    /// What it says.
    pub(super) label: String,
}

/// An axis from 0 up.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    /// The value at its end.
    pub(super) top: f64,
    /// Its labels, that of 0 first.
    pub(super) ticks: Vec<Tick>,
}

/// Lengths of time that people count in, seconds.
const TIMES: [f64; 27] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0,
    120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 21_600.0, 43_200.0, 86_400.0,
];
/// Labels beside that of 0 at most: more do not fit on a phone.
const MOST_TICKS: f64 = 4.0;
/// The same on an axis of time, where they stand side by side.
const MOST_TIMES: f64 = 3.0;

/// The axis of values up to `most`: it ends at a round one.
pub(super) fn of_values(most: f64, label: impl Fn(f64) -> String) -> Axis {
    let rough = (most / MOST_TICKS).max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(rough.log10().floor());
    let round = [1.0, 2.0, 2.5, 5.0, 10.0];
    // a hair less, as 0.3 / 3 is not 0.1
    let fits = round
        .iter()
        .find(|times| *times * power >= rough * 0.999_999);
    let step = fits.unwrap_or(&10.0) * power;
    let steps = (most / step - 1e-6).ceil().max(1.0);
    axis(step, steps, steps * step, label)
}

/// The axis of whole things, of which there is no half.
pub(super) fn of_counts(most: u64) -> Axis {
    if most <= MOST_TICKS as u64 {
        let steps = most.max(1) as f64;
        return axis(1.0, steps, steps, digits);
    }
    of_values(most as f64, digits)
}

/// The axis of the time since a run began: it ends with the run.
pub(super) fn of_time(seconds: f64) -> Axis {
    let fits = |step: &&f64| seconds / **step <= MOST_TIMES;
    let days = (seconds / 86_400.0 / MOST_TIMES).ceil().max(1.0) * 86_400.0;
    let step = TIMES.iter().find(fits).copied().unwrap_or(days);
    let (size, unit) = match step {
        ..1.0 => (1e-3, "ms"),
        ..60.0 => (1.0, "s"),
        ..3600.0 => (60.0, "min"),
        ..86_400.0 => (3600.0, "h"),
        _ => (86_400.0, "d"),
    };
    // half a second is read best as such, not as so many milliseconds
    let (size, unit) = if (0.1..1.0).contains(&step) {
        (1.0, "s")
    } else {
        (size, unit)
    };
    axis(step, (seconds / step).floor(), seconds, |time| match time {
        0.0 => "0".to_owned(),
        _ => format!("{} {unit}", digits(time / size)),
    })
}

fn axis(step: f64, steps: f64, top: f64, label: impl Fn(f64) -> String) -> Axis {
    let ticks = (0..=steps as u32).map(|number| {
        let value = step * f64::from(number);
        Tick {
            at: percent(value, top),
            label: label(value),
        }
    });
    Axis {
        top,
        ticks: ticks.collect(),
    }
}

/// A latency on an axis.
pub(super) fn latency(at: f64, latency_ms: f64) -> Tick {
    Tick {
        at: (at * 1e4).round() / 1e2,
        label: milliseconds(latency_ms),
    }
}

/// A share in percent, to two places; 0 of nothing.
pub(super) fn percent(part: f64, whole: f64) -> f64 {
    match whole > 0.0 {
        true => (part / whole * 1e4).round() / 1e2,
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn axes_have_round_labels() {
        assert_eq!(
            labels(&of_values(0.93, digits)),
            ["0", "0.25", "0.5", "0.75", "1"]
        );
        assert_eq!(labels(&of_counts(3)), ["0", "1", "2", "3"]);
        assert_eq!(labels(&of_counts(256)), ["0", "100", "200", "300"]);
        assert_eq!(labels(&of_counts(0)), ["0", "1"]);
        assert_eq!(labels(&of_time(70.0)), ["0", "30 s", "60 s"]);
        assert_eq!(labels(&of_time(1.4)), ["0", "0.5 s", "1 s"]);
        assert_eq!(labels(&of_time(0.25)), ["0", "0.1 s", "0.2 s"]);
        assert_eq!(labels(&of_time(9_000.0)), ["0", "1 h", "2 h"]);
        assert_eq!(labels(&of_time(0.0)).len(), 1);
    }

    proptest! {
        #[test]
        fn few_labels_span_any_axis(most in 1e-9..1e12_f64) {
            for axis in [of_values(most, digits), of_time(most.min(1e7))] {
                prop_assert!(axis.ticks.len() <= 6, "{axis:?}");
                prop_assert!(axis.ticks.iter().all(|tick| (0.0..=100.0).contains(&tick.at)));
            }
            prop_assert!(of_values(most, digits).top >= most * 0.999);
        }
    }
}
