use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use antiphon_core::{
    BoxFuture, ChatRequest, ChatResponse, Clock, Dice, Error, ErrorKind, Model, SharedModel,
    SystemClock,
    layers::{
        admit::{Account, AccountConfig},
        meter::Metrics,
    },
    patterns::batch,
    stack::{StackConfig, stack},
};
use proptest::prelude::*;
use tokio::time::sleep;

use crate::rehearsed::{Rehearsed, echo, failed, paused, said, words};

/// What the model does with one request: after so many milliseconds it answers or fails.
type Fate = (u64, bool);

/// Requests are "index delay fails".
fn prompts(fates: &[Fate]) -> Vec<String> {
    let numbered = fates.iter().enumerate();
    numbered
        .map(|(index, (delay, fails))| format!("{index} {delay} {fails}"))
        .collect()
}

fn moody() -> Arc<Rehearsed> {
    Rehearsed::new(|request| async move {
        let words = words(&request);
        let fate: Vec<&str> = words.split(' ').collect();
        sleep(Duration::from_millis(fate[1].parse().unwrap())).await;
        match fate[2] {
            "true" => Err(failed(ErrorKind::BadRequest)),
            _ => Ok(said(fate[0])),
        }
    })
}

proptest! {
    #[test]
    fn outcomes_keep_their_index_and_the_limit_holds(
        fates in prop::collection::vec((0u64..40, any::<bool>()), 0..50),
        limit in 1usize..8,
        take in 0usize..60,
    ) {
        paused(async {
            let model = moody();
            let asked = || batch(model.clone(), prompts(&fates)).max_concurrent(limit);
            let result = asked().run().await;
            prop_assert_eq!(result.outcomes.len(), fates.len());
            for (index, outcome) in result.outcomes.iter().enumerate() {
                prop_assert_eq!(outcome.index, index);
                match &outcome.result {
                    Ok(reply) => prop_assert_eq!(reply.text(), index.to_string()),
                    Err(error) => prop_assert!(fates[index].1 && error.kind() == ErrorKind::BadRequest),
                }
                prop_assert_eq!(outcome.result.is_err(), fates[index].1);
            }
            let mut seen = Vec::new();
            let mut ordered = asked().ordered();
            while let Some(outcome) = ordered.next().await {
                seen.push(outcome.index);
            }
            prop_assert!(seen.into_iter().eq(0..fates.len()));
            // dropped in its middle, the stream cancels what is in flight and starts nothing more
            let mut stream = asked().stream();
            for _ in 0..take.min(fates.len()) {
                let outcome = stream.next().await.unwrap();
                prop_assert_eq!(outcome.result.is_err(), fates[outcome.index].1);
            }
            drop(stream);
            let calls = model.calls();
            sleep(Duration::from_secs(10)).await;
            prop_assert_eq!((model.in_flight(), model.calls()), (0, calls));
            prop_assert!(model.peak() <= limit);
            Ok(())
        })?;
    }

    #[test]
    fn no_permit_of_an_account_leaks(
        fates in prop::collection::vec((0u64..40, any::<bool>()), 1..40),
        take in 0usize..40,
    ) {
        paused(async {
            let clock = SystemClock::shared();
            let account = Account::new(AccountConfig::default(), clock, Arc::new(Dice::seeded(1)));
            let model = stack(moody(), &StackConfig::default(), &account, &Metrics::new());
            let mut stream = batch(model.clone(), prompts(&fates)).stream();
            let mut kept = Vec::new();
            for _ in 0..take.min(fates.len()) {
                kept.extend(stream.next().await);
            }
            drop(stream);
            sleep(Duration::from_millis(1)).await;
            prop_assert_eq!(account.snapshot().in_flight, 0, "answers that are kept hold no permit");
            let result = batch(model, prompts(&fates)).run().await;
            prop_assert_eq!(account.snapshot().in_flight, 0);
            prop_assert_eq!(result.outcomes.len(), fates.len());
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_fails_or_panics_changes_nothing() {
    let fates = [(3, false), (1, true), (2, false)];
    let told = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&told);
    let silent = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = batch(moody(), prompts(&fates))
        .on_progress(move |done, total, outcome| {
            notes.lock().unwrap().push((done, total, outcome.index));
            match outcome.index {
                0 => panic!("no place for {}", outcome.index),
                1 => Err("disk full"),
                _ => Ok(()),
            }
        })
        .run()
        .await;
    std::panic::set_hook(silent);
    assert_eq!(*told.lock().unwrap(), [(1, 3, 1), (2, 3, 2), (3, 3, 0)]);
    assert_eq!(
        result.successes().map(|(i, _)| i).collect::<Vec<_>>(),
        [0, 2]
    );
    assert_eq!(result.failures().map(|(i, _)| i).collect::<Vec<_>>(), [1]);
    let failures: Vec<_> = result
        .callback_failures
        .iter()
        .map(|failure| (failure.index, failure.message.as_str()))
        .collect();
    assert_eq!(
        failures,
        [(1, "disk full"), (0, "panicked: no place for 0")]
    );
}

#[tokio::test(start_paused = true)]
async fn an_empty_batch_is_whole() {
    let none: [&str; 0] = [];
    let result = batch(echo(), none).run().await;
    assert!(result.outcomes.is_empty());
    assert!(batch(echo(), none).stream().next().await.is_none());
    assert!(batch(echo(), none).ordered().next().await.is_none());
    let summary = serde_json::to_value(result.summary()).unwrap();
    let expected = serde_json::json!({
        "total": 0, "succeeded": 0, "failed": 0, "cached": 0, "success_rate": 1.0,
        "duration_s": 0.0, "requests_per_second": 0.0,
        "usage": {"input_tokens": 0, "output_tokens": 0, "cached_input_tokens": 0, "reasoning_tokens": 0},
        "cost_usd": 0.0, "energy_kwh": {"min": 0.0, "max": 0.0}, "gwp_kgco2eq": {"min": 0.0, "max": 0.0},
        "latency_ms": {"mean": null, "p50": null, "p90": null, "p99": null},
        "errors_by_code": {},
    });
    assert_eq!(summary, expected);
    assert!(result.retry_failed().await.outcomes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_failures_are_asked_again_and_keep_their_index() {
    let tries = Arc::new(Mutex::new(0));
    let model = Rehearsed::new(move |request| {
        let tries = Arc::clone(&tries);
        async move {
            sleep(Duration::from_secs(1)).await;
            let words = words(&request);
            let first_try = {
                let mut tries = tries.lock().unwrap();
                *tries += 1;
                *tries <= 5
            };
            match words.as_str() {
                "odd" if first_try => Err(failed(ErrorKind::Timeout).with_spent(said("").spent)),
                "never" => Err(failed(ErrorKind::BadRequest)),
                _ => Ok(said(words)),
            }
        }
    });
    let result = batch(model.clone(), ["a", "odd", "never", "b", "odd"])
        .run()
        .await;
    assert_eq!((result.succeeded(), result.failed()), (2, 3));
    assert_eq!(result.usage().input_tokens, 40);
    let result = result.retry_failed().await;
    assert_eq!(model.calls(), 8);
    let texts: Vec<_> = result
        .successes()
        .map(|(i, reply)| (i, reply.text()))
        .collect();
    assert_eq!(texts, [(0, "a"), (1, "odd"), (3, "b"), (4, "odd")]);
    assert_eq!(result.failures().next().unwrap().0, 2);
    assert_eq!(
        result.usage().input_tokens,
        60,
        "what the failures had used stays"
    );
    assert_eq!(result.duration, Duration::from_secs(2));
    assert_eq!(result.success_rate(), 0.8);
}

#[tokio::test]
async fn equal_requests_are_samples_of_their_own() {
    let model = echo();
    batch(model.clone(), ["x", "y", "x", "x"]).run().await;
    let mut asked: Vec<_> = model
        .requests
        .lock()
        .unwrap()
        .iter()
        .map(|request| (words(request), request.sample))
        .collect();
    asked.sort();
    let expected = [("x", 0), ("x", 1), ("x", 2), ("y", 0)];
    assert_eq!(
        asked,
        expected.map(|(words, sample)| (words.to_owned(), sample))
    );
}

/// Has some answers at hand.
#[derive(Debug)]
struct AtHand(SharedModel);

impl Model for AtHand {
    fn name(&self) -> &str {
        "test/at-hand"
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        let old = words(&request) == "old";
        Box::pin(async move {
            let mut response = self.0.call(request).await?;
            response.head.cached = old;
            Ok(response)
        })
    }
}

#[tokio::test]
async fn what_was_at_hand_is_neither_paid_nor_timed() {
    let timed = Rehearsed::new(|request| async move {
        let mut answer = said("x");
        let slow = words(&request) == "old";
        answer.latency = Duration::from_millis(if slow { 9000 } else { 100 });
        Ok(answer)
    });
    let model = Arc::new(AtHand(timed));
    let result = batch(model, ["old", "new", "old"]).run().await;
    let summary = result.summary();
    assert_eq!((summary.succeeded, summary.cached), (3, 2));
    assert_eq!(summary.usage.total(), 15);
    assert!(summary.latency_ms.p99.unwrap() < 101.0);
}

/// Answers after "index" tenths of a second; the stack's meter measures.
#[tokio::test(start_paused = true)]
async fn the_summary_adds_up() {
    let model = Rehearsed::new(|request| async move {
        let number: u64 = words(&request).parse().unwrap();
        sleep(Duration::from_millis(100 * number)).await;
        match number % 10 {
            0 => Err(failed(ErrorKind::BadRequest)),
            _ => Ok(said("fine")),
        }
    });
    let clock: Arc<dyn Clock> = SystemClock::shared();
    let config = AccountConfig {
        concurrency: std::num::NonZeroU32::new(200),
        ..AccountConfig::default()
    };
    let account = Account::new(config, clock, Arc::new(Dice::seeded(1)));
    let model = stack(model, &StackConfig::default(), &account, &Metrics::new());
    let requests = (1..=100).map(|number| number.to_string());
    let result = batch(model, requests).max_concurrent(100).run().await;
    let summary = result.summary();
    assert_eq!(
        (summary.total, summary.succeeded, summary.failed),
        (100, 90, 10)
    );
    assert_eq!(summary.success_rate, 0.9);
    assert_eq!(summary.usage.total(), 90 * 15);
    assert_eq!(summary.errors_by_code["bad_request"], 10);
    let rate = 100.0 / summary.duration_s;
    assert!((summary.requests_per_second - rate).abs() < 1e-9);
    let near = |told: Option<f64>, right: f64| (told.unwrap() / right - 1.0).abs() < 0.01;
    // 1 to 99 without the tens: 45 of them are up to 49, 81 up to 89
    assert!(near(summary.latency_ms.mean, 5000.0), "{summary:?}");
    assert!(near(summary.latency_ms.p50, 4900.0), "{summary:?}");
    assert!(near(summary.latency_ms.p90, 8900.0), "{summary:?}");
    assert!(near(summary.latency_ms.p99, 9900.0), "{summary:?}");
}
