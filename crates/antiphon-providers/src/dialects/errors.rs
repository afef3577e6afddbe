//! Errors of all providers, classified once: words and phrases in tables, then the status.
//!
//! One table serves every dialect: the words do not collide, and proxies answer in words of vendors they stand before.

mod excerpt;

use std::{borrow::Cow, time::SystemTime};

use antiphon_core::{Error, ErrorKind};
use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{limits, redact::redact};

pub use excerpt::body_excerpt;
use excerpt::clean;

use ErrorKind::{
    Auth, BadRequest, BadResponse, ContextLength, ModelNotFound, Overloaded, QuotaExhausted,
    RateLimited, Refused, ServerError, Timeout,
};

/// Values of `code` and `type` that say more than the status does.
const WORDS: [(&str, ErrorKind); 16] = [
    ("insufficient_quota", QuotaExhausted),
    ("billing_hard_limit_reached", QuotaExhausted),
    ("billing_not_active", QuotaExhausted),
    ("billing_error", QuotaExhausted),
    ("context_length_exceeded", ContextLength),
    // llama.cpp
    ("exceed_context_size_error", ContextLength),
    ("content_filter", Refused),
    ("content_policy_violation", Refused),
    ("invalid_api_key", Auth),
    ("authentication_error", Auth),
    ("permission_error", Auth),
    ("model_not_found", ModelNotFound),
    ("not_found_error", ModelNotFound),
    ("overloaded_error", Overloaded),
    ("rate_limit_exceeded", RateLimited),
    ("rate_limit_error", RateLimited),
];

/// Words that decide only where there is no failing status: beside one they are generic, and errors in a stream have none.
const WORDS_WITHOUT_STATUS: [(&str, ErrorKind); 10] = [
    ("invalid_request_error", BadRequest),
    ("request_too_large", BadRequest),
    ("badrequesterror", BadRequest),
    ("tokens", RateLimited),
    ("requests", RateLimited),
    ("service_unavailable", Overloaded),
    ("unavailable_error", Overloaded),
    ("timeout_error", Timeout),
    ("api_error", ServerError),
    ("server_error", ServerError),
];

/// Phrases of messages, lower case, for vendors whose words are too general; only beside a 400 or no status, since
/// a 429 may mention limits of every sort.
const PHRASES: [(&str, ErrorKind); 7] = [
    ("prompt is too long", ContextLength),
    ("exceed context limit", ContextLength),
    ("maximum context length", ContextLength),
    ("exceeds the available context size", ContextLength),
    ("credit balance is too low", QuotaExhausted),
    ("spend limit", QuotaExhausted),
    ("specified api usage limits", QuotaExhausted),
];

/// Anthropic's 429 of an empty account: `{organization,workspace,…}_spend_limit_reached`.
const QUOTA_SUFFIX: &str = "spend_limit_reached";

/// What is known of an answer before its body.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// Wall time when the head came.
    pub received: SystemTime,
}

impl ResponseHead<'_> {
    /// The provider's id of the request.
    pub fn request_id(&self) -> Option<String> {
        ["x-request-id", "request-id"]
            .iter()
            .find_map(|name| self.headers.get(*name)?.to_str().ok())
            .map(str::to_owned)
    }

    /// Adds to an error what the head tells: status, request id, delay, `x-should-retry`.
    pub fn stamp(&self, error: Error) -> Error {
        let should_retry = match self.headers.get("x-should-retry").map(|v| v.as_bytes()) {
            Some(b"true") => Some(true),
            Some(b"false") => Some(false),
            _ => None,
        };
        error
            .with_status(self.status)
            .with_request_id(self.request_id())
            .with_retry_after(limits::retry_after(self.headers, self.received))
            .with_should_retry(should_retry)
    }
}

/// Classifies an answer that is not a success (or whose body is an error in spite of a 200).
///
/// Message and body are free of anything that looks like a key.
pub fn classify(head: &ResponseHead<'_>, body: &Bytes) -> Error {
    let body = redacted(body);
    if (300..400).contains(&head.status) {
        let whereto = redirect_host(head.headers);
        let message = format!("the server redirects to {whereto}; redirects are not followed");
        return head.stamp(Error::new(BadResponse, message).with_body(body));
    }
    let told = Told::read(&body);
    let kind = told.kind(Some(head.status).filter(|status| *status >= 400));
    let message = match told.message {
        Some(message) => message,
        None => format!("the server answered with status {}", head.status),
    };
    head.stamp(Error::new(kind, message).with_body(body))
}

/// Classifies an error object that came in place of a piece of a stream.
pub(crate) fn classify_event(data: &Bytes) -> Error {
    let data = redacted(data);
    let told = Told::read(&data);
    let kind = told.kind(None);
    let message = told
        .message
        .unwrap_or_else(|| "the server sent an error within the stream".to_owned());
    Error::new(kind, message).with_body(data)
}

/// Words for a body that is no answer at all.
fn not_an_answer(body: &[u8]) -> String {
    let excerpt = body_excerpt(body);
    if excerpt.is_empty() {
        return "the answer is empty".to_owned();
    }
    let short: String = excerpt.chars().take(80).collect();
    format!("the answer cannot be read: {short}")
}

