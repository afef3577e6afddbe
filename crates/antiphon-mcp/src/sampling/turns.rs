//! The conversation as the protocol takes it: instructions apart, then turns of a user and an assistant.

use antiphon_core::{
    Error, ErrorKind, Message,
    chat::{Content, Role},
};
use serde_json::{Value, json};

use super::{
    Capabilities, Dropped, bad_request,
    blocks::{self, is_of_tools},
    lacks_tools,
};

/// Fields of messages that are translated, or that only repeat what an answer said.
const KNOWN_FIELDS: [&str; 4] = ["tool_calls", "tool_call_id", "refusal", "annotations"];

/// Between texts that were apart and become one.
pub(super) const BETWEEN_TEXTS: &str = "\n\n";

/// Instructions and turns.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// Instructions, in their order.
    pub(super) system: Vec<String>,
    turns: Vec<Turn>,
}

#[derive(Debug)]
struct Turn {
    role: &'static str,
    blocks: Vec<Value>,
}

const USER: &str = "user";
const ASSISTANT: &str = "assistant";

/// Translates a conversation. Instructions move to the top wherever they stood: the protocol has no other place.
///
/// # Errors
/// [`ErrorKind::BadRequest`]: the protocol cannot put it, or it is none; calls of tools without results, for instance.
pub(super) fn translate(
    messages: &[Message],
    dropped: &mut Dropped,
) -> Result<Conversation, Error> {
    let mut conversation = Conversation::default();
    for message in messages {
        note_fields(message, dropped);
        let content = blocks::of_content(message.content.as_ref(), dropped)?;
        match &message.role {
            Role::System | Role::Developer => conversation.system.extend(instructions(&content)?),
            Role::Tool => {
                let id = message.extra.get("tool_call_id");
                let result = blocks::tool_result(id, content, false)?;
                conversation.push_results(vec![result]);
            }
            Role::User => conversation.push_user(content)?,
            Role::Assistant => conversation.push_assistant(message, content)?,
            Role::Other(role) => {
                let message = format!(
                    "the model of an MCP client knows no role {role:?}: use system, user, assistant or tool"
                );
                return Err(bad_request(message));
            }
        }
    }
    if conversation.turns.is_empty() {
        let message = "there is nothing to answer: the request holds no message of a user";
        return Err(bad_request(message));
    }
    check_tool_turns(&conversation.turns)?;
    Ok(conversation)
}

fn instructions(blocks: &[Value]) -> Result<Option<String>, Error> {
    let texts: Option<Vec<&str>> = blocks.iter().map(|block| block["text"].as_str()).collect();
    match texts.as_deref() {
        None => Err(bad_request("instructions can only be text")),
        Some([]) => Ok(None),
        Some(texts) => Ok(Some(texts.join(BETWEEN_TEXTS))),
    }
}

impl Conversation {
    /// A message with results of tools holds nothing else, so what stands beside them becomes a message of its own.
    fn push_user(&mut self, blocks: Vec<Value>) -> Result<(), Error> {
        if blocks.iter().any(|block| block["type"] == "tool_use") {
            return Err(bad_request("only an assistant calls tools, not a user"));
        }
        let (results, others): (Vec<_>, Vec<_>) = blocks.into_iter().partition(is_of_tools);
        let has_others = !others.is_empty() || results.is_empty();
        if !results.is_empty() {
            self.push_results(results);
        }
        if has_others {
            self.push(USER, others);
        }
        Ok(())
    }

    /// Results of the calls of one turn belong into one message.
    fn push_results(&mut self, results: Vec<Value>) {
        match self.turns.last_mut() {
            Some(turn) if turn.answers_calls() => turn.blocks.extend(results),
            _ => self.push(USER, results),
        }
    }

