//! Headers of an answer: ids, limits and delays.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use antiphon_core::chat::{LimitWindow, RateLimits};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::time::{go_duration, rfc_3339};
use crate::{
    FaultKind,
    ask::Dialect,
    rejection::{Delay, Rejection},
};

/// The form of a reset header.
#[derive(Clone, Copy)]
enum ResetForm {
    Go,
    Seconds,
    Epoch,
    Date,
}

/// The header that carries the id of a request.
pub(crate) fn request_id(dialect: Dialect) -> HeaderName {
    match dialect {
        Dialect::OpenAi => HeaderName::from_static("x-request-id"),
        Dialect::Anthropic => HeaderName::from_static("request-id"),
    }
}

/// Limits that the kinds about limit headers tell when none are enforced, so that there is something to see.
pub(crate) fn told_limits(enforced: RateLimits, fault: Option<FaultKind>) -> RateLimits {
    let made_up = |limit, reset| LimitWindow {
        limit: Some(limit),
        remaining: Some(limit - 1.0),
        reset: Some(reset),
    };
    match fault {
        Some(FaultKind::NoLimits | FaultKind::OddLimits) => RateLimits::default(),
        Some(
            FaultKind::ResetSeconds
            | FaultKind::ResetEpoch
            | FaultKind::ResetDate
            | FaultKind::ResetGo,
        ) => RateLimits {
            requests: made_up(600.0, Duration::from_millis(3_723_500)),
            tokens: made_up(60_000.0, Duration::from_secs(360)),
            ..RateLimits::default()
        },
        _ => enforced,
    }
}

/// Writes the limits in the dialect's words.
pub(crate) fn write_limits(
    headers: &mut HeaderMap,
    dialect: Dialect,
    limits: &RateLimits,
    fault: Option<FaultKind>,
    now: SystemTime,
) {
    if fault == Some(FaultKind::OddLimits) {
        for what in ["requests", "tokens"] {
            put(headers, limit_name(dialect, what, "limit"), "-1");
            put(headers, limit_name(dialect, what, "remaining"), "0");
        }
        return;
    }
    let form = match (fault, dialect) {
        (Some(FaultKind::ResetSeconds), _) => ResetForm::Seconds,
        (Some(FaultKind::ResetEpoch), _) => ResetForm::Epoch,
        (Some(FaultKind::ResetDate), _) | (None, Dialect::Anthropic) => ResetForm::Date,
        (Some(FaultKind::ResetGo), _) | (_, Dialect::OpenAi) => ResetForm::Go,
        (Some(_), Dialect::Anthropic) => ResetForm::Date,
    };
    for (what, window) in [("requests", limits.requests), ("tokens", limits.tokens)] {
        let numbers = [("limit", window.limit), ("remaining", window.remaining)];
        for (side, number) in numbers {
            if let Some(number) = number {
                put(
                    headers,
                    limit_name(dialect, what, side),
                    &format!("{number:.0}"),
                );
            }
        }
        if let Some(reset) = window.reset {
            put(
                headers,
                limit_name(dialect, what, "reset"),
                &reset_text(form, reset, now),
            );
        }
    }
}

fn limit_name(dialect: Dialect, what: &str, side: &str) -> String {
    match dialect {
        Dialect::OpenAi => format!("x-ratelimit-{side}-{what}"),
        Dialect::Anthropic => format!("anthropic-ratelimit-{what}-{side}"),
    }
}

fn reset_text(form: ResetForm, reset: Duration, now: SystemTime) -> String {
    match form {
        ResetForm::Go => go_duration(reset),
        ResetForm::Seconds => format!("{}", reset.as_secs_f64().ceil()),
        ResetForm::Epoch => {
            let at = (now + reset).duration_since(UNIX_EPOCH).unwrap_or_default();
            format!("{}", at.as_secs_f64().ceil())
        }
        ResetForm::Date => rfc_3339(now + reset),
    }
}

/// Writes when to try again, and whether.
pub(crate) fn write_delay(headers: &mut HeaderMap, rejection: &Rejection) {
    let retry_after = header::RETRY_AFTER.as_str();
    match rejection.delay {
        None => {}
        Some(Delay::Seconds(seconds)) => put(headers, retry_after, &seconds.to_string()),
        Some(Delay::Float(seconds)) => put(headers, retry_after, &seconds.to_string()),
        Some(Delay::Millis(millis)) => put(headers, "retry-after-ms", &millis.to_string()),
        Some(Delay::Date(date)) => put(headers, retry_after, &httpdate::fmt_http_date(date)),
        Some(Delay::Exact(delay)) => {
            let millis = delay.as_nanos().div_ceil(1_000_000);
            put(headers, "retry-after-ms", &millis.to_string());
            put(headers, retry_after, &millis.div_ceil(1000).to_string());
        }
    }
    if let Some(should) = rejection.should_retry {
        put(
            headers,
            "x-should-retry",
            if should { "true" } else { "false" },
        );
    }
}

/// Sets a header whose name and value this crate has written itself.
pub(crate) fn put(headers: &mut HeaderMap, name: impl AsRef<str>, value: &str) {
    let name = HeaderName::from_bytes(name.as_ref().as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}
