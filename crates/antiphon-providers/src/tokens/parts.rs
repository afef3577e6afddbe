//! What of a request becomes tokens, and how many OpenAI's chat template adds.
//!
//! Source of the template: OpenAI's cookbook, "How to count tokens with tiktoken": three tokens for each message, its role
//! and content, one for a name, and three that open the answer.

use antiphon_core::{
    ChatRequest, Message,
    chat::{Content, Role},
};
use serde_json::Value;

use super::{
    Count,
    encoding::{Encoding, base_name},
};

/// Tokens around each message.
const PER_MESSAGE: u64 = 3;
/// Before a name.
const PER_NAME: u64 = 1;
/// That open the answer.
const REPLY: u64 = 3;
/// Models for which the template is not documented differ from it by a token or two for each message, and may have a short
/// prompt of their own (gpt-oss has one of less than a hundred tokens).
const UNDOCUMENTED_PER_MESSAGE: u64 = 2;
const UNDOCUMENTED_PROMPT: u64 = 100;
/// Hidden instructions for tools, and for answers of a given form: several hundred tokens where they are known.
const INSTRUCTIONS: u64 = 1024;
/// Models of the cookbook's list, by the beginnings of their names.
const DOCUMENTED: [&str; 4] = ["gpt-4o", "gpt-4-", "gpt-3.5-turbo", "gpt-35-turbo"];

/// Whether the tokens of the chat template are documented for a model.
pub(super) fn has_known_template(model: &str) -> bool {
    let model = base_name(model);
    model == "gpt-4" || DOCUMENTED.iter().any(|family| model.starts_with(family))
}

/// Texts that are read as they are written, texts that reach the model in a form that is not documented, and the rest.
#[derive(Debug, Default)]
pub(super) struct Pieces<'a> {
    plain: Vec<&'a str>,
    /// JSON of tools, schemas and calls.
    json: Vec<String>,
    messages: u64,
    names: u64,
    /// Kinds of instructions that the provider may add.
    instructions: u64,
    is_reply: bool,
    pub(super) unknown: u64,
}

/// The text of a system message that holds nothing else.
pub(super) fn system_text(message: &Message) -> Option<&str> {
    match (&message.role, &message.content) {
        (Role::System | Role::Developer, Some(Content::Text(text))) if message.extra.is_empty() => {
            Some(text)
        }
        _ => None,
    }
}

impl<'a> Pieces<'a> {
    pub(super) fn of_message(message: &'a Message) -> Self {
        let mut pieces = Self {
            messages: 1,
            ..Self::default()
        };
        pieces.plain.push(role(&message.role));
        match &message.content {
            None => {}
            Some(Content::Text(text)) => pieces.plain.push(text),
            Some(Content::Parts(parts)) => parts.iter().for_each(|part| pieces.put_part(part)),
        }
        for (name, value) in &message.extra {
            match (name.as_str(), value) {
                (_, Value::Null) | ("annotations" | "tool_call_id", _) => {}
                ("name", Value::String(name)) => {
                    pieces.plain.push(name);
                    pieces.names += 1;
                }
                ("audio" | "reasoning_details", _) => pieces.unknown += 1,
                (_, value) => pieces.json.push(value.to_string()),
            }
        }
        pieces
    }

    /// What a request sends beside its messages, and the opening of the answer.
    pub(super) fn of_settings(request: &'a ChatRequest) -> Self {
        let mut pieces = Self {
            is_reply: true,
            ..Self::default()
        };
        if let Some(schema) = &request.schema {
            pieces.put_settings(schema.json());
        }
        for (name, value) in request.params.iter().filter(|(_, value)| !value.is_null()) {
            match name.as_str() {
                "tools" | "functions" => pieces.put_settings(value),
                "response_format" if request.schema.is_none() => {
                    if let Some(schema) = value.pointer("/json_schema/schema") {
                        pieces.put_settings(schema);
                    }
                }
                "system" => pieces.put_content(value),
                "prediction" => pieces.json.push(value.to_string()),
                "web_search_options" | "audio" | "mcp_servers" | "previous_response_id" => {
                    pieces.unknown += 1;
                }
                _ => {}
            }
        }
        pieces
    }

    fn put_settings(&mut self, value: &Value) {
        self.json.push(value.to_string());
        self.instructions += 1;
    }

    fn put_content(&mut self, content: &'a Value) {
        match content {
            Value::String(text) => self.plain.push(text),
            Value::Array(parts) => parts.iter().for_each(|part| self.put_part(part)),
            _ => {}
        }
        self.messages += 1;
    }

    fn put_part(&mut self, part: &'a Value) {
        let text = |name: &str| part.get(name).and_then(Value::as_str);
        match part.get("type").and_then(Value::as_str) {
            Some("text" | "input_text" | "output_text") => self.plain.extend(text("text")),
            Some("refusal") => self.plain.extend(text("refusal")),
            Some("tool_use") => self.json.push(part.to_string()),
            Some("tool_result") => self.put_content(&part["content"]),
            _ => self.unknown += 1,
        }
    }

    /// Tokens in a vocabulary. Where the template is documented and there is nothing but text, the count is exact.
    pub(super) fn count(&self, encoding: Encoding, is_documented: bool) -> Count {
        let of = |text: &str| encoding.count(text);
        let plain: u64 = self.plain.iter().map(|text| of(text)).sum();
        let json: u64 = self.json.iter().map(|text| of(text)).sum();
        let reply = if self.is_reply { REPLY } else { 0 };
        let template = self.messages * PER_MESSAGE + self.names * PER_NAME + reply;
        let (fewer, more) = match is_documented {
            true => (0, 0),
            false => {
                let by = self.messages * UNDOCUMENTED_PER_MESSAGE;
                let prompt = if self.is_reply {
                    UNDOCUMENTED_PROMPT
                } else {
                    0
                };
                (by.min(template), by + prompt)
            }
        };
        let sure = plain + template;
        Count {
            tokens: sure + json,
            // as a listing of types a schema is shorter than as JSON, and it may be billed as nothing at all
            low: sure - fewer,
            high: sure + more + 2 * json + self.instructions * INSTRUCTIONS,
            unknown_parts: self.unknown,
        }
    }

    /// Bytes outside of ASCII, and all bytes.
    pub(super) fn bytes(&self) -> (u64, u64) {
        let texts = self.plain.iter().copied();
        let texts = texts.chain(self.json.iter().map(String::as_str));
        texts.fold((0, 0), |(other, all), text| {
            let ascii = text.bytes().filter(u8::is_ascii).count();
            let bytes = text.len();
            (other + (bytes - ascii) as u64, all + bytes as u64)
        })
    }
}

fn role(role: &Role) -> &str {
    match role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
        Role::Other(name) => name,
    }
}
