//! The head of the page: how it ended, the numbers that matter most, and what is not known.

use std::time::Duration;

use serde::Serialize;

use super::{About, scale::percent};
use crate::{
    numbers::{self, count, digits, dollars},
    run::Report,
};

/// What is read first.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// How it ended, in two or three words.
    pub(super) state: &'static str,
    /// `good`, `warn` or `bad`.
    pub(super) tone: &'static str,
    /// When it began and how long it took.
    pub(super) when: String,
    /// Why it stopped early.
    pub(super) stopped: Option<String>,
    /// The numbers.
    pub(super) tiles: Vec<Tile>,
    /// What the numbers do not say.
    pub(super) notes: Vec<String>,
    /// The parts of the input by what became of them.
    pub(super) parts: Vec<Part>,
}

/// A number with its name.
#[derive(Debug, Serialize)]
pub(super) struct Tile {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) beside: Vec<String>,
}

/// A part of a whole.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    pub(super) class: &'static str,
    pub(super) name: String,
    pub(super) count: String,
    /// Percent of the whole.
    pub(super) share: f64,
    pub(super) told_share: String,
}

pub(super) fn part(class: &'static str, name: impl Into<String>, number: u64, whole: u64) -> Part {
    let share = percent(number as f64, whole as f64);
    Part {
        class,
        name: name.into(),
        count: count(number),
        share,
        told_share: match share {
            0.0 if number > 0 => "< 0.01 %".to_owned(),
            100.0 if number < whole => "> 99.99 %".to_owned(),
            _ => format!("{} %", digits_of_share(share)),
        },
    }
}

/// Shares near 0 and 100 need more places.
fn digits_of_share(share: f64) -> String {
    match share {
        0.0 | 100.0 => format!("{share:.0}"),
        ..1.0 | 99.0.. => format!("{share:.2}"),
        _ => format!("{share:.1}"),
    }
}

pub(super) fn of(report: &Report, about: &About) -> Summary {
    let (state, tone) = match (&about.stopped, report.failed, report.pending) {
        (Some(_), ..) => ("Stopped early", "warn"),
        (None, 0, 0) => ("Complete", "good"),
        (None, 0, _) => ("Not finished", "warn"),
        (None, ..) if report.succeeded == 0 => ("All failed", "bad"),
        (None, ..) => ("Some failed", "warn"),
    };
    let took = numbers::duration(Duration::from_secs_f64(report.duration_s));
    let started = report
        .course
        .as_ref()
        .and_then(|course| course.started_at.as_deref());
    let when = match started {
        Some(at) => format!(
            "Began {}, took {took}",
            at.replace('T', " ").replace('Z', " UTC")
        ),
        None => format!("Took {took}"),
    };
    Summary {
        state,
        tone,
        when,
        stopped: about.stopped.clone(),
        tiles: tiles(report, about, took),
        notes: notes(report, about),
        parts: [
            part("good", "succeeded", report.succeeded, report.total),
            part("bad", "failed", report.failed, report.total),
            part("rest", "pending", report.pending, report.total),
        ]
        .into_iter()
        .filter(|part| part.count != "0" || part.class == "good")
        .collect(),
    }
}

fn tiles(report: &Report, about: &About, took: String) -> Vec<Tile> {
    let tile = |name, value, beside: Vec<String>| Tile {
        name,
        value,
        beside,
    };
    let rows = &about.rows;
    let succeeded = part("good", "", report.succeeded, report.total);
    let usage = &report.usage;
    let unknown = || "unknown".to_owned();
    vec![
        tile(
            "Answers",
            count(report.succeeded),
            vec![format!(
                "{} of {} {rows}",
                succeeded.told_share,
                count(report.total)
            )],
        ),
        tile(
            "Cost",
            report.cost_usd.map_or_else(unknown, dollars),
            beside_cost(report),
        ),
        tile(
            "Time",
            took,
            vec![format!(
                "{} {rows} a second",
                digits(report.requests_per_second)
            )],
        ),
        tile(
            "Tokens",
            count(usage.total()),
            vec![format!(
                "{} in, {} out",
                count(usage.input_tokens),
                count(usage.output_tokens)
            )],
        ),
        tile(
            "Energy",
            report.energy_kwh.map_or_else(unknown, |energy| {
                numbers::range(energy, &numbers::ENERGY_KWH)
            }),
            vec!["estimated".to_owned()],
        ),
        tile(
            "Carbon",
            report
                .gwp_kgco2eq
                .map_or_else(unknown, |carbon| numbers::range(carbon, &numbers::GASES_KG)),
            vec!["of CO₂ equivalent, estimated".to_owned()],
        ),
    ]
}

