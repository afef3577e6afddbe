//! A call as a line.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::observe::{CallEnded, Outcome, short};

/// The line of a call, with its end. Everything that others wrote is escaped, so that a terminal shows it and does not
/// obey it.
pub(super) fn of(end: &CallEnded) -> String {
    let mut line = escaped(&Value::Object(fields(end)).to_string());
    line.push('\n');
    line
}

fn fields(end: &CallEnded) -> Map<String, Value> {
    let call = &end.call;
    let time = Timestamp::try_from(call.at).unwrap_or_default();
    let (outcome, code) = match end.outcome {
        Outcome::Answered => ("answered", None),
        Outcome::Failed(kind) => ("failed", Some(kind.code())),
        Outcome::HungUp => ("hung_up", None),
    };
    let usage = end.spent.usage();
    let after = end.first_piece.filter(|_| call.is_streamed);
    let text = |text: &Option<_>| text.as_deref().map(short).map(str::to_owned);
    let line = json!({
        "time": format!("{time:.3}"),
        "id": &*call.id,
        "caller": text(&call.caller),
        "remote": call.remote.map(|remote| remote.to_string()),
        "wire": call.wire,
        "asked": short(&call.asked),
        "model": text(&end.model),
        "stream": call.is_streamed,
        "status": end.status,
        "outcome": outcome,
        "error": code,
        "took_ms": millis(end.took),
        "first_token_ms": after.map(millis),
        "input_tokens": usage.map(|usage| usage.input_tokens),
        "output_tokens": usage.map(|usage| usage.output_tokens),
        "cached_input_tokens": usage.map(|usage| usage.cached_input_tokens),
        "reasoning_tokens": usage.map(|usage| usage.reasoning_tokens),
        "cost_usd": end.spent.cost(),
        "attempts": end.attempts,
        "cached": end.is_cached,
        "finish_reason": text(&end.finish_reason),
        "upstream_id": text(&end.upstream_id),
        "trace_id": call.span.as_ref().map(crate::observe::CallSpan::trace_id),
    });
    let Value::Object(mut fields) = line else {
        return Map::new();
    };
    if let Some(content) = &end.content {
        fields.insert("messages".to_owned(), content.messages.clone());
        fields.insert("answer".to_owned(), content.answer.as_str().into());
    }
    fields
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// JSON leaves DEL and the second set of control characters as they are, among them one that begins commands to a
/// terminal (U+009B). They can only stand in texts, where they may be escaped.
fn escaped(json: &str) -> String {
    let mut line = String::with_capacity(json.len() + 1);
    for char in json.chars() {
        match char {
            '\u{7f}'..='\u{9f}' => line.push_str(&format!("\\u{:04x}", u32::from(char))),
            _ => line.push(char),
        }
    }
    line
}
