//! The simulator's count: a token for each four bytes begun, of each turn, tool and schema. The same everywhere, so that its
//! runs can be told exactly beforehand; `antiphon/tests` holds the two against each other.

use antiphon_core::{
    ChatRequest, Message,
    chat::{Content, Role},
};
use serde_json::{Map, Value, json};

/// What a part that is not text counts as.
const OTHER_PART: u64 = 85;

/// Who speaks, as far as neighbours are joined.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaker {
    System,
    User,
    Assistant,
    Tool,
}

/// Bytes of turns, in their order.
#[derive(Default)]
struct Heard {
    turns: Vec<(Speaker, u64)>,
    other_parts: u64,
}

pub(super) fn tokens(request: &ChatRequest) -> u64 {
    let mut heard = Heard::default();
    if let Some(system) = request.params.get("system") {
        heard.value(Speaker::System, system);
    }
    for message in request.messages.iter() {
        heard.message(message);
    }
    heard.tokens() + tools(&request.params) + schema(request)
}

fn of_bytes(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

fn of_text(text: &str) -> u64 {
    of_bytes(text.len() as u64)
}

impl Heard {
    /// System words come first, and neighbours of the same speaker are joined by a line break.
    fn tokens(self) -> u64 {
        let is_system = |(speaker, _): &(Speaker, u64)| *speaker == Speaker::System;
        let (system, rest): (Vec<_>, Vec<_>) = self.turns.into_iter().partition(is_system);
        let mut joined: Vec<(Speaker, u64)> = Vec::new();
        for (speaker, bytes) in system.into_iter().chain(rest) {
            match joined.last_mut() {
                Some((last, so_far)) if *last == speaker => *so_far += 1 + bytes,
                _ => joined.push((speaker, bytes)),
            }
        }
        let said: u64 = joined.into_iter().map(|(_, bytes)| of_bytes(bytes)).sum();
        said + self.other_parts * OTHER_PART
    }

    fn message(&mut self, message: &Message) {
        let speaker = match &message.role {
            Role::System | Role::Developer => Speaker::System,
            Role::Assistant => Speaker::Assistant,
            Role::Tool => Speaker::Tool,
            Role::Other(name) if name == "function" => Speaker::Tool,
            Role::User | Role::Other(_) => Speaker::User,
        };
        match &message.content {
            None => {}
            Some(Content::Text(text)) => self.turns.push((speaker, text.len() as u64)),
            Some(Content::Parts(parts)) => parts.iter().for_each(|part| self.part(speaker, part)),
        }
        let calls = message.extra.get("tool_calls").and_then(Value::as_array);
        for call in calls.into_iter().flatten() {
            let text = |name: &str| call["function"][name].as_str().unwrap_or_default();
            let arguments = serde_json::from_str(text("arguments")).unwrap_or(Value::Null);
            self.call(text("name"), &arguments);
        }
    }

    fn value(&mut self, speaker: Speaker, content: &Value) {
        match content {
            Value::String(text) => self.turns.push((speaker, text.len() as u64)),
            Value::Array(parts) => parts.iter().for_each(|part| self.part(speaker, part)),
            _ => {}
        }
    }

    fn part(&mut self, speaker: Speaker, part: &Value) {
        match (part["type"].as_str(), part["text"].as_str()) {
            (_, Some(text)) => self.turns.push((speaker, text.len() as u64)),
            (Some("tool_result"), _) => self.value(Speaker::Tool, &part["content"]),
            (Some("tool_use"), _) => {
                self.call(part["name"].as_str().unwrap_or_default(), &part["input"]);
            }
            _ => self.other_parts += 1,
        }
    }

    fn call(&mut self, name: &str, arguments: &Value) {
        let bytes = format!("{name}({arguments})").len() as u64;
        self.turns.push((Speaker::Assistant, bytes));
    }
}

fn tools(params: &Map<String, Value>) -> u64 {
    let tools = params.get("tools").and_then(Value::as_array);
    let each = tools.into_iter().flatten().filter_map(|tool| {
        let function = tool.get("function").unwrap_or(tool);
        let own = function.get("parameters");
        let schema = own.or_else(|| function.get("input_schema")).cloned();
        let schema = schema.unwrap_or_else(|| json!({"type": "object"}));
        Some(of_text(function["name"].as_str()?) + of_text(&schema.to_string()))
    });
    each.sum()
}

fn schema(request: &ChatRequest) -> u64 {
    if let Some(schema) = &request.schema {
        return of_text(&schema.json().to_string());
    }
    let of_param = |name: &str, path: &str| {
        let schema = request.params.get(name)?.pointer(path)?;
        (!schema.is_null()).then(|| of_text(&schema.to_string()))
    };
    of_param("response_format", "/json_schema/schema")
        .or_else(|| of_param("output_config", "/format/schema"))
        .unwrap_or(0)
}
