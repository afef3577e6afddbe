//! Requests: what each wire is sent, and that any wire in front reaches any dialect behind.

use antiphon_core::{ChatRequest, ErrorKind, Schema, chat::Delivery};
use antiphon_providers::dialects::{Dialect, EncodeTarget, Encoded};
use serde_json::{Value, json};

use super::{anthropic, openai};

const OPENAI: EncodeTarget<'static> = target("openai", "gpt-x");
const LOCAL: EncodeTarget<'static> = target("local", "gpt-x");
const ANTHROPIC: EncodeTarget<'static> = target("anthropic", "claude-x");

const fn target(provider: &'static str, model: &'static str) -> EncodeTarget<'static> {
    EncodeTarget {
        provider,
        model,
        version: None,
    }
}

fn parse(dialect: &dyn Dialect, wire: Value) -> ChatRequest {
    let Value::Object(wire) = wire else {
        panic!("an object")
    };
    dialect.parse_request(wire).unwrap().request
}

fn body(encoded: &Encoded) -> Value {
    serde_json::from_slice(&encoded.body).unwrap()
}

/// Body and dropped parameters of a request in OpenAI's wire, sent to a target.
fn sent(dialect: &dyn Dialect, target: EncodeTarget<'_>, fields: Value) -> (Value, Vec<String>) {
    let mut wire = json!({"messages": [{"role": "user", "content": "a"}]});
    let Value::Object(fields) = fields else {
        panic!("an object")
    };
    wire.as_object_mut().unwrap().extend(fields);
    let encoded = dialect.encode(&parse(openai(), wire), &target).unwrap();
    (body(&encoded), encoded.dropped)
}

#[test]
fn openai_to_openai_is_the_same_text() {
    let wire = r#"{"model":"gpt-x","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}],"name":"n"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","content":"r","tool_call_id":"1"}],"temperature":0.20,"max_tokens":5,"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"auto","unknown":{"z":1,"a":[null]}}"#;
    let request = parse(openai(), serde_json::from_str(wire).unwrap());
    let encoded = openai().encode(&request, &OPENAI).unwrap();
    assert_eq!(encoded.path, "/chat/completions");
    assert_eq!(encoded.dropped, Vec::<String>::new());
    assert_eq!(encoded.headers["content-type"], "application/json");
    // numbers keep their value, not their spelling
    let expected = wire.replace("0.20", "0.2");
    assert_eq!(String::from_utf8_lossy(&encoded.body), expected);
}

#[test]
fn anthropic_to_anthropic_is_the_same() {
    let wire = json!({
        "model": "claude-x", "max_tokens": 5,
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "t", "signature": "s"},
                {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "r", "is_error": true}]},
        ],
        "stop_sequences": ["x"], "top_k": 3, "temperature": 0.2,
        "thinking": {"type": "adaptive"}, "metadata": {"user_id": "u"},
        "tools": [{"name": "f", "input_schema": {"type": "object"}}, {"type": "web_search_20250305", "name": "web_search"}],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true},
        "output_config": {"effort": "xhigh"}, "service_tier": "standard_only", "future": 1,
    });
    let request = parse(anthropic(), wire.clone());
    let encoded = anthropic().encode(&request, &ANTHROPIC).unwrap();
    assert_eq!(body(&encoded), wire);
    assert_eq!(encoded.dropped, Vec::<String>::new());
    assert_eq!(encoded.path, "/v1/messages");
    assert_eq!(encoded.headers["anthropic-version"], "2023-06-01");
}

