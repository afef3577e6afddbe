//! The items of OpenAI's responses, read as the messages that they stand for.

use serde_json::{Map, Value, json};

use super::Ask;
use crate::rejection::Rejection;

impl Ask {
    /// Reads a request of the responses API. Nothing is kept between calls, so that there is no response to go on from.
    pub(super) fn of_items(model: &str, fields: &Map<String, Value>) -> Result<Self, Rejection> {
        if let Some(id) = fields.get("previous_response_id").and_then(Value::as_str) {
            return Err(Rejection::new(
                400,
                Some("previous_response_not_found"),
                format!("Previous response with id '{id}' not found."),
            ));
        }
        let mut messages = Vec::new();
        if let Some(Value::String(instructions)) = fields.get("instructions") {
            messages.push(json!({"role": "system", "content": instructions}));
        }
        match fields.get("input") {
            Some(Value::String(text)) => messages.push(json!({"role": "user", "content": text})),
            Some(Value::Array(items)) if !items.is_empty() => {
                for item in items {
                    messages.extend(message(item)?);
                }
            }
            _ => return Err(Rejection::invalid("input: a text or items are required")),
        }
        Self::of_parts(model, &messages, fields)
    }
}

/// The message that an item stands for; what the model has thought before is none.
fn message(item: &Value) -> Result<Option<Value>, Rejection> {
    Ok(match item["type"].as_str() {
        Some("function_call") => {
            Some(json!({"role": "assistant", "tool_calls": [{"function": item}]}))
        }
        Some("function_call_output") => Some(json!({"role": "tool", "content": item["output"]})),
        Some("reasoning") => None,
        None | Some("message") => Some(item.clone()),
        Some(other) => {
            return Err(Rejection::invalid(format!(
                "input: items of type `{other}` are not known here"
            )));
        }
    })
}
