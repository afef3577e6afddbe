//! Requests and tokens per minute.

use std::time::Duration;

use antiphon_gateway::Gateway;
use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::support::{Rig, key_of, running};

const RPM: &str = "[[keys]]\nname = \"a\"\nkey_env = \"KEY_OF_A\"\nrpm = 2\n";
const TPM: &str = "[[keys]]\nname = \"a\"\nkey_env = \"KEY_OF_A\"\ntpm = 5000\n";

#[tokio::test(start_paused = true)]
async fn whoever_asks_too_often_is_told_when_to_come_again() {
    let rig = Rig::new(RPM);
    let first = rig.ask("a", "fast").await;
    assert_eq!(first.header("x-ratelimit-limit-requests"), Some("2"));
    assert_eq!(first.header("x-ratelimit-remaining-requests"), Some("1"));
    assert!(first.header("x-ratelimit-limit-tokens").is_none());
    assert_eq!(rig.ask("a", "fast").await.status, StatusCode::OK);
    let refused = rig.ask("a", "fast").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((58..=61).contains(&after), "{after}");
    assert_eq!(refused.header("x-ratelimit-remaining-requests"), Some("0"));
    assert!(refused.message().contains("2 requests per minute"));
    // in the other dialect too, and for streams
    let body = json!({"model": "fast", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "x"}]});
    let refused = rig.ask_for("a", "/v1/messages", &body).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        refused.header("anthropic-ratelimit-requests-remaining"),
        Some("0")
    );
    assert!(refused.header("x-ratelimit-limit-requests").is_none());

    tokio::time::advance(Duration::from_secs(after - 3)).await;
    assert_eq!(rig.ask("a", "fast").await.status.as_u16(), 429);
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(rig.ask("a", "fast").await.status, StatusCode::OK);
}

fn left(rig: &Rig) -> f64 {
    rig.caller("a").limits.tokens.remaining.unwrap()
}

#[tokio::test(start_paused = true)]
async fn tokens_are_those_that_were_really_used() {
    let rig = Rig::new(TPM);
    let told = rig.ask("a", "fast").await;
    let body: Value = serde_json::from_str(&told.body).unwrap();
    let used = body["usage"]["total_tokens"].as_f64().unwrap();
    assert!(used > 0.0);
    assert_eq!(left(&rig), 5000.0 - used);
    // every member of an ensemble counts
    let told = rig.ask("a", "panel").await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.body);
    assert!(left(&rig) < 5000.0 - 3.0 * used, "{}", left(&rig));
    // what is refused before it is sent costs nothing
    let before = left(&rig);
    assert_eq!(rig.ask("a", "sim/").await.status.as_u16(), 404);
    assert_eq!(left(&rig), before);
    let large =
        json!({"model": "fast", "messages": [{"role": "user", "content": "word ".repeat(9000)}]});
    let refused = rig.ask_for("a", "/v1/chat/completions", &large).await;
    assert_eq!(refused.status.as_u16(), 429);
    assert!(
        refused.message().contains("send less at once"),
        "{}",
        refused.body
    );
    assert!(refused.header("retry-after").is_none());
    assert_eq!(left(&rig), before);
}

#[tokio::test(start_paused = true)]
async fn streams_settle_at_their_end_and_when_their_caller_hangs_up() {
    let rig = Rig::new(TPM);
    let body = json!({"model": "fast", "stream": true, "stream_options": {"include_usage": true}, "messages": [{"role": "user", "content": "Hello"}]});
    let ask = || {
        let request = Request::post("/v1/chat/completions").header("x-api-key", key_of("a"));
        request.body(Body::from(body.to_string())).unwrap()
    };
    let read = rig.send(ask()).await;
    let _all = read.into_body().collect().await.unwrap();
    let used = 5000.0 - left(&rig);
    assert!(used > 0.0 && used < 256.0, "{used}");

    // nobody reads to the end: what was reserved counts
    let broken = rig.send(ask()).await;
    assert_eq!(broken.status(), StatusCode::OK);
    let reserved = 5000.0 - used - left(&rig);
    assert!(reserved > 0.0, "{reserved}");
    drop(broken);
    assert_eq!(left(&rig), 5000.0 - used - reserved);

    // a call that is given up while it still waits at a gate is not sent
    let before = left(&rig);
    drop(rig.send(ask()));
    assert_eq!(left(&rig), before);
}

#[tokio::test(start_paused = true)]
async fn another_configuration_knows_what_the_last_minute_has_used() {
    let rig = Rig::new(RPM);
    rig.ask("a", "fast").await;
    rig.ask("a", "fast").await;
    let gateway: &Gateway = &rig.gateway;
    let more = RPM.replace("rpm = 2", "rpm = 3");
    gateway.replace(running(&more, &rig.books).unwrap());
    assert_eq!(rig.ask("a", "fast").await.status, StatusCode::OK);
    assert_eq!(rig.ask("a", "fast").await.status.as_u16(), 429);
}

#[tokio::test(start_paused = true)]
async fn limits_hold_from_the_moment_that_their_configuration_is_in_force() {
    let rig = Rig::new(RPM);
    rig.ask("a", "fast").await;
    let less = RPM.replace("rpm = 2", "rpm = 1");
    let read = running(&less, &rig.books).unwrap();
    assert_eq!(rig.caller("a").limits.requests.limit, Some(2.0));
    assert_eq!(rig.ask("a", "fast").await.status, StatusCode::OK);
    rig.gateway.replace(read);
    assert_eq!(rig.caller("a").limits.requests.limit, Some(1.0));
}