#[test]
fn openai_to_anthropic() {
    let wire = json!({
        "messages": [
            {"role": "system", "content": "one"},
            {"role": "developer", "content": "two"},
            {"role": "user", "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
                {"type": "file", "file": {"filename": "d.pdf", "file_data": "data:application/pdf;base64,BB=="}}]},
            {"role": "assistant", "content": "", "refusal": null, "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}},
                {"id": "2", "type": "function", "function": {"name": "g", "arguments": ""}}]},
            {"role": "tool", "tool_call_id": "1", "content": "r1"},
            {"role": "tool", "tool_call_id": "2", "content": [{"type": "text", "text": "r2"}]},
            {"role": "user", "content": "b", "name": "bob"},
        ],
        "stop": "x", "user": "u", "reasoning_effort": "minimal", "parallel_tool_calls": false,
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}},
                  {"type": "function", "function": {"name": "g"}}],
        "tool_choice": "required",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}}},
    });
    let encoded = anthropic()
        .encode(&parse(openai(), wire), &ANTHROPIC)
        .unwrap();
    let expected = json!({
        "model": "claude-x", "max_tokens": 4096,
        "system": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "a"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
                {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "BB=="}, "title": "d.pdf"}]},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}},
                {"type": "tool_use", "id": "2", "name": "g", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": "r1"},
                {"type": "tool_result", "tool_use_id": "2", "content": [{"type": "text", "text": "r2"}]}]},
            {"role": "user", "content": "b"},
        ],
        "stop_sequences": ["x"], "metadata": {"user_id": "u"},
        "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": true},
                  {"name": "g", "input_schema": {"type": "object", "properties": {}}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {
            "type": "object", "properties": {"a": {"type": "integer", "description": "(minimum: 1)"}}, "additionalProperties": false}}},
    });
    assert_eq!(body(&encoded), expected);
    assert_eq!(encoded.dropped, ["messages.name"]);
}

#[test]
fn anthropic_to_openai() {
    let wire = json!({
        "max_tokens": 5, "system": "s",
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
                {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "t", "signature": "s"},
                {"type": "text", "text": "calling"},
                {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "r"}]},
                {"type": "text", "text": "b"}]},
        ],
        "stop_sequences": ["x"], "top_k": 3, "thinking": {"type": "adaptive"}, "metadata": {"user_id": "u"},
        "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}, {"type": "web_search_20250305", "name": "web_search"}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "output_config": {"effort": "high"}, "service_tier": "standard_only",
    });
    let encoded = openai().encode(&parse(anthropic(), wire), &OPENAI).unwrap();
    let expected = json!({
        "model": "gpt-x", "max_tokens": 5,
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]},
            {"role": "assistant", "content": "calling", "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]},
            {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "r"}]},
            {"role": "user", "content": [{"type": "text", "text": "b"}]},
        ],
        "stop": ["x"], "user": "u",
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}],
        "tool_choice": "required", "parallel_tool_calls": false,
        "reasoning_effort": "high", "service_tier": "default",
    });
    assert_eq!(body(&encoded), expected);
    assert_eq!(
        encoded.dropped,
        [
            "cache_control",
            "messages.thinking",
            "top_k",
            "thinking",
            "tools.web_search"
        ]
    );
}

#[test]
fn what_cannot_be_put_is_a_bad_request() {
    let audio = json!({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]});
    let file = json!({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]});
    let calls = json!({"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}]});
    for wire in [audio, file, calls] {
        let error = anthropic()
            .encode(&parse(openai(), wire), &ANTHROPIC)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest);
    }
    let image = json!({"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}]});
    let error = openai()
        .encode(&parse(anthropic(), image), &OPENAI)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadRequest);
}

#[test]
fn reasoning_models_of_openai_itself() {
    let params = || json!({"max_tokens": 9, "temperature": 0.2, "top_p": 1});
    let (body, dropped) = sent(openai(), target("openai", "o3-mini"), params());
    assert_eq!(body["max_completion_tokens"], 9);
    assert_eq!(body.get("max_tokens"), None);
    assert_eq!(body.get("temperature"), None);
    assert_eq!(body["top_p"], 1);
    assert_eq!(dropped, ["temperature"]);

    for other in [target("openai", "gpt-4o"), target("local", "o3-mini")] {
        let (body, dropped) = sent(openai(), other, params());
        assert_eq!(body["max_tokens"], 9);
        assert_eq!(body["temperature"], 0.2);
        assert!(dropped.is_empty());
    }
}

#[test]
fn compatible_servers_keep_what_openai_refuses() {
    let (body, dropped) = sent(openai(), LOCAL, json!({"top_k": 3, "min_p": 0.1}));
    assert_eq!((&body["top_k"], &body["min_p"]), (&json!(3), &json!(0.1)));
    assert!(dropped.is_empty());
}

#[test]
fn what_anthropic_has_no_word_for_is_dropped_and_listed() {
    let params = json!({"seed": 1, "n": 2, "logprobs": true, "frequency_penalty": 1, "service_tier": "flex",
        "response_format": {"type": "json_object"}, "metadata": {"k": "v"}, "reasoning_effort": "none", "stop": null});
    let (body, dropped) = sent(anthropic(), ANTHROPIC, params);
    let names: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["model", "max_tokens", "messages", "thinking"]);
    assert_eq!(body["thinking"], json!({"type": "disabled"}));
    assert_eq!(
        dropped,
        [
            "seed",
            "n",
            "logprobs",
            "frequency_penalty",
            "service_tier",
            "response_format",
            "metadata"
        ]
    );
    let (_, dropped) = sent(
        anthropic(),
        ANTHROPIC,
        json!({"n": 1, "max_completion_tokens": 7}),
    );
    assert!(dropped.is_empty());
}

