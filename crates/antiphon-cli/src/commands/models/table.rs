//! The table of `antiphon models`: a line for each model, beneath its provider, within 80 columns.

use std::{sync::Arc, time::SystemTime};

use antiphon::{
    catalog::{Entry, TimedPrices},
    core::account::price::UnitPrice,
};

/// What is above the columns of numbers.
const HEADS: [&str; 5] = ["in", "cached", "write", "out", "window"];

/// A line.
struct Row {
    provider: String,
    model: String,
    numbers: [String; 5],
    /// `T` where there are tiers, `C` where prices change by date or hour.
    marks: String,
    notes: String,
}

/// The models with what they cost at this moment.
pub(super) fn of(models: &[&Arc<Entry>], now: SystemTime) -> String {
    let rows: Vec<Row> = models.iter().map(|entry| row(entry, now)).collect();
    let first = rows
        .iter()
        .map(|row| row.provider.len().max(row.model.len() + 2))
        .max()
        .unwrap_or_default();
    let widths: Vec<usize> = (0..HEADS.len())
        .map(|at| {
            let numbers = rows.iter().map(|row| row.numbers[at].len());
            numbers.max().unwrap_or_default().max(HEADS[at].len())
        })
        .collect();
    let line = |name: &str, numbers: &[&str], marks: &str, notes: &str| {
        let mut line = format!("{name:<first$}");
        for (number, width) in numbers.iter().zip(&widths) {
            line.push_str(&format!(" {number:>width$}"));
        }
        format!("{line} {marks:<2} {notes}").trim_end().to_owned() + "\n"
    };
    let mut table = String::new();
    let mut provider = "";
    for row in &rows {
        if row.provider != provider {
            provider = &row.provider;
            table.push_str(&line(provider, &HEADS, "", ""));
        }
        let numbers = row.numbers.each_ref().map(String::as_str);
        let model = format!("  {}", row.model);
        table.push_str(&line(&model, &numbers, &row.marks, &row.notes));
    }
    table
}

fn row(entry: &Entry, now: SystemTime) -> Row {
    let prices = entry.prices_at(now);
    let told = prices.map(|prices| prices.usd_per_mtok).unwrap_or_default();
    let price = |price: Option<UnitPrice>| price.map_or_else(unknown, |price| price.to_string());
    Row {
        provider: entry.provider.clone(),
        model: entry.model.clone(),
        numbers: [
            price(told.input),
            price(told.cached_input),
            price(told.cache_write),
            price(told.output),
            entry.context_window.map_or_else(unknown, tokens),
        ],
        marks: marks(entry, prices),
        notes: notes(entry, now),
    }
}

fn marks(entry: &Entry, prices: Option<&TimedPrices>) -> String {
    let has_tiers = prices.is_some_and(|prices| !prices.tiers.is_empty());
    let marks = [(has_tiers, 'T'), (entry.prices.len() > 1, 'C')];
    let marks = marks.into_iter().filter(|(is_so, _)| *is_so);
    marks.map(|(_, mark)| mark).collect()
}

fn unknown() -> String {
    "-".to_owned()
}

/// What numbers do not say.
fn notes(entry: &Entry, now: SystemTime) -> String {
    let mut notes = Vec::new();
    if let Some(day) = entry.retires {
        notes.push(match entry.is_retired(now) {
            true => format!("retired {day}"),
            false => format!("retires {day}"),
        });
    }
    if entry.deprecated {
        notes.push("deprecated".to_owned());
    }
    // only the table as a whole has a day; what has none is the user's
    if entry.as_of.is_none() {
        notes.push(entry.source.clone());
    }
    notes.join(", ")
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

    use antiphon::catalog::Catalog;

    use super::*;

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
        let models: Vec<_> = catalog.models().collect();
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
        assert_eq!(line("openai"), "openai in cached write out window");
        assert_eq!(line("gpt-4o-mini"), "gpt-4o-mini 0.15 0.075 - 0.6 128k");
        assert_eq!(line("gpt-4"), "gpt-4 30 - - 60 8.19k retired 2026-10-23");
        assert_eq!(
            line("gpt-5"),
            "gpt-5 1.25 0.125 - 10 400k retires 2026-12-11"
        );
        assert_eq!(line("gpt-5.6-sol"), "gpt-5.6-sol 4 0.4 5 20 1.05M TC");
        assert_eq!(line("command-a"), "command-a 2.5 - - 10 -");
        assert_eq!(line("demo"), "demo 0 - - 0 -");
        for line in table.lines() {
            assert!(line.len() <= 80, "{line}");
        }
    }
}
