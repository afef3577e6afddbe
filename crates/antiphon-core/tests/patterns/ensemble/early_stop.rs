//! A vote that stops early is the full vote, whatever comes in whatever order. `PROPTEST_CASES` raises the number of cases.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use antiphon_core::{
    ChatRequest, Error, ErrorKind, Reply, Schema, SharedModel,
    patterns::{
        ensemble::{Candidate, Decide, Decider, Ensemble, EnsembleConfig, Majority, Verdict},
        vote::VoteOnFields,
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::support::{Scripted, ask, codes, decision, gathered, ready};
use crate::rehearsed::paused;

/// Hears everybody.
#[derive(Debug)]
struct Full(Arc<dyn Decide>);

impl Decide for Full {
    fn decide(&self, candidates: &[Candidate], schema: Option<&Schema>) -> Result<Verdict, Error> {
        self.0.decide(candidates, schema)
    }
}

#[derive(Clone, Debug)]
struct Case {
    /// For each member the number of its answer, or `None` where it fails; and the second at which it ends.
    members: Vec<(Option<usize>, u64)>,
    quorum: Option<usize>,
    deadline: Option<u64>,
    vote: usize,
}

fn cases() -> impl Strategy<Value = Case> {
    // mostly alike: answers that are all different settle nothing
    let answer = prop_oneof![4 => Just(Some(0)), 3 => (0usize..6).prop_map(Some), 1 => Just(None)];
    let seconds = Just((1..=7).collect::<Vec<u64>>()).prop_shuffle();
    let limits = (
        prop::option::weighted(0.2, 1usize..7),
        prop::option::weighted(0.2, 1u64..7),
    );
    (
        prop::collection::vec(answer, 1..=7),
        seconds,
        limits,
        0usize..4,
    )
        .prop_map(|(answers, seconds, (quorum, deadline), vote)| Case {
            members: answers.into_iter().zip(seconds).collect(),
            quorum,
            deadline,
            vote,
        })
}

/// The vote, and the request whose answers it decides about.
fn voted(vote: usize) -> (Arc<dyn Decide>, ChatRequest) {
    let schema = json!({
        "type": "object", "required": ["color", "score"], "additionalProperties": false,
        "properties": {
            "color": {"enum": ["red", "green"]}, "score": {"type": "integer"},
            "tags": {"type": "array", "uniqueItems": true, "items": {"type": "string"}}
        }
    });
    let plain = ChatRequest::prompt("x");
    let structured = ChatRequest {
        schema: Some(Schema::new(schema).unwrap()),
        ..plain.clone()
    };
    match vote {
        0 => (Arc::new(Majority), plain),
        1 => (Arc::new(Majority), structured),
        2 => (Arc::new(VoteOnFields::all()), structured),
        _ => (Arc::new(VoteOnFields::of(["color"])), structured),
    }
}

fn said(at: usize) -> Value {
    let color = ["red", "green"][at % 2];
    match at {
        0..4 => json!({"color": color, "score": at}),
        _ => json!({"color": color, "score": 1, "tags": (["a", "b"][at - 4..])}),
    }
}

fn panel(case: &Case, vote: Arc<dyn Decide>) -> Ensemble {
    let member = |(index, (answer, seconds)): (usize, &(Option<usize>, u64))| {
        let (answer, seconds) = (*answer, *seconds);
        let model: SharedModel = Scripted::new(&index.to_string(), move |_, _| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            match answer {
                Some(at) => ready(&said(at).to_string()),
                None => Err(Error::new(ErrorKind::BadRequest, "no")),
            }
        });
        model
    };
    let models = case.members.iter().enumerate().map(member).collect();
    let mut panel = Ensemble::new(models, Decider::Vote(vote), EnsembleConfig::default()).unwrap();
    if let Some(quorum) = case.quorum.and_then(NonZeroUsize::new) {
        panel = panel.with_quorum(quorum);
    }
    if let Some(seconds) = case.deadline {
        // between two answers
        panel = panel.with_deadline(Duration::from_millis(seconds * 1000 + 500));
    }
    panel
}

fn value(reply: &Result<Reply, Error>) -> Option<Value> {
    let reply = reply.as_ref().ok()?;
    Some(serde_json::from_str(reply.text()).unwrap())
}

fn config() -> ProptestConfig {
    let named = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: named.and_then(|cases| cases.parse().ok()).unwrap_or(300),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_answer_is_that_of_the_full_vote(case in cases()) {
        let (vote, request) = voted(case.vote);
        let (early, full) = paused(async {
            let early = ask(&panel(&case, vote.clone()), request.clone()).await;
            let full = ask(&panel(&case, Arc::new(Full(vote))), request).await;
            (early, full)
        });
        prop_assert_eq!(value(&early), value(&full));
        if let (Ok(early), Ok(full)) = (&early, &full) {
            prop_assert_eq!(decision(full).calls_saved, 0);
            let certain = gathered(early).members.iter().filter(|member| {
                member.error.as_ref().is_some_and(|error| error.message.contains("certain"))
            });
            prop_assert_eq!(decision(early).calls_saved as usize, certain.count());
            let heard = |reply: &Reply| codes(reply).iter().filter(|code| **code != "cancelled").count();
            prop_assert!(heard(early) <= heard(full));
        }
    }
}
