use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use antiphon_core::{
    ChatRequest,
    patterns::{ByteBudget, batch},
};
use proptest::prelude::*;
use tokio::time::sleep;

use crate::rehearsed::{Rehearsed, paused, said};

/// Bytes in memory as they really are: requests from their call on, answers until somebody takes them.
#[derive(Debug, Default)]
struct Memory {
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Memory {
    fn add(&self, bytes: usize) {
        let now = self.now.fetch_add(bytes, SeqCst) + bytes;
        self.peak.fetch_max(now, SeqCst);
    }
}

/// Request `index` has its number padded to so many bytes; its answer has as many as the temperature says.
fn request(index: usize, (own, answer, delay): (usize, usize, u64)) -> ChatRequest {
    ChatRequest::from(format!("{index:0own$}"))
        .with_param("answer", answer.into())
        .with_param("delay", delay.into())
}

fn filling(memory: &Arc<Memory>) -> Arc<Rehearsed> {
    let memory = Arc::clone(memory);
    Rehearsed::new(move |request| {
        let memory = Arc::clone(&memory);
        let number = |name: &str| request.params[name].as_u64().unwrap();
        let (answer, delay) = (number("answer") as usize, number("delay"));
        memory.add(request.content_bytes());
        async move {
            sleep(Duration::from_millis(delay)).await;
            memory.add(answer);
            Ok(said("x".repeat(answer)))
        }
    })
}

/// Whether all of the budget can be had at once, and no byte more.
async fn is_whole_again(bytes: &Arc<ByteBudget>, budget: usize) -> bool {
    let soon = Duration::from_millis(1);
    let whole = ChatRequest::from("x".repeat(budget)).with_max_tokens(0);
    let more = ChatRequest::from("x").with_max_tokens(0);
    let all = tokio::time::timeout(soon, bytes.admit(&whole)).await;
    let beyond = tokio::time::timeout(soon, bytes.admit(&more)).await;
    bytes.held() == budget && all.is_ok() && beyond.is_err()
}

proptest! {
    #[test]
    fn what_is_in_flight_never_exceeds_the_budget(
        sizes in prop::collection::vec((3usize..60, 0usize..200, 0u64..30), 1..40),
        budget in 1usize..1500,
        in_order in any::<bool>(),
        take in 0usize..60,
    ) {
        paused(async {
            let (memory, bytes) = (Arc::new(Memory::default()), ByteBudget::new(budget));
            let capped = sizes.iter().enumerate().map(|(index, size)| {
                request(index, *size).with_max_tokens(size.1.div_ceil(4) as u64)
            });
            let asked = batch(filling(&memory), capped).max_concurrent(20).byte_budget(Arc::clone(&bytes));
            let mut stream = if in_order { asked.ordered() } else { asked.stream() };
            for _ in 0..take.min(sizes.len()) {
                let outcome = stream.next().await.unwrap();
                let (own, answer, _) = sizes[outcome.index];
                memory.now.fetch_sub(own + answer, SeqCst);
                // a slow reader
                sleep(Duration::from_millis(7)).await;
            }
            drop(stream);
            let largest = sizes.iter().map(|(own, answer, _)| own + answer).max().unwrap();
            prop_assert!(memory.peak.load(SeqCst) <= budget.max(largest));
            prop_assert!(bytes.peak() <= budget.max(largest + 3));
            prop_assert_eq!(bytes.held(), 0);
            prop_assert!(is_whole_again(&bytes, budget).await);
            Ok(())
        })?;
    }

    #[test]
    fn answers_beyond_their_bound_are_paid_back(
        sizes in prop::collection::vec((3usize..60, 0usize..9000, 0u64..30), 1..30),
        budget in 4200usize..9000,
    ) {
        paused(async {
            let (memory, bytes) = (Arc::new(Memory::default()), ByteBudget::new(budget));
            let requests = sizes.iter().enumerate().map(|(index, size)| request(index, *size));
            let result = batch(filling(&memory), requests).max_concurrent(20).byte_budget(Arc::clone(&bytes)).run().await;
            prop_assert_eq!(result.succeeded(), sizes.len());
            prop_assert_eq!(bytes.held(), 0);
            prop_assert!(is_whole_again(&bytes, budget).await);
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_larger_than_the_budget_passes_alone() {
    let (memory, bytes) = (Arc::new(Memory::default()), ByteBudget::new(100));
    let sizes = [(40, 0, 10), (500, 0, 10), (40, 0, 10), (40, 0, 10)];
    let model = filling(&memory);
    let requests = sizes.iter().enumerate();
    let requests = requests.map(|(index, size)| request(index, *size).with_max_tokens(0));
    let begun = tokio::time::Instant::now();
    let result = batch(model.clone(), requests)
        .byte_budget(bytes)
        .run()
        .await;
    assert_eq!(result.succeeded(), 4);
    assert_eq!(model.peak(), 2, "the two small ones at its end");
    assert_eq!(begun.elapsed(), Duration::from_millis(30));
}
