//! The body of an answer that no provider wrote: an OpenAI chat completion.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Answer;
use crate::{Fingerprint, Usage};

/// The wire format of [`completion`]s, by the name of its dialect: for [`Head::wire`](super::Head::wire).
pub const COMPLETION_WIRE: &str = "openai";

/// Writes the completion that a model of this name made at this time; each choice is an answer at its index. Usage that is
/// not known is left out.
pub fn completion(
    model: &str,
    choices: &[(usize, &Answer)],
    usage: Option<Usage>,
    created: SystemTime,
) -> Bytes {
    let created = created.duration_since(SystemTime::UNIX_EPOCH);
    let created = created.unwrap_or(Duration::ZERO);
    let choices: Vec<Value> = choices.iter().map(|choice| self::choice(*choice)).collect();
    let seed = json!([model, created.as_nanos().to_string(), choices]);
    let id = Fingerprint::of_bytes("completion", seed.to_string().as_bytes());
    let mut body = json!({
        "id": format!("chatcmpl-{id}"),
        "object": "chat.completion",
        "created": created.as_secs(),
        "model": model,
        "choices": choices,
    });
    if let Some(usage) = usage {
        body["usage"] = self::usage(usage);
    }
    Bytes::from(body.to_string())
}

fn choice((index, answer): (usize, &Answer)) -> Value {
    let content = match answer.text.as_str() {
        "" if !answer.tool_calls.is_empty() || answer.refusal.is_some() => Value::Null,
        text => text.into(),
    };
    let mut message = Map::new();
    message.insert("role".into(), "assistant".into());
    message.insert("content".into(), content);
    message.insert("refusal".into(), answer.refusal.clone().into());
    if !answer.tool_calls.is_empty() {
        let calls = answer.tool_calls.iter().map(|call| {
            let function = json!({"name": call.name, "arguments": call.arguments});
            json!({"id": call.id, "type": "function", "function": function})
        });
        message.insert("tool_calls".into(), calls.collect());
    }
    json!({
        "index": index,
        "message": message,
        "finish_reason": answer.finish_reason.as_str(),
        "logprobs": null,
    })
}

fn usage(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total(),
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    })
}
