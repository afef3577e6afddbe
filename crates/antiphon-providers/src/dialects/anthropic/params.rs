//! OpenAI's parameters under Anthropic's names.

use antiphon_core::Error;
use serde_json::{Map, Value, json};

use crate::dialects::{schema, wire::Dropped};

/// Parameters that Anthropic has no word for.
const OPENAI_ONLY: [&str; 23] = [
    "seed",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "presence_penalty",
    "frequency_penalty",
    "store",
    "modalities",
    "audio",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "verbosity",
    "web_search_options",
    "functions",
    "function_call",
    "stream_options",
    "min_p",
    "repetition_penalty",
    "chat_template_kwargs",
    "structured_outputs",
    "best_of",
];

/// Sampling parameters, refused by the wire version of 2026-10-21 even with default values.
const SAMPLING: [&str; 3] = ["temperature", "top_p", "top_k"];

/// Parameters that others carry, and what the envelope decides.
const ELSEWHERE: [&str; 11] = [
    "model",
    "messages",
    "stream",
    "system",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "parallel_tool_calls",
    "user",
    "safety_identifier",
    "output_config",
];

/// The wire version without sampling parameters.
pub(super) const WITHOUT_SAMPLING: &str = "2026-10-21";

/// What decides about parameters, beside their names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    /// The request has a schema of its own.
    pub(super) has_schema: bool,
    /// The caller spoke this wire: what is not known here is for the provider to know.
    pub(super) is_own: bool,
    /// The wire version.
    pub(super) version: &'a str,
}

/// Translated parameters, ready to be written.
pub(super) fn translate(
    params: &Map<String, Value>,
    rules: Rules<'_>,
    dropped: &mut Dropped,
) -> Map<String, Value> {
    let mut own = Map::new();
    for (name, value) in params {
        let name = name.as_str();
        match name {
            _ if value.is_null() || ELSEWHERE.contains(&name) => {}
            _ if OPENAI_ONLY.contains(&name) && !rules.is_own => dropped.note(name),
            _ if rules.version >= WITHOUT_SAMPLING && SAMPLING.contains(&name) => {
                dropped.note(name)
            }
            // one answer is what comes anyway
            "n" if value == 1 => {}
            "n" => dropped.note(name),
            "stop" => put_stop(&mut own, value),
            "tools" => put_tools(&mut own, value, dropped),
            "tool_choice" => drop(own.insert(name.into(), tool_choice(value))),
            "metadata" | "service_tier" if rules.is_own => {
                own.insert(name.into(), value.clone());
            }
            "metadata" => put_metadata(&mut own, value, dropped),
            "service_tier" => put_service_tier(&mut own, value, dropped),
            "reasoning_effort" => put_effort(&mut own, value, dropped),
            "response_format" if rules.has_schema => {}
            "response_format" => note_format(value, dropped),
            _ => drop(own.insert(name.into(), value.clone())),
        }
    }
    put_parallel(&mut own, params);
    put_user(&mut own, params);
    put_output_config(&mut own, params);
    own
}

fn put_stop(own: &mut Map<String, Value>, stop: &Value) {
    let sequences = match stop {
        Value::Array(_) => stop.clone(),
        one => json!([one]),
    };
    // Anthropic's own name wins where both are given
    own.entry("stop_sequences").or_insert(sequences);
}

fn put_tools(own: &mut Map<String, Value>, tools: &Value, dropped: &mut Dropped) {
    let mut list = Vec::new();
    for tool in tools.as_array().into_iter().flatten() {
        match (tool.get("function"), tool["type"].as_str()) {
            (Some(function), _) => list.push(own_tool(tool, function)),
            // a grammar for free text has no counterpart
            (None, Some("custom")) if tool.get("custom").is_some() => dropped.note("tools.custom"),
            _ => list.push(tool.clone()),
        }
    }
    own.insert("tools".into(), Value::Array(list));
}

fn own_tool(tool: &Value, function: &Value) -> Value {
    let mut own = Map::new();
    let rename = [
        ("name", "name"),
        ("description", "description"),
        ("parameters", "input_schema"),
        ("strict", "strict"),
    ];
    for (from, to) in rename {
        if let Some(value) = function.get(from).filter(|value| !value.is_null()) {
            own.insert(to.into(), value.clone());
        }
    }
    // a function without parameters omits them; here they are required
    own.entry("input_schema")
        .or_insert_with(|| json!({"type": "object", "properties": {}}));
    if let Some(control) = tool.get("cache_control") {
        own.insert("cache_control".into(), control.clone());
    }
    Value::Object(own)
}

