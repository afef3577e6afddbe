//! The model without a wire: same fates, by the clock, classified as a client would.

use std::{sync::Arc, time::Duration};

use antiphon_core::{Body, ChatRequest, Clock, ErrorKind, Model, SystemClock, chat::Delivery};
use antiphon_sim::{Fate, FaultKind, Outage, SimConfig, SimModel, Simulator, Window};
use futures_util::{FutureExt, StreamExt};

fn prompt(delivery: Delivery) -> ChatRequest {
    ChatRequest {
        delivery,
        ..ChatRequest::prompt("Tell me about rivers and the tides that meet them")
    }
}

fn failing(kind: FaultKind) -> SimModel {
    let fail = vec![antiphon_sim::Fault {
        kind,
        model: None,
        probability: 1.0,
    }];
    SimModel::new(
        "sim/small",
        SimConfig {
            fail,
            ..SimConfig::default()
        },
        SystemClock::shared(),
    )
}

#[tokio::test]
async fn statuses_become_classified_errors() {
    for (status, kind) in [
        (400, ErrorKind::BadRequest),
        (401, ErrorKind::Auth),
        (403, ErrorKind::Auth),
        (404, ErrorKind::ModelNotFound),
        (429, ErrorKind::RateLimited),
        (500, ErrorKind::ServerError),
        (503, ErrorKind::Overloaded),
        (529, ErrorKind::Overloaded),
    ] {
        let error = failing(FaultKind::Status(status))
            .call(prompt(Delivery::Whole))
            .await
            .unwrap_err();
        assert_eq!((error.kind(), error.status()), (kind, Some(status)));
        assert_eq!(error.retry_after().is_some(), status == 429);
        assert!(error.request_id().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn every_kind_has_its_meaning_in_process() {
    for (kind, _) in FaultKind::all() {
        for delivery in [Delivery::Whole, Delivery::Streamed] {
            let model = failing(kind);
            let answer = async { model.call(prompt(delivery)).await?.whole().await };
            // the clock is paused: a minute passes at once, and only what never ends is still pending then
            let ended = tokio::time::timeout(Duration::from_secs(86_400), answer)
                .await
                .ok();
            let case = format!("{kind} {delivery:?}: {ended:?}");
            let failed = ended
                .as_ref()
                .and_then(|ended| ended.as_ref().err())
                .map(antiphon_core::Error::kind);
            match kind {
                FaultKind::Hang | FaultKind::Stall => assert!(ended.is_none(), "{case}"),
                FaultKind::Reset | FaultKind::Refuse => {
                    assert_eq!(failed, Some(ErrorKind::Connection), "{case}")
                }
                FaultKind::Quota => assert_eq!(failed, Some(ErrorKind::QuotaExhausted), "{case}"),
                FaultKind::ErrorEvent | FaultKind::NoRetry | FaultKind::HtmlError => {
                    assert_eq!(failed, Some(ErrorKind::ServerError), "{case}");
                }
                // slow, but it does come
                FaultKind::Drip => assert!(ended.unwrap().is_ok(), "{kind}"),
                FaultKind::EarlyEnd if delivery == Delivery::Whole => {
                    assert!(ended.unwrap().is_ok(), "{kind}")
                }
                _ => match kind.fate() {
                    Fate::Answers => assert!(ended.unwrap().is_ok(), "{kind}"),
                    Fate::Spoils => assert_eq!(failed, Some(ErrorKind::BadResponse), "{case}"),
                    Fate::Fails => assert_eq!(failed, Some(ErrorKind::RateLimited), "{case}"),
                },
            }
            let report = model.ledger().report();
            let ends = report.answered + report.spoiled + report.failed;
            assert_eq!(
                (report.asked, ends, report.in_flight),
                (1, 1, 0),
                "{kind} {report:?}"
            );
        }
    }
}

#[tokio::test]
async fn delays_are_told() {
    for (kind, delay) in [
        (FaultKind::RetryAfterMs, Some(Duration::from_millis(250))),
        (FaultKind::RetryAfterFloat, Some(Duration::from_millis(500))),
        (FaultKind::RetryAfterHour, Some(Duration::from_secs(3600))),
        (FaultKind::NoRetryAfter, None),
    ] {
        let error = failing(kind)
            .call(prompt(Delivery::Whole))
            .await
            .unwrap_err();
        assert_eq!(error.retry_after(), delay);
    }
}

#[tokio::test(start_paused = true)]
async fn answers_take_their_latency_by_the_clock() {
    let config = SimConfig {
        latency: Duration::from_secs(8),
        ..SimConfig::default()
    };
    let clock = SystemClock::shared();
    let model = SimModel::new("small", config, clock.clone());
    model
        .call(prompt(Delivery::Whole))
        .await
        .unwrap()
        .whole()
        .await
        .unwrap();
    assert_eq!(clock.now().since_start().as_secs(), 8);
    let response = model.call(prompt(Delivery::Streamed)).await.unwrap();
    let Body::Stream(mut deltas) = response.body else {
        panic!("a stream was asked for")
    };
    deltas.next().await.unwrap().unwrap();
    assert_eq!(clock.now().since_start().as_secs(), 10);
    while let Some(delta) = deltas.next().await {
        delta.unwrap();
    }
    assert_eq!(clock.now().since_start().as_millis().div_ceil(100), 160);
}

#[tokio::test(start_paused = true)]
async fn jitter_and_tail_spread_the_latency() {
    let config = SimConfig {
        latency: Duration::from_secs(1),
        jitter: 0.5,
        tail: 0.1,
        ..SimConfig::default()
    };
    let clock = SystemClock::shared();
    let model = SimModel::new("small", config, clock.clone());
    let mut took = Vec::new();
    for row in 0..200 {
        let start = clock.now();
        model
            .call(ChatRequest::prompt(row.to_string()))
            .await
            .unwrap()
            .whole()
            .await
            .unwrap();
        took.push(clock.now().since(start).as_secs_f64());
    }
    let slow = took.iter().filter(|seconds| **seconds >= 5.0).count();
    assert!((8..=35).contains(&slow), "{slow}");
    assert!(
        took.iter()
            .all(|seconds| (0.5..=1.51).contains(seconds) || (5.0..=15.1).contains(seconds))
    );
    assert!(
        took.iter().any(|seconds| *seconds < 0.75) && took.iter().any(|seconds| *seconds > 1.25)
    );
}

#[tokio::test(start_paused = true)]
async fn limits_hold_and_are_told() {
    let config = SimConfig {
        rpm: Some(3),
        window: Window::Minute,
        ..SimConfig::default()
    };
    let clock: Arc<dyn Clock> = SystemClock::shared();
    let model = SimModel::new("small", config, clock.clone());
    for left in [2.0, 1.0, 0.0] {
        let response = model.call(prompt(Delivery::Whole)).await.unwrap();
        assert_eq!(response.head.limits.requests.limit, Some(3.0));
        assert_eq!(response.head.limits.requests.remaining, Some(left));
        response.whole().await.unwrap();
    }
    let error = model.call(prompt(Delivery::Whole)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::RateLimited, Some(429))
    );
    clock
        .sleep_until(clock.now() + error.retry_after().unwrap())
        .await;
    assert!(model.call(prompt(Delivery::Whole)).await.is_ok());
    let report = model.ledger().report();
    assert_eq!((report.rate_limited, report.max_in_any_60s), (1, 3));
}

#[tokio::test]
async fn the_books_tell_repeated_abandoned_and_flying_calls() {
    let simulator = Simulator::new(
        SimConfig {
            keep_prompts: true,
            ..SimConfig::default()
        },
        SystemClock::shared(),
    );
    let model = simulator.model("small");
    let once = || ChatRequest::prompt("once");
    model.call(once()).await.unwrap().whole().await.unwrap();
    let flying = model.call(ChatRequest::prompt("never read")).await.unwrap();
    let report = simulator.ledger().report();
    assert_eq!(
        (
            report.in_flight,
            report.peak_in_flight,
            report.repeated_prompts
        ),
        (1, 1, 0)
    );
    drop(flying);
    model.call(once()).await.unwrap().whole().await.unwrap();
    simulator
        .model("large")
        .call(once())
        .await
        .unwrap()
        .whole()
        .await
        .unwrap();
    let report = simulator.ledger().report();
    assert_eq!(
        (
            report.asked,
            report.answered,
            report.abandoned,
            report.in_flight
        ),
        (4, 3, 1, 0)
    );
    assert_eq!((report.distinct_prompts, report.repeated_prompts), (3, 1));
    let repeated = &report.repeated[0];
    assert_eq!(
        (repeated.asked, repeated.answered, repeated.text.as_deref()),
        (2, 2, Some("once"))
    );
    assert_eq!(simulator.ledger().prompts().len(), 3);
    simulator.reset();
    assert_eq!(
        simulator.ledger().report(),
        antiphon_sim::LedgerReport::default()
    );
}

#[tokio::test]
async fn an_outage_stops_everything_until_it_is_over() {
    let model = failing(FaultKind::Crlf);
    let kind = async || {
        model
            .call(prompt(Delivery::Whole))
            .await
            .err()
            .map(|error| error.kind())
    };
    model.simulator().set_outage(Some(Outage::Close));
    assert_eq!(kind().await, Some(ErrorKind::Connection));
    model.simulator().set_outage(Some(Outage::Unavailable));
    assert_eq!(kind().await, Some(ErrorKind::Overloaded));
    model.simulator().set_outage(None);
    assert_eq!(kind().await, None);
    let report = model.ledger().report();
    assert_eq!((report.outage_calls, report.asked), (2, 1));
}

#[tokio::test]
async fn what_no_provider_takes_is_refused() {
    let model = SimModel::new("missing-1", SimConfig::default(), SystemClock::shared());
    let error = model.call(prompt(Delivery::Whole)).await.unwrap_err();
    assert_eq!(
        (error.kind(), model.name()),
        (ErrorKind::ModelNotFound, "sim/missing-1")
    );
    let config = SimConfig {
        context_window: 10,
        ..SimConfig::default()
    };
    let model = SimModel::new("small", config, SystemClock::shared());
    let error = model
        .call(prompt(Delivery::Whole))
        .now_or_never()
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ContextLength);
}

#[tokio::test]
async fn samples_of_a_request_differ_and_each_is_the_same_again() {
    let model = SimModel::new("small", SimConfig::default(), SystemClock::shared());
    let ask = async |sample| {
        let mut request = ChatRequest::prompt("Tell me of the sea.");
        request.sample = sample;
        model
            .call(request)
            .await
            .unwrap()
            .whole()
            .await
            .unwrap()
            .answer
            .text
    };
    let first = [ask(0).await, ask(1).await, ask(2).await];
    assert!(first[0] != first[1] && first[1] != first[2] && first[0] != first[2]);
    assert_eq!(first, [ask(0).await, ask(1).await, ask(2).await]);
}
