//! Numbers as people read them.

use std::fmt::Write;

use antiphon::core::{Spent, Usage, account::Range};
use antiphon::numbers::{ENERGY_KWH, GASES_KG, range};
pub(crate) use antiphon::numbers::{count, dollars, dollars_and_cents, duration};
use serde_json::{Value, json};

/// `1 row`, `2 rows`.
pub(crate) fn rows(number: u64) -> String {
    several(number, "row", "rows")
}

/// A number of things: `1 retry`, `2 retries`.
pub(crate) fn several(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
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

/// Energy of kilowatt-hours.
pub(crate) fn energy(kwh: Range) -> String {
    range(kwh, &ENERGY_KWH)
}

/// Greenhouse gases of kilograms.
pub(crate) fn carbon(kg: Range) -> String {
    format!("{} CO2eq", range(kg, &GASES_KG))
}

/// What a call cost.
pub(crate) fn cost(spent: &Spent) -> String {
    spent.cost().map_or("cost unknown".to_owned(), dollars)
}

/// What a call took, `12–14 mWh, 5.0–6.1 mg CO2eq`, as far as it can be estimated.
pub(crate) fn impacts(spent: &Spent) -> Option<String> {
    let impacts = spent.impacts()?;
    taken(impacts.energy_kwh, impacts.gwp_kgco2eq)
}

/// Energy of kilowatt-hours and greenhouse gases of kilograms; what took none says nothing.
pub(crate) fn taken(kwh: Range, kg: Range) -> Option<String> {
    (kwh.max > 0.0).then(|| format!("{}, {}", energy(kwh), carbon(kg)))
}

/// The same as fields of an object, beside its costs; `null` where nothing is known.
pub(crate) fn impacts_as_json(spent: &Spent) -> [Value; 2] {
    let impacts = spent.impacts();
    let energy = impacts.as_ref().map(|impacts| impacts.energy_kwh);
    [
        json!(energy),
        json!(impacts.map(|impacts| impacts.gwp_kgco2eq)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_units_fit() {
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
        assert_eq!(several(2_000, "retry", "retries"), "2,000 retries");
    }
}
