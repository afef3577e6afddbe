//! What a comparison of prompts and models found, read from the output of its run.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use antiphon_core::Usd;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::run::Variant;

/// A comparison over all rows that have a line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// One for each way to ask, in their order.
    pub variants: Vec<Scores>,
    /// The first rows, each with its answers side by side.
    pub rows: Vec<ComparedRow>,
}

/// What one way to ask gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Scores {
    /// The variant's name.
    pub name: String,
    /// Its model, where it names one.
    pub model: Option<String>,
    /// Its template, where it has one.
    pub prompt: Option<String>,
    /// Rows with an answer.
    pub answered: u64,
    /// Rows with an error.
    pub failed: u64,
    /// Time on the wire of the answering attempts.
    pub latency_ms: Spread,
    /// Tokens of all attempts; 0 where no provider told them.
    pub usage: TokenSums,
    /// Mean length of an answer in characters.
    pub mean_chars: Option<f64>,
    /// Cost of all attempts; `None` where that of any row is not known.
    pub cost_usd: Option<Usd>,
    /// Share of the rows, of those that both have answered, with the same answer as the first variant: the same text but
    /// for white space around it, or the same value where there is a schema. `None` for the first.
    pub agreement: Option<f64>,
}

/// Mean and 90th percentile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// Mean.
    pub mean: Option<f64>,
    /// 90th percentile (nearest rank).
    pub p90: Option<f64>,
}

/// Tokens in and out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TokenSums {
    /// Tokens of the requests.
    pub input_tokens: u64,
    /// Tokens of the answers.
    pub output_tokens: u64,
}

/// A row with its answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComparedRow {
    /// The row's `custom_id`, or `row-N`.
    pub id: String,
    /// An answer or error for each variant, in their order; `None` for one that has no line.
    pub answers: Vec<Option<Answered>>,
}

/// What stands in a row for a variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answered {
    /// The answer's text.
    Text(String),
    /// Why there is none.
    Error {
        /// As in the output.
        code: String,
        /// For people.
        message: String,
    },
}

/// An output line, as far as it is compared.
#[derive(Deserialize)]
struct Line {
    custom_id: String,
    error: Option<Failure>,
    antiphon: Details,
}

#[derive(Deserialize)]
struct Failure {
    code: String,
    message: String,
}

#[derive(Deserialize)]
struct Details {
    index: u64,
    text: Option<String>,
    parsed: Option<Value>,
    latency_ms: Option<f64>,
    usage: Option<TokenCounts>,
    cost_usd: Option<Usd>,
}

#[derive(Deserialize)]
struct TokenCounts {
    input_tokens: u64,
    output_tokens: u64,
}

/// Compares the lines of a run's output in input order. Of the first `rows` rows the answers are kept.
///
/// # Errors
/// The output cannot be read, or holds a line that no run has written.
pub fn compare(output: &Path, variants: &[Variant], rows: usize) -> io::Result<Comparison> {
    let mut tally = Tally::new(variants);
    let mut shown: Vec<ComparedRow> = Vec::new();
    let mut row = None;
    for line in BufReader::new(File::open(output)?).lines() {
        let line: Line = serde_json::from_str(&line?)?;
        let count = variants.len().max(1) as u64;
        let number = line.antiphon.index / count;
        if row != Some(number) {
            row = Some(number);
            tally.first = None;
            if shown.len() < rows {
                shown.push(ComparedRow {
                    id: String::new(),
                    answers: vec![None; variants.len()],
                });
            } else {
                // no further row is shown
                tally.is_shown = false;
            }
        }
        let place = usize::try_from(line.antiphon.index % count).unwrap_or_default();
        let Some(variant) = variants.get(place) else {
            continue;
        };
        if tally.is_shown
            && let Some(shown) = shown.last_mut()
        {
            let suffix = format!(":{}", variant.name);
            let id = line.custom_id.strip_suffix(&suffix);
            id.unwrap_or(&line.custom_id).clone_into(&mut shown.id);
            shown.answers[place] = Some(answered(&line));
        }
        tally.count(place, line);
    }
    Ok(Comparison {
        variants: tally.finish(),
        rows: shown,
    })
}

fn answered(line: &Line) -> Answered {
    match &line.error {
        Some(error) => Answered::Error {
            code: error.code.clone(),
            message: error.message.clone(),
        },
        None => Answered::Text(line.antiphon.text.clone().unwrap_or_default()),
    }
}

struct Tally {
    scores: Vec<Scores>,
    latencies: Vec<Vec<f64>>,
    chars: Vec<u64>,
    /// Rows that the first variant has answered, too; and of these those with the same answer.
    both: Vec<u64>,
    same: Vec<u64>,
    /// The first variant's answer to the row.
    first: Option<(String, Option<Value>)>,
    is_shown: bool,
}

impl Tally {
    fn new(variants: &[Variant]) -> Self {
        let scores = variants.iter().map(|variant| Scores {
            name: variant.name.clone(),
            model: variant.model.clone(),
            prompt: variant.prompt.clone(),
            cost_usd: Some(Usd::ZERO),
            ..Scores::default()
        });
        Self {
            scores: scores.collect(),
            latencies: vec![Vec::new(); variants.len()],
            chars: vec![0; variants.len()],
            both: vec![0; variants.len()],
            same: vec![0; variants.len()],
            first: None,
            is_shown: true,
        }
    }

