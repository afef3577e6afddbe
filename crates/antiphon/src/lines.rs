//! Lines of input: the shapes they come in, and the calls they become.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use antiphon_core::{
    ChatRequest, Error, ErrorKind, Fingerprint, Message,
    chat::{Role, Schema},
    job::{Call, Prepare, PreparedRow, RawRow},
};
use antiphon_providers::dialects::ParsedRequest;
use antiphon_store::sources::Rows;
use serde_json::{Map, Value};

use crate::{
    session::{Session, Wire},
    template::{Template, TemplateError},
};

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

/// How lines become calls.
#[derive(Debug)]
pub(crate) struct LinesConfig {
    /// What lines hold.
    pub(crate) rows: Rows,
    /// The model of every row, in place of what lines say.
    pub(crate) model: Option<String>,
    /// Makes the user message from a row's fields; then every line is data.
    pub(crate) prompt: Option<Template>,
    /// Makes a system message from a row's fields.
    pub(crate) system: Option<Template>,
    /// Parameters of every request, in place of what lines say.
    pub(crate) params: Map<String, Value>,
    /// The shape of every answer.
    pub(crate) schema: Option<Schema>,
    /// Parameters that the target cannot take are errors.
    pub(crate) strict: bool,
}

/// Prepares rows for a job.
#[derive(Debug)]
pub(crate) struct Lines {
    config: LinesConfig,
    session: Arc<Session>,
    overridden: Mutex<BTreeSet<String>>,
}

/// A line as a request, before the settings of the run are laid over it.
struct Asked {
    custom_id: Option<String>,
    owns_custom_id: bool,
    model: Option<String>,
    wire: Wire,
    request: ChatRequest,
}

impl Lines {
    /// Prepares rows with the models of a session.
    pub(crate) fn new(config: LinesConfig, session: Arc<Session>) -> Self {
        Self {
            config,
            session,
            overridden: Mutex::default(),
        }
    }

    /// What flags have taken the place of in lines: to be told once.
    pub(crate) fn overridden(&self) -> Vec<String> {
        let overridden = self
            .overridden
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        overridden.iter().cloned().collect()
    }

    fn read(&self, text: &str) -> Result<Asked, Error> {
        if self.config.rows == Rows::Text {
            return self.read_text(text);
        }
        let line: Value = serde_json::from_str(text)
            .map_err(|error| invalid(format!("the line is not JSON: {error}")))?;
        let Value::Object(mut fields) = line else {
            return Err(invalid("the line is JSON, but not an object"));
        };
        if self.config.prompt.is_some() {
            return self.read_data(&fields);
        }
        let owned = take_id(&mut fields, "custom_id")?;
        let named = take_id(&mut fields, "id")?;
        let owns_custom_id = owned.is_some();
        let (wire, asked) = if let Some(body) = fields.remove("body") {
            (Wire::OpenAi, openai_batch(&fields, body)?)
        } else if let Some(params) = fields.remove("params") {
            (
                Wire::Anthropic,
                Wire::Anthropic.parse(object(params, "params")?)?,
            )
        } else if fields.contains_key("messages") {
            (Wire::OpenAi, Wire::OpenAi.parse(fields.clone())?)
        } else if let Some(prompt) = fields.get("prompt") {
            let Value::String(prompt) = prompt else {
                return Err(invalid("`prompt` is not a string"));
            };
            (Wire::OpenAi, from_prompt(prompt, &fields)?)
        } else {
            return Err(shapeless(&fields));
        };
        let mut asked = Asked {
            custom_id: owned.or(named),
            owns_custom_id,
            model: asked.model,
            wire,
            request: asked.request,
        };
        if let Some(system) = &self.config.system {
            let text = system.render(&fields).map_err(template_error(&fields))?;
            Arc::make_mut(&mut asked.request.messages).insert(0, Message::text(Role::System, text));
        }
        Ok(asked)
    }

    fn read_text(&self, line: &str) -> Result<Asked, Error> {
        if self.config.prompt.is_some() || self.config.system.is_some() {
            let fields = Map::from_iter([("line".to_owned(), Value::from(line))]);
            let mut asked = self.read_data(&fields)?;
            if self.config.prompt.is_none() {
                Arc::make_mut(&mut asked.request.messages).push(Message::text(Role::User, line));
            }
            return Ok(asked);
        }
        Ok(Asked {
            custom_id: None,
            owns_custom_id: false,
            model: None,
            wire: Wire::OpenAi,
            request: ChatRequest::prompt(line),
        })
    }

    /// A row of data: templates make the messages.
    fn read_data(&self, fields: &Map<String, Value>) -> Result<Asked, Error> {
        let mut messages = Vec::new();
        for (template, role) in [
            (&self.config.system, Role::System),
            (&self.config.prompt, Role::User),
        ] {
            if let Some(template) = template {
                let text = template.render(fields).map_err(template_error(fields))?;
                messages.push(Message::text(role, text));
            }
        }
        let id = |name| fields.get(name).and_then(id_text);
        let owned = id("custom_id");
        Ok(Asked {
            owns_custom_id: owned.is_some(),
            custom_id: owned.or_else(|| id("id")),
            model: None,
            wire: Wire::OpenAi,
            request: ChatRequest::new(messages),
        })
    }

