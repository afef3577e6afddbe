//! How long a call may be out and in line, and when its place is free.

use std::{future::pending, num::NonZeroUsize, sync::Arc, time::Duration};

use antiphon_core::{
    Advice, Body, ChatRequest, Clock, Error, ErrorKind, Model, SystemClock,
    chat::Delivery,
    layers::{admit::AccountConfig, queue::QueueConfig},
};
use futures_util::{StreamExt, future::join_all, stream};
use tokio::time::sleep;

use super::{Client, MS, queue, start};
use crate::scripted::{answer, bench, delta, last_delta, ready, settle, streamed, whole};

fn within(limit: Duration) -> QueueConfig {
    QueueConfig {
        call_timeout: Some(limit),
        ..QueueConfig::default()
    }
}

fn streaming(question: &str) -> ChatRequest {
    ChatRequest {
        delivery: Delivery::Streamed,
        ..ChatRequest::prompt(question)
    }
}

/// The error of a call that took longer than 50 ms.
fn is_timeout(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let message = error.message();
    for part in ["50ms", "a person may have had to approve", "`call_timeout`"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(error.advice(), Advice::Elsewhere, "not again");
    assert!(error.may_be_billed());
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_call_begins_when_it_is_let_out() {
    let client = Client::new(1, |question: String| async move {
        sleep(40 * MS).await;
        ready(&question)
    });
    let model = queue(1, within(50 * MS)).around(client);
    let calls = ["1", "2", "3"].map(|question| model.ask(ChatRequest::prompt(question)));
    assert!(join_all(calls).await.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_is_dropped_and_the_next_one_goes() {
    let clock = SystemClock::shared();
    let client = Client::new(1, |question: String| async move {
        match question.as_str() {
            "never" => pending().await,
            "no body" => whole(pending()),
            _ => ready(&question),
        }
    });
    let model = queue(1, within(50 * MS)).around(client.clone());
    let calls = ["never", "no body", "3"].map(|question| model.ask(ChatRequest::prompt(question)));
    let [never, no_body, third] = join_all(calls).await.try_into().unwrap();
    is_timeout(&never.unwrap_err());
    is_timeout(&no_body.unwrap_err());
    assert_eq!(third.unwrap().answer.text, "3");
    assert_eq!(clock.now().since_start(), 100 * MS);
    assert_eq!(client.most(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_falls_silent_is_cut_off() {
    let client = Client::new(1, |question: String| async move {
        match question.as_str() {
            "silent" => streamed(stream::iter([Ok(delta("a"))]).chain(stream::pending())),
            _ => ready(&question),
        }
    });
    let model = queue(1, within(50 * MS)).around(client);
    let Body::Stream(mut deltas) = model.call(streaming("silent")).await.unwrap().body else {
        panic!("a stream")
    };
    let next = start(&model, "next");
    assert_eq!(deltas.next().await.unwrap().unwrap().text, "a");
    is_timeout(&deltas.next().await.unwrap().unwrap_err());
    assert!(deltas.next().await.is_none());
    // although it is still held
    assert_eq!(next.await.unwrap().unwrap().answer.text, "next");
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_takes_too_long_is_cut_off_unless_all_is_said() {
    let client = Client::new(1, |question: String| async move {
        match question.as_str() {
            "endless" => streamed(stream::repeat(()).map(|()| Ok(delta("a")))),
            "said" => streamed(stream::repeat(()).map(|()| Ok(last_delta()))),
            _ => ready(&question),
        }
    });
    let queue = queue(1, within(50 * MS));
    let model = queue.around(client);
    for (question, ends_well) in [("endless", false), ("said", true)] {
        let Body::Stream(mut deltas) = model.call(streaming(question)).await.unwrap().body else {
            panic!("a stream")
        };
        let next = start(&model, "next");
        for _ in 0..2 {
            deltas.next().await.unwrap().unwrap();
            sleep(25 * MS).await;
        }
        match deltas.next().await {
            None => assert!(ends_well),
            Some(late) => is_timeout(&late.unwrap_err()),
        }
        assert!(deltas.next().await.is_none());
        assert_eq!(next.await.unwrap().unwrap().answer.text, "next");
    }
    assert_eq!(queue.snapshot().failed, 1);
}

/// Streams may panic that are asked again after their end.
#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_without_a_word_is_a_bad_response() {
    let client = Client::new(1, |_| async {
        streamed(stream::unfold((), |()| async { None }))
    });
    let queue = queue(1, QueueConfig::default());
    let model = queue.around(client);
    let Body::Stream(mut deltas) = model.call(streaming("1")).await.unwrap().body else {
        panic!("a stream")
    };
    assert!(deltas.next().await.is_none());
    assert_eq!((queue.snapshot().out, queue.snapshot().failed), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn retries_do_not_ask_a_person_again_who_did_not_answer() {
    let client = Client::new(1, |_| pending());
    let leaf = queue(1, within(50 * MS)).around(client.clone());
    let bench = bench(leaf, AccountConfig::default(), 5);
    let failed = bench.model.ask(ChatRequest::prompt("1")).await.unwrap_err();
    is_timeout(&failed);
    assert_eq!((failed.attempts(), client.asked().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_full_refuses_at_once() {
    let config = QueueConfig {
        longest: NonZeroUsize::new(2),
        ..QueueConfig::default()
    };
    let client = Client::new(1, |question: String| async move {
        sleep(10 * MS).await;
        ready(&question)
    });
    let queue = queue(1, config);
    let model = queue.around(client.clone());
    let _out = start(&model, "out");
    settle().await;
    let [first, second] = ["1", "2"].map(|question| start(&model, question));
    settle().await;
    let full = model.ask(ChatRequest::prompt("3")).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Overloaded);
    assert!(
        full.message()
            .starts_with("2 calls wait for a model that bears 1 at once"),
        "{full}"
    );
    assert_eq!((full.attempts(), full.may_be_billed()), (0, false));
    // somebody leaves, and there is room
    first.abort();
    settle().await;
    let fourth = start(&model, "4");
    assert_eq!(second.await.unwrap().unwrap().answer.text, "2");
    assert_eq!(fourth.await.unwrap().unwrap().answer.text, "4");
    assert_eq!(client.asked(), ["out", "2", "4"]);
    assert_eq!(queue.snapshot().refused, 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_leaves_wherever_it_is() {
    let client = Client::new(1, |question: String| async move {
        match question.as_str() {
            "never" => pending().await,
            _ => ready(&question),
        }
    });
    let queue = queue(1, QueueConfig::default());
    let model = queue.around(client.clone());
    let out = start(&model, "never");
    let [first, second, third] = ["1", "2", "3"].map(|question| start(&model, question));
    settle().await;
    assert_eq!((queue.snapshot().out, queue.snapshot().waiting), (1, 3));
    second.abort();
    settle().await;
    assert_eq!((queue.snapshot().out, queue.snapshot().waiting), (1, 2));
    // the first is let out by this, and is dropped before it has heard of it
    out.abort();
    first.abort();
    assert_eq!(third.await.unwrap().unwrap().answer.text, "3");
    assert_eq!(client.asked(), ["never", "3"]);
    let seen = queue.snapshot();
    assert_eq!((seen.out, seen.waiting, seen.failed), (0, 0, 0));
    assert_eq!((seen.most_waiting, seen.most_out), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_takes_its_place_when_it_is_first_polled() {
    let client = Client::new(1, |question: String| async move { ready(&question) });
    let model = queue(1, QueueConfig::default()).around(client.clone());
    // one that nobody polls holds up nobody
    let first = model.call(ChatRequest::prompt("built first"));
    model
        .call(ChatRequest::prompt("asked first"))
        .await
        .unwrap();
    first.await.unwrap();
    assert_eq!(client.asked(), ["asked first", "built first"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_out_until_its_end_or_its_drop() {
    let client = Client::new(1, |_| async {
        let pieces = [delta("a"), delta("b"), last_delta()];
        streamed(stream::iter(pieces.map(Ok)))
    });
    let queue = queue(1, QueueConfig::default());
    let model = queue.around(client.clone());
    for reads in [1, 3, 4] {
        let Body::Stream(mut deltas) = model.call(streaming("1")).await.unwrap().body else {
            panic!("a stream")
        };
        for _ in 0..reads {
            assert_eq!(
                queue.snapshot().out,
                1,
                "read to its end it is over, not before"
            );
            deltas.next().await;
        }
        let is_read = reads == 4;
        assert_eq!(queue.snapshot().out, usize::from(!is_read));
        let waiting = start(&model, "2");
        drop(deltas);
        waiting.await.unwrap().unwrap();
    }
    assert_eq!(
        queue.snapshot().failed,
        0,
        "whoever stops reading has failed nobody"
    );
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_is_out_until_it_is_there() {
    let client = Client::new(1, |question: String| async move {
        whole(async move {
            sleep(10 * MS).await;
            Ok(answer(&question))
        })
    });
    let queue = queue(1, QueueConfig::default());
    let model = queue.around(client);
    let calls = ["1", "2"].map(|question| model.call(ChatRequest::prompt(question)));
    let clock = SystemClock::new();
    for response in join_all(calls).await {
        assert!(matches!(response.unwrap().body, Body::Ready(_)));
    }
    assert_eq!(clock.now().since_start(), 20 * MS);
    assert_eq!(queue.snapshot().most_out, 1);
}

#[tokio::test(start_paused = true)]
async fn waits_are_metered() {
    let client = Client::new(1, |question: String| async move {
        sleep(10 * MS).await;
        ready(&question)
    });
    let queue = queue(1, QueueConfig::default());
    let model: Arc<dyn Model> = queue.around(client);
    let calls: Vec<_> = ["1", "2", "3"]
        .map(|question| start(&model, question))
        .into();
    settle().await;
    let during = queue.snapshot();
    assert_eq!((during.out, during.waiting, during.let_out), (1, 2, 1));
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let seen = queue.snapshot();
    assert_eq!(
        (seen.out, seen.waiting, seen.let_out, seen.most_out),
        (0, 0, 3, 1)
    );
    assert_eq!((seen.waited, seen.longest_wait), (30 * MS, 20 * MS));
}
