//! Streams that a front writes, event by event.

use antiphon_core::{Answer, ChatDelta, FinishReason, Spent, Usage, chat::ToolCallDelta};
use antiphon_providers::fronts::Told;
use serde_json::{Value, json};

use super::{decoded, events, front_of, head, reply, told, writer, written};

fn said(text: &str) -> ChatDelta {
    ChatDelta {
        text: text.to_owned(),
        ..ChatDelta::default()
    }
}

fn call(index: usize, name: Option<&str>, arguments: &str) -> ChatDelta {
    ChatDelta {
        tool_calls: vec![ToolCallDelta {
            index,
            id: name.map(|name| format!("id-{name}")),
            name: name.map(str::to_owned),
            arguments: arguments.to_owned(),
        }],
        ..ChatDelta::default()
    }
}

fn end(reason: FinishReason) -> ChatDelta {
    ChatDelta {
        finish_reason: Some(reason),
        usage: Some(Usage {
            input_tokens: 12,
            output_tokens: 3,
            cached_input_tokens: 8,
            ..Usage::default()
        }),
        ..ChatDelta::default()
    }
}

/// Thoughts, text and a call.
fn answer() -> Vec<ChatDelta> {
    vec![
        ChatDelta {
            model: Some("claude-x".to_owned()),
            ..ChatDelta::default()
        },
        ChatDelta {
            reasoning: Some("hm".to_owned()),
            ..ChatDelta::default()
        },
        said("Hi"),
        call(0, Some("f"), ""),
        call(0, None, "{}"),
        end(FinishReason::ToolCalls),
    ]
}

/// Data of the events, without what all chunks have in common.
fn chunks(stream: &str) -> Vec<Value> {
    let events = events(stream).into_iter().map(|(_, data)| data);
    let mut chunks: Vec<Value> = events.filter(|data| !data.is_null()).collect();
    for chunk in &mut chunks {
        let chunk = chunk.as_object_mut().unwrap();
        assert_eq!(chunk.shift_remove("id"), Some(json!("chatcmpl-r1")));
        assert_eq!(chunk.shift_remove("created"), Some(json!(7)));
        assert_eq!(chunk.shift_remove("model"), Some(json!("claude-x")));
        let object = chunk.shift_remove("object");
        assert_eq!(object, Some(json!("chat.completion.chunk")));
    }
    chunks
}

