//! Builds the lasting part of an output line.

use serde::Serialize;
use serde_json::value::RawValue;

use super::ledger::{Outcome, OutputRow};
use crate::{Answer, Error, FinishReason, Head, Usage, chat::Schema};

#[derive(Serialize)]
struct Response<'a> {
    status_code: u16,
    request_id: Option<&'a str>,
    body: &'a RawValue,
}

#[derive(Serialize)]
struct Failure<'a> {
    code: &'a str,
    message: &'a str,
}

/// The `antiphon` object after `index`. Prices and carbon are unknown until there is a catalogue: `null`, never 0.
#[derive(Serialize)]
struct Details<'a> {
    model: &'a str,
    text: Option<&'a str>,
    parsed: Option<serde_json::Value>,
    finish_reason: Option<&'a str>,
    attempts: u32,
    latency_ms: Option<f64>,
    usage: Option<Usage>,
    cost_usd: Option<f64>,
    energy_kwh: Option<f64>,
    gwp_kgco2eq: Option<f64>,
    cached: bool,
    dropped: &'a [String],
    members: Option<()>,
}

impl Outcome {
    /// The outcome of an answered call.
    pub fn answered(head: &Head, answer: &Answer, schema: Option<&Schema>) -> Self {
        let shared = head.attempts == 0;
        let mut usage = head.earlier_usage;
        if !shared {
            usage += answer.usage.unwrap_or_default();
        }
        let details = Details {
            model: &head.model,
            text: Some(&answer.text),
            parsed: schema.and_then(|schema| schema.read(&answer.text).ok()),
            finish_reason: Some(answer.finish_reason.as_str()),
            attempts: head.attempts,
            latency_ms: Some(milliseconds(answer.latency)),
            usage: (answer.usage.is_some() || head.earlier_usage.total() > 0).then_some(usage),
            cost_usd: None,
            energy_kwh: None,
            gwp_kgco2eq: None,
            cached: shared,
            dropped: &head.dropped,
            members: None,
        };
        Self {
            error: None,
            attempts: head.attempts,
            // OpenAI's refusals stop in order
            finish: Some(if answer.is_refusal() {
                FinishReason::ContentFilter
            } else {
                answer.finish_reason.clone()
            }),
            usage,
            latency_us: u64::try_from(answer.latency.as_micros()).unwrap_or(u64::MAX),
            head: format!(
                "\"response\":{},\"error\":null",
                response(head.status, head.request_id.as_deref(), &answer.body)
            ),
            details: members(&details),
        }
    }

    /// The outcome of a call that failed for good, or of a line that is no request.
    pub fn failed(model: &str, error: &Error) -> Self {
        let last_answer = error.status().map_or_else(
            || "null".to_owned(),
            |status| {
                let body = error.body().map_or(&b""[..], |body| body);
                response(status, error.request_id(), body)
            },
        );
        let failure = Failure {
            code: error.kind().code(),
            message: error.message(),
        };
        let usage = error.usage();
        let details = Details {
            model,
            text: None,
            parsed: None,
            finish_reason: None,
            attempts: error.attempts(),
            latency_ms: None,
            usage,
            cost_usd: None,
            energy_kwh: None,
            gwp_kgco2eq: None,
            cached: false,
            dropped: &[],
            members: None,
        };
        Self {
            error: Some(error.kind()),
            attempts: error.attempts(),
            finish: None,
            usage: usage.unwrap_or_default(),
            latency_us: 0,
            head: format!("\"response\":{last_answer},\"error\":{}", json(&failure)),
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

fn response(status_code: u16, request_id: Option<&str>, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    // what is not JSON (an HTML page of a proxy) is kept as a string
    let raw = match RawValue::from_string(one_line(&text)) {
        Ok(raw) => raw,
        Err(_) if text.is_empty() => RawValue::NULL.to_owned(),
        Err(_) => match serde_json::value::to_raw_value(&text) {
            Ok(raw) => raw,
            Err(_) => RawValue::NULL.to_owned(),
        },
    };
    json(&Response {
        status_code,
        request_id,
        body: &raw,
    })
}

/// In valid JSON a raw line end can only be white space between tokens.
fn one_line(text: &str) -> String {
    text.trim().replace(['\n', '\r'], " ")
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
