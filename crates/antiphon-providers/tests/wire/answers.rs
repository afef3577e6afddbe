//! Whole answers: what they say, and every lenient form.

use antiphon_core::{ErrorKind, FinishReason, Usage};
use serde_json::{Value, json};

use super::{anthropic, decode, openai, responses};

const OPENAI: &str = include_str!("../fixtures/openai-answer.json");
const ANTHROPIC: &str = include_str!("../fixtures/anthropic-answer.json");

#[test]
fn the_sample_of_openai() {
    let answer = decode(openai(), OPENAI).unwrap();
    assert_eq!(answer.text, "Hi");
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    assert_eq!(answer.model.as_deref(), Some("gpt-x-2026-01-01"));
    assert_eq!(
        answer.usage(),
        Some(Usage {
            input_tokens: 12,
            output_tokens: 9,
            cached_input_tokens: 8,
            reasoning_tokens: 6,
            ..Usage::default()
        })
    );
    assert_eq!(answer.body, OPENAI);
    assert!(!answer.is_refusal());
}

#[test]
fn the_sample_of_anthropic_counts_cached_input_inside() {
    let answer = decode(anthropic(), ANTHROPIC).unwrap();
    assert_eq!(answer.text, "Hi");
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    let usage = answer.usage().unwrap();
    assert_eq!(usage.input_tokens, 12);
    assert_eq!(usage.cached_input_tokens, 8);
    assert_eq!(usage.output_tokens, 3);
}

/// The answer with another message, finish reason and usage.
fn completion(message: Value, finish_reason: Value) -> String {
    json!({"choices": [{"message": message, "finish_reason": finish_reason}]}).to_string()
}

#[test]
fn finish_reasons_of_openai() {
    let text = || json!({"content": "a"});
    let calls = || json!({"content": null, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]});
    let cases = [
        (text(), json!("stop"), FinishReason::Stop),
        (text(), json!("eos"), FinishReason::Stop),
        (text(), json!(""), FinishReason::Stop),
        (text(), json!(null), FinishReason::Stop),
        (text(), json!("length"), FinishReason::Length),
        (
            json!({"content": ""}),
            json!("length"),
            FinishReason::Length,
        ),
        (calls(), json!("tool_calls"), FinishReason::ToolCalls),
        (calls(), json!(null), FinishReason::ToolCalls),
        (text(), json!("content_filter"), FinishReason::ContentFilter),
        (text(), json!("abort"), FinishReason::Other("abort".into())),
    ];
    for (message, word, expected) in cases {
        let answer = decode(openai(), completion(message, word.clone())).unwrap();
        assert_eq!(answer.finish_reason, expected, "{word}");
    }
}

