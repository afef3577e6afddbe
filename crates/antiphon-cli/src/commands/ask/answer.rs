//! An answer as it is told: its text, the facts about it, its JSON.

use std::time::Duration;

use antiphon::core::{Error, FinishReason, Reply, Schema, chat::Gathered};
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
    facts.push(words::cost(&reply.spent()));
    facts.extend(words::impacts(&reply.spent()));
    if head.attempts > 1 {
        facts.push(format!("{} attempts", head.attempts));
    }
    facts.extend(head.gathered.as_deref().and_then(behind));
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

/// What stands behind an answer of several calls: `the judge's choice of 2 answers, 1 of 3 members failed`.
fn behind(gathered: &Gathered) -> Option<String> {
    let members = &gathered.members;
    let answers = members.iter().filter(|member| member.error.is_none());
    let failed = members.iter().filter(|member| {
        let error = member.error.as_ref();
        error.is_some_and(|error| !error.is_cancelled())
    });
    let by = gathered.decision.as_ref().map(|decision| &*decision.by);
    let mut said = Vec::new();
    let how = match by {
        Some("decide") => Some("decided from"),
        Some("judge") => Some("the judge's choice of"),
        Some("synthesize") => Some("merged from"),
        Some("vote") => Some("voted from"),
        _ => None,
    };
    if let Some(how) = how {
        let answers = words::several(answers.count() as u64, "answer", "answers");
        said.push(format!("{how} {answers}"));
    }
    let failed = failed.count();
    if failed > 0 {
        let members = words::several(members.len() as u64, "member", "members");
        said.push(format!("{failed} of {members} failed"));
    }
    (!said.is_empty()).then(|| said.join(", "))
}

/// Why an answer is not what was asked for, though it is one: it was not decided on, or stands in for one.
pub(super) fn doubt(label: &str, reply: &Reply) -> Option<String> {
    let decision = reply.decision()?;
    let failure = one_line(decision.failure.as_deref()?);
    Some(match decision.by.as_str() {
        "rescue" => format!("{label}: the answer is its rescue text: {failure}"),
        _ => format!("{label}: {failure}"),
    })
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

/// One line: `timeout: no answer within 60s`.
pub(super) fn why(error: &Error) -> String {
    let mut why = format!("{}: {}", error.kind(), one_line(error.message()));
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
    let spent = match outcome {
        Ok(reply) => reply.spent(),
        Err(error) => error.spent(),
    };
    let [energy, carbon] = words::impacts_as_json(&spent);
    match outcome {
        Ok(reply) => json!({
            "model": model,
            "text": words_of(reply),
            "parsed": parsed(reply, schema),
            "finish_reason": reply.answer.finish_reason.as_str(),
            "usage": reply.usage(),
            "latency_ms": milliseconds(reply.answer.latency),
            "cost_usd": spent.cost(),
            "energy_kwh": energy,
            "gwp_kgco2eq": carbon,
            "members": reply.head.gathered.as_ref().map(|gathered| &gathered.members),
            "decision": reply.decision(),
            "error": null,
        }),
        Err(error) => json!({
            "model": model,
            "text": null,
            "parsed": null,
            "finish_reason": null,
            "usage": error.usage(),
            "latency_ms": null,
            "cost_usd": spent.cost(),
            "energy_kwh": energy,
            "gwp_kgco2eq": carbon,
            "members": null,
            "decision": null,
            "error": error_as_json(error),
        }),
    }
}

/// To the microsecond, as in output files.
fn milliseconds(latency: Duration) -> f64 {
    (latency.as_secs_f64() * 1e6).round() / 1e3
}
