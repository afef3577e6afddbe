//! Who waits, who is refused, and who pays.

use std::sync::Arc;

use antiphon_core::{
    ChatRequest, ErrorKind, Reply, Spent, Usage, Usd,
    layers::{
        admit::AccountConfig,
        spend::{Budget, BudgetConfig, Budgets, SpendConfig},
    },
    stack::StackConfig,
};
use serde_json::json;
use tokio::sync::Notify;

use super::{COST, books, capped, config, hold, paid, picos, request};
use crate::scripted::{Scripted, answer, at_most, bench_of, error, ready, settle, whole};

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_is_refunded_before_it_was_sent_and_lost_after() {
    let budget = capped(10_000);
    let leaf = Scripted::new(|_, _| async { std::future::pending().await });
    let bench = bench_of(leaf.clone(), at_most(1), &config(&budget));
    let start = || {
        let model = Arc::clone(&bench.model);
        tokio::spawn(async move { model.ask(request()).await })
    };
    let (on_wire, in_line) = (start(), start());
    settle().await;
    assert_eq!((leaf.calls(), books(&budget)), (1, (0, 0, 2 * hold())));
    in_line.abort();
    settle().await;
    assert_eq!(books(&budget), (0, 0, hold()));
    on_wire.abort();
    settle().await;
    assert_eq!(books(&budget), (0, hold(), 0));
}

