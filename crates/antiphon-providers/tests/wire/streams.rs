//! Streamed answers: what they fold to, and where they break.

use antiphon_core::{
    Answer, ChatDelta, Error, ErrorKind, FinishReason,
    chat::{Delivery, Fold},
};
use antiphon_providers::{
    dialects::{Dialect, Progress, StreamDecoder},
    sse::SseParser,
};
use serde_json::{Value, json};

use super::{anthropic, openai, responses};

const OPENAI: &str = include_str!("../fixtures/openai-stream.txt");
const OPENAI_TOOLS: &str = include_str!("../fixtures/openai-stream-tools.txt");
const ANTHROPIC: &str = include_str!("../fixtures/anthropic-stream.txt");
const ANTHROPIC_TOOLS: &str = include_str!("../fixtures/anthropic-stream-tools.txt");

const RESPONSES: &str = include_str!("../fixtures/openai-responses-stream.txt");

fn samples() -> [(&'static dyn Dialect, &'static str); 5] {
    [
        (openai(), OPENAI),
        (openai(), OPENAI_TOOLS),
        (anthropic(), ANTHROPIC),
        (anthropic(), ANTHROPIC_TOOLS),
        (responses(), RESPONSES),
    ]
}

/// Feeds the chunks; the decoder and all deltas at the end of the bytes.
fn read<'a>(
    dialect: &dyn Dialect,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Box<dyn StreamDecoder>, Vec<ChatDelta>), Error> {
    let mut parser = SseParser::default();
    let mut decoder = dialect.stream_decoder(Delivery::Whole);
    let mut deltas = Vec::new();
    for chunk in chunks {
        let mut events = Vec::new();
        parser.push(chunk, &mut events)?;
        for event in events {
            deltas.extend(decoder.push(&event)?);
        }
    }
    decoder.finish()?;
    Ok((decoder, deltas))
}

fn fold(dialect: &dyn Dialect, stream: &[u8]) -> Result<Answer, Error> {
    fold_chunks(dialect, [stream])
}

fn fold_chunks<'a>(
    dialect: &dyn Dialect,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Answer, Error> {
    let (decoder, deltas) = read(dialect, chunks)?;
    let mut fold = Fold::new();
    deltas.into_iter().for_each(|delta| fold.push(delta));
    fold.finish(|answer| decoder.whole_body(answer))
}

#[test]
fn text_and_usage() {
    let answer = fold(openai(), OPENAI.as_bytes()).unwrap();
    assert_eq!(answer.text, "Héllo");
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    assert_eq!(answer.usage().unwrap().total(), 13);
    assert_eq!(answer.model.as_deref(), Some("gpt-x"));

    let answer = fold(anthropic(), ANTHROPIC.as_bytes()).unwrap();
    assert_eq!(answer.text, "Héllo");
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    // told twice, never added; the cached count of the start stands
    let usage = answer.usage().unwrap();
    assert_eq!((usage.input_tokens, usage.cached_input_tokens), (12, 8));
    assert_eq!(usage.output_tokens, 3);
}

