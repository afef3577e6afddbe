//! What is asked, whichever wire it came by.
//!
//! Both dialects and the in-process model read their requests into one [`Ask`], so that equal questions get equal
//! answers and are one prompt in the ledger.

mod identity;

use antiphon_core::{ChatRequest, chat::Delivery};
use serde_json::{Map, Value, json};

use crate::rejection::Rejection;

/// The wire form of a request and of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Chat completions.
    OpenAi,
    /// Messages.
    Anthropic,
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
    /// The answer that the caller has begun for the model, which goes on from there.
    pub(crate) begun: String,
}

impl Ask {
    /// Reads a request of the wire.
    pub(crate) fn read(dialect: Dialect, body: &[u8]) -> Result<Self, Rejection> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|error| Rejection::invalid(format!("the body is not JSON: {error}")))?;
        let Value::Object(fields) = &body else {
            return Err(Rejection::invalid("the body is not a JSON object"));
        };
        let model = fields.get("model").and_then(Value::as_str);
        let Some(model) = model.filter(|model| !model.is_empty()) else {
            return Err(Rejection::invalid("you must provide a model parameter"));
        };
        let Some(Value::Array(messages)) = fields.get("messages") else {
            return Err(Rejection::invalid("messages: an array is required"));
        };
        let mut ask = Self::of_parts(model, messages, fields)?;
        if dialect == Dialect::Anthropic {
            if ask.max_tokens.is_none() {
                return Err(Rejection::invalid("max_tokens: Field required"));
            }
            ask.take_begun()?;
        }
        if dialect == Dialect::OpenAi && ask.max_tokens == Some(0) {
            return Err(Rejection::invalid("max_tokens must be at least 1"));
        }
        ask.stream = fields.get("stream").and_then(Value::as_bool) == Some(true);
        ask.include_usage = body
            .pointer("/stream_options/include_usage")
            .and_then(Value::as_bool)
            == Some(true);
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
            _ => self.other_parts += 1,
        }
    }

    fn read_tools(&mut self, fields: &Map<String, Value>) {
        for tool in fields
            .get("tools")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let function = tool.get("function").unwrap_or(tool);
            let schema = function
                .get("parameters")
                .or_else(|| function.get("input_schema"));
            if let Some(name) = function["name"].as_str() {
                self.tools.push(Tool {
                    name: name.to_owned(),
                    parameters: schema.cloned().unwrap_or_else(|| json!({"type": "object"})),
                });
            }
        }
        let Some(choice) = fields.get("tool_choice") else {
            return;
        };
        let kind = choice.as_str().or_else(|| choice["type"].as_str());
        let named = choice["function"]["name"]
            .as_str()
            .or_else(|| choice["name"].as_str());
        self.forced_tool = match (kind, named) {
            (_, Some(name)) => self.tools.iter().find(|tool| tool.name == name).cloned(),
            (Some("required" | "any"), None) => self.tools.first().cloned(),
            _ => None,
        };
    }

    fn read_format(&mut self, fields: &Map<String, Value>) {
        let field = |name: &str| fields.get(name).unwrap_or(&Value::Null);
        let openai = field("response_format");
        let anthropic = &field("output_config")["format"];
        let schemas = [&openai["json_schema"]["schema"], &anthropic["schema"]];
        self.schema = schemas
            .into_iter()
            .find(|schema| !schema.is_null())
            .cloned();
        self.json_object = openai["type"] == "json_object";
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
