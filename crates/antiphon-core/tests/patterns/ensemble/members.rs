use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use antiphon_core::{
    Advice, Answer, ChatRequest, Clock, Error, ErrorKind, Spent, SystemClock,
    patterns::ensemble::{Decider, Ensemble, EnsembleConfig},
};
use serde_json::Value;

use super::support::{
    Scripted, answer, ask, codes, decided, decision, ensemble, failing, gathered, ready, said,
    saying, shared, slow, structured, used,
};

fn first_of(models: &[&Arc<Scripted>]) -> Ensemble {
    let chair = saying("chair", decided(&[1], Value::Null));
    ensemble(models, Decider::Decide(chair))
}

#[tokio::test(start_paused = true)]
async fn members_are_asked_side_by_side() {
    let (a, b, c) = (slow("a", "1", 7), slow("b", "2", 9), slow("c", "3", 8));
    let clock = SystemClock::new();
    let reply = ask(&first_of(&[&a, &b, &c]), ChatRequest::prompt("x"))
        .await
        .unwrap();
    assert_eq!(clock.now().since_start(), Duration::from_secs(9));
    assert_eq!(codes(&reply), ["ok", "ok", "ok"]);
    let models: Vec<_> = gathered(&reply)
        .members
        .iter()
        .map(|one| one.model.as_str())
        .collect();
    assert_eq!(models, ["a", "b", "c"]);
    // the slowest member's time on the wire, then the decider's
    assert_eq!(reply.answer.latency, Duration::from_secs(2));
}

