use std::{sync::Arc, time::Duration};

use antiphon_core::{
    ChatRequest, ErrorKind, Model, SharedModel,
    chat::Delivery,
    layers::coalesce::{Coalesce, CoalesceConfig},
};

use crate::scripted::{Scripted, error, ready, settle};

fn slow(fails: bool) -> Arc<Scripted> {
    Scripted::new(move |_, _| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if fails {
            Err(error(ErrorKind::ServerError))
        } else {
            ready("x")
        }
    })
}

fn shared(leaf: &Arc<Scripted>) -> SharedModel {
    Arc::new(Coalesce::new(leaf.clone(), CoalesceConfig::default()))
}

#[tokio::test(start_paused = true)]
async fn equal_requests_in_flight_share_a_call_and_tell_its_price_once() {
    let leaf = slow(false);
    let model = shared(&leaf);
    let ask = |sample| {
        model.call(ChatRequest {
            sample,
            ..ChatRequest::prompt("x")
        })
    };
    let (a, b, other) = tokio::join!(ask(0), ask(0), ask(1));
    assert_eq!(leaf.calls(), 2, "samples stay samples");
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(
        a.whole().await.unwrap().answer,
        b.whole().await.unwrap().answer
    );
    assert!(other.is_ok());
    ask(0).await.unwrap();
    assert_eq!(leaf.calls(), 3, "what has landed is not shared");
}

#[tokio::test(start_paused = true)]
async fn everybody_hears_of_the_error() {
    let leaf = slow(true);
    let model = shared(&leaf);
    let (a, b) = tokio::join!(
        model.call(ChatRequest::prompt("x")),
        model.call(ChatRequest::prompt("x"))
    );
    assert_eq!(a.unwrap_err().kind(), ErrorKind::ServerError);
    assert_eq!(b.unwrap_err().kind(), ErrorKind::ServerError);
    assert_eq!(leaf.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_call_lives_while_any_caller_does() {
    let leaf = slow(false);
    let model = shared(&leaf);
    let start = || {
        let model = Arc::clone(&model);
        tokio::spawn(async move { model.call(ChatRequest::prompt("x")).await })
    };
    let (first, second) = (start(), start());
    settle().await;
    first.abort();
    second.await.unwrap().unwrap();
    assert_eq!(leaf.calls(), 1);

    let only = start();
    settle().await;
    only.abort();
    settle().await;
    start().await.unwrap().unwrap();
    assert_eq!(
        leaf.calls(),
        3,
        "a call that nobody wanted any more was dropped"
    );
}

#[tokio::test(start_paused = true)]
async fn attempts_are_told_to_one_caller_and_streams_are_not_shared() {
    let leaf = Scripted::new(|_, _| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut response = ready("x")?;
        response.head.attempts = 3;
        Ok(response)
    });
    let by_nothing = CoalesceConfig::by(|_| antiphon_core::Fingerprint::from_bytes([0; 16]));
    let model = Coalesce::new(leaf.clone(), by_nothing);
    let (a, b) = tokio::join!(
        model.call(ChatRequest::prompt("x")),
        model.call(ChatRequest::prompt("y"))
    );
    assert_eq!(a.unwrap().head.attempts + b.unwrap().head.attempts, 3);
    let streamed = || {
        model.call(ChatRequest {
            delivery: Delivery::Streamed,
            ..ChatRequest::prompt("x")
        })
    };
    let (a, b) = tokio::join!(streamed(), streamed());
    assert!(a.is_ok() && b.is_ok());
    assert_eq!(leaf.calls(), 3);
}