#[test]
fn lenient_forms_of_openai() {
    let stop = || json!("stop");
    let parts = json!({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]});
    let answer = decode(openai(), completion(parts, stop())).unwrap();
    assert_eq!(answer.text, "ab");
    assert_eq!(answer.usage(), None);

    let reasoning = json!({"content": "a", "reasoning": "r", "reasoning_content": "r", "x": [1]});
    assert_eq!(
        decode(openai(), completion(reasoning, stop()))
            .unwrap()
            .text,
        "a"
    );

    let object =
        json!({"content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]});
    let answer = decode(openai(), completion(object, stop())).unwrap();
    assert_eq!(answer.tool_calls[0].arguments, r#"{"a":1}"#);

    let legacy = json!({"content": null, "function_call": {"name": "f", "arguments": "{}"}});
    let answer = decode(openai(), completion(legacy, json!("function_call"))).unwrap();
    assert_eq!(answer.tool_calls[0].name, "f");
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
}

#[test]
fn usage_in_every_form() {
    let cases = [
        (json!(null), None),
        (json!({}), None),
        (json!({"prompt_tokens": 3}), Some((3, 0))),
        (
            json!({"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": null}),
            Some((3, 4)),
        ),
        (
            json!({"prompt_tokens": "3", "completion_tokens": 4.0}),
            Some((3, 4)),
        ),
        (
            json!({"prompt_tokens": -1, "completion_tokens": 4}),
            Some((0, 4)),
        ),
    ];
    for (usage, expected) in cases {
        let body = json!({"choices": [{"message": {"content": "a"}}], "usage": usage});
        let answer = decode(openai(), body.to_string()).unwrap();
        let totals = answer
            .usage()
            .map(|told| (told.input_tokens, told.output_tokens));
        assert_eq!(totals, expected, "{usage}");
    }
}

#[test]
fn refusals() {
    let refused = json!({"content": null, "refusal": "I cannot"});
    let answer = decode(openai(), completion(refused, json!("stop"))).unwrap();
    assert_eq!(answer.refusal.as_deref(), Some("I cannot"));
    assert!(answer.is_refusal());

    let always_sent = json!({"content": "a", "refusal": ""});
    let answer = decode(openai(), completion(always_sent, json!("stop"))).unwrap();
    assert!(!answer.is_refusal());

    let body = json!({"content": [], "stop_reason": "refusal", "stop_details": {"category": "c", "explanation": "why"}});
    let answer = decode(anthropic(), body.to_string()).unwrap();
    assert_eq!(answer.refusal.as_deref(), Some("why"));
    assert!(answer.is_refusal());
}

#[test]
fn stop_reasons_of_anthropic() {
    let cases = [
        ("end_turn", FinishReason::Stop),
        ("stop_sequence", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("model_context_window_exceeded", FinishReason::Length),
        ("tool_use", FinishReason::ToolCalls),
        ("refusal", FinishReason::ContentFilter),
        ("pause_turn", FinishReason::Other("pause_turn".into())),
    ];
    for (word, expected) in cases {
        let body = json!({"content": [{"type": "text", "text": "a"}], "stop_reason": word});
        let answer = decode(anthropic(), body.to_string()).unwrap();
        assert_eq!(answer.finish_reason, expected);
    }
}

#[test]
fn blocks_of_anthropic() {
    let body = json!({"content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "a"},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "text", "text": "b"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
    ], "stop_reason": "tool_use"});
    let answer = decode(anthropic(), body.to_string()).unwrap();
    assert_eq!(answer.text, "ab");
    assert_eq!(answer.tool_calls.len(), 1);
    assert_eq!(answer.tool_calls[0].arguments, r#"{"a":1}"#);
}

#[test]
fn the_first_of_several_choices_counts() {
    let body = json!({"choices": [
        {"index": 1, "message": {"content": "b"}, "finish_reason": "stop"},
        {"index": 0, "message": {"content": "a"}, "finish_reason": "length"},
    ]});
    let answer = decode(openai(), body.to_string()).unwrap();
    assert_eq!(answer.text, "a");
    assert_eq!(answer.finish_reason, FinishReason::Length);
}

#[test]
fn what_is_no_answer_is_a_bad_response() {
    let bodies: [&[u8]; 11] = [
        b"",
        b"  \n",
        b"<html><title>Welcome</title></html>",
        b"{\"choices\":[{\"message\":{\"content\":\"cut",
        b"{\"choices\":[]}",
        b"{\"choices\":null,\"content\":null}",
        b"{}",
        b"[]",
        b"{\"choices\":[{\"message\":{\"content\":\"\xFF\"}}],\"content\":[{\"type\":\"text\",\"text\":\"\xFF\"}]}",
        b"{\"choices\":[{\"message\":{\"content\":\"\"},\"finish_reason\":null}],\"content\":[]}",
        b"{\"choices\":[{\"message\":null}],\"content\":[],\"stop_reason\":null} trailing",
    ];
    for dialect in [openai(), anthropic(), responses()] {
        for body in bodies {
            let error = decode(dialect, body).unwrap_err();
            let shown = String::from_utf8_lossy(body);
            assert_eq!(error.kind(), ErrorKind::BadResponse, "{shown}");
            assert_eq!(error.status(), Some(200));
            assert_eq!(error.request_id(), Some("req_1"));
        }
    }
}

#[test]
fn an_error_object_inside_a_200_is_classified() {
    let cases = [
        (
            json!({"error": {"message": "slow down", "code": 429}}),
            ErrorKind::RateLimited,
        ),
        (
            json!({"error": {"message": "x", "type": "insufficient_quota"}}),
            ErrorKind::QuotaExhausted,
        ),
        (
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}),
            ErrorKind::Overloaded,
        ),
        (
            json!({"error": "queue full", "choices": [], "content": []}),
            ErrorKind::ServerError,
        ),
    ];
    for dialect in [openai(), anthropic(), responses()] {
        for (body, expected) in &cases {
            let error = decode(dialect, body.to_string()).unwrap_err();
            assert_eq!(error.kind(), *expected, "{body}");
        }
    }
    let fine = json!({"error": null, "choices": [{"message": {"content": "a"}}]});
    assert!(decode(openai(), fine.to_string()).is_ok());
}

#[test]
fn a_body_over_several_lines_stays_as_it_came() {
    for (dialect, sample) in [(openai(), OPENAI), (anthropic(), ANTHROPIC)] {
        let value: Value = serde_json::from_str(sample).unwrap();
        let pretty = serde_json::to_string_pretty(&value)
            .unwrap()
            .replace('\n', "\r\n");
        let answer = decode(dialect, pretty.clone()).unwrap();
        assert_eq!(answer.body, pretty);
    }
}

#[test]
fn cache_writes_of_an_hour_are_told_apart() {
    let usage = json!({"input_tokens": 5, "output_tokens": 3, "cache_creation_input_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4}});
    let body = json!({"content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn", "usage": usage});
    let answer = decode(anthropic(), body.to_string()).unwrap();
    let usage = answer.usage().unwrap();
    assert_eq!((usage.input_tokens, usage.cache_write_tokens), (12, 7));
    assert_eq!(usage.cache_write_1h_tokens, 4);
    let again = decode(anthropic(), anthropic().whole_body(&answer)).unwrap();
    assert_eq!(again.usage(), Some(usage));
}

#[test]
fn a_foreign_answer_written_and_read_again_is_the_same() {
    let mut answer = decode(anthropic(), ANTHROPIC).unwrap();
    answer.tool_calls.push(antiphon_core::chat::ToolCall {
        id: "1".into(),
        name: "f".into(),
        arguments: r#"{"a":1}"#.into(),
    });
    answer.finish_reason = FinishReason::ToolCalls;
    answer.reasoning = Some("hm".into());
    for dialect in [openai(), anthropic(), responses()] {
        let mut again = decode(dialect, dialect.whole_body(&answer)).unwrap();
        again.body = answer.body.clone();
        assert_eq!(again, answer, "{}", dialect.name());
    }
}

#[test]
fn thoughts_are_told_apart_from_text() {
    for (name, thought) in [("reasoning_content", "hm"), ("reasoning", "hm")] {
        let message = json!({"content": "a", name: thought});
        let answer = decode(openai(), completion(message, json!("stop"))).unwrap();
        assert_eq!(
            (answer.text.as_str(), answer.reasoning.as_deref()),
            ("a", Some("hm"))
        );
    }
    let message = json!({"content": "a", "reasoning_content": "", "reasoning": null});
    let answer = decode(openai(), completion(message, json!("stop"))).unwrap();
    assert_eq!(answer.reasoning, None);
    let blocks = json!([
        {"type": "thinking", "thinking": "h", "signature": "s"}, {"type": "redacted_thinking", "data": "x"},
        {"type": "thinking", "thinking": "m", "signature": "s"}, {"type": "text", "text": "a"}]);
    let body = json!({"content": blocks, "stop_reason": "end_turn"});
    let answer = decode(anthropic(), body.to_string()).unwrap();
    assert_eq!(
        (answer.text.as_str(), answer.reasoning.as_deref()),
        ("a", Some("hm"))
    );
}
