use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use antiphon_core::{
    ChatRequest, Error, ErrorKind, Schema, SharedModel,
    patterns::{
        Aggregate, Document, Point, Recommendation, Review, ReviewError, ReviewPanel, Role,
        Synthesis,
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::answering::{Answering, Said, answer, blocks, system, used};

fn review(score: u8, weaknesses: &[&str], recommendation: &str) -> Value {
    json!({"score": score, "strengths": ["Short"], "weaknesses": weaknesses, "recommendation": recommendation})
}

fn role_of(request: &ChatRequest) -> Option<&'static str> {
    ["security", "performance", "maintainability"]
        .into_iter()
        .find(|role| system(request).starts_with(&format!("You are the reviewer for {role}.")))
}

/// Security finds much, the others little; the later a role, the sooner it answers.
fn reviewer() -> Arc<Answering> {
    Answering::new(|request| {
        let (after, value) = match role_of(request) {
            Some("security") => (3, review(3, &["No limits", "Open door"], "reject")),
            Some("performance") => (2, review(8, &["no  LIMITS"], "approve")),
            Some(_) => (1, review(7, &[], "approve")),
            None => (
                1,
                json!({"summary": "Mixed.", "score": 5, "strengths": [], "weaknesses": [], "recommendation": "revise"}),
            ),
        };
        Said {
            after: Duration::from_secs(after),
            answer: Ok(answer(value.to_string())),
        }
    })
}

fn subject() -> Document {
    Document::new("main.rs", "fn main() {}")
}

fn shared(model: &Arc<Answering>) -> SharedModel {
    model.clone()
}

#[tokio::test(start_paused = true)]
async fn a_panel_gives_each_review_their_sum_and_a_synthesis() {
    let model = reviewer();
    let result = ReviewPanel::default()
        .review(&shared(&model), &subject())
        .await;
    let result = result.unwrap();
    let roles: Vec<(usize, &str, u8)> = result
        .reviews
        .iter()
        .map(|review| {
            let given = review.outcome.as_ref().unwrap();
            (review.index, review.role.as_str(), given.score)
        })
        .collect();
    assert_eq!(
        roles,
        [
            (0, "security", 3),
            (1, "performance", 8),
            (2, "maintainability", 7)
        ]
    );
    let sum = &result.aggregate;
    assert_eq!((sum.mean_score, sum.spread()), (6.0, 5));
    assert_eq!(sum.recommendation, Recommendation::Approve);
    assert!((sum.agreement - 2.0 / 3.0).abs() < 1e-9);
    let point = |text: &str, roles: &[&str]| Point {
        text: text.to_owned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
    };
    assert_eq!(
        sum.weaknesses,
        [
            point("No limits", &["security", "performance"]),
            point("Open door", &["security"])
        ]
    );
    assert_eq!(
        sum.strengths,
        [point(
            "Short",
            &["security", "performance", "maintainability"]
        )]
    );
    let synthesis = result.synthesis.unwrap().unwrap();
    assert_eq!(
        (synthesis.summary.as_str(), synthesis.recommendation),
        ("Mixed.", Recommendation::Revise)
    );
    assert_eq!(
        (result.spent.calls, result.spent.usage()),
        (4, Some(used(4)))
    );

    let asked = model.asked();
    assert_eq!(model.most_at_once(), 3, "side by side");
    assert_eq!(blocks(&asked[0]), ["fn main() {}"]);
    let seen = blocks(&asked[3]);
    assert_eq!(seen.len(), 3);
    assert!(
        seen[0].starts_with(r#"{"role":"security","review":{"score":3"#),
        "{}",
        seen[0]
    );
}

#[tokio::test(start_paused = true)]
async fn who_fails_is_told_and_left_out() {
    let model = Answering::at_once(|request| match role_of(request) {
        Some("security") => Err(Error::new(ErrorKind::Timeout, "too slow")),
        Some(_) => Ok(answer(review(8, &[], "revise").to_string())),
        None => Err(Error::new(ErrorKind::Overloaded, "full")),
    });
    let result = ReviewPanel::default()
        .review(&shared(&model), &subject())
        .await;
    let result = result.unwrap();
    let failed = &result.reviews[0];
    assert_eq!((failed.index, failed.role.as_str()), (0, "security"));
    assert_eq!(
        failed.outcome.as_ref().unwrap_err().kind(),
        ErrorKind::Timeout
    );
    assert_eq!(
        (result.aggregate.reviews, result.aggregate.agreement),
        (2, 1.0)
    );
    assert_eq!(
        result.synthesis.unwrap().unwrap_err().kind(),
        ErrorKind::Overloaded,
        "the reviews are not lost"
    );
}

#[tokio::test(start_paused = true)]
async fn a_sole_review_needs_no_synthesis_and_an_answer_off_the_schema_is_none() {
    let model = Answering::at_once(|request| {
        Ok(answer(match role_of(request).unwrap() {
            "security" => review(11, &[], "approve").to_string(),
            "performance" => "fine".to_owned(),
            _ => review(10, &[], "approve").to_string(),
        }))
    });
    let result = ReviewPanel::default()
        .review(&shared(&model), &subject())
        .await;
    let result = result.unwrap();
    for failed in &result.reviews[..2] {
        let error = failed.outcome.as_ref().unwrap_err();
        assert_eq!(
            (error.kind(), error.usage()),
            (ErrorKind::OffSchema, Some(used(1)))
        );
    }
    assert!(result.synthesis.is_none());
    assert_eq!(
        (model.asked().len(), result.spent.usage()),
        (3, Some(used(3)))
    );
}

#[tokio::test(start_paused = true)]
async fn where_all_fail_each_cause_is_told() {
    let model = Answering::at_once(|request| {
        let why = format!("no {}", role_of(request).unwrap());
        Err(Error::new(ErrorKind::ServerError, why).with_attempts(2))
    });
    let panel = ReviewPanel::default();
    let error = panel.review(&shared(&model), &subject()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "all 3 reviewers failed: security: server_error: no security; performance: server_error: no performance; \
         maintainability: server_error: no maintainability"
    );
    let ReviewError::AllFailed(_, spent) = error else {
        panic!()
    };
    assert_eq!(spent.attempts, 6);
}

#[tokio::test(start_paused = true)]
async fn panels_that_cannot_be_used_are_refused_before_any_call() {
    let model = reviewer();
    let with = |names: &[&str]| {
        let roles = names.iter().map(|name| Role::new(*name, "Look."));
        ReviewPanel::default().with_roles(roles.collect::<Vec<_>>())
    };
    for (panel, subject, hint) in [
        (with(&[]), subject(), "at least one role"),
        (with(&["a", " "]), subject(), "role 1 has no name"),
        (with(&["a", "A"]), subject(), "two roles are called `A`"),
        (with(&["a"]), Document::new("x", " "), "`x` is empty"),
    ] {
        let said = panel.review(&shared(&model), &subject).await.unwrap_err();
        assert!(said.to_string().contains(hint), "{said}");
    }
    assert!(model.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_synthesis_may_be_anothers_or_nobodys() {
    let (reviewers, writer) = (reviewer(), reviewer());
    let panel = ReviewPanel::default()
        .with_param("temperature", json!(0.2))
        .with_max_concurrent(NonZeroUsize::MIN)
        .with_synthesizer(writer.clone());
    panel.review(&shared(&reviewers), &subject()).await.unwrap();
    assert_eq!((reviewers.asked().len(), reviewers.most_at_once()), (3, 1));
    assert_eq!(writer.asked()[0].params["temperature"], 0.2);
    let alone = panel
        .without_synthesis()
        .review(&shared(&reviewers), &subject())
        .await;
    assert!(alone.unwrap().synthesis.is_none());
    assert_eq!(writer.asked().len(), 1);
}

#[test]
fn a_tie_goes_to_the_more_cautious() {
    let one = |recommendation| Review {
        score: 5,
        strengths: vec![],
        weaknesses: vec![],
        recommendation,
    };
    let (approve, reject) = (one(Recommendation::Approve), one(Recommendation::Reject));
    let sum = Aggregate::of(&[("a", &reject), ("b", &approve)]).unwrap();
    assert_eq!(
        (sum.recommendation, sum.agreement),
        (Recommendation::Reject, 0.5)
    );
    assert_eq!(Aggregate::of(&[]), None);
}

#[test]
fn a_synthesis_has_the_shape_of_a_review_and_a_summary() {
    let (review, synthesis) = (
        Schema::of::<Review>().unwrap(),
        Schema::of::<Synthesis>().unwrap(),
    );
    let mut properties = synthesis.json()["properties"].as_object().unwrap().clone();
    assert!(properties.shift_remove("summary").is_some());
    let names =
        |schema: &serde_json::Map<String, Value>| schema.keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(&properties),
        names(review.json()["properties"].as_object().unwrap())
    );
    let recommendation = &review.json()["properties"]["recommendation"];
    assert_eq!(
        recommendation["oneOf"][0]["const"], "approve",
        "{recommendation}"
    );
}

proptest! {
    #[test]
    fn sums_stay_within_their_bounds(scores in prop::collection::vec((1u8..=10, 0usize..3, prop::collection::vec("[aAbB ]{0,3}", 0..5)), 1..9)) {
        let kinds = [Recommendation::Approve, Recommendation::Revise, Recommendation::Reject];
        let reviews: Vec<(String, Review)> = scores
            .iter()
            .enumerate()
            .map(|(index, (score, kind, points))| {
                let review = Review { score: *score, strengths: points.clone(), weaknesses: vec![], recommendation: kinds[*kind] };
                (format!("r{index}"), review)
            })
            .collect();
        let borrowed: Vec<(&str, &Review)> = reviews.iter().map(|(role, review)| (role.as_str(), review)).collect();
        let sum = Aggregate::of(&borrowed).unwrap();
        prop_assert!(f64::from(sum.lowest_score) <= sum.mean_score && sum.mean_score <= f64::from(sum.highest_score));
        prop_assert!(sum.agreement >= 1.0 / 3.0 - 1e-9 && sum.agreement <= 1.0);
        let folded = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        let mut seen: Vec<String> = sum.strengths.iter().map(|point| folded(&point.text)).collect();
        let all = seen.len();
        seen.sort();
        seen.dedup();
        prop_assert_eq!(seen.len(), all, "each point once");
        for (role, review) in &borrowed {
            for text in review.strengths.iter().filter(|text| !text.trim().is_empty()) {
                let point = sum.strengths.iter().find(|point| folded(&point.text) == folded(text)).unwrap();
                prop_assert!(point.roles.iter().any(|known| known == role));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_panel_that_was_given_up_is_no_review() {
    for kind in [ErrorKind::Stopped, ErrorKind::Ledger] {
        for given_up in [Some("security"), None] {
            let model = Answering::at_once(move |request| match role_of(request) {
                role if role == given_up => Err(Error::new(kind, "interrupted")),
                _ => Ok(answer(review(8, &[], "revise").to_string())),
            });
            let panel = ReviewPanel::default();
            let error = panel.review(&shared(&model), &subject()).await.unwrap_err();
            let ReviewError::GivenUp(cause, reviews, spent) = &error else {
                panic!("{error}")
            };
            assert_eq!((cause.kind(), reviews.len()), (kind, 3));
            assert!(spent.usage().is_some(), "what was paid is told");
        }
    }
}
