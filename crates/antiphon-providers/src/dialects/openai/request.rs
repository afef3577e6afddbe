//! Requests for `POST {base}/chat/completions`.

use std::sync::Arc;

use antiphon_core::{ChatRequest, Error, chat::Delivery};
use bytes::Bytes;
use serde::{Serializer, ser::SerializeMap};
use serde_json::{Map, Value, json};

use super::{
    capability::{self, Capability},
    messages::{self, Messages},
};
use crate::dialects::{
    EncodeTarget, Encoded, ParsedRequest, schema,
    wire::{
        Dropped, json_headers, not_json, refuse_verbatim, take_messages, take_model, take_stream,
    },
};

/// Anthropic's parameters that the provider `openai` refuses. Other servers may know them (vLLM takes `top_k`).
const ANTHROPIC_ONLY: [&str; 8] = [
    "top_k",
    "thinking",
    "container",
    "inference_geo",
    "speed",
    "cache_control",
    "context_management",
    "mcp_servers",
];

/// Everything beside model and messages that the envelope decides.
const ENVELOPE: [&str; 4] = ["model", "messages", "stream", "system"];

/// Writes a request.
pub(super) fn encode(request: &ChatRequest, target: &EncodeTarget<'_>) -> Result<Encoded, Error> {
    let mut dropped = Dropped::default();
    let params = &*request.params;
    refuse_verbatim(request)?;
    let is_own = request.came_in(super::NAME);
    let system = params.get("system").filter(|system| !system.is_null());
    let messages = match system {
        // blocks that look like another vendor's are the caller's own matter
        None if is_own => Messages::Verbatim(&request.messages),
        _ => messages::translate(&request.messages, system, &mut dropped)?,
    };
    let streamed = request.delivery == Delivery::Streamed;

    let mut body = Vec::with_capacity(request.content_bytes() + 512);
    let mut serializer = serde_json::Serializer::new(&mut body);
    let mut fields = serializer.serialize_map(None).map_err(not_json)?;
    fields
        .serialize_entry("model", target.model)
        .map_err(not_json)?;
    fields
        .serialize_entry("messages", &messages)
        .map_err(not_json)?;
    if streamed {
        fields.serialize_entry("stream", &true).map_err(not_json)?;
        fields
            .serialize_entry("stream_options", &stream_options(params))
            .map_err(not_json)?;
    }
    let mut writer = ParamWriter {
        params,
        capability: (target.provider == "openai")
            .then(|| capability::of_model(target.model))
            .flatten(),
        at_openai: target.provider == "openai",
        is_own,
        has_schema: request.schema.is_some(),
        streamed,
        dropped: &mut dropped,
    };
    for (name, value) in params {
        writer.write(&mut fields, name, value)?;
    }
    if let Some(wanted) = &request.schema {
        let format = response_format(wanted.name(), wanted.json())?;
        fields
            .serialize_entry("response_format", &format)
            .map_err(not_json)?;
    }
    fields.end().map_err(not_json)?;
    Ok(Encoded {
        path: "/chat/completions",
        headers: json_headers(),
        body: Bytes::from(body),
        dropped: dropped.into_names(),
        streamed,
    })
}

/// Usage is always asked for, whatever else the caller has set: without it nobody knows what a stream has cost.
fn stream_options(params: &Map<String, Value>) -> Value {
    let given = params.get("stream_options").and_then(Value::as_object);
    let mut options = given.cloned().unwrap_or_default();
    options.insert("include_usage".into(), json!(true));
    Value::Object(options)
}

fn response_format(name: &str, json: &Value) -> Result<Value, Error> {
    let wire = schema::for_openai(json)?;
    Ok(json!({
        "type": "json_schema",
        "json_schema": {"name": name, "schema": wire.schema, "strict": wire.strict},
    }))
}

/// Writes parameters one by one, under the names that the target takes.
struct ParamWriter<'a> {
    params: &'a Map<String, Value>,
    capability: Option<&'static Capability>,
    at_openai: bool,
    /// The caller spoke this wire.
    is_own: bool,
    has_schema: bool,
    streamed: bool,
    dropped: &'a mut Dropped,
}

