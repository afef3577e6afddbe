use antiphon_core::{
    ChatRequest, Schema,
    patterns::ensemble::{Decider, Ensemble},
};
use serde_json::{Value, json};

use super::support::{
    Scripted, ask, codes, decided, decision, ensemble, gathered, ready, saying, shown, structured,
};

fn reasoning(models: &[&std::sync::Arc<Scripted>], decider: Decider) -> Ensemble {
    let panel = ensemble(models, decider);
    panel
        .reconfigure(|config| config.pass_reasoning = true)
        .unwrap();
    panel
}

/// The name of the field for reasoning that a member was asked for.
fn field(request: &ChatRequest) -> String {
    let schema = request.schema.as_ref().unwrap().json();
    let required = schema["required"][0].as_str().unwrap().to_owned();
    let properties = schema["properties"].as_object().unwrap();
    assert_eq!(
        properties.keys().next(),
        Some(&required),
        "it is placed first"
    );
    assert_eq!(properties[&required]["type"], "string");
    required
}

/// A model that fills the field for reasoning, wherever the user's own answer has one of the usual name.
fn thinking(name: &str, own: Value) -> std::sync::Arc<Scripted> {
    let name = name.to_owned();
    let thought = format!("thought of {name}");
    Scripted::new(&name, move |_, request| {
        let mut answer = serde_json::Map::new();
        answer.insert(field(&request), thought.clone().into());
        answer.extend(own.as_object().unwrap().clone());
        let text = Value::Object(answer).to_string();
        async move { ready(&text) }
    })
}

