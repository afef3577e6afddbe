//! Numbers: their order, and the median.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// Whole numbers up to here are exact in a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The lower median: the middle number, of an even count the lower of the two in the middle. So it is always a number that
/// somebody said, within all bounds of the schema.
pub(super) fn lower_median<'a>(numbers: impl Iterator<Item = &'a Number>) -> Option<Value> {
    let mut numbers: Vec<&Number> = numbers.collect();
    numbers.sort_by(|a, b| order(a, b));
    let middle = numbers.len().checked_sub(1)? / 2;
    Some(plain(numbers[middle]))
}

/// Compares by value; whole numbers exactly.
pub(super) fn order(a: &Number, b: &Number) -> Ordering {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => float(a).total_cmp(&float(b)),
    }
}

/// Whether two numbers differ by no more than the tolerance.
pub(super) fn within(a: &Number, b: &Number, tolerance: f64) -> bool {
    order(a, b) == Ordering::Equal || (float(a) - float(b)).abs() <= tolerance
}

/// 3.0 is written 3, so that the result does not depend on how somebody wrote it.
pub(super) fn plain(number: &Number) -> Value {
    let value = float(number);
    if number.is_f64() && value.fract() == 0.0 && value.abs() <= EXACT {
        return Value::from(value as i64);
    }
    Value::Number(number.clone())
}

fn float(number: &Number) -> f64 {
    // -0 and 0 are one number
    number.as_f64().unwrap_or(f64::NAN) + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn median(numbers: &Value) -> Option<Value> {
        let numbers = numbers.as_array().unwrap().iter();
        lower_median(numbers.filter_map(Value::as_number))
    }

    #[test]
    fn a_median_is_a_number_that_somebody_said() {
        for (numbers, middle) in [
            (json!([]), None),
            (json!([5]), Some(json!(5))),
            (json!([9, 1]), Some(json!(1))),
            (json!([3, 1, 1000]), Some(json!(3))),
            (json!([2.5, 1, 4, 3]), Some(json!(2.5))),
            (json!([3.0, 3, 3.0]), Some(json!(3))),
            (
                json!([u64::MAX, u64::MAX - 1, u64::MAX]),
                Some(json!(u64::MAX)),
            ),
        ] {
            assert_eq!(median(&numbers), middle, "{numbers}");
        }
    }
}