impl ParamWriter<'_> {
    fn write<M>(&mut self, fields: &mut M, name: &str, value: &Value) -> Result<(), Error>
    where
        M: SerializeMap<Error = serde_json::Error>,
    {
        let mut put =
            |name: &str, value: &Value| fields.serialize_entry(name, value).map_err(not_json);
        match name {
            _ if ENVELOPE.contains(&name) => Ok(()),
            "stream_options" if self.streamed => Ok(()),
            "stream_options" => self.leave_out(name),
            "response_format" if self.has_schema => Ok(()),
            "stop_sequences" => self.put_unless_set(put, "stop", value),
            "tools" if !self.is_own && has_foreign(value) => put(name, &self.own_tools(value)),
            "tool_choice" if value.get("type").is_some() && value.get("function").is_none() => {
                if value["disable_parallel_tool_use"] == true {
                    self.put_unless_set(&mut put, "parallel_tool_calls", &json!(false))?;
                }
                put(name, &own_tool_choice(value))
            }
            "output_config" => self.write_output_config(put, value),
            "service_tier" if value == "standard_only" => put(name, &json!("default")),
            "thinking" if self.capability.is_some() => match effort_of(value) {
                Some(effort) => self.put_unless_set(put, "reasoning_effort", &json!(effort)),
                None => self.leave_out(name),
            },
            _ if self.at_openai && ANTHROPIC_ONLY.contains(&name) => self.leave_out(name),
            _ => self.write_own(put, name, value),
        }
    }

    fn leave_out(&mut self, name: &str) -> Result<(), Error> {
        self.dropped.note(name);
        Ok(())
    }

    fn write_own(
        &mut self,
        mut put: impl FnMut(&str, &Value) -> Result<(), Error>,
        name: &str,
        value: &Value,
    ) -> Result<(), Error> {
        let Some(capability) = self.capability else {
            return put(name, value);
        };
        if capability.refuses(name, value) {
            return self.leave_out(name);
        }
        match capability.new_name(name) {
            None => put(name, value),
            Some(new) => self.put_unless_set(put, new, value),
        }
    }

    /// A translated parameter does not stand beside one that was given under its own name.
    fn put_unless_set(
        &self,
        mut put: impl FnMut(&str, &Value) -> Result<(), Error>,
        name: &str,
        value: &Value,
    ) -> Result<(), Error> {
        if self.params.contains_key(name) {
            return Ok(());
        }
        put(name, value)
    }

    fn write_output_config(
        &self,
        mut put: impl FnMut(&str, &Value) -> Result<(), Error>,
        config: &Value,
    ) -> Result<(), Error> {
        if let Some(effort) = config.get("effort").filter(|effort| !effort.is_null()) {
            self.put_unless_set(&mut put, "reasoning_effort", effort)?;
        }
        match config.get("format").and_then(|format| format.get("schema")) {
            Some(json) if !self.has_schema => {
                self.put_unless_set(put, "response_format", &response_format("answer", json)?)
            }
            _ => Ok(()),
        }
    }

    /// Anthropic's tools as functions. Tools that run at the vendor have no counterpart.
    fn own_tools(&mut self, tools: &Value) -> Value {
        let mut own = Vec::new();
        for tool in tools.as_array().into_iter().flatten() {
            if tool.get("function").is_some() {
                own.push(tool.clone());
            } else if let Some(parameters) = tool.get("input_schema") {
                let mut function = Map::new();
                for name in ["name", "description", "strict"] {
                    if let Some(value) = tool.get(name) {
                        function.insert(name.into(), value.clone());
                    }
                }
                function.insert("parameters".into(), parameters.clone());
                own.push(json!({"type": "function", "function": function}));
            } else {
                let name = tool.get("name").and_then(Value::as_str);
                self.dropped
                    .note(&format!("tools.{}", name.unwrap_or("unknown")));
            }
        }
        Value::Array(own)
    }
}

/// Tools with a `function`, or of a type of their own with settings under its name (`custom`), are OpenAI's.
fn has_foreign(tools: &Value) -> bool {
    let tools = tools.as_array();
    tools
        .into_iter()
        .flatten()
        .any(|tool| tool.get("name").is_some() && tool.get("function").is_none())
}

/// How hard to think, from how much thinking was allowed. The steps are ours: the wires have no common measure.
fn effort_of(thinking: &Value) -> Option<&'static str> {
    match (
        thinking["type"].as_str()?,
        thinking["budget_tokens"].as_u64(),
    ) {
        ("enabled", Some(0..=4096)) => Some("low"),
        ("enabled", Some(4097..=16384)) => Some("medium"),
        ("enabled", _) => Some("high"),
        _ => None,
    }
}

fn own_tool_choice(choice: &Value) -> Value {
    match choice["type"].as_str() {
        Some("any") => json!("required"),
        Some("tool") => json!({"type": "function", "function": {"name": choice["name"]}}),
        Some(word @ ("auto" | "none")) => json!(word),
        // OpenAI's own objects (`allowed_tools`, `custom`)
        _ => choice.clone(),
    }
}

/// Reads a request of this wire; all parameters stay as they are.
pub(super) fn parse(mut wire: Map<String, Value>) -> Result<ParsedRequest, Error> {
    let model = take_model(&mut wire)?;
    let mut request = ChatRequest::new(take_messages(&mut wire)?);
    if take_stream(&mut wire)? {
        request.delivery = Delivery::Streamed;
    }
    request.params = Arc::new(wire);
    Ok(ParsedRequest { model, request })
}
