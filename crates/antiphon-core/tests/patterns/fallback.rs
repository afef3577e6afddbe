use std::{sync::Arc, time::Duration};

use antiphon_core::{
    ChatRequest, ErrorKind, Model, Reply, Schema, SystemClock,
    chat::Delivery,
    job::Outcome,
    patterns::{Fallback, Race, batch},
};
use serde_json::{Value, json};

use crate::members::{ScriptedMember, delta, failure, last_delta, ready, shared, streamed, tokens};

async fn ask(chain: &Fallback, request: ChatRequest) -> Result<Reply, antiphon_core::Error> {
    chain.call(request).await?.whole().await
}

fn question() -> ChatRequest {
    ChatRequest::prompt("x")
}

#[tokio::test(start_paused = true)]
async fn the_chain_moves_on_and_tells_what_failed() {
    for kind in [
        ErrorKind::ServerError,
        ErrorKind::RateLimited,
        ErrorKind::Auth,
        ErrorKind::ModelNotFound,
        ErrorKind::ContextLength,
        ErrorKind::OffSchema,
    ] {
        let first = ScriptedMember::fails("test/first", 1, kind);
        let second = ScriptedMember::says("test/second", 1, "second");
        let unused = ScriptedMember::says("test/unused", 1, "unused");
        let chain = Fallback::new("safe", shared([&first, &second, &unused])).unwrap();
        let reply = ask(&chain, question()).await.unwrap();
        assert_eq!(
            (reply.text(), &*reply.head.model),
            ("second", "test/second")
        );
        assert_eq!(reply.usage(), Some(tokens(11, 5)), "{kind} was billed");
        assert_eq!((reply.head.attempts, unused.started()), (2, 0));
        let gathered = reply.head.gathered.unwrap();
        assert_eq!(
            gathered.members[0].error.as_ref().unwrap().code,
            kind.code()
        );
        assert_eq!(gathered.members[1].usage, Some(tokens(10, 5)));
        let decision = gathered.decision.unwrap();
        assert_eq!((&*decision.by, &decision.from[..]), ("fallback", &[1][..]));
    }
}

