//! What answer headers say about limits and delays, in every form seen.
//!
//! Absolute times are measured against the answer's own `date` header where there is one: the difference of two clocks
//! must not become a delay.

use std::time::{Duration, SystemTime};

use antiphon_core::chat::{LimitWindow, RateLimits};
use http::HeaderMap;

/// Numbers above this are seconds since 1970, not a delay.
const EPOCH_FROM: f64 = 1e9;

/// Families of rate headers: `{prefix}{limit|remaining|reset}{suffix}`.
#[derive(Debug)]
pub struct HeaderNames {
    /// Request windows, tried in order until one tells a limit.
    pub requests: &'static [WindowNames],
    /// Token windows.
    pub tokens: &'static [WindowNames],
    /// Input token windows.
    pub input_tokens: &'static [WindowNames],
    /// Output token windows.
    pub output_tokens: &'static [WindowNames],
}

/// The three header names of one window.
#[derive(Debug)]
pub struct WindowNames {
    /// Allowance per minute.
    pub limit: &'static str,
    /// What is left of it.
    pub remaining: &'static str,
    /// When it is full again.
    pub reset: &'static str,
}

/// `x-ratelimit-*` of OpenAI and those who copied it.
pub static OPENAI: HeaderNames = HeaderNames {
    requests: &[
        WindowNames {
            limit: "x-ratelimit-limit-requests",
            remaining: "x-ratelimit-remaining-requests",
            reset: "x-ratelimit-reset-requests",
        },
        WindowNames {
            limit: "x-ratelimit-limit-project-requests",
            remaining: "x-ratelimit-remaining-project-requests",
            reset: "x-ratelimit-reset-project-requests",
        },
    ],
    tokens: &[
        WindowNames {
            limit: "x-ratelimit-limit-tokens",
            remaining: "x-ratelimit-remaining-tokens",
            reset: "x-ratelimit-reset-tokens",
        },
        WindowNames {
            limit: "x-ratelimit-limit-tokens_usage_based",
            remaining: "x-ratelimit-remaining-tokens_usage_based",
            reset: "x-ratelimit-reset-tokens_usage_based",
        },
        WindowNames {
            limit: "x-ratelimit-limit-project-tokens",
            remaining: "x-ratelimit-remaining-project-tokens",
            reset: "x-ratelimit-reset-project-tokens",
        },
    ],
    input_tokens: &[],
    output_tokens: &[],
};

/// The four families of Anthropic.
pub static ANTHROPIC: HeaderNames = HeaderNames {
    requests: &[WindowNames {
        limit: "anthropic-ratelimit-requests-limit",
        remaining: "anthropic-ratelimit-requests-remaining",
        reset: "anthropic-ratelimit-requests-reset",
    }],
    tokens: &[WindowNames {
        limit: "anthropic-ratelimit-tokens-limit",
        remaining: "anthropic-ratelimit-tokens-remaining",
        reset: "anthropic-ratelimit-tokens-reset",
    }],
    input_tokens: &[WindowNames {
        limit: "anthropic-ratelimit-input-tokens-limit",
        remaining: "anthropic-ratelimit-input-tokens-remaining",
        reset: "anthropic-ratelimit-input-tokens-reset",
    }],
    output_tokens: &[WindowNames {
        limit: "anthropic-ratelimit-output-tokens-limit",
        remaining: "anthropic-ratelimit-output-tokens-remaining",
        reset: "anthropic-ratelimit-output-tokens-reset",
    }],
};

/// Reads the limits that headers tell; `received` is the wall time when they came.
pub fn rate_limits(headers: &HeaderMap, received: SystemTime, names: &HeaderNames) -> RateLimits {
    let now = server_time(headers).unwrap_or(received);
    let window = |candidates: &[WindowNames]| {
        candidates
            .iter()
            .find_map(|names| read_window(headers, names, now))
            .unwrap_or_default()
    };
    RateLimits {
        requests: window(names.requests),
        tokens: window(names.tokens),
        input_tokens: window(names.input_tokens),
        output_tokens: window(names.output_tokens),
    }
}

fn read_window(headers: &HeaderMap, names: &WindowNames, now: SystemTime) -> Option<LimitWindow> {
    let limit = text(headers, names.limit).and_then(number);
    // Azure sends -1 and 0 for "no limit": "0 remaining" beside it would stop all traffic for nothing
    if limit.is_some_and(|limit| limit <= 0.0) {
        return None;
    }
    let remaining = text(headers, names.remaining)
        .and_then(number)
        .filter(|remaining| *remaining >= 0.0);
    let reset = text(headers, names.reset).and_then(|value| parse_reset(value, now));
    (limit.is_some() || remaining.is_some()).then_some(LimitWindow {
        limit,
        remaining,
        reset,
    })
}

/// The delay before the next try that a server asks for: `retry-after-ms`, then `retry-after` as (decimal) seconds, then
/// as an HTTP date. Nothing, zero, negative or past values give `None`: the caller's own back-off applies.
pub fn retry_after(headers: &HeaderMap, received: SystemTime) -> Option<Duration> {
    let milliseconds = text(headers, "retry-after-ms").and_then(number);
    let seconds = milliseconds.map(|ms| ms / 1000.0);
    let value = text(headers, "retry-after");
    seconds
        .or_else(|| value.and_then(number))
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .or_else(|| {
            let date = httpdate::parse_http_date(value?).ok()?;
            let now = server_time(headers).unwrap_or(received);
            date.duration_since(now).ok()
        })
        .filter(|delay| !delay.is_zero())
}

/// Parses the time until a window is full: seconds, seconds since 1970, a Go duration (`1h2m3.5s`), or RFC 3339.
pub fn parse_reset(value: &str, now: SystemTime) -> Option<Duration> {
    if let Some(number) = number(value) {
        if number > EPOCH_FROM {
            let moment = SystemTime::UNIX_EPOCH + Duration::try_from_secs_f64(number).ok()?;
            return Some(moment.duration_since(now).unwrap_or_default());
        }
        return Duration::try_from_secs_f64(number).ok();
    }
    go_duration(value).or_else(|| {
        let moment: jiff::Timestamp = value.parse().ok()?;
        let moment = SystemTime::from(moment);
        Some(moment.duration_since(now).unwrap_or_default())
    })
}

/// `12ms`, `7.66s`, `6m0s`: numbers each with a unit (Go's `time.Duration.String`).
fn go_duration(mut value: &str) -> Option<Duration> {
    let mut seconds = 0.0;
    if value.is_empty() {
        return None;
    }
    while !value.is_empty() {
        let digits = value.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let amount: f64 = value[..digits].parse().ok()?;
        value = &value[digits..];
        let unit = value
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(value.len());
        seconds += amount
            * match &value[..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" | "μs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        value = &value[unit..];
    }
    Duration::try_from_secs_f64(seconds).ok()
}

fn server_time(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(text(headers, "date")?).ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

fn number(value: &str) -> Option<f64> {
    value.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
#[path = "limits/tests.rs"]
mod tests;
