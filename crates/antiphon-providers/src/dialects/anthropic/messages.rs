//! The conversation as Anthropic takes it: system text on top, tool results in user turns.

use antiphon_core::{
    Error, Message,
    chat::{Content, Role},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::blocks::{self, Block};
use crate::dialects::wire::Dropped;

/// Fields of messages that are translated, or that only repeat what an answer said.
const KNOWN_FIELDS: [&str; 4] = ["tool_calls", "tool_call_id", "refusal", "annotations"];

/// System text and turns.
#[derive(Debug, Default)]
pub(super) struct Conversation<'a> {
    pub(super) system: Vec<Block<'a>>,
    pub(super) turns: Vec<Turn<'a>>,
}

/// One turn.
#[derive(Debug, Serialize)]
pub(super) struct Turn<'a> {
    role: &'a str,
    content: TurnContent<'a>,
    /// Fields that the caller's own wire may know.
    #[serde(flatten)]
    extra: Map<String, Value>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum TurnContent<'a> {
    Text(&'a str),
    Blocks(Vec<Block<'a>>),
}

/// Translates a conversation; `is_own` where the caller spoke this wire. System messages move to the top wherever they stood: the wire has no other place.
pub(super) fn translate<'a>(
    messages: &'a [Message],
    system: Option<&'a Value>,
    is_own: bool,
    dropped: &mut Dropped,
) -> Result<Conversation<'a>, Error> {
    let mut conversation = Conversation::default();
    match system {
        Some(Value::String(text)) => conversation.system.push(Block::Text(text)),
        Some(Value::Array(parts)) => conversation.system.extend(parts.iter().map(Block::Same)),
        _ => {}
    }
    // results of several calls belong into one turn
    let mut results = Vec::new();
    for message in messages {
        if !is_own {
            note_fields(message, dropped);
        }
        if message.role != Role::Tool && !results.is_empty() {
            conversation.push_blocks("user", std::mem::take(&mut results));
        }
        match &message.role {
            Role::System | Role::Developer => {
                let blocks = blocks_of(message)?;
                conversation.system.extend(blocks);
            }
            Role::Tool => results.push(tool_result(message)?),
            role => conversation.push(role_name(role), message, is_own)?,
        }
    }
    if !results.is_empty() {
        conversation.push_blocks("user", results);
    }
    Ok(conversation)
}

impl<'a> Conversation<'a> {
    fn push(&mut self, role: &'a str, message: &'a Message, is_own: bool) -> Result<(), Error> {
        let calls = message.extra.get("tool_calls").and_then(Value::as_array);
        let content = match (&message.content, calls) {
            (Some(Content::Text(text)), None) => TurnContent::Text(text),
            _ => {
                let mut blocks = blocks_of(message)?;
                for call in calls.into_iter().flatten() {
                    blocks.push(blocks::of_tool_call(call)?);
                }
                TurnContent::Blocks(blocks)
            }
        };
        self.turns.push(Turn {
            role,
            content,
            extra: if is_own {
                own_fields(message)
            } else {
                Map::new()
            },
        });
        Ok(())
    }

    fn push_blocks(&mut self, role: &'a str, content: Vec<Block<'a>>) {
        self.turns.push(Turn {
            role,
            content: TurnContent::Blocks(content),
            extra: Map::new(),
        });
    }
}

/// Fields of a message that are not translated: of the caller's own wire they are for the provider to know.
fn own_fields(message: &Message) -> Map<String, Value> {
    let unknown = |(name, _): &(&String, &Value)| !KNOWN_FIELDS.contains(&name.as_str());
    let fields = message.extra.iter().filter(unknown);
    fields
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn role_name(role: &Role) -> &str {
    match role {
        Role::Assistant => "assistant",
        Role::Other(name) => name,
        _ => "user",
    }
}

/// The parts of a message; empty text, which the wire refuses, is none.
fn blocks_of(message: &Message) -> Result<Vec<Block<'_>>, Error> {
    match &message.content {
        None => Ok(Vec::new()),
        Some(Content::Text(text)) if text.is_empty() => Ok(Vec::new()),
        Some(Content::Text(text)) => Ok(vec![Block::Text(text)]),
        Some(Content::Parts(parts)) => parts.iter().map(blocks::of_part).collect(),
    }
}

fn tool_result(message: &Message) -> Result<Block<'_>, Error> {
    let content = match &message.content {
        Some(Content::Text(text)) => json!(text),
        _ => json!(blocks_of(message)?),
    };
    Ok(Block::New(json!({
        "type": "tool_result",
        "tool_use_id": message.extra.get("tool_call_id"),
        "content": content,
    })))
}

fn note_fields(message: &Message, dropped: &mut Dropped) {
    for (name, value) in &message.extra {
        if !value.is_null() && !KNOWN_FIELDS.contains(&name.as_str()) {
            dropped.note(&format!("messages.{name}"));
        }
    }
}
