use std::time::Duration;

use antiphon_core::{
    Body, ChatRequest, ErrorKind, Reply, chat::Delivery, layers::admit::AccountConfig,
};
use futures_util::{StreamExt, stream};

use crate::scripted::{
    Scripted, answer, at_most, bench, delta, error, last_delta, ready, settle, streamed, whole,
};

#[tokio::test(start_paused = true)]
async fn attempts_are_counted_and_a_row_in_back_off_holds_no_permit() {
    let leaf = Scripted::new(|number, _| async move {
        match number {
            0 => Err(error(ErrorKind::ServerError).with_retry_after(Some(Duration::from_secs(5)))),
            1 => whole(async { Err(error(ErrorKind::BadResponse)) }),
            _ => whole(async { Ok(answer("good")) }),
        }
    });
    let bench = bench(leaf.clone(), at_most(1), 2);
    let call = bench.start(1);
    settle().await;
    assert_eq!(bench.account.snapshot().in_flight, 0);
    let Reply { head, answer } = call.into_iter().next().unwrap().await.unwrap().unwrap();
    assert_eq!((head.attempts, answer.text.as_str()), (3, "good"));
    assert!(bench.elapsed() >= Duration::from_secs(5));
    let metrics = bench.metrics.snapshot();
    assert_eq!(metrics.retries[&ErrorKind::ServerError], 1);
    assert_eq!(metrics.retries[&ErrorKind::BadResponse], 1);
    assert_eq!(metrics.failures, metrics.retries);
}

#[tokio::test(start_paused = true)]
async fn the_last_error_says_how_often_it_was_tried() {
    let leaf = Scripted::new(|_, _| async { Err(error(ErrorKind::ServerError).with_status(500)) });
    let bench = bench(leaf.clone(), AccountConfig::default(), 2);
    let error = bench
        .model
        .call(ChatRequest::prompt("x"))
        .await
        .unwrap_err();
    assert_eq!((error.attempts(), leaf.calls()), (3, 3));
    assert_eq!((error.status(), error.stops_the_run()), (Some(500), false));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_retried_until_its_first_delta_and_not_after() {
    let leaf = Scripted::new(|number, _| async move {
        let broken = || Err(error(ErrorKind::Connection));
        match number {
            0 => streamed(stream::iter([Ok(delta("")), broken()])),
            1 => streamed(stream::iter([Ok(delta(""))])),
            2 => streamed(stream::iter([Ok(delta("")), Ok(delta("a")), broken()])),
            _ => streamed(stream::iter([Ok(last_delta())])),
        }
    });
    let bench = bench(leaf.clone(), AccountConfig::default(), 5);
    let request = ChatRequest {
        delivery: Delivery::Streamed,
        ..ChatRequest::prompt("x")
    };
    let response = bench.model.call(request).await.unwrap();
    assert_eq!((response.head.attempts, leaf.calls()), (3, 3));
    let Body::Stream(deltas) = response.body else {
        panic!("a stream")
    };
    let deltas: Vec<_> = deltas.collect().await;
    assert_eq!(deltas.len(), 3, "nothing that was read ahead is lost");
    assert_eq!(deltas[2].as_ref().unwrap_err().attempts(), 3);
    assert_eq!(leaf.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_delay_beyond_the_longest_wait_stops_the_run() {
    for (seconds, obeyed) in [(300, true), (301, false)] {
        let leaf = Scripted::new(move |number, _| async move {
            if number > 0 {
                return ready("x");
            }
            let delay = Some(Duration::from_secs(seconds));
            Err(error(ErrorKind::RateLimited).with_retry_after(delay))
        });
        let bench = bench(leaf, AccountConfig::default(), 10);
        match bench.model.call(ChatRequest::prompt("x")).await {
            Ok(_) => assert!(obeyed),
            Err(error) => {
                assert!(!obeyed && error.stops_the_run());
                assert_eq!(error.retry_after(), Some(Duration::from_secs(301)));
                assert_eq!(bench.elapsed(), Duration::ZERO);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_retry_budget_delays_and_fails_nobody() {
    let leaf = Scripted::new(|_, request: ChatRequest| async move {
        // every row fails once: its conversation is not yet marked
        let first = mark(&request);
        tokio::time::sleep(Duration::from_millis(50)).await;
        if first {
            Err(error(ErrorKind::RateLimited).with_retry_after(Some(Duration::from_millis(1))))
        } else {
            ready("x")
        }
    });
    let bench = bench(leaf.clone(), at_most(8), 2);
    for call in bench.start(300) {
        assert_eq!(call.await.unwrap().unwrap().head.attempts, 2);
    }
    // 300 retries: 10 to begin with, 150 from successes, the rest at one a second
    let elapsed = bench.elapsed().as_secs();
    assert!((100..=200).contains(&elapsed), "{elapsed} s");
}

/// True for the first attempt of a call: attempts share their conversation.
fn mark(request: &ChatRequest) -> bool {
    use std::{collections::HashSet, sync::Mutex};
    static SEEN: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let text = format!("{:?}", request.messages);
    SEEN.lock().unwrap().get_or_insert_default().insert(text)
}

#[tokio::test(start_paused = true)]
async fn nothing_is_tried_again_once_the_run_drains() {
    let leaf = Scripted::new(|_, _| async {
        Err(error(ErrorKind::ServerError).with_retry_after(Some(Duration::from_secs(60))))
    });
    let bench = bench(leaf.clone(), AccountConfig::default(), 10);
    let call = bench.start(1).remove(0);
    settle().await;
    bench.drain.cancel();
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts(), leaf.calls()),
        (ErrorKind::Stopped, 1, 1)
    );
    assert_eq!(bench.elapsed(), Duration::ZERO);
}
