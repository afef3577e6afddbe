//! The reduce tree under random lengths and random arrival.

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc, time::Duration};

use antiphon_core::{
    ChatRequest,
    patterns::{Document, MapReduce, MapReduced, most_tokens},
};
use proptest::prelude::*;

use crate::answering::{Answering, Said, answer, blocks, system, text};

const WINDOW: usize = 1000;
const MAX_OUTPUT: usize = 200;

/// Maps document `i` to `[i]` and filler; reduces to the names that it sees, in the order in which it sees them, and
/// some filler. Delays come from the second list.
fn model(lengths: Vec<usize>, delays: Vec<u64>) -> Arc<Answering> {
    Answering::new(move |request| {
        let texts = blocks(request);
        let names: String = texts.iter().map(|text| names(text)).collect();
        let salt: usize = text(request, 1).len();
        let text = match system(request).starts_with("MAP") {
            true => {
                let length = lengths[names[1..].trim_end_matches(']').parse::<usize>().unwrap()];
                format!("{names}{}", " x".repeat(length))
            }
            // shorter than all it has seen
            false => {
                let seen: usize = texts.iter().map(String::len).sum();
                format!(
                    "{names}{}",
                    " y".repeat(seen.saturating_sub(names.len()) / 5)
                )
            }
        };
        Said {
            after: Duration::from_millis(delays[salt % delays.len()]),
            answer: Ok(answer(text)),
        }
    })
}

fn names(text: &str) -> String {
    text.chars()
        .filter(|c| matches!(c, '[' | ']') || c.is_ascii_digit())
        .collect()
}

fn documents(count: usize) -> Vec<Document> {
    (0..count)
        .map(|index| Document::new(format!("d{index}"), format!("[{index}]")))
        .collect()
}

fn size(request: &ChatRequest) -> usize {
    let message = |index| most_tokens(text(request, index)) + 8;
    message(0) + message(1)
}

fn run(model: &Arc<Answering>, count: usize, fan_in: usize, concurrent: usize) -> MapReduced {
    let reduce = MapReduce::new(model.clone(), WINDOW)
        .with_map("MAP")
        .with_reduce("REDUCE")
        .with_max_output_tokens(MAX_OUTPUT as u64)
        .with_fan_in(fan_in)
        .with_max_concurrent(NonZeroUsize::new(concurrent).unwrap());
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(async { reduce.run(&documents(count)).await.unwrap() })
}

/// How often each request was made, whatever the order.
fn requests(model: &Answering) -> BTreeMap<String, usize> {
    let mut requests = BTreeMap::new();
    for request in model.asked() {
        *requests.entry(text(&request, 1).to_owned()).or_default() += 1;
    }
    requests
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_request_fits_and_the_order_is_kept(
        // up to four times of what fits in a window
        lengths in prop::collection::vec(prop_oneof![3 => 0usize..100, 1 => 0usize..2500], 1..30),
        delays in prop::collection::vec(0u64..50, 1..8),
        other in prop::collection::vec(0u64..50, 1..8),
        fan_in in 2usize..12,
        concurrent in 1usize..9,
    ) {
        let count = lengths.len();
        let first = model(lengths.clone(), delays);
        let result = run(&first, count, fan_in, concurrent);
        let expected: String = (0..count).map(|index| format!("[{index}]")).collect();
        prop_assert_eq!(names(&result.text), expected);
        prop_assert!(first.most_at_once() <= concurrent);
        for request in first.asked() {
            prop_assert!(size(&request) + MAX_OUTPUT <= WINDOW, "{}", size(&request));
            prop_assert!(blocks(&request).len() <= fan_in);
        }
        prop_assert_eq!(result.spent.calls as usize, first.asked().len());
        prop_assert_eq!(result.levels.iter().sum::<usize>() + count, first.asked().len());

        // whoever answers first, the same is asked
        let second = model(lengths, other);
        let again = run(&second, count, fan_in, 9 - concurrent);
        prop_assert_eq!(requests(&first), requests(&second));
        prop_assert_eq!(again.text, result.text);
    }
}

#[test]
fn texts_that_become_shorter_in_turns_are_not_given_up() {
    // the first is split and condensed, then its parts are merged, and only then is the other condensed
    let model = model(vec![636, 608], vec![0]);
    let result = run(&model, 2, 2, 1);
    assert_eq!(names(&result.text), "[0][1]");
    assert!(result.levels[0] > 4, "{:?}", result.levels);
}
