//! Sliding window against waves, in simulated time.

use std::{sync::Arc, time::Duration};

use antiphon_core::{SharedModel, patterns::batch};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::rehearsed::{Rehearsed, paused, said, words};

const CALLS: usize = 5000;
const USUAL: u64 = 100;

/// A hundredth of all calls takes ten times as long, the same ones in every run.
fn latencies() -> Vec<String> {
    let mut dice = fastrand::Rng::with_seed(42);
    let slow = |slow: bool| USUAL * if slow { 10 } else { 1 };
    (0..CALLS)
        .map(|_| slow(dice.u32(..100) == 0).to_string())
        .collect()
}

fn model() -> Arc<Rehearsed> {
    Rehearsed::new(|request| async move {
        sleep(Duration::from_millis(words(&request).parse().unwrap())).await;
        Ok(said("x"))
    })
}

/// Starts `limit` calls, waits for all of them, starts the next.
fn in_waves(limit: usize) -> Duration {
    paused(async {
        let (model, begun): (SharedModel, _) = (model(), Instant::now());
        for wave in latencies().chunks(limit) {
            let calls = wave
                .iter()
                .map(|latency| model.ask(latency.as_str().into()));
            assert!(join_all(calls).await.iter().all(Result::is_ok));
        }
        begun.elapsed()
    })
}

fn in_a_window(limit: usize) -> Duration {
    paused(async {
        let (model, begun) = (model(), Instant::now());
        let asked = batch(model.clone(), latencies()).max_concurrent(limit);
        assert_eq!(asked.run().await.succeeded(), CALLS);
        assert_eq!(model.peak(), limit);
        begun.elapsed()
    })
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "docs/performance.md cites these numbers"
)]
fn a_window_is_at_least_half_as_fast_again_as_waves() {
    for limit in [10, 50, 100] {
        let (waves, window) = (in_waves(limit), in_a_window(limit));
        let ratio = waves.as_secs_f64() / window.as_secs_f64();
        println!("{limit} at once: waves {waves:?}, window {window:?}, ratio {ratio:.2}");
        assert!(ratio >= 1.5, "{ratio}");
    }
}
