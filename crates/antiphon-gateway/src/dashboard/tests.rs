use std::time::Duration;

use antiphon::{ErrorKind, Session, Spent, SystemClock, Usage, Usd};
use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt;
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};

use super::{Dashboard, tallies::MOST_NAMES};
use crate::{
    Gateway, Running,
    observe::{CallBegan, CallEnded, Observer, Outcome},
};

fn running() -> Running {
    Running::open_to_all(Session::from_toml("").unwrap())
}

fn began() -> CallBegan {
    CallBegan {
        remote: None,
        span: None,
        id: "req_1".into(),
        at: std::time::UNIX_EPOCH + Duration::from_millis(1_500),
        caller: None,
        wire: "openai",
        asked: "panel".into(),
        is_streamed: false,
        traceparent: None,
    }
}

fn answered(cost: Option<&str>) -> CallEnded {
    let usage = Usage {
        input_tokens: 10,
        output_tokens: 5,
        ..Usage::default()
    };
    let cost: Option<Usd> = cost.map(|cost| cost.parse().unwrap());
    CallEnded {
        content: None,
        call: began(),
        status: 200,
        outcome: Outcome::Answered,
        model: Some("openai/gpt-4o".into()),
        took: Duration::from_millis(200),
        first_piece: Some(Duration::from_millis(200)),
        attempts: 1,
        spent: Spent::answer(Some(usage)).priced(cost),
        is_cached: false,
        finish_reason: Some("stop".into()),
        upstream_id: None,
        error: None,
    }
}

fn failed(kind: ErrorKind) -> CallEnded {
    CallEnded {
        content: None,
        status: 502,
        outcome: Outcome::Failed(kind),
        model: None,
        first_piece: None,
        spent: Spent::default(),
        finish_reason: None,
        error: Some("<b>it broke".into()),
        ..answered(None)
    }
}

fn call(dashboard: &Dashboard, ended: &CallEnded) {
    dashboard.began(&ended.call);
    dashboard.ended(ended);
}

