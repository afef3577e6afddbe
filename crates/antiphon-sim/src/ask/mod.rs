//! What is asked, whichever wire it came by.
//!
//! Both dialects and the in-process model read their requests into one [`Ask`], so that equal questions get equal
//! answers and are one prompt in the ledger.

mod embeddings;
mod identity;
mod responses;
mod tools;

use antiphon_core::{ChatRequest, chat::Delivery};
use serde_json::{Map, Value};

use crate::rejection::Rejection;

/// Whose words errors and headers are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenAi,
    Anthropic,
}

/// The form of a request and of its answer: one for each path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's responses.
    Responses,
    /// OpenAI's embeddings.
    Embeddings,
    /// Anthropic's messages.
    Messages,
    /// The length of a message that is not answered.
    CountTokens,
}

impl Form {
    /// The form that is spoken at a path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/v1/chat/completions" => Self::Chat,
            "/v1/responses" => Self::Responses,
            "/v1/embeddings" => Self::Embeddings,
            "/v1/messages" => Self::Messages,
            "/v1/messages/count_tokens" => Self::CountTokens,
            _ => return None,
        })
    }

    pub(crate) fn dialect(self) -> Dialect {
        match self {
            Self::Chat | Self::Responses | Self::Embeddings => Dialect::OpenAi,
            Self::Messages | Self::CountTokens => Dialect::Anthropic,
        }
    }

    /// Whether the model says something, which is what a provider charges by the word.
    fn is_answered(self) -> bool {
        !matches!(self, Self::Embeddings | Self::CountTokens)
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    System = 1,
    User = 2,
    Assistant = 3,
    Tool = 4,
}

/// What one speaker says before another does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) speaker: Speaker,
    pub(crate) text: String,
}

/// A tool that the model may call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) parameters: Value,
}

/// A question.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    pub(crate) model: String,
    pub(crate) turns: Vec<Turn>,
    other_parts: u64,
    pub(crate) tools: Vec<Tool>,
    /// The tool that must be called.
    pub(crate) forced_tool: Option<Tool>,
    /// Tools that the question names, which are called unless the request forbids it.
    pub(crate) named_tools: Vec<Tool>,
    /// Whether the model is asked to show what it thinks.
    pub(crate) thinks: bool,
    /// How many alternatives each token is told with; `None` where no odds are asked for.
    pub(crate) logprobs: Option<usize>,
    pub(crate) schema: Option<Value>,
    pub(crate) json_object: bool,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) stop: Vec<String>,
    pub(crate) choices: u32,
    /// The first choice's number: samples of one question go on where the one before ended. Always 0 on the wire, which
    /// does not carry it.
    pub(crate) first_choice: u32,
    /// `seed` and `temperature` as written: parameters that change what is said.
    flavour: String,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    /// What is embedded; empty for a question.
    pub(crate) inputs: Vec<String>,
    /// The request's own fields, for answers that repeat them.
    pub(crate) fields: Map<String, Value>,
    /// The answer that the caller has begun for the model, which goes on from there.
    pub(crate) begun: String,
}

