//! Limits of callers in words and headers.

use std::time::{Duration, SystemTime};

use antiphon::{
    Error, ErrorKind,
    core::{
        chat::{LimitWindow, RateLimits},
        layers::admit::Exceeded,
    },
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::day::rfc3339;
use crate::refusal::whole_seconds;

/// The refusal of a request for which the minute has no room.
pub(super) fn refused(key: &str, exceeded: Exceeded) -> Error {
    let (message, after) = match exceeded {
        Exceeded::Requests { rpm, after } => {
            let message = format!("the key {key:?} may send {rpm} requests per minute");
            (message, Some(after))
        }
        Exceeded::Tokens { tpm, needed, after } => {
            let message = format!(
                "the key {key:?} may use {tpm} tokens per minute, and too few are left for about {needed}"
            );
            (message, Some(after))
        }
        Exceeded::TooLarge { tpm, input } => {
            let message = format!(
                "the request has about {input} tokens, and the key {key:?} may use {tpm} per minute: send less at once"
            );
            (message, None)
        }
    };
    let message = match after {
        Some(after) => format!("{message}: come again in {} s", whole_seconds(after)),
        None => message,
    };
    Error::new(ErrorKind::RateLimited, message)
        .with_status(StatusCode::TOO_MANY_REQUESTS.as_u16())
        .with_retry_after(after)
}

/// Writes limits into headers as the vendor of the wire format does.
pub(super) fn tell(limits: &RateLimits, wire: &str, now: SystemTime, headers: &mut HeaderMap) {
    for (what, window) in [("requests", &limits.requests), ("tokens", &limits.tokens)] {
        let LimitWindow {
            limit: Some(limit),
            remaining: Some(remaining),
            reset: Some(reset),
        } = *window
        else {
            continue;
        };
        let is_anthropic = wire.starts_with("anthropic");
        let reset = match is_anthropic {
            // the whole second after it: at the moment that is named the limit is full
            true => rfc3339(now + reset + Duration::from_millis(999)),
            false => duration(reset),
        };
        let values = [
            ("limit", limit.to_string()),
            ("remaining", remaining.floor().to_string()),
            ("reset", reset),
        ];
        for (kind, value) in values {
            let name = match is_anthropic {
                true => format!("anthropic-ratelimit-{what}-{kind}"),
                false => format!("x-ratelimit-{kind}-{what}"),
            };
            let name = HeaderName::try_from(name);
            if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
    }
}

/// A duration as OpenAI writes it: `12ms`, `7.66s`, `1m0s`; rounded up to milliseconds.
fn duration(time: Duration) -> String {
    let millis = time.as_micros().div_ceil(1000);
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let seconds = match rest % 1000 {
        0 => (rest / 1000).to_string(),
        part => format!("{}.{part:03}", rest / 1000)
            .trim_end_matches('0')
            .to_owned(),
    };
    match (minutes, rest) {
        (0, 1..1000) => format!("{rest}ms"),
        (0, _) => format!("{seconds}s"),
        _ => format!("{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_the_vendor_does() {
        for (millis, text) in [
            (0, "0s"),
            (12, "12ms"),
            (1000, "1s"),
            (7660, "7.66s"),
            (60_000, "1m0s"),
            (61_500, "1m1.5s"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
        assert_eq!(duration(Duration::from_micros(1)), "1ms");
    }

    #[test]
    fn headers_are_those_of_the_wire_format_and_only_for_limits_that_are_there() {
        let window = LimitWindow {
            limit: Some(100.0),
            remaining: Some(98.0),
            reset: Some(Duration::from_millis(1500)),
        };
        let limits = RateLimits {
            requests: window,
            ..RateLimits::default()
        };
        let told = |wire| {
            let mut headers = HeaderMap::new();
            tell(&limits, wire, SystemTime::UNIX_EPOCH, &mut headers);
            let mut told: Vec<_> = headers
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .collect();
            told.sort();
            told
        };
        assert_eq!(
            told("openai"),
            [
                "x-ratelimit-limit-requests: 100",
                "x-ratelimit-remaining-requests: 98",
                "x-ratelimit-reset-requests: 1.5s"
            ]
        );
        assert_eq!(
            told("anthropic"),
            [
                "anthropic-ratelimit-requests-limit: 100",
                "anthropic-ratelimit-requests-remaining: 98",
                "anthropic-ratelimit-requests-reset: 1970-01-01T00:00:02Z"
            ]
        );
    }
}
