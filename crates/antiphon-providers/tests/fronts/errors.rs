//! Errors in the words of each wire.

use antiphon_core::{Error, ErrorKind};
use serde_json::{Value, json};

use super::front_of;

fn told(wire: &str, error: &Error, status: u16) -> Value {
    let body = front_of(wire).error(error, status, "req_1");
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn words_of_each_wire() {
    let cases = [
        (
            ErrorKind::InvalidLine,
            400,
            "invalid_request_error",
            Value::Null,
            "invalid_request_error",
        ),
        (
            ErrorKind::BadRequest,
            400,
            "invalid_request_error",
            Value::Null,
            "invalid_request_error",
        ),
        (
            ErrorKind::BadRequest,
            413,
            "invalid_request_error",
            json!("request_too_large"),
            "request_too_large",
        ),
        (
            ErrorKind::ContextLength,
            400,
            "invalid_request_error",
            json!("context_length_exceeded"),
            "invalid_request_error",
        ),
        (
            ErrorKind::Auth,
            401,
            "invalid_request_error",
            json!("invalid_api_key"),
            "authentication_error",
        ),
        (
            ErrorKind::Auth,
            403,
            "invalid_request_error",
            json!("insufficient_permissions"),
            "permission_error",
        ),
        (
            ErrorKind::QuotaExhausted,
            429,
            "insufficient_quota",
            json!("insufficient_quota"),
            "billing_error",
        ),
        (
            ErrorKind::Budget,
            402,
            "insufficient_quota",
            json!("insufficient_quota"),
            "billing_error",
        ),
        (
            ErrorKind::ModelNotFound,
            404,
            "invalid_request_error",
            json!("model_not_found"),
            "not_found_error",
        ),
        (
            ErrorKind::RateLimited,
            429,
            "requests",
            json!("rate_limit_exceeded"),
            "rate_limit_error",
        ),
        (
            ErrorKind::Overloaded,
            529,
            "server_error",
            json!("overloaded"),
            "overloaded_error",
        ),
        (
            ErrorKind::Timeout,
            504,
            "server_error",
            json!("timeout"),
            "timeout_error",
        ),
        (
            ErrorKind::ServerError,
            500,
            "server_error",
            Value::Null,
            "api_error",
        ),
        (
            ErrorKind::Connection,
            502,
            "server_error",
            Value::Null,
            "api_error",
        ),
        (
            ErrorKind::OffSchema,
            502,
            "server_error",
            json!("off_schema"),
            "api_error",
        ),
    ];
    for (kind, status, openai, code, anthropic) in cases {
        let error = Error::new(kind, "why");
        for wire in ["openai", "openai-responses"] {
            let body = told(wire, &error, status);
            let body = &body["error"];
            assert_eq!(
                (&body["type"], &body["code"]),
                (&json!(openai), &code),
                "{kind}"
            );
            assert_eq!(body["message"], "why");
        }
        let body = told("anthropic", &error, status);
        assert_eq!(body["type"], "error");
        assert_eq!(
            body["error"],
            json!({"type": anthropic, "message": "why"}),
            "{kind} {status}"
        );
        assert_eq!(body["request_id"], "req_1");
    }
}

#[test]
fn a_body_of_the_callers_wire_is_passed_on_and_others_are_translated() {
    let openai = "{ \"error\" : {\"message\":\"no\", \"type\":\"x\",\"param\":\"p\",\"code\":7}}\n";
    let anthropic =
        "{\"type\":\"error\", \"error\":{\"type\":\"invalid_request_error\",\"message\":\"no\"}}";
    let error = |body: &'static str| {
        Error::new(ErrorKind::BadRequest, "no")
            .with_status(422)
            .with_body(body.into())
    };
    let own = [
        ("openai", openai),
        ("openai-responses", openai),
        ("anthropic", anthropic),
    ];
    for (wire, body) in own {
        assert_eq!(front_of(wire).error(&error(body), 422, "r"), body);
        // another status than the provider's is another error
        assert_ne!(front_of(wire).error(&error(body), 502, "r"), body);
    }
    assert_eq!(
        told("openai", &error(anthropic), 422)["error"]["message"],
        "no"
    );
    assert_eq!(
        told("anthropic", &error(openai), 422)["error"]["message"],
        "no"
    );
    for foreign in [
        "<html>",
        "[]",
        "{\"detail\":\"x\"}",
        "{\"error\":\"x\"}",
        "",
    ] {
        for wire in ["openai", "anthropic"] {
            assert_eq!(told(wire, &error(foreign), 422)["error"]["message"], "no");
        }
    }
}
