//! Requests of the Responses wire, for providers who speak it and for those who do not.

use antiphon_core::{ChatRequest, ErrorKind, chat::Delivery};
use antiphon_providers::dialects::EncodeTarget;
use serde_json::{Map, Value, json};

use super::{dialect_of, front_of};

fn parse(wire: Value) -> ChatRequest {
    front_of("openai-responses")
        .parse(fields(wire))
        .unwrap()
        .request
}

fn fields(wire: Value) -> Map<String, Value> {
    match wire {
        Value::Object(fields) => fields,
        other => panic!("{other} is no object"),
    }
}

fn target(provider: &'static str) -> EncodeTarget<'static> {
    EncodeTarget {
        provider,
        model: "m",
        version: None,
    }
}

/// What a dialect sends for a request.
fn sent(dialect: &str, request: &ChatRequest) -> Value {
    let encoded = dialect_of(dialect)
        .encode(request, &target("local"))
        .unwrap();
    serde_json::from_slice(&encoded.body).unwrap()
}

fn rich() -> Value {
    json!({
        "model": "asked", "instructions": "be brief",
        "input": [
            {"role": "user", "content": [
                {"type": "input_text", "text": "what is it?", "x": 1},
                {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "zzz"},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "calling", "annotations": []}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{\"a\":1}"},
            {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "r1"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "r2"}]},
        ],
        "max_output_tokens": 9, "temperature": 0.2, "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object", "properties": {}, "additionalProperties": false}, "strict": true}, "verbosity": "low"},
        "tools": [{"type": "function", "name": "f", "description": null, "parameters": {"type": "object"}, "strict": true}],
        "tool_choice": {"type": "function", "name": "f"}, "parallel_tool_calls": false,
        "store": true, "include": ["reasoning.encrypted_content"], "truncation": "auto", "stream": true,
        "future": {"z": 1},
    })
}

#[test]
fn items_become_messages_and_flat_things_nested() {
    let request = parse(rich());
    assert_eq!(request.delivery, Delivery::Streamed);
    let sent = sent("openai", &request);
    let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    assert_eq!(
        sent,
        json!({
            "model": "m",
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": [
                    {"type": "text", "text": "what is it?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}}]},
                {"role": "assistant", "content": "calling", "tool_calls": [call("c1", "f", "{\"a\":1}"), call("c2", "g", "{}")]},
                {"role": "tool", "content": "r1", "tool_call_id": "c1"},
                {"role": "tool", "content": "r2", "tool_call_id": "c2"},
            ],
            "stream": true, "stream_options": {"include_usage": true},
            "max_tokens": 9, "temperature": 0.2, "reasoning_effort": "low", "verbosity": "low",
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object", "properties": {}, "additionalProperties": false}, "strict": true}},
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": true}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": false,
            "future": {"z": 1},
        })
    );
    // and from there to Anthropic
    let anthropic = self::sent("anthropic", &request);
    assert_eq!(anthropic["messages"][1]["content"][1]["type"], "tool_use");
    assert_eq!(anthropic["output_config"]["effort"], "low");
}

#[test]
fn a_provider_of_the_wire_gets_the_callers_own_words() {
    let request = parse(rich());
    let mut expected = rich();
    expected["model"] = json!("m");
    assert_eq!(sent("openai-responses", &request), expected);
    let encoded = dialect_of("openai-responses")
        .encode(&request, &target("openai"))
        .unwrap();
    assert_eq!(encoded.path, "/responses");
    assert!(encoded.streamed);

    // configured parameters are laid beneath, changed ones count, and a whole answer is asked for as one
    let mut request = parse(json!({"input": "hi", "stream": true, "text": {"format": {"type": "text"}}, "temperature": 1.0}))
        .with_param("max_tokens", json!(5))
        .with_param("reasoning_effort", json!("high"))
        .with_param("verbosity", json!("low"))
        .with_param("temperature", json!(0.5))
        .with_param("stop", json!("x"));
    request.delivery = Delivery::Whole;
    let encoded = dialect_of("openai-responses")
        .encode(&request, &target("local"))
        .unwrap();
    assert_eq!(encoded.dropped, ["stop"]);
    assert_eq!(
        serde_json::from_slice::<Value>(&encoded.body).unwrap(),
        json!({
            "input": "hi", "text": {"format": {"type": "text"}, "verbosity": "low"}, "temperature": 0.5,
            "model": "m", "max_output_tokens": 5, "reasoning": {"effort": "high"},
        })
    );
}

