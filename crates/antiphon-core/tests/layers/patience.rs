//! Callers who wait for long or only shortly: what that does to each other.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use antiphon_core::{
    ChatRequest, Clock, ErrorKind, Model, SystemClock,
    chat::Delivery,
    layers::{admit::EndpointState, deadline::Deadline},
    patterns::{
        Fallback, MovesOn,
        ensemble::{Decider, Ensemble, EnsembleConfig},
        vote::VoteOnFields,
    },
};

use crate::{
    failover::{Link, SECOND, chain, link},
    scripted::{Scripted, error, ready, streamed},
};

#[tokio::test(start_paused = true)]
async fn short_deadlines_of_one_caller_do_not_close_the_door_to_others() {
    for delivery in [Delivery::Whole, Delivery::Streamed] {
        let leaf = Scripted::new(move |_, request| async move {
            let is_head_late = request.delivery == Delivery::Whole;
            if is_head_late {
                tokio::time::sleep(8 * SECOND).await;
                return ready("first");
            }
            // no first event in the time of the hasty one
            streamed(futures_util::stream::once(async {
                tokio::time::sleep(8 * SECOND).await;
                Err(error(ErrorKind::BadRequest))
            }))
        });
        let chain = chain(leaf.clone());
        let hasty = Deadline::of_requests(chain.model.clone(), None, Arc::clone(&chain.clock));
        for _ in 0..20 {
            let request = ChatRequest {
                delivery,
                deadline: Some(SECOND),
                ..ChatRequest::prompt("x")
            };
            let reply = hasty.call(request).await.unwrap().whole().await.unwrap();
            assert_eq!(reply.text(), "second");
        }
        assert_eq!(leaf.calls(), 20, "each has asked it");
        assert_eq!(chain.first.account.snapshot().endpoint, EndpointState::Up);
        if delivery == Delivery::Whole {
            let patient = chain.ask(delivery).await.unwrap();
            assert_eq!(patient.answer.text, "first");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_a_short_deadline_ends_leaves_its_place_to_the_next() {
    let hangs = Arc::new(AtomicBool::new(false));
    let leaf = Scripted::new({
        let hangs = Arc::clone(&hangs);
        move |_, _| {
            let hangs = hangs.load(SeqCst);
            async move {
                if hangs {
                    return std::future::pending().await;
                }
                Err(error(ErrorKind::ServerError))
            }
        }
    });
    let chain = chain(leaf.clone());
    for _ in 0..3 {
        chain.ask(Delivery::Whole).await.unwrap();
    }
    hangs.store(true, SeqCst);
    tokio::time::sleep(12 * SECOND).await;
    let (asked, hasty) = (
        leaf.calls(),
        Deadline::of_requests(chain.model.clone(), None, Arc::clone(&chain.clock)),
    );
    for _ in 0..2 {
        let request = ChatRequest {
            deadline: Some(SECOND),
            ..ChatRequest::prompt("x")
        };
        hasty.call(request).await.unwrap().whole().await.unwrap();
    }
    assert_eq!(leaf.calls() - asked, 2, "neither has proved anything");
}

#[tokio::test(start_paused = true)]
async fn too_many_requests_without_a_delay_cost_callers_seconds_and_tell_when_to_come_again() {
    let leaf = Scripted::new(|_, _| async {
        Err(error(ErrorKind::RateLimited)
            .with_status(429)
            .with_body("slow down".into()))
    });
    let clock = SystemClock::shared();
    let only = link(leaf.clone(), false, &clock);
    for _ in 0..12 {
        let (tried, begun) = (leaf.calls(), clock.now());
        let error = only.model.ask(ChatRequest::prompt("x")).await.unwrap_err();
        let took = clock.now().since(begun);
        assert!(took <= 7 * SECOND, "{took:?}");
        assert!(leaf.calls() > tried);
        assert_eq!(
            (error.status(), error.kind()),
            (Some(429), ErrorKind::RateLimited)
        );
        assert_eq!(error.body().unwrap(), &b"slow down"[..]);
        let again = error.retry_after().unwrap();
        assert!(!again.is_zero() && again <= 2 * SECOND, "{again:?}");
    }
}

/// A model whose provider has asked for a pause of so many seconds.
async fn paused(seconds: u32, clock: &Arc<dyn Clock>) -> Link {
    let leaf = Scripted::new(move |_, _| async move {
        Err(error(ErrorKind::RateLimited).with_retry_after(Some(seconds * SECOND)))
    });
    let link = link(leaf, false, clock);
    link.model.ask(ChatRequest::prompt("x")).await.unwrap_err();
    link
}

#[tokio::test(start_paused = true)]
async fn a_paused_member_of_an_ensemble_keeps_nobody_waiting() {
    let clock = SystemClock::shared();
    let paused = paused(3600, &clock).await;
    let well = || Scripted::new(|_, _| async { ready("42") });
    let members = vec![
        link(well(), false, &clock).model,
        paused.model.clone(),
        link(well(), false, &clock).model,
    ];
    let vote = Decider::Vote(Arc::new(VoteOnFields::all()));
    let ensemble = Ensemble::new(members, vote, EnsembleConfig::default()).unwrap();
    let ensemble = ensemble.with_clock(Arc::clone(&clock));
    let begun = clock.now();
    for _ in 0..3 {
        let reply = ensemble.call(ChatRequest::prompt("x")).await.unwrap();
        assert_eq!(reply.whole().await.unwrap().text(), "42");
    }
    assert_eq!((paused.leaf.calls(), clock.now()), (1, begun));
}

#[tokio::test(start_paused = true)]
async fn a_chain_whose_models_all_pause_tells_the_shortest_rest_at_once() {
    let clock = SystemClock::shared();
    let links = [paused(200, &clock).await, paused(120, &clock).await];
    tokio::time::sleep(10 * SECOND).await;
    let models = links.iter().map(|link| link.model.clone()).collect();
    let chain = Fallback::new("safe", models).unwrap();
    let begun = clock.now();
    let ended = chain
        .with_rule(MovesOn::Faults)
        .call(ChatRequest::prompt("x"))
        .await;
    let error = ended.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    let left = error.retry_after().unwrap().as_secs_f64();
    assert!((109.9..=110.0).contains(&left), "{left}");
    assert_eq!(clock.now(), begun);
}
