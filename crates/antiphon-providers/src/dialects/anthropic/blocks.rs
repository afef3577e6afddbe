//! Content parts as Anthropic's blocks.

use antiphon_core::Error;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::dialects::wire::{bad_request, part_type};

/// A content block that goes out.
#[derive(Debug)]
pub(super) enum Block<'a> {
    /// Plain text.
    Text(&'a str),
    /// A part that is a block already.
    Same(&'a Value),
    /// Translated.
    New(Value),
}

impl Serialize for Block<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Text<'a> {
            r#type: &'static str,
            text: &'a str,
        }
        match self {
            Self::Text(text) => Text {
                r#type: "text",
                text,
            }
            .serialize(serializer),
            Self::Same(value) => value.serialize(serializer),
            Self::New(value) => value.serialize(serializer),
        }
    }
}

/// Translates one part.
///
/// # Errors
/// [`antiphon_core::ErrorKind::BadRequest`] for parts that cannot reach Anthropic: leaving them out would change the question.
pub(super) fn of_part(part: &Value) -> Result<Block<'_>, Error> {
    Ok(match part_type(part) {
        "image_url" => Block::New(image(part)?),
        "file" => Block::New(document(part)?),
        "refusal" => Block::Text(part["refusal"].as_str().unwrap_or_default()),
        kind @ ("input_audio" | "audio_url" | "input_video" | "video_url") => {
            let what = if kind.contains("audio") {
                "audio"
            } else {
                "video"
            };
            let message =
                format!("{what} cannot be sent to an Anthropic model: a part of type {kind:?}");
            return Err(bad_request(message));
        }
        _ => Block::Same(part),
    })
}

/// A call of a tool, from an assistant's `tool_calls`.
pub(super) fn of_tool_call(call: &Value) -> Result<Block<'static>, Error> {
    let function = &call["function"];
    let name = function["name"].as_str().unwrap_or_default();
    let input = match &function["arguments"] {
        Value::String(text) if text.trim().is_empty() => json!({}),
        Value::String(text) => serde_json::from_str(text).map_err(|error| {
            bad_request(format!(
                "the arguments of the call of `{name}` are not JSON"
            ))
            .with_source(error)
        })?,
        Value::Null => json!({}),
        other => other.clone(),
    };
    Ok(Block::New(json!({
        "type": "tool_use",
        "id": call["id"],
        "name": name,
        "input": input,
    })))
}

fn image(part: &Value) -> Result<Value, Error> {
    let url = match &part["image_url"] {
        Value::Object(image) => image.get("url").and_then(Value::as_str),
        other => other.as_str(),
    };
    let url = url.ok_or_else(|| bad_request("an `image_url` part has no URL"))?;
    let source = match data_url(url) {
        Some((media, data)) => json!({"type": "base64", "media_type": media, "data": data}),
        None if url.starts_with("data:") => {
            return Err(bad_request("the data URL of an image is not base64"));
        }
        None => json!({"type": "url", "url": url}),
    };
    Ok(with_cache_control(
        part,
        json!({"type": "image", "source": source}),
    ))
}

fn document(part: &Value) -> Result<Value, Error> {
    let file = &part["file"];
    let (media, data) = file["file_data"]
        .as_str()
        .and_then(data_url)
        .ok_or_else(|| {
            bad_request("a file can be sent to an Anthropic model only as a base64 data URL")
        })?;
    let mut document = json!({
        "type": "document",
        "source": {"type": "base64", "media_type": media, "data": data},
    });
    if let Some(name) = file["filename"].as_str() {
        document["title"] = json!(name);
    }
    Ok(with_cache_control(part, document))
}

fn with_cache_control(part: &Value, mut block: Value) -> Value {
    if let Some(control) = part.get("cache_control") {
        block["cache_control"] = control.clone();
    }
    block
}

/// Media type and data of `data:image/png;base64,…`.
fn data_url(url: &str) -> Option<(&str, &str)> {
    let (kind, data) = url.strip_prefix("data:")?.split_once(',')?;
    let kind = kind.strip_suffix(";base64")?;
    // parameters such as `;charset=utf-8` are no part of Anthropic's media type
    let media = kind.split(';').next().unwrap_or(kind);
    Some((media, data))
}
