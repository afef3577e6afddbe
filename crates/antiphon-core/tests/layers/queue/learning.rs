//! A queue that learns how many calls its model bears.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use antiphon_core::{
    ChatRequest, ErrorKind, Moment, SharedModel, SystemClock,
    chat::Delivery,
    layers::queue::{Bearing, Ending, OnFailure, Queue, QueueConfig, Turn},
};
use futures_util::{future::join_all, stream};
use tokio::time::sleep;

use super::{Client, MS, on_failure, start};
use crate::scripted::{delta, error, last_delta, ready, settle, streamed};

/// What a bearing was told, and what it says.
#[derive(Debug)]
struct Told {
    limit: u32,
    started: Vec<(Turn, usize)>,
    ended: Vec<(Turn, Ending)>,
    look_at: Option<Moment>,
    looked: Vec<Moment>,
}

#[derive(Clone, Debug)]
struct Listening(Arc<Mutex<Told>>);

impl Listening {
    fn new(limit: u32) -> Self {
        Self(Arc::new(Mutex::new(Told {
            limit,
            started: Vec::new(),
            ended: Vec::new(),
            look_at: None,
            looked: Vec::new(),
        })))
    }

    fn queue(&self, config: QueueConfig) -> Arc<Queue> {
        Queue::with(Box::new(self.clone()), config, SystemClock::shared())
    }

    fn look<R>(&self, look: impl FnOnce(&mut Told) -> R) -> R {
        look(&mut self.0.lock().unwrap())
    }
}

impl Bearing for Listening {
    fn limit(&self) -> NonZeroU32 {
        NonZeroU32::new(self.look(|told| told.limit)).unwrap()
    }

    fn started(&mut self, turn: Turn, wanted: usize, _now: Moment) {
        self.look(|told| told.started.push((turn, wanted)));
    }

    fn ended(&mut self, turn: Turn, ending: Ending, _now: Moment) {
        self.look(|told| told.ended.push((turn, ending)));
    }

    fn look_at(&self) -> Option<Moment> {
        self.look(|told| told.look_at)
    }

    /// All that are out are taken back, and from then on one at a time is out.
    fn withdrawn(&mut self, now: Moment) -> Vec<Turn> {
        self.look(|told| {
            told.looked.push(now);
            told.limit = 1;
            let is_out = |turn: &Turn| told.ended.iter().all(|(ended, _)| ended != turn);
            let started = told.started.iter().map(|(turn, _)| *turn);
            started.filter(is_out).collect()
        })
    }
}

fn at(ms: u64) -> Moment {
    Moment::after_start(Duration::from_millis(ms))
}

#[tokio::test(start_paused = true)]
async fn it_hears_what_was_asked_and_answered() {
    let bearing = Listening::new(1);
    let client = Client::new(1, |question: String| async move {
        sleep(10 * MS).await;
        match question.as_str() {
            "fail" => Err(error(ErrorKind::Rejected)),
            "stream" => {
                let pieces = [delta("the same "), delta("text"), last_delta()];
                streamed(stream::iter(pieces.map(Ok)))
            }
            "other" => ready("another text"),
            _ => ready("the same text"),
        }
    });
    let model = bearing.queue(QueueConfig::default()).around(client);
    let questions = ["whole", "whole", "stream", "other", "fail"];
    join_all(questions.map(|question| model.ask(ChatRequest::prompt(question)))).await;

    let ended = bearing.look(|told| told.ended.clone());
    let answered = |index: usize| match ended[index] {
        (
            _,
            Ending::Answered {
                asked,
                answer,
                bytes,
            },
        ) => (asked, answer, bytes),
        other => panic!("{other:?}"),
    };
    assert_eq!(answered(0), answered(1));
    assert_ne!(answered(0).0, answered(2).0, "asked");
    assert_eq!(answered(0).1, answered(2).1, "answered");
    assert_eq!((answered(2).2, answered(3).2), (13, 12));
    assert_ne!(answered(0).1, answered(3).1);
    assert_eq!(ended[4].1, Ending::Failed(ErrorKind::Rejected));
    let turns: Vec<Turn> = ended.iter().map(|(turn, _)| *turn).collect();
    let started = bearing.look(|told| told.started.clone());
    let expected: Vec<_> = turns.into_iter().zip([1, 4, 3, 2, 1]).collect();
    assert_eq!(started, expected, "the first found nobody else there");
}

