//! The endpoint against a transport driven by hand: each line of a test is an event on the wire.

mod callers;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use antiphon_core::{
    Body, BoxFuture, ChatRequest, Error, ErrorKind, Model, Reply, SystemClock, chat::Delivery,
};
use antiphon_providers::{
    Endpoint, EndpointConfig,
    dialects::dialect,
    transport::{Transport, WireBody, WireRequest, WireResponse},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderName};
use serde_json::json;

const KEY: &str = "canary-4711-secret";
const OPENAI: &str = include_str!("../fixtures/openai-answer.json");
const OPENAI_STREAM: &str = include_str!("../fixtures/openai-stream.txt");
const ANTHROPIC_STREAM: &str = include_str!("../fixtures/anthropic-stream-tools.txt");

/// Gives one prepared response and keeps the request.
#[derive(Debug, Default)]
struct ByHand {
    response: Mutex<Option<WireResponse>>,
    request: Mutex<Option<WireRequest>>,
}

impl Transport for ByHand {
    fn send(&self, request: WireRequest) -> BoxFuture<'_, Result<WireResponse, Error>> {
        *self.request.lock().unwrap() = Some(request);
        let response = self.response.lock().unwrap().take();
        Box::pin(async move { Ok(response.expect("one response for one request")) })
    }
}

fn config(name: &str) -> EndpointConfig {
    EndpointConfig {
        provider: name.to_owned(),
        model: "m".to_owned(),
        dialect: dialect(name).unwrap(),
        base_url: "http://127.0.0.1:9/base/".to_owned(),
        key: Some(KEY.into()),
        headers: HeaderMap::new(),
        version: None,
        minds_content_type: false,
        connect_timeout: None,
        idle_timeout: None,
    }
}

/// An endpoint whose transport answers with this.
fn endpoint(
    name: &str,
    status: u16,
    headers: &[(&'static str, &'static str)],
    body: WireBody,
) -> (Endpoint, Arc<ByHand>) {
    let headers = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
        .collect();
    let by_hand = Arc::new(ByHand::default());
    *by_hand.response.lock().unwrap() = Some(WireResponse {
        status,
        headers,
        body,
    });
    let transport = Arc::clone(&by_hand);
    let endpoint = Endpoint::new(config(name), transport, SystemClock::shared()).unwrap();
    (endpoint, by_hand)
}

fn streamed() -> ChatRequest {
    let mut request = ChatRequest::prompt("a");
    request.delivery = Delivery::Streamed;
    request
}

const SSE: (&str, &str) = ("content-type", "text/event-stream; charset=utf-8");
const JSON: (&str, &str) = ("content-type", "application/json");

/// These bytes, and then silence without an end.
fn hanging(bytes: &'static str) -> WireBody {
    let first = stream::iter([Ok(Bytes::from_static(bytes.as_bytes()))]);
    WireBody::from_stream(first.chain(stream::pending()))
}

