//! What holds for every request: nothing panics, no text is lost, and what is sent is a request of the protocol.
#![expect(deprecated, reason = "sampling ends with the era (SEP-2577)")]

use proptest::prelude::*;
use rmcp::model::CreateMessageRequestParams;
use serde_json::{Map, Value, json};

use super::*;

/// Any JSON, in the words of requests more often than not.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "text",
        "type",
        "image",
        "image_url",
        "tool_use",
        "tool_result",
        "input_audio",
        "thinking",
        "url",
        "id",
        "name",
        "data:image/png;base64,YQ==",
        "source",
        "data",
        "media_type",
        "input",
        "content",
        "tool_use_id",
        "function",
        "auto",
        "arguments",
        "{}",
        "parameters",
        "input_schema",
        "object",
        "required",
        "json_schema",
        "schema",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let fields = prop::collection::vec((word.clone(), inner.clone()), 0..5);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            fields.prop_map(|fields| {
                let fields = fields.into_iter();
                Value::Object(
                    fields
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    })
}

/// A part that is right, or anything.
fn any_part() -> impl Strategy<Value = Value> {
    let url = json!({"url": "data:image/png;base64,YQ=="});
    let right = prop::sample::select(vec![
        text("a"),
        text(""),
        json!({"type": "image_url", "image_url": url}),
        json!({"type": "input_audio", "input_audio": {"data": "YQ==", "format": "wav"}}),
        json!({"type": "tool_use", "id": "id", "name": "name", "input": {}}),
        json!({"type": "tool_result", "tool_use_id": "id", "content": "a"}),
    ]);
    prop_oneof![9 => right, 1 => any_json()]
}

/// Calls of tools, right or not.
fn any_calls() -> impl Strategy<Value = Value> {
    let call = json!({"id": "id", "function": {"name": "name", "arguments": "{}"}});
    prop_oneof![
        Just(Value::Null),
        Just(json!([call])),
        Just(json!([call, call])),
        any_json(),
    ]
}

fn any_role() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["system", "developer", "user", "assistant", "tool"])
}

fn any_capabilities() -> impl Strategy<Value = Capabilities> {
    let versions = vec![
        "2024-11-05",
        "2025-03-26",
        "2025-06-18",
        "2025-11-25",
        "2026-07-28",
    ];
    (any::<bool>(), prop::sample::select(versions))
        .prop_map(|(tools, version)| Capabilities::declared(true, tools, version))
}

/// A request of the protocol: the library reads it, and finds nothing wrong with it.
fn read(params: &Value) -> CreateMessageRequestParams {
    let read: CreateMessageRequestParams = serde_json::from_value(params.clone()).unwrap();
    read.validate().unwrap();
    read
}

/// The texts of a message's blocks.
fn texts(content: &Value) -> Vec<&str> {
    match content {
        Value::Array(blocks) => blocks.iter().filter_map(|it| it["text"].as_str()).collect(),
        block => block["text"].as_str().into_iter().collect(),
    }
}

proptest! {
    #[test]
    fn anything_is_mapped_or_refused(
        messages in prop::collection::vec((any_role(), prop::collection::vec(any_part(), 0..4), any_calls()), 0..5),
        tools in any_json(),
        choice in any_json(),
        format in any_json(),
        capabilities in any_capabilities(),
    ) {
        let messages = messages.into_iter().map(|(role, parts, calls)| {
            let mut extra = Map::new();
            extra.insert("role".to_owned(), json!(role));
            extra.insert("content".to_owned(), Value::Array(parts));
            extra.insert("tool_calls".to_owned(), calls);
            extra.insert("tool_call_id".to_owned(), json!("id"));
            Value::Object(extra)
        });
        let request = request(messages.collect())
            .with_param("tools", tools)
            .with_param("tool_choice", choice)
            .with_param("response_format", format);
        if let Ok(mapped) = params_of(&request, capabilities) {
            read(&mapped.params);
        }
    }

    #[test]
    fn no_text_is_lost_and_each_turn_keeps_its_role(
        turns in prop::collection::vec((any::<bool>(), prop::collection::vec("[a-z ]{0,8}", 0..4)), 1..6),
        capabilities in any_capabilities(),
    ) {
        let given: Value = turns.iter().map(|(is_user, said)| {
            let parts: Vec<Value> = said.iter().map(|said| text(said)).collect();
            json!({"role": if *is_user { "user" } else { "assistant" }, "content": parts})
        }).collect();
        let params = mapped(given, capabilities).unwrap().params;
        read(&params);
        let sent = params["messages"].as_array().unwrap();
        // texts alone are never several messages
        prop_assert_eq!(sent.len(), turns.len());
        for (message, (is_user, said)) in sent.iter().zip(&turns) {
            prop_assert_eq!(message["role"] == "user", *is_user);
            let said: Vec<&str> = said.iter().map(String::as_str).filter(|it| !it.is_empty()).collect();
            prop_assert_eq!(texts(&message["content"]).join("\n\n"), said.join("\n\n"));
            prop_assert!(capabilities.arrays || message["content"].is_object());
        }
    }

    #[test]
    fn any_result_is_an_answer_or_an_error(
        role in prop::sample::select(vec!["user", "assistant"]),
        content in any_json(),
        reason in any_json(),
        wants_json in any::<bool>(),
    ) {
        let result = json!({"role": role, "content": content, "stopReason": reason});
        let answer = super::super::answer::answer_of(&result, wants_json, std::time::SystemTime::UNIX_EPOCH);
        if let Ok(answer) = answer {
            prop_assert_eq!(role, "assistant");
            prop_assert_eq!(answer.usage(), None);
            let body: Value = serde_json::from_slice(&answer.body).unwrap();
            prop_assert_eq!(body["choices"][0]["finish_reason"].as_str(), Some(answer.finish_reason.as_str()));
        }
    }
}
