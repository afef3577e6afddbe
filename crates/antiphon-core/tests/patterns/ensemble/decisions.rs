use std::sync::Arc;

use antiphon_core::{
    ChatRequest, Error, ErrorKind, Model, Schema, Spent,
    chat::ToolCall,
    patterns::ensemble::{
        Candidate, Chosen, Decide, Decider, Ensemble, EnsembleConfig, EnsembleError, Majority,
        Verdict,
    },
};
use serde_json::{Value, json};

use super::support::{
    Scripted, answer, ask, codes, decided, decision, ensemble, failing, gathered, said, saying,
    shared, shown, structured, used,
};

#[tokio::test]
async fn one_call_selects_one_answer_as_it_stands() {
    let (a, b) = (saying("a", r#"{"x": 1}"#), saying("b", r#"{"x": 2}"#));
    // the best stands first
    let decider = saying("chair", decided(&[2, 1], Value::Null));
    let panel = ensemble(&[&a, &b], Decider::Decide(decider.clone()));
    let reply = ask(&panel, structured()).await.unwrap();
    assert_eq!(reply.text(), r#"{"x":2}"#);
    assert_eq!(
        (decision(&reply).by.as_str(), decider.calls()),
        ("decide", 1)
    );
    assert_eq!(decision(&reply).from, [1]);
    assert_eq!(decision(&reply).reason.as_deref(), Some("it is best"));
    assert_eq!(decision(&reply).failure, None);
    let asked = super::support::last_text(&decider.requests()[0]);
    for word in [
        "accuracy",
        "completeness",
        "relevance",
        "quality",
        "consistency",
    ] {
        assert!(asked.contains(word), "{word}");
    }
}

#[tokio::test]
async fn or_merges_several_into_an_answer_of_the_users_schema() {
    let (a, b) = (saying("a", r#"{"x": 1}"#), saying("b", r#"{"x": 3}"#));
    let decider = saying("chair", decided(&[1, 2], json!({"x": 2})));
    let panel = ensemble(&[&a, &b], Decider::Decide(decider)).with_name("panel");
    let reply = ask(&panel, structured()).await.unwrap();
    assert_eq!(reply.text(), r#"{"x":2}"#);
    assert_eq!(decision(&reply).from, [0, 1]);

    assert_eq!(reply.head.model, "panel");
    assert_eq!(reply.head.attempts, 3);
    let body: Value = serde_json::from_slice(&reply.answer.body).unwrap();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["model"], "panel");
    assert_eq!(
        body["choices"][0]["message"],
        json!({"role": "assistant", "content": r#"{"x":2}"#, "refusal": null})
    );
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["usage"]["prompt_tokens"], 30);
    assert_eq!(body["usage"]["total_tokens"], 45);
}

#[tokio::test]
async fn every_members_usage_is_kept_and_summed_with_the_deciders() {
    let (a, b) = (saying("a", "1"), saying("b", "2"));
    let broken = Scripted::new("c", |_, _| async {
        let error = Error::new(ErrorKind::OffSchema, "no JSON");
        Err(error
            .with_spent(Spent::answer(Some(used(3))))
            .with_attempts(3))
    });
    let decider = saying("chair", decided(&[1], Value::Null));
    let panel = ensemble(&[&a, &b, &broken], Decider::Decide(decider));
    let reply = ask(&panel, ChatRequest::prompt("x")).await.unwrap();
    assert_eq!((reply.usage(), reply.head.attempts), (Some(used(6)), 6));
    let kept: Vec<_> = gathered(&reply)
        .members
        .iter()
        .map(|one| one.usage)
        .collect();
    assert_eq!(kept, [Some(used(1)), Some(used(1)), Some(used(3))]);
    assert_eq!(
        decision(&reply).decider.as_ref().unwrap().usage,
        Some(used(1))
    );
    assert_eq!(panel.summary().counters.tokens, used(6));
}

#[tokio::test]
async fn one_success_skips_the_decider() {
    let (good, bad) = (
        saying("good", r#"{"x": 7}"#),
        failing("bad", ErrorKind::BadRequest, "no"),
    );
    let decider = saying("chair", "never asked");
    let panel = ensemble(&[&bad, &good, &bad], Decider::Decide(decider.clone()));
    let reply = ask(&panel, structured()).await.unwrap();
    assert_eq!((reply.text(), decider.calls()), (r#"{"x":7}"#, 0));
    assert_eq!(
        (
            decision(&reply).by.as_str(),
            decision(&reply).from.as_slice()
        ),
        ("sole", &[1][..])
    );
    assert_eq!(codes(&reply), ["bad_request", "ok", "bad_request"]);
    assert_eq!(panel.summary().counters.decisions_skipped, 1);
}

#[tokio::test]
async fn a_failed_decision_is_told_and_not_silent() {
    let (bad, a, b) = (
        failing("bad", ErrorKind::BadRequest, "no"),
        saying("a", r#"{"x": 1}"#),
        saying("b", r#"{"x": 2}"#),
    );
    let off = |text: &str| (saying("chair", text), "off_schema");
    let deciders = [
        (
            failing("chair", ErrorKind::BadRequest, "too long"),
            "bad_request: too long",
        ),
        // without a journal members' answers would be lost, so a wrong key is told like the rest
        (
            failing("chair", ErrorKind::Auth, "wrong key"),
            "auth: wrong key",
        ),
        off("the second one"),
        off(&decided(&[3], Value::Null)),
        off(&decided(&[], Value::Null)),
        off(&decided(&[1], json!({"x": "one"}))),
    ];
    for (decider, why) in deciders {
        let panel = ensemble(&[&bad, &a, &b], Decider::Decide(decider));
        let reply = ask(&panel, structured()).await.unwrap();
        let decision = decision(&reply);
        assert_eq!(
            (reply.text(), decision.by.as_str()),
            (r#"{"x":1}"#, "first")
        );
        assert_eq!(decision.from, [1]);
        let failure = decision.failure.as_deref().unwrap();
        assert!(failure.contains(why), "{failure}");
        assert!(
            failure.contains("the answer of member 1 was taken"),
            "{failure}"
        );
        assert!(decision.decider.as_ref().unwrap().error.is_some());
        assert_eq!(panel.summary().counters.decisions_failed, 1);
    }
}

#[tokio::test]
async fn synthesis_writes_an_answer_of_the_same_schema() {
    let (a, b) = (saying("a", r#"{"x": 1}"#), saying("b", r#"{"x": 3}"#));
    let writer = saying("writer", r#"{"x": 2}"#);
    let panel = ensemble(&[&a, &b], Decider::Synthesize(writer.clone()));
    let reply = ask(&panel, structured()).await.unwrap();
    assert_eq!(
        (reply.text(), decision(&reply).by.as_str()),
        (r#"{"x":2}"#, "synthesize")
    );
    let asked = writer.requests()[0].schema.clone().unwrap();
    assert_eq!(asked.json(), structured().schema.unwrap().json());

    let (a, b) = (saying("a", "red"), saying("b", "blue"));
    let writer = saying("writer", "purple");
    let panel = ensemble(&[&a, &b], Decider::Synthesize(writer));
    let reply = ask(&panel, ChatRequest::prompt("colour?")).await.unwrap();
    assert_eq!(reply.text(), "purple");
}

#[tokio::test]
async fn a_vote_asks_nobody() {
    let models = [
        saying("a", r#"{"x": 1}"#),
        saying("b", "```json\n{\"x\": 2}\n```"),
        saying("c", r#"{"x":2}"#),
    ];
    let models: Vec<_> = models.iter().collect();
    let panel = ensemble(&models, Decider::Vote(Arc::new(Majority)));
    let reply = ask(&panel, structured()).await.unwrap();
    assert_eq!(
        (reply.text(), decision(&reply).by.as_str()),
        (r#"{"x":2}"#, "vote")
    );
    assert_eq!(decision(&reply).from, [1, 2]);
    assert_eq!(decision(&reply).reason.as_deref(), Some("2 of 3 agree"));
    assert_eq!(decision(&reply).decider, None);
}

/// The middle of all answers, for which nobody voted.
#[derive(Debug)]
struct Mean(&'static str);

impl Decide for Mean {
    fn decide(&self, candidates: &[Candidate], schema: Option<&Schema>) -> Result<Verdict, Error> {
        assert!(schema.is_some());
        let values = candidates
            .iter()
            .map(|one| one.value.as_ref().unwrap()["x"].as_i64().unwrap());
        let mean = values.sum::<i64>() / candidates.len() as i64;
        Ok(Verdict {
            chosen: Chosen::Made(json!({self.0: mean})),
            from: candidates.iter().map(|one| one.member).collect(),
            reason: None,
        })
    }
}

#[tokio::test]
async fn a_vote_of_the_users_own_is_held_to_the_schema() {
    let (a, b) = (saying("a", r#"{"x": 1}"#), saying("b", r#"{"x": 3}"#));
    let panel = ensemble(&[&a, &b], Decider::Vote(Arc::new(Mean("x"))));
    let reply = ask(&panel, structured()).await.unwrap();
    assert_eq!(
        (reply.text(), decision(&reply).from.as_slice()),
        (r#"{"x":2}"#, &[0, 1][..])
    );
    let panel = ensemble(&[&a, &b], Decider::Vote(Arc::new(Mean("mean"))));
    let reply = ask(&panel, structured()).await.unwrap();
    assert_eq!(
        (reply.text(), decision(&reply).by.as_str()),
        (r#"{"x":1}"#, "first")
    );
    assert!(
        decision(&reply)
            .failure
            .as_deref()
            .unwrap()
            .contains("off_schema")
    );
}

#[tokio::test]
async fn calls_of_tools_are_selected_and_never_merged() {
    let caller = Scripted::new("caller", |_, _| {
        let mut answer = answer("");
        answer.tool_calls = vec![ToolCall {
            id: "1".to_owned(),
            name: "look".to_owned(),
            arguments: "{}".to_owned(),
        }];
        async { said(answer) }
    });
    let talker = saying("talker", "it is late");
    let decider = saying("chair", r#"{"reason": "", "winner": 1}"#);
    let panel = ensemble(&[&caller, &talker], Decider::Decide(decider.clone()));
    let reply = ask(&panel, ChatRequest::prompt("what time is it?"))
        .await
        .unwrap();
    assert_eq!(reply.answer.tool_calls[0].name, "look");
    assert_eq!(
        shown(&decider.requests()[0])[0]["tool_calls"][0]["name"],
        "look"
    );
    let body: Value = serde_json::from_slice(&reply.answer.body).unwrap();
    let message = &body["choices"][0]["message"];
    assert_eq!(
        message["tool_calls"][0]["function"],
        json!({"name": "look", "arguments": "{}"})
    );
    assert_eq!(message["content"], Value::Null);
}

#[tokio::test]
async fn ensembles_nest() {
    let (a, b) = (saying("a", r#"{"x": 1}"#), saying("b", r#"{"x": 2}"#));
    let inner = ensemble(
        &[&a, &b],
        Decider::Decide(saying("chair", decided(&[2], Value::Null))),
    );
    let members: Vec<Arc<dyn Model>> = vec![Arc::new(inner), shared(&[&a]).remove(0)];
    let chair = saying("chair", decided(&[1], Value::Null));
    let outer = Ensemble::new(members, Decider::Decide(chair), EnsembleConfig::default()).unwrap();
    let reply = ask(&outer, structured()).await.unwrap();
    assert_eq!((reply.text(), reply.usage()), (r#"{"x":2}"#, Some(used(5))));
}

#[tokio::test]
async fn bad_input_is_refused_before_anything_is_paid() {
    let model = saying("a", "1");
    let none = Ensemble::new(
        Vec::new(),
        Decider::Decide(model.clone()),
        EnsembleConfig::default(),
    );
    assert_eq!(none.unwrap_err(), EnsembleError::NoMembers);
    let panel = ensemble(&[&model, &model], Decider::Decide(model.clone()));
    for schema in [
        json!({"type": "array"}),
        json!({"type": "string"}),
        json!(true),
    ] {
        let request = ChatRequest {
            schema: Some(Schema::new(schema).unwrap()),
            ..ChatRequest::prompt("x")
        };
        let error = ask(&panel, request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest);
        assert!(
            error
                .message()
                .contains("root of the schema is not an object"),
            "{error}"
        );
    }
    assert_eq!(model.calls(), 0);
}
