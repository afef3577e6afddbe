use std::{num::NonZeroUsize, time::Duration};

use antiphon_core::{
    ErrorKind, SharedModel,
    patterns::{Partial, TextStream, multiplex, multiplex_models},
};
use proptest::prelude::*;
use tokio::time::sleep;

use crate::rehearsed::{Rehearsed, echo, failed, paused, said, words};

fn sometimes() -> std::sync::Arc<Rehearsed> {
    Rehearsed::new(|request| async move {
        let words = words(&request);
        sleep(Duration::from_millis(words.len() as u64 % 7)).await;
        match words.len() % 5 {
            4 => Err(failed(ErrorKind::ServerError)),
            _ => Ok(said(words)),
        }
    })
}

proptest! {
    #[test]
    fn every_answer_comes_in_order_and_ends_once(
        prompts in prop::collection::vec("[a-z]{1,4}( [a-z]{1,4}){0,4}", 0..20),
        limit in 1usize..6,
        take in 0usize..60,
    ) {
        paused(async {
            let (model, limit) = (sometimes(), NonZeroUsize::new(limit).unwrap());
            let mut shown = vec![String::new(); prompts.len()];
            let mut ended = vec![0; prompts.len()];
            let mut pieces = multiplex(model.clone(), prompts.clone(), limit);
            while let Some((index, piece)) = pieces.next().await {
                prop_assert_eq!(ended[index], 0);
                match piece {
                    Partial::Text(text) => shown[index].push_str(&text),
                    Partial::Finished(reply) => {
                        ended[index] += 1;
                        prop_assert_eq!(reply.text(), &shown[index]);
                        prop_assert_eq!(reply.text(), &prompts[index]);
                        prop_assert_eq!(reply.usage().unwrap().total(), 15);
                    }
                    Partial::Failed(_) => {
                        ended[index] += 1;
                        prop_assert_eq!(prompts[index].len() % 5, 4);
                    }
                }
            }
            prop_assert!(ended.into_iter().all(|times| times == 1));
            prop_assert!(model.peak() <= limit.get());
            let mut pieces = multiplex(model.clone(), prompts.clone(), limit);
            for _ in 0..take {
                pieces.next().await;
            }
            drop(pieces);
            prop_assert_eq!(model.in_flight(), 0);
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn answers_take_turns() {
    let mut pieces = multiplex(echo(), ["a b c", "d e f"], NonZeroUsize::new(2).unwrap());
    let mut order = Vec::new();
    while let Some((index, piece)) = pieces.next().await {
        if let Partial::Text(text) = piece {
            order.push((index, text.trim().to_owned()));
        }
    }
    let first: std::collections::HashSet<_> = order[..2].iter().map(|(index, _)| *index).collect();
    assert_eq!(first.len(), 2, "{order:?}");
    assert_eq!(order.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_stream_numbers_its_pieces_and_ends_with_the_usage() {
    let model: SharedModel = echo();
    let mut stream = TextStream::new(&model, "one two".into());
    let mut pieces = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece = piece.unwrap();
        pieces.push((
            piece.index,
            piece.text.clone(),
            piece.usage().map(|usage| usage.total()),
        ));
    }
    let expected = [(0, "one ", None), (1, "two", None), (2, "", Some(15))];
    assert_eq!(
        pieces,
        expected.map(|(index, text, usage)| (index, text.to_owned(), usage))
    );
    assert!(stream.next().await.is_none());
    assert!(stream.whole().await.is_err());
    let whole = TextStream::new(&model, "one two".into())
        .whole()
        .await
        .unwrap();
    assert_eq!(whole.to_string(), "one two");
}

#[tokio::test(start_paused = true)]
async fn several_models_answer_side_by_side_and_one_asked_twice_gives_samples() {
    let loud = Rehearsed::new(|request| async move { Ok(said(words(&request).to_uppercase())) });
    let quiet = echo();
    let models: [SharedModel; 3] = [loud.clone(), quiet.clone(), loud.clone()];
    let calls = models.map(|model| (model, "one two"));
    let mut pieces = multiplex_models(calls, NonZeroUsize::MIN.saturating_add(2));
    let mut shown = [const { String::new() }; 3];
    while let Some((index, piece)) = pieces.next().await {
        if let Partial::Text(text) = piece {
            shown[index].push_str(&text);
        }
    }
    assert_eq!(shown, ["ONE TWO", "one two", "ONE TWO"]);
    let samples = loud.requests.lock().unwrap();
    assert_ne!(samples[0].sample, samples[1].sample);
}
