//! What the table has no room for: names, tiers, changes and batch prices of a single model.

use antiphon::{
    catalog::{Tier, TimedPrices},
    core::account::price::Prices,
};

use super::{
    known::Known,
    table::{range, tokens},
};

/// The details of a model.
pub(super) fn of(one: &Known) -> String {
    let entry = one.entry.as_ref();
    let mut lines = vec![format!("{}/{}", entry.provider, entry.model)];
    if !entry.aliases.is_empty() {
        lines.push(format!("also known as {}", entry.aliases.join(", ")));
    }
    for (at, timed) in entry.prices.iter().enumerate() {
        let told = prices(timed.usd_per_mtok);
        lines.push(format!("{}: {told}", when(&entry.prices, at)));
        lines.extend(tiers(&timed.tiers, "  "));
        if let Some(batch) = &timed.batch {
            lines.push(format!("  in batches: {}", prices(batch.usd_per_mtok)));
            lines.extend(tiers(&batch.tiers, "    "));
        }
    }
    let told = match entry.as_of {
        Some(day) => format!("source: {}, {day}", entry.source),
        None => format!("source: {}", entry.source),
    };
    lines.push(told);
    lines.extend(energy(one));
    format!("\n{}\n", lines.join("\n"))
}

/// What 1000 tokens of output take, with what is to be said of it.
fn energy(one: &Known) -> Option<String> {
    let (estimate, impacts) = (one.estimate.as_ref()?, one.impacts()?);
    let grams = impacts.gwp_kgco2eq;
    let line = format!(
        "1000 tokens of output in {}: {} Wh, {} g CO2e",
        estimate.zone.code,
        range(impacts.energy_kwh, 1_000.0),
        range(grams, 1_000.0)
    );
    let warnings = estimate.warnings.iter().map(ToString::to_string);
    let said: Vec<String> = std::iter::once(line).chain(warnings).collect();
    Some(said.join("; "))
}

/// When the prices at this place hold: the last whose condition holds is in force.
fn when(prices: &[TimedPrices], at: usize) -> String {
    let (Some(timed), later) = (prices.get(at), prices.iter().skip(at + 1)) else {
        return String::new();
    };
    let replaced = later.filter(|later| later.hours.is_none());
    let until = replaced.map(|later| later.from).min().flatten();
    let days = match (timed.from, until) {
        (None, None) => None,
        (None, Some(until)) => Some(format!("before {until}")),
        (Some(from), None) => Some(format!("from {from} on")),
        (Some(from), Some(until)) => Some(format!("from {from}, before {until}")),
    };
    let hours = timed.hours.as_ref();
    let hours = hours.map(|(from, to)| format!("{from} to {to} UTC"));
    let said = [days, hours].into_iter().flatten().collect::<Vec<_>>();
    match (said.is_empty(), prices) {
        (true, [_]) => "always".to_owned(),
        // hours of their own come after it
        (true, _) => "else".to_owned(),
        (false, _) => said.join(", "),
    }
}

fn tiers(tiers: &[Tier], indent: &str) -> Vec<String> {
    let line = |tier: &Tier| {
        let above = tokens(tier.above);
        format!(
            "{indent}above {above} tokens of input: {}",
            prices(tier.usd_per_mtok)
        )
    };
    tiers.iter().map(line).collect()
}

/// `in 2, cached 0.2, out 10`.
fn prices(told: Prices) -> String {
    let classes = [
        ("in", told.input),
        ("cached", told.cached_input),
        ("write", told.cache_write),
        ("write for 1 h", told.cache_write_1h),
        ("out", told.output),
    ];
    let told: Vec<String> = classes
        .into_iter()
        .filter_map(|(class, price)| Some(format!("{class} {}", price?)))
        .collect();
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use antiphon::catalog::Catalog;

    use super::*;

    #[test]
    fn prices_that_were_replaced_say_until_when_they_held() {
        let catalog = Catalog::built_in();
        let told = |provider, model| {
            let prices = &catalog.find(provider, model).unwrap().prices;
            let told = (0..prices.len()).map(|at| when(prices, at));
            told.collect::<Vec<_>>().join(" | ")
        };
        for (provider, model, expected) in [
            ("openai", "gpt-4o", "always"),
            (
                "openai",
                "gpt-5.6-sol",
                "before 2026-08-21 | from 2026-08-21 on",
            ),
            (
                "mistral",
                "mistral-large-4",
                "before 2026-10-20 | from 2026-10-20, before 2026-10-29 | from 2026-10-29 on",
            ),
            ("deepseek", "deepseek-chat", "else | 00:30 to 16:30 UTC"),
            (
                "deepseek",
                "deepseek-v4-pro",
                "before 2026-08-17 | from 2026-08-17 on | 01:00 to 04:00 UTC | 06:00 to 10:00 UTC",
            ),
        ] {
            assert_eq!(told(provider, model), expected, "{model}");
        }
    }
}