impl Ask {
    /// Reads a request of the wire.
    pub(crate) fn read(form: Form, body: &[u8]) -> Result<Self, Rejection> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|error| Rejection::invalid(format!("the body is not JSON: {error}")))?;
        let Value::Object(fields) = body else {
            return Err(Rejection::invalid("the body is not a JSON object"));
        };
        let model = fields.get("model").and_then(Value::as_str);
        let Some(model) = model.filter(|model| !model.is_empty()) else {
            return Err(Rejection::invalid("you must provide a model parameter"));
        };
        let mut ask = match form {
            Form::Embeddings => Self::of_inputs(model, &fields)?,
            Form::Responses => Self::of_items(model, &fields)?,
            Form::Chat | Form::Messages | Form::CountTokens => {
                let Some(Value::Array(messages)) = fields.get("messages") else {
                    return Err(Rejection::invalid("messages: an array is required"));
                };
                Self::of_parts(model, messages, &fields)?
            }
        };
        if form.dialect() == Dialect::Anthropic {
            if form == Form::Messages && ask.max_tokens.is_none() {
                return Err(Rejection::invalid("max_tokens: Field required"));
            }
            ask.take_begun()?;
        }
        if form.dialect() == Dialect::OpenAi && ask.max_tokens == Some(0) {
            return Err(Rejection::invalid("max_tokens must be at least 1"));
        }
        let is_set = |field: Option<&Value>| field.and_then(Value::as_bool) == Some(true);
        let options = fields.get("stream_options");
        ask.include_usage = is_set(options.and_then(|options| options.get("include_usage")));
        ask.stream = form.is_answered() && is_set(fields.get("stream"));
        if !form.is_answered() {
            ask.choices = 0;
        }
        ask.fields = fields;
        Ok(ask)
    }

    /// Reads a request of this process.
    pub(crate) fn of_request(model: &str, request: &ChatRequest) -> Result<Self, Rejection> {
        let messages = serde_json::to_value(&*request.messages)
            .map_err(|error| Rejection::invalid(error.to_string()))?;
        let messages = messages.as_array().map_or(&[][..], Vec::as_slice);
        let mut ask = Self::of_parts(model, messages, &request.params)?;
        if let Some(schema) = &request.schema {
            ask.schema = Some(schema.json().clone());
        }
        ask.first_choice = request.sample.saturating_mul(ask.choices);
        ask.stream = request.delivery == Delivery::Streamed;
        ask.include_usage = true;
        Ok(ask)
    }

    fn of_parts(
        model: &str,
        messages: &[Value],
        fields: &Map<String, Value>,
    ) -> Result<Self, Rejection> {
        if messages.is_empty() {
            return Err(Rejection::invalid(
                "messages: at least one message is required",
            ));
        }
        let mut ask = Self {
            model: model.to_owned(),
            choices: 1,
            ..Self::default()
        };
        if let Some(system) = fields.get("system") {
            ask.hear(Speaker::System, system);
        }
        for message in messages {
            ask.hear_message(message)?;
        }
        ask.turns = merged(std::mem::take(&mut ask.turns));
        ask.read_tools(fields);
        ask.read_format(fields);
        ask.read_extras(fields);
        ask.max_tokens = ["max_completion_tokens", "max_tokens", "max_output_tokens"]
            .iter()
            .find_map(|name| fields.get(*name)?.as_u64());
        ask.stop = match fields.get("stop").or_else(|| fields.get("stop_sequences")) {
            Some(Value::String(stop)) => vec![stop.clone()],
            Some(Value::Array(stops)) => stops
                .iter()
                .filter_map(|stop| Some(stop.as_str()?.to_owned()))
                .collect(),
            _ => Vec::new(),
        };
        ask.stop.retain(|stop| !stop.is_empty());
        ask.choices = match fields.get("n") {
            None | Some(Value::Null) => 1,
            Some(n) => n
                .as_u64()
                .and_then(|n| u32::try_from(n).ok())
                .filter(|n| (1..=128).contains(n))
                .ok_or_else(|| Rejection::invalid("n must be an integer from 1 to 128"))?,
        };
        for name in ["seed", "temperature"] {
            if let Some(value) = fields.get(name).filter(|value| !value.is_null()) {
                // 1 and 1.0 are one number
                let number = value
                    .as_f64()
                    .map_or_else(|| value.to_string(), |n| n.to_string());
                ask.flavour.push_str(&format!("{name}={number};"));
            }
        }
        Ok(ask)
    }

    /// Takes a last turn of the model's own for the beginning of its answer, as the wire of Anthropic does.
    fn take_begun(&mut self) -> Result<(), Rejection> {
        let is_own = |turn: &mut Turn| turn.speaker == Speaker::Assistant;
        if self.turns.len() < 2 {
            return Ok(());
        }
        if let Some(turn) = self.turns.pop_if(is_own) {
            if turn.text.ends_with(char::is_whitespace) {
                return Err(Rejection::invalid(
                    "messages: final assistant content cannot end with trailing whitespace",
                ));
            }
            self.begun = turn.text;
        }
        Ok(())
    }

    fn hear_message(&mut self, message: &Value) -> Result<(), Rejection> {
        let speaker = match message.get("role").and_then(Value::as_str) {
            Some("system" | "developer") => Speaker::System,
            Some("assistant") => Speaker::Assistant,
            Some("tool" | "function") => Speaker::Tool,
            Some(_) => Speaker::User,
            None => return Err(Rejection::invalid("messages: each message needs a role")),
        };
        if let Some(content) = message.get("content") {
            self.hear(speaker, content);
        }
        for call in message
            .get("tool_calls")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let function = &call["function"];
            let text = |name: &str| function[name].as_str().unwrap_or_default().to_owned();
            let arguments = serde_json::from_str(&text("arguments")).unwrap_or(Value::Null);
            self.turns.push(called(&text("name"), &arguments));
        }
        Ok(())
    }

    /// Takes a content: a text, or parts in the words of either wire.
    fn hear(&mut self, speaker: Speaker, content: &Value) {
        match content {
            Value::String(text) => self.turns.push(Turn {
                speaker,
                text: text.clone(),
            }),
            Value::Array(parts) => {
                for part in parts {
                    self.hear_part(speaker, part);
                }
            }
            _ => {}
        }
    }

    fn hear_part(&mut self, speaker: Speaker, part: &Value) {
        match (part["type"].as_str(), part["text"].as_str()) {
            (_, Some(text)) => self.turns.push(Turn {
                speaker,
                text: text.to_owned(),
            }),
            (Some("tool_result"), _) => self.hear(Speaker::Tool, &part["content"]),
            (Some("tool_use"), _) => {
                let name = part["name"].as_str().unwrap_or_default();
                self.turns.push(called(name, &part["input"]));
            }
            // what the model has thought before is not said again
            (Some("thinking" | "redacted_thinking"), _) => {}
            _ => self.other_parts += 1,
        }
    }

    fn read_format(&mut self, fields: &Map<String, Value>) {
        let field = |name: &str| fields.get(name).unwrap_or(&Value::Null);
        let openai = field("response_format");
        let anthropic = &field("output_config")["format"];
        let responses = &field("text")["format"];
        let schemas = [
            &openai["json_schema"]["schema"],
            &anthropic["schema"],
            &responses["schema"],
        ];
        self.schema = schemas
            .into_iter()
            .find(|schema| !schema.is_null())
            .cloned();
        self.json_object = [openai, responses]
            .iter()
            .any(|format| format["type"] == "json_object");
    }

    /// Reads whether thoughts and odds are wanted, in the words of any wire.
    fn read_extras(&mut self, fields: &Map<String, Value>) {
        let field = |name: &str| fields.get(name).unwrap_or(&Value::Null);
        let efforts = [field("reasoning_effort"), &field("reasoning")["effort"]];
        let is_effort = |effort: &&Value| effort.as_str().is_some_and(|effort| effort != "none");
        let thinking = field("thinking")["type"].as_str();
        self.thinks =
            efforts.iter().any(is_effort) || matches!(thinking, Some("enabled" | "adaptive"));
        let included = field("include").as_array().into_iter().flatten();
        let is_told = field("logprobs") == true
            || included
                .into_iter()
                .any(|part| part == "message.output_text.logprobs");
        let top = field("top_logprobs").as_u64().unwrap_or(0).min(20);
        self.logprobs = is_told.then_some(top as usize);
    }
}

fn called(name: &str, arguments: &Value) -> Turn {
    Turn {
        speaker: Speaker::Assistant,
        text: format!("{name}({arguments})"),
    }
}

/// Turns in one form for both wires: system words first, neighbours of the same speaker joined. Anthropic keeps its
/// system words apart and joins neighbours itself.
fn merged(turns: Vec<Turn>) -> Vec<Turn> {
    let (system, rest): (Vec<_>, Vec<_>) = turns
        .into_iter()
        .partition(|turn| turn.speaker == Speaker::System);
    let mut merged: Vec<Turn> = Vec::with_capacity(rest.len() + 1);
    for turn in system.into_iter().chain(rest) {
        match merged.last_mut() {
            Some(last) if last.speaker == turn.speaker => {
                last.text.push('\n');
                last.text.push_str(&turn.text);
            }
            _ => merged.push(turn),
        }
    }
    merged
}
