//! Requests for `POST {base}/v1/messages`.

use std::sync::Arc;

use antiphon_core::{
    ChatRequest, Error, Message,
    chat::{Delivery, Role},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde::{Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

use super::{blocks::Block, messages, params};
use crate::dialects::{
    EncodeTarget, Encoded, ParsedRequest,
    wire::{
        Dropped, bad_request, invalid, json_headers, not_json, read_content, refuse_several,
        refuse_verbatim, take_messages, take_model, take_stream,
    },
};

/// The wire version unless the target names another: the one that takes sampling parameters.
const DEFAULT_VERSION: &str = "2023-06-01";

/// Output cap where the request names none; the wire requires one (product.md, section 2).
pub(super) const DEFAULT_MAX_TOKENS: u64 = 4096;

/// Above this an answer may take more than ten minutes (3600 s · max_tokens / 128 000 > 600 s), and must be streamed.
const MOST_UNSTREAMED_TOKENS: u64 = 21_333;

/// Headers of every request: its form and the version of the wire.
pub(super) fn headers(target: &EncodeTarget<'_>) -> Result<HeaderMap, Error> {
    let mut headers = json_headers();
    let version = HeaderValue::from_str(target.version.unwrap_or(DEFAULT_VERSION))
        .map_err(|_| bad_request("the wire version is not a header value"))?;
    headers.insert("anthropic-version", version);
    Ok(headers)
}

/// Writes a request.
pub(super) fn encode(request: &ChatRequest, target: &EncodeTarget<'_>) -> Result<Encoded, Error> {
    refuse_verbatim(request)?;
    let mut dropped = Dropped::default();
    let version = target.version.unwrap_or(DEFAULT_VERSION);
    let given = &*request.params;
    refuse_several(request, "an Anthropic model")?;
    let is_own = request.came_in(super::NAME);
    let system = given.get("system");
    let conversation = messages::translate(&request.messages, system, is_own, &mut dropped)?;
    let rules = params::Rules {
        has_schema: request.schema.is_some(),
        is_own,
        version,
    };
    let mut own = params::translate(given, rules, &mut dropped);
    let wanted = request.schema.as_ref().map(|schema| schema.json());
    params::put_schema(&mut own, wanted, given.get("response_format"))?;
    let max_tokens = request.max_output_tokens().unwrap_or(DEFAULT_MAX_TOKENS);
    let streamed = request.delivery == Delivery::Streamed || max_tokens > MOST_UNSTREAMED_TOKENS;

    let mut body = Vec::with_capacity(request.content_bytes() + 512);
    let mut serializer = serde_json::Serializer::new(&mut body);
    let mut write = || -> serde_json::Result<()> {
        let mut fields = serializer.serialize_map(None)?;
        fields.serialize_entry("model", target.model)?;
        fields.serialize_entry("max_tokens", &max_tokens)?;
        match conversation.system.as_slice() {
            [] => {}
            [Block::Text(text)] => fields.serialize_entry("system", text)?,
            blocks => fields.serialize_entry("system", blocks)?,
        }
        fields.serialize_entry("messages", &conversation.turns)?;
        if streamed {
            fields.serialize_entry("stream", &true)?;
        }
        for (name, value) in &own {
            fields.serialize_entry(name, value)?;
        }
        fields.end()
    };
    write().map_err(not_json)?;
    Ok(Encoded {
        path: "/v1/messages",
        headers: headers(target)?,
        body: Bytes::from(body),
        dropped: dropped.into_names(),
        streamed,
    })
}

/// Reads a request of this wire: the top-level system text becomes the first message, parameters get OpenAI's names
/// where one means the same. Content blocks, tools and `tool_choice` stay as they are: each dialect knows both forms.
pub(super) fn parse(mut wire: Map<String, Value>) -> Result<ParsedRequest, Error> {
    let model = take_model(&mut wire)?;
    let mut messages = take_messages(&mut wire)?;
    match wire.shift_remove("system") {
        None | Some(Value::Null) => {}
        Some(system) => {
            let content = read_content(system)
                .ok_or_else(|| invalid("`system` is neither text nor a list of blocks"))?;
            let message = Message {
                role: Role::System,
                content: Some(content),
                extra: Map::new(),
            };
            messages.insert(0, message);
        }
    }
    let streamed = take_stream(&mut wire)?;
    let mut request = ChatRequest::new(messages);
    if streamed {
        request.delivery = Delivery::Streamed;
    }
    request.params = Arc::new(wire.into_iter().map(openai_name).collect());
    Ok(ParsedRequest { model, request })
}

fn openai_name((name, value): (String, Value)) -> (String, Value) {
    match (name.as_str(), value) {
        ("stop_sequences", value) => ("stop".to_owned(), value),
        // the only field there is; more than it would be somebody's extension
        ("metadata", Value::Object(mut fields)) if is_user_only(&fields) => {
            let user = fields.remove("user_id").unwrap_or_default();
            ("user".to_owned(), user)
        }
        (_, value) => (name, value),
    }
}

fn is_user_only(metadata: &Map<String, Value>) -> bool {
    metadata.len() == 1 && metadata.get("user_id").is_some_and(Value::is_string)
}
