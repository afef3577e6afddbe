//! What a failed call means for the others.

use antiphon_core::{
    ChatRequest, Error, ErrorKind, SharedModel, Spent, Usage,
    layers::queue::{OnFailure, Queue, QueueConfig},
};
use futures_util::future::join_all;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

use super::{Client, MS, on_failure, queue, start};
use crate::scripted::{delta, error, ready, settle, streamed};

/// Fails where it is asked to `fail` or where it is `gone`; a number is how long it takes.
fn client() -> Arc<
    super::Client<impl Fn(String) -> antiphon_core::BoxFuture<'static, crate::scripted::Outcome>>,
> {
    Client::new(
        1,
        |question: String| -> antiphon_core::BoxFuture<'static, _> {
            Box::pin(async move {
                sleep(10 * MS).await;
                match question.as_str() {
                    "fail" => Err(error(ErrorKind::Rejected)),
                    "gone" => Err(error(ErrorKind::Connection).stopping_the_run()),
                    "long" => {
                        sleep(1000 * MS).await;
                        ready("long")
                    }
                    _ => ready(&question),
                }
            })
        },
    )
}

/// What came of each question: its answer or the kind of its error.
async fn ask_all(calls: impl IntoIterator<Item = (&SharedModel, &str)>) -> Vec<String> {
    let calls = calls
        .into_iter()
        .map(|(model, question)| model.ask(ChatRequest::prompt(question)));
    let told = |reply: Result<antiphon_core::Reply, Error>| match reply {
        Ok(reply) => reply.answer.text,
        Err(error) => error.kind().code().to_owned(),
    };
    join_all(calls).await.into_iter().map(told).collect()
}

fn two(queue: &Arc<Queue>, client: &SharedModel) -> (SharedModel, SharedModel) {
    (
        queue.around(Arc::clone(client)),
        queue.around(Arc::clone(client)),
    )
}