#[tokio::test(start_paused = true)]
async fn it_hears_of_calls_that_were_dropped() {
    let bearing = Listening::new(2);
    let client = Client::new(1, |_| async {
        sleep(10 * MS).await;
        ready("yes")
    });
    let model = bearing.queue(QueueConfig::default()).around(client);
    let calls = ["1", "2"].map(|question| start(&model, question));
    settle().await;
    calls[1].abort();
    for call in calls {
        drop(call.await);
    }
    let ended = bearing.look(|told| told.ended.clone());
    assert_eq!(ended[0].1, Ending::Dropped);
    assert!(matches!(ended[1].1, Ending::Answered { .. }));
}

/// A client that answers nobody once two calls are with it.
fn breaks_at_two() -> SharedModel {
    let with_it = Arc::new(());
    Client::new(1, move |question: String| {
        let me = Arc::clone(&with_it);
        async move {
            loop {
                sleep(10 * MS).await;
                // the script has one itself
                if Arc::strong_count(&me) == 2 {
                    return ready(&question);
                }
            }
        }
    })
}

#[tokio::test(start_paused = true)]
async fn calls_that_block_each_other_are_asked_again_and_nobody_notices() {
    let bearing = Listening::new(2);
    bearing.look(|told| told.look_at = Some(at(1005)));
    let queue = bearing.queue(QueueConfig::default());
    let client = Client::new(1, |question: String| async move { ready(&question) });
    let model = queue.around(breaks_at_two());
    let other = queue.around(client);
    let blocked = ["1", "2"].map(|question| start(&model, question));
    let behind = start(&other, "3");
    let [first, second] = join_all(blocked).await.try_into().unwrap();
    let (first, second) = (first.unwrap().unwrap(), second.unwrap().unwrap());
    assert_eq!(
        (first.answer.text.as_str(), second.answer.text.as_str()),
        ("1", "2")
    );
    assert_eq!(
        first.head.attempts, 1,
        "the leaf counts none, and it was sent once more"
    );
    assert_eq!(behind.await.unwrap().unwrap().answer.text, "3");

    let told = bearing.look(|told| {
        (
            told.started.clone(),
            told.ended.clone(),
            told.looked.clone(),
        )
    });
    let (started, ended, looked) = told;
    let turns: Vec<Turn> = started.iter().map(|(turn, _)| *turn).collect();
    assert_eq!(
        turns,
        [0, 1, 2, 3, 4],
        "new turns, before whoever waited behind them"
    );
    let ended: Vec<Turn> = ended.iter().map(|(turn, _)| *turn).collect();
    assert_eq!(ended, [2, 3, 4]);
    assert_eq!(
        looked,
        [at(1005)],
        "asked when it wanted to, and not before or again"
    );
    assert_eq!(queue.snapshot().most_out, 2);
}

/// Takes back whatever is out for 100 ms, and excuses every failure.
#[derive(Debug, Default)]
struct Impatient {
    out: Vec<Turn>,
    look_at: Option<Moment>,
}

impl Bearing for Impatient {
    fn limit(&self) -> NonZeroU32 {
        NonZeroU32::MIN
    }

    fn started(&mut self, turn: Turn, _wanted: usize, now: Moment) {
        self.out.push(turn);
        self.look_at = Some(now + 100 * MS);
    }

    fn ended(&mut self, turn: Turn, _ending: Ending, _now: Moment) {
        self.out.retain(|out| *out != turn);
    }

    fn excuses(&mut self, turn: Turn, _kind: ErrorKind, _now: Moment) -> bool {
        self.out.retain(|out| *out != turn);
        true
    }