#[tokio::test]
async fn a_whole_answer_with_its_head() {
    let headers = [
        JSON,
        ("x-request-id", "req_1"),
        ("x-ratelimit-limit-requests", "500"),
    ];
    let (endpoint, by_hand) = endpoint("openai", 200, &headers, WireBody::whole(OPENAI));
    let request = ChatRequest::prompt("a").with_param("top_k", json!(1));
    let Reply { head, answer } = endpoint.call(request).await.unwrap().whole().await.unwrap();
    assert_eq!(answer.text, "Hi");
    assert_eq!(answer.body, OPENAI);
    assert_eq!(head.model, "openai/m");
    assert_eq!((head.status, head.attempts), (200, 1));
    assert_eq!(head.request_id.as_deref(), Some("req_1"));
    assert_eq!(head.limits.requests.limit, Some(500.0));
    assert_eq!(head.dropped, ["top_k"]);

    let sent = by_hand.request.lock().unwrap().take().unwrap();
    assert_eq!(sent.target.path(), "/base/chat/completions");
    assert_eq!(sent.headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(sent.headers["content-type"], "application/json");
}

#[tokio::test]
async fn each_dialect_sends_its_key_its_way_and_own_headers_win() {
    let mut config = config("anthropic");
    config.key = Some(format!("{KEY}\n").into());
    config
        .headers
        .insert("anthropic-version", "2026-10-21".parse().unwrap());
    let by_hand = Arc::new(ByHand::default());
    *by_hand.response.lock().unwrap() = Some(WireResponse {
        status: 500,
        headers: HeaderMap::new(),
        body: WireBody::whole(""),
    });
    let transport = Arc::clone(&by_hand);
    let endpoint = Endpoint::new(config, transport, SystemClock::shared()).unwrap();
    endpoint.call(ChatRequest::prompt("a")).await.unwrap_err();
    let sent = by_hand.request.lock().unwrap().take().unwrap();
    assert_eq!(sent.target.path(), "/base/v1/messages");
    assert_eq!(sent.headers["x-api-key"], KEY);
    assert!(sent.headers["x-api-key"].is_sensitive());
    assert_eq!(sent.headers["anthropic-version"], "2026-10-21");
}

#[tokio::test]
async fn a_key_is_in_no_debug_text_and_no_error() {
    let echo = format!(r#"{{"error":{{"message":"wrong key {KEY}","type":"x"}}}}"#);
    let (endpoint, _) = endpoint("openai", 401, &[], WireBody::whole(echo));
    let error = endpoint.call(ChatRequest::prompt("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert_eq!(error.message(), "wrong key [redacted]");
    let body = String::from_utf8_lossy(error.body().unwrap()).into_owned();
    for text in [body, format!("{error:?}"), format!("{endpoint:?}")] {
        assert!(!text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn keys_and_addresses_that_cannot_work_are_found_at_once() {
    let wrong_key = EndpointConfig {
        key: Some("a\nb".into()),
        ..config("openai")
    };
    let wrong_url = EndpointConfig {
        base_url: "api.openai.com".to_owned(),
        ..config("openai")
    };
    for config in [wrong_key, wrong_url] {
        let transport = Arc::new(ByHand::default());
        let error = Endpoint::new(config, transport, SystemClock::shared()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest);
        assert!(!error.message().contains("a\nb"));
    }
}

#[tokio::test]
async fn a_stream_as_deltas() {
    let (endpoint, _) = endpoint("openai", 200, &[SSE], WireBody::whole(OPENAI_STREAM));
    let Body::Stream(deltas) = endpoint.call(streamed()).await.unwrap().body else {
        panic!("a stream")
    };
    let deltas: Vec<_> = deltas.map(Result::unwrap).collect().await;
    let text: String = deltas.iter().map(|delta| delta.text.as_str()).collect();
    assert_eq!(text, "Héllo");
    // the end mark rides in a piece of its own
    assert_eq!(deltas.len(), 6);
    assert!(deltas.iter().all(|delta| !delta.frame.is_empty()));
}

#[tokio::test]
async fn a_long_answer_of_anthropic_is_streamed_and_folded() {
    let (endpoint, _) = endpoint("anthropic", 200, &[SSE], WireBody::whole(ANTHROPIC_STREAM));
    let request = ChatRequest::prompt("a").with_param("max_tokens", json!(64_000));
    let Reply { answer, .. } = endpoint.call(request).await.unwrap().whole().await.unwrap();
    assert_eq!(answer.tool_calls.len(), 2);
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["id"], "msg_2");
    assert_eq!(body["content"][0]["thinking"], "Two calls.");
}

/// reliability.md, row 14: a complete answer waits at most 2 s for usage or `[DONE]`.
#[tokio::test(start_paused = true)]
async fn a_complete_answer_does_not_wait_for_a_silent_server() {
    let without_usage = OPENAI_STREAM.find("data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1795000000,\"model\":\"gpt-x\",\"choices\":[],").unwrap();
    let cases = [
        (&OPENAI_STREAM[..without_usage], Duration::from_secs(2)),
        (OPENAI_STREAM, Duration::from_millis(100)),
    ];
    for (sent, expected) in cases {
        let (endpoint, _) = endpoint("openai", 200, &[SSE], hanging(sent));
        let start = tokio::time::Instant::now();
        let Reply { answer, .. } = endpoint
            .call(streamed())
            .await
            .unwrap()
            .whole()
            .await
            .unwrap();
        assert_eq!(answer.text, "Héllo");
        let waited = start.elapsed();
        assert!(
            waited >= expected && waited < expected + Duration::from_millis(50),
            "{waited:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn comments_do_not_lengthen_the_wait() {
    let end = r#"data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
    let drip = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        Some((Ok(Bytes::from_static(b": ping\n\n")), ()))
    });
    let first = stream::iter([Ok(Bytes::from(format!("{end}\n\n")))]);
    let body = WireBody::from_stream(first.chain(drip.take(20)));
    let (endpoint, _) = endpoint("openai", 200, &[SSE], body);
    let start = tokio::time::Instant::now();
    endpoint
        .call(streamed())
        .await
        .unwrap()
        .whole()
        .await
        .unwrap();
    assert!(start.elapsed() < Duration::from_millis(2100));
}

#[tokio::test]
async fn a_stream_that_breaks_is_an_error_unless_it_was_complete() {
    let broken = |sent: &'static str| {
        let lost = Error::new(ErrorKind::Connection, "reset");
        WireBody::from_stream(stream::iter([
            Ok(Bytes::from_static(sent.as_bytes())),
            Err(lost),
        ]))
    };
    let whole = OPENAI_STREAM.find("data: [DONE]").unwrap();
    let (complete, _) = endpoint("openai", 200, &[SSE], broken(&OPENAI_STREAM[..whole]));
    let Reply { answer, .. } = complete
        .call(streamed())
        .await
        .unwrap()
        .whole()
        .await
        .unwrap();
    assert_eq!(answer.usage().unwrap().total(), 13);

    let headers = [SSE, ("x-request-id", "req_1")];
    let (cut, _) = endpoint("openai", 200, &headers, broken(&OPENAI_STREAM[..300]));
    let error = cut
        .call(streamed())
        .await
        .unwrap()
        .whole()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert_eq!(error.request_id(), Some("req_1"));

    let (ended, _) = endpoint(
        "openai",
        200,
        &headers,
        WireBody::whole(&OPENAI_STREAM[..300]),
    );
    let error = ended
        .call(streamed())
        .await
        .unwrap()
        .whole()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadResponse);
    assert_eq!(error.request_id(), Some("req_1"));
}

#[tokio::test]
async fn the_stream_ends_with_its_first_error() {
    let failed = "data: {\"error\":{\"message\":\"x\",\"code\":503}}\n\ndata: {\"choices\":[]}\n\n";
    let (endpoint, _) = endpoint("openai", 200, &[SSE], WireBody::whole(failed));
    let Body::Stream(deltas) = endpoint.call(streamed()).await.unwrap().body else {
        panic!("a stream")
    };
    let deltas: Vec<_> = deltas.collect().await;
    assert_eq!(deltas.len(), 1);
    assert_eq!(
        deltas[0].as_ref().unwrap_err().kind(),
        ErrorKind::Overloaded
    );
}

#[tokio::test]
async fn a_server_that_ignores_stream_still_answers() {
    let (endpoint, _) = endpoint("openai", 200, &[JSON], WireBody::whole(OPENAI));
    let Reply { answer, .. } = endpoint
        .call(streamed())
        .await
        .unwrap()
        .whole()
        .await
        .unwrap();
    assert_eq!(answer.text, "Hi");
}

#[tokio::test]
async fn a_page_is_no_answer() {
    let page = "<html><head><title>Sign in</title></head></html>";
    for request in [ChatRequest::prompt("a"), streamed()] {
        let html = [("content-type", "text/html")];
        let (endpoint, _) = endpoint("openai", 200, &html, WireBody::whole(page));
        let error = endpoint.call(request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadResponse);
        assert!(error.message().ends_with("Sign in"));
    }
}

#[tokio::test]
async fn an_error_keeps_what_its_head_tells_when_its_body_breaks() {
    let lost = stream::iter([Err(Error::new(ErrorKind::Connection, "reset"))]);
    let (endpoint, _) = endpoint(
        "openai",
        429,
        &[("retry-after", "7"), ("x-ratelimit-limit-tokens", "9000")],
        WireBody::from_stream(lost),
    );
    let error = endpoint.call(ChatRequest::prompt("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(error.limits().tokens.limit, Some(9000.0));
}
