use std::{sync::Arc, time::Duration};

use antiphon_core::{
    ChatRequest, ErrorKind, Model, SharedModel, SystemClock,
    chat::Delivery,
    patterns::{Fallback, Race, ensemble::Samples},
};
use futures_util::StreamExt;

use crate::members::{ScriptedMember, delta, failure, last_delta, ready, shared, streamed, tokens};

fn streaming() -> ChatRequest {
    ChatRequest {
        delivery: Delivery::Streamed,
        ..ChatRequest::prompt("x")
    }
}

async fn whole(race: &Race, request: ChatRequest) -> antiphon_core::Reply {
    race.call(request).await.unwrap().whole().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_first_valid_answer_wins_and_the_others_are_cancelled() {
    let fast = ScriptedMember::fails("test/fast", 1, ErrorKind::OffSchema);
    let good = ScriptedMember::says("test/good", 2, "good");
    let slow = ScriptedMember::says("test/slow", 60, "slow");
    let race = Race::new("racing", shared([&slow, &fast, &good])).unwrap();
    let begun = tokio::time::Instant::now();
    let reply = whole(&race, ChatRequest::prompt("x")).await;
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
    assert_eq!(slow.under_way(), 0);
    assert_eq!((reply.text(), &*reply.head.model), ("good", "test/good"));
    assert_eq!(
        reply.usage(),
        Some(tokens(11, 5)),
        "the failed one was billed"
    );
    assert_eq!(reply.head.attempts, 2);
    let gathered = reply.head.gathered.unwrap();
    let told: Vec<_> = gathered
        .members
        .iter()
        .map(|member| {
            let code = member.error.as_ref().map(|error| error.code.as_str());
            (member.model.as_str(), member.usage, code)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("test/slow", None, Some("cancelled")),
            ("test/fast", Some(tokens(1, 0)), Some("off_schema")),
            ("test/good", Some(tokens(10, 5)), None),
        ]
    );
    assert_eq!(gathered.decision.unwrap().from, [2]);
}

#[tokio::test(start_paused = true)]
async fn whoever_answers_at_the_same_moment_is_counted() {
    let a = ScriptedMember::says("test/a", 1, "a");
    let b = ScriptedMember::says("test/b", 1, "b");
    let race = Race::new("racing", shared([&a, &b])).unwrap();
    let reply = whole(&race, ChatRequest::prompt("x")).await;
    assert_eq!(reply.usage(), Some(tokens(20, 10)));
    assert_eq!(reply.head.attempts, 2);
    let members = reply.head.gathered.unwrap().members;
    assert!(
        members
            .iter()
            .all(|member| member.usage == Some(tokens(10, 5)))
    );
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_each_cause_is_told() {
    let a = ScriptedMember::fails("test/a", 2, ErrorKind::Auth);
    let b = ScriptedMember::fails("test/b", 1, ErrorKind::Overloaded);
    let race = Race::new("racing", shared([&a, &b])).unwrap();
    let error = race.call(ChatRequest::prompt("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert_eq!(
        error.message(),
        "all 2 models of the race failed: test/a: auth: it was auth; test/b: overloaded: it was overloaded"
    );
    assert_eq!((error.attempts(), error.usage()), (2, Some(tokens(2, 0))));
    let error = Race::new("empty", vec![]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`empty` combines no models: name at least one"
    );
}

#[tokio::test(start_paused = true)]
async fn a_hedge_asks_again_only_when_the_first_is_slow() {
    let model = ScriptedMember::new("test/model", 3, |call| {
        ready("test/model", &call.to_string())
    });
    let hedge = |seconds| {
        Race::new("hedged", shared([&model, &model, &model]))
            .unwrap()
            .with_stagger(Duration::from_secs(seconds), SystemClock::shared())
    };
    let patient = whole(&hedge(5), ChatRequest::prompt("x")).await;
    assert_eq!((patient.text(), model.started()), ("0", 1));
    let impatient = whole(&hedge(2), ChatRequest::prompt("x")).await;
    assert_eq!((impatient.text(), model.started()), ("1", 3));
    let samples: Vec<u32> = model.requests().iter().map(|r| r.sample).collect();
    assert_eq!(samples, [0, 0, 1], "or equal calls would be shared");
    let messages: Vec<String> = impatient
        .head
        .gathered
        .unwrap()
        .members
        .into_iter()
        .filter_map(|member| Some(member.error?.message))
        .collect();
    assert_eq!(
        messages,
        [
            "another model answered first",
            "not asked: another model answered before its turn"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_does_not_wait_for_the_stagger() {
    let down = ScriptedMember::fails("test/down", 1, ErrorKind::Connection);
    let up = ScriptedMember::says("test/up", 1, "up");
    let race = Race::new("hedged", shared([&down, &up]))
        .unwrap()
        .with_stagger(Duration::from_secs(60), SystemClock::shared());
    let begun = tokio::time::Instant::now();
    assert_eq!(whole(&race, ChatRequest::prompt("x")).await.text(), "up");
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn the_first_stream_that_says_something_wins() {
    // bookkeeping first, then a break: it has not won by then
    let broken = ScriptedMember::new("test/broken", 0, |_| {
        let failed = Err(failure(ErrorKind::Connection));
        streamed("test/broken", vec![(0, Ok(delta(""))), (1, failed)])
    });
    let good = ScriptedMember::new("test/good", 1, |_| {
        let deltas = [
            (1, delta("")),
            (1, delta("Hel")),
            (9, delta("lo")),
            (0, last_delta()),
        ];
        let deltas = deltas.map(|(seconds, delta)| (seconds, Ok(delta)));
        streamed("test/good", deltas.into())
    });
    let late = ScriptedMember::new("test/late", 1, |_| {
        streamed(
            "test/late",
            vec![(3, Ok(delta("late"))), (0, Ok(last_delta()))],
        )
    });
    let race = Race::new("racing", shared([&broken, &late, &good])).unwrap();
    let response = race.call(streaming()).await.unwrap();
    assert_eq!(response.head.model, "test/good");
    let antiphon_core::Body::Stream(deltas) = response.body else {
        panic!("a stream is handed on as a stream")
    };
    let texts: Vec<String> = deltas.map(|delta| delta.unwrap().text).collect().await;
    assert_eq!(texts, ["", "Hel", "lo", ""]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_made_of_several_still_tells_of_them() {
    let one = ScriptedMember::says("test/one", 1, "one");
    let bad = ScriptedMember::fails("test/bad", 0, ErrorKind::Timeout);
    let pair: SharedModel = Arc::new(Samples::new(one, 2).unwrap());
    let models = || -> Vec<SharedModel> { vec![bad.clone(), pair.clone()] };
    let race = Race::new("racing", models()).unwrap();
    let chain = Fallback::new("chained", models()).unwrap();
    let both: [&dyn Model; 2] = [&race, &chain];
    for model in both {
        let response = model.call(ChatRequest::prompt("x")).await.unwrap();
        let reply = response.whole().await.unwrap();
        assert_eq!(
            (reply.head.attempts, reply.usage()),
            (3, Some(tokens(21, 10)))
        );
        let members = reply.head.gathered.unwrap().members;
        let names: Vec<&str> = members.iter().map(|member| member.model.as_str()).collect();
        assert_eq!(names, ["test/one", "test/one"]);
    }
}
