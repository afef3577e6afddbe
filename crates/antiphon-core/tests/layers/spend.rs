use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use antiphon_core::{
    Answer, Body, BoxFuture, ChatDelta, ChatRequest, Error, ErrorKind, Phase, Reply, Spent, Usage,
    Usd,
    account::{Billed, Impacts, Rates, Worst, most_input_tokens},
    chat::Delivery,
    layers::{
        admit::AccountConfig,
        retry::RetryConfig,
        spend::{Budget, BudgetConfig, Budgets, SpendConfig, Vault},
    },
    stack::StackConfig,
};
use futures_util::StreamExt;
use serde_json::json;
use tokio::sync::Notify;

use crate::scripted::{
    Bench, Scripted, answer, at_most, bench_of, delta, error, last_delta, ready, settle, streamed,
    whole,
};

/// A picodollar for a token read, two for a token written.
#[derive(Debug)]
struct Price;

impl Rates for Price {
    fn cost(&self, billed: &Billed<'_>) -> Option<Usd> {
        Some(picos(
            billed.usage.input_tokens + 2 * billed.usage.output_tokens,
        ))
    }

    fn impacts(&self, _: &Billed<'_>) -> Option<Impacts> {
        None
    }

    fn most(&self, worst: &Worst) -> Option<Usd> {
        let input = worst.input_tokens?;
        Some(picos(input + 2 * worst.output_tokens))
    }
}

/// What `answer` costs at this price.
const COST: u64 = 10 + 2 * 5;

fn picos(amount: u64) -> Usd {
    Usd::from_picos(amount)
}

fn capped(cap: u64) -> Budget {
    Budgets::new().open(BudgetConfig {
        cap: Some(picos(cap)),
        ..BudgetConfig::default()
    })
}

fn config(budget: &Budget) -> StackConfig {
    StackConfig {
        retry: RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        },
        spend: Some(SpendConfig {
            budget: Some(budget.clone()),
            ..SpendConfig::default()
        }),
        rates: Some(Arc::new(Price)),
        ..StackConfig::default()
    }
}

/// A stack in which failures mean nothing but themselves: no outage is seen in them, and nothing is paused.
fn paid(leaf: Arc<Scripted>, budget: &Budget) -> Bench {
    let account = AccountConfig {
        quota_only: true,
        ..AccountConfig::default()
    };
    bench_of(leaf, account, &config(budget))
}

/// A request whose worst case is `HOLD`.
fn request() -> ChatRequest {
    ChatRequest::prompt("x").with_param("max_tokens", json!(100))
}

fn hold() -> u64 {
    most_input_tokens(&request()).unwrap() + 2 * 100
}

/// What is spent, lost and open, in picodollars.
fn books(budget: &Budget) -> (u64, u64, u64) {
    let now = budget.snapshot();
    (now.spent.picos(), now.lost.picos(), now.open.picos())
}

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
        ("modalities", json!(["text", "audio"])),
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

/// A disk that takes its time.
#[derive(Debug, Default)]
struct Disk {
    written: Mutex<Vec<Usd>>,
    goes: Notify,
    fails: AtomicBool,
}

#[derive(Debug)]
struct OnDisk(Arc<Disk>);

impl Vault for OnDisk {
    fn keep(&self, ceiling: Usd) -> BoxFuture<'static, Result<(), Error>> {
        let disk = Arc::clone(&self.0);
        Box::pin(async move {
            disk.goes.notified().await;
            if disk.fails.load(SeqCst) {
                return Err(error(ErrorKind::Ledger));
            }
            disk.written.lock().unwrap().push(ceiling);
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_the_ceiling_is_on_disk() {
    let disk = Arc::new(Disk::default());
    let budget = Budgets::new().open(BudgetConfig {
        cap: Some(picos(100 * hold())),
        spent: picos(7),
        vault: Some(Arc::new(OnDisk(Arc::clone(&disk)))),
    });
    let leaf = Scripted::new(|_, _| async { ready("a") });
    let bench = paid(leaf.clone(), &budget);
    let calls = bench.start(2);
    settle().await;
    assert_eq!((leaf.calls(), books(&budget)), (0, (7, 0, 0)));
    disk.goes.notify_one();
    settle().await;
    // one write for the first, which was alone, and one for the other
    assert_eq!(leaf.calls(), 1);
    disk.goes.notify_one();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(leaf.calls(), 2);
    let ceilings = disk.written.lock().unwrap().clone();
    assert!(ceilings.iter().all(|ceiling| *ceiling >= picos(7 + COST)));
    // at the end the truth takes the place of the ceiling
    disk.goes.notify_one();
    budget.close().await.unwrap();
    assert_eq!(
        disk.written.lock().unwrap().last(),
        Some(&picos(7 + 2 * COST))
    );
}

#[tokio::test(start_paused = true)]
async fn a_ceiling_that_cannot_be_written_stops_the_job() {
    let disk = Arc::new(Disk::default());
    disk.fails.store(true, SeqCst);
    disk.goes.notify_one();
    let budget = Budgets::new().open(BudgetConfig {
        cap: Some(picos(100 * hold())),
        vault: Some(Arc::new(OnDisk(disk))),
        ..BudgetConfig::default()
    });
    let leaf = Scripted::new(|_, _| async { ready("a") });
    let error = paid(leaf.clone(), &budget)
        .model
        .ask(request())
        .await
        .unwrap_err();
    assert_eq!((error.kind(), leaf.calls()), (ErrorKind::Ledger, 0));
    assert_eq!(books(&budget), (0, 0, 0));
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
