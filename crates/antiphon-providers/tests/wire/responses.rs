//! Answers of the Responses wire.

use antiphon_core::{ErrorKind, FinishReason, chat::Delivery};
use antiphon_providers::sse::SseEvent;
use serde_json::{Value, json};

use super::{decode, responses};

fn body(fields: Value) -> String {
    let mut body = json!({"model": "gpt-x", "status": "completed", "output": []});
    let (Value::Object(body_fields), Value::Object(fields)) = (&mut body, fields) else {
        panic!("objects")
    };
    body_fields.extend(fields);
    body.to_string()
}

#[test]
fn items_of_every_kind() {
    let answer = decode(
        responses(),
        body(json!({
            "output": [
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}]},
                {"type": "web_search_call", "status": "completed"},
                {"type": "message", "content": [{"type": "output_text", "text": "a", "annotations": []}, {"type": "output_text", "text": "b"}]},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            ],
            "usage": {"input_tokens": 12, "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 1},
                      "output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 4}},
        })),
    )
    .unwrap();
    assert_eq!(answer.text, "ab");
    assert_eq!(answer.reasoning.as_deref(), Some("one\n\ntwo"));
    assert_eq!(answer.tool_calls[0].id, "c");
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
    assert_eq!(answer.model.as_deref(), Some("gpt-x"));
    let usage = answer.usage().unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (12, 9));
    assert_eq!(
        (
            usage.cached_input_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens
        ),
        (8, 1, 4)
    );
}

#[test]
fn why_it_ended() {
    let cases = [
        (json!({}), FinishReason::Stop),
        (
            json!({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}),
            FinishReason::Length,
        ),
        (json!({"status": "incomplete"}), FinishReason::Length),
        (
            json!({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}),
            FinishReason::ContentFilter,
        ),
        (
            json!({"status": "incomplete", "incomplete_details": {"reason": "steered"}}),
            FinishReason::Other("steered".into()),
        ),
        (
            json!({"status": "queued"}),
            FinishReason::Other("queued".into()),
        ),
    ];
    for (fields, expected) in cases {
        assert_eq!(
            decode(responses(), body(fields)).unwrap().finish_reason,
            expected
        );
    }
    let refused =
        json!({"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}]});
    let answer = decode(responses(), body(refused)).unwrap();
    assert_eq!(answer.refusal.as_deref(), Some("no"));
}

#[test]
fn failures_in_place_of_an_answer() {
    let cases = [
        (
            json!({"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"}}),
            ErrorKind::RateLimited,
        ),
        (
            json!({"status": "failed", "error": {"code": "server_error", "message": "oops"}}),
            ErrorKind::ServerError,
        ),
        (
            json!({"status": "failed", "error": null}),
            ErrorKind::ServerError,
        ),
    ];
    for (fields, expected) in cases {
        let error = decode(responses(), body(fields.clone())).unwrap_err();
        assert_eq!(error.kind(), expected);
        let event = json!({"type": "response.failed", "response": fields});
        assert_eq!(push(&event).unwrap_err().kind(), expected);
    }
    let event = json!({"type": "error", "code": "context_length_exceeded", "message": "long", "param": null});
    let error = push(&event).unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::ContextLength, "long")
    );
}

fn push(event: &Value) -> Result<Option<antiphon_core::ChatDelta>, antiphon_core::Error> {
    let event = SseEvent {
        data: event.to_string().into(),
        ..SseEvent::default()
    };
    responses().stream_decoder(Delivery::Streamed).push(&event)
}

#[test]
fn arguments_that_come_with_the_end_of_their_item_only() {
    let mut decoder = responses().stream_decoder(Delivery::Streamed);
    let item = |arguments: &str| json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": arguments});
    let events = [
        json!({"type": "response.output_item.added", "output_index": 0, "item": item("")}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item("{}")}),
        json!({"type": "response.incomplete", "response": {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}}),
    ];
    let mut fold = antiphon_core::chat::Fold::new();
    for event in events {
        let event = SseEvent {
            data: event.to_string().into(),
            ..SseEvent::default()
        };
        fold.push(decoder.push(&event).unwrap().unwrap());
    }
    let answer = fold.finish(|_| bytes::Bytes::new()).unwrap();
    assert_eq!(answer.tool_calls[0].arguments, "{}");
    assert_eq!(answer.finish_reason, FinishReason::Length);
}
