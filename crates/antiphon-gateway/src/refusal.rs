//! Errors as HTTP responses, in the caller's dialect.

use std::time::Duration;

use antiphon::{Error, ErrorKind, fronts::Front};
use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};

use crate::answer;

/// The status that a caller gets for an error: the provider's own, else that of the kind.
pub(crate) fn status_of(error: &Error) -> StatusCode {
    let own = error.status().filter(|status| *status >= 400);
    let by_kind = || match error.kind() {
        ErrorKind::InvalidLine
        | ErrorKind::MissingField
        | ErrorKind::DuplicateCustomId
        | ErrorKind::BadRequest
        | ErrorKind::ContextLength => 400,
        ErrorKind::LineTooLong => 413,
        ErrorKind::Auth => 401,
        ErrorKind::Budget | ErrorKind::QuotaExhausted => 402,
        ErrorKind::ModelNotFound => 404,
        ErrorKind::RateLimited => 429,
        ErrorKind::Overloaded | ErrorKind::Stopped => 503,
        ErrorKind::Timeout => 504,
        ErrorKind::Refused | ErrorKind::CutOff | ErrorKind::OffSchema => 422,
        ErrorKind::Connection | ErrorKind::BadResponse | ErrorKind::ServerError => 502,
        _ => 500,
    };
    StatusCode::from_u16(own.unwrap_or_else(by_kind)).unwrap_or(StatusCode::BAD_GATEWAY)
}

/// The response for an error. Where a provider was asked, it says how often: the error is then the provider's.
pub(crate) fn refusal(error: &Error, front: &dyn Front, id: &str) -> Response<Body> {
    let status = status_of(error);
    let body = front.error(error, status.as_u16(), id);
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    answer::identify(headers, front, id);
    if error.attempts() > 0 {
        let attempts = HeaderValue::from(error.attempts());
        headers.insert(answer::ATTEMPTS, attempts);
    }
    if let Some(delay) = error.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(delay)));
    }
    response
}

/// Rounded up: whoever comes back too early is refused again.
pub(crate) fn whole_seconds(delay: Duration) -> u64 {
    delay.as_secs() + u64::from(delay.subsec_nanos() > 0)
}
