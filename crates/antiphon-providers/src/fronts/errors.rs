//! Errors in the words of each wire.
//!
//! What a provider of the caller's own wire said is passed on; everything else is told anew, from the kind of the error
//! first and its status second. Messages and bodies hold no keys: whoever classified them took them out.

use antiphon_core::{Error, ErrorKind};
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// The body of an error in the words of OpenAI.
pub(super) fn openai(error: &Error, status: u16) -> Bytes {
    let is_own = |body: &Map<String, Value>| {
        body.get("type") != Some(&json!("error")) && body.get("error").is_some_and(Value::is_object)
    };
    passed_on(error, status, is_own).unwrap_or_else(|| {
        let body = json!({"error": openai_object(error, status)});
        Bytes::from(body.to_string())
    })
}

/// What stands in `error` of an OpenAI body.
pub(super) fn openai_object(error: &Error, status: u16) -> Value {
    let (kind, code) = openai_words(error.kind(), status);
    let param = (error.kind() == ErrorKind::ModelNotFound).then_some("model");
    json!({"message": error.message(), "type": kind, "param": param, "code": code})
}

/// `type` and `code`, after OpenAI's table of errors (wire-formats.md, section 1).
pub(super) fn openai_words(kind: ErrorKind, status: u16) -> (&'static str, Option<&'static str>) {
    const INVALID: &str = "invalid_request_error";
    const SERVER: &str = "server_error";
    match (kind, status) {
        (ErrorKind::Auth, 403) => (INVALID, Some("insufficient_permissions")),
        (ErrorKind::Auth, _) => (INVALID, Some("invalid_api_key")),
        (ErrorKind::QuotaExhausted | ErrorKind::Budget, _) => {
            ("insufficient_quota", Some("insufficient_quota"))
        }
        (ErrorKind::RateLimited, _) => ("requests", Some("rate_limit_exceeded")),
        (ErrorKind::ModelNotFound, _) => (INVALID, Some("model_not_found")),
        (ErrorKind::ContextLength, _) => (INVALID, Some("context_length_exceeded")),
        (ErrorKind::Refused, _) => (INVALID, Some("content_filter")),
        (ErrorKind::LineTooLong, _) | (_, 413) => (INVALID, Some("request_too_large")),
        (ErrorKind::BadRequest | ErrorKind::InvalidLine | ErrorKind::MissingField, _) => {
            (INVALID, None)
        }
        (ErrorKind::Overloaded, _) => (SERVER, Some("overloaded")),
        (ErrorKind::Timeout, _) => (SERVER, Some("timeout")),
        (ErrorKind::CutOff | ErrorKind::OffSchema, _) => (SERVER, Some(kind.code())),
        (_, 400..=499) => (INVALID, None),
        _ => (SERVER, None),
    }
}

/// The body of an error in the words of Anthropic.
pub(super) fn anthropic(error: &Error, status: u16, request_id: &str) -> Bytes {
    let is_own = |body: &Map<String, Value>| {
        body.get("type") == Some(&json!("error")) && body.get("error").is_some_and(Value::is_object)
    };
    passed_on(error, status, is_own).unwrap_or_else(|| {
        let body = json!({
            "type": "error",
            "error": {"type": anthropic_word(error.kind(), status), "message": error.message()},
            "request_id": request_id,
        });
        Bytes::from(body.to_string())
    })
}

/// `error.type`, after Anthropic's table of errors (wire-formats.md, section 4).
fn anthropic_word(kind: ErrorKind, status: u16) -> &'static str {
    match (kind, status) {
        (ErrorKind::Auth, 403) => "permission_error",
        (ErrorKind::Auth, _) => "authentication_error",
        (ErrorKind::QuotaExhausted | ErrorKind::Budget, _) => "billing_error",
        (ErrorKind::RateLimited, _) => "rate_limit_error",
        (ErrorKind::ModelNotFound, _) => "not_found_error",
        (ErrorKind::Overloaded, _) => "overloaded_error",
        (ErrorKind::Timeout, _) => "timeout_error",
        (ErrorKind::LineTooLong, _) | (_, 413) => "request_too_large",
        (_, 401) => "authentication_error",
        (_, 403) => "permission_error",
        (_, 404) => "not_found_error",
        (_, 429) => "rate_limit_error",
        (_, 529) => "overloaded_error",
        (
            ErrorKind::BadRequest
            | ErrorKind::InvalidLine
            | ErrorKind::MissingField
            | ErrorKind::ContextLength
            | ErrorKind::Refused,
            _,
        )
        | (_, 400..=499) => "invalid_request_error",
        _ => "api_error",
    }
}

/// The provider's own body, where it is an error in the caller's wire and the caller gets the provider's own status. An
/// error that came in place of an answer has a status of success.
fn passed_on(
    error: &Error,
    status: u16,
    is_own: impl Fn(&Map<String, Value>) -> bool,
) -> Option<Bytes> {
    let theirs = error.status()?;
    let body = error.body()?;
    let fields = serde_json::from_slice(body).ok()?;
    ((theirs == status || theirs < 400) && is_own(&fields)).then(|| body.clone())
}

/// The data of an error's event: one line, which a body need not be.
pub(super) fn on_one_line(body: &Bytes) -> String {
    String::from_utf8_lossy(body)
        .trim()
        .replace(['\n', '\r'], " ")
}

/// The status that an error within a stream would have had before it.
pub(super) fn status_within(error: &Error) -> u16 {
    let failing = error.status().filter(|status| *status >= 400);
    failing.unwrap_or(500)
}
