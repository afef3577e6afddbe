//! A chat request as the parameters of `sampling/createMessage`.

use antiphon_core::{ChatRequest, Error};
use serde_json::{Map, Value};

use super::{
    Capabilities, Dropped, bad_request, lacks_tools, tools,
    turns::{self, BETWEEN_TEXTS},
};

/// The protocol demands a cap; this one stands where the request names none.
const USUAL_MAX_TOKENS: u64 = 4096;

/// Parameters that are read elsewhere, or that this side decides.
const ELSEWHERE: [&str; 11] = [
    "model",
    "messages",
    "stream",
    "system",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "response_format",
];

/// A request as its client is asked.
#[derive(Debug)]
pub(super) struct Mapped {
    /// The parameters of `sampling/createMessage`.
    pub(super) params: Value,
    /// Parameters that the protocol cannot put, by their names.
    pub(super) dropped: Vec<String>,
    /// The answer is to be JSON.
    pub(super) wants_json: bool,
}

/// The parameters of `sampling/createMessage`.
///
/// # Errors
/// The request asks for what the protocol ([`ErrorKind::BadRequest`](antiphon_core::ErrorKind::BadRequest)) or this client
/// ([`ErrorKind::Unsupported`](antiphon_core::ErrorKind::Unsupported)) cannot do.
pub(super) fn params_of(
    request: &ChatRequest,
    capabilities: Capabilities,
) -> Result<Mapped, Error> {
    if let Some(why) = request.only_verbatim() {
        return Err(bad_request(why));
    }
    let given = &*request.params;
    let mut dropped = Dropped::default();
    let mut conversation = turns::translate(&request.messages, &mut dropped)?;
    let tools = tools::translate(given, &mut dropped)?;
    if !tools.is_empty() && !capabilities.tools {
        return Err(lacks_tools());
    }
    let mut system: Vec<String> = outer_system(given)?.into_iter().collect();
    system.append(&mut conversation.system);
    let form = form_of(request);
    let wants_json = form.is_some();
    system.extend(form);

    let mut params = Map::new();
    let messages = conversation.into_messages(capabilities)?;
    params.insert("messages".to_owned(), Value::Array(messages));
    if !system.is_empty() {
        let system = system.join(BETWEEN_TEXTS);
        params.insert("systemPrompt".to_owned(), system.into());
    }
    params.insert("maxTokens".to_owned(), max_tokens(request)?.into());
    for (name, value) in given {
        let name = name.as_str();
        if value.is_null() || ELSEWHERE.contains(&name) {
            continue;
        }
        match (name, value) {
            ("temperature", Value::Number(_)) => put(&mut params, name, value.clone()),
            ("temperature", _) => return Err(bad_request("`temperature` is not a number")),
            ("stop" | "stop_sequences", _) => put(&mut params, "stopSequences", stops(value)?),
            ("metadata", Value::Object(_)) => put(&mut params, name, value.clone()),
            ("modelPreferences", Value::Object(_)) => put(&mut params, name, value.clone()),
            // one answer is what comes anyway
            ("n", one) if one == 1 => {}
            _ => dropped.note(name),
        }
    }
    params.extend(tools);
    if is_unsaid_format(request) {
        dropped.note("response_format");
    }
    Ok(Mapped {
        params: Value::Object(params),
        dropped: dropped.into_names(),
        wants_json,
    })
}

fn put(params: &mut Map<String, Value>, name: &str, value: Value) {
    params.insert(name.to_owned(), value);
}

/// Anthropic's instructions beside the messages.
fn outer_system(given: &Map<String, Value>) -> Result<Option<String>, Error> {
    let texts: Option<Vec<&str>> = match given.get("system") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => Some(vec![text]),
        Some(Value::Array(parts)) => parts.iter().map(|part| part["text"].as_str()).collect(),
        Some(_) => None,
    };
    let texts = texts.ok_or_else(|| bad_request("`system` is neither text nor parts of text"))?;
    Ok(Some(texts.join(BETWEEN_TEXTS)).filter(|text| !text.is_empty()))
}

/// The field of the protocol's library holds 32 bits; no model writes as much.
fn max_tokens(request: &ChatRequest) -> Result<u64, Error> {
    let names = ["max_completion_tokens", "max_tokens", "max_output_tokens"];
    for name in names {
        let value = request.params.get(name).filter(|value| !value.is_null());
        if value.is_some_and(|value| value.as_u64().is_none()) {
            return Err(bad_request(format!("`{name}` is not a whole number")));
        }
    }
    let cap = request.max_output_tokens().unwrap_or(USUAL_MAX_TOKENS);
    Ok(cap.min(u64::from(u32::MAX)))
}

fn stops(value: &Value) -> Result<Value, Error> {
    let list = match value {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    if !list.iter().all(Value::is_string) {
        return Err(bad_request("`stop` is neither text nor a list of texts"));
    }
    Ok(Value::Array(list))
}

/// The form of the answer in words: the protocol has no field for it. They stand last, where models mind them most.
fn form_of(request: &ChatRequest) -> Option<String> {
    let format = request.params.get("response_format");
    let named = |kind: &str| format.filter(|format| format["type"] == kind);
    let of_format = named("json_schema").and_then(|format| format["json_schema"].get("schema"));
    let schema = request.schema.as_ref().map(|schema| schema.json());
    let of_format = of_format.filter(|schema| !schema.is_null());
    match schema.or(of_format) {
        Some(schema) => Some(format!(
            "Answer with JSON only: one value that fits the JSON Schema below, without any words before or after it and \
             without a code fence.\n\nJSON Schema:\n{schema}"
        )),
        None => named("json_object").map(|_| {
            "Answer with JSON only: one object, without any words before or after it and without a code fence.".to_owned()
        }),
    }
}

/// Whether the request asks for a format that was not put in words.
fn is_unsaid_format(request: &ChatRequest) -> bool {
    let format = request.params.get("response_format");
    match format.filter(|format| !format.is_null()) {
        None => false,
        Some(format) => match format["type"].as_str() {
            Some("text" | "json_object") => false,
            Some("json_schema") => {
                request.schema.is_none() && format["json_schema"]["schema"].is_null()
            }
            _ => true,
        },
    }
}
