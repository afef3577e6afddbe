//! Numbers as people read them.

use std::{fmt::Write, time::Duration};

use antiphon::core::{Spent, Usage, Usd};

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

/// Dollars: cents where they say enough, and what is less with two digits that are not zero.
pub(crate) fn dollars(amount: Usd) -> String {
    let value = amount.as_f64();
    match value {
        0.0 => "$0".to_owned(),
        0.01.. => format!("${value:.2}"),
        _ => {
            let zeros = (-value.log10()).floor().max(0.0) as usize;
            format!("${value:.places$}", places = zeros + 2)
        }
    }
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
        let dollars = |text: &str| dollars(text.parse().unwrap());
        assert_eq!(dollars("0.0000072"), "$0.0000072");
        assert_eq!(dollars("0.0034567"), "$0.0035");
        assert_eq!(dollars("12.3456"), "$12.35");
        assert_eq!(dollars("0"), "$0");
        assert_eq!(several(2_000, "retry", "retries"), "2,000 retries");
        assert_eq!(duration(Duration::from_millis(12)), "12 ms");
        assert_eq!(duration(Duration::from_secs(75)), "1 min 15 s");
        assert_eq!(duration(Duration::from_secs(7_260)), "2 h 1 min");
    }
}