/// The error of a whole answer that cannot be read as one.
pub(crate) fn unreadable(head: &ResponseHead<'_>, body: &Bytes, why: impl Into<String>) -> Error {
    head.stamp(Error::new(BadResponse, why).with_body(body.clone()))
}

/// Reads the JSON of a whole answer.
pub(crate) fn read_whole<'a, T: Deserialize<'a>>(
    head: &ResponseHead<'_>,
    body: &'a Bytes,
) -> Result<T, Error> {
    std::str::from_utf8(body)
        .ok()
        .and_then(|text| serde_json::from_str(text).ok())
        .ok_or_else(|| unreadable(head, body, not_an_answer(body)))
}

/// The body of an error, without keys.
fn redacted(body: &Bytes) -> Bytes {
    match std::str::from_utf8(body).map(redact) {
        Ok(Cow::Owned(clean)) => Bytes::from(clean),
        _ => body.clone(),
    }
}

/// What the body of an error says, whatever its shape.
#[derive(Debug, Default)]
struct Told {
    message: Option<String>,
    words: Vec<String>,
    /// A `code` that is an HTTP status (vLLM, llama.cpp).
    status: Option<u16>,
}

impl Told {
    fn read(body: &[u8]) -> Self {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Self::from_object(&fields),
            // some gateways wrap the object in an array
            Ok(Value::Array(items)) => match items.first() {
                Some(Value::Object(fields)) => Self::from_object(fields),
                _ => Self::default(),
            },
            Ok(Value::String(text)) => Self::from_text(&text),
            _ => Self::from_text(&body_excerpt(body)),
        }
    }

    fn from_text(text: &str) -> Self {
        let message = clean(text);
        Self {
            message: (!message.is_empty()).then_some(message),
            ..Self::default()
        }
    }

    fn from_object(fields: &Map<String, Value>) -> Self {
        let inner = match fields.get("error") {
            Some(Value::Object(inner)) => inner,
            Some(Value::String(text)) => return Self::from_text(text),
            // `{"message": …}` and FastAPI's `{"detail": …}`
            _ => fields,
        };
        let message = ["message", "detail", "msg"]
            .iter()
            .find_map(|name| inner.get(*name))
            .filter(|message| !message.is_null())
            .map(|message| match message {
                Value::String(text) => clean(text),
                other => clean(&other.to_string()),
            });
        let mut told = Self {
            message: message.filter(|message| !message.is_empty()),
            ..Self::default()
        };
        told.take_words(inner);
        if let Some(Value::Object(details)) = inner.get("details") {
            told.take_words(details);
        }
        told
    }

    fn take_words(&mut self, fields: &Map<String, Value>) {
        for name in ["code", "type", "error_code"] {
            match fields.get(name) {
                Some(Value::String(word)) => {
                    self.status = self.status.or(word.parse().ok());
                    self.words.push(word.to_ascii_lowercase());
                }
                Some(Value::Number(code)) => {
                    let code = code.as_u64().and_then(|code| u16::try_from(code).ok());
                    self.status = self.status.or(code);
                }
                _ => {}
            }
        }
    }

    fn kind(&self, status: Option<u16>) -> ErrorKind {
        let status = status.or(self.status.filter(|code| (400..600).contains(code)));
        if self.words.iter().any(|word| word.ends_with(QUOTA_SUFFIX)) {
            return QuotaExhausted;
        }
        let in_table = |table: &[(&str, ErrorKind)]| {
            self.words
                .iter()
                .find_map(|word| table.iter().find(|(known, _)| known == word))
                .map(|(_, kind)| *kind)
        };
        let by_phrase = || {
            let message = self.message.as_deref()?.to_ascii_lowercase();
            let general = matches!(status, None | Some(400));
            let (_, kind) = PHRASES
                .iter()
                .find(|(phrase, _)| general && message.contains(phrase))?;
            Some(*kind)
        };
        in_table(&WORDS)
            .or_else(by_phrase)
            .or_else(|| status.map(kind_of_status))
            .or_else(|| in_table(&WORDS_WITHOUT_STATUS))
            // an unknown failure within a stream is the server's, and worth another try
            .unwrap_or(ServerError)
    }
}

fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        401 | 403 => Auth,
        402 => QuotaExhausted,
        404 => ModelNotFound,
        408 => Timeout,
        // a lock conflict: over when the other request is
        409 => ServerError,
        // too early: the server does not want to take the risk of a replay now (RFC 8470, section 5.2)
        425 => ServerError,
        429 => RateLimited,
        400..=499 => BadRequest,
        503 | 529 => Overloaded,
        500..=599 => ServerError,
        _ => BadResponse,
    }
}

fn redirect_host(headers: &HeaderMap) -> String {
    headers
        .get(http::header::LOCATION)
        .and_then(|location| location.to_str().ok()?.parse::<http::Uri>().ok())
        .and_then(|location| Some(location.host()?.to_owned()))
        .unwrap_or_else(|| "another path".to_owned())
}

#[cfg(test)]
#[path = "errors/tests.rs"]
mod tests;
