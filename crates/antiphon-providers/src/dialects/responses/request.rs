//! Requests for `POST {base}/responses`.

use antiphon_core::{ChatRequest, Error, chat::Delivery};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{NAME, items, params, parse};
use crate::dialects::{
    Dialect, EncodeTarget, Encoded, openai,
    wire::{Dropped, json_headers, not_json, refuse_several},
};

/// Writes a request: the caller's own words where they are of this wire, with what was laid beneath them or changed since.
pub(super) fn encode(request: &ChatRequest, target: &EncodeTarget<'_>) -> Result<Encoded, Error> {
    let mut dropped = Dropped::default();
    let mut fields = match request.verbatim(NAME) {
        Some(fields) => own(fields, request, target, &mut dropped)?,
        None => translated(request, target, &mut dropped)?,
    };
    fields.insert("model".into(), json!(target.model));
    let streamed = request.delivery == Delivery::Streamed;
    if streamed {
        fields.insert("stream".into(), json!(true));
    } else {
        fields.shift_remove("stream");
        fields.shift_remove("stream_options");
    }
    let body = serde_json::to_vec(&fields).map_err(not_json)?;
    Ok(Encoded {
        path: "/responses",
        headers: json_headers(),
        body: Bytes::from(body),
        dropped: dropped.into_names(),
        streamed,
    })
}

/// The caller's words, and the parameters that are not in them.
fn own(
    fields: &Map<String, Value>,
    request: &ChatRequest,
    target: &EncodeTarget<'_>,
    dropped: &mut Dropped,
) -> Result<Map<String, Value>, Error> {
    let said = parse::parse(fields.clone())?.request.params;
    let mut fields = fields.clone();
    for (name, value) in request.params.iter() {
        if said.get(name) == Some(value) {
            continue;
        }
        match openai::refuses(target, name, value) {
            true => dropped.note(name),
            false => params::put(&mut fields, name, value, dropped),
        }
    }
    if let Some(schema) = &request.schema {
        params::put_schema(&mut fields, schema.name(), schema.json())?;
    }
    Ok(fields)
}

/// Any other request, by way of chat completions: what they cannot say, this wire cannot either.
fn translated(
    request: &ChatRequest,
    target: &EncodeTarget<'_>,
    dropped: &mut Dropped,
) -> Result<Map<String, Value>, Error> {
    refuse_several(request, "this server")?;
    let chat = openai::OpenAi.encode(request, target)?;
    for name in &chat.dropped {
        dropped.note(name);
    }
    let mut chat: Map<String, Value> = serde_json::from_slice(&chat.body).map_err(not_json)?;
    let messages = chat.shift_remove("messages").unwrap_or_default();
    chat.shift_remove("stream_options");
    let items = items::of_messages(messages.as_array().map_or(&[][..], Vec::as_slice));
    let mut fields = Map::new();
    fields.insert("model".into(), Value::Null);
    fields.insert("input".into(), Value::Array(items));
    // nothing here ever asks for it again
    fields.insert("store".into(), json!(false));
    for (name, value) in &chat {
        params::put(&mut fields, name, value, dropped);
    }
    Ok(fields)
}
