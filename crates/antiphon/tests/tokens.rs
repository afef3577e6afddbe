//! What a counter says before the call, against what the simulator says after it.

#![allow(missing_docs, reason = "a test")]

use std::sync::Arc;

use antiphon::{
    Session,
    core::{ChatRequest, Message, Schema, chat::Content, chat::Role},
};
use antiphon_providers::tokens::Counter;
use serde_json::{Value, json};

fn message(role: Role, content: Value) -> Message {
    let content = serde_json::from_value::<Content>(content).unwrap();
    Message {
        content: Some(content),
        ..Message::text(role, "")
    }
}

fn requests() -> Vec<ChatRequest> {
    let mut called = Message::text(Role::Assistant, "let me see");
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\": [1, 2]}"}});
    called.extra.insert("tool_calls".into(), json!([call]));
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}});
    let image = json!({"type": "image_url", "image_url": {"url": "https://x.example/y.png"}});
    let schema = Schema::new(
        json!({"type": "object", "title": "Ä", "properties": {"a": {"type": "integer"}}}),
    );
    let talk = vec![
        Message::text(Role::User, "häßlich 漢字"),
        Message::text(Role::System, "be brief"),
        Message::text(Role::User, "and?"),
        called,
        Message::text(Role::Tool, "3"),
        message(Role::User, json!([{"type": "text", "text": "look"}, image])),
        message(
            Role::User,
            json!([{"type": "tool_result", "tool_use_id": "t", "content": "four"}]),
        ),
        Message::text(Role::Developer, "in English"),
    ];
    vec![
        ChatRequest::prompt("x"),
        ChatRequest::prompt("x".repeat(1000)),
        ChatRequest::new(talk).with_param("tools", json!([tool])),
        ChatRequest::prompt("y").with_param("system", json!("be kind")),
        ChatRequest {
            schema: Some(schema.unwrap()),
            ..ChatRequest::prompt("z")
        },
    ]
}

#[tokio::test]
async fn the_simulators_rule_is_followed_exactly() {
    let session = Session::from_toml("[providers.sim]\nlatency = \"0ms\"").unwrap();
    let model = session.model("sim/demo").unwrap();
    let counter = Arc::new(Counter::for_model("sim", "demo"));
    for request in requests() {
        let count = counter.count(&request);
        assert!(count.is_exact());
        let reply = model.ask(request.clone()).await.unwrap();
        let used = reply.answer.usage().unwrap().input_tokens;
        assert_eq!(count.tokens, used, "{request:?}");
    }
}