#[test]
fn what_only_openai_can_do_fails_where_another_is_asked() {
    let cases = [
        (
            json!({"input": "a", "previous_response_id": "resp_1"}),
            "previous_response_id",
        ),
        (
            json!({"previous_response_id": "resp_1"}),
            "previous_response_id",
        ),
        (
            json!({"input": "a", "conversation": {"id": "c"}}),
            "conversation",
        ),
        (json!({"input": "a", "background": true}), "background"),
        (json!({"prompt": {"id": "p"}}), "prompt"),
        (
            json!({"input": "a", "tools": [{"type": "web_search"}]}),
            "web_search",
        ),
        (
            json!({"input": "a", "tool_choice": {"type": "file_search"}}),
            "file_search",
        ),
        (
            json!({"input": [{"type": "item_reference", "id": "x"}]}),
            "item_reference",
        ),
        (
            json!({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}),
            "file_id",
        ),
        (
            json!({"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "u"}]}]}),
            "file_url",
        ),
    ];
    for (wire, word) in cases {
        let request = parse(wire.clone());
        for dialect in ["openai", "anthropic"] {
            let error = dialect_of(dialect)
                .encode(&request, &target("local"))
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadRequest);
            assert!(error.message().contains(word), "{error}");
        }
        let mut expected = wire;
        expected["model"] = json!("m");
        assert_eq!(sent("openai-responses", &request), expected);
        // words that were added to it are in no caller's body
        let changed = request.with_system("more");
        assert!(
            dialect_of("openai-responses")
                .encode(&changed, &target("openai"))
                .is_err()
        );
    }
    // what says no is no reason
    let harmless = parse(
        json!({"input": "a", "previous_response_id": null, "background": false, "store": true}),
    );
    assert_eq!(sent("openai", &harmless)["messages"][0]["content"], "a");
}

#[test]
fn requests_that_are_none_say_why() {
    let cases = [
        (json!({}), "`input` is missing"),
        (json!({"input": 7}), "neither text nor a list"),
        (json!({"input": [7]}), "input[0]"),
        (json!({"input": ["a"]}), "input[0]"),
        (json!({"input": [{"content": "a"}]}), "input[0]"),
        (json!({"input": [{"role": "user"}]}), "input[0]"),
        (json!({"input": "a", "instructions": []}), "instructions"),
        (json!({"input": "a", "stream": "yes"}), "stream"),
        (json!({"input": "a", "model": 7}), "model"),
    ];
    for (wire, expected) in cases {
        let error = front_of("openai-responses")
            .parse(fields(wire))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidLine);
        assert!(error.message().contains(expected), "{error}");
    }
}

#[test]
fn any_request_can_be_put_to_a_server_of_the_wire() {
    let wire = json!({
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u"}}]},
            {"role": "assistant", "content": "b", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "r"},
        ],
        "max_tokens": 5, "n": 1, "seed": 3, "tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "auto",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
    });
    let request = front_of("openai").parse(fields(wire)).unwrap().request;
    let encoded = dialect_of("openai-responses")
        .encode(&request, &target("local"))
        .unwrap();
    assert_eq!(encoded.dropped, ["seed"]);
    assert_eq!(
        serde_json::from_slice::<Value>(&encoded.body).unwrap(),
        json!({
            "model": "m",
            "input": [
                {"type": "message", "role": "system", "content": "s"},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "u"}]},
                {"type": "message", "role": "assistant", "content": "b"},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "r"},
            ],
            "store": false, "max_output_tokens": 5,
            "tools": [{"name": "f", "type": "function"}], "tool_choice": "auto",
            "text": {"format": {"name": "n", "schema": {}, "type": "json_schema"}},
        })
    );
}

#[test]
fn anthropics_words_reach_a_server_of_the_wire() {
    let wire = json!({
        "max_tokens": 5, "system": "s",
        "messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "r"}]}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}], "tool_choice": {"type": "any"},
        "output_config": {"effort": "high"}, "stop_sequences": ["x"],
    });
    let request = front_of("anthropic").parse(fields(wire)).unwrap().request;
    let dialect = dialect_of("openai-responses");
    let encoded = dialect.encode(&request, &target("local")).unwrap();
    assert_eq!(encoded.dropped, ["stop"]);
    assert_eq!(
        serde_json::from_slice::<Value>(&encoded.body).unwrap(),
        json!({
            "model": "m",
            "input": [
                {"type": "message", "role": "system", "content": "s"},
                {"type": "function_call_output", "call_id": "c", "output": "r"},
            ],
            "store": false, "max_output_tokens": 5, "reasoning": {"effort": "high"},
            "tools": [{"name": "f", "parameters": {"type": "object"}, "type": "function"}], "tool_choice": "required",
        })
    );
}
