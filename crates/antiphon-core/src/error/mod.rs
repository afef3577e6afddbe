//! Errors, classified once: where status, headers and body are still in hand.
//!
//! Afterwards nothing matches on text. An [`Error`] says what happened ([`ErrorKind`]), what the provider said
//! (status, body) and what the caller can do about it ([`Advice`]).

mod kind;

use std::{fmt, time::Duration};

use bytes::Bytes;

pub use kind::ErrorKind;

use crate::{Spent, Usage, chat::RateLimits};

/// Answers of a proxy that waited for the server in vain (RFC 9110, section 15.6.5; 524 is Cloudflare's).
const GATEWAY_TIMEOUTS: [u16; 2] = [504, 524];

/// What the caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Try again, after the back-off of the caller's own policy.
    Retry,
    /// Try again, not before the server's delay has passed.
    RetryAfter(Duration),
    /// This model will not answer this request; another one may.
    Elsewhere,
    /// The request itself is at fault, or nothing more can be done.
    Never,
}

/// Which time limit ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Connecting, TLS included.
    Connect,
    /// Waiting for the first byte of the answer.
    FirstByte,
    /// Waiting for the first event of a stream whose head has come.
    FirstToken,
    /// Silence between two pieces of the answer.
    Idle,
    /// The whole attempt.
    Total,
}

