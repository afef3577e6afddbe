use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use antiphon_core::{
    Body, BoxFuture, ChatRequest, ChatResponse, Error, ErrorKind, Fingerprint, FinishReason, Reply,
    Schema, SharedModel, Spent, Usage,
    chat::{Delivery, ToolCall},
    layers::cache::{Cache, CacheConfig, CacheKey, ResponseCache},
    stack::StackConfig,
};
use serde_json::json;

use crate::scripted::{
    Scripted, answer, at_most, bench_of, delta, error, last_delta, ready, streamed, whole,
};

/// Keeps records in memory, as a file would.
#[derive(Debug, Default)]
struct Memory {
    records: Mutex<HashMap<CacheKey, String>>,
    is_full: bool,
}

impl ResponseCache for Memory {
    fn get(&self, key: CacheKey) -> BoxFuture<'_, Option<Reply>> {
        let record = self.records.lock().unwrap().get(&key).cloned();
        Box::pin(async move { Reply::from_record(&record?) })
    }

    fn put(&self, key: CacheKey, reply: &Reply) -> BoxFuture<'_, Result<(), Error>> {
        if self.is_full {
            return Box::pin(async { Err(error(ErrorKind::Ledger)) });
        }
        let record = reply.to_record();
        self.records.lock().unwrap().insert(key, record);
        Box::pin(async { Ok(()) })
    }
}

fn config(memory: &Arc<Memory>) -> CacheConfig {
    CacheConfig::new(memory.clone(), |request| {
        Fingerprint::of(&["test", "", "scripted"], request)
    })
}

fn cached(leaf: &Arc<Scripted>) -> SharedModel {
    Arc::new(Cache::new(leaf.clone(), config(&Arc::default())))
}

fn sample(sample: u32) -> ChatRequest {
    ChatRequest {
        sample,
        ..ChatRequest::prompt("x")
    }
}

