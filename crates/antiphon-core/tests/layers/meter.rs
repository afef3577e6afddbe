//! What attempts cost, and what is not known of them.

use std::{sync::Arc, time::Duration};

use antiphon_core::{
    ChatRequest, ErrorKind, Phase, Spent, Usd,
    account::{Billed, Impacts, Range, Rates, Worst},
    chat::Delivery,
    layers::retry::RetryConfig,
    stack::StackConfig,
};
use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::scripted::{
    Bench, Scripted, answer, at_most, bench_of, delta, error, last_delta, settle, streamed, whole,
};

/// A picodollar for each token, and a watt-hour for each second.
#[derive(Debug)]
struct Plain;

impl Rates for Plain {
    fn cost(&self, billed: &Billed<'_>) -> Option<Usd> {
        Some(Usd::from_picos(billed.usage.total()))
    }

    fn impacts(&self, billed: &Billed<'_>) -> Option<Impacts> {
        Some(Impacts {
            energy_kwh: Range::exactly(billed.latency.as_secs_f64() / 1e3),
            ..Impacts::default()
        })
    }

    fn most(&self, _: &Worst) -> Option<Usd> {
        None
    }
}

fn priced(leaf: &Arc<Scripted>) -> Bench {
    let config = StackConfig {
        retry: RetryConfig {
            max_retries: 3,
            ..RetryConfig::default()
        },
        rates: Some(Arc::new(Plain)),
        ..StackConfig::default()
    };
    bench_of(leaf.clone(), at_most(4), &config)
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_fees_has_no_known_cost() {
    let leaf = Scripted::new(|_, _| async { whole(async { Ok(answer("x")) }) });
    let bench = priced(&leaf);
    let cost = async |name: &str, value| {
        let request = ChatRequest::prompt("x").with_param(name, value);
        bench.model.ask(request).await.unwrap().spent().cost()
    };
    for (name, value) in [
        ("web_search_options", json!({})),
        ("speed", json!("fast")),
        ("modalities", json!(["text", "audio"])),
        (
            "tools",
            json!([{"type": "web_search_20250305", "name": "web_search"}]),
        ),
    ] {
        assert_eq!(cost(name, value).await, None, "{name}");
    }
    for (name, value) in [
        ("search_parameters", json!({"mode": "off"})),
        ("speed", json!("standard")),
        ("web_search_options", json!(null)),
        (
            "tools",
            json!([{"type": "text_editor_20250728", "name": "edit"}]),
        ),
    ] {
        assert_eq!(cost(name, value).await, Some(Usd::from_picos(15)), "{name}");
    }
    assert_eq!(bench.metrics.spent().unpriced(), 4);
}

#[tokio::test(start_paused = true)]
async fn each_answer_is_priced_and_waiting_takes_no_energy() {
    let leaf = Scripted::new(|number, _| async move {
        match number {
            0 => Err(error(ErrorKind::RateLimited)
                .with_status(429)
                .with_retry_after(Some(Duration::from_secs(60)))),
            _ => whole(async {
                tokio::time::sleep(Duration::from_secs(2)).await;
                Ok(answer("x"))
            }),
        }
    });
    let bench = priced(&leaf);
    let reply = bench.model.ask(ChatRequest::prompt("x")).await.unwrap();
    let spent = reply.spent();
    assert_eq!(spent.cost(), Some(Usd::from_picos(15)));
    let energy = spent.impacts().unwrap().energy_kwh;
    assert_eq!(energy, Range::exactly(0.002));
    assert_eq!(bench.metrics.spent(), spent);
    let by_model = bench.metrics.snapshot().spent_by_model;
    assert_eq!(by_model["test/scripted"], spent);
}

#[tokio::test(start_paused = true)]
async fn attempts_of_which_nobody_knows_the_end_are_counted() {
    let leaf = Scripted::new(|number, _| async move {
        match number {
            // a refusal and a failed connection are not billed; a timeout and a broken answer may be
            0 => Err(error(ErrorKind::ServerError).with_status(503)),
            1 => Err(error(ErrorKind::Connection).not_sent()),
            2 => whole(async {
                let limit = Duration::from_secs(1);
                Err(antiphon_core::Error::timeout(Phase::Total, limit))
            }),
            _ => whole(async { Ok(answer("x")) }),
        }
    });
    let bench = priced(&leaf);
    let reply = bench.model.ask(ChatRequest::prompt("x")).await.unwrap();
    let expected = Spent::lost() + reply.answer.spent;
    assert_eq!(reply.spent(), expected);
    assert_eq!(bench.metrics.spent(), expected);
    assert_eq!(expected.cost(), Some(Usd::from_picos(15)), "what is known");

    let dropped = Scripted::new(|_, _| std::future::pending());
    let bench = priced(&dropped);
    let calls = bench.start(1);
    settle().await;
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    settle().await;
    assert_eq!(bench.metrics.spent(), Spent::lost());
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_priced_when_it_has_ended() {
    let leaf = Scripted::new(|_, _| async {
        let mut told = delta("");
        told.usage = answer("").usage();
        streamed(stream::iter([Ok(delta("x")), Ok(last_delta()), Ok(told)]))
    });
    let bench = priced(&leaf);
    let mut request = ChatRequest::prompt("x");
    request.delivery = Delivery::Streamed;
    let reply = bench.model.ask(request.clone()).await.unwrap();
    assert_eq!(reply.spent().cost(), Some(Usd::from_picos(15)));

    // whoever stops reading at the finish reason has a whole answer, of which the tokens were not told yet
    let response = bench.model.call(request).await.unwrap();
    let antiphon_core::Body::Stream(mut deltas) = response.body else {
        panic!("a stream was asked for");
    };
    while deltas
        .next()
        .await
        .unwrap()
        .unwrap()
        .finish_reason
        .is_none()
    {}
    drop(deltas);
    let spent = bench.metrics.spent();
    assert_eq!((spent.answers(), spent.unpriced()), (2, 1));
    assert_eq!(spent.known_cost(), Some(Usd::from_picos(15)));
}
