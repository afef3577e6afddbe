//! Numbers within the bounds of a schema.

use fastrand::Rng;
use serde_json::{Map, Value};

/// How far a number goes from its only bound.
const REACH: f64 = 100.0;

/// A number that fits the schema's bounds, whole or not.
pub(super) fn number(schema: &Map<String, Value>, whole: bool, rng: &mut Rng) -> Value {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let flag = |name: &str| schema.get(name) == Some(&Value::Bool(true));
    let (low, low_open) = match (bound("minimum"), bound("exclusiveMinimum")) {
        (Some(min), Some(open)) if min > open => (Some(min), false),
        (_, Some(open)) => (Some(open), true),
        (min, None) => (min, flag("exclusiveMinimum")),
    };
    let (high, high_open) = match (bound("maximum"), bound("exclusiveMaximum")) {
        (Some(max), Some(open)) if max < open => (Some(max), false),
        (_, Some(open)) => (Some(open), true),
        (max, None) => (max, flag("exclusiveMaximum")),
    };
    let step = bound("multipleOf")
        .filter(|step| *step > 0.0)
        .or(whole.then_some(1.0));
    let reach = REACH.max(step.unwrap_or(1.0) * 2.0);
    let (low, high) = match (low, high) {
        (Some(low), Some(high)) => (low, high),
        (Some(low), None) => (low, low + reach),
        (None, Some(high)) => (high - reach, high),
        (None, None) => (0.0, reach),
    };
    match step {
        Some(step) => stepped(low, high, low_open, high_open, whole_step(step, whole), rng),
        None => between(low, high, low_open || high_open, rng),
    }
}

/// Multiples of 2.5 that are whole are multiples of 5: small factors are enough.
fn whole_step(step: f64, whole: bool) -> f64 {
    if !whole || step.fract() == 0.0 {
        return step;
    }
    (1..=100)
        .map(|factor| step * f64::from(factor))
        .find(|step| step.fract() == 0.0)
        .unwrap_or(step)
}

fn stepped(
    low: f64,
    high: f64,
    low_open: bool,
    high_open: bool,
    step: f64,
    rng: &mut Rng,
) -> Value {
    let mut first = (low / step).ceil();
    let mut last = (high / step).floor();
    if low_open && first * step <= low {
        first += 1.0;
    }
    if high_open && last * step >= high {
        last -= 1.0;
    }
    let room = (last - first).max(0.0);
    let times = first + (rng.f64() * (room + 1.0)).floor().min(room);
    // 3 * 0.1 is 0.30000000000000004, which no validator takes for a multiple of 0.1
    let digits = format!("{:.9}", times * step);
    written(digits.parse().unwrap_or(times * step))
}

fn between(low: f64, high: f64, open: bool, rng: &mut Rng) -> Value {
    let exact = low + (high - low) * rng.f64();
    let short = (exact * 100.0).round() / 100.0;
    let inside = |number: f64| {
        if open {
            number > low && number < high
        } else {
            (low..=high).contains(&number)
        }
    };
    let middle = low + (high - low) / 2.0;
    let fitting = [short, exact].into_iter().find(|number| inside(*number));
    written(fitting.unwrap_or(middle))
}

/// A number as people write it: 3, not 3.0.
pub(super) fn written(number: f64) -> Value {
    // beyond 2^53 the whole numbers of a float have gaps
    if number.fract() == 0.0 && number.abs() < 9e15 {
        return Value::from(number as i64);
    }
    Value::from(number)
}
