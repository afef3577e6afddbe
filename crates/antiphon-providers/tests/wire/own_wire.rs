//! A caller's own wire in front of the same wire: what nobody here knows is for the provider to know.

use std::sync::Arc;

use antiphon_core::{ChatRequest, ErrorKind, chat::Origin};
use antiphon_providers::dialects::{Dialect, EncodeTarget};
use serde_json::{Value, json};

use super::{anthropic, openai};

fn asked(wire: &'static str, by: &dyn Dialect, fields: Value) -> ChatRequest {
    let Value::Object(fields) = fields else {
        panic!("an object")
    };
    let mut request = by.parse_request(fields).unwrap().request;
    request.origin = Some(Arc::new(Origin {
        wire,
        ..Origin::default()
    }));
    request
}

fn target(provider: &'static str) -> EncodeTarget<'static> {
    EncodeTarget {
        provider,
        model: "m",
        version: None,
    }
}

#[test]
fn openai_untouched() {
    let wire = json!({
        "model": "m",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}, "x": {"y": [1.50]}},
                                         {"type": "image", "weird": true}], "weight": 1e-7},
            {"role": "assistant", "content": null, "reasoning_details": [{"z": 1}], "tool_calls": []},
        ],
        "tools": [{"type": "web_search", "name": "w"}], "min_p": 0.1, "future": {"deep": [null, {"a": 12345678901234567890_u64}]},
    });
    let request = asked("openai", openai(), wire.clone());
    let encoded = openai().encode(&request, &target("local")).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&encoded.body).unwrap(),
        wire
    );
    assert!(encoded.dropped.is_empty());
}

#[test]
fn anthropic_untouched() {
    let wire = json!({
        "model": "m", "max_tokens": 5,
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "a", "x": 1}], "weight": 2},
            {"role": "assistant", "content": "b", "id": "msg_1"},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}], "is_error": true}]},
        ],
        "metadata": {"user_id": "u", "team": "x"}, "service_tier": "flex", "store": false, "min_p": 0.1, "future": 1,
    });
    let request = asked("anthropic", anthropic(), wire.clone());
    let encoded = anthropic().encode(&request, &target("local")).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&encoded.body).unwrap(),
        wire
    );
    assert!(encoded.dropped.is_empty());
}

#[test]
fn several_answers_of_anthropic_are_refused_rather_than_one_given() {
    let wire = |n: u64| json!({"messages": [{"role": "user", "content": "a"}], "n": n});
    let request = asked("openai", openai(), wire(2));
    let error = anthropic()
        .encode(&request, &target("anthropic"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadRequest);
    assert!(error.message().contains("`n`"));
    let request = asked("openai", openai(), wire(1));
    assert!(anthropic().encode(&request, &target("anthropic")).is_ok());
}

#[test]
fn how_hard_to_think_in_the_words_of_the_other() {
    let messages = json!([{"role": "user", "content": "a"}]);
    for (budget, effort) in [(1024, "low"), (8000, "medium"), (32_000, "high")] {
        let wire = json!({"messages": messages, "max_tokens": 64_000, "thinking": {"type": "enabled", "budget_tokens": budget}});
        let request = asked("anthropic", anthropic(), wire);
        let reasoning = EncodeTarget {
            model: "gpt-5",
            ..target("openai")
        };
        let encoded = openai().encode(&request, &reasoning).unwrap();
        let body: Value = serde_json::from_slice(&encoded.body).unwrap();
        assert_eq!(body["reasoning_effort"], effort);
        assert!(encoded.dropped.is_empty());
        // a model that does not think refuses the word
        let encoded = openai().encode(&request, &target("openai")).unwrap();
        assert_eq!(encoded.dropped, ["thinking"]);
    }
}

#[test]
fn what_a_tool_shows_follows_its_words() {
    let wire = json!({"messages": [{"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "1", "is_error": true, "content": [
            {"type": "text", "text": "seen"}, {"type": "image", "source": {"type": "url", "url": "u"}}]},
        {"type": "text", "text": "go on"}]}]});
    let request = asked("anthropic", anthropic(), wire);
    let encoded = openai().encode(&request, &target("openai")).unwrap();
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert_eq!(
        body["messages"],
        json!([
            {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "seen"}]},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}, {"type": "text", "text": "go on"}]},
        ])
    );
    assert_eq!(encoded.dropped, ["messages.is_error"]);
}
