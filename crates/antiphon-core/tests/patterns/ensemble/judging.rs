use std::sync::Arc;

use antiphon_core::{
    ChatRequest, Error, ErrorKind,
    patterns::ensemble::{Decider, Ensemble},
};
use serde_json::{Value, json};

use super::support::{Scripted, ask, decision, ensemble, ready, saying, shown, structured, used};

#[tokio::test]
async fn a_judge_that_answers_off_schema_has_a_code_and_is_paid() {
    let (a, b) = (saying("a", "1"), saying("b", "2"));
    let judge = saying("judge", r#"{"reason": "", "winner": 5}"#);
    let decider = Decider::Judge {
        model: judge,
        swapped: false,
    };
    let reply = ask(&ensemble(&[&a, &b], decider), ChatRequest::prompt("x"))
        .await
        .unwrap();
    let decision = decision(&reply);
    let decider = decision.decider.as_ref().unwrap();
    assert_eq!(decider.error.as_ref().unwrap().code, "off_schema");
    assert!(decider.error.as_ref().unwrap().message.contains("/winner"));
    assert_eq!(
        (decision.by.as_str(), decider.usage),
        ("first", Some(used(1)))
    );
    assert_eq!(reply.usage(), Some(used(3)));
}

/// A judge that selects the candidate for which the rule holds.
fn judging(rule: impl Fn(usize, &Value) -> bool + Send + Sync + 'static) -> Arc<Scripted> {
    Scripted::new("judge", move |_, request| {
        let shown = shown(&request);
        let best = shown
            .iter()
            .enumerate()
            .position(|(index, one)| rule(index, one));
        let text = json!({"reason": "so", "winner": best.unwrap() + 1}).to_string();
        async move { ready(&text) }
    })
}

fn five() -> Vec<Arc<Scripted>> {
    (0..5)
        .map(|x| saying(&format!("m{x}"), format!(r#"{{"x": {x}}}"#)))
        .collect()
}

fn judged(judge: &Arc<Scripted>, swapped: bool) -> Ensemble {
    let models = five();
    let models: Vec<_> = models.iter().collect();
    let decider = Decider::Judge {
        model: judge.clone(),
        swapped,
    };
    ensemble(&models, decider)
}

#[tokio::test]
async fn a_judge_selects_among_shuffled_candidates() {
    let judge = judging(|_, one| one["answer"]["x"] == 3);
    let panel = judged(&judge, false);
    let reply = ask(&panel, structured()).await.unwrap();
    assert_eq!(
        (reply.text(), decision(&reply).from.as_slice()),
        (r#"{"x":3}"#, &[3][..])
    );
    assert_eq!(decision(&reply).by, "judge");
    let order: Vec<_> = shown(&judge.requests()[0])
        .iter()
        .map(|one| one["answer"]["x"].as_u64().unwrap())
        .collect();
    assert_ne!(order, [0, 1, 2, 3, 4], "candidates are shuffled");
    let mut sorted = order.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 1, 2, 3, 4]);
    // and in the same way for the same candidates, so that a decision that was paid is found again
    ask(&panel, structured()).await.unwrap();
    assert_eq!(shown(&judge.requests()[1]), shown(&judge.requests()[0]));
}

#[tokio::test]
async fn a_swapped_judge_exposes_position_bias() {
    let fair = judging(|_, one| one["answer"]["x"] == 2);
    let reply = ask(&judged(&fair, true), structured()).await.unwrap();
    assert_eq!((reply.text(), fair.calls()), (r#"{"x":2}"#, 2));
    assert_eq!(decision(&reply).failure, None);
    let [mut one, other] = [0, 1].map(|index| {
        let answers = shown(&fair.requests()[index]).into_iter();
        answers.map(|one| one["answer"].clone()).collect::<Vec<_>>()
    });
    one.reverse();
    assert_eq!(one, other, "the second order is the first one reversed");

    let biased = judging(|index, _| index == 0);
    let panel = judged(&biased, true);
    let reply = ask(&panel, structured()).await.unwrap();
    let decision = decision(&reply);
    assert!(
        decision
            .failure
            .as_deref()
            .unwrap()
            .starts_with("position bias"),
        "{decision:?}"
    );
    assert_eq!(decision.by, "judge");
    let firsts = [0, 1].map(|index| {
        shown(&biased.requests()[index])[0]["answer"]["x"]
            .as_u64()
            .unwrap()
    });
    let earlier = firsts.into_iter().min().unwrap();
    assert_eq!(decision.from, [earlier as usize]);
    assert_eq!(reply.usage(), Some(used(7)), "both judgings are paid");
    let counters = panel.summary().counters;
    assert_eq!(
        (counters.decisions_made, counters.decisions_in_doubt),
        (1, 1)
    );
}

#[tokio::test]
async fn half_of_a_swapped_judgement_is_told_as_such() {
    let judge = Scripted::new("judge", |number, _| async move {
        match number {
            0 => ready(r#"{"reason": "", "winner": 1}"#),
            _ => Err(Error::new(ErrorKind::BadRequest, "no").with_attempts(1)),
        }
    });
    let reply = ask(&judged(&judge, true), structured()).await.unwrap();
    let decision = decision(&reply);
    assert_eq!(decision.by, "judge");
    assert!(
        decision
            .failure
            .as_deref()
            .unwrap()
            .contains("only one of the two judgings")
    );
}
