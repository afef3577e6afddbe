//! How often answers are right, alone and by vote.

use std::{fmt, num::NonZeroUsize, sync::Arc};

use antiphon_core::{
    Schema, SharedModel,
    patterns::vote::{FieldVote, Poll, Rule},
};
use serde_json::Value;

use super::noisy::{CATEGORIES, NoisyModel, label, question, schema};

const TICKETS: u64 = 500;
const SEED: u64 = 20_261_121;
/// A priority is right up to this difference.
const TOLERANCE: f64 = 3.0;
pub(crate) const VOTERS: [usize; 3] = [3, 5, 7];
const MOST_VOTERS: usize = 7;

/// Fields, and whether an answer is right there.
const FIELDS: [&str; 6] = [
    "/category",
    "/urgent",
    "/priority",
    "/topics",
    "/customer/country",
    "/customer/seats",
];

/// A table with a title in each row and column.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<(String, Vec<String>)>,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |", self.head.join(" | "))?;
        writeln!(f, "|{}", "---|".repeat(self.head.len()))?;
        for (title, cells) in &self.rows {
            writeln!(f, "| {title} | {} |", cells.join(" | "))?;
        }
        Ok(())
    }
}

/// Right answers per field, per number of voters: one, then [`VOTERS`].
#[derive(Debug)]
pub(crate) struct Accuracy {
    /// Each field's shares, then those of all fields together, then those of wholly right answers.
    pub(crate) rows: Vec<(String, Vec<f64>)>,
}

impl fmt::Display for Accuracy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let votes = VOTERS.iter().map(|voters| format!("vote of {voters}"));
        let head = ["field".to_owned(), "single answer".to_owned()];
        let rows = self.rows.iter().map(|(title, shares)| {
            let cells = shares.iter().map(|share| format!("{:.1} %", share * 100.0));
            (title.clone(), cells.collect())
        });
        let table = Table {
            head: head.into_iter().chain(votes).collect(),
            rows: rows.collect(),
        };
        table.fmt(f)
    }
}

/// Measures single answers and field-wise votes.
pub(crate) async fn by_field() -> Accuracy {
    let schema = Schema::new(schema()).expect("the tickets' schema is valid");
    let fields = FieldVote::new(&schema);
    let model: SharedModel = Arc::new(NoisyModel { seed: SEED });
    // rows of right answers, and of how many, by column
    let mut counts = vec![[(0u64, 0u64); 1 + VOTERS.len()]; FIELDS.len() + 1];
    for ticket in 0..TICKETS {
        let label = label(ticket);
        let mut samples: Vec<(usize, Value)> = Vec::new();
        for sample in 0..MOST_VOTERS {
            let mut request = question(ticket);
            request.sample = sample as u32;
            let reply = model.ask(request).await.expect("the noisy model answers");
            let value = schema.read(reply.text()).expect("it answers in JSON");
            samples.push((sample, value));
        }
        for (_, answer) in &samples {
            count(&mut counts, 0, &label, answer);
        }
        for (column, voters) in VOTERS.into_iter().enumerate() {
            let verdict = fields
                .decide(&samples[..voters])
                .expect("a vote of valid answers");
            count(&mut counts, column + 1, &label, &verdict.value);
        }
    }
    let share = |(right, all): (u64, u64)| right as f64 / all as f64;
    let shares: Vec<Vec<f64>> = counts
        .iter()
        .map(|columns| columns.iter().copied().map(share).collect())
        .collect();
    let mut titles: Vec<String> = FIELDS.iter().map(|field| format!("`{field}`")).collect();
    titles.push("all fields right at once".to_owned());
    let mean = |column: usize| {
        let fields = shares[..FIELDS.len()].iter().map(|row| row[column]);
        fields.sum::<f64>() / FIELDS.len() as f64
    };
    let means = (
        "**fields, mean**".to_owned(),
        (0..=VOTERS.len()).map(mean).collect(),
    );
    let mut rows: Vec<(String, Vec<f64>)> = titles.into_iter().zip(shares.clone()).collect();
    rows.insert(FIELDS.len(), means);
    Accuracy { rows }
}

fn count(counts: &mut [[(u64, u64); 4]], column: usize, label: &Value, answer: &Value) {
    let right = FIELDS.map(|field| is_right(field, label, answer));
    let whole = right.iter().all(|right| *right);
    for (row, right) in counts.iter_mut().zip(right.into_iter().chain([whole])) {
        row[column].0 += u64::from(right);
        row[column].1 += 1;
    }
}

fn is_right(field: &str, label: &Value, answer: &Value) -> bool {
    let (Some(label), Some(said)) = (label.pointer(field), answer.pointer(field)) else {
        return false;
    };
    match (label, said) {
        (Value::Number(_), Value::Number(_)) if field == "/priority" => {
            let difference = label
                .as_f64()
                .zip(said.as_f64())
                .map(|(a, b)| (a - b).abs());
            difference.is_some_and(|difference| difference <= TOLERANCE)
        }
        // topics are a set
        (Value::Array(label), Value::Array(said)) => {
            label.len() == said.len() && label.iter().all(|topic| said.contains(topic))
        }
        _ => label == said,
    }
}

/// Polls on the category alone, stopped early.
#[derive(Debug)]
pub(crate) struct PollRow {
    pub(crate) title: String,
    /// Share of right winners.
    pub(crate) right: f64,
    /// Calls not made or cancelled, of all calls.
    pub(crate) saved: f64,
    /// Polls whose winner is not that of the full vote.
    pub(crate) differing: usize,
}

/// Polls of each size, by each count.
#[derive(Debug)]
pub(crate) struct Polls(pub(crate) Vec<PollRow>);

impl fmt::Display for Polls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = [
            "poll",
            "right",
            "calls saved",
            "winner differs from the full vote",
        ];
        let rows = self.0.iter().map(|row| {
            let percent = |share: f64| format!("{:.1} %", share * 100.0);
            let cells = vec![
                percent(row.right),
                percent(row.saved),
                row.differing.to_string(),
            ];
            (row.title.clone(), cells)
        });
        let table = Table {
            head: head.map(str::to_owned).into(),
            rows: rows.collect(),
        };
        table.fmt(f)
    }
}

/// Measures polls; each asks as few at once as can settle it.
pub(crate) async fn of_polls() -> Polls {
    let model: SharedModel = Arc::new(NoisyModel { seed: SEED });
    let mut rows = Vec::new();
    for (name, rule) in [
        ("majority", Rule::majority()),
        ("by confidence", Rule::by_confidence()),
    ] {
        for voters in VOTERS {
            let poll = || {
                Poll::samples(Arc::clone(&model), voters, CATEGORIES, rule).expect("a valid poll")
            };
            let at_once = NonZeroUsize::new(voters / 2 + 1).expect("more than none");
            let (early, full) = (poll().with_limit(at_once), poll().with_full_count());
            let mut row = PollRow {
                title: format!("{voters} voters, {name}"),
                right: 0.0,
                saved: 0.0,
                differing: 0,
            };
            for ticket in 0..TICKETS {
                let vote = early.ask(question(ticket)).await.expect("a vote").vote;
                let all = full.ask(question(ticket)).await.expect("a vote").vote;
                let right = label(ticket)["category"] == vote.winner.clone().unwrap_or_default();
                row.right += f64::from(u8::from(right)) / TICKETS as f64;
                row.saved += vote.calls_saved as f64 / (TICKETS as usize * voters) as f64;
                row.differing += usize::from(vote.winner != all.winner);
            }
            rows.push(row);
        }
    }
    Polls(rows)
}