#[test]
fn the_life_of_cache_writes_is_told_at_the_start_and_stands() {
    let told = r#""usage":{"cache_creation_input_tokens":4,"cache_creation":{"ephemeral_1h_input_tokens":4},"#;
    let stream = ANTHROPIC.replacen(r#""usage":{"#, told, 1);
    let usage = fold(anthropic(), stream.as_bytes())
        .unwrap()
        .usage()
        .unwrap();
    assert_eq!(usage.cache_write_tokens, 4);
    assert_eq!(usage.cache_write_1h_tokens, 4);
}

#[test]
fn interleaved_and_repeated_tool_calls() {
    let answer = fold(openai(), OPENAI_TOOLS.as_bytes()).unwrap();
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
    let calls: Vec<_> = answer
        .tool_calls
        .iter()
        .map(|call| {
            (
                call.id.as_str(),
                call.name.as_str(),
                call.arguments.as_str(),
            )
        })
        .collect();
    assert_eq!(
        calls,
        [
            ("call_a", "add", r#"{"a":1}"#),
            ("call_b", "sub", r#"{"x":2}"#)
        ]
    );
}

#[test]
fn tool_calls_of_anthropic_count_from_zero_and_empty_input_is_an_object() {
    let answer = fold(anthropic(), ANTHROPIC_TOOLS.as_bytes()).unwrap();
    assert_eq!(answer.tool_calls.len(), 2);
    assert_eq!(answer.tool_calls[0].arguments, r#"{"a":1}"#);
    assert_eq!(answer.tool_calls[1].id, "toolu_b");
    assert_eq!(answer.tool_calls[1].arguments, "{}");
    let usage = answer.usage().unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (40, 21));
    assert_eq!(usage.reasoning_tokens, 5);
}

#[test]
fn the_body_of_a_folded_stream_is_the_message_a_whole_call_would_have_had() {
    let answer = fold(anthropic(), ANTHROPIC_TOOLS.as_bytes()).unwrap();
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        body,
        json!({
            "id": "msg_2", "type": "message", "role": "assistant", "model": "claude-x",
            "content": [
                {"type": "thinking", "thinking": "Two calls.", "signature": "c2ln"},
                {"type": "tool_use", "id": "toolu_a", "name": "add", "input": {"a": 1}},
                {"type": "tool_use", "id": "toolu_b", "name": "now", "input": {}},
            ],
            "stop_reason": "tool_use", "stop_sequence": null,
            "usage": {"input_tokens": 40, "output_tokens": 21, "output_tokens_details": {"thinking_tokens": 5}},
        })
    );
    for (dialect, sample) in samples() {
        let folded = fold(dialect, sample.as_bytes()).unwrap();
        let mut again = super::decode(dialect, folded.body.clone()).unwrap();
        again.body = folded.body.clone();
        assert_eq!(again, folded);
    }
}

/// reliability.md, row 14: 0 truncated answers marked ok.
#[test]
fn a_stream_cut_at_any_byte_is_whole_or_an_error() {
    for (dialect, sample) in samples() {
        let whole = fold(dialect, sample.as_bytes()).unwrap();
        let mut accepted = 0;
        for cut in 0..sample.len() {
            match fold(dialect, &sample.as_bytes()[..cut]) {
                Err(error) => assert_eq!(error.kind(), ErrorKind::BadResponse),
                Ok(answer) => {
                    accepted += 1;
                    assert_eq!(answer.text, whole.text);
                    assert_eq!(answer.tool_calls, whole.tool_calls);
                    assert_eq!(answer.finish_reason, whole.finish_reason);
                }
            }
        }
        // what follows the finish reason may be missing; where it is in the last event, nothing may
        assert_eq!(accepted > 0, dialect.name() != "openai-responses");
    }
}

#[test]
fn any_chunking_and_any_line_end_give_the_same_answer() {
    for (dialect, sample) in samples() {
        let whole = fold(dialect, sample.as_bytes()).unwrap();
        for line_end in ["\r\n", "\r"] {
            let other = sample.replace('\n', line_end);
            assert_eq!(fold(dialect, other.as_bytes()).unwrap(), whole);
        }
        for size in 1..40 {
            let chunks = sample.as_bytes().chunks(size);
            assert_eq!(fold_chunks(dialect, chunks).unwrap(), whole);
        }
    }
}

/// Events as `data` lines.
fn stream_of(events: &[&str]) -> String {
    events
        .iter()
        .map(|event| format!("data: {event}\n\n"))
        .collect()
}

#[test]
fn an_error_in_place_of_a_piece_is_classified() {
    let start = r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#;
    let failed = r#"{"error":{"message":"boom","type":"server_error","code":null}}"#;
    let error = fold(openai(), stream_of(&[start, failed]).as_bytes()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerError);
    assert_eq!(error.message(), "boom");

    let busy = r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#;
    let error = fold(anthropic(), stream_of(&[busy]).as_bytes()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
}

#[test]
fn an_end_mark_does_not_make_a_cut_answer_whole() {
    let piece = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}"#;
    let error = fold(openai(), stream_of(&[piece, "[DONE]"]).as_bytes()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadResponse);

    let stop = r#"{"type":"message_stop"}"#;
    let error = fold(anthropic(), stream_of(&[stop]).as_bytes()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadResponse);
}

#[test]
fn nothing_after_the_finish_reason_harms_the_answer() {
    let end = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
    let failed = r#"{"error":{"message":"late"}}"#;
    for late in [failed, "garbage", "{"] {
        let stream = stream_of(&[end, late]);
        let (decoder, _) = read(openai(), [stream.as_bytes()]).unwrap();
        assert_eq!(decoder.progress(), Progress::Closed, "{late}");
    }
    let end = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#;
    let busy = r#"{"type":"error","error":{"type":"overloaded_error","message":"late"}}"#;
    let stream = stream_of(&[end, busy]);
    let (decoder, _) = read(anthropic(), [stream.as_bytes()]).unwrap();
    assert_eq!(decoder.progress(), Progress::Closed);
}

#[test]
fn thoughts_in_streams() {
    let answer = fold(anthropic(), ANTHROPIC_TOOLS.as_bytes()).unwrap();
    assert_eq!(answer.reasoning.as_deref(), Some("Two calls."));
    // both names of the same thought count once
    let events = [
        r#"{"choices":[{"index":0,"delta":{"reasoning_content":"a","reasoning":"a"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"reasoning":"b"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"c","reasoning_content":""},"finish_reason":"stop"}]}"#,
    ];
    let answer = fold(openai(), stream_of(&events).as_bytes()).unwrap();
    assert_eq!(
        (answer.text.as_str(), answer.reasoning.as_deref()),
        ("c", Some("ab"))
    );
}

#[test]
fn garbage_before_the_end_is_a_bad_response() {
    for dialect in [openai(), anthropic(), responses()] {
        let error = fold(dialect, stream_of(&["garbage"]).as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadResponse);
    }
}

#[test]
fn with_several_answers_the_first_is_read_and_the_last_awaited() {
    let events = [
        r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#,
        r#"{"choices":[{"index":1,"delta":{"content":"B"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"index":1,"delta":{"content":"C"}}]}"#,
    ];
    let stream = stream_of(&events);
    assert!(read(openai(), [stream.as_bytes()]).is_err());
    let end = stream_of(&[r#"{"choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}"#]);
    let answer = fold(openai(), (stream + &end).as_bytes()).unwrap();
    assert_eq!(answer.text, "a");
}

#[test]
fn refusals_in_streams() {
    let events = [
        r#"{"choices":[{"index":0,"delta":{"refusal":"I "}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"refusal":"cannot"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    ];
    let answer = fold(openai(), stream_of(&events).as_bytes()).unwrap();
    assert_eq!(answer.refusal.as_deref(), Some("I cannot"));

    let end = r#"{"type":"message_delta","delta":{"stop_reason":"refusal","stop_details":{"explanation":"why"}}}"#;
    let answer = fold(anthropic(), stream_of(&[end]).as_bytes()).unwrap();
    assert_eq!(answer.refusal.as_deref(), Some("why"));
    assert!(answer.is_refusal());
}