fn tool_choice(choice: &Value) -> Value {
    match choice {
        Value::String(word) if word == "required" => json!({"type": "any"}),
        Value::String(word) => json!({"type": word}),
        choice => match choice.get("function") {
            Some(function) => json!({"type": "tool", "name": function["name"]}),
            None => choice.clone(),
        },
    }
}

/// `parallel_tool_calls: false` rides in the choice of tools.
fn put_parallel(own: &mut Map<String, Value>, params: &Map<String, Value>) {
    let disabled = params.get("parallel_tool_calls") == Some(&Value::Bool(false));
    if !disabled || !own.contains_key("tools") {
        return;
    }
    let choice = own
        .entry("tool_choice")
        .or_insert_with(|| json!({"type": "auto"}));
    // with `none` no tool is called at all, and the field is refused
    if choice["type"] != "none" {
        choice["disable_parallel_tool_use"] = json!(true);
    }
}

/// Anthropic's metadata has one field.
fn put_metadata(own: &mut Map<String, Value>, metadata: &Value, dropped: &mut Dropped) {
    if let Some(user) = metadata.get("user_id") {
        own.insert("metadata".into(), json!({"user_id": user}));
    }
    let fields = metadata.as_object().map(Map::len);
    if fields != Some(usize::from(metadata.get("user_id").is_some())) {
        dropped.note("metadata");
    }
}

fn put_user(own: &mut Map<String, Value>, params: &Map<String, Value>) {
    let user = ["safety_identifier", "user"]
        .iter()
        .find_map(|name| params.get(*name)?.as_str());
    if let Some(user) = user {
        own.entry("metadata")
            .or_insert_with(|| json!({"user_id": user}));
    }
}

fn put_service_tier(own: &mut Map<String, Value>, tier: &Value, dropped: &mut Dropped) {
    match tier.as_str() {
        Some("auto" | "standard_only") => drop(own.insert("service_tier".into(), tier.clone())),
        Some("default") => drop(own.insert("service_tier".into(), json!("standard_only"))),
        _ => dropped.note("service_tier"),
    }
}

fn put_effort(own: &mut Map<String, Value>, effort: &Value, dropped: &mut Dropped) {
    let effort = match effort.as_str() {
        Some(same @ ("low" | "medium" | "high" | "xhigh" | "max")) => same,
        Some("minimal") => "low",
        Some("none") => {
            own.entry("thinking")
                .or_insert_with(|| json!({"type": "disabled"}));
            return;
        }
        _ => return dropped.note("reasoning_effort"),
    };
    own.insert("output_config".into(), json!({"effort": effort}));
}

fn note_format(format: &Value, dropped: &mut Dropped) {
    match format["type"].as_str() {
        Some("text" | "json_schema") => {}
        _ => dropped.note("response_format"),
    }
}

/// Anthropic's own `output_config` wins over what was translated, field by field.
fn put_output_config(own: &mut Map<String, Value>, params: &Map<String, Value>) {
    if let Some(Value::Object(given)) = params.get("output_config") {
        match own.get_mut("output_config") {
            Some(Value::Object(config)) => config.extend(given.clone()),
            _ => drop(own.insert("output_config".into(), Value::Object(given.clone()))),
        }
    }
}

/// Sets the shape of the answer: the request's schema before a `response_format`.
///
/// # Errors
/// See [`schema::for_anthropic`].
pub(super) fn put_schema(
    own: &mut Map<String, Value>,
    wanted: Option<&Value>,
    response_format: Option<&Value>,
) -> Result<(), Error> {
    let given = response_format
        .filter(|format| format["type"] == "json_schema")
        .and_then(|format| format["json_schema"].get("schema"));
    let has_own = own
        .get("output_config")
        .is_some_and(|config| config.get("format").is_some());
    let schema = match (wanted, given) {
        (Some(wanted), _) => wanted,
        (None, Some(given)) if !has_own => given,
        _ => return Ok(()),
    };
    let format = json!({"type": "json_schema", "schema": schema::for_anthropic(schema)?});
    match own.get_mut("output_config") {
        Some(Value::Object(config)) => drop(config.insert("format".into(), format)),
        _ => drop(own.insert("output_config".into(), json!({"format": format}))),
    }
    Ok(())
}