/// What goes with the cost of this run.
fn beside_cost(report: &Report) -> Vec<String> {
    let mut beside = Vec::new();
    let job = report
        .job_cost_usd
        .filter(|job| Some(*job) != report.cost_usd);
    if let Some(job) = job {
        beside.push(format!("{} with earlier runs", dollars(job)));
    }
    if let (Some(budget), Some(left)) = (report.budget_usd, report.budget_left_usd) {
        let (left, budget) = (dollars(left), dollars(budget));
        beside.push(format!("{left} left of a budget of {budget}"));
    }
    if let Some(avoided) = report.cost_avoided_usd.filter(|cost| cost.picos() > 0) {
        beside.push(format!("{} saved by answers at hand", dollars(avoided)));
    }
    if report.unpriced_answers > 0 {
        beside.push(several(
            report.unpriced_answers,
            "answer of unknown cost",
            "answers of unknown cost",
        ));
    }
    if report.lost_attempts > 0 {
        beside.push(several(
            report.lost_attempts,
            "attempt may have been billed",
            "attempts may have been billed",
        ));
    }
    if beside.is_empty() {
        beside.push("in this run".to_owned());
    }
    beside
}

/// What is not in the numbers, said plainly.
fn notes(report: &Report, about: &About) -> Vec<String> {
    let rows = &about.rows;
    let mut notes = Vec::new();
    if report.pending > 0 {
        let sends = match about.stopped.is_some() && report.budget_usd.is_some() {
            true => {
                "the same command again sends them, where the budget was reached with a higher one"
            }
            false => "the same command again sends them",
        };
        notes.push(format!(
            "{} of the {rows} have no answer yet: {sends}.",
            count(report.pending)
        ));
    }
    if report.resumed > 0 {
        notes.push(format!(
            "{} of the {rows} come from earlier runs. The counts of {rows} and of their errors are of the whole job; time, \
             attempts, tokens, cost, latency, energy and the charts are of this run alone.",
            count(report.resumed)
        ));
    }
    if report.cached > 0 {
        notes.push(format!(
            "{} of the {rows} were answered without a call of their own: from the cache, or by the call of an equal one.",
            count(report.cached)
        ));
    }
    if report.unpriced_answers > 0 {
        let answers = several(report.unpriced_answers, "answer", "answers");
        notes.push(format!(
            "{answers} of unknown cost, because the model has no known price or the answer does not tell its tokens: not \
             in the sums."
        ));
    }
    if report.lost_attempts > 0 {
        let attempts = several(report.lost_attempts, "attempt", "attempts");
        notes.push(format!(
            "{attempts} ended without an answer after being sent, by a timeout or a broken connection, and may have been \
             billed: not in the sums."
        ));
    }
    if let Some(held) = report.budget_held_usd.filter(|held| held.picos() > 0) {
        notes.push(format!(
            "{} of the budget are kept for attempts that may have been billed.",
            dollars(held)
        ));
    }
    if report.unestimated_answers > 0 {
        let answers = several(report.unestimated_answers, "answer", "answers");
        notes.push(format!(
            "{answers} of models whose energy is not known: not in the estimates of energy, carbon and water."
        ));
    }
    notes
}

pub(super) fn several(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn a_share_never_passes_for_all_or_nothing() {
        let told = |number, whole| part("good", "", number, whole).told_share;
        assert_eq!(told(0, 0), "0 %");
        assert_eq!(told(1, 3), "33.3 %");
        assert_eq!(told(3, 3), "100 %");
        assert_eq!(told(999, 1_000), "99.90 %");
        assert_eq!(told(1, 1_000_000), "< 0.01 %");
        assert_eq!(told(999_999, 1_000_000), "> 99.99 %");
    }
}
