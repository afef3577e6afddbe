//! Tables of the page: errors, retries, tokens, what computing took, models, and rows that stand out.

use std::collections::BTreeMap;

use antiphon_core::{Usd, account::Range, job::NotableRow};
use serde::Serialize;

use super::{
    scale::percent,
    summary::{Part, part},
};
use crate::{
    numbers::{self, count, dollars, milliseconds},
    run::Report,
};

const UNKNOWN: &str = "unknown";

/// The tables.
#[derive(Debug, Serialize)]
pub(super) struct Tables {
    errors: Vec<Part>,
    retries: Vec<Part>,
    tokens: Vec<Part>,
    impacts: Vec<Impact>,
    models: Vec<Model>,
    slowest: Vec<Row>,
    dearest: Vec<Row>,
}

/// What computing took of one thing.
#[derive(Debug, Serialize)]
struct Impact {
    name: &'static str,
    what: &'static str,
    told: String,
    /// Where the band begins, in percent of its end; `None` where nothing is known, or nothing was used.
    band: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Model {
    name: String,
    answers: String,
    tokens: String,
    cost: String,
    energy: String,
    carbon: String,
}

#[derive(Debug, Serialize)]
struct Row {
    custom_id: String,
    /// Its index, where the id does not tell it.
    place: String,
    model: String,
    latency: String,
    cost: String,
    tokens: String,
    error: Option<&'static str>,
}

pub(super) fn of(report: &Report) -> Tables {
    let course = report.course.as_ref();
    Tables {
        errors: tally("bad", &report.errors_by_code),
        retries: tally("warn", &report.retries_by_kind),
        tokens: tokens(report),
        impacts: impacts(report),
        models: models(report),
        slowest: rows(course.map_or(&[], |course| &course.slowest_rows)),
        dearest: rows(course.map_or(&[], |course| &course.dearest_rows)),
    }
}

/// Counts by name, the largest first.
fn tally(class: &'static str, counts: &BTreeMap<&'static str, u64>) -> Vec<Part> {
    let all = counts.values().sum();
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(name, number)| (std::cmp::Reverse(**number), **name));
    let parts = counts
        .iter()
        .map(|(name, number)| part(class, **name, **number, all));
    parts.collect()
}

fn tokens(report: &Report) -> Vec<Part> {
    let usage = &report.usage;
    let cached = usage.cached_input_tokens + usage.cache_write_tokens;
    let parts = [
        ("in", "input", usage.input_tokens.saturating_sub(cached)),
        (
            "in-cached",
            "input, read from the provider's cache",
            usage.cached_input_tokens,
        ),
        (
            "in-written",
            "input, written to the provider's cache",
            usage.cache_write_tokens,
        ),
        (
            "out",
            "output",
            usage.output_tokens.saturating_sub(usage.reasoning_tokens),
        ),
        ("out-thought", "output, reasoning", usage.reasoning_tokens),
    ];
    let all = usage.total();
    parts
        .into_iter()
        .filter(|(.., number)| *number > 0)
        .map(|(class, name, number)| part(class, name, number, all))
        .collect()
}

fn impacts(report: &Report) -> Vec<Impact> {
    let impact = |name, what, range: Option<Range>, units: &[(f64, &'static str)]| Impact {
        name,
        what,
        told: range.map_or(UNKNOWN.to_owned(), |range| numbers::range(range, units)),
        band: range
            .filter(|range| range.max > 0.0)
            .map(|range| percent(range.min, range.max).min(99.0)),
    };
    vec![
        impact(
            "Energy",
            "electricity",
            report.energy_kwh,
            &numbers::ENERGY_KWH,
        ),
        impact(
            "Carbon",
            "greenhouse gases, CO₂ equivalent",
            report.gwp_kgco2eq,
            &numbers::GASES_KG,
        ),
        impact("Water", "consumed in use", report.wcf_l, &numbers::WATER_L),
        impact(
            "Primary energy",
            "energy taken from nature",
            report.pe_mj,
            &numbers::ENERGY_MJ,
        ),
        impact(
            "Minerals and metals",
            "used up, antimony equivalent",
            report.adpe_kgsbeq,
            &numbers::MINERALS_KG,
        ),
    ]
}

fn models(report: &Report) -> Vec<Model> {
    let unknown = || UNKNOWN.to_owned();
    let range = |range: Option<Range>, units: &[(f64, &'static str)]| {
        range.map_or_else(unknown, |range| numbers::range(range, units))
    };
    let answered = report.models.iter().filter(|(_, model)| model.answers > 0);
    let models = answered.map(|(name, model)| Model {
        name: name.clone(),
        answers: count(model.answers),
        tokens: model.usage.map_or_else(unknown, |usage| {
            format!(
                "{} in, {} out",
                count(usage.input_tokens),
                count(usage.output_tokens)
            )
        }),
        cost: match (model.cost_usd, model.unpriced_answers) {
            (None, _) => unknown(),
            (Some(cost), 0) => dollars(cost),
            (Some(cost), unpriced) => {
                format!(
                    "{} and {} answers of unknown cost",
                    dollars(cost),
                    count(unpriced)
                )
            }
        },
        energy: range(model.energy_kwh, &numbers::ENERGY_KWH),
        carbon: range(model.gwp_kgco2eq, &numbers::GASES_KG),
    });
    models.collect()
}

fn rows(rows: &[NotableRow]) -> Vec<Row> {
    let rows = rows.iter().map(|row| Row {
        custom_id: row.custom_id.clone(),
        place: match row.custom_id == format!("row-{}", row.index) {
            true => String::new(),
            false => format!("index {}", row.index),
        },
        model: row.model.clone().unwrap_or("model unknown".to_owned()),
        latency: row.latency_ms.map_or("no answer".to_owned(), milliseconds),
        cost: row
            .cost_usd
            .map_or("cost unknown".to_owned(), dollars_in_full),
        tokens: row.usage.map_or("tokens unknown".to_owned(), |usage| {
            format!(
                "{} in, {} out",
                count(usage.input_tokens),
                count(usage.output_tokens)
            )
        }),
        error: row.error,
    });
    rows.collect()
}

/// Rows cost little and much the same: cents would hide the difference.
fn dollars_in_full(cost: Usd) -> String {
    match cost.as_f64() {
        value @ 0.01..100.0 => format!("${value:.4}"),
        _ => dollars(cost),
    }
}
