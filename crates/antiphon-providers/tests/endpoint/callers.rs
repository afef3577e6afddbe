//! What a gateway's callers send beside their conversation, and what reaches the provider of it.

use std::sync::Arc;

use antiphon_core::{
    Body, ChatRequest, Error, ErrorKind, Model, SystemClock,
    chat::{Delivery, Origin},
};
use antiphon_providers::{
    Endpoint, EndpointConfig,
    dialects::dialect,
    fronts::front,
    transport::{WireBody, WireRequest, WireResponse},
};
use futures_util::StreamExt;
use http::HeaderMap;
use serde_json::{Value, json};

use super::{ByHand, JSON, KEY, SSE, config, endpoint};

const RESPONSES: &str = include_str!("../fixtures/openai-responses-stream.txt");

/// What an endpoint of this configuration sends for a request.
async fn sent(config: EndpointConfig, request: ChatRequest) -> Result<WireRequest, Error> {
    let by_hand = Arc::new(ByHand::default());
    *by_hand.response.lock().unwrap() = Some(WireResponse {
        status: 500,
        headers: HeaderMap::new(),
        body: WireBody::whole(""),
    });
    let transport = Arc::clone(&by_hand);
    let endpoint = Endpoint::new(config, transport, SystemClock::shared()).unwrap();
    let error = endpoint.call(request).await.unwrap_err();
    let sent = by_hand.request.lock().unwrap().take();
    sent.ok_or(error)
}

fn from(wire: &'static str, headers: &[(&'static str, &str)]) -> ChatRequest {
    let mut request = ChatRequest::prompt("a");
    let headers = headers
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    request.origin = Some(Arc::new(Origin {
        wire,
        headers: headers.collect(),
        ..Origin::default()
    }));
    request
}

const HEADERS: [(&str, &str); 5] = [
    ("anthropic-beta", "b-2, b-1"),
    ("anthropic-version", "2026-10-21"),
    ("openai-organization", "theirs"),
    ("openai-project", "theirs"),
    ("traceparent", "00-1-2-03"),
];

#[tokio::test]
async fn headers_reach_those_who_understand_them() {
    let mut anthropic = config("anthropic");
    anthropic
        .headers
        .insert("anthropic-beta", "b-1,b-0".parse().unwrap());
    let request = from("anthropic", &HEADERS).with_param("temperature", json!(0.5));
    let own = sent(anthropic.clone(), request).await.unwrap();
    assert_eq!(own.headers["anthropic-beta"], "b-1,b-0,b-2");
    assert_eq!(own.headers["anthropic-version"], "2026-10-21");
    assert_eq!(own.headers["traceparent"], "00-1-2-03");
    assert!(!own.headers.contains_key("openai-organization"));
    // the version decides what is written
    let body: Value = serde_json::from_slice(&own.body).unwrap();
    assert_eq!(body.get("temperature"), None);

    // a version means nothing on another wire, and a configured one is the operator's decision
    let other = sent(anthropic.clone(), from("openai", &HEADERS))
        .await
        .unwrap();
    assert_eq!(other.headers["anthropic-version"], "2023-06-01");
    anthropic.version = Some("2023-01-01".to_owned());
    let pinned = sent(anthropic, from("anthropic", &HEADERS)).await.unwrap();
    assert_eq!(pinned.headers["anthropic-version"], "2023-01-01");

    let mut openai = config("openai");
    openai
        .headers
        .insert("openai-project", "ours".parse().unwrap());
    let sent = sent(openai, from("anthropic", &HEADERS)).await.unwrap();
    assert_eq!(sent.headers["openai-organization"], "theirs");
    assert_eq!(sent.headers["openai-project"], "ours");
    assert_eq!(sent.headers["traceparent"], "00-1-2-03");
    assert!(!sent.headers.contains_key("anthropic-beta"));
    assert!(!sent.headers.contains_key("anthropic-version"));
}

