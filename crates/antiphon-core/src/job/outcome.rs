//! Builds the lasting part of an output line.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::ledger::{Outcome, OutputRow};
use crate::{
    Answer, Error, FinishReason, Head, Schema, Spent, Usage, Usd,
    account::Range,
    chat::{Decision, Member},
};

#[derive(Serialize)]
struct Failure<'a> {
    code: &'a str,
    message: &'a str,
}

/// The `antiphon` object after `index`. What is unknown is `null`, never 0.
#[derive(Serialize)]
struct Details<'a> {
    model: &'a str,
    text: Option<&'a str>,
    parsed: Option<serde_json::Value>,
    finish_reason: Option<&'a str>,
    attempts: u32,
    latency_ms: Option<f64>,
    usage: Option<Usage>,
    cost_usd: Option<Usd>,
    energy_kwh: Option<Range>,
    gwp_kgco2eq: Option<Range>,
    cached: bool,
    dropped: &'a [String],
    members: Option<&'a [Member]>,
    /// Only where members' answers became one.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'a Decision>,
}

impl Outcome {
    /// The outcome of an answered call.
    pub fn answered(head: &Head, answer: &Answer, schema: Option<&Schema>) -> Self {
        // somebody else's call, or an earlier run's, has paid for it
        let shared = head.cached;
        // an answer all of whose parts an earlier run had recorded took an attempt then; none at all marks a shared one, unless
        // models that were asked before had failed
        let attempts = if shared {
            head.attempts
        } else {
            head.attempts.max(1)
        };
        let spent = head.spent_on(answer.spent);
        let usage = spent.usage().or(shared.then(Usage::default));
        let impacts = spent.impacts();
        let gathered = head.gathered.as_deref();
        let details = Details {
            model: &head.model,
            text: Some(&answer.text),
            parsed: schema.and_then(|schema| schema.read(&answer.text).ok()),
            finish_reason: Some(answer.finish_reason.as_str()),
            attempts,
            latency_ms: (!shared).then(|| milliseconds(answer.latency)),
            usage,
            cost_usd: spent.cost(),
            energy_kwh: impacts.map(|impacts| impacts.energy_kwh),
            gwp_kgco2eq: impacts.map(|impacts| impacts.gwp_kgco2eq),
            cached: shared,
            dropped: &head.dropped,
            members: gathered.map(|gathered| gathered.members.as_slice()),
            decision: gathered.and_then(|gathered| gathered.decision.as_ref()),
        };
        Self {
            error: None,
            attempts,
            // OpenAI's refusals stop in order
            finish: Some(if answer.is_refusal() {
                FinishReason::ContentFilter
            } else {
                answer.finish_reason.clone()
            }),
            usage: usage.unwrap_or_default(),
            cost: spent.cost(),
            latency_us: if shared {
                0
            } else {
                u64::try_from(answer.latency.as_micros()).unwrap_or(u64::MAX)
            },
            head: head_of(
                head.status,
                head.request_id.as_deref(),
                &own_body(&answer.body),
                "null",
            ),
            details: members(&details),
        }
    }

    /// The outcome of a call that failed for good, or of a line that is no request.
    pub fn failed(model: &str, error: &Error) -> Self {
        let failure = json(&Failure {
            code: error.kind().code(),
            message: error.message(),
        });
        let head = match error.status() {
            None => format!("\"response\":null,\"error\":{failure}"),
            Some(status) => {
                let body = foreign_body(error.body().map_or(&b""[..], |body| body));
                head_of(status, error.request_id(), &body, &failure)
            }
        };
        let spent: Spent = error.spent();
        let impacts = spent.impacts();
        let details = Details {
            model,
            text: None,
            parsed: None,
            finish_reason: None,
            attempts: error.attempts(),
            latency_ms: None,
            usage: spent.usage(),
            cost_usd: spent.cost(),
            energy_kwh: impacts.map(|impacts| impacts.energy_kwh),
            gwp_kgco2eq: impacts.map(|impacts| impacts.gwp_kgco2eq),
            cached: false,
            dropped: &[],
            members: None,
            decision: None,
        };
        Self {
            error: Some(error.kind()),
            attempts: error.attempts(),
            finish: None,
            usage: spent.usage().unwrap_or_default(),
            cost: spent.cost(),
            latency_us: 0,
            head,
            details: members(&details),
        }
    }
}

impl OutputRow {
    /// Writes the line, newline included.
    pub fn write_line(&self, line: &mut Vec<u8>) {
        line.extend_from_slice(b"{\"id\":");
        push_json(line, &self.id);
        line.extend_from_slice(b",\"custom_id\":");
        push_json(line, &self.custom_id);
        line.push(b',');
        line.extend_from_slice(self.outcome.head.as_bytes());
        line.extend_from_slice(b",\"antiphon\":{\"index\":");
        line.extend_from_slice(self.index.to_string().as_bytes());
        line.push(b',');
        line.extend_from_slice(self.outcome.details.as_bytes());
        line.push(b'}');
        if let Some(input) = &self.input {
            line.extend_from_slice(b",\"input\":");
            line.extend_from_slice(input.as_bytes());
        }
        line.extend_from_slice(b"}\n");
    }
}

/// The members `response` and `error` of a line, from pieces of JSON.
fn head_of(status: u16, request_id: Option<&str>, body: &str, error: &str) -> String {
    let mut head = String::with_capacity(body.len() + error.len() + 128);
    head.push_str("\"response\":{\"status_code\":");
    head.push_str(&status.to_string());
    head.push_str(",\"request_id\":");
    head.push_str(&json(&request_id));
    head.push_str(",\"body\":");
    head.push_str(body);
    head.push_str("},\"error\":");
    head.push_str(error);
    head
}

/// The body of an answer: JSON as its provider wrote it, on one line.
fn own_body(body: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(body).map(one_line) {
        Ok(body) if !body.is_empty() => body,
        _ => Cow::Borrowed("null"),
    }
}

/// The body of a failed answer, which may be anything: what is not JSON (an HTML page of a proxy) becomes a string.
fn foreign_body(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    if text.trim().is_empty() {
        return "null".to_owned();
    }
    match RawValue::from_string(one_line(&text).into_owned()) {
        Ok(raw) => raw.get().to_owned(),
        Err(_) => json(&text),
    }
}

/// In valid JSON a raw line end can only be white space between tokens.
fn one_line(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    match text.contains(['\n', '\r']) {
        true => Cow::Owned(text.replace(['\n', '\r'], " ")),
        false => Cow::Borrowed(text),
    }
}

fn json(value: &impl Serialize) -> String {
    // serialising plain strings and numbers to memory cannot fail
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

fn push_json(line: &mut Vec<u8>, text: &str) {
    if serde_json::to_writer(&mut *line, text).is_err() {
        line.extend_from_slice(b"null");
    }
}

fn members(details: &Details<'_>) -> String {
    let mut object = json(details);
    object.pop();
    object.remove(0);
    object
}

fn milliseconds(latency: std::time::Duration) -> f64 {
    (latency.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_becomes_one_line_of_the_same_json() {
        let cases = [
            ("{\"a\":1}", "{\"a\":1}"),
            ("\n {\"a\":1}\r\n", "{\"a\":1}"),
            ("{\n  \"a\": \"x\\ny\"\r\n}", "{   \"a\": \"x\\ny\"  }"),
            ("", "null"),
        ];
        for (body, expected) in cases {
            assert_eq!(own_body(body.as_bytes()), expected);
        }
    }
}