#[tokio::test(start_paused = true)]
async fn a_hit_is_the_same_answer_and_costs_nothing() {
    let leaf = Scripted::new(|number, _| async move {
        let mut response = ready(&number.to_string())?;
        response.head.attempts = 3;
        response.head.earlier = Spent::answer(Some(Usage {
            input_tokens: 4,
            ..Usage::default()
        }));
        Ok(response)
    });
    let model = cached(&leaf);
    let paid = model.ask(sample(0)).await.unwrap();
    let hit = model.ask(sample(0)).await.unwrap();
    assert!(!paid.head.cached && hit.head.cached);
    assert_eq!((hit.text(), hit.head.attempts), ("0", 0));
    assert_eq!(hit.usage(), Some(Usage::default()), "nothing was paid");
    assert_eq!(hit.answer.usage(), paid.usage(), "what it has saved");
    assert_eq!(hit.answer.usage().unwrap().input_tokens, 14);
    assert_eq!(hit.answer.body, paid.answer.body);
    // samples stay samples, and every part of a request counts
    for (number, request) in [
        sample(1),
        ChatRequest::prompt("y"),
        sample(0).with_param("seed", json!(1)),
    ]
    .into_iter()
    .enumerate()
    {
        let other = model.ask(request).await.unwrap();
        assert_eq!(other.text(), (number + 1).to_string());
    }
    assert_eq!(leaf.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn only_valid_answers_are_kept() {
    let with = |change: fn(&mut ChatResponse, &mut antiphon_core::Answer)| {
        let leaf = Scripted::new(move |_, _| async move {
            let mut answer = answer("x");
            let mut response = ready("")?;
            change(&mut response, &mut answer);
            response.body = Body::Whole(Box::pin(async { Ok(answer) }));
            Ok(response)
        });
        async move {
            let model = cached(&leaf);
            // five tokens are written
            let capped = || sample(0).with_param("max_tokens", json!(5));
            for request in [sample(0), sample(0), capped(), capped()] {
                model.ask(request).await.unwrap();
            }
            leaf.calls()
        }
    };
    assert_eq!(with(|_, _| {}).await, 2);
    let tools = with(|_, answer| {
        answer.text.clear();
        answer.finish_reason = FinishReason::ToolCalls;
        answer.tool_calls = vec![ToolCall::default()];
    });
    assert_eq!(tools.await, 2);
    let cut = with(|_, answer| answer.finish_reason = FinishReason::Length);
    assert_eq!(cut.await, 3, "kept where the request's own cap ended it");
    let never: [fn(&mut ChatResponse, &mut antiphon_core::Answer); 6] = [
        |_, answer| answer.refusal = Some("no".to_owned()),
        |_, answer| answer.finish_reason = FinishReason::ContentFilter,
        |_, answer| answer.finish_reason = FinishReason::Other("pause_turn".to_owned()),
        |_, answer| answer.text.clear(),
        |response, _| response.head.model = "test/fallback".to_owned(),
        |_, answer| {
            answer.finish_reason = FinishReason::Length;
            answer.spent = Spent::answer(Some(Usage {
                output_tokens: 4,
                ..Usage::default()
            }));
        },
    ];
    for (number, change) in never.into_iter().enumerate() {
        assert_eq!(with(change).await, 4, "{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn errors_are_not_kept() {
    let leaf = Scripted::new(|number, _| async move {
        match number {
            0 => Err(error(ErrorKind::BadRequest)),
            1 => whole(async { Err(error(ErrorKind::BadResponse)) }),
            _ => ready("x"),
        }
    });
    let model = cached(&leaf);
    for _ in 0..2 {
        model.ask(sample(0)).await.unwrap_err();
    }
    for _ in 0..2 {
        model.ask(sample(0)).await.unwrap();
    }
    assert_eq!(leaf.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_not_kept_but_a_kept_answer_serves_it() {
    let leaf = Scripted::new(|_, request| async move {
        match request.delivery {
            Delivery::Whole => ready("whole"),
            Delivery::Streamed => streamed(futures_util::stream::iter([
                Ok(delta("s")),
                Ok(last_delta()),
            ])),
        }
    });
    let model = cached(&leaf);
    let streamed = || ChatRequest {
        delivery: Delivery::Streamed,
        ..sample(0)
    };
    for _ in 0..2 {
        let response = model.call(streamed()).await.unwrap();
        assert!(matches!(response.body, Body::Stream(_)));
    }
    assert_eq!(leaf.calls(), 2);
    model.ask(sample(0)).await.unwrap();
    let response = model.call(streamed()).await.unwrap();
    assert!(response.head.cached && matches!(response.body, Body::Ready(_)));
    assert_eq!(leaf.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_fails_fails_no_call() {
    let leaf = Scripted::new(|_, _| async { ready("x") });
    let memory = Arc::new(Memory {
        is_full: true,
        ..Memory::default()
    });
    let model: SharedModel = Arc::new(Cache::new(leaf.clone(), config(&memory)));
    for _ in 0..2 {
        assert_eq!(model.ask(sample(0)).await.unwrap().text(), "x");
    }
    assert_eq!(leaf.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn in_the_stack_equal_calls_in_flight_are_one_and_a_hit_needs_no_permit() {
    let leaf = Scripted::new(|number, _| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        whole(async move {
            Ok(antiphon_core::Answer {
                spent: Spent::answer(None),
                ..answer(if number == 0 { "no JSON" } else { "[1]" })
            })
        })
    });
    let memory = Arc::<Memory>::default();
    let stack = StackConfig {
        coalesce: Some(config(&memory).coalesce()),
        cache: Some(config(&memory)),
        ..StackConfig::default()
    };
    let bench = bench_of(leaf.clone(), at_most(1), &stack);
    let ask = || {
        bench.model.ask(ChatRequest {
            schema: Some(Schema::new(json!({"type": "array"})).unwrap()),
            ..sample(0)
        })
    };
    let (a, b) = tokio::join!(ask(), ask());
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!((a.text(), b.text()), ("[1]", "[1]"));
    assert_eq!(a.head.attempts + b.head.attempts, 2);
    assert!(a.head.cached != b.head.cached, "one of them was paid for");
    let took = bench.elapsed();
    // the permit is still taken: the receipts of both are held
    let hit = ask().await.unwrap();
    assert!(hit.head.cached && hit.head.receipt.is_none());
    assert_eq!(bench.elapsed(), took, "no time passes for it");
    assert_eq!(
        leaf.calls(),
        2,
        "what did not fit was asked again, and not kept"
    );
    assert_eq!(memory.records.lock().unwrap().len(), 1);
    assert_eq!(bench.metrics.snapshot().attempts, 2);
    drop((a, b));
}
