//! Completions for answers that no provider of this wire wrote.

use std::borrow::Cow;

use antiphon_core::{Answer, Usage, chat::ToolCall};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::dialects::wire::Identity;

/// The body of a whole answer.
pub(crate) fn completion(answer: &Answer, identity: &Identity<'_>) -> Bytes {
    let calls: Vec<_> = answer
        .tool_calls
        .iter()
        .enumerate()
        .map(|(index, call)| wire_call(index, call, identity))
        .collect();
    let has_text = !answer.text.is_empty() || (calls.is_empty() && answer.refusal.is_none());
    let mut message = json!({
        "role": "assistant",
        "content": has_text.then_some(&answer.text),
        "refusal": answer.refusal,
    });
    if let Some(reasoning) = &answer.reasoning {
        message["reasoning_content"] = json!(reasoning);
    }
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    let body = json!({
        "id": identity.id,
        "object": "chat.completion",
        "created": identity.created,
        "model": identity.model,
        "choices": [{
            "index": 0,
            "message": message,
            "finish_reason": answer.finish_reason.as_str(),
            "logprobs": null,
        }],
        "usage": answer.usage().as_ref().map(wire_usage),
    });
    Bytes::from(body.to_string())
}

fn wire_call(index: usize, call: &ToolCall, identity: &Identity<'_>) -> Value {
    json!({
        "id": call_id(&call.id, index, identity.id),
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    })
}

/// The id of a call; one is made for providers that give none, since its result must name it.
pub(crate) fn call_id<'a>(id: &'a str, index: usize, answer: &str) -> Cow<'a, str> {
    match id {
        "" => Cow::Owned(format!("call_{answer}_{index}")),
        id => Cow::Borrowed(id),
    }
}

/// Token counts in the words of this wire.
pub(crate) fn wire_usage(usage: &Usage) -> Value {
    let mut read = json!({"cached_tokens": usage.cached_input_tokens});
    if usage.cache_write_tokens > 0 {
        read["cache_write_tokens"] = json!(usage.cache_write_tokens);
    }
    json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total(),
        "prompt_tokens_details": read,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    })
}
