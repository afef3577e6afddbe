//! Requests that get an error instead of an answer, in one meaning for both dialects.

use std::time::{Duration, SystemTime};

use antiphon_core::{Error, ErrorKind};

/// The delay that an error names, in the form that its header has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Delay {
    /// `retry-after` in whole seconds.
    Seconds(u64),
    /// `retry-after` with a fraction.
    Float(f64),
    /// `retry-after-ms`.
    Millis(u64),
    /// `retry-after` as an HTTP date.
    Date(SystemTime),
    /// Both `retry-after-ms`, exact, and `retry-after`, rounded up: what a limit that knows its delay sends.
    Exact(Duration),
}

/// An error answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rejection {
    /// The HTTP status.
    pub(crate) status: u16,
    /// OpenAI's code.
    pub(crate) code: Option<&'static str>,
    /// The words.
    pub(crate) message: String,
    /// When to try again.
    pub(crate) delay: Option<Delay>,
    /// The header that overrides what the status says about trying again.
    pub(crate) should_retry: Option<bool>,
    /// An HTML page in place of the dialect's error object.
    pub(crate) html: bool,
}

impl Rejection {
    /// An error with a status and words.
    pub(crate) fn new(status: u16, code: Option<&'static str>, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            delay: None,
            should_retry: None,
            html: false,
        }
    }

    /// A request that cannot be understood.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, None, message)
    }

    /// With a delay.
    pub(crate) fn after(mut self, delay: Delay) -> Self {
        self.delay = Some(delay);
        self
    }

    /// An injected status.
    pub(crate) fn injected(status: u16) -> Self {
        let code = match status {
            401 => Some("invalid_api_key"),
            404 => Some("model_not_found"),
            429 => Some("rate_limit_exceeded"),
            _ => None,
        };
        let rejection = Self::new(status, code, format!("simulated failure {status}"));
        match status {
            429 => rejection.after(Delay::Seconds(1)),
            _ => rejection,
        }
    }

    /// The error that a caller in the same process sees: what a client would make of the wire.
    pub(crate) fn into_error(self, now: SystemTime, request_id: String) -> Error {
        let kind = match (self.status, self.code) {
            (_, Some("context_length_exceeded")) => ErrorKind::ContextLength,
            (402, _) | (_, Some("insufficient_quota")) => ErrorKind::QuotaExhausted,
            (300..=399, _) => ErrorKind::BadResponse,
            (401 | 403, _) => ErrorKind::Auth,
            (404, _) => ErrorKind::ModelNotFound,
            (408, _) => ErrorKind::Timeout,
            // a conflict passes by itself: the official SDKs try again
            (409, _) => ErrorKind::ServerError,
            (429, _) => ErrorKind::RateLimited,
            (400..=499, _) => ErrorKind::BadRequest,
            (503 | 529, _) => ErrorKind::Overloaded,
            _ => ErrorKind::ServerError,
        };
        let retry_after = self.delay.map(|delay| match delay {
            Delay::Seconds(seconds) => Duration::from_secs(seconds),
            Delay::Float(seconds) => Duration::from_secs_f64(seconds),
            Delay::Millis(millis) => Duration::from_millis(millis),
            Delay::Date(date) => date.duration_since(now).unwrap_or_default(),
            Delay::Exact(delay) => delay,
        });
        Error::new(kind, self.message)
            .with_status(self.status)
            .with_retry_after(retry_after)
            .with_should_retry(self.should_retry)
            .with_request_id(Some(request_id))
            .with_attempts(1)
    }
}