#[test]
fn chunks_of_a_chat_completion() {
    let stream = written(writer("openai", &head(Some("anthropic"))), answer());
    assert!(stream.ends_with("\n\ndata: [DONE]\n\n"));
    assert_eq!(stream.matches("[DONE]").count(), 1);
    let choice = |delta: Value, finish: Option<&str>| json!({"choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}], "usage": null});
    let first = json!({"index": 0, "id": "id-f", "type": "function", "function": {"name": "f", "arguments": ""}});
    let next = json!({"index": 0, "function": {"arguments": "{}"}});
    assert_eq!(
        chunks(&stream),
        [
            choice(
                json!({"role": "assistant", "content": "", "refusal": null}),
                None
            ),
            choice(json!({"reasoning_content": "hm"}), None),
            choice(json!({"content": "Hi"}), None),
            choice(json!({"tool_calls": [first]}), None),
            choice(json!({"tool_calls": [next]}), None),
            choice(json!({}), Some("tool_calls")),
            json!({"choices": [], "usage": {
                "prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15,
                "prompt_tokens_details": {"cached_tokens": 8},
                "completion_tokens_details": {"reasoning_tokens": 0}}}),
        ]
    );
}

#[test]
fn chunks_without_usage_that_nobody_asked_for() {
    let told = Told {
        wants_usage: false,
        ..told()
    };
    let stream = written(front_of("openai").writer(&head(None), told), answer());
    assert!(!stream.contains("usage"));
    assert!(stream.ends_with("\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n"));
}

/// Names of the events, each with what it carries.
fn named(stream: &str, fields: &[&str]) -> Vec<String> {
    let told = |(name, data): (String, Value)| {
        assert_eq!(data["type"], name.as_str());
        let values = fields.iter().map(|field| data.pointer(field));
        let values: Vec<String> = values.flatten().map(Value::to_string).collect();
        format!("{name} {}", values.join(" "))
    };
    events(stream).into_iter().map(told).collect()
}

#[test]
fn events_of_a_message() {
    let stream = written(writer("anthropic", &head(Some("openai"))), answer());
    let fields = [
        "/message/id",
        "/message/model",
        "/index",
        "/content_block/type",
        "/delta",
        "/usage/input_tokens",
    ];
    assert_eq!(
        named(&stream, &fields),
        [
            r#"message_start "msg_r1" "claude-x""#,
            r#"content_block_start 0 "thinking""#,
            r#"content_block_delta 0 {"type":"thinking_delta","thinking":"hm"}"#,
            "content_block_stop 0",
            r#"content_block_start 1 "text""#,
            r#"content_block_delta 1 {"type":"text_delta","text":"Hi"}"#,
            "content_block_stop 1",
            r#"content_block_start 2 "tool_use""#,
            r#"content_block_delta 2 {"type":"input_json_delta","partial_json":"{}"}"#,
            "content_block_stop 2",
            r#"message_delta {"stop_reason":"tool_use","stop_sequence":null} 4"#,
            "message_stop ",
        ]
    );
}

#[test]
fn events_of_a_response() {
    let stream = written(
        writer("openai-responses", &head(Some("anthropic"))),
        answer(),
    );
    let all = events(&stream);
    let numbers: Vec<_> = all
        .iter()
        .map(|(_, data)| data["sequence_number"].clone())
        .collect();
    let expected: Vec<_> = (0..all.len()).map(|number| json!(number)).collect();
    assert_eq!(numbers, expected);
    let fields = [
        "/output_index",
        "/item_id",
        "/item/type",
        "/item/status",
        "/delta",
        "/text",
        "/arguments",
        "/response/status",
    ];
    assert_eq!(
        named(&stream, &fields),
        [
            r#"response.created "in_progress""#,
            r#"response.in_progress "in_progress""#,
            r#"response.output_item.added 0 "reasoning""#,
            r#"response.reasoning_summary_part.added 0 "rs_r1_0""#,
            r#"response.reasoning_summary_text.delta 0 "rs_r1_0" "hm""#,
            r#"response.reasoning_summary_text.done 0 "rs_r1_0" "hm""#,
            r#"response.reasoning_summary_part.done 0 "rs_r1_0""#,
            r#"response.output_item.done 0 "reasoning""#,
            r#"response.output_item.added 1 "message" "in_progress""#,
            r#"response.content_part.added 1 "msg_r1_1""#,
            r#"response.output_text.delta 1 "msg_r1_1" "Hi""#,
            r#"response.output_text.done 1 "msg_r1_1" "Hi""#,
            r#"response.content_part.done 1 "msg_r1_1""#,
            r#"response.output_item.done 1 "message" "completed""#,
            r#"response.output_item.added 2 "function_call" "in_progress""#,
            r#"response.function_call_arguments.delta 2 "fc_r1_2" "{}""#,
            r#"response.function_call_arguments.done 2 "fc_r1_2" "{}""#,
            r#"response.output_item.done 2 "function_call" "completed""#,
            r#"response.completed "completed""#,
        ]
    );
    // the last event holds all of it, as a whole answer would
    let (_, last) = all.last().unwrap();
    let whole = decoded("openai-responses", last["response"].to_string().into());
    assert_eq!(whole.text, "Hi");
    assert_eq!(whole.reasoning.as_deref(), Some("hm"));
    assert_eq!(whole.tool_calls[0].id, "id-f");
    assert_eq!(whole.usage().unwrap().total(), 15);
    assert_eq!(whole.model.as_deref(), Some("claude-x"));
}

#[test]
fn why_an_answer_ended_in_the_words_of_each_wire() {
    let reasons = [
        (FinishReason::Stop, "stop", "end_turn", "completed"),
        (FinishReason::Length, "length", "max_tokens", "incomplete"),
        (
            FinishReason::ToolCalls,
            "tool_calls",
            "tool_use",
            "completed",
        ),
        (
            FinishReason::ContentFilter,
            "content_filter",
            "refusal",
            "incomplete",
        ),
    ];
    for (reason, openai, anthropic, responses) in reasons {
        let deltas = || vec![said("a"), end(reason.clone())];
        let last = |wire, path: &str| {
            let stream = written(writer(wire, &head(None)), deltas());
            let events = events(&stream);
            let found = events
                .iter()
                .rev()
                .find_map(|(_, data)| data.pointer(path).filter(|v| !v.is_null()).cloned());
            found.unwrap()
        };
        assert_eq!(last("openai", "/choices/0/finish_reason"), openai);
        assert_eq!(last("anthropic", "/delta/stop_reason"), anthropic);
        assert_eq!(last("openai-responses", "/response/status"), responses);
    }
}

#[test]
fn a_refusal_and_calls_without_ids_or_names_can_be_read() {
    let refused = || {
        vec![
            ChatDelta {
                refusal: Some("no".to_owned()),
                ..ChatDelta::default()
            },
            end(FinishReason::Stop),
        ]
    };
    let stream = written(writer("anthropic", &head(None)), refused());
    assert!(
        stream.contains(r#""stop_reason":"refusal""#) && stream.contains(r#""explanation":"no""#)
    );
    let stream = written(writer("openai-responses", &head(None)), refused());
    assert!(stream.contains("response.refusal.delta") && stream.contains("response.refusal.done"));

    let mut nameless = call(0, Some(""), "{}");
    nameless.tool_calls[0].id = None;
    for (wire, id) in [
        ("openai", "call_r1_0"),
        ("anthropic", "toolu_r1_0"),
        ("openai-responses", "call_r1_0"),
    ] {
        let stream = written(
            writer(wire, &head(None)),
            [nameless.clone(), end(FinishReason::ToolCalls)],
        );
        assert!(stream.contains(id), "{wire}: {stream}");
    }
}

#[test]
fn bodies_name_the_model_that_answered() {
    let answer = |model: Option<&str>| Answer {
        text: "a".to_owned(),
        finish_reason: FinishReason::Stop,
        reasoning: None,
        refusal: None,
        tool_calls: Vec::new(),
        model: model.map(str::to_owned),
        spent: Spent::answer(None),
        body: bytes::Bytes::new(),
        latency: std::time::Duration::ZERO,
    };
    for (wire, id) in [
        ("openai", "chatcmpl-r1"),
        ("anthropic", "msg_r1"),
        ("openai-responses", "resp_r1"),
    ] {
        for (reported, expected) in [(Some("dated"), "dated"), (None, "p/m")] {
            let body = front_of(wire).body(&reply(None, answer(reported)), &told());
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(
                (&body["model"], &body["id"]),
                (&json!(expected), &json!(id))
            );
        }
    }
    // a wire that demands numbers gets them; the others say that nothing is known
    let usage = |wire| {
        let body = front_of(wire).body(&reply(None, answer(None)), &told());
        serde_json::from_slice::<Value>(&body).unwrap()["usage"].clone()
    };
    assert_eq!(usage("openai"), Value::Null);
    assert_eq!(usage("openai-responses"), Value::Null);
    assert_eq!(usage("anthropic")["output_tokens"], 0);
}