#[tokio::test(start_paused = true)]
async fn faults_of_the_request_go_back_at_once() {
    for kind in [
        ErrorKind::BadRequest,
        ErrorKind::Refused,
        ErrorKind::CutOff,
        ErrorKind::Stopped,
    ] {
        let down = ScriptedMember::fails("test/down", 1, ErrorKind::Timeout);
        let faulty = ScriptedMember::fails("test/faulty", 1, kind);
        let unused = ScriptedMember::says("test/unused", 1, "unused");
        let chain = Fallback::new("safe", shared([&down, &faulty, &unused])).unwrap();
        let chain = chain.with_rescue("never shown");
        let error = ask(&chain, question()).await.unwrap_err();
        assert_eq!((error.kind(), unused.started()), (kind, 0));
        assert_eq!((error.attempts(), error.usage()), (2, Some(tokens(2, 0))));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_failures_is_untouched() {
    let first = ScriptedMember::says("test/first", 1, "first");
    let chain = Fallback::new("safe", shared([&first])).unwrap();
    let reply = ask(&chain, question()).await.unwrap();
    assert!(reply.head.gathered.is_none());
    assert_eq!((chain.name(), &*reply.head.model), ("safe", "test/first"));
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_is_cancelled() {
    let slow = ScriptedMember::says("test/slow", 3600, "slow");
    let quick = ScriptedMember::says("test/quick", 1, "quick");
    let limit = Duration::from_secs(5);
    let chain = Fallback::new("safe", shared([&slow, &quick]))
        .unwrap()
        .with_time_limit(limit, SystemClock::shared());
    let begun = tokio::time::Instant::now();
    let reply = ask(&chain, question()).await.unwrap();
    assert_eq!((reply.text(), slow.under_way()), ("quick", 0));
    assert_eq!(begun.elapsed(), Duration::from_secs(6));
    let gathered = reply.head.gathered.unwrap();
    assert_eq!(gathered.members[0].error.as_ref().unwrap().code, "timeout");
}

#[tokio::test(start_paused = true)]
async fn a_rescue_answers_when_all_fail_and_says_so() {
    let slow = ScriptedMember::says("test/slow", 3600, "slow");
    let keyless = ScriptedMember::fails("test/keyless", 1, ErrorKind::Auth);
    let chain = Fallback::new("safe", shared([&slow, &keyless]))
        .unwrap()
        .with_time_limit(Duration::from_secs(5), SystemClock::shared())
        .with_rescue("please try later");
    let reply = ask(&chain, question()).await.unwrap();
    assert_eq!(
        (reply.text(), &*reply.head.model),
        ("please try later", "safe")
    );
    assert_eq!(
        (reply.head.attempts, reply.usage()),
        (1, Some(tokens(1, 0)))
    );
    let gathered = reply.head.gathered.as_ref().unwrap();
    let decision = gathered.decision.as_ref().unwrap();
    assert_eq!((&*decision.by, gathered.members.len()), ("rescue", 2));
    assert_eq!(
        decision.failure.as_deref(),
        Some(
            "all 2 links of the chain failed: test/slow: timeout: no complete answer within 5s; \
             test/keyless: auth: it was auth"
        )
    );
    let body: Value = serde_json::from_slice(&reply.answer.body).unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "please try later");
    assert_eq!(
        (&body["model"], &body["object"]),
        (&json!("safe"), &json!("chat.completion"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_rescue_must_fit_the_schema() {
    let down = ScriptedMember::fails("test/down", 1, ErrorKind::ServerError);
    let chain = Fallback::new("safe", shared([&down])).unwrap();
    let chain = chain.with_rescue(r#"{"score": 0}"#);
    let asking = |minimum: i64| {
        let schema = json!({"type": "object", "properties": {"score": {"minimum": minimum}}});
        ChatRequest {
            schema: Some(Schema::new(schema).unwrap()),
            ..question()
        }
    };
    assert!(ask(&chain, asking(0)).await.is_ok());
    let error = ask(&chain, asking(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerError);
    assert!(
        error
            .message()
            .contains("its rescue does not fit the schema: /score"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_run_stops_only_if_every_link_stops_it() {
    let keyless = ScriptedMember::fails("test/keyless", 1, ErrorKind::Auth);
    let empty = ScriptedMember::fails("test/empty", 1, ErrorKind::QuotaExhausted);
    let down = ScriptedMember::fails("test/down", 1, ErrorKind::Timeout);
    let stops = Fallback::new("safe", shared([&keyless, &empty])).unwrap();
    assert!(ask(&stops, question()).await.unwrap_err().stops_the_run());
    let goes_on = Fallback::new("safe", shared([&down, &empty])).unwrap();
    let error = ask(&goes_on, question()).await.unwrap_err();
    assert_eq!(
        (error.stops_the_run(), error.kind()),
        (false, ErrorKind::Timeout)
    );
    assert!(
        error.message().contains("test/empty: quota_exhausted"),
        "{error}"
    );
    assert!(Fallback::new("empty", vec![]).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_move_on_until_it_says_something() {
    let broken = |deltas: &'static [&'static str]| {
        ScriptedMember::new("test/broken", 1, move |_| {
            let said = deltas.iter().map(|text| (1, Ok(delta(text))));
            let failed = (1, Err(failure(ErrorKind::Connection)));
            streamed("test/broken", said.chain([failed]).collect())
        })
    };
    let good = ScriptedMember::new("test/good", 1, |_| {
        streamed(
            "test/good",
            vec![(1, Ok(delta("good"))), (0, Ok(last_delta()))],
        )
    });
    let streaming = || ChatRequest {
        delivery: Delivery::Streamed,
        ..question()
    };
    let early = broken(&["", ""]);
    let chain = Fallback::new("safe", shared([&early, &good])).unwrap();
    let reply = ask(&chain, streaming()).await.unwrap();
    assert_eq!((reply.text(), reply.head.attempts), ("good", 2));

    let late = broken(&["", "some"]);
    let chain = Fallback::new("safe", shared([&late, &good])).unwrap();
    let error = ask(&chain, streaming()).await.unwrap_err();
    assert_eq!((error.kind(), good.started()), (ErrorKind::Connection, 1));
}

#[test]
fn nobody_to_ask_is_an_error_like_any_other() {
    let asked = || -> Result<Fallback, antiphon_core::Error> { Ok(Fallback::new("safe", vec![])?) };
    let error = asked().unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (
            ErrorKind::BadRequest,
            "`safe` combines no models: name at least one"
        )
    );
}

/// An answer from a cache, as good as it was.
fn at_hand(name: &'static str) -> Arc<ScriptedMember> {
    ScriptedMember::new(name, 0, move |_| {
        let mut response = ready(name, "kept")?;
        (response.head.cached, response.head.attempts) = (true, 0);
        Ok(response)
    })
}

#[tokio::test(start_paused = true)]
async fn an_answer_at_hand_does_not_hide_what_failed_before_it() {
    let down = ScriptedMember::fails("test/down", 1, ErrorKind::ServerError);
    let kept = at_hand("test/kept");
    let chain = Fallback::new("safe", shared([&down, &kept])).unwrap();
    let reply = ask(&chain, question()).await.unwrap();
    assert_eq!(
        (reply.usage(), reply.head.attempts),
        (Some(tokens(1, 0)), 1)
    );
    assert_eq!(
        reply.members()[1].usage,
        Some(tokens(0, 0)),
        "nothing was paid for it"
    );

    let outcome = Outcome::answered(&reply.head, &reply.answer, None);
    assert_eq!((outcome.attempts, outcome.usage), (1, tokens(1, 0)));
    assert!(outcome.details.contains("\"cached\":true"));
    let many = batch(Arc::new(chain), ["x"]).run().await;
    assert_eq!(many.usage(), tokens(1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_loser_of_a_race_that_was_at_hand_costs_nothing() {
    let winner = ScriptedMember::says("test/winner", 0, "won");
    let kept = at_hand("test/kept");
    let race = Race::new("fast", shared([&winner, &kept])).unwrap();
    let reply = race.call(question()).await.unwrap().whole().await.unwrap();
    let both = reply.members().iter().filter(|one| one.text.is_some());
    assert_eq!(both.count(), 2, "they ended at the same moment");
    assert_eq!(reply.usage(), Some(tokens(10, 5)));
}