#[tokio::test]
async fn members_reason_first_the_decider_reads_it_and_the_result_is_without() {
    for selected in [
        decided(&[2], Value::Null),
        decided(&[1, 2], json!({"x": 2})),
    ] {
        let (a, b) = (
            thinking("a", json!({"x": 1})),
            thinking("b", json!({"x": 2})),
        );
        let decider = saying("chair", selected);
        let panel = reasoning(&[&a, &b], Decider::Decide(decider.clone()));
        let reply = ask(&panel, structured()).await.unwrap();
        assert_eq!(
            shown(&decider.requests()[0]),
            [
                json!({"candidate": 1, "reasoning": "thought of a", "answer": {"x": 1}}),
                json!({"candidate": 2, "reasoning": "thought of b", "answer": {"x": 2}}),
            ]
        );
        assert_eq!(reply.text(), r#"{"x":2}"#);
        assert_eq!(decision(&reply).failure, None);
        let whole = format!(
            "{}{}",
            reply.to_record(),
            serde_json::to_string(gathered(&reply)).unwrap()
        );
        assert!(!whole.contains("thought of"), "{whole}");
    }
}

#[tokio::test]
async fn a_sole_answer_and_a_failed_decision_are_without_reasoning_too() {
    let a = thinking("a", json!({"x": 1}));
    let panel = reasoning(&[&a], Decider::Decide(saying("chair", "")));
    assert_eq!(
        ask(&panel, structured()).await.unwrap().text(),
        r#"{"x":1}"#
    );
    let panel = reasoning(&[&a, &a], Decider::Decide(saying("chair", "broken")));
    let reply = ask(&panel, structured()).await.unwrap();
    assert_eq!(
        (reply.text(), decision(&reply).by.as_str()),
        (r#"{"x":1}"#, "first")
    );
}

#[tokio::test]
async fn the_field_cannot_collide_with_the_users_own() {
    let first = {
        let a = thinking("a", json!({"x": 1}));
        let panel = reasoning(&[&a], Decider::Decide(saying("chair", "")));
        ask(&panel, structured()).await.unwrap();
        field(&a.requests()[0])
    };
    // the user's schema has a field of that very name
    let own = json!({"x": 1, first.clone(): "mine"});
    let schema = Schema::new(json!({
        "type": "object", "required": ["x", first], "additionalProperties": false,
        "properties": {"x": {"type": "integer"}, first.clone(): {"type": "string"}}
    }));
    let (a, b) = (thinking("a", own.clone()), thinking("b", own.clone()));
    let decider = saying("chair", decided(&[1], Value::Null));
    let panel = reasoning(&[&a, &b], Decider::Decide(decider));
    let request = ChatRequest {
        schema: Some(schema.unwrap()),
        ..ChatRequest::prompt("x?")
    };
    let reply = ask(&panel, request).await.unwrap();
    assert_ne!(field(&a.requests()[0]), first);
    assert_eq!(serde_json::from_str::<Value>(reply.text()).unwrap(), own);
}

#[tokio::test]
async fn texts_may_have_reasoning_as_well() {
    let (a, b) = (
        thinking("a", json!({"answer": "red"})),
        thinking("b", json!({"answer": "blue"})),
    );
    let decider = saying("chair", decided(&[2], Value::Null));
    let panel = reasoning(&[&a, &b], Decider::Decide(decider.clone()));
    let reply = ask(&panel, ChatRequest::prompt("colour?")).await.unwrap();
    assert_eq!(reply.text(), "blue");
    assert_eq!(
        shown(&decider.requests()[0])[0]["reasoning"],
        "thought of a"
    );
    assert_eq!(gathered(&reply).members[0].text.as_deref(), Some("red"));
}

#[tokio::test]
async fn an_answer_off_the_users_schema_is_no_candidate() {
    let (good, bad) = (
        thinking("good", json!({"x": 1})),
        thinking("bad", json!({"x": "1"})),
    );
    let panel = reasoning(&[&bad, &good], Decider::Decide(saying("chair", "")));
    let reply = ask(&panel, structured()).await.unwrap();
    assert_eq!(codes(&reply), ["off_schema", "ok"]);
    assert_eq!(
        reply.usage(),
        Some(super::support::used(2)),
        "and paid all the same"
    );
}

#[tokio::test]
async fn a_schema_that_refers_to_itself_by_its_id_asks_for_reasoning_once() {
    let tree = |own: &str| {
        Schema::new(json!({
            "$id": "https://example.org/tree", "type": "object", "required": ["v"], "additionalProperties": false,
            "properties": {"v": {"type": "integer"}, "children": {"type": "array", "items": {"$ref": own}}}
        }))
        .unwrap()
    };
    for own in ["https://example.org/tree", "https://example.org/tree#"] {
        let answer = json!({"v": 1, "children": [{"v": 2}]});
        let (a, b) = (thinking("a", answer.clone()), thinking("b", answer.clone()));
        let chair = saying("chair", decided(&[1, 2], answer.clone()));
        let panel = reasoning(&[&a, &b], Decider::Decide(chair));
        let request = ChatRequest {
            schema: Some(tree(own)),
            ..ChatRequest::prompt("x")
        };
        let reply = ask(&panel, request).await.unwrap();
        assert_eq!(
            (reply.text(), codes(&reply)),
            (&*answer.to_string(), vec!["ok", "ok"])
        );
        assert_eq!(decision(&reply).failure, None);
    }
}

#[tokio::test]
async fn a_schema_that_no_decision_can_hold_is_refused_before_anybody_is_asked() {
    let relative = Schema::new(json!({
        "$id": "https://example.org/tree", "type": "object", "properties": {"child": {"$ref": "tree"}}
    }));
    let (a, b) = (saying("a", "{}"), saying("b", "{}"));
    let panel = ensemble(&[&a, &b], Decider::Decide(saying("chair", "{}")));
    let request = ChatRequest {
        schema: Some(relative.unwrap()),
        ..ChatRequest::prompt("x")
    };
    let error = ask(&panel, request).await.unwrap_err();
    assert_eq!(error.kind(), antiphon_core::ErrorKind::BadRequest);
    assert_eq!((a.calls(), b.calls()), (0, 0));
}