    fn push_assistant(&mut self, message: &Message, mut blocks: Vec<Value>) -> Result<(), Error> {
        if blocks.iter().any(|block| block["type"] == "tool_result") {
            return Err(bad_request("an assistant calls tools and has no results"));
        }
        if blocks.is_empty()
            && let Some(refusal) = message.extra.get("refusal").and_then(Value::as_str)
        {
            let refusal = Content::Text(refusal.to_owned());
            blocks = blocks::of_content(Some(&refusal), &mut Dropped::default())?;
        }
        let calls = message.extra.get("tool_calls").and_then(Value::as_array);
        for call in calls.into_iter().flatten() {
            blocks.push(blocks::of_tool_call(call)?);
        }
        self.push(ASSISTANT, blocks);
        Ok(())
    }

    fn push(&mut self, role: &'static str, blocks: Vec<Value>) {
        self.turns.push(Turn { role, blocks });
    }

    /// The messages for a client of these capabilities.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`]: the client does not know blocks of such a type.
    pub(super) fn into_messages(self, capabilities: Capabilities) -> Result<Vec<Value>, Error> {
        let mut messages = Vec::with_capacity(self.turns.len());
        for Turn { role, mut blocks } in self.turns {
            for block in &blocks {
                check_known(block, capabilities)?;
            }
            if blocks.is_empty() {
                blocks.push(blocks::text(""));
            }
            if capabilities.arrays && blocks.len() > 1 {
                messages.push(json!({"role": role, "content": blocks}));
            } else {
                let single = merged(blocks).into_iter();
                messages.extend(single.map(|block| json!({"role": role, "content": block})));
            }
        }
        Ok(messages)
    }
}

impl Turn {
    fn answers_calls(&self) -> bool {
        self.blocks
            .iter()
            .any(|block| block["type"] == "tool_result")
    }
}

/// Blocks for a client that takes one in a message: texts that follow each other become one.
fn merged(blocks: Vec<Value>) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::with_capacity(blocks.len());
    for block in blocks {
        let before = all.last_mut().and_then(|last| last.get_mut("text"));
        match (before, block["text"].as_str()) {
            (Some(Value::String(before)), Some(text)) => {
                before.push_str(BETWEEN_TEXTS);
                before.push_str(text);
            }
            _ => all.push(block),
        }
    }
    all
}

fn check_known(block: &Value, capabilities: Capabilities) -> Result<(), Error> {
    if is_of_tools(block) && !capabilities.tools {
        return Err(lacks_tools());
    }
    if block["type"] == "audio" && !capabilities.audio {
        let message = "this client takes no audio: it speaks a version of the protocol from before 2025-03-26; update it, or \
                       put what is said into text";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    Ok(())
}

/// Every call of a tool is answered by the message after it, and nothing else is.
fn check_tool_turns(turns: &[Turn]) -> Result<(), Error> {
    let mut open: Vec<&str> = Vec::new();
    for turn in turns {
        for block in &turn.blocks {
            if let Some(id) = block["toolUseId"].as_str() {
                let at = open.iter().position(|called| *called == id);
                let at = at.ok_or_else(|| {
                    let message = format!(
                        "the tool result for {id:?} answers no call of the message before it"
                    );
                    bad_request(message)
                })?;
                open.remove(at);
            }
        }
        refuse_open(&open)?;
        let calls = turn.blocks.iter().filter(|it| it["type"] == "tool_use");
        open = calls.filter_map(|call| call["id"].as_str()).collect();
    }
    refuse_open(&open)
}

fn refuse_open(open: &[&str]) -> Result<(), Error> {
    match open.first() {
        None => Ok(()),
        Some(id) => Err(bad_request(format!(
            "the tool call {id:?} has no result: every call needs one in the messages right after it"
        ))),
    }
}

fn note_fields(message: &Message, dropped: &mut Dropped) {
    for (name, value) in &message.extra {
        if !value.is_null() && !KNOWN_FIELDS.contains(&name.as_str()) {
            dropped.note(&format!("messages.{name}"));
        }
    }
}
