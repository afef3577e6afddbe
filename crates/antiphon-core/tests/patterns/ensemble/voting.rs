//! Votes on fields, and votes that do not wait for answers that cannot matter.

use std::{sync::Arc, time::Duration};

use antiphon_core::{
    ChatRequest, Clock, ErrorKind, Schema, SystemClock,
    chat::ToolCall,
    patterns::{
        ensemble::{Decider, Ensemble, Majority},
        vote::{VoteError, VoteOnFields},
    },
};
use serde_json::json;

use super::support::{
    Notebook, Scripted, answer, ask, codes, decision, ensemble, failing, gathered, said, saying,
    slow, used,
};

fn ticket() -> ChatRequest {
    let schema = json!({
        "type": "object", "required": ["urgent", "score"], "additionalProperties": false,
        "properties": {"urgent": {"type": "boolean"}, "score": {"type": "integer"}}
    });
    ChatRequest {
        schema: Some(Schema::new(schema).unwrap()),
        ..ChatRequest::prompt("is it urgent?")
    }
}

fn voting(models: &[&Arc<Scripted>], vote: VoteOnFields) -> Ensemble {
    ensemble(models, Decider::Vote(Arc::new(vote)))
}

fn whole(models: &[&Arc<Scripted>]) -> Ensemble {
    ensemble(models, Decider::Vote(Arc::new(Majority)))
}

