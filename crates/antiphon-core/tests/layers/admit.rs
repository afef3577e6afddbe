use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use antiphon_core::{
    Body, ChatRequest, ErrorKind, Reply,
    chat::{Delivery, LimitWindow, RateLimits},
    layers::admit::{AccountConfig, CountTokens, QuotaConfig},
    stack::StackConfig,
};
use futures_util::StreamExt;

use crate::scripted::{
    Scripted, answer, at_most, bench, counting_bench, delta, error, head, last_delta, ready,
    settle, streamed, whole,
};

fn ask_streamed() -> ChatRequest {
    ChatRequest {
        delivery: Delivery::Streamed,
        ..ChatRequest::prompt("x")
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_dropped_midway_frees_its_permit_with_the_receipt() {
    let leaf = Scripted::new(|_, _| async {
        let first = futures_util::stream::iter([Ok(delta("a"))]);
        streamed(first.chain(futures_util::stream::pending()))
    });
    let bench = bench(leaf.clone(), at_most(1), 0);
    let response = bench.model.call(ask_streamed()).await.unwrap();
    let waiting = bench.start(1);
    settle().await;
    assert_eq!((leaf.calls(), bench.account.snapshot().waiting), (1, 1));
    let Body::Stream(mut deltas) = response.body else {
        panic!("a stream")
    };
    assert_eq!(deltas.next().await.unwrap().unwrap().text, "a");
    drop(deltas);
    settle().await;
    assert_eq!(
        bench.account.snapshot().in_flight,
        1,
        "the receipt is still held"
    );
    assert_eq!(bench.metrics.snapshot().in_flight, 0);
    drop(response.head);
    settle().await;
    assert_eq!((leaf.calls(), bench.account.snapshot().waiting), (2, 0));
    for call in waiting {
        call.abort();
    }
    settle().await;
    assert_eq!(bench.account.snapshot().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn an_error_frees_the_permit_whoever_holds_a_receipt() {
    let leaf = Scripted::new(|_, _| async {
        let broken = [Ok(delta("a")), Err(error(ErrorKind::BadResponse))];
        streamed(futures_util::stream::iter(broken))
    });
    let bench = bench(leaf, at_most(1), 0);
    let response = bench.model.call(ask_streamed()).await.unwrap();
    let Body::Stream(deltas) = response.body else {
        panic!("a stream")
    };
    let deltas: Vec<_> = deltas.collect().await;
    let last = deltas.last().unwrap().as_ref().unwrap_err();
    assert_eq!(
        (deltas.len(), last.kind(), last.attempts()),
        (2, ErrorKind::BadResponse, 1)
    );
    assert_eq!(bench.account.snapshot().in_flight, 0);
    drop(response.head);
    assert_eq!(bench.account.snapshot().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_read_to_its_end_is_a_success() {
    let leaf = Scripted::new(|_, _| async {
        streamed(futures_util::stream::iter([
            Ok(delta("a")),
            Ok(last_delta()),
        ]))
    });
    let bench = bench(leaf, AccountConfig::default(), 0);
    let response = bench.model.call(ask_streamed()).await.unwrap();
    let Reply { head, answer } = response.whole().await.unwrap();
    assert_eq!(answer.text, "a");
    assert_eq!(bench.metrics.snapshot().successes, 1);
    assert_eq!(bench.account.snapshot().limit, 9);
    drop(head);
    assert_eq!(bench.account.snapshot().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_waiter_leaves_the_line_and_the_next_one_passes() {
    let leaf = Scripted::new(|_, _| async { std::future::pending().await });
    let bench = bench(leaf.clone(), at_most(1), 0);
    let calls = bench.start(3);
    settle().await;
    assert_eq!((leaf.calls(), bench.account.snapshot().waiting), (1, 2));
    calls[1].abort();
    settle().await;
    assert_eq!(bench.account.snapshot().waiting, 1);
    calls[0].abort();
    settle().await;
    assert_eq!((leaf.calls(), bench.account.snapshot().waiting), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn one_rate_limit_with_a_delay_pauses_everybody() {
    let leaf = Scripted::new(|number, _| async move {
        if number == 0 {
            let delay = Some(Duration::from_secs(20));
            return Err(error(ErrorKind::RateLimited).with_retry_after(delay));
        }
        ready("x")
    });
    let bench = bench(leaf.clone(), at_most(1), 2);
    let calls = bench.start(50);
    tokio::time::sleep(Duration::from_millis(19_990)).await;
    assert_eq!(leaf.calls(), 1);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(leaf.calls(), 51);
    assert!(bench.elapsed() < Duration::from_secs(23));
    assert_eq!(bench.metrics.snapshot().rate_limited, 1);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_key_burns_no_more_than_eight_calls() {
    let leaf = Scripted::new(|_, _| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Err(error(ErrorKind::Auth).with_status(401))
    });
    let bench = bench(leaf.clone(), AccountConfig::default(), 10);
    for call in bench.start(10_000) {
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth);
        assert!(error.stops_the_run());
    }
    assert_eq!(leaf.calls(), 8);
    assert_eq!(bench.account.until_given_up().await.kind(), ErrorKind::Auth);
    bench.account.revive();
    assert!(bench.account.given_up().is_none());
    assert!(bench.start(1).remove(0).await.unwrap().is_err());
    assert_eq!(leaf.calls(), 9);
}

#[tokio::test(start_paused = true)]
async fn limits_are_kept_named_or_learned() {
    let told = RateLimits {
        requests: LimitWindow {
            limit: Some(600.0),
            ..LimitWindow::default()
        },
        ..RateLimits::default()
    };
    for rpm in [None, Some(1200)] {
        let leaf = Scripted::new(move |_, _| async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let mut response = ready("x")?;
            response.head.limits = told;
            Ok(response)
        });
        let quota = QuotaConfig {
            rpm,
            ..QuotaConfig::default()
        };
        let account = AccountConfig {
            quota,
            ..AccountConfig::default()
        };
        let bench = bench(leaf.clone(), account, 0);
        let calls = bench.start(4000);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let limit = rpm.unwrap_or(600) as usize;
        assert!(leaf.calls() <= limit);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(
            leaf.calls() >= 2 * limit * 97 / 100,
            "{} of {limit} rpm",
            leaf.calls()
        );
        calls.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

#[tokio::test(start_paused = true)]
async fn draining_stops_who_waits_and_lets_answers_come() {
    let leaf = Scripted::new(|_, _| async {
        whole(async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(answer("x"))
        })
    });
    let bench = bench(leaf.clone(), at_most(2), 2);
    let calls = bench.start(100);
    settle().await;
    bench.drain.cancel();
    let (mut answered, mut stopped) = (0, 0);
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => answered += 1,
            Err(error) if error.kind() == ErrorKind::Stopped && error.attempts() == 0 => {
                stopped += 1
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((answered, stopped, leaf.calls()), (2, 98, 2));
}

#[tokio::test(start_paused = true)]
async fn waiting_is_no_latency() {
    let leaf = Scripted::new(|_, _| async {
        let mut head = head();
        head.request_id = Some("r".to_owned());
        let slow = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok(answer("x"))
        };
        whole(slow).map(|response| antiphon_core::ChatResponse { head, ..response })
    });
    let bench = bench(leaf, at_most(1), 0);
    for call in bench.start(5) {
        let Reply { head, answer } = call.await.unwrap().unwrap();
        assert_eq!(answer.latency, Duration::from_millis(300));
        assert_eq!((head.attempts, head.request_id.as_deref()), (1, Some("r")));
    }
    assert_eq!(bench.elapsed(), Duration::from_millis(1500));
    let metrics = bench.metrics.snapshot();
    assert_eq!(
        (metrics.attempts, metrics.successes, metrics.peak_in_flight),
        (5, 5, 1)
    );
    assert!((metrics.latency.p50_ms - 300.0).abs() < 1.0);
}

#[tokio::test(start_paused = true)]
async fn two_stacks_share_an_account() {
    let leaf = Scripted::new(|_, _| async { std::future::pending().await });
    let bench = bench(leaf.clone(), at_most(3), 0);
    let other = antiphon_core::stack::stack(
        leaf.clone(),
        &antiphon_core::stack::StackConfig::default(),
        &bench.account,
        &bench.metrics,
    );
    assert_eq!(other.limits().concurrency, std::num::NonZeroU32::new(3));
    let calls = bench.start(2);
    let others: Vec<_> = (0..2)
        .map(|_| {
            let other = Arc::clone(&other);
            tokio::spawn(async move { other.call(ChatRequest::prompt("x")).await.is_ok() })
        })
        .collect();
    settle().await;
    assert_eq!((leaf.calls(), bench.account.snapshot().waiting), (3, 1));
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    others.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Counts 900 tokens for each request, and its own calls.
#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl CountTokens for Counter {
    fn count(&self, _request: &ChatRequest) -> Option<u64> {
        self.0.fetch_add(1, Relaxed);
        Some(900)
    }
}

#[tokio::test]
async fn the_first_requests_are_counted_where_tokens_are_limited() {
    for (itpm, counts, sent) in [(None, 0, 8), (Some(60_000), 8, 1)] {
        let leaf = Scripted::new(|_, _| std::future::pending());
        let quota = QuotaConfig {
            itpm,
            ..QuotaConfig::default()
        };
        let account = AccountConfig {
            quota,
            ..at_most(8)
        };
        let counter = Arc::new(Counter::default());
        let counting: Arc<dyn CountTokens> = counter.clone();
        let bench = counting_bench(
            leaf.clone(),
            account,
            &StackConfig::default(),
            Some(counting),
        );
        let calls = bench.start(8);
        while bench.account.snapshot().waiting + leaf.calls() < 8 {
            tokio::task::yield_now().await;
        }
        assert_eq!(counter.0.load(Relaxed), counts);
        // by their bytes all would pass at once
        assert_eq!(leaf.calls(), sent);
        for call in calls {
            call.abort();
        }
    }
}
