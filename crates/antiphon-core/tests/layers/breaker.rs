//! The circuit breaker of an account whose callers wait, and what is not waited for.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use antiphon_core::{
    Advice, ChatRequest, ErrorKind, Moment, Phase, SystemClock,
    chat::Delivery,
    layers::admit::{AccountConfig, EndpointState},
};

use crate::{
    failover::{Chain, SECOND, chain, chain_of, limited_link, link},
    scripted::{Scripted, error, ready, settle},
};

/// A model that fails like this while it is down.
fn failing(kind: ErrorKind) -> (Arc<Scripted>, Arc<AtomicBool>) {
    let is_down = Arc::new(AtomicBool::new(true));
    let leaf = Scripted::new({
        let is_down = Arc::clone(&is_down);
        move |_, _| {
            let fails = is_down.load(SeqCst);
            async move {
                match (fails, kind) {
                    (false, _) => ready("first"),
                    // a server that says nothing at all
                    (true, ErrorKind::Timeout) => std::future::pending().await,
                    (true, kind) => Err(error(kind)),
                }
            }
        }
    });
    (leaf, is_down)
}

async fn answered_by(chain: &Chain) -> String {
    chain.ask(Delivery::Whole).await.unwrap().answer.text
}

#[tokio::test(start_paused = true)]
async fn two_callers_are_enough_to_open_it_and_the_third_waits_for_nothing() {
    for kind in [
        ErrorKind::ServerError,
        ErrorKind::Connection,
        ErrorKind::BadResponse,
    ] {
        let (leaf, _) = failing(kind);
        let chain = chain(leaf.clone());
        let mut tries = Vec::new();
        for _ in 0..5 {
            let before = leaf.calls();
            assert_eq!(answered_by(&chain).await, "second");
            tries.push(leaf.calls() - before);
        }
        // one more where the first caller's tries took less than half a second together
        let opened_at_once = tries == [4, 1, 0, 0, 0] || tries == [4, 2, 0, 0, 0];
        assert!(opened_at_once, "{kind}: {tries:?}");
        let snapshot = chain.first.account.snapshot();
        let EndpointState::Down { since } = snapshot.endpoint else {
            panic!("down")
        };
        assert_eq!(since, Moment::ZERO);
        let next = snapshot.next_probe.unwrap().since(chain.clock.now());
        assert!(!next.is_zero() && next < SECOND, "{next:?}");
        assert_eq!(chain.second.account.snapshot().endpoint, EndpointState::Up);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_always_fails_does_not_open_it_alone() {
    let leaf = Scripted::new(|_, request: ChatRequest| async move {
        let is_poisonous = request.content_bytes() > 10;
        if is_poisonous {
            return Err(error(ErrorKind::ServerError));
        }
        ready("first")
    });
    let chain = chain(leaf);
    for _ in 0..20 {
        let poison = chain.model.call(ChatRequest::prompt("a poisonous request"));
        assert_eq!(
            poison.await.unwrap().whole().await.unwrap().text(),
            "second"
        );
        assert_eq!(chain.first.account.snapshot().endpoint, EndpointState::Up);
        assert_eq!(answered_by(&chain).await, "first");
    }
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_recovers_serves_again_within_fifteen_seconds() {
    for (kind, outage) in [
        (ErrorKind::ServerError, 5),
        (ErrorKind::ServerError, 600),
        (ErrorKind::Connection, 70),
        (ErrorKind::Timeout, 300),
    ] {
        let (leaf, is_down) = failing(kind);
        let chain = Arc::new(chain(leaf.clone()));
        // somebody asks each quarter of a second, whatever becomes of those before
        let asking = |chain: Arc<Chain>| tokio::spawn(async move { answered_by(&chain).await });
        for _ in 0..outage * 4 {
            asking(Arc::clone(&chain));
            tokio::time::sleep(SECOND / 4).await;
        }
        let asked = leaf.calls();
        // ones that hang are sent until the first of them has run into its limit, after a minute
        let before_it_opens = if kind == ErrorKind::Timeout { 241 } else { 12 };
        let probes = 8 + outage as usize / 8;
        assert!(
            asked < before_it_opens + probes,
            "{kind}: {asked} calls in {outage} s"
        );
        is_down.store(false, SeqCst);
        let recovered = chain.elapsed();
        while &*asking(Arc::clone(&chain)).await.unwrap() != "first" {
            tokio::time::sleep(SECOND / 4).await;
        }
        let took = chain.elapsed() - recovered;
        assert!(took <= 15 * SECOND, "{kind} after {outage} s: {took:?}");
        assert_eq!(chain.first.account.snapshot().endpoint, EndpointState::Up);
        // and everybody at once, not only a probe
        let all: Vec<_> = (0..50).map(|_| asking(Arc::clone(&chain))).collect();
        for one in all {
            assert_eq!(one.await.unwrap(), "first");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn half_open_lets_one_call_through() {
    let is_slow = Arc::new(AtomicBool::new(false));
    let leaf = Scripted::new({
        let is_slow = Arc::clone(&is_slow);
        move |_, _| {
            let is_slow = is_slow.load(SeqCst);
            async move {
                if is_slow {
                    tokio::time::sleep(3 * SECOND).await;
                }
                Err(error(ErrorKind::Overloaded))
            }
        }
    });
    let chain = Arc::new(chain(leaf.clone()));
    for _ in 0..2 {
        answered_by(&chain).await;
    }
    is_slow.store(true, SeqCst);
    let before = leaf.calls();
    tokio::time::sleep(SECOND).await;
    let begun = chain.elapsed();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let chain = Arc::clone(&chain);
            tokio::spawn(async move {
                answered_by(&chain).await;
                chain.elapsed() - begun
            })
        })
        .collect();
    let mut took = Vec::new();
    for call in calls {
        took.push(call.await.unwrap());
    }
    took.sort_unstable();
    assert_eq!(leaf.calls() - before, 1, "one probe");
    // nineteen had their answer at once, and the one that was the probe after its failure
    assert_eq!((took[18], took[19]), (Duration::ZERO, 3 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn without_another_model_a_call_fails_fast_and_says_when_to_come_again() {
    let (leaf, _) = failing(ErrorKind::ServerError);
    let clock = SystemClock::shared();
    let only = link(leaf.clone(), false, &clock);
    let ask = || only.model.ask(ChatRequest::prompt("x"));
    for _ in 0..2 {
        let error = ask().await.unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::ServerError,
            "what the provider said"
        );
    }
    let (tried, begun) = (leaf.calls(), clock.now());
    let error = ask().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Overloaded, 0));
    assert!(error.message().contains("server_error"), "{error}");
    assert!(error.retry_after().unwrap() <= 12 * SECOND);
    assert_eq!(error.advice(), Advice::Elsewhere);
    assert!(!error.may_be_billed());
    assert_eq!((leaf.calls(), clock.now()), (tried, begun));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_tried_is_told_what_the_provider_said() {
    let leaf = Scripted::new(|_, _| async {
        tokio::time::sleep(SECOND / 10).await;
        Err(error(ErrorKind::ServerError).with_status(500))
    });
    let clock = SystemClock::shared();
    let only = Arc::new(link(leaf.clone(), false, &clock));
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let only = Arc::clone(&only);
            tokio::spawn(async move { only.model.ask(ChatRequest::prompt("x")).await })
        })
        .collect();
    for call in calls {
        // most were waiting for their second try when the others' failures closed the door
        let error = call.await.unwrap().unwrap_err();
        let told = (error.kind(), error.status(), error.attempts() > 0);
        assert_eq!(told, (ErrorKind::ServerError, Some(500), true));
    }
    assert!(leaf.calls() < 2 * 20);
    let next = only.model.ask(ChatRequest::prompt("x")).await.unwrap_err();
    assert_eq!((next.kind(), next.attempts()), (ErrorKind::Overloaded, 0));
}

#[tokio::test(start_paused = true)]
async fn no_account_is_given_up_for_a_wrong_key_or_for_lack_of_money() {
    for kind in [ErrorKind::Auth, ErrorKind::QuotaExhausted] {
        let (leaf, is_wrong) = failing(kind);
        let chain = chain(leaf.clone());
        for asked in 1..=20 {
            let reply = chain.ask(Delivery::Whole).await;
            assert_eq!(reply.is_err(), kind == ErrorKind::Auth);
            assert_eq!(leaf.calls(), asked, "{kind}: one try each");
        }
        is_wrong.store(false, SeqCst);
        assert_eq!(answered_by(&chain).await, "first", "{kind}");
        assert!(chain.first.account.given_up().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn the_pause_of_an_account_is_not_waited_for() {
    let leaf = Scripted::new(|number, _| async move {
        match number {
            0 => Err(error(ErrorKind::RateLimited).with_retry_after(Some(40 * SECOND))),
            _ => ready("first"),
        }
    });
    let chain = chain(leaf.clone());
    for _ in 0..10 {
        assert_eq!(answered_by(&chain).await, "second");
    }
    assert_eq!((leaf.calls(), chain.elapsed()), (1, Duration::ZERO));
    tokio::time::sleep(36 * SECOND).await;
    // less than anybody's patience is left of it
    assert_eq!(answered_by(&chain).await, "first");
    assert_eq!(chain.elapsed().as_secs(), 40);
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_into_a_long_pause_is_told_at_once_how_long_it_still_lasts() {
    let leaf = Scripted::new(|_, _| async {
        Err(error(ErrorKind::RateLimited).with_retry_after(Some(3600 * SECOND)))
    });
    let clock = SystemClock::shared();
    let only = link(leaf.clone(), false, &clock);
    let begun = clock.now();
    for _ in 0..3 {
        let error = only.model.ask(ChatRequest::prompt("x")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert!(error.retry_after().unwrap() >= 300 * SECOND, "{error}");
    }
    assert_eq!((leaf.calls(), clock.now()), (1, begun));
}

#[tokio::test(start_paused = true)]
async fn a_full_gate_is_waited_for_for_five_seconds_and_costs_nothing() {
    let leaf = Scripted::new(|_, _| async {
        tokio::time::sleep(50 * SECOND).await;
        ready("first")
    });
    let clock = SystemClock::shared();
    let config = AccountConfig {
        concurrency: NonZeroU32::new(1),
        ..AccountConfig::for_callers(60 * SECOND)
    };
    let first = limited_link(leaf.clone(), true, config, &clock);
    let chain = Arc::new(chain_of(first, clock));
    let long = tokio::spawn({
        let chain = Arc::clone(&chain);
        async move { answered_by(&chain).await }
    });
    settle().await;
    let reply = chain.ask(Delivery::Whole).await.unwrap();
    assert_eq!(reply.answer.text, "second");
    assert_eq!((reply.head.attempts, chain.elapsed()), (1, 5 * SECOND));
    let gathered = reply.head.gathered.unwrap();
    let why = gathered.members[0].error.as_ref().unwrap();
    assert_eq!(why.code, "overloaded");
    assert!(why.message.contains("in flight"), "{}", why.message);
    assert_eq!(chain.first.account.snapshot().waiting, 0);
    assert_eq!(long.await.unwrap(), "first");
    assert_eq!(leaf.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn callers_do_not_queue_for_retries() {
    let (leaf, _) = failing(ErrorKind::ServerError);
    let chain = Arc::new(chain(leaf.clone()));
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let chain = Arc::clone(&chain);
            tokio::spawn(async move { answered_by(&chain).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), "second");
    }
    assert!(chain.elapsed() < 2 * SECOND, "{:?}", chain.elapsed());
    assert!(leaf.calls() <= 200 + 10, "{} calls", leaf.calls());
}

#[tokio::test(start_paused = true)]
async fn a_third_of_all_calls_failing_is_no_outage_for_callers_either() {
    let dice = Arc::new(antiphon_core::Dice::seeded(3));
    let leaf = Scripted::new(move |_, _| {
        let fails = dice.unit() < 0.3;
        async move {
            tokio::time::sleep(SECOND / 2).await;
            if fails {
                return Err(error(ErrorKind::ServerError));
            }
            ready("first")
        }
    });
    let chain = Arc::new(chain(leaf));
    let mut calls = Vec::new();
    for _ in 0..3000 {
        let chain = Arc::clone(&chain);
        calls.push(tokio::spawn(async move { answered_by(&chain).await }));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut by_first = 0;
    for call in calls {
        by_first += usize::from(call.await.unwrap() == "first");
    }
    assert!(by_first > 2800, "{by_first} of 3000");
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_is_no_failure_of_the_model() {
    let (leaf, _) = failing(ErrorKind::Timeout);
    let chain = chain(leaf);
    for _ in 0..20 {
        let asked = tokio::time::timeout(5 * SECOND, chain.ask(Delivery::Whole));
        assert!(asked.await.is_err());
    }
    let snapshot = chain.first.account.snapshot();
    assert_eq!(
        (snapshot.endpoint, snapshot.in_flight),
        (EndpointState::Up, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_model_is_asked_once_more_after_silence() {
    let (leaf, _) = failing(ErrorKind::Timeout);
    let clock = SystemClock::shared();
    let only = link(leaf.clone(), false, &clock);
    let request = ChatRequest {
        delivery: Delivery::Streamed,
        ..ChatRequest::prompt("x")
    };
    let error = only.model.call(request).await.unwrap_err();
    assert_eq!((error.phase(), leaf.calls()), (Some(Phase::FirstByte), 2));
    assert!(clock.now().since_start() < 61 * SECOND);
}
