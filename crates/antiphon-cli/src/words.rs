//! Numbers as people read them.

use std::{fmt::Write, time::Duration};

use antiphon::core::{Spent, Usage, Usd, account::Range};

/// `1319` as `1,319`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `2 rows`.
pub(crate) fn rows(number: u64) -> String {
    several(number, "row", "rows")
}

/// A number of things: `1 retry`, `2 retries`.
pub(crate) fn several(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A duration in its two largest units.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// `rate_limited 3, timeout 1`.
pub(crate) fn tally<'a>(counts: impl IntoIterator<Item = (&'a &'static str, &'a u64)>) -> String {
    let mut text = String::new();
    for (name, number) in counts {
        if !text.is_empty() {
            text.push_str(", ");
        }
        // writing to a string cannot fail
        let _ok = write!(text, "{name} {}", count(*number));
    }
    text
}

/// `1,204 tokens in, 96 out`.
pub(crate) fn tokens(usage: &Usage) -> String {
    format!(
        "{} in, {} out",
        several(usage.input_tokens, "token", "tokens"),
        count(usage.output_tokens)
    )
}

/// Dollars: two places from a dollar on, four below it, and what is less with two digits that are not zero.
pub(crate) fn dollars(amount: Usd) -> String {
    let value = amount.as_f64();
    match value {
        0.0 => "$0".to_owned(),
        1.0.. => format!("${value:.2}"),
        0.01.. => {
            let places = format!("{value:.4}");
            format!("${}", places.strip_suffix("00").unwrap_or(&places))
        }
        _ => {
            let zeros = (-value.log10()).floor().max(0.0) as usize;
            format!("${value:.places$}", places = zeros + 2)
        }
    }
}

/// From least to most in a unit that suits both, of those that each are so many of the one before: `0.033–0.042 Wh`.
fn range(range: Range, units: &[(f64, &str)]) -> String {
    let fits = |(size, _): &&(f64, &str)| range.max >= *size;
    let (size, unit) = units
        .iter()
        .find(fits)
        .or(units.last())
        .copied()
        .unwrap_or((1.0, ""));
    let (min, max) = (figures(range.min / size), figures(range.max / size));
    match min == max {
        true => format!("{max} {unit}"),
        false => format!("{min}–{max} {unit}"),
    }
}

/// Two figures that say something.
fn figures(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        10.0.. => format!("{value:.0}"),
        _ => {
            let zeros = (-value.log10()).floor().clamp(-1.0, 12.0) as i32;
            format!("{value:.places$}", places = (zeros + 2).max(1) as usize)
        }
    }
}

/// Energy of kilowatt-hours.
pub(crate) fn energy(kwh: Range) -> String {
    range(
        kwh,
        &[(1e3, "MWh"), (1.0, "kWh"), (1e-3, "Wh"), (1e-6, "mWh")],
    )
}

/// Greenhouse gases of kilograms.
pub(crate) fn carbon(kg: Range) -> String {
    range(
        kg,
        &[
            (1e3, "t CO2eq"),
            (1.0, "kg CO2eq"),
            (1e-3, "g CO2eq"),
            (1e-6, "mg CO2eq"),
        ],
    )
}

/// What a call cost.
pub(crate) fn cost(spent: &Spent) -> String {
    spent.cost().map_or("cost unknown".to_owned(), dollars)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_units_fit() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(rows(1), "1 row");
        let usage = |input_tokens, output_tokens| Usage {
            input_tokens,
            output_tokens,
            ..Usage::default()
        };
        assert_eq!(tokens(&usage(1, 1)), "1 token in, 1 out");
        assert_eq!(tokens(&usage(1_204, 96)), "1,204 tokens in, 96 out");
        let wh = |min, max| energy(Range { min, max });
        assert_eq!(wh(3.3e-5, 4.2e-5), "33–42 mWh");
        assert_eq!(wh(0.0012, 0.0034), "1.2–3.4 Wh");
        assert_eq!(wh(0.9, 1.25), "0.90–1.2 kWh");
        assert_eq!(wh(0.0, 0.0), "0 mWh");
        assert_eq!(carbon(Range::exactly(0.25)), "250 g CO2eq");
        let dollars = |text: &str| dollars(text.parse().unwrap());
        assert_eq!(dollars("0.0000072"), "$0.0000072");
        assert_eq!(dollars("0.0034567"), "$0.0035");
        assert_eq!(dollars("12.3456"), "$12.35");
        assert_eq!(dollars("0.0175"), "$0.0175");
        assert_eq!(dollars("0.25"), "$0.25");
        assert_eq!(dollars("0"), "$0");
        assert_eq!(several(2_000, "retry", "retries"), "2,000 retries");
        assert_eq!(duration(Duration::from_millis(12)), "12 ms");
        assert_eq!(duration(Duration::from_secs(75)), "1 min 15 s");
        assert_eq!(duration(Duration::from_secs(7_260)), "2 h 1 min");
    }
}