fn told(dashboard: &Dashboard) -> Value {
    serde_json::to_value(dashboard.snapshot(&running())).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_snapshot_tells_what_became_of_calls() {
    let dashboard = Dashboard::new(SystemClock::shared());
    let nothing = told(&dashboard);
    assert_eq!(nothing["total"]["calls"], 0);
    assert_eq!(nothing["latency_ms"], Value::Null);
    assert_eq!(nothing["total"]["cost_usd"], 0.0);

    tokio::time::advance(Duration::from_secs(100)).await;
    call(&dashboard, &answered(Some("0.25")));
    let mut streamed = answered(None);
    streamed.call.is_streamed = true;
    streamed.first_piece = Some(Duration::from_millis(40));
    call(&dashboard, &streamed);
    call(&dashboard, &failed(ErrorKind::Overloaded));
    dashboard.began(&began());
    tokio::time::advance(Duration::from_secs(5)).await;

    let snapshot = told(&dashboard);
    assert_eq!(snapshot["in_flight"], 1);
    assert_eq!(snapshot["uptime_s"], 105);
    assert_eq!(snapshot["rate"], 0.4);
    assert_eq!(snapshot["last_minute"], 4);
    let total = &snapshot["total"];
    assert_eq!(total["calls"], 3);
    assert_eq!(
        (&total["answered"], &total["failed"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(total["cost_usd"], 0.25);
    assert_eq!(total["unpriced_answers"], 1);
    assert_eq!(total["output_tokens"], 10);
    assert_eq!(total["gwp_kgco2eq"], Value::Null);
    assert_eq!(snapshot["latency_ms"]["count"], 2);
    assert_eq!(snapshot["first_token_ms"]["count"], 1);
    assert_eq!(snapshot["series"]["answered"][119], 2);
    assert_eq!(snapshot["series"]["failed"][119], 1);
    assert_eq!(snapshot["series"]["cost_usd"][9], 0.25);
    assert_eq!(
        snapshot["errors"],
        json!([{"code": "overloaded", "count": 1}])
    );
    assert_eq!(snapshot["failures"][0]["error"], "<b>it broke");
    assert_eq!(snapshot["latest"][0]["outcome"], "failed");
    assert_eq!(snapshot["latest"][1]["first_token_ms"], 40.0);
    assert_eq!(snapshot["latest"][2]["first_token_ms"], Value::Null);
    assert_eq!(snapshot["latest"][2]["at_ms"], 1_500);
    assert_eq!(snapshot["models"][0]["name"], "panel");
    assert_eq!(snapshot["models"][0]["calls"], 3);

    tokio::time::advance(Duration::from_secs(600)).await;
    let later = told(&dashboard);
    assert_eq!(later["latency_ms"], Value::Null);
    assert_eq!(
        (&later["window"]["calls"], &later["total"]["calls"]),
        (&json!(0), &json!(3))
    );
}

#[tokio::test(start_paused = true)]
async fn names_beyond_the_first_and_made_up_ones_are_summed() {
    let dashboard = Dashboard::new(SystemClock::shared());
    let named = |name: String, mut ended: CallEnded| {
        ended.call.asked = name.as_str().into();
        ended.call.caller = Some(name.into());
        ended
    };
    for number in 0..1_000 {
        call(
            &dashboard,
            &named(format!("no-{number}"), failed(ErrorKind::ModelNotFound)),
        );
    }
    let rows = |kind: &str| told(&dashboard)[kind].as_array().unwrap().clone();
    assert_eq!(rows("models").len(), 1);
    for number in 0..1_000 {
        call(&dashboard, &named(format!("m{number}"), answered(None)));
    }
    // texts of any length are cut
    call(&dashboard, &named("long".repeat(1 << 20), answered(None)));
    for kind in ["models", "callers"] {
        let rows = rows(kind);
        assert_eq!(rows.len(), MOST_NAMES + 1);
        let calls: u64 = rows.iter().map(|row| row["calls"].as_u64().unwrap()).sum();
        assert_eq!(calls, 2_001);
        assert_eq!(rows[MOST_NAMES]["name"], Value::Null);
    }
    assert!(told(&dashboard).to_string().len() < 200_000);
}

async fn asks(gateway: &Gateway, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let mut request = Request::get(path).header(header::HOST, "127.0.0.1:8080");
    for (name, value) in headers {
        request.headers_mut().unwrap().insert(
            http::HeaderName::try_from(*name).unwrap(),
            value.parse().unwrap(),
        );
    }
    let service = TowerToHyperService::new(gateway.router());
    service
        .call(request.body(Body::empty()).unwrap())
        .await
        .unwrap()
}

fn gateway() -> Gateway {
    Gateway::new(running(), Vec::new())
}

#[tokio::test]
async fn files_are_safe_and_sent_once() {
    let gateway = gateway();
    for (path, kind) in [
        ("/", "text/html"),
        ("/dashboard/page.css", "text/css"),
        ("/dashboard/page.js", "text/javascript"),
    ] {
        let response = asks(&gateway, path, &[]).await;
        assert_eq!(response.status(), StatusCode::OK);
        let headers = response.headers().clone();
        let value = |name| headers[name].to_str().unwrap();
        assert!(value("content-type").starts_with(kind));
        assert_eq!(value("x-content-type-options"), "nosniff");
        let policy = value("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
        let text = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(text.to_vec()).unwrap();
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "style=",
            "onclick",
        ] {
            assert!(!text.contains(forbidden), "{forbidden} in {path}");
        }
        let etag = value("etag");
        let weak = format!("\"other\", W/{etag}");
        let again = asks(&gateway, path, &[("if-none-match", &weak)]).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        let other = asks(&gateway, path, &[("if-none-match", "\"other\"")]).await;
        assert_eq!(other.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn another_sites_name_reads_no_numbers() {
    let gateway = gateway();
    for path in ["/dashboard/snapshot.json", "/dashboard/events"] {
        let response = asks(&gateway, path, &[("host", "evil.example:8080")]).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        let own = asks(&gateway, path, &[]).await;
        assert_eq!(own.status(), StatusCode::OK);
        assert_eq!(own.headers()[header::CACHE_CONTROL], "no-store");
    }
}

async fn next(events: &mut BodyDataStream) -> Option<Value> {
    let event = events.next().await?.unwrap();
    let text = std::str::from_utf8(&event).unwrap();
    let data = text.strip_prefix("event: snapshot\ndata: ").unwrap();
    Some(serde_json::from_str(data.strip_suffix("\n\n").unwrap()).unwrap())
}

async fn look(gateway: &Gateway) -> BodyDataStream {
    let response = asks(gateway, "/dashboard/events", &[]).await;
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body().into_data_stream()
}

#[tokio::test(start_paused = true)]
async fn events_come_each_second_while_somebody_looks() {
    let gateway = gateway();
    let events = &gateway.dashboard().events;
    assert!(!events.is_ticking());
    let started = tokio::time::Instant::now();
    let mut one = look(&gateway).await;
    let mut other = look(&gateway).await;
    for second in 0..5 {
        let (told, same) = (
            next(&mut one).await.unwrap(),
            next(&mut other).await.unwrap(),
        );
        assert_eq!(started.elapsed().as_secs(), second);
        assert_eq!(told, same);
        call(gateway.dashboard(), &failed(ErrorKind::Timeout));
        assert_eq!(told["total"]["failed"], second);
    }
    drop((one, other));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!events.is_ticking());
    // whoever comes later sees nothing old
    let mut late = look(&gateway).await;
    assert_eq!(next(&mut late).await.unwrap()["total"]["failed"], 5);
}

#[tokio::test(start_paused = true)]
async fn a_drain_and_another_configuration_end_the_events() {
    let gateway = gateway();
    let mut events = look(&gateway).await;
    assert!(next(&mut events).await.is_some());
    gateway.replace(running());
    assert_eq!(next(&mut events).await, None);
    let mut events = look(&gateway).await;
    assert!(next(&mut events).await.is_some());
    gateway.dashboard().close();
    assert_eq!(next(&mut events).await, None);
    let mut too_late = look(&gateway).await;
    assert_eq!(next(&mut too_late).await, None);
}

#[tokio::test(start_paused = true)]
async fn those_who_look_are_bounded() {
    let gateway = gateway();
    let mut seated = Vec::new();
    for _ in 0..64 {
        seated.push(look(&gateway).await);
    }
    let refused = asks(&gateway, "/dashboard/events", &[]).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key(header::RETRY_AFTER));
    seated.pop();
    let mut seat = look(&gateway).await;
    assert!(next(&mut seat).await.is_some());
}
