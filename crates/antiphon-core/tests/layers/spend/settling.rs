//! What becomes of a hold.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use antiphon_core::{
    Answer, Body, ChatDelta, ChatRequest, Error, ErrorKind, Phase, Spent, Usage, chat::Delivery,
    layers::admit::AccountConfig,
};
use futures_util::StreamExt;

use super::{COST, books, capped, config, hold, paid, request};
use crate::scripted::{
    Scripted, answer, bench_of, delta, error, last_delta, ready, streamed, whole,
};

async fn ends_with(budget_after: (u64, u64, u64), leaf: Arc<Scripted>) {
    let budget = capped(10_000);
    let bench = paid(leaf, &budget);
    let reply = bench.model.ask(request()).await;
    drop(reply);
    assert_eq!(books(&budget), budget_after);
}

#[tokio::test(start_paused = true)]
async fn an_answer_settles_on_its_cost_and_an_answer_without_usage_on_its_hold() {
    ends_with((COST, 0, 0), Scripted::new(|_, _| async { ready("a") })).await;
    let later = Scripted::new(|_, _| async { whole(async { Ok(answer("a")) }) });
    ends_with((COST, 0, 0), later).await;
    let silent = Scripted::new(|_, _| async {
        whole(async {
            Ok(Answer {
                spent: Spent::answer(None),
                ..answer("a")
            })
        })
    });
    ends_with((0, hold(), 0), silent).await;
}

#[tokio::test(start_paused = true)]
async fn refusals_are_refunded_and_unknown_ends_are_not() {
    let refused = || error(ErrorKind::RateLimited).with_status(429);
    let fails = |error: fn() -> Error| Scripted::new(move |_, _| async move { Err(error()) });
    ends_with(
        (0, 0, 0),
        fails(|| error(ErrorKind::BadRequest).with_status(400)),
    )
    .await;
    ends_with((0, 0, 0), fails(|| error(ErrorKind::Connection).not_sent())).await;
    let connect = || Error::timeout(Phase::Connect, Duration::from_secs(1));
    ends_with((0, 0, 0), fails(connect)).await;
    let lost = (0, hold(), 0);
    ends_with(lost, fails(|| error(ErrorKind::Connection))).await;
    ends_with(
        lost,
        fails(|| error(ErrorKind::ServerError).with_status(504)),
    )
    .await;
    // a refusal that comes in the body of an answer is none
    ends_with(
        lost,
        Scripted::new(move |_, _| async move { whole(async move { Err(refused()) }) }),
    )
    .await;
    let silent = Scripted::new(|_, _| async { std::future::pending().await });
    ends_with(lost, silent).await;
}

#[tokio::test(start_paused = true)]
async fn every_attempt_of_a_call_holds_and_settles_by_itself() {
    let budget = capped(10_000);
    let leaf = Scripted::new(|number, _| async move {
        match number {
            0 => Err(error(ErrorKind::Connection)),
            1 => Err(error(ErrorKind::RateLimited).with_status(429)),
            _ => ready("a"),
        }
    });
    let mut config = config(&budget);
    config.retry.max_retries = 5;
    let bench = bench_of(leaf, AccountConfig::default(), &config);
    bench.model.ask(request()).await.unwrap();
    assert_eq!(books(&budget), (COST, hold(), 0));
}

fn ask_streamed() -> ChatRequest {
    ChatRequest {
        delivery: Delivery::Streamed,
        ..request()
    }
}

fn told() -> ChatDelta {
    ChatDelta {
        usage: Some(Usage {
            input_tokens: 10,
            output_tokens: 5,
            ..Usage::default()
        }),
        ..last_delta()
    }
}

async fn streams(deltas: Vec<Result<ChatDelta, Error>>, read: usize) -> (u64, u64, u64) {
    let budget = capped(10_000);
    let deltas = Mutex::new(Some(deltas));
    let leaf = Scripted::new(move |_, _| {
        let deltas = deltas.lock().unwrap().take().unwrap();
        async move { streamed(futures_util::stream::iter(deltas)) }
    });
    let bench = paid(leaf, &budget);
    let response = bench.model.call(ask_streamed()).await.unwrap();
    let Body::Stream(stream) = response.body else {
        panic!("a stream")
    };
    assert_eq!(books(&budget), (0, 0, hold()));
    drop(stream.take(read).collect::<Vec<_>>().await);
    books(&budget)
}

#[tokio::test(start_paused = true)]
async fn a_stream_settles_when_it_has_ended_whole() {
    let all = usize::MAX;
    let good = || vec![Ok(delta("a")), Ok(told())];
    assert_eq!(streams(good(), all).await, (COST, 0, 0));
    // dropped after its last delta, before its end was seen
    assert_eq!(streams(good(), 2).await, (COST, 0, 0));
    let lost = (0, hold(), 0);
    assert_eq!(streams(good(), 1).await, lost, "dropped midway");
    assert_eq!(streams(vec![Ok(delta("a"))], all).await, lost, "cut");
    let untold = vec![Ok(delta("a")), Ok(last_delta())];
    assert_eq!(streams(untold, all).await, lost, "no usage");
    let broken = error(ErrorKind::Overloaded).with_status(529);
    let broken = vec![Ok(delta("a")), Ok(told()), Err(broken)];
    assert_eq!(streams(broken, all).await, lost, "an error at the end");
}
