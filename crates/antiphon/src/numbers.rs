//! Numbers as people read them.

use std::time::Duration;

use antiphon_core::{Usd, account::Range};

/// `1319` as `1,319`.
pub fn count(number: u64) -> String {
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

/// A duration in its two largest units.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// `1234.5` as `$1,234.50`.
pub fn dollars_and_cents(amount: f64) -> String {
    let text = format!("{amount:.2}");
    let grouped = text
        .split_once('.')
        .and_then(|(whole, cents)| Some(format!("${}.{cents}", count(whole.parse().ok()?))));
    grouped.unwrap_or_else(|| format!("${text}"))
}

/// Dollars: two places from a dollar on, four below it, and what is less with two digits that are not zero.
pub fn dollars(amount: Usd) -> String {
    let value = amount.as_f64();
    match value {
        0.0 => "$0".to_owned(),
        1.0.. => dollars_and_cents(value),
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

/// A quantity at the unit that suits it: the first of `units`, from the largest down, of which there is at least one.
/// Each unit has its size.
fn suited(most: f64, units: &[(f64, &'static str)]) -> (f64, &'static str) {
    let fits = units.iter().find(|(size, _)| most >= *size);
    fits.or(units.last()).copied().unwrap_or((1.0, ""))
}

/// Three digits, and no more places than they need: `0.0123`, `1.2`, `123`, `1,234`.
pub fn digits(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor() as i32;
    if magnitude >= 2 {
        return count(value.round() as u64);
    }
    let places = (2 - magnitude).clamp(0, 12) as usize;
    let text = format!("{value:.places$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// From least to most in a unit that suits both, `1.2–3.4 Wh`; a value that is known is one number.
pub fn range(range: Range, units: &[(f64, &'static str)]) -> String {
    let (size, unit) = suited(range.max, units);
    let (min, max) = (figures(range.min / size), figures(range.max / size));
    match min == max {
        true => format!("{max} {unit}"),
        false => format!("{min}–{max} {unit}"),
    }
}

/// Two figures that say something: estimates have no more.
fn figures(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        10.0.. => count(value.round() as u64),
        _ => {
            let zeros = (-value.log10()).floor().clamp(-1.0, 12.0) as i32;
            format!("{value:.places$}", places = (zeros + 2).max(1) as usize)
        }
    }
}

/// Units of energy in kWh.
pub const ENERGY_KWH: [(f64, &str); 4] = [(1e3, "MWh"), (1.0, "kWh"), (1e-3, "Wh"), (1e-6, "mWh")];
/// Units of greenhouse gases in kg.
pub const GASES_KG: [(f64, &str); 4] = [(1e3, "t"), (1.0, "kg"), (1e-3, "g"), (1e-6, "mg")];
/// Units of minerals and metals in kg: answers use up very little.
pub const MINERALS_KG: [(f64, &str); 6] = [
    (1.0, "kg"),
    (1e-3, "g"),
    (1e-6, "mg"),
    (1e-9, "µg"),
    (1e-12, "ng"),
    (1e-15, "pg"),
];
/// Units of primary energy in MJ.
pub const ENERGY_MJ: [(f64, &str); 5] = [
    (1e3, "GJ"),
    (1.0, "MJ"),
    (1e-3, "kJ"),
    (1e-6, "J"),
    (1e-9, "mJ"),
];
/// Units of water in litres.
pub const WATER_L: [(f64, &str); 4] = [(1e3, "m³"), (1.0, "l"), (1e-3, "ml"), (1e-6, "µl")];

/// Milliseconds as a latency: `0.42 ms`, `812 ms`, `1.24 s`, `12 min`.
pub fn milliseconds(milliseconds: f64) -> String {
    let units = [
        (3_600_000.0, "h"),
        (60_000.0, "min"),
        (1e3, "s"),
        (1.0, "ms"),
    ];
    let (size, unit) = suited(milliseconds, &units);
    format!("{} {unit}", digits(milliseconds / size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_units_fit() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        let dollars = |text: &str| dollars(text.parse().unwrap());
        assert_eq!(dollars("0.0000072"), "$0.0000072");
        assert_eq!(dollars("0.0034567"), "$0.0035");
        assert_eq!(dollars("12.3456"), "$12.35");
        assert_eq!(dollars("2415.369"), "$2,415.37");
        assert_eq!(dollars("1234567.5"), "$1,234,567.50");
        assert_eq!(dollars("0.0175"), "$0.0175");
        assert_eq!(dollars("0.25"), "$0.25");
        assert_eq!(dollars("0"), "$0");
        assert_eq!(duration(Duration::from_millis(12)), "12 ms");
        assert_eq!(duration(Duration::from_secs(75)), "1 min 15 s");
        assert_eq!(duration(Duration::from_secs(7_260)), "2 h 1 min");
        assert_eq!(milliseconds(812.4), "812 ms");
        assert_eq!(milliseconds(0.0), "0 ms");
        assert_eq!(milliseconds(61_234.0), "1.02 min");
    }

    #[test]
    fn both_ends_of_a_range_have_its_unit() {
        let between = |min, max| Range { min, max };
        assert_eq!(range(between(0.000_7, 0.001_2), &ENERGY_KWH), "0.70–1.2 Wh");
        assert_eq!(range(between(0.844, 1.46), &ENERGY_KWH), "0.84–1.5 kWh");
        assert_eq!(range(between(0.329, 0.568), &GASES_KG), "329–568 g");
        assert_eq!(range(between(2.5e-13, 2.5e-13), &MINERALS_KG), "250 pg");
        assert_eq!(range(between(0.0, 0.0), &WATER_L), "0 µl");
        assert_eq!(
            range(between(999.0, 2_345_678.5), &ENERGY_MJ),
            "1.00–2,346 GJ"
        );
        assert_eq!(digits(0.012_34), "0.0123");
        assert_eq!(digits(1_234.5), "1,235");
    }
}
