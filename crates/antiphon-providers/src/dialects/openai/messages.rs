//! Messages for the OpenAI wire: verbatim, except for Anthropic's blocks.

use antiphon_core::{
    Error, Message,
    chat::{Content, Role},
};
use serde::{Serialize, Serializer, ser::SerializeSeq};
use serde_json::{Map, Value, json};

use crate::dialects::wire::{Dropped, bad_request, part_type};

/// Blocks that only Anthropic knows.
const FOREIGN_PARTS: [&str; 6] = [
    "tool_use",
    "tool_result",
    "image",
    "document",
    "thinking",
    "redacted_thinking",
];

/// The conversation as it goes out.
#[derive(Debug)]
pub(super) enum Messages<'a> {
    /// Every message as it came.
    Verbatim(&'a [Message]),
    /// With some messages rewritten.
    Rewritten(Vec<Line<'a>>),
}

/// One message that goes out.
#[derive(Debug)]
pub(super) enum Line<'a> {
    /// As it came.
    Same(&'a Message),
    /// Translated.
    New(Value),
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Verbatim(messages) => messages.serialize(serializer),
            Self::Rewritten(lines) => {
                let mut seq = serializer.serialize_seq(Some(lines.len()))?;
                for line in lines {
                    match line {
                        Line::Same(message) => seq.serialize_element(message)?,
                        Line::New(value) => seq.serialize_element(value)?,
                    }
                }
                seq.end()
            }
        }
    }
}

/// Translates a conversation; `system` is Anthropic's top-level parameter, where a request carries it.
pub(super) fn translate<'a>(
    messages: &'a [Message],
    system: Option<&Value>,
    dropped: &mut Dropped,
) -> Result<Messages<'a>, Error> {
    if system.is_none() && !messages.iter().any(is_foreign) {
        return Ok(Messages::Verbatim(messages));
    }
    let mut lines = Vec::with_capacity(messages.len() + 1);
    if let Some(system) = system {
        let content = match system {
            Value::Array(parts) => Value::Array(own_parts(parts, dropped)?),
            other => other.clone(),
        };
        lines.push(Line::New(json!({"role": "system", "content": content})));
    }
    for message in messages {
        match &message.content {
            Some(Content::Parts(parts)) if is_foreign(message) => {
                rewrite(message, parts, &mut lines, dropped)?;
            }
            _ => lines.push(Line::Same(message)),
        }
    }
    Ok(Messages::Rewritten(lines))
}

fn is_foreign(message: &Message) -> bool {
    let Some(Content::Parts(parts)) = &message.content else {
        return false;
    };
    parts
        .iter()
        .any(|part| FOREIGN_PARTS.contains(&part_type(part)) || part.get("cache_control").is_some())
}

/// A message with Anthropic's blocks becomes up to several: results of tools are messages of their own, and come first.
/// They hold text only: images that a tool gave follow in the user's turn.
fn rewrite(
    message: &Message,
    parts: &[Value],
    lines: &mut Vec<Line<'_>>,
    dropped: &mut Dropped,
) -> Result<(), Error> {
    let mut rest = Vec::new();
    let mut calls = Vec::new();
    let mut shown = Vec::new();
    for part in parts {
        match part_type(part) {
            "tool_result" => {
                let (message, images) = tool_message(part, dropped)?;
                lines.push(Line::New(message));
                shown.extend(images);
            }
            "tool_use" => calls.push(tool_call(part)),
            _ => rest.push(part),
        }
    }
    let mut content = shown;
    content.extend(own_parts(rest, dropped)?);
    if content.is_empty() && calls.is_empty() {
        return Ok(());
    }
    let mut fields = Map::new();
    fields.insert("role".into(), json!(message.role));
    fields.insert("content".into(), content_value(&message.role, content));
    fields.extend(message.extra.clone());
    if !calls.is_empty() {
        fields.insert("tool_calls".into(), Value::Array(calls));
    }
    lines.push(Line::New(Value::Object(fields)));
    Ok(())
}

/// Assistant turns take only text parts, and many servers only text: one text goes out as text.
fn content_value(role: &Role, mut parts: Vec<Value>) -> Value {
    if parts.is_empty() {
        return Value::Null;
    }
    let only_text = parts.len() == 1 && part_type(&parts[0]) == "text";
    match parts[0].get_mut("text") {
        Some(text) if only_text && *role != Role::User => text.take(),
        _ => Value::Array(parts),
    }
}

/// The message of a tool's result, and what it shows beside its text.
fn tool_message(part: &Value, dropped: &mut Dropped) -> Result<(Value, Vec<Value>), Error> {
    if part.get("is_error") == Some(&Value::Bool(true)) {
        dropped.note("messages.is_error");
    }
    let (content, shown) = match part.get("content") {
        None | Some(Value::Null) => (json!(""), Vec::new()),
        Some(Value::Array(parts)) => {
            let (text, shown) = own_parts(parts, dropped)?
                .into_iter()
                .partition(|part| part_type(part) == "text");
            (Value::Array(text), shown)
        }
        Some(text) => (text.clone(), Vec::new()),
    };
    let message = json!({
        "role": "tool",
        "tool_call_id": part.get("tool_use_id"),
        "content": content,
    });
    Ok((message, shown))
}

fn tool_call(part: &Value) -> Value {
    let input = part.get("input").map_or("{}".to_owned(), Value::to_string);
    json!({
        "id": part.get("id"),
        "type": "function",
        "function": {"name": part.get("name"), "arguments": input},
    })
}

fn own_parts<'a>(
    parts: impl IntoIterator<Item = &'a Value>,
    dropped: &mut Dropped,
) -> Result<Vec<Value>, Error> {
    let mut own = Vec::new();
    for part in parts {
        match part_type(part) {
            // thoughts are signed for the vendor that thought them
            "thinking" | "redacted_thinking" => dropped.note("messages.thinking"),
            "image" => own.push(image(part)?),
            "document" => own.push(document(part)?),
            _ => own.push(part.clone()),
        }
        if part.get("cache_control").is_some() {
            dropped.note("cache_control");
        }
    }
    for part in own.iter_mut().filter_map(Value::as_object_mut) {
        part.shift_remove("cache_control");
    }
    Ok(own)
}

fn image(part: &Value) -> Result<Value, Error> {
    let url = source_url(part, "image/png").ok_or_else(|| unreachable_source("image"))?;
    Ok(json!({"type": "image_url", "image_url": {"url": url}}))
}

fn document(part: &Value) -> Result<Value, Error> {
    let source = &part["source"];
    if source["type"] == "text" {
        return Ok(json!({"type": "text", "text": source["data"]}));
    }
    // files travel as data only
    let data = source_url(part, "application/pdf")
        .filter(|url| url.starts_with("data:"))
        .ok_or_else(|| unreachable_source("document"))?;
    let name = part["title"].as_str().unwrap_or("document");
    Ok(json!({"type": "file", "file": {"filename": name, "file_data": data}}))
}

fn source_url(part: &Value, default_type: &str) -> Option<String> {
    let source = part.get("source")?;
    match source.get("type")?.as_str()? {
        "base64" => {
            let media = source.get("media_type").and_then(Value::as_str);
            let data = source.get("data")?.as_str()?;
            Some(format!(
                "data:{};base64,{data}",
                media.unwrap_or(default_type)
            ))
        }
        "url" => Some(source.get("url")?.as_str()?.to_owned()),
        _ => None,
    }
}

fn unreachable_source(what: &str) -> Error {
    bad_request(format!(
        "the source of this {what} block cannot be sent to an OpenAI server; send its data instead"
    ))
}
