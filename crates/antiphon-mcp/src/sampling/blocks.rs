//! Parts of messages, in the words of either wire, as blocks of `sampling/createMessage`.

use antiphon_core::{Error, chat::Content};
use serde_json::{Map, Value, json};

use super::{Dropped, bad_request};

/// Translates the content of a message. Empty text is left out: it says nothing, and providers refuse it.
///
/// # Errors
/// [`ErrorKind::BadRequest`](antiphon_core::ErrorKind::BadRequest) for parts that the protocol cannot put: leaving them out
/// would change the question.
pub(super) fn of_content(
    content: Option<&Content>,
    dropped: &mut Dropped,
) -> Result<Vec<Value>, Error> {
    match content {
        None => Ok(Vec::new()),
        Some(Content::Text(text)) => Ok(of_text(text).into_iter().collect()),
        Some(Content::Parts(parts)) => of_parts(parts, dropped),
    }
}

fn of_parts(parts: &[Value], dropped: &mut Dropped) -> Result<Vec<Value>, Error> {
    let mut blocks = Vec::with_capacity(parts.len());
    for part in parts {
        blocks.extend(of_part(part, dropped)?);
    }
    Ok(blocks)
}

fn of_part(part: &Value, dropped: &mut Dropped) -> Result<Option<Value>, Error> {
    let Some(kind) = part.get("type").and_then(Value::as_str) else {
        let text = part.as_str().or_else(|| part["text"].as_str());
        let text = text.ok_or_else(|| bad_request("a part of a message has no `type`"))?;
        return Ok(of_text(text));
    };
    let block = match kind {
        "text" | "input_text" | "output_text" => {
            let text = part["text"].as_str();
            return Ok(of_text(text.ok_or_else(|| lacks(kind, "`text`"))?));
        }
        "refusal" => return Ok(of_text(part["refusal"].as_str().unwrap_or_default())),
        // what a model has thought is its provider's own, and is no part of what was said
        "thinking" | "redacted_thinking" | "reasoning" => {
            dropped.note(&format!("messages.{kind}"));
            return Ok(None);
        }
        "image_url" | "input_image" => linked("image", part.get("image_url"))?,
        "audio_url" => linked("audio", part.get("audio_url"))?,
        "input_audio" => recorded(&part["input_audio"])?,
        "image" | "audio" => encoded(kind, part)?,
        "tool_use" => tool_use(&part["id"], &part["name"], &part["input"])?,
        "tool_result" => tool_result_part(part, dropped)?,
        _ => {
            let message = format!(
                "a part of type {kind:?} cannot be put to the model of an MCP client: the protocol knows text, images and \
                 audio; put what it says into text"
            );
            return Err(bad_request(message));
        }
    };
    Ok(Some(block))
}

/// A block of text; none where it is empty.
fn of_text(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| self::text(text))
}

pub(super) fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// An image or a recording behind a URL, which must hold it.
fn linked(kind: &str, link: Option<&Value>) -> Result<Value, Error> {
    let url = link.and_then(|link| link.as_str().or_else(|| link["url"].as_str()));
    let url = url.ok_or_else(|| lacks(kind, "URL"))?;
    let Some(inside) = url.strip_prefix("data:") else {
        let message = format!(
            "an {kind} by its address cannot be put to the model of an MCP client: the protocol has no place for it; send the \
             data itself, as a base64 data URL"
        );
        return Err(bad_request(message));
    };
    let data = inside
        .split_once(',')
        .and_then(|(head, data)| Some((head.strip_suffix(";base64")?, data)));
    let (media, data) =
        data.ok_or_else(|| bad_request(format!("the data URL of an {kind} is not base64")))?;
    // parameters such as `;charset=utf-8` are no part of the type
    let media = media.split(';').next().unwrap_or(media);
    Ok(media_block(kind, data, media))
}

