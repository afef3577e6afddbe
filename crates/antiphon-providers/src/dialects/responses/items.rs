//! Items of a conversation, from and to messages of chat completions.

use antiphon_core::{
    Error, Message,
    chat::{Content, Role},
};
use serde_json::{Map, Value, json};

use super::parse::Only;
use crate::dialects::wire::{invalid, part_type, read_role};

/// Reads items; what no other wire has is left out and noted.
pub(super) fn to_messages(
    items: Vec<Value>,
    messages: &mut Vec<Message>,
    only: &mut Only,
) -> Result<(), Error> {
    for (index, item) in items.into_iter().enumerate() {
        let Value::Object(item) = item else {
            return Err(invalid(format!("`input[{index}]` is not an object")));
        };
        let kind = item
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or("message");
        match kind {
            "message" => messages.push(message(item, only).ok_or_else(|| {
                invalid(format!(
                    "`input[{index}]` needs a `role` and a `content` of text or parts"
                ))
            })?),
            "function_call" => push_call(&item, messages),
            "function_call_output" => messages.push(call_output(item, only)),
            // thoughts are sealed for the vendor that thought them
            "reasoning" => {}
            other => only.note(format!(
                "items of the type `{other}` need a model of OpenAI; leave `input[{index}]` out"
            )),
        }
    }
    Ok(())
}

fn message(mut item: Map<String, Value>, only: &mut Only) -> Option<Message> {
    let Some(Value::String(role)) = item.shift_remove("role") else {
        return None;
    };
    let content = match item.shift_remove("content")? {
        Value::String(text) => Content::Text(text),
        Value::Array(parts) if parts.iter().all(Value::is_object) => {
            let parts = parts.into_iter().filter_map(|part| to_part(part, only));
            Content::Parts(parts.collect())
        }
        _ => return None,
    };
    Some(Message {
        role: read_role(role),
        content: Some(plain(content)),
        extra: Map::new(),
    })
}

/// One text part is text: that is what most servers take in every place.
fn plain(content: Content) -> Content {
    match content {
        Content::Parts(mut parts) if parts.len() == 1 && part_type(&parts[0]) == "text" => {
            match parts[0]["text"].take() {
                Value::String(text) => Content::Text(text),
                other => Content::Parts(vec![json!({"type": "text", "text": other})]),
            }
        }
        other => other,
    }
}

fn to_part(part: Value, only: &mut Only) -> Option<Value> {
    match part_type(&part) {
        "input_text" | "output_text" | "text" | "summary_text" => {
            Some(json!({"type": "text", "text": part["text"]}))
        }
        "refusal" => Some(json!({"type": "refusal", "refusal": part["refusal"]})),
        "input_image" => match part["image_url"].as_str() {
            Some(url) => {
                let mut image = json!({"url": url});
                if let Some(detail) = part["detail"].as_str() {
                    image["detail"] = json!(detail);
                }
                Some(json!({"type": "image_url", "image_url": image}))
            }
            None => {
                only.note("images by `file_id` need a model of OpenAI; send the image as a URL or as data");
                None
            }
        },
        "input_file" => match part["file_data"].as_str() {
            Some(data) => Some(json!({
                "type": "file",
                "file": {"filename": part["filename"], "file_data": data},
            })),
            None => {
                only.note("files by `file_id` or `file_url` need a model of OpenAI; send their data as `file_data`");
                None
            }
        },
        "input_audio" => Some(part),
        other => {
            only.note(format!(
                "content of the type `{other}` needs a model of OpenAI; leave it out"
            ));
            None
        }
    }
}

/// Calls belong to the assistant's turn before them, or make one.
fn push_call(item: &Map<String, Value>, messages: &mut Vec<Message>) {
    let call = json!({
        "id": item.get("call_id"),
        "type": "function",
        "function": {"name": item.get("name"), "arguments": item.get("arguments")},
    });
    if messages
        .last()
        .is_none_or(|last| last.role != Role::Assistant)
    {
        messages.push(Message {
            role: Role::Assistant,
            content: None,
            extra: Map::new(),
        });
    }
    if let Some(turn) = messages.last_mut() {
        let calls = turn.extra.entry("tool_calls").or_insert_with(|| json!([]));
        if let Value::Array(calls) = calls {
            calls.push(call);
        }
    }
}

fn call_output(mut item: Map<String, Value>, only: &mut Only) -> Message {
    let content = match item.shift_remove("output") {
        Some(Value::String(text)) => Content::Text(text),
        Some(Value::Array(parts)) => {
            let parts = parts.into_iter().filter_map(|part| to_part(part, only));
            plain(Content::Parts(parts.collect()))
        }
        None | Some(Value::Null) => Content::Text(String::new()),
        Some(other) => Content::Text(other.to_string()),
    };
    let mut extra = Map::new();
    let id = item.shift_remove("call_id").unwrap_or_default();
    extra.insert("tool_call_id".to_owned(), id);
    Message {
        role: Role::Tool,
        content: Some(content),
        extra,
    }
}

/// Items for messages of chat completions.
pub(super) fn of_messages(messages: &[Value]) -> Vec<Value> {
    let mut items = Vec::new();
    for message in messages {
        let role = message["role"].as_str().unwrap_or_default();
        if role == "tool" {
            items.push(json!({
                "type": "function_call_output",
                "call_id": message["tool_call_id"],
                "output": of_content(&message["content"], role),
            }));
            continue;
        }
        if !message["content"].is_null() {
            let content = of_content(&message["content"], role);
            items.push(json!({"type": "message", "role": role, "content": content}));
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            items.push(json!({
                "type": "function_call",
                "call_id": call["id"],
                "name": call["function"]["name"],
                "arguments": call["function"]["arguments"],
            }));
        }
    }
    items
}

fn of_content(content: &Value, role: &str) -> Value {
    let Value::Array(parts) = content else {
        return content.clone();
    };
    parts.iter().map(|part| of_part(part, role)).collect()
}

fn of_part(part: &Value, role: &str) -> Value {
    match part_type(part) {
        "text" if role == "assistant" => json!({"type": "output_text", "text": part["text"]}),
        "text" => json!({"type": "input_text", "text": part["text"]}),
        "image_url" => {
            let image = &part["image_url"];
            let mut own = json!({"type": "input_image", "image_url": image["url"]});
            if !image["detail"].is_null() {
                own["detail"] = image["detail"].clone();
            }
            own
        }
        "file" => {
            let mut own = part["file"].clone();
            own["type"] = json!("input_file");
            own
        }
        _ => part.clone(),
    }
}