#[tokio::test(start_paused = true)]
async fn by_default_a_failed_call_fails_alone() {
    let client = client();
    let queue = queue(1, QueueConfig::default());
    let model = queue.around(client.clone());
    let told = ask_all(["1", "fail", "3"].map(|question| (&model, question))).await;
    assert_eq!(told, ["1", "rejected", "3"]);
    let seen = queue.snapshot();
    assert_eq!((seen.let_out, seen.failed, seen.refused), (3, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_poisoned_line_stays_closed_until_it_is_reset() {
    let client = client();
    let queue = queue(1, on_failure(OnFailure::Poison));
    let model = queue.around(client.clone());
    let told = ask_all(["fail", "2", "3"].map(|question| (&model, question))).await;
    assert_eq!(told, ["rejected", "rejected", "rejected"]);
    assert_eq!(ask_all([(&model, "later")]).await, ["rejected"]);
    let other = queue.around(client.clone());
    assert_eq!(ask_all([(&other, "other")]).await, ["rejected"]);
    queue.reset();
    assert_eq!(
        ask_all([(&model, "again"), (&other, "other")]).await,
        ["again", "other"]
    );
    assert_eq!(client.asked(), ["fail", "again", "other"]);
    let seen = queue.snapshot();
    assert_eq!((seen.let_out, seen.failed, seen.refused), (3, 1, 4));
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_out_when_poison_strikes_end_as_they_end() {
    let client = client();
    let model = queue(2, on_failure(OnFailure::Poison)).around(client.clone());
    let told = ask_all(["long", "fail", "3"].map(|question| (&model, question))).await;
    assert_eq!(told, ["long", "rejected", "rejected"]);
    assert_eq!(client.asked(), ["long", "fail"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_was_refused_before_the_reset_stays_refused() {
    let client = client();
    let queue = queue(1, on_failure(OnFailure::Poison));
    let model = queue.around(client.clone());
    let (failing, waiting) = (start(&model, "fail"), start(&model, "waiting"));
    failing.await.unwrap().unwrap_err();
    // before it has heard of it
    queue.reset();
    assert_eq!(
        waiting.await.unwrap().unwrap_err().kind(),
        ErrorKind::Rejected
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_is_skipped_alone() {
    let client = client();
    let queue = queue(1, on_failure(OnFailure::SkipGroup));
    let (one, two) = two(&queue, &(client.clone() as SharedModel));
    let calls = [(&one, "fail"), (&two, "a"), (&one, "b"), (&two, "c")];
    assert_eq!(ask_all(calls).await, ["rejected", "a", "rejected", "c"]);
    assert_eq!(ask_all([(&one, "d"), (&two, "e")]).await, ["rejected", "e"]);
    assert_eq!(client.asked(), ["fail", "a", "c", "e"]);
    queue.reset();
    assert_eq!(ask_all([(&one, "f")]).await, ["f"]);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_gone_ends_all_under_each_policy() {
    for policy in [OnFailure::Isolate, OnFailure::Poison, OnFailure::SkipGroup] {
        let client = client();
        let queue = queue(1, on_failure(policy));
        let (one, two) = two(&queue, &(client.clone() as SharedModel));
        let calls = [(&one, "gone"), (&two, "a"), (&one, "b")];
        assert_eq!(ask_all(calls).await, ["connection"; 3], "{policy:?}");
        let late = two.ask(ChatRequest::prompt("late")).await.unwrap_err();
        assert!(late.stops_the_run());
        assert_eq!(client.asked(), ["gone"]);
        queue.reset();
        assert_eq!(ask_all([(&two, "back")]).await, ["back"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_failed_call_has_used_is_paid_once() {
    let usage = Usage {
        input_tokens: 7,
        ..Usage::default()
    };
    let client = Client::new(1, move |_| async move {
        let spent = Spent::answer(Some(usage));
        Err(error(ErrorKind::OffSchema)
            .with_attempts(2)
            .with_spent(spent))
    });
    let model = queue(1, on_failure(OnFailure::Poison)).around(client);
    let failed = model.ask(ChatRequest::prompt("1")).await.unwrap_err();
    let refused = model.ask(ChatRequest::prompt("2")).await.unwrap_err();
    assert_eq!((failed.attempts(), failed.usage()), (2, Some(usage)));
    assert_eq!((refused.attempts(), refused.usage()), (0, None));
    assert_eq!(refused.kind(), failed.kind());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_is_a_failure() {
    let client = Client::new(1, |_| async {
        let pieces = [Ok(delta("half")), Err(error(ErrorKind::Connection))];
        streamed(futures_util::stream::iter(pieces))
    });
    let model = queue(1, on_failure(OnFailure::Poison)).around(client.clone());
    let (broken, waiting) = (start(&model, "1"), start(&model, "2"));
    assert_eq!(
        broken.await.unwrap().unwrap_err().kind(),
        ErrorKind::Connection
    );
    assert_eq!(
        waiting.await.unwrap().unwrap_err().kind(),
        ErrorKind::Connection
    );
    assert_eq!(client.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_on_this_side_ends_nothing_else() {
    for policy in [OnFailure::Poison, OnFailure::SkipGroup] {
        let client = Client::new(1, |question: String| async move {
            match question.as_str() {
                "over" => Err(Error::stopped("the tool call has ended")),
                _ => ready(&question),
            }
        });
        let model = queue(1, on_failure(policy)).around(client);
        let told = ask_all(["over", "2"].map(|question| (&model as &SharedModel, question))).await;
        assert_eq!(told, ["stopped", "2"], "{policy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_drops_a_call_has_failed_nobody() {
    let client = client();
    let queue = queue(1, on_failure(OnFailure::Poison));
    let model = queue.around(client.clone());
    let dropped = start(&model, "long");
    settle().await;
    let next = start(&model, "next");
    tokio::time::sleep(Duration::from_millis(100)).await;
    dropped.abort();
    assert_eq!(next.await.unwrap().unwrap().answer.text, "next");
    assert_eq!(queue.snapshot().failed, 0);
}
