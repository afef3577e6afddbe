use std::{sync::Arc, time::Duration};

use antiphon_core::{
    Body, ChatRequest, Error, ErrorKind, Model, Phase, SystemClock,
    chat::Delivery,
    layers::timeout::{Timeout, TimeoutConfig},
    stack::StackConfig,
};
use futures_util::{StreamExt, stream};

use crate::scripted::{Scripted, answer, bench_of, delta, streamed, whole};

const SECOND: Duration = Duration::from_secs(1);

const LIMITS: TimeoutConfig = TimeoutConfig {
    connect: SECOND,
    first_byte: Duration::from_secs(5),
    first_token: Some(Duration::from_secs(4)),
    idle: Duration::from_secs(3),
    total: Duration::from_secs(10),
    stream_total: None,
    leaves_room: false,
};

fn limited(leaf: Arc<Scripted>) -> Timeout {
    Timeout::new(leaf, LIMITS, SystemClock::shared())
}

/// The first error of a call and its body, and when it came.
async fn failure(model: &impl Model, delivery: Delivery) -> (Error, Duration) {
    let begun = tokio::time::Instant::now();
    let request = ChatRequest {
        delivery,
        ..ChatRequest::prompt("x")
    };
    let error = match model.call(request).await {
        Err(error) => error,
        Ok(response) => response.whole().await.unwrap_err(),
    };
    (error, begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn each_phase_has_its_limit() {
    let hang = Scripted::new(|_, _| async { std::future::pending().await });
    let (error, after) = failure(&limited(hang.clone()), Delivery::Streamed).await;
    assert_eq!((error.phase(), after), (Some(Phase::FirstByte), 5 * SECOND));
    let (error, after) = failure(&limited(hang), Delivery::Whole).await;
    assert_eq!((error.phase(), after), (Some(Phase::Total), 10 * SECOND));

    let mute = Scripted::new(|_, _| async { streamed(stream::pending()) });
    let (error, after) = failure(&limited(mute), Delivery::Streamed).await;
    let phase = Some(Phase::FirstToken);
    assert_eq!((error.phase(), after), (phase, 4 * SECOND));

    let slow = Scripted::new(|_, _| async { whole(std::future::pending()) });
    let (error, after) = failure(&limited(slow), Delivery::Whole).await;
    assert_eq!((error.phase(), after), (Some(Phase::Total), 10 * SECOND));

    // the longer of the two limits must not stand where the shorter one belongs
    let patient = TimeoutConfig {
        first_token: Some(9 * SECOND),
        ..LIMITS
    };
    let begun = Scripted::new(|_, _| async {
        streamed(stream::iter([Ok(delta(""))]).chain(stream::pending()))
    });
    let model = Timeout::new(begun, patient, SystemClock::shared());
    let (error, after) = failure(&model, Delivery::Streamed).await;
    assert_eq!((error.phase(), after), (Some(Phase::Idle), 3 * SECOND));

    let stalled = Scripted::new(|_, _| async {
        streamed(stream::iter([Ok(delta("a"))]).chain(stream::pending()))
    });
    let (error, after) = failure(&limited(stalled), Delivery::Streamed).await;
    assert_eq!((error.phase(), after), (Some(Phase::Idle), 3 * SECOND));

    let endless = Scripted::new(|_, _| async {
        streamed(stream::repeat(()).then(|()| async {
            tokio::time::sleep(2 * SECOND).await;
            Ok(delta("a"))
        }))
    });
    let (error, after) = failure(&limited(endless), Delivery::Streamed).await;
    assert_eq!((error.phase(), after), (Some(Phase::Total), 10 * SECOND));
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_flows_may_take_longer_than_a_whole_answer() {
    let flowing = Scripted::new(|_, _| async {
        streamed(stream::repeat(()).then(|()| async {
            tokio::time::sleep(2 * SECOND).await;
            Ok(delta("a"))
        }))
    });
    let config = TimeoutConfig {
        total: 10 * SECOND,
        stream_total: Some(30 * SECOND),
        ..TimeoutConfig::default()
    };
    let model = Timeout::new(flowing, config, SystemClock::shared());
    let (error, after) = failure(&model, Delivery::Streamed).await;
    assert_eq!((error.phase(), after), (Some(Phase::Total), 30 * SECOND));
    assert_eq!(config.longest(), 30 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_slow_call_is_dropped_and_not_left_running() {
    let held = Arc::new(());
    let leaf = Scripted::new({
        let held = Arc::clone(&held);
        move |_, _| {
            let held = Arc::clone(&held);
            async move {
                streamed(stream::pending().map(move |never: Result<_, _>| {
                    let _held = &held;
                    never
                }))
            }
        }
    });
    let model = limited(leaf.clone());
    let request = ChatRequest {
        delivery: Delivery::Streamed,
        ..ChatRequest::prompt("x")
    };
    let Body::Stream(mut deltas) = model.call(request).await.unwrap().body else {
        panic!("a stream")
    };
    assert_eq!(Arc::strong_count(&held), 3);
    assert!(deltas.next().await.unwrap().is_err());
    assert_eq!(Arc::strong_count(&held), 2);
    assert!(deltas.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_covers_waiting_too() {
    let leaf = Scripted::new(|_, _| async {
        whole(async {
            tokio::time::sleep(4 * SECOND).await;
            Ok(answer("x"))
        })
    });
    let config = StackConfig {
        deadline: Some(10 * SECOND),
        ..StackConfig::default()
    };
    let bench = bench_of(leaf, crate::scripted::at_most(1), &config);
    let mut answered = 0;
    for call in bench.start(5) {
        match call.await.unwrap() {
            Ok(_) => answered += 1,
            Err(error) => assert_eq!(error.phase(), Some(Phase::Total)),
        }
    }
    assert_eq!(answered, 2);
    assert_eq!(bench.elapsed(), 10 * SECOND);
    assert_eq!(bench.account.snapshot().in_flight, 0);
}