#[tokio::test]
async fn a_header_that_none_can_hold_is_left_out() {
    let request = from("openai", &[("traceparent", "a\r\nx-evil: 1")]);
    let sent = sent(config("openai"), request).await.unwrap();
    assert!(!sent.headers.contains_key("traceparent") && !sent.headers.contains_key("x-evil"));
}

fn responses(wire: Value) -> ChatRequest {
    let Value::Object(fields) = wire else {
        panic!("an object")
    };
    let front = front("openai-responses").unwrap();
    front.parse(fields).unwrap().request
}

#[tokio::test]
async fn responses_go_to_openai_as_they_are_and_to_others_translated() {
    let wire = || json!({"model": "x", "input": "hi", "store": true, "future": 1});
    let own = sent(config("openai"), responses(wire())).await.unwrap();
    assert_eq!(own.target.path(), "/base/responses");
    let body: Value = serde_json::from_slice(&own.body).unwrap();
    assert_eq!(
        body,
        json!({"model": "m", "input": "hi", "store": true, "future": 1})
    );

    let local = EndpointConfig {
        provider: "local".to_owned(),
        ..config("openai")
    };
    let other = sent(local.clone(), responses(wire())).await.unwrap();
    assert_eq!(other.target.path(), "/base/chat/completions");
    let not_openai = EndpointConfig {
        dialect: dialect("anthropic").unwrap(),
        ..config("openai")
    };
    let other = sent(not_openai, responses(wire())).await.unwrap();
    assert_eq!(other.target.path(), "/base/v1/messages");

    // words that somebody added are in no caller's body
    let changed = sent(config("openai"), responses(wire()).with_system("s"))
        .await
        .unwrap();
    assert_eq!(changed.target.path(), "/base/chat/completions");

    let earlier = responses(json!({"input": "hi", "previous_response_id": "resp_1"}));
    let error = sent(local, earlier.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadRequest);
    assert!(!error.may_be_billed());
    sent(config("openai"), earlier).await.unwrap();
}

#[tokio::test]
async fn answers_of_responses_say_that_they_are() {
    let (endpoint, _) = endpoint("openai", 200, &[SSE], WireBody::whole(RESPONSES));
    let mut request = responses(json!({"input": "hi"}));
    request.delivery = Delivery::Streamed;
    let response = endpoint.call(request).await.unwrap();
    assert_eq!(response.head.wire.as_deref(), Some("openai-responses"));
    let Body::Stream(deltas) = response.body else {
        panic!("a stream")
    };
    let deltas: Vec<_> = deltas.collect().await;
    let frames = deltas
        .iter()
        .map(|delta| delta.as_ref().unwrap().frame.as_ref());
    assert_eq!(frames.collect::<Vec<_>>().concat(), RESPONSES.as_bytes());
}

#[tokio::test]
async fn a_key_is_in_no_error_that_comes_with_a_success() {
    let echo = format!(r#"{{"error":{{"message":"wrong key {KEY}","type":"server_error"}}}}"#);
    let bodies = [
        (JSON, echo.clone()),
        (JSON, format!("not {KEY} JSON")),
        (SSE, format!("data: {echo}\n\n")),
        (SSE, format!("data: not {KEY} JSON\n\n")),
        (
            ("content-type", "text/html"),
            format!("<title>{KEY}</title>"),
        ),
    ];
    for (content_type, body) in bodies {
        let (endpoint, _) = endpoint("openai", 200, &[content_type], WireBody::whole(body));
        let mut request = ChatRequest::prompt("a");
        request.delivery = Delivery::Streamed;
        let error = match endpoint.call(request).await {
            Ok(response) => response.whole().await.unwrap_err(),
            Err(error) => error,
        };
        let body = String::from_utf8_lossy(error.body().unwrap()).into_owned();
        assert!(
            !body.contains("canary") && !error.message().contains("canary"),
            "{error:?} {body}"
        );
        assert!(body.contains("[redacted]"));
    }
}