#[tokio::test(start_paused = true)]
async fn attempts_wait_for_refunds_in_their_order_and_whoever_is_dropped_leaves_the_line() {
    let budget = capped(2 * hold() + hold() / 2);
    let goes = Arc::new(Notify::new());
    let waits = Arc::clone(&goes);
    let leaf = Scripted::new(move |_, _| {
        let waits = Arc::clone(&waits);
        async move {
            waits.notified().await;
            ready("a")
        }
    });
    let bench = paid(leaf.clone(), &budget);
    let mut calls: Vec<_> = (0..5)
        .map(|_| {
            let model = Arc::clone(&bench.model);
            tokio::spawn(async move { model.ask(request()).await.map(Reply::released) })
        })
        .collect();
    settle().await;
    assert_eq!((leaf.calls(), budget.waiting()), (2, 3));
    calls.remove(2).abort();
    settle().await;
    assert_eq!((leaf.calls(), budget.waiting()), (2, 2));
    goes.notify_one();
    settle().await;
    assert_eq!((leaf.calls(), budget.waiting()), (3, 1));
    // stopping tells those who wait, and those on the wire are answered
    bench.drain.cancel();
    settle().await;
    assert_eq!(budget.waiting(), 0);
    goes.notify_one();
    settle().await;
    goes.notify_one();
    let mut kinds = Vec::new();
    for call in calls {
        kinds.push(call.await.unwrap().err().map(|error| error.kind()));
    }
    assert_eq!(kinds, [None, None, None, Some(ErrorKind::Stopped)]);
    assert_eq!(books(&budget), (3 * COST, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_used_up_stops_the_run() {
    let budget = capped(hold() + 2 * COST);
    let leaf = Scripted::new(|_, _| async { ready("a") });
    let bench = paid(leaf.clone(), &budget);
    for _ in 0..3 {
        bench.model.ask(request()).await.unwrap();
    }
    let error = bench.model.ask(request()).await.unwrap_err();
    assert_eq!((error.kind(), leaf.calls()), (ErrorKind::Budget, 3));
    assert!(error.stops_the_run() && error.attempts() == 0);
    assert!(
        error.message().starts_with("the budget of $0.00000"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_bounded_is_refused_before_it_is_sent() {
    let budget = capped(u64::MAX);
    let leaf = Scripted::new(|_, _| async { ready("a") });
    let bench = paid(leaf.clone(), &budget);
    let refused = [
        ("service_tier", json!("priority")),
        ("web_search_options", json!({})),
        ("search_parameters", json!({"mode": "auto"})),
        ("speed", json!("fast")),
        ("models", json!(["a/dearer", "model"])),
        ("modalities", json!(["text", "audio"])),
        ("modalities", json!("audio")),
        ("tools", json!([{"google_search": {}}])),
        ("tools", json!({"type": "web_search"})),
        (
            "tools",
            json!([{"type": "web_search_20250305", "name": "web_search"}]),
        ),
        // bounded in price, not in tokens, where the context window is not known
        ("previous_response_id", json!("r")),
    ];
    for (name, value) in refused {
        let error = bench
            .model
            .ask(request().with_param(name, value))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest, "{name}");
        assert!(error.message().contains("budget cannot bound"), "{error}");
    }
    // some servers read these as numbers, or as no bound at all
    for (name, value) in [
        ("max_tokens", json!(-1)),
        ("max_completion_tokens", json!("100000")),
        ("n", json!(3.0)),
        ("best_of", json!("3")),
    ] {
        let asked = bench.model.ask(request().with_param(name, value));
        let error = asked.await.unwrap_err();
        assert!(error.message().contains("whole numbers"), "{error}");
        assert!(error.message().contains(name), "{error}");
    }
    assert_eq!(leaf.calls(), 0);
    let fine = [
        ("service_tier", json!("default")),
        (
            "tools",
            json!([{"type": "function", "function": {"name": "f"}}, {"name": "g"}]),
        ),
    ];
    for (name, value) in fine {
        bench
            .model
            .ask(request().with_param(name, value))
            .await
            .unwrap();
    }
    let unpriced = StackConfig {
        rates: None,
        ..config(&budget)
    };
    let bench = bench_of(leaf.clone(), AccountConfig::default(), &unpriced);
    let error = bench.model.ask(request()).await.unwrap_err();
    assert!(
        error.message().contains("[prices.\"test/scripted\"]"),
        "{error}"
    );
    assert_eq!(leaf.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn requests_without_an_output_cap_are_sent_with_one() {
    let sent = |config: StackConfig| async move {
        let leaf = Scripted::new(|_, _| async { ready("a") });
        let bench = bench_of(leaf.clone(), AccountConfig::default(), &config);
        bench.model.ask(ChatRequest::prompt("x")).await.unwrap();
        bench.model.ask(request()).await.unwrap();
        let caps: Vec<_> = leaf
            .requests()
            .iter()
            .map(ChatRequest::max_output_tokens)
            .collect();
        caps
    };
    let budget = capped(100_000);
    assert_eq!(sent(config(&budget)).await, [Some(4096), Some(100)]);
    let spend = |budget, max_output_tokens| StackConfig {
        spend: Some(SpendConfig {
            budget,
            max_output_tokens,
        }),
        ..config(&capped(1))
    };
    assert_eq!(
        sent(spend(Some(budget), Some(7))).await,
        [Some(7), Some(100)]
    );
    assert_eq!(sent(spend(None, Some(7))).await, [Some(7), Some(100)]);
    assert_eq!(sent(spend(None, None)).await, [None, Some(100)]);
}

#[tokio::test(start_paused = true)]
async fn the_key_of_the_caller_pays_beside_the_session() {
    let budgets = Budgets::new();
    let open = |cap| {
        budgets.open(BudgetConfig {
            cap,
            ..BudgetConfig::default()
        })
    };
    let (session, key, counted) = (
        open(Some(picos(10_000))),
        open(Some(picos(hold()))),
        open(None),
    );
    let leaf = Scripted::new(|_, _| async { ready("a") });
    let bench = paid(leaf, &session);
    let by = |payer: &Budget| ChatRequest {
        payer: Some(payer.clone()),
        ..request()
    };
    bench.model.ask(by(&key)).await.unwrap();
    bench.model.ask(by(&counted)).await.unwrap();
    assert_eq!(books(&session), (2 * COST, 0, 0));
    assert_eq!((books(&key), books(&counted)), ((COST, 0, 0), (COST, 0, 0)));
    let error = bench.model.ask(by(&key)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Budget);
    bench.model.ask(by(&counted)).await.unwrap();
    let stranger = bench.model.ask(by(&capped(10_000))).await.unwrap_err();
    assert_eq!(stranger.kind(), ErrorKind::BadRequest);
    assert_eq!(books(&session), (3 * COST, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_cost_above_its_hold_is_the_truth_and_widens_later_holds() {
    let budget = capped(100_000);
    let leaf = Scripted::new(|_, _| async {
        let mut dear = answer("a");
        dear.spent = Spent::answer(Some(Usage {
            input_tokens: 3 * hold(),
            ..Usage::default()
        }));
        whole(async { Ok(dear) })
    });
    let bench = paid(leaf, &budget);
    bench.model.ask(request()).await.unwrap();
    assert_eq!(books(&budget), (3 * hold(), 0, 0));
    let response = bench.model.call(request());
    let watched = async {
        settle().await;
        books(&budget)
    };
    let (_, _) = tokio::join!(response, watched);
    assert_eq!(books(&budget), (6 * hold(), 0, 0));
}

/// Many callers on several threads, of whom some hang up at any moment: nobody waits for ever, and everything is given back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_forgotten_among_many_threads() {
    let budget = capped(40 * hold());
    let leaf = Scripted::new(|number, _| async move {
        tokio::task::yield_now().await;
        match number % 5 {
            0 => Err(error(ErrorKind::RateLimited).with_status(429)),
            1 => Err(error(ErrorKind::BadRequest).with_status(400)),
            _ => ready("a"),
        }
    });
    let bench = paid(leaf, &budget);
    let calls: Vec<_> = (0..2000)
        .map(|number| {
            let model = Arc::clone(&bench.model);
            let call = tokio::spawn(async move { model.ask(request()).await.map(Reply::released) });
            if number % 7 == 0 {
                call.abort();
            }
            call
        })
        .collect();
    let mut answered = 0;
    for call in calls {
        answered += u64::from(matches!(call.await, Ok(Ok(_))));
    }
    let now = budget.snapshot();
    assert_eq!((now.open, budget.waiting()), (Usd::ZERO, 0));
    assert!(now.spent + now.lost <= picos(40 * hold()));
    assert!(now.spent.picos() >= answered * COST);
}