#[tokio::test]
async fn equal_members_have_samples_of_their_own_also_for_equal_rows() {
    let (a, b) = (saying("a", "1"), saying("b", "2"));
    let panel = first_of(&[&a, &b, &a]);
    for sample in 0..3 {
        let request = ChatRequest {
            sample,
            ..ChatRequest::prompt("x")
        };
        ask(&panel, request).await.unwrap();
    }
    let samples = |model: &Scripted| -> Vec<u32> {
        model
            .requests()
            .iter()
            .map(|request| request.sample)
            .collect()
    };
    assert_eq!(samples(&a), [0, 1, 2, 3, 4, 5]);
    // the first is what it would be asked for without an ensemble
    assert_eq!(samples(&b), [0, 2, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_quorum_starts_the_decider_and_cancels_stragglers() {
    let (a, b, c) = (slow("a", "1", 1), slow("b", "2", 20), slow("c", "3", 2));
    let panel = first_of(&[&a, &b, &c]).with_quorum(2.try_into().unwrap());
    let clock = SystemClock::new();
    let reply = ask(&panel, ChatRequest::prompt("x")).await.unwrap();
    assert_eq!(clock.now().since_start(), Duration::from_secs(2));
    assert_eq!(codes(&reply), ["ok", "cancelled", "ok"]);
    let why = &gathered(&reply).members[1].error.as_ref().unwrap().message;
    assert!(why.contains("2 answers were enough"), "{why}");
    assert_eq!(b.open.load(SeqCst), 1, "its answer never came");
    let counters = panel.summary().counters;
    assert_eq!(
        (counters.members_succeeded, counters.members_cancelled),
        (2, 1)
    );

    // the failed do not count
    let bad = failing("bad", ErrorKind::BadRequest, "no");
    let panel = first_of(&[&bad, &b, &c]).with_quorum(2.try_into().unwrap());
    let reply = ask(&panel, ChatRequest::prompt("x")).await.unwrap();
    assert_eq!(codes(&reply), ["bad_request", "ok", "ok"]);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_starts_the_decider_and_cancels_stragglers() {
    let (a, b, c) = (slow("a", "1", 1), slow("b", "2", 20), slow("c", "3", 2));
    let panel = first_of(&[&a, &b, &c]).with_deadline(Duration::from_secs(5));
    let clock = SystemClock::new();
    let reply = ask(&panel, ChatRequest::prompt("x")).await.unwrap();
    assert_eq!(clock.now().since_start(), Duration::from_secs(5));
    assert_eq!(codes(&reply), ["ok", "cancelled", "ok"]);
    let why = &gathered(&reply).members[1].error.as_ref().unwrap().message;
    assert!(why.contains("the deadline of 5s had passed"), "{why}");

    // it is soft: without any answer the first one is waited for
    let (slow_one, slower) = (slow("a", "1", 9), slow("b", "2", 20));
    let panel = first_of(&[&slow_one, &slower]).with_deadline(Duration::from_secs(5));
    let clock = SystemClock::new();
    let reply = ask(&panel, ChatRequest::prompt("x")).await.unwrap();
    assert_eq!(clock.now().since_start(), Duration::from_secs(9));
    assert_eq!(decision(&reply).by, "sole");
    assert_eq!(codes(&reply), ["ok", "cancelled"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_try_ends_at_its_timeout_and_is_made_again() {
    let (a, b) = (slow("a", "1", 100), saying("b", "2"));
    let panel = first_of(&[&a, &b]);
    let reply = ask(&panel, ChatRequest::prompt("x")).await.unwrap();
    assert_eq!(codes(&reply), ["timeout", "ok"]);
    assert_eq!(a.calls(), 3, "one and two retries");

    let config = EnsembleConfig {
        timeout: None,
        ..EnsembleConfig::default()
    };
    let chair = Decider::Decide(saying("chair", decided(&[1], Value::Null)));
    let patient = Ensemble::new(shared(&[&a, &b]), chair, config).unwrap();
    let reply = ask(&patient, ChatRequest::prompt("x")).await.unwrap();
    assert_eq!(codes(&reply), ["ok", "ok"]);
}

#[tokio::test(start_paused = true)]
async fn attempts_of_a_members_own_stack_count_as_retries() {
    for (attempts, calls) in [(1, 3), (2, 2), (3, 1), (9, 1)] {
        let bad = Scripted::new("bad", move |_, _| async move {
            Err(Error::new(ErrorKind::ServerError, "broken").with_attempts(attempts))
        });
        let error = ask(&first_of(&[&bad]), ChatRequest::prompt("x"))
            .await
            .unwrap_err();
        assert_eq!(bad.calls(), calls, "after {attempts} attempts");
        assert_eq!(error.attempts(), attempts * calls as u32);
    }
    let hopeless = failing("hopeless", ErrorKind::BadRequest, "no");
    ask(&first_of(&[&hopeless]), ChatRequest::prompt("x"))
        .await
        .unwrap_err();
    assert_eq!(hopeless.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_succeeds_counts_and_keeps_what_was_paid() {
    let shaky = Scripted::new("shaky", |number, _| async move {
        match number {
            0 => {
                let error = Error::new(ErrorKind::Overloaded, "busy").with_attempts(1);
                Err(error.with_spent(Spent::answer(Some(used(1)))))
            }
            _ => ready("1"),
        }
    });
    let reply = ask(&first_of(&[&shaky]), ChatRequest::prompt("x"))
        .await
        .unwrap();
    assert_eq!((reply.head.attempts, reply.usage()), (2, Some(used(2))));
}

#[tokio::test(start_paused = true)]
async fn all_members_failing_lists_each_cause() {
    let paid = Scripted::new("c", |_, _| async { ready("no JSON") });
    let models = [
        failing("a", ErrorKind::Refused, "declined"),
        failing("b", ErrorKind::RateLimited, "slow down"),
        paid,
    ];
    let models: Vec<_> = models.iter().collect();
    let panel = first_of(&models);
    let error = ask(&panel, structured()).await.unwrap_err();
    let message = error.message();
    for cause in [
        "all 3 members failed",
        "member 0 (a): refused: declined",
        "member 1 (b): rate_limited: slow down",
        "member 2 (c): off_schema: the answer does not fit its schema: it is not valid JSON",
    ] {
        assert!(message.contains(cause), "{message}");
    }
    assert_eq!(error.usage(), Some(used(1)));
    assert_eq!(error.attempts(), 1 + 3 + 1);
    assert_eq!(panel.summary().counters.calls_failed, 1);
}

#[tokio::test(start_paused = true)]
async fn the_error_of_all_has_the_kind_that_does_least_harm() {
    let auth = failing("auth", ErrorKind::Auth, "wrong key");
    let busy = failing("busy", ErrorKind::Overloaded, "busy");
    let bad = failing("bad", ErrorKind::BadRequest, "no");
    let cases = [
        (
            vec![&bad, &busy, &busy],
            ErrorKind::Overloaded,
            Advice::Retry,
            false,
        ),
        (
            vec![&bad, &bad, &busy],
            ErrorKind::Overloaded,
            Advice::Retry,
            false,
        ),
        // one wrong key among others stops no run
        (
            vec![&auth, &auth, &busy],
            ErrorKind::Overloaded,
            Advice::Retry,
            false,
        ),
        (vec![&auth, &auth], ErrorKind::Auth, Advice::Elsewhere, true),
    ];
    for (models, kind, advice, stops) in cases {
        let error = ask(&first_of(&models), ChatRequest::prompt("x"))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.advice(), error.stops_the_run()),
            (kind, advice, stops),
            "{models:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_cancels_its_members() {
    let (a, b) = (slow("a", "1", 5), slow("b", "2", 5));
    let panel = first_of(&[&a, &b]);
    let call = ask(&panel, ChatRequest::prompt("x"));
    let _ = tokio::time::timeout(Duration::from_secs(1), call).await;
    assert_eq!((a.calls(), b.calls()), (1, 1));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((a.open.load(SeqCst), b.open.load(SeqCst)), (1, 1));
}

/// Says the same from a cache; it was answered in a minute then.
fn at_hand(name: &str, text: impl Into<String>) -> Arc<Scripted> {
    let text = text.into();
    Scripted::new(name, move |_, _| {
        let response = said(Answer {
            latency: Duration::from_secs(60),
            ..answer(&text)
        });
        async move {
            let mut response = response?;
            (response.head.cached, response.head.attempts) = (true, 0);
            response.head.earlier = Spent::answer(Some(used(2)));
            Ok(response)
        }
    })
}

#[tokio::test]
async fn answers_at_hand_cost_nothing_and_take_no_time() {
    let (hit, fresh) = (at_hand("hit", "a"), saying("fresh", "a"));
    let panel = first_of(&[&hit, &fresh]);
    let mixed = ask(&panel, ChatRequest::prompt("x"));
    let mixed = mixed.await.unwrap();
    assert!(!mixed.head.cached);
    assert_eq!(
        mixed.usage(),
        Some(used(4)),
        "two answers and two earlier asks"
    );
    assert_eq!(mixed.answer.latency, Duration::from_secs(2));

    let chair = at_hand("chair", decided(&[1], Value::Null));
    let all = ensemble(&[&hit, &hit], Decider::Decide(chair));
    let all = ask(&all, ChatRequest::prompt("x")).await.unwrap();
    assert!(all.head.cached);
    assert_eq!(all.answer.usage(), Some(used(3)), "saved");
    assert_eq!(all.usage(), Some(used(6)), "earlier asks were paid for");
}

#[tokio::test]
async fn a_ledger_that_fails_under_a_member_or_the_decision_ends_the_call() {
    let (a, b) = (saying("a", "1"), saying("b", "2"));
    let broken = failing("broken", ErrorKind::Ledger, "the disk is full");
    let chair = saying("chair", decided(&[1], Value::Null));
    let of_member = ensemble(&[&a, &broken, &b], Decider::Decide(chair));
    let of_decision = ensemble(&[&a, &b], Decider::Decide(broken.clone()));
    for panel in [of_member, of_decision] {
        let error = ask(&panel, ChatRequest::prompt("x")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Ledger);
    }
}