    fn look_at(&self) -> Option<Moment> {
        self.look_at
    }

    fn withdrawn(&mut self, _now: Moment) -> Vec<Turn> {
        self.look_at = None;
        std::mem::take(&mut self.out)
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_the_same_for_ever() {
    let client = Client::new(1, |question: String| async move {
        match question.as_str() {
            "slow" => sleep(1000 * MS).await,
            _ => return Err(error(ErrorKind::ServerError)),
        }
        ready("at last")
    });
    let (config, clock) = (QueueConfig::default(), SystemClock::shared());
    let queue = Queue::with(Box::new(Impatient::default()), config, clock);
    let model = queue.around(client.clone());
    let slow = model.ask(ChatRequest::prompt("slow")).await.unwrap();
    assert_eq!((slow.text(), slow.head.attempts), ("at last", 3));
    let failed = model.ask(ChatRequest::prompt("fails")).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::ServerError);
    assert_eq!(client.asked(), [["slow"; 4], ["fails"; 4]].concat());
    assert_eq!((queue.snapshot().out, queue.snapshot().waiting), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_flows_is_not_taken_back() {
    let bearing = Listening::new(2);
    bearing.look(|told| told.look_at = Some(at(15)));
    let client = Client::new(1, |_| async {
        let pieces = stream::unfold(0, |piece| async move {
            sleep(10 * MS).await;
            let delta = if piece < 3 { delta("a") } else { last_delta() };
            (piece < 4).then_some((Ok(delta), piece + 1))
        });
        streamed(pieces)
    });
    let model = bearing.queue(QueueConfig::default()).around(client.clone());
    let request = ChatRequest {
        delivery: Delivery::Streamed,
        ..ChatRequest::prompt("1")
    };
    let reply = model.call(request).await.unwrap().whole().await.unwrap();
    assert_eq!(
        (reply.answer.text.as_str(), client.asked().len()),
        ("aaa", 1)
    );
    bearing.look(|told| {
        assert_eq!(told.looked, [at(15)]);
        assert!(matches!(
            told.ended[..],
            [(0, Ending::Answered { bytes: 3, .. })]
        ));
    });
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_taken_back_into_a_closed_line_fails_with_the_others() {
    let bearing = Listening::new(3);
    bearing.look(|told| told.look_at = Some(at(15)));
    let client = Client::new(1, |question: String| async move {
        sleep(if question == "fail" {
            10 * MS
        } else {
            100 * MS
        })
        .await;
        Err(error(ErrorKind::Rejected))
    });
    let model = bearing
        .queue(on_failure(OnFailure::Poison))
        .around(client.clone());
    let calls = ["fail", "1", "2"].map(|question| model.ask(ChatRequest::prompt(question)));
    for reply in join_all(calls).await {
        assert_eq!(reply.unwrap_err().kind(), ErrorKind::Rejected);
    }
    assert_eq!(client.asked().len(), 3, "nothing is sent after poison");
}

#[tokio::test(start_paused = true)]
async fn the_limit_may_rise_and_fall_while_calls_are_out() {
    let bearing = Listening::new(1);
    let client = Client::new(1, |question: String| async move {
        sleep(10 * MS).await;
        ready(&question)
    });
    let queue = bearing.queue(QueueConfig::default());
    let model = queue.around(client.clone());
    let calls: Vec<_> = (0..14)
        .map(|call| start(&model, &call.to_string()))
        .collect();
    settle().await;
    let mut out = Vec::new();
    for limit in [4, 4, 2, 1, 3, 1] {
        bearing.look(|told| told.limit = limit);
        assert_eq!(model.limits().concurrency, NonZeroU32::new(limit));
        settle().await;
        out.push(queue.snapshot().out);
        sleep(10 * MS).await;
        settle().await;
    }
    // a limit takes effect with the next call that ends
    assert_eq!(out, [1, 4, 4, 2, 1, 2]);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(client.most(), 4);
}
