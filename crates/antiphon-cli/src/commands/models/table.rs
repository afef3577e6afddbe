//! The table of `antiphon models`: a line for each model, beneath its provider, within 80 columns.

use std::time::SystemTime;

use antiphon::{
    catalog::Entry,
    core::account::{Range, price::UnitPrice},
};

use super::known::Known;

/// What is above the columns of numbers.
const HEADS: [&str; 6] = ["in", "cached", "write", "out", "window", "Wh"];

/// A line.
struct Row {
    model: String,
    numbers: [String; 6],
    /// `T` where there are tiers, `C` where prices change by date or hour, `R` where the model is retired.
    marks: String,
    notes: String,
}

/// The models with what they cost at this moment, a table for each provider.
pub(super) fn of(models: &[&Known], now: SystemTime) -> String {
    let of_one = models.chunk_by(|a, b| a.entry.provider == b.entry.provider);
    of_one.map(|models| of_provider(models, now)).collect()
}

fn of_provider(models: &[&Known], now: SystemTime) -> String {
    let provider = models.first().map_or("", |one| &one.entry.provider);
    let rows: Vec<Row> = models.iter().map(|one| row(one, now)).collect();
    let names = rows.iter().map(|row| row.model.len() + 2);
    let first = names.fold(provider.len(), usize::max);
    let widths = HEADS.each_ref().map(|head| head.len());
    let widths = rows.iter().fold(widths, |mut widths, row| {
        for (width, number) in widths.iter_mut().zip(&row.numbers) {
            *width = number.len().max(*width);
        }
        widths
    });
    let last = rows.iter().map(|row| row.marks.len()).fold(0, usize::max);
    let line = |name: &str, numbers: &[&str], marks: &str, notes: &str| {
        let numbers = numbers.iter().zip(&widths);
        let numbers: String = numbers
            .map(|(number, width)| format!(" {number:>width$}"))
            .collect();
        let line = format!("{name:<first$}{numbers} {marks:<last$} {notes}");
        line.trim_end().to_owned() + "\n"
    };
    let has = |is_so: fn(&Entry) -> bool| models.iter().any(|one| is_so(&one.entry));
    let heads = [
        (
            has(|entry| entry.retires.is_some() || entry.deprecated),
            "retires",
        ),
        (has(is_users), "source"),
    ];
    let heads = heads.iter().filter(|(is_so, _)| *is_so);
    let heads: Vec<&str> = heads.map(|(_, head)| *head).collect();
    let mut table = line(provider, &HEADS, "", &heads.join(", "));
    for row in &rows {
        let numbers = row.numbers.each_ref().map(String::as_str);
        table.push_str(&line(
            &format!("  {}", row.model),
            &numbers,
            &row.marks,
            &row.notes,
        ));
    }
    table
}

fn row(one: &Known, now: SystemTime) -> Row {
    let entry = one.entry.as_ref();
    let prices = entry.prices_at(now);
    let told = prices.map(|prices| prices.usd_per_mtok).unwrap_or_default();
    let price = |price: Option<UnitPrice>| price.map_or_else(unknown, |price| price.to_string());
    let energy = one
        .impacts()
        .map(|impacts| range(impacts.energy_kwh, 1_000.0));
    let marks = [
        (prices.is_some_and(|prices| !prices.tiers.is_empty()), 'T'),
        (entry.prices.len() > 1, 'C'),
        (entry.is_retired(now), 'R'),
    ];
    let marks = marks.into_iter().filter(|(is_so, _)| *is_so);
    Row {
        model: entry.model.clone(),
        numbers: [
            price(told.input),
            price(told.cached_input),
            price(told.cache_write),
            price(told.output),
            entry.context_window.map_or_else(unknown, tokens),
            energy.unwrap_or_else(unknown),
        ],
        marks: marks.map(|(_, mark)| mark).collect(),
        notes: notes(entry),
    }
}

fn unknown() -> String {
    "-".to_owned()
}

/// What numbers do not say.
fn notes(entry: &Entry) -> String {
    let day = entry.retires.map(|day| day.to_string());
    let deprecated = entry.deprecated.then(|| "deprecated".to_owned());
    let users = is_users(entry).then(|| entry.source.clone());
    let notes: Vec<String> = [day, deprecated, users].into_iter().flatten().collect();
    notes.join(", ")
}

/// Only the table as a whole has a day; what has none is the user's.
fn is_users(entry: &Entry) -> bool {
    entry.as_of.is_none()
}

/// `0.8-1.9`: both ends in two digits, one where they are the same.
pub(super) fn range(range: Range, times: f64) -> String {
    let number = |value: f64| match value * times {
        value if value >= 9.95 => format!("{value:.0}"),
        value if value >= 0.995 => format!("{value:.1}"),
        value if value >= 0.0995 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    };
    let (min, max) = (number(range.min), number(range.max));
    match min == max {
        true => min,
        false => format!("{min}-{max}"),
    }
}

/// `128k`, `1.05M`: exact where it is round, else to three digits.
pub(super) fn tokens(number: u64) -> String {
    let (unit, letter) = match number {
        0..1_000 => return number.to_string(),
        1_000..1_000_000 => (1_000.0, "k"),
        _ => (1_000_000.0, "M"),
    };
    let scaled = number as f64 / unit;
    let places = if scaled >= 100.0 { 0 } else { 2 };
    let text = format!("{scaled:.places$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{letter}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use antiphon::{Config, catalog::Catalog};

    use super::{super::known, *};

    #[test]
    fn windows_are_short() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (8_192, "8.19k"),
            (16_385, "16.39k"),
            (128_000, "128k"),
            (262_144, "262k"),
            (1_000_000, "1M"),
            (1_048_576, "1.05M"),
        ];
        for (number, text) in cases {
            assert_eq!(tokens(number), text);
        }
    }

    #[test]
    fn the_built_in_table_fits_eighty_columns_and_says_what_changes() {
        let catalog = Catalog::built_in();
        let all = known::all(&catalog, &Config::default());
        let models: Vec<&Known> = all.iter().collect();
        // noon of the day it was made
        let now = catalog.as_of().begin() + Duration::from_secs(12 * 3600);
        let table = of(&models, now);
        let line = |name: &str| {
            let mut lines = table.lines().map(str::trim_start);
            let words: Vec<&str> = lines
                .find(|line| line.split(' ').next() == Some(name))
                .unwrap()
                .split_whitespace()
                .collect();
            words.join(" ")
        };
        for expected in [
            "openai in cached write out window Wh retires",
            "gpt-4o-mini 0.15 0.075 - 0.6 128k 0.064-0.078",
            "gpt-4 30 - - 60 8.19k 12-27 R 2026-10-23",
            "gpt-5 1.25 0.125 - 10 400k 1.4-2.0 2026-12-11",
            "gpt-5.6-sol 4 0.4 5 20 1.05M 4.0-8.5 TC",
            "command-a 2.5 - - 10 - -",
            "glm-5-2 - - - - - 2.7",
            "demo 0 - - 0 - -",
        ] {
            let name = expected.split(' ').next().unwrap();
            assert_eq!(line(name), expected);
        }
        for line in table.lines() {
            assert!(line.len() <= 80, "{line}");
        }
    }
}
