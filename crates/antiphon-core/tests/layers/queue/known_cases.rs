//! The known cases of the tool that the queue comes from.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use antiphon_core::{
    ChatRequest, Clock as _, ErrorKind, SharedModel, SystemClock,
    layers::queue::{Fixed, OnFailure, Queue, queued},
};
use futures_util::future::join_all;

use tokio::time::sleep;

use super::{Client, MS, on_failure, queue};
use crate::scripted::{error, ready};

#[test]
fn a_parallel_model_in_is_the_very_same_model_out() {
    let parallel: SharedModel = Client::new(0, |_| async { ready("yes") });
    assert_eq!(parallel.limits().concurrency, None);
    assert!(Arc::ptr_eq(&parallel, &queued(Arc::clone(&parallel))));
}

#[test]
fn otherwise_a_wrapper_that_still_says_what_it_can_bear() {
    for limit in [1, 5] {
        let bounded: SharedModel = Client::new(limit, |_| async { ready("yes") });
        let wrapped = queued(Arc::clone(&bounded));
        assert!(!Arc::ptr_eq(&bounded, &wrapped));
        assert_eq!(wrapped.limits(), bounded.limits());
        assert_eq!(wrapped.name(), bounded.name());
    }
}

#[tokio::test(start_paused = true)]
async fn three_calls_of_30_20_and_10_ms_start_and_finish_in_order_never_two_at_once() {
    let clock = SystemClock::new();
    let client = Client::new(1, |question: String| async move {
        sleep(question.parse::<u32>().unwrap() * MS).await;
        ready(&question)
    });
    let model = queued(client.clone());
    let finished = Mutex::new(Vec::new());
    let answers = join_all(["30", "20", "10"].map(async |question| {
        let reply = model.ask(ChatRequest::prompt(question)).await.unwrap();
        let after = clock.now().since_start();
        finished.lock().unwrap().push((question, after));
        reply.answer.text
    }));
    assert_eq!(answers.await, ["30", "20", "10"], "each in its place");
    assert_eq!(client.asked(), ["30", "20", "10"]);
    assert_eq!(client.most(), 1);
    let at = |ms| Duration::from_millis(ms);
    let expected = [("30", at(30)), ("20", at(50)), ("10", at(60))];
    assert_eq!(finished.into_inner().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn three_at_once_take_as_long_as_the_longest() {
    let clock = SystemClock::new();
    let client = Client::new(3, |question: String| async move {
        sleep(question.parse::<u32>().unwrap() * MS).await;
        ready(&question)
    });
    let model = queued(client.clone());
    let calls = ["30", "20", "10"].map(|question| model.ask(ChatRequest::prompt(question)));
    assert!(join_all(calls).await.into_iter().all(|reply| reply.is_ok()));
    assert_eq!((client.most(), clock.now().since_start()), (3, 30 * MS));
}

#[tokio::test(start_paused = true)]
async fn with_poison_the_first_stands_the_others_fail_alike_and_two_calls_reach_the_client() {
    let client = Client::new(1, |question: String| async move {
        sleep(10 * MS).await;
        match question.as_str() {
            "second" => Err(error(ErrorKind::Rejected)),
            _ => ready(&question),
        }
    });
    let model = queue(1, on_failure(OnFailure::Poison)).around(client.clone());
    let calls =
        ["first", "second", "third"].map(|question| model.ask(ChatRequest::prompt(question)));
    let [first, second, third] = join_all(calls).await.try_into().unwrap();
    assert_eq!(first.unwrap().answer.text, "first");
    let (second, third) = (second.unwrap_err(), third.unwrap_err());
    assert_eq!(second.kind(), ErrorKind::Rejected);
    assert_eq!(
        (third.kind(), third.message()),
        (second.kind(), second.message())
    );
    assert!(!third.may_be_billed(), "it was not sent");
    assert_eq!(client.asked(), ["first", "second"]);
}

#[tokio::test(start_paused = true)]
async fn one_line_for_several_models() {
    let limit = NonZeroU32::new(2).unwrap();
    let queue = Queue::new(limit);
    let client = Client::new(0, |question: String| async move {
        sleep(10 * MS).await;
        ready(&question)
    });
    let models: Vec<_> = (0..3).map(|_| queue.around(client.clone())).collect();
    let asked = ["1", "2", "3", "4", "5", "6"];
    let calls = asked.iter().zip(models.iter().cycle());
    let calls = calls.map(|(question, model)| model.ask(ChatRequest::prompt(*question)));
    assert!(join_all(calls).await.into_iter().all(|reply| reply.is_ok()));
    assert_eq!(
        (client.asked(), client.most()),
        (asked.map(str::to_owned).to_vec(), 2)
    );
    assert_eq!(Fixed(limit).0, queue.snapshot().limit);
}