/// A failed call: small, boxed, cheap to move.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    status: Option<u16>,
    retry_after: Option<Duration>,
    should_retry: Option<bool>,
    phase: Option<Phase>,
    request_id: Option<String>,
    body: Option<Bytes>,
    attempts: u32,
    spent: Spent,
    limits: RateLimits,
    stops_the_run: bool,
    not_sent: bool,
    is_callers_limit: bool,
    source: Option<std::sync::Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this kind; the message is for people: lower case, concise, no full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            status: None,
            retry_after: None,
            should_retry: None,
            phase: None,
            request_id: None,
            body: None,
            attempts: 0,
            spent: Spent::default(),
            limits: RateLimits::default(),
            stops_the_run: false,
            not_sent: false,
            is_callers_limit: false,
            source: None,
        }))
    }

    /// A time limit that ran out in the given phase.
    pub fn timeout(phase: Phase, limit: Duration) -> Self {
        let what = match phase {
            Phase::Connect => "no connection",
            Phase::FirstByte => "no answer",
            Phase::FirstToken => "the stream began with silence: no event",
            Phase::Idle => "the answer fell silent",
            Phase::Total => "no complete answer",
        };
        let mut error = Self::new(ErrorKind::Timeout, format!("{what} within {limit:?}"));
        error.0.phase = Some(phase);
        error
    }

    /// The call was given up on this side.
    pub fn stopped(why: impl Into<String>) -> Self {
        Self::new(ErrorKind::Stopped, why)
    }

    /// With the HTTP status of the answer.
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// With the server's own delay before the next try.
    pub fn with_retry_after(mut self, delay: Option<Duration>) -> Self {
        self.0.retry_after = delay;
        self
    }

    /// With the server's `x-should-retry`, which overrides what the kind says.
    pub fn with_should_retry(mut self, should: Option<bool>) -> Self {
        self.0.should_retry = should;
        self
    }

    /// With the provider's id of the request.
    pub fn with_request_id(mut self, id: Option<String>) -> Self {
        self.0.request_id = id;
        self
    }

    /// With the body of the HTTP answer.
    pub fn with_body(mut self, body: Bytes) -> Self {
        self.0.body = Some(body);
        self
    }

    /// With the error underneath.
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(std::sync::Arc::new(source));
        self
    }

    /// With the number of attempts that were made on the wire.
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// With what the call has used all the same: an answer that was paid for and not good enough.
    pub fn with_spent(mut self, spent: Spent) -> Self {
        self.0.spent = spent;
        self
    }

    /// With the limits that the headers of the answer tell.
    pub fn with_limits(mut self, limits: RateLimits) -> Self {
        self.0.limits = limits;
        self
    }

    /// Marked as an error of the account: every further call would fail alike, so the run should stop.
    pub fn stopping_the_run(mut self) -> Self {
        self.0.stops_the_run = true;
        self
    }

    /// Marked as an error from before the first byte of the request left: the provider knows nothing of it.
    pub fn not_sent(mut self) -> Self {
        self.0.not_sent = true;
        self
    }

    /// Marked as a time limit that the caller's own deadline set: shorter than the model's, it says nothing about the model.
    pub(crate) fn of_callers_limit(mut self) -> Self {
        self.0.is_callers_limit = true;
        self
    }

    /// Whether it is such an error.
    pub(crate) fn is_callers_limit(&self) -> bool {
        self.0.is_callers_limit
    }

    /// A call that this side did not send, because it would have had to wait in front of the account for longer than its
    /// caller wants to: as many calls or tokens are out as may be, the provider asked for a pause, or the endpoint is
    /// down. Another model may answer at once.
    pub(crate) fn turned_away(kind: ErrorKind, message: String, wait: Option<Duration>) -> Self {
        Self::new(kind, message)
            .with_retry_after(wait)
            .with_should_retry(Some(false))
            .not_sent()
    }

    /// Whether it is such an error.
    pub(crate) fn is_turned_away(&self) -> bool {
        self.0.not_sent && self.0.attempts == 0 && self.advice() == Advice::Elsewhere
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message, without the chain of sources.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The HTTP status, where an answer came.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The delay that the server asked for.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Which time limit ran out, for [`ErrorKind::Timeout`].
    pub fn phase(&self) -> Option<Phase> {
        self.0.phase
    }

    /// The provider's id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// The body of the HTTP answer, where one came.
    pub fn body(&self) -> Option<&Bytes> {
        self.0.body.as_ref()
    }

    /// Attempts made on the wire before this error was final.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Tokens of all answered attempts of the call, those in its journal included; `None` where none was answered.
    pub fn usage(&self) -> Option<Usage> {
        self.0.spent.usage()
    }

    /// What all attempts of the call have used, those in its journal included.
    pub fn spent(&self) -> Spent {
        self.0.spent
    }

    /// The limits that the headers of the answer told; a refusal for asking too often is where they matter most.
    pub fn limits(&self) -> &RateLimits {
        &self.0.limits
    }

    /// Whether the provider may bill the attempt all the same: it was sent, and was not refused. A time limit that ran out, a
    /// connection that broke and an answer that cannot be read tell nothing of what the other side has done; nor does a
    /// proxy that waited for the server in vain.
    pub fn may_be_billed(&self) -> bool {
        let refuses = |status: u16| status >= 300 && !GATEWAY_TIMEOUTS.contains(&status);
        let is_refused = self.0.status.is_some_and(refuses);
        let is_sent = !self.0.not_sent && self.0.phase != Some(Phase::Connect);
        is_sent && !is_refused
    }

    /// Whether every further call would fail alike: a wrong key, an empty account, an endpoint that was given up, a
    /// `Retry-After` beyond the longest wait. Rows that end in such an error stay pending.
    pub fn stops_the_run(&self) -> bool {
        self.0.stops_the_run || self.0.kind.stops_the_run()
    }

    /// What the caller can do.
    pub fn advice(&self) -> Advice {
        let by_kind = match self.0.kind {
            ErrorKind::RateLimited
            | ErrorKind::Overloaded
            | ErrorKind::ServerError
            | ErrorKind::Timeout
            | ErrorKind::Connection
            | ErrorKind::BadResponse => {
                self.0.retry_after.map_or(Advice::Retry, Advice::RetryAfter)
            }
            ErrorKind::ContextLength
            | ErrorKind::ModelNotFound
            | ErrorKind::Auth
            | ErrorKind::QuotaExhausted => Advice::Elsewhere,
            _ => Advice::Never,
        };
        match (self.0.should_retry, by_kind) {
            (Some(false), Advice::Retry | Advice::RetryAfter(_)) => Advice::Elsewhere,
            // a server may call a bad request retryable, but never a key that is wrong or empty
            (Some(true), Advice::Never) if self.0.status.is_some() => {
                self.0.retry_after.map_or(Advice::Retry, Advice::RetryAfter)
            }
            _ => by_kind,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("status", &self.0.status)
            .field("attempts", &self.0.attempts)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source = self.0.source.as_deref()?;
        Some(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_or_never_sent_is_not_billed() {
        let sent = |kind| Error::new(kind, "x");
        let status = |status| sent(ErrorKind::ServerError).with_status(status);
        let connect = Error::timeout(Phase::Connect, Duration::ZERO);
        let total = Error::timeout(Phase::Total, Duration::ZERO);
        for free in [
            connect,
            sent(ErrorKind::Connection).not_sent(),
            status(301),
            status(400),
            status(429),
            status(500),
            status(502),
            status(503),
            status(529),
        ] {
            assert!(!free.may_be_billed(), "{free:?}");
        }
        for unknown in [
            total,
            sent(ErrorKind::Connection),
            sent(ErrorKind::BadResponse).with_status(200),
            status(504),
            status(524),
        ] {
            assert!(unknown.may_be_billed(), "{unknown:?}");
        }
    }

    #[test]
    fn the_server_has_the_last_word_on_retrying() {
        let failed = || Error::new(ErrorKind::ServerError, "x").with_status(500);
        assert_eq!(failed().advice(), Advice::Retry);
        assert_eq!(
            failed().with_should_retry(Some(false)).advice(),
            Advice::Elsewhere
        );
        let refused = Error::new(ErrorKind::BadRequest, "x").with_status(400);
        assert_eq!(refused.clone().advice(), Advice::Never);
        assert_eq!(
            refused.with_should_retry(Some(true)).advice(),
            Advice::Retry
        );
        let empty = Error::new(ErrorKind::QuotaExhausted, "x").with_status(429);
        assert_eq!(
            empty.with_should_retry(Some(true)).advice(),
            Advice::Elsewhere
        );
    }
}
