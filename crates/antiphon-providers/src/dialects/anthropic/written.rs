//! Messages for answers that no provider of this wire wrote.

use std::borrow::Cow;

use antiphon_core::{Answer, FinishReason, Usage, chat::ToolCall};
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use crate::dialects::wire::Identity;

/// A message as it goes out.
#[derive(Serialize)]
struct Message<'a> {
    id: &'a str,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block<'a>>,
    stop_reason: &'a str,
    stop_sequence: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_details: Option<Value>,
    usage: Option<Value>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    /// Without a signature: it was thought by a vendor that signs nothing, or whose signature is not known here.
    Thinking {
        thinking: &'a str,
        signature: &'static str,
    },
    Text {
        text: &'a str,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: Box<RawValue>,
    },
}

/// The body of a whole answer; `usage` as it is to be told.
pub(crate) fn message(answer: &Answer, identity: &Identity<'_>, usage: Option<Value>) -> Bytes {
    let mut content = Vec::new();
    if let Some(thinking) = answer.reasoning.as_deref() {
        let signature = "";
        content.push(Block::Thinking {
            thinking,
            signature,
        });
    }
    if !answer.text.is_empty() {
        content.push(Block::Text { text: &answer.text });
    }
    for (index, call) in answer.tool_calls.iter().enumerate() {
        content.push(Block::ToolUse {
            id: call_id(&call.id, index, identity.id),
            name: &call.name,
            input: input(call),
        });
    }
    let message = Message {
        id: identity.id,
        r#type: "message",
        role: "assistant",
        model: identity.model,
        content,
        stop_reason: stop_reason(&answer.finish_reason, answer.refusal.is_some()),
        stop_sequence: None,
        stop_details: stop_details(answer.refusal.as_deref()),
        usage,
    };
    // text and numbers only: serialising them to memory cannot fail
    Bytes::from(serde_json::to_vec(&message).unwrap_or_default())
}

/// The arguments of a call as an input, as they are written where they are an object. Others cannot be an input; their
/// text is kept where it can be seen.
fn input(call: &ToolCall) -> Box<RawValue> {
    let text = match call.arguments.trim() {
        "" => "{}".to_owned(),
        object if object.starts_with('{') => object.to_owned(),
        other => json!({"arguments": other}).to_string(),
    };
    RawValue::from_string(text).unwrap_or_else(|_| {
        let text = json!({"arguments": call.arguments}).to_string();
        RawValue::from_string(text).unwrap_or_default()
    })
}

/// The id of a call; one is made for providers that give none, since its result must name it.
pub(crate) fn call_id<'a>(id: &'a str, index: usize, answer: &str) -> Cow<'a, str> {
    match id {
        "" => Cow::Owned(format!("toolu_{answer}_{index}")),
        id => Cow::Borrowed(id),
    }
}

/// A refusal is a stop reason here; elsewhere it can stand beside an ordinary end.
pub(crate) fn stop_reason(finish: &FinishReason, is_refused: bool) -> &str {
    match finish {
        _ if is_refused => "refusal",
        FinishReason::Stop => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "refusal",
        FinishReason::Other(reason) => reason,
    }
}

/// The words of a refusal.
pub(crate) fn stop_details(refusal: Option<&str>) -> Option<Value> {
    let words = refusal.filter(|words| !words.is_empty())?;
    Some(json!({"type": "refusal", "category": null, "explanation": words}))
}

/// Token counts in the words of this wire, where cached input stands beside the input.
pub(crate) fn wire_usage(usage: &Usage) -> Value {
    let cached = usage
        .cached_input_tokens
        .saturating_add(usage.cache_write_tokens);
    let mut wire = json!({
        "input_tokens": usage.input_tokens.saturating_sub(cached),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_input_tokens,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
    });
    let for_an_hour = usage.cache_write_1h_tokens;
    if for_an_hour > 0 {
        wire["cache_creation"] = json!({
            "ephemeral_5m_input_tokens": usage.cache_write_tokens.saturating_sub(for_an_hour),
            "ephemeral_1h_input_tokens": for_an_hour,
        });
    }
    wire
}
