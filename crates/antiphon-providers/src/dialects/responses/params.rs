//! Parameters of this wire, from and to those of chat completions.

use antiphon_core::Error;
use serde_json::{Map, Value, json};

use super::parse::Only;
use crate::dialects::{schema, wire::Dropped};

/// Parameters that say how this wire keeps or shows an answer. They change no answer, and nobody else knows them.
const OF_THIS_WIRE: [&str; 8] = [
    "store",
    "include",
    "truncation",
    "max_tool_calls",
    "stream_options",
    "background",
    "top_logprobs",
    "context_management",
];

/// Parameters of chat completions that this wire has no word for.
const CHAT_ONLY: [&str; 20] = [
    "n",
    "best_of",
    "stop",
    "stop_sequences",
    "seed",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "presence_penalty",
    "frequency_penalty",
    "modalities",
    "audio",
    "prediction",
    "functions",
    "function_call",
    "web_search_options",
    "stream_options",
    "thinking",
    "top_k",
    "output_config",
];

/// The parameters under the names of chat completions.
pub(super) fn to_chat(wire: Map<String, Value>, only: &mut Only) -> Map<String, Value> {
    let mut params = Map::new();
    for (name, value) in wire {
        match name.as_str() {
            _ if value.is_null() || OF_THIS_WIRE.contains(&name.as_str()) => {}
            "max_output_tokens" => drop(params.insert("max_tokens".into(), value)),
            "reasoning" => put_if_set(&mut params, "reasoning_effort", &value["effort"]),
            "text" => {
                put_if_set(&mut params, "verbosity", &value["verbosity"]);
                put_if_set(
                    &mut params,
                    "response_format",
                    &chat_format(&value["format"]),
                );
            }
            "tools" => {
                let tools = value.as_array().into_iter().flatten();
                let tools: Vec<_> = tools.filter_map(|tool| chat_tool(tool, only)).collect();
                if !tools.is_empty() {
                    params.insert(name, Value::Array(tools));
                }
            }
            "tool_choice" => put_if_set(&mut params, &name, &chat_choice(value, only)),
            _ => drop(params.insert(name, value)),
        }
    }
    if !params.contains_key("tools") {
        // these are refused where there are no tools
        params.shift_remove("tool_choice");
        params.shift_remove("parallel_tool_calls");
    }
    params
}

fn put_if_set(params: &mut Map<String, Value>, name: &str, value: &Value) {
    if !value.is_null() {
        params.insert(name.to_owned(), value.clone());
    }
}

/// `text` is what comes anyway.
fn chat_format(format: &Value) -> Value {
    match format["type"].as_str() {
        Some("json_schema") => {
            let mut inner = format.clone();
            if let Value::Object(inner) = &mut inner {
                inner.shift_remove("type");
            }
            json!({"type": "json_schema", "json_schema": inner})
        }
        Some("json_object") => json!({"type": "json_object"}),
        _ => Value::Null,
    }
}

fn chat_tool(tool: &Value, only: &mut Only) -> Option<Value> {
    let kind = tool["type"].as_str().unwrap_or_default();
    if kind != "function" {
        only.note(format!(
            "the tool `{kind}` runs at OpenAI, and other providers have no equivalent; leave it out or ask a model of OpenAI"
        ));
        return None;
    }
    let mut function = tool.clone();
    if let Value::Object(function) = &mut function {
        function.shift_remove("type");
        function.retain(|_, value| !value.is_null());
    }
    Some(json!({"type": "function", "function": function}))
}

fn chat_choice(choice: Value, only: &mut Only) -> Value {
    match choice["type"].as_str() {
        None => choice,
        Some("function") => json!({"type": "function", "function": {"name": choice["name"]}}),
        Some(kind) => {
            only.note(format!(
                "a `tool_choice` of the type `{kind}` needs a model of OpenAI; use `auto`, `required`, `none` or a function"
            ));
            Value::Null
        }
    }
}

/// Puts a parameter of chat completions among the fields of this wire.
pub(super) fn put(
    fields: &mut Map<String, Value>,
    name: &str,
    value: &Value,
    dropped: &mut Dropped,
) {
    match name {
        _ if value.is_null() => {}
        "model" | "messages" | "stream" => {}
        "system" => put_if_set(fields, "instructions", value),
        "max_tokens" | "max_completion_tokens" | "max_output_tokens" => {
            put_if_set(fields, "max_output_tokens", value);
        }
        "reasoning_effort" => put_within(fields, "reasoning", "effort", value.clone()),
        "verbosity" => put_within(fields, "text", "verbosity", value.clone()),
        "response_format" => put_within(fields, "text", "format", own_format(value)),
        "tools" => {
            let tools = value.as_array().into_iter().flatten().map(own_tool);
            fields.insert(name.into(), tools.collect());
        }
        "tool_choice" => drop(fields.insert(name.into(), own_choice(value))),
        "n" if value == 1 => {}
        _ if CHAT_ONLY.contains(&name) => dropped.note(name),
        _ => drop(fields.insert(name.into(), value.clone())),
    }
}

/// Sets the shape of the answer.
///
/// # Errors
/// See [`schema::for_openai`].
pub(super) fn put_schema(
    fields: &mut Map<String, Value>,
    name: &str,
    json: &Value,
) -> Result<(), Error> {
    let wire = schema::for_openai(json)?;
    let format = json!({
        "type": "json_schema",
        "name": name,
        "schema": wire.schema,
        "strict": wire.strict,
    });
    put_within(fields, "text", "format", format);
    Ok(())
}

fn put_within(fields: &mut Map<String, Value>, outer: &str, inner: &str, value: Value) {
    match fields.get_mut(outer) {
        Some(Value::Object(outer)) => drop(outer.insert(inner.to_owned(), value)),
        _ => drop(fields.insert(outer.to_owned(), json!({inner: value}))),
    }
}

fn own_format(format: &Value) -> Value {
    let mut own = match &format["json_schema"] {
        Value::Object(inner) => inner.clone(),
        _ => return format.clone(),
    };
    own.insert("type".into(), json!("json_schema"));
    Value::Object(own)
}

fn own_tool(tool: &Value) -> Value {
    let Value::Object(function) = &tool["function"] else {
        return tool.clone();
    };
    let mut own = function.clone();
    own.insert("type".into(), json!("function"));
    Value::Object(own)
}

fn own_choice(choice: &Value) -> Value {
    match &choice["function"]["name"] {
        Value::Null => choice.clone(),
        name => json!({"type": "function", "name": name}),
    }
}
