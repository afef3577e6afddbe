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
    for timed in &entry.prices {
        let told = prices(timed.usd_per_mtok);
        lines.push(format!("{}: {told}", when(timed)));
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

fn when(timed: &TimedPrices) -> String {
    let from = timed.from.map(|day| format!("from {day} on"));
    let hours = timed.hours.as_ref();
    let hours = hours.map(|(from, to)| format!("{from} to {to} UTC"));
    match (from, hours) {
        (None, None) => "always".to_owned(),
        (Some(from), Some(hours)) => format!("{from}, {hours}"),
        (one, other) => one.or(other).unwrap_or_default(),
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
