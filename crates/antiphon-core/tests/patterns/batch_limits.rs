use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use antiphon_core::{ErrorKind, patterns::batch};
use tokio::time::Instant;

use crate::rehearsed::{Rehearsed, failed, said};

const MINUTE: Duration = Duration::from_secs(60);

/// Notes when each call comes, and answers with 15 tokens at once.
fn noting() -> (Arc<Rehearsed>, Arc<Mutex<Vec<Instant>>>) {
    let times = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&times);
    let model = Rehearsed::new(move |_| {
        notes.lock().unwrap().push(Instant::now());
        async { Ok(said("x")) }
    });
    (model, times)
}

/// The most calls within any minute.
fn busiest(times: &[Instant]) -> usize {
    let since = |from: &Instant| {
        times
            .iter()
            .filter(|time| **time >= *from && **time - *from < MINUTE)
            .count()
    };
    times.iter().map(since).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn requests_a_minute_are_kept() {
    let (model, times) = noting();
    let begun = Instant::now();
    let requests = (0..90).map(|number| number.to_string());
    let result = batch(model, requests)
        .max_concurrent(50)
        .rpm(30)
        .run()
        .await;
    assert_eq!(result.succeeded(), 90);
    let times = times.lock().unwrap();
    assert!(busiest(&times) <= 30, "{}", busiest(&times));
    let took = begun.elapsed();
    assert!(took > MINUTE && took < 4 * MINUTE, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn tokens_a_minute_are_settled_on_what_was_used() {
    let (model, times) = noting();
    let begun = Instant::now();
    let requests = (0..90).map(|number| number.to_string());
    let result = batch(model, requests)
        .max_concurrent(50)
        .tpm(450)
        .run()
        .await;
    assert_eq!(result.usage().total(), 90 * 15);
    // 15 tokens each: 30 a minute. By the estimate of an answer nobody has seen (256 tokens) it would be an hour
    assert!(busiest(&times.lock().unwrap()) <= 30);
    let took = begun.elapsed();
    assert!(took > MINUTE && took < 6 * MINUTE, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn failures_are_left_to_the_model_to_judge() {
    let model = Rehearsed::new(|_| async { Err(failed(ErrorKind::Connection)) });
    let requests = (0..40).map(|number| number.to_string());
    let result = batch(model.clone(), requests).rpm(6_000_000).run().await;
    assert_eq!(model.calls(), 40);
    assert!(
        result
            .failures()
            .all(|(_, error)| error.kind() == ErrorKind::Connection)
    );
    assert!(
        result.duration < Duration::from_secs(1),
        "{:?}",
        result.duration
    );
}