#[tokio::test]
async fn each_field_is_voted_on_and_the_agreement_told() {
    let models = [
        saying("a", r#"{"urgent": false, "score": 7}"#),
        saying("b", r#"{"urgent": true, "score": 9}"#),
        saying("c", r#"{"urgent": true, "score": 2}"#),
    ];
    let [a, b, c] = &models;
    let reply = ask(&voting(&[a, b, c], VoteOnFields::all()), ticket())
        .await
        .unwrap();
    // an answer that nobody gave
    assert_eq!(reply.text(), r#"{"urgent":true,"score":7}"#);
    assert_eq!(decision(&reply).by, "vote");
    assert_eq!(decision(&reply).from, [] as [usize; 0]);
    let reason = decision(&reply).reason.as_deref();
    assert_eq!(reason, Some("urgent 0.67, score 0.33"));

    let near = VoteOnFields::all().with_tolerance(2.0).unwrap();
    let reply = ask(&voting(&[a, b, c], near), ticket()).await.unwrap();
    assert_eq!(decision(&reply).from, [1]);
    let reason = decision(&reply).reason.as_deref();
    assert_eq!(reason, Some("urgent 0.67, score 0.67"));

    let reply = ask(&voting(&[a, b, c], VoteOnFields::of(["urgent"])), ticket())
        .await
        .unwrap();
    assert_eq!(reply.text(), r#"{"urgent":true,"score":9}"#);
    assert_eq!(decision(&reply).from, [1, 2]);
    let reason = decision(&reply).reason.as_deref();
    assert_eq!(reason, Some("urgent 0.67"));
}

#[tokio::test]
async fn fields_that_are_not_there_are_told_before_anything_is_paid() {
    let model = saying("a", "1");
    let panel = voting(&[&model, &model], VoteOnFields::of(["urgnet"]));
    let unknown = ask(&panel, ticket()).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::BadRequest);
    assert!(
        unknown
            .message()
            .contains("`urgnet` to vote on: it has urgent, score"),
        "{unknown}"
    );
    let without = ask(&panel, ChatRequest::prompt("x")).await.unwrap_err();
    assert_eq!(without.kind(), ErrorKind::BadRequest);
    let fields = vec!["urgnet".to_owned()];
    assert_eq!(
        without.message(),
        VoteError::NoSchema { fields }.to_string()
    );
    assert_eq!(model.calls(), 0);
}

#[tokio::test]
async fn without_a_schema_whole_answers_are_voted_on() {
    let models = [saying("a", "no"), saying("b", "yes"), saying("c", " yes")];
    let [a, b, c] = &models;
    let request = ChatRequest::prompt("yes or no?");
    let reply = ask(&voting(&[a, b, c], VoteOnFields::all()), request)
        .await
        .unwrap();
    assert_eq!(reply.text(), "yes");
    assert_eq!(decision(&reply).reason.as_deref(), Some("2 of 3 agree"));
}

#[tokio::test]
async fn whether_to_call_tools_is_voted_on_first() {
    let caller = |name: &str| {
        Scripted::new(name, |_, _| {
            let mut answer = answer("");
            answer.tool_calls = vec![ToolCall {
                id: "1".to_owned(),
                name: "look".to_owned(),
                arguments: "{}".to_owned(),
            }];
            async { said(answer) }
        })
    };
    let (a, b) = (caller("a"), caller("b"));
    let c = saying("c", r#"{"urgent": true, "score": 1}"#);
    let d = saying("d", r#"{"urgent": true, "score": 2}"#);
    let panel = voting(&[&c, &a, &b], VoteOnFields::all());
    let reply = ask(&panel, ticket()).await.unwrap();
    assert_eq!(reply.answer.tool_calls[0].name, "look");
    assert_eq!(decision(&reply).from, [1, 2]);
    let panel = voting(&[&a, &c, &d], VoteOnFields::all());
    let reply = ask(&panel, ticket()).await.unwrap();
    assert_eq!(reply.text(), r#"{"urgent":true,"score":1}"#);
    assert_eq!(decision(&reply).from, [1]);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_change_the_outcome_is_not_waited_for() {
    let urgent = |name, seconds| slow(name, r#"{"urgent": true, "score": 5}"#, seconds);
    let (a, b, c) = (urgent("a", 1), urgent("b", 90), urgent("c", 2));
    let (d, e) = (urgent("d", 80), urgent("e", 3));
    let panel = voting(&[&a, &b, &c, &d, &e], VoteOnFields::all());
    let clock = SystemClock::new();
    let reply = ask(&panel, ticket()).await.unwrap();
    assert_eq!(clock.now().since_start(), Duration::from_secs(3));
    assert_eq!(codes(&reply), ["ok", "cancelled", "ok", "cancelled", "ok"]);
    let why = &gathered(&reply).members[1].error.as_ref().unwrap().message;
    assert!(why.contains("the outcome was certain"), "{why}");
    assert_eq!(
        (decision(&reply).calls_saved, reply.usage()),
        (2, Some(used(3)))
    );
    let shown = serde_json::to_value(decision(&reply)).unwrap();
    assert_eq!(shown["calls_saved"], 2);
    assert_eq!(panel.summary().counters.members_cancelled, 2);

    let (a, b) = (slow("a", "yes", 1), slow("b", "no", 2));
    let panel = whole(&[&a, &b]);
    let reply = ask(&panel, ChatRequest::prompt("x")).await.unwrap();
    assert_eq!(
        (decision(&reply).by.as_str(), decision(&reply).calls_saved),
        ("vote", 1)
    );
    assert_eq!(
        codes(&reply),
        ["ok", "cancelled"],
        "a tie goes to the earlier one"
    );
}

#[tokio::test(start_paused = true)]
async fn who_can_is() {
    let (a, b, c) = (
        slow("a", "no", 9),
        slow("b", "yes", 1),
        slow("c", "yes", 20),
    );
    let reply = ask(&whole(&[&a, &b, &c]), ChatRequest::prompt("x"))
        .await
        .unwrap();
    assert_eq!(
        (reply.text(), codes(&reply)),
        ("yes", vec!["ok", "ok", "ok"])
    );
    let shown = serde_json::to_value(decision(&reply)).unwrap();
    assert_eq!(shown.get("calls_saved"), None);
    // a quorum and a deadline cancel too, but save no calls of a vote
    let panel = whole(&[&a, &b, &c]).with_quorum(2.try_into().unwrap());
    let reply = ask(&panel, ChatRequest::prompt("x")).await.unwrap();
    assert_eq!(
        (codes(&reply), decision(&reply).calls_saved),
        (vec!["ok", "ok", "cancelled"], 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_member_that_failed_can_change_nothing_any_more() {
    let bad = failing("bad", ErrorKind::BadRequest, "no");
    let (a, b, c) = (
        slow("a", "yes", 1),
        slow("b", "yes", 2),
        slow("c", "no", 60),
    );
    let reply = ask(&whole(&[&bad, &a, &b, &c]), ChatRequest::prompt("x"))
        .await
        .unwrap();
    let told = ["bad_request", "ok", "ok", "cancelled"];
    assert_eq!((reply.text(), codes(&reply)), ("yes", told.to_vec()));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_stops_still_has_what_is_certain() {
    let stopped = failing("stopped", ErrorKind::Stopped, "drained");
    let (a, b, c) = (
        slow("a", "yes", 1),
        slow("b", "yes", 2),
        slow("c", "yes", 3),
    );
    // the stopped one is asked again by the next run: it may come first
    let error = ask(&whole(&[&stopped, &a]), ChatRequest::prompt("x"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stopped);
    let reply = ask(&whole(&[&a, &b, &stopped, &c]), ChatRequest::prompt("x"))
        .await
        .unwrap();
    assert_eq!((reply.text(), decision(&reply).calls_saved), ("yes", 1));
}

#[tokio::test(start_paused = true)]
async fn a_resumed_call_whose_vote_is_settled_asks_nobody() {
    let urgent = |name, seconds| slow(name, r#"{"urgent": true, "score": 5}"#, seconds);
    let (a, b, c) = (urgent("a", 1), urgent("b", 2), urgent("c", 60));
    let panel = voting(&[&a, &b, &c], VoteOnFields::all());
    let notebook = Notebook::default();
    let row = || ChatRequest {
        journal: notebook.journal(),
        ..ticket()
    };
    let before = ask(&panel, row()).await.unwrap();
    assert_eq!(notebook.parts(), ["0", "1"]);
    notebook.restart();
    let after = ask(&panel, row()).await.unwrap();
    assert_eq!((a.calls(), b.calls(), c.calls()), (1, 1, 1));
    assert_eq!(
        (after.text(), decision(&after)),
        (before.text(), decision(&before))
    );
    assert_eq!((codes(&after)[2], after.head.attempts), ("cancelled", 0));
}