    fn count(&mut self, place: usize, line: Line) {
        let scores = &mut self.scores[place];
        let details = line.antiphon;
        if let Some(usage) = details.usage {
            scores.usage.input_tokens += usage.input_tokens;
            scores.usage.output_tokens += usage.output_tokens;
        }
        let cost = scores.cost_usd.zip(details.cost_usd);
        scores.cost_usd = cost.map(|(sum, cost)| sum + cost);
        if line.error.is_some() {
            scores.failed += 1;
            return;
        }
        scores.answered += 1;
        self.latencies[place].extend(details.latency_ms);
        let text = details.text.unwrap_or_default().trim().to_owned();
        self.chars[place] += text.chars().count() as u64;
        if place == 0 {
            self.first = Some((text, details.parsed));
        } else if let Some((first_text, first_value)) = &self.first {
            self.both[place] += 1;
            let same = match (first_value, &details.parsed) {
                (Some(first), Some(value)) => first == value,
                _ => *first_text == text,
            };
            self.same[place] += u64::from(same);
        }
    }

    fn finish(self) -> Vec<Scores> {
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let mut scores = self.scores;
        let sums = self.latencies.into_iter().zip(self.chars);
        for (place, (scores, (latencies, chars))) in scores.iter_mut().zip(sums).enumerate() {
            scores.latency_ms = spread(latencies);
            scores.mean_chars = share(chars, scores.answered);
            scores.agreement = share(self.same[place], self.both[place]);
        }
        scores
    }
}

fn spread(mut values: Vec<f64>) -> Spread {
    values.sort_by(f64::total_cmp);
    let rounded = |value: f64| (value * 1e3).round() / 1e3;
    let rank = (values.len() * 9).div_ceil(10);
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    Spread {
        mean: (!values.is_empty()).then(|| rounded(mean)),
        p90: values
            .get(rank.saturating_sub(1))
            .map(|value| rounded(*value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn variant(name: &str) -> Variant {
        Variant {
            name: name.to_owned(),
            model: None,
            prompt: None,
        }
    }

    fn line(index: u64, id: &str, answer: Result<(&str, Value, f64), &str>) -> String {
        let (text, parsed, latency) = match &answer {
            Ok((text, parsed, latency)) => (Some(*text), parsed.clone(), Some(*latency)),
            Err(_) => (None, Value::Null, None),
        };
        let error = answer
            .err()
            .map(|code| json!({"code": code, "message": "m"}));
        let usage = json!({"input_tokens": 10, "output_tokens": 2});
        json!({"custom_id": id, "error": error, "antiphon": {"index": index, "text": text, "parsed": parsed,
            "latency_ms": latency, "usage": usage}})
        .to_string()
    }

    #[test]
    fn variants_are_counted_and_compared_with_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        let none = Value::Null;
        let lines = [
            line(0, "x:a", Ok(("yes", none.clone(), 1.0))),
            line(1, "x:b", Ok((" yes\n", none.clone(), 10.0))),
            line(2, "y:a", Ok(("{\"v\":1}", json!({"v": 1}), 2.0))),
            line(3, "y:b", Ok(("{ \"v\": 1 }", json!({"v": 1}), 30.0))),
            line(4, "z:a", Ok(("no", none.clone(), 3.0))),
            line(5, "z:b", Ok(("maybe", none.clone(), 20.0))),
            // the first variant's answer to another row is not this row's
            line(6, "f:a", Err("timeout")),
            line(7, "f:b", Ok(("no", none, 40.0))),
            // a run that was stopped leaves gaps
            line(9, "g:b", Err("refused")),
        ];
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        let found = compare(&path, &[variant("a"), variant("b")], 2).unwrap();
        let [a, b] = &found.variants[..] else {
            panic!("two variants")
        };
        assert_eq!((a.answered, a.failed, b.answered, b.failed), (3, 1, 4, 1));
        assert_eq!(a.agreement, None);
        assert_eq!(b.agreement, Some(2.0 / 3.0));
        assert_eq!(
            (a.latency_ms.mean, a.latency_ms.p90),
            (Some(2.0), Some(3.0))
        );
        assert_eq!(
            (b.latency_ms.mean, b.latency_ms.p90),
            (Some(25.0), Some(40.0))
        );
        assert_eq!(a.usage.input_tokens, 40);
        assert_eq!(a.mean_chars, Some(4.0));
        let ids: Vec<&str> = found.rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, ["x", "y"]);
        assert_eq!(
            found.rows[0].answers,
            [
                Some(Answered::Text("yes".to_owned())),
                Some(Answered::Text(" yes\n".to_owned())),
            ]
        );
    }

    #[test]
    fn the_90th_percentile_is_the_nearest_rank() {
        let spread = |count: u32| spread((1..=count).map(f64::from).collect());
        assert_eq!(spread(0), Spread::default());
        assert_eq!(spread(1).p90, Some(1.0));
        assert_eq!(spread(10).p90, Some(9.0));
        assert_eq!(spread(11).p90, Some(10.0));
    }
}