/// OpenAI's `input_audio`.
fn recorded(audio: &Value) -> Result<Value, Error> {
    let (Some(data), Some(format)) = (audio["data"].as_str(), audio["format"].as_str()) else {
        return Err(lacks("input_audio", "`data` and `format`"));
    };
    let media = match format {
        // the registered name (RFC 3003)
        "mp3" => "audio/mpeg".to_owned(),
        format => format!("audio/{format}"),
    };
    Ok(media_block("audio", data, &media))
}

/// Anthropic's `image` with its `source`, and blocks in the protocol's own words.
fn encoded(kind: &str, part: &Value) -> Result<Value, Error> {
    let source = part.get("source").unwrap_or(part);
    let by_address = source["type"] == "url" || source["type"] == "file";
    if by_address {
        return linked(kind, source.get("url").or(Some(&json!("file:"))));
    }
    let media = source["media_type"]
        .as_str()
        .or_else(|| source["mimeType"].as_str());
    match (source["data"].as_str(), media) {
        (Some(data), Some(media)) => Ok(media_block(kind, data, media)),
        _ => Err(lacks(kind, "data or its media type")),
    }
}

fn media_block(kind: &str, data: &str, media: &str) -> Value {
    json!({"type": kind, "data": data, "mimeType": media})
}

/// A call of a tool, from an assistant's `tool_calls`.
pub(super) fn of_tool_call(call: &Value) -> Result<Value, Error> {
    let function = &call["function"];
    let arguments = match &function["arguments"] {
        Value::String(text) if text.trim().is_empty() => json!({}),
        Value::String(text) => serde_json::from_str(text).map_err(|error| {
            let message = format!(
                "the arguments of a call of {} are not JSON",
                function["name"]
            );
            bad_request(message).with_source(error)
        })?,
        given => given.clone(),
    };
    tool_use(&call["id"], &function["name"], &arguments)
}

fn tool_use(id: &Value, name: &Value, input: &Value) -> Result<Value, Error> {
    let (Some(id), Some(name)) = (id.as_str(), name.as_str()) else {
        return Err(lacks("tool call", "id or its name"));
    };
    let input = match input {
        Value::Null => json!({}),
        Value::Object(_) => input.clone(),
        _ => {
            let message = format!("the arguments of a call of {name:?} are not a JSON object");
            return Err(bad_request(message));
        }
    };
    Ok(json!({"type": "tool_use", "id": id, "name": name, "input": input}))
}

/// Anthropic's form, and the protocol's own.
fn tool_result_part(part: &Value, dropped: &mut Dropped) -> Result<Value, Error> {
    let id = part.get("tool_use_id").or_else(|| part.get("toolUseId"));
    let content = match part.get("content") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) => of_text(text).into_iter().collect(),
        Some(Value::Array(parts)) => of_parts(parts, dropped)?,
        Some(_) => return Err(bad_request("a tool result is neither text nor parts")),
    };
    let is_error = part.get("is_error").or_else(|| part.get("isError"));
    let is_error = is_error.and_then(Value::as_bool).unwrap_or_default();
    tool_result(id, content, is_error)
}

/// What a tool gave.
pub(super) fn tool_result(
    id: Option<&Value>,
    content: Vec<Value>,
    is_error: bool,
) -> Result<Value, Error> {
    let id = id.and_then(Value::as_str);
    let id = id.ok_or_else(|| lacks("tool result", "id of its call"))?;
    if let Some(other) = content.iter().find(|block| is_of_tools(block)) {
        let message = format!("a tool result holds a part of type {}", other["type"]);
        return Err(bad_request(message));
    }
    let mut block = Map::new();
    block.insert("type".to_owned(), json!("tool_result"));
    block.insert("toolUseId".to_owned(), json!(id));
    block.insert("content".to_owned(), Value::Array(content));
    if is_error {
        block.insert("isError".to_owned(), json!(true));
    }
    Ok(Value::Object(block))
}

/// Whether it is a block that only clients with `sampling.tools` know.
pub(super) fn is_of_tools(block: &Value) -> bool {
    block["type"] == "tool_use" || block["type"] == "tool_result"
}

fn lacks(kind: &str, what: &str) -> Error {
    bad_request(format!("a part of type {kind:?} lacks its {what}"))
}
