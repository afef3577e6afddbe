//! An answer as it is told: its text, the facts about it, its JSON.

use std::time::Duration;

use antiphon::core::{Error, FinishReason, Reply, Schema};
use serde_json::{Value, json};

use super::super::asking::error_as_json;
use crate::words;

/// The answer's text, or the words with which it was declined, with a newline at its end; with a schema its value.
pub(super) fn as_line(reply: &Reply, schema: Option<&Schema>) -> String {
    let mut line = match parsed(reply, schema) {
        Some(value) => value.to_string(),
        None => words_of(reply).to_owned(),
    };
    if !line.ends_with('\n') {
        line.push('\n');
    }
    line
}

fn parsed(reply: &Reply, schema: Option<&Schema>) -> Option<Value> {
    schema?.read(reply.text()).ok()
}

fn words_of(reply: &Reply) -> &str {
    match &reply.answer.refusal {
        Some(refusal) if reply.text().is_empty() => refusal,
        _ => reply.text(),
    }
}

/// One line: who answered, how long it took, what it used, and what is unusual about it.
pub(super) fn facts(name: &str, label: &str, reply: &Reply, took: Duration) -> String {
    let (head, answer) = (&reply.head, &reply.answer);
    let mut facts = vec![label.to_owned()];
    if !head.model.is_empty() && head.model != name {
        facts.push(format!("answered by {}", head.model));
    }
    facts.push(words::duration(took));
    facts.push(match reply.usage() {
        Some(usage) => words::tokens(&usage),
        None => "tokens unknown".to_owned(),
    });
    facts.push("cost unknown".to_owned());
    if head.attempts > 1 {
        facts.push(format!("{} attempts", head.attempts));
    }
    if answer.is_refusal() {
        facts.push("declined".to_owned());
    } else if answer.finish_reason == FinishReason::Length {
        facts.push("cut off at its length limit".to_owned());
    }
    if !answer.tool_calls.is_empty() {
        let calls = answer.tool_calls.iter();
        let calls: Vec<String> = calls
            .map(|c| format!("{}({})", c.name, c.arguments))
            .collect();
        facts.push(format!("calls {}", calls.join(", ")));
    }
    if !head.dropped.is_empty() {
        facts.push(format!("cannot take {}: left out", head.dropped.join(", ")));
    }
    facts.join(" · ")
}

/// One line: `timeout: no answer within 60s`.
pub(super) fn why(error: &Error) -> String {
    let message: Vec<&str> = error.message().split_whitespace().collect();
    let mut why = format!("{}: {}", error.kind(), message.join(" "));
    if error.attempts() > 1 {
        why.push_str(&format!(" ({} attempts)", error.attempts()));
    }
    why
}

/// An entry of `answers`: the same fields whatever became of the call.
pub(super) fn as_json(
    model: &str,
    outcome: &Result<Reply, Error>,
    schema: Option<&Schema>,
) -> Value {
    match outcome {
        Ok(reply) => json!({
            "model": model,
            "text": words_of(reply),
            "parsed": parsed(reply, schema),
            "finish_reason": reply.answer.finish_reason.as_str(),
            "usage": reply.usage(),
            "latency_ms": milliseconds(reply.answer.latency),
            "cost_usd": null,
            "error": null,
        }),
        Err(error) => json!({
            "model": model,
            "text": null,
            "parsed": null,
            "finish_reason": null,
            "usage": error.usage(),
            "latency_ms": null,
            "cost_usd": null,
            "error": error_as_json(error),
        }),
    }
}

/// To the microsecond, as in output files.
fn milliseconds(latency: Duration) -> f64 {
    (latency.as_secs_f64() * 1e6).round() / 1e3
}
