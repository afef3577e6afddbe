//! Responses for answers that no provider of this wire wrote.

use std::borrow::Cow;

use antiphon_core::{Answer, FinishReason, Usage};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::dialects::{openai, wire::Identity};

/// The body of a whole answer.
pub(crate) fn response(answer: &Answer, identity: &Identity<'_>) -> Bytes {
    let mut output = Vec::new();
    let mut next = 0;
    let mut id = |prefix: &str| {
        next += 1;
        item_id(prefix, identity.id, next - 1)
    };
    if let Some(reasoning) = &answer.reasoning {
        output.push(reasoning_item(&id("rs"), Some(reasoning)));
    }
    if let Some(words) = &answer.refusal {
        output.push(message_item(&id("msg"), Some(refusal_part(words))));
    }
    if !answer.text.is_empty() {
        output.push(message_item(&id("msg"), Some(text_part(&answer.text))));
    }
    for (index, call) in answer.tool_calls.iter().enumerate() {
        let call_id = call_id(&call.id, index, identity.id);
        let arguments = Some(call.arguments.as_str());
        output.push(call_item(&id("fc"), &call_id, &call.name, arguments));
    }
    let usage = answer.usage();
    let mut body = envelope(identity);
    end(&mut body, &answer.finish_reason, output, usage.as_ref());
    Bytes::from(body.to_string())
}

/// A response that has only begun. What it repeats of a request has the values of a request that says nothing.
pub(crate) fn envelope(identity: &Identity<'_>) -> Value {
    json!({
        "id": identity.id,
        "object": "response",
        "created_at": identity.created,
        "status": "in_progress",
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "model": identity.model,
        "output": [],
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "store": false,
        "temperature": null,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": null,
        "truncation": "disabled",
        "usage": null,
        "user": null,
        "metadata": {},
    })
}

/// Why it ended, with all it said and used.
pub(crate) fn end(
    response: &mut Value,
    finish: &FinishReason,
    output: Vec<Value>,
    usage: Option<&Usage>,
) {
    let (status, reason) = match finish {
        FinishReason::Stop | FinishReason::ToolCalls => ("completed", None),
        FinishReason::Length => ("incomplete", Some("max_output_tokens")),
        FinishReason::ContentFilter => ("incomplete", Some("content_filter")),
        FinishReason::Other(reason) => ("incomplete", Some(reason.as_str())),
    };
    response["status"] = json!(status);
    response["incomplete_details"] = reason.map_or(Value::Null, |word| json!({"reason": word}));
    response["output"] = Value::Array(output);
    response["usage"] = usage.map_or(Value::Null, wire_usage);
}

/// Token counts in the words of this wire.
fn wire_usage(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total(),
    })
}

/// The id of an item of the answer.
pub(crate) fn item_id(prefix: &str, answer: &str, index: u64) -> String {
    format!("{prefix}_{answer}_{index}")
}

/// The id of a call, for its result to name.
pub(crate) fn call_id<'a>(id: &'a str, index: usize, answer: &str) -> Cow<'a, str> {
    openai::written::call_id(id, index, answer)
}

fn status(is_whole: bool) -> &'static str {
    if is_whole { "completed" } else { "in_progress" }
}

/// Thoughts; without any they have only begun.
pub(crate) fn reasoning_item(id: &str, thoughts: Option<&str>) -> Value {
    let summary: Vec<_> = thoughts.map(summary_part).into_iter().collect();
    json!({"id": id, "type": "reasoning", "summary": summary})
}

/// A message; without content it has only begun.
pub(crate) fn message_item(id: &str, part: Option<Value>) -> Value {
    json!({
        "id": id,
        "type": "message",
        "status": status(part.is_some()),
        "role": "assistant",
        "content": part.into_iter().collect::<Vec<_>>(),
    })
}

/// A call; without arguments it has only begun.
pub(crate) fn call_item(id: &str, call_id: &str, name: &str, arguments: Option<&str>) -> Value {
    json!({
        "id": id,
        "type": "function_call",
        "status": status(arguments.is_some()),
        "call_id": call_id,
        "name": name,
        "arguments": arguments.unwrap_or_default(),
    })
}

/// A part of thoughts.
pub(crate) fn summary_part(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

/// A part of text.
pub(crate) fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

/// A part that declines.
pub(crate) fn refusal_part(words: &str) -> Value {
    json!({"type": "refusal", "refusal": words})
}
