//! A file's reviews as they are told.

use antiphon::core::{
    Error,
    patterns::{
        Aggregate, Expense, PanelReview, Point, Recommendation, ReviewError, RoleReview, Synthesis,
    },
};
use serde_json::{Value, json};

use super::super::asking::error_as_json;
use crate::words;

type Outcome = Result<PanelReview, ReviewError>;

/// A table of the roles, what they say together, and the review made of theirs.
pub(super) fn as_text(file: &str, outcome: &Outcome) -> String {
    let mut text = format!("==> {file} <==\n");
    match outcome {
        Ok(review) => {
            text.push_str(&table(&review.reviews));
            text.push_str(&together(&review.aggregate));
            text.push_str(&synthesis(review.synthesis.as_ref()));
        }
        Err(ReviewError::AllFailed(reviews, _)) => text.push_str(&table(reviews)),
        Err(error) => text.push_str(&format!("failed: {}\n", one_line(&error.to_string()))),
    }
    text
}

fn table(reviews: &[RoleReview]) -> String {
    let names = reviews.iter().map(|review| one_line(&review.role));
    let names = names.map(|name| name.chars().count());
    let width = names.chain(["role".len()]).max().unwrap_or_default();
    let mut table = format!("{:<width$}  score  recommendation\n", "role");
    for review in reviews {
        let role = one_line(&review.role);
        table.push_str(&match &review.outcome {
            Ok(said) => format!(
                "{role:<width$}  {:>5}  {}\n",
                said.score,
                word(said.recommendation)
            ),
            Err(error) => format!("{role:<width$}  {:>5}  failed: {}\n", "-", why(error)),
        });
    }
    table
}

fn together(aggregate: &Aggregate) -> String {
    let mut text = format!("\nmean score {:.1}", aggregate.mean_score);
    if aggregate.spread() > 0 {
        let (lowest, highest) = (aggregate.lowest_score, aggregate.highest_score);
        text.push_str(&format!(" ({lowest} to {highest})"));
    }
    let agreement = 100.0 * aggregate.agreement;
    let recommendation = word(aggregate.recommendation);
    text.push_str(&format!(
        " · {recommendation} · agreement {agreement:.0}%\n"
    ));
    for (title, mark, points) in [
        ("strengths", '+', &aggregate.strengths),
        ("weaknesses", '-', &aggregate.weaknesses),
    ] {
        if points.is_empty() {
            continue;
        }
        text.push_str(&format!("\n{title}\n"));
        for Point { text: point, roles } in points {
            let (point, roles) = (one_line(point), one_line(&roles.join(", ")));
            text.push_str(&format!("  {mark} {point} ({roles})\n"));
        }
    }
    text
}

fn synthesis(synthesis: Option<&Result<Synthesis, Error>>) -> String {
    let said = match synthesis {
        None => return String::new(),
        Some(Err(error)) => return format!("\nsynthesis failed: {}\n", why(error)),
        Some(Ok(said)) => said,
    };
    let mut text = format!(
        "\nsynthesis: score {} · {}\n  {}\n",
        said.score,
        word(said.recommendation),
        one_line(&said.summary)
    );
    for (mark, points) in [('+', &said.strengths), ('-', &said.weaknesses)] {
        for point in points {
            text.push_str(&format!("  {mark} {}\n", one_line(point)));
        }
    }
    text
}

/// Each point stands on its own line, so that no text can look like another row.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

fn why(error: &Error) -> String {
    format!("{}: {}", error.kind(), one_line(error.message()))
}

fn word(recommendation: Recommendation) -> &'static str {
    match recommendation {
        Recommendation::Approve => "approve",
        Recommendation::Revise => "revise",
        Recommendation::Reject => "reject",
    }
}

/// What the calls took.
pub(super) fn spent(outcome: &Outcome) -> Expense {
    match outcome {
        Ok(review) => review.spent,
        Err(error) => error.spent(),
    }
}

/// One line of facts.
pub(super) fn what_it_took(file: &str, outcome: &Outcome) -> String {
    let spent = spent(outcome);
    let tokens = match spent.usage() {
        Some(usage) => words::tokens(&usage),
        None => "tokens unknown".to_owned(),
    };
    let calls = words::several(spent.calls, "call", "calls");
    let mut facts = vec![file.to_owned(), calls, tokens, words::cost(&spent.spent)];
    facts.extend(words::impacts(&spent.spent));
    if spent.attempts > spent.calls {
        facts.push(format!("{} attempts", words::count(spent.attempts)));
    }
    facts.join(" · ")
}

/// An object with the same fields whatever became of the file.
pub(super) fn as_json(file: &str, outcome: &Outcome) -> Value {
    let (reviews, aggregate, synthesis, error) = match outcome {
        Ok(review) => (
            review.reviews.as_slice(),
            Some(&review.aggregate),
            review.synthesis.as_ref(),
            Value::Null,
        ),
        Err(error) => {
            let reviews = error.reviews();
            let first = reviews.iter().find_map(|role| role.outcome.as_ref().err());
            let code = first.map_or("bad_request", |error| error.kind().code());
            let error = json!({"code": code, "message": error.to_string()});
            (reviews, None, None, error)
        }
    };
    let spent = spent(outcome);
    let roles: Vec<Value> = reviews.iter().map(role_as_json).collect();
    let [energy, carbon] = words::impacts_as_json(&spent.spent);
    json!({
        "file": file,
        "roles": roles,
        "aggregate": aggregate,
        "synthesis": synthesis.and_then(|said| said.as_ref().ok()),
        "synthesis_error": synthesis.and_then(|said| said.as_ref().err()).map(error_as_json),
        "error": error,
        "calls": spent.calls,
        "attempts": spent.attempts,
        "usage": spent.usage(),
        "cost_usd": spent.cost(),
        "energy_kwh": energy,
        "gwp_kgco2eq": carbon,
    })
}

fn role_as_json(review: &RoleReview) -> Value {
    let said = review.outcome.as_ref().ok();
    json!({
        "role": review.role,
        "score": said.map(|said| said.score),
        "recommendation": said.map(|said| said.recommendation),
        "strengths": said.map(|said| &said.strengths),
        "weaknesses": said.map(|said| &said.weaknesses),
        "error": review.outcome.as_ref().err().map(error_as_json),
    })
}
