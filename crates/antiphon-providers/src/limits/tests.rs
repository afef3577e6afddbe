use super::*;

const NOW: u64 = 1_795_000_000;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                value.parse().expect("a header value"),
            )
        })
        .collect()
}

/// wire-formats.md, section 1, rate headers.
#[test]
fn every_form_of_reset() {
    let in_90_s = (NOW + 90).to_string();
    let cases = [
        ("12ms", Some(0.012)),
        ("0s", Some(0.0)),
        ("1s", Some(1.0)),
        ("6m0s", Some(360.0)),
        ("1h2m3.5s", Some(3723.5)),
        ("7.66s", Some(7.66)),
        ("250µs", Some(0.000_25)),
        ("59", Some(59.0)),
        ("0.25", Some(0.25)),
        (in_90_s.as_str(), Some(90.0)),
        ("1000000001", Some(0.0)),
        ("2026-11-18T11:08:10Z", Some(90.0)),
        ("2020-01-01T00:00:00Z", Some(0.0)),
        ("-1", None),
        ("NaN", None),
        ("inf", None),
        ("1e300s", None),
        ("5 parsecs", None),
        ("ms", None),
        ("", None),
    ];
    for (value, expected) in cases {
        let seconds = parse_reset(value, now()).map(|reset| reset.as_secs_f64());
        match (seconds, expected) {
            (Some(seconds), Some(expected)) => {
                assert!((seconds - expected).abs() < 1e-6, "{value}: {seconds}");
            }
            _ => assert_eq!(seconds, expected, "{value}"),
        }
    }
}

/// wire-formats.md, section 9 case 6.
#[test]
fn every_form_of_retry_after() {
    let date = httpdate::fmt_http_date(now() + Duration::from_secs(30));
    let past = httpdate::fmt_http_date(now() - Duration::from_secs(30));
    type Case<'a> = (&'a [(&'static str, &'a str)], Option<u64>);
    let cases: [Case<'_>; 13] = [
        (&[("retry-after-ms", "250")], Some(250)),
        (&[("retry-after-ms", "1.5"), ("retry-after", "9")], Some(1)),
        (
            &[("retry-after-ms", "soon"), ("retry-after", "9")],
            Some(9000),
        ),
        (&[("retry-after", "20")], Some(20_000)),
        (&[("retry-after", "0.5")], Some(500)),
        (&[("retry-after", "3600")], Some(3_600_000)),
        (&[("retry-after", &date)], Some(30_000)),
        (&[("retry-after", &past)], None),
        (&[("retry-after", "-1")], None),
        (&[("retry-after", "0")], None),
        (&[("retry-after", "NaN")], None),
        (&[("retry-after", "later")], None),
        (&[], None),
    ];
    for (pairs, expected) in cases {
        let delay = retry_after(&headers(pairs), now());
        let expected = expected.map(u128::from);
        assert_eq!(delay.map(|delay| delay.as_millis()), expected, "{pairs:?}");
    }
}

#[test]
fn a_wrong_local_clock_does_not_stretch_a_date() {
    let date = httpdate::fmt_http_date(now() + Duration::from_secs(30));
    let server = httpdate::fmt_http_date(now());
    let told = headers(&[("retry-after", &date), ("date", &server)]);
    let ten_years_late = now() - Duration::from_secs(10 * 365 * 86_400);
    assert_eq!(
        retry_after(&told, ten_years_late),
        Some(Duration::from_secs(30))
    );
}

#[test]
fn openai_windows() {
    let told = headers(&[
        ("x-ratelimit-limit-requests", "5000"),
        ("x-ratelimit-remaining-requests", "4999"),
        ("x-ratelimit-reset-requests", "12ms"),
        ("x-ratelimit-limit-tokens_usage_based", "800000"),
        ("x-ratelimit-remaining-tokens_usage_based", "799000"),
    ]);
    let limits = rate_limits(&told, now(), &OPENAI);
    assert_eq!(limits.requests.limit, Some(5000.0));
    assert_eq!(limits.requests.remaining, Some(4999.0));
    assert_eq!(limits.requests.reset, Some(Duration::from_millis(12)));
    assert_eq!(limits.tokens.limit, Some(800_000.0));
    assert_eq!(limits.tokens.remaining, Some(799_000.0));
}

#[test]
fn a_limit_that_is_not_positive_tells_nothing() {
    for limit in ["-1", "0"] {
        let told = headers(&[
            ("x-ratelimit-limit-tokens", limit),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "60"),
        ]);
        assert_eq!(
            rate_limits(&told, now(), &OPENAI),
            RateLimits::default(),
            "{limit}"
        );
    }
}

#[test]
fn anthropic_families() {
    let told = headers(&[
        ("anthropic-ratelimit-requests-limit", "50"),
        ("anthropic-ratelimit-requests-remaining", "49"),
        ("anthropic-ratelimit-requests-reset", "2026-11-18T11:06:50Z"),
        ("anthropic-ratelimit-tokens-limit", "90000"),
        ("anthropic-ratelimit-input-tokens-limit", "50000"),
        ("anthropic-ratelimit-output-tokens-limit", "10000"),
        ("anthropic-ratelimit-output-tokens-remaining", "0"),
    ]);
    let limits = rate_limits(&told, now(), &ANTHROPIC);
    assert_eq!(limits.requests.remaining, Some(49.0));
    assert_eq!(limits.requests.reset, Some(Duration::from_secs(10)));
    assert_eq!(limits.tokens.limit, Some(90_000.0));
    assert_eq!(limits.input_tokens.limit, Some(50_000.0));
    assert_eq!(limits.output_tokens.limit, Some(10_000.0));
    assert_eq!(limits.output_tokens.remaining, Some(0.0));
}