    fn call(&self, asked: Asked) -> Result<(Call, Fingerprint), Error> {
        let model = match (&self.config.model, asked.model) {
            (Some(flag), line) => {
                if line.as_ref().is_some_and(|line| line != flag) {
                    self.note_override("model");
                }
                flag.clone()
            }
            (None, Some(line)) => line,
            (None, None) => self.session.default_model().ok_or_else(|| {
                Error::new(
                    ErrorKind::BadRequest,
                    "no model is named; pass --model provider/model or set default_model",
                )
            })?,
        };
        let resolved = self.session.resolve(&model, asked.wire)?;
        let mut request = asked.request;
        let params = Arc::make_mut(&mut request.params);
        if params.remove("stream") == Some(Value::Bool(true)) {
            return Err(invalid(
                "`stream: true` makes no sense in a file; leave it out",
            ));
        }
        for (name, value) in &resolved.params {
            params.entry(name.clone()).or_insert_with(|| value.clone());
        }
        for (name, value) in &self.config.params {
            if let Some(line) = params.insert(name.clone(), value.clone())
                && line != *value
            {
                self.note_override(name);
            }
        }
        request.schema.clone_from(&self.config.schema);
        if self.config.strict {
            resolved.refuse_dropped(&request)?;
        }
        let print = Fingerprint::of(&resolved.target(), &request);
        let call = Call {
            model: resolved.model.clone(),
            request,
            dropped: Vec::new(),
        };
        Ok((call, print))
    }

    fn note_override(&self, what: &str) {
        let mut overridden = self
            .overridden
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !overridden.contains(what) {
            overridden.insert(what.to_owned());
        }
    }
}

impl Prepare for Lines {
    fn prepare(&self, row: &RawRow) -> PreparedRow {
        let default_id = || format!("row-{}", row.index);
        // a line that is no request is known by its bytes
        let of_line = || Fingerprint::of_bytes("line", &row.hash);
        let text = match &row.text {
            Ok(text) => String::from_utf8_lossy(text),
            Err(fault) => {
                return PreparedRow {
                    custom_id: default_id(),
                    owns_custom_id: false,
                    fingerprint: of_line(),
                    call: Err(fault.error()),
                };
            }
        };
        match self.read(&text) {
            Ok(asked) => {
                let owns_custom_id = asked.owns_custom_id;
                let custom_id = asked.custom_id.clone().unwrap_or_else(default_id);
                let (call, fingerprint) = match self.call(asked) {
                    Ok((call, fingerprint)) => (Ok(call), fingerprint),
                    Err(error) => (Err(error), of_line()),
                };
                PreparedRow {
                    custom_id,
                    owns_custom_id,
                    fingerprint,
                    call,
                }
            }
            Err(error) => {
                let id = custom_id_of(&text);
                PreparedRow {
                    owns_custom_id: id.is_some(),
                    custom_id: id.unwrap_or_else(default_id),
                    fingerprint: of_line(),
                    call: Err(error),
                }
            }
        }
    }

    fn check_first(&self, row: &RawRow) -> Result<(), Error> {
        match self.prepare(row).call {
            Err(error) => match error.kind() {
                // one bad line, even the first, becomes an error line; a plan that cannot work is refused
                ErrorKind::InvalidLine | ErrorKind::LineTooLong => Ok(()),
                _ => Err(error),
            },
            Ok(_) => Ok(()),
        }
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidLine, message)
}

fn object(value: Value, what: &str) -> Result<Map<String, Value>, Error> {
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(invalid(format!("`{what}` is not an object"))),
    }
}

fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn take_id(fields: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Error> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match id_text(&value) {
            Some(text) => Ok(Some(text)),
            None => Err(invalid(format!("`{name}` is neither text nor a number"))),
        },
    }
}

/// The `custom_id` of a line that is otherwise no request.
fn custom_id_of(text: &str) -> Option<String> {
    let line: Value = serde_json::from_str(text).ok()?;
    id_text(line.get("custom_id")?)
}

fn openai_batch(fields: &Map<String, Value>, body: Value) -> Result<ParsedRequest, Error> {
    if let Some(url) = fields.get("url").and_then(Value::as_str)
        && !url.ends_with("/chat/completions")
    {
        return Err(invalid(format!(
            "url {url:?} is not supported here, only /v1/chat/completions"
        )));
    }
    if let Some(method) = fields.get("method").and_then(Value::as_str)
        && !method.eq_ignore_ascii_case("POST")
    {
        return Err(invalid(format!("method {method:?} is not POST")));
    }
    Wire::OpenAi.parse(object(body, "body")?)
}

fn from_prompt(prompt: &str, fields: &Map<String, Value>) -> Result<ParsedRequest, Error> {
    let mut messages = Vec::new();
    if let Some(system) = fields.get("system").and_then(Value::as_str) {
        messages.push(serde_json::json!({"role": "system", "content": system}));
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
        "the line has none of `messages`, `prompt`, `body`, `params` (it has {has}); \
         for rows of data pass --prompt '{{{{ field }}}}'"
    ))
}

fn template_error(fields: &Map<String, Value>) -> impl FnOnce(TemplateError) -> Error + '_ {
    move |error| match error {
        TemplateError::MissingField(field) => {
            let names: Vec<&str> = fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, _)| name.as_str())
                .collect();
            Error::new(
                ErrorKind::MissingField,
                format!(
                    "the row has no field `{field}`; it has {}",
                    if names.is_empty() {
                        "none".to_owned()
                    } else {
                        names.join(", ")
                    }
                ),
            )
        }
        TemplateError::Failed(message) => Error::new(ErrorKind::BadRequest, message),
    }
}