#[test]
fn sampling_depends_on_the_version() {
    let params = || json!({"temperature": 0.5, "top_k": 3});
    let (body, dropped) = sent(anthropic(), ANTHROPIC, params());
    assert_eq!(body["temperature"], 0.5);
    assert!(dropped.is_empty());
    let newer = EncodeTarget {
        version: Some("2026-10-21"),
        ..ANTHROPIC
    };
    let (body, dropped) = sent(anthropic(), newer, params());
    assert_eq!(body.get("temperature"), None);
    assert_eq!(dropped, ["temperature", "top_k"]);
}

#[test]
fn long_answers_of_anthropic_are_streamed() {
    for (tokens, streamed) in [(21_333, false), (21_334, true)] {
        let request = ChatRequest::prompt("a").with_param("max_tokens", json!(tokens));
        let encoded = anthropic().encode(&request, &ANTHROPIC).unwrap();
        assert_eq!(encoded.streamed, streamed);
        assert_eq!(body(&encoded).get("stream").is_some(), streamed);
    }
}

#[test]
fn streams_of_openai_tell_their_usage() {
    let mut request = ChatRequest::prompt("a");
    request.delivery = Delivery::Streamed;
    let encoded = openai().encode(&request, &OPENAI).unwrap();
    assert!(encoded.streamed);
    let sent = body(&encoded);
    assert_eq!(sent["stream"], true);
    assert_eq!(sent["stream_options"], json!({"include_usage": true}));

    // what else the caller set stays; without usage nobody knows what the stream has cost
    let options = json!({"include_obfuscation": false, "include_usage": false});
    let request = request.with_param("stream_options", options);
    let encoded = openai().encode(&request, &OPENAI).unwrap();
    assert_eq!(
        body(&encoded)["stream_options"],
        json!({"include_obfuscation": false, "include_usage": true})
    );

    let (body, dropped) = sent_whole_with_stream_options();
    assert_eq!(body.get("stream_options"), None);
    assert_eq!(dropped, ["stream_options"]);
}

fn sent_whole_with_stream_options() -> (Value, Vec<String>) {
    sent(
        openai(),
        OPENAI,
        json!({"stream_options": {"include_usage": true}}),
    )
}

#[test]
fn both_wires_read_stream_and_model() {
    for dialect in [openai(), anthropic()] {
        let wire = json!({"model": "m", "messages": [{"role": "user", "content": "a"}], "stream": true, "x": 1});
        let Value::Object(wire) = wire else { panic!() };
        let read = dialect.parse_request(wire).unwrap();
        assert_eq!(read.model.as_deref(), Some("m"));
        assert_eq!(read.request.delivery, Delivery::Streamed);
        assert_eq!(
            Value::Object((*read.request.params).clone()),
            json!({"x": 1})
        );
    }
}

fn with_schema(json: Value) -> ChatRequest {
    let mut request =
        ChatRequest::prompt("a").with_param("response_format", json!({"type": "text"}));
    request.schema = Some(Schema::new(json).unwrap());
    request
}

#[test]
fn a_schema_replaces_the_response_format() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let encoded = openai()
        .encode(&with_schema(schema.clone()), &OPENAI)
        .unwrap();
    let text = String::from_utf8_lossy(&encoded.body);
    assert_eq!(text.matches("response_format").count(), 1);
    assert_eq!(
        body(&encoded)["response_format"],
        json!({"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": {
            "type": "object", "properties": {"a": {"type": ["string", "null"]}}, "required": ["a"], "additionalProperties": false}}})
    );
    let encoded = anthropic()
        .encode(&with_schema(schema), &ANTHROPIC)
        .unwrap();
    assert_eq!(
        body(&encoded)["output_config"]["format"],
        json!({"type": "json_schema", "schema": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false}})
    );
}

#[test]
fn a_schema_whose_root_is_no_object_is_refused_before_sending() {
    let error = openai()
        .encode(&with_schema(json!({"type": "array"})), &OPENAI)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadRequest);
    assert!(error.message().contains("root"));
}
