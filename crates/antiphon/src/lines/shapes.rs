//! The shapes in which a line may hold a request.

use antiphon_core::{ChatRequest, Error, ErrorKind, chat::Delivery};
use antiphon_providers::dialects::ParsedRequest;
use serde_json::{Map, Value};

use crate::session::Wire;

/// Parameters that a `{"prompt": …}` line may carry; its other fields are data and are left alone.
const PROMPT_PARAMS: &[&str] = &[
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "reasoning_effort",
    "response_format",
    "seed",
    "service_tier",
    "stop",
    "stream",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
];

/// What a line asks, before the settings of the run are laid over it.
pub(super) struct Asked {
    /// The model that the line names.
    pub(super) model: Option<String>,
    /// The wire format that it is written in.
    pub(super) wire: Wire,
    pub(super) request: ChatRequest,
}

impl Asked {
    /// Asks what the flags say; of the line only its data.
    pub(super) fn of_flags(request: ChatRequest) -> Self {
        Self {
            model: None,
            wire: Wire::OpenAi,
            request,
        }
    }
}

/// Reads a line that is a request: OpenAI's or Anthropic's batch line, bare `messages`, or a `prompt`.
pub(super) fn request(mut fields: Map<String, Value>) -> Result<Asked, Error> {
    // batch lines have no `messages` or `prompt` of their own; rows of data may well have a `body`
    let (wire, parsed) = if fields.contains_key("messages") {
        fields.shift_remove("custom_id");
        fields.shift_remove("id");
        (Wire::OpenAi, Wire::OpenAi.parse(fields)?)
    } else if let Some(prompt) = fields.get("prompt") {
        (Wire::OpenAi, from_prompt(prompt, &fields)?)
    } else if let Some(body) = fields.shift_remove("body") {
        (Wire::OpenAi, openai_batch(&fields, body)?)
    } else if let Some(params) = fields.shift_remove("params") {
        let params = object(params, "params")?;
        (Wire::Anthropic, Wire::Anthropic.parse(params)?)
    } else {
        return Err(shapeless(&fields));
    };
    if parsed.request.delivery == Delivery::Streamed {
        return Err(invalid(
            "`stream: true` makes no sense in a file; leave it out",
        ));
    }
    Ok(Asked {
        model: parsed.model,
        wire,
        request: parsed.request,
    })
}

/// The text of an id: numbers are ids too.
pub(super) fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A line's id under this name, if it has one.
pub(crate) fn id(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, Error> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match id_text(value) {
            Some(text) => Ok(Some(text)),
            None => Err(invalid(format!("`{name}` is neither text nor a number"))),
        },
    }
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidLine, message)
}

/// The object of a line. serde counts every line as its first, so only the column is told.
pub(crate) fn object_of_line(text: &str) -> Result<Map<String, Value>, Error> {
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(invalid("this is JSON, but not an object")),
        Err(error) => {
            let words = error.to_string();
            let what = words.split(" at line ").next().unwrap_or_default();
            let column = error.column();
            Err(invalid(format!(
                "this is not JSON: {what} at column {column}"
            )))
        }
    }
}

fn object(value: Value, what: &str) -> Result<Map<String, Value>, Error> {
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(invalid(format!("`{what}` is not an object"))),
    }
}

fn openai_batch(fields: &Map<String, Value>, body: Value) -> Result<ParsedRequest, Error> {
    match fields.get("url") {
        None => {}
        Some(Value::String(url)) if url.ends_with("/chat/completions") => {}
        Some(url) => {
            return Err(invalid(format!(
                "the url {url} is not supported, only \"/v1/chat/completions\""
            )));
        }
    }
    match fields.get("method") {
        None => {}
        Some(Value::String(method)) if method.eq_ignore_ascii_case("POST") => {}
        Some(method) => return Err(invalid(format!("the method {method} is not \"POST\""))),
    }
    Wire::OpenAi.parse(object(body, "body")?)
}

fn from_prompt(prompt: &Value, fields: &Map<String, Value>) -> Result<ParsedRequest, Error> {
    let Value::String(prompt) = prompt else {
        return Err(invalid("`prompt` is not text"));
    };
    let mut messages = Vec::new();
    match fields.get("system") {
        None | Some(Value::Null) => {}
        Some(Value::String(system)) => {
            messages.push(serde_json::json!({"role": "system", "content": system}));
        }
        Some(_) => return Err(invalid("`system` is not text")),
    }
    messages.push(serde_json::json!({"role": "user", "content": prompt}));
    let mut body = Map::new();
    body.insert("messages".to_owned(), Value::Array(messages));
    for (name, value) in fields {
        if name == "model" || PROMPT_PARAMS.contains(&name.as_str()) {
            body.insert(name.clone(), value.clone());
        }
    }
    Wire::OpenAi.parse(body)
}

fn shapeless(fields: &Map<String, Value>) -> Error {
    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
    let has = match names.as_slice() {
        [] => "nothing".to_owned(),
        names => names.join(", "),
    };
    invalid(format!(
        "this has none of `messages`, `prompt`, `body`, `params` (it has {has}); \
         for rows of data pass --prompt '{{{{ field }}}}'"
    ))
}
