use super::{excerpt::LONGEST_MESSAGE, *};
use antiphon_core::Advice;
use std::time::Duration;

fn head(headers: &HeaderMap, status: u16) -> ResponseHead<'_> {
    ResponseHead {
        status,
        headers,
        received: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000),
    }
}

fn classified(status: u16, body: &str) -> Error {
    classify(
        &head(&HeaderMap::new(), status),
        &Bytes::copy_from_slice(body.as_bytes()),
    )
}

fn openai(kind: &str, code: &str, message: &str) -> String {
    format!(r#"{{"error":{{"message":"{message}","type":"{kind}","param":null,"code":{code}}}}}"#)
}

fn anthropic(kind: &str, message: &str) -> String {
    format!(
        r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"req_1"}}"#
    )
}

/// wire-formats.md, section 1, errors.
#[test]
fn openai_table() {
    let bad = "invalid_request_error";
    let cases = [
        (
            429,
            "insufficient_quota",
            r#""insufficient_quota""#,
            QuotaExhausted,
        ),
        (429, "insufficient_quota", "null", QuotaExhausted),
        (429, bad, r#""billing_hard_limit_reached""#, QuotaExhausted),
        (429, "tokens", r#""rate_limit_exceeded""#, RateLimited),
        (429, "requests", "null", RateLimited),
        (400, bad, r#""context_length_exceeded""#, ContextLength),
        (400, "exceed_context_size_error", "400", ContextLength),
        (400, bad, r#""unsupported_value""#, BadRequest),
        (400, "BadRequestError", "400", BadRequest),
        (400, bad, r#""content_filter""#, Refused),
        (401, bad, r#""invalid_api_key""#, Auth),
        (403, "x", r#""unsupported_country_region_territory""#, Auth),
        (403, bad, r#""model_not_found""#, ModelNotFound),
        (404, bad, r#""model_not_found""#, ModelNotFound),
        (404, bad, "null", ModelNotFound),
        (408, bad, "null", Timeout),
        (409, bad, "null", ServerError),
        (425, bad, "null", ServerError),
        (413, bad, "null", BadRequest),
        (422, bad, "null", BadRequest),
        (500, "server_error", "null", ServerError),
        (502, "server_error", "null", ServerError),
        (503, "server_error", "null", Overloaded),
        (504, "server_error", "null", ServerError),
        (529, "x", "null", Overloaded),
    ];
    for (status, kind, code, expected) in cases {
        let error = classified(status, &openai(kind, code, "no"));
        assert_eq!(error.kind(), expected, "{status} {kind} {code}");
        assert_eq!(error.status(), Some(status));
        assert_eq!(error.message(), "no");
    }
}

/// wire-formats.md, section 4, errors.
#[test]
fn anthropic_table() {
    let cases = [
        (400, "invalid_request_error", "messages: wrong", BadRequest),
        (
            400,
            "invalid_request_error",
            "prompt is too long: 9 > 8",
            ContextLength,
        ),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low",
            QuotaExhausted,
        ),
        (
            400,
            "invalid_request_error",
            "workspace spend limit reached",
            QuotaExhausted,
        ),
        (401, "authentication_error", "x", Auth),
        (402, "billing_error", "x", QuotaExhausted),
        (403, "permission_error", "x", Auth),
        (404, "not_found_error", "model: x", ModelNotFound),
        (409, "conflict_error", "x", ServerError),
        (413, "request_too_large", "x", BadRequest),
        (429, "rate_limit_error", "x", RateLimited),
        (429, "workspace_spend_limit_reached", "x", QuotaExhausted),
        (500, "api_error", "x", ServerError),
        (504, "timeout_error", "x", ServerError),
        (529, "overloaded_error", "x", Overloaded),
    ];
    for (status, kind, message, expected) in cases {
        let error = classified(status, &anthropic(kind, message));
        assert_eq!(error.kind(), expected, "{status} {kind} {message}");
    }
}

#[test]
fn errors_within_a_stream_have_no_status() {
    let cases = [
        (anthropic("overloaded_error", "busy"), Overloaded),
        (anthropic("api_error", "x"), ServerError),
        (anthropic("invalid_request_error", "x"), BadRequest),
        (openai("server_error", "null", "x"), ServerError),
        (openai("insufficient_quota", "null", "x"), QuotaExhausted),
        (openai("x", "429", "slow down"), RateLimited),
        (openai("x", "\"503\"", "busy"), Overloaded),
        (openai("x", "null", "x"), ServerError),
        (r#"{"error":"queue full"}"#.to_owned(), ServerError),
    ];
    for (event, expected) in cases {
        let error = classify_event(&Bytes::from(event.clone()));
        assert_eq!(error.kind(), expected, "{event}");
        assert_eq!(error.status(), None);
    }
}

/// wire-formats.md, section 9 case 11, and what other servers send.
#[test]
fn bodies_of_any_shape_give_a_short_message() {
    let page = "<!DOCTYPE html>\n<html><head><title> 502 Bad Gateway </title></head><body>…";
    let long = "x".repeat(10_000);
    let cases = [
        (502, page, "502 Bad Gateway"),
        (502, "<html>\n<h1>Bad Gateway</h1>", "Bad Gateway"),
        (500, "upstream failed\nstack trace", "upstream failed"),
        (500, "", "the server answered with status 500"),
        (500, "{}", "the server answered with status 500"),
        (400, r#"{"detail":"not so"}"#, "not so"),
        (
            400,
            r#"{"detail":[{"loc":["body"]}]}"#,
            r#"[{"loc":["body"]}]"#,
        ),
        (
            404,
            r#"{"error":"model 'x' not found"}"#,
            "model 'x' not found",
        ),
        (404, r#"[{"error":{"code":404,"message":"gone"}}]"#, "gone"),
        (
            500,
            r#"{"error":{"message":null,"type":null,"param":null,"code":null}}"#,
            "the server answered with status 500",
        ),
        (500, &long, &long[..LONGEST_MESSAGE]),
    ];
    for (status, body, expected) in cases {
        assert_eq!(classified(status, body).message(), expected, "{body}");
    }
}

#[test]
fn keys_are_in_neither_message_nor_body() {
    let error = classified(
        401,
        &openai("x", "null", "Incorrect API key provided: sk-proj-SECRET123"),
    );
    assert!(!error.message().contains("SECRET"));
    let body = error.body().unwrap();
    assert!(!String::from_utf8_lossy(body).contains("SECRET"));
    assert!(serde_json::from_slice::<Value>(body).is_ok());
}

#[test]
fn a_redirect_names_its_host_and_is_not_followed() {
    let mut headers = HeaderMap::new();
    headers.insert("location", "https://evil.example/v1?x=1".parse().unwrap());
    let error = classify(&head(&headers, 307), &Bytes::new());
    assert_eq!(error.kind(), BadResponse);
    assert!(error.message().contains("evil.example"));
    assert!(!error.message().contains("x=1"));
}

#[test]
fn the_head_goes_into_the_error() {
    let mut headers = HeaderMap::new();
    headers.insert("x-request-id", "req_7".parse().unwrap());
    headers.insert("retry-after", "3".parse().unwrap());
    let error = classify(&head(&headers, 429), &Bytes::new());
    assert_eq!(error.request_id(), Some("req_7"));
    assert_eq!(error.advice(), Advice::RetryAfter(Duration::from_secs(3)));

    headers.insert("x-should-retry", "false".parse().unwrap());
    let error = classify(&head(&headers, 500), &Bytes::new());
    assert_eq!(error.advice(), Advice::Elsewhere);
}
