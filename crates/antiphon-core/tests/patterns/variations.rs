use antiphon_core::{ErrorKind, patterns::Variations};

use crate::rehearsed::{Rehearsed, failed, said, words};

#[tokio::test]
async fn answers_that_come_twice_are_asked_for_again() {
    // always the same to the same request, as a model at temperature 0
    let model = Rehearsed::new(|request| async move { Ok(said(words(&request))) });
    let outcomes = Variations::new(model.clone(), "a name for a cat", 4)
        .run()
        .await;
    let texts: std::collections::HashSet<_> = outcomes
        .iter()
        .map(|outcome| outcome.result.as_ref().unwrap().text())
        .collect();
    assert_eq!(texts.len(), 4, "{texts:?}");
    assert_eq!(model.calls(), 4 + 3);
    let paid: u64 = outcomes
        .iter()
        .map(|outcome| outcome.usage().unwrap().total())
        .sum();
    assert_eq!(
        paid,
        7 * 15,
        "answers that were not good enough were paid for"
    );
    let samples: Vec<u32> = model.requests.lock().unwrap()[..4]
        .iter()
        .map(|r| r.sample)
        .collect();
    assert_eq!(samples, [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_stubborn_model_is_asked_a_bounded_number_of_times() {
    let model = Rehearsed::new(|_| async { Ok(said("Tom ")) });
    let outcomes = Variations::new(model.clone(), "a name", 3)
        .with_max_reasks(1)
        .run()
        .await;
    assert_eq!(model.calls(), 3 + 2);
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()));
    let as_they_come = Variations::new(model.clone(), "a name", 3).with_max_reasks(0);
    as_they_come.run().await;
    assert_eq!(model.calls(), 5 + 3);
}

#[tokio::test]
async fn an_answer_stays_where_asking_again_fails() {
    let model = Rehearsed::new(|request| async move {
        match request.messages.len() {
            1 => Ok(said("Tom")),
            _ => Err(failed(ErrorKind::BadRequest)),
        }
    });
    let outcomes = Variations::new(model, "a name", 2).run().await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.result.as_ref().unwrap().text() == "Tom")
    );
}
