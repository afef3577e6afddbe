//! Requests of this wire, read for those who do not speak it.
//!
//! What no other wire can say does not fail here: a provider of this wire gets the caller's own words. It is noted why
//! nobody else can answer, and refused where somebody else is asked.

use std::sync::Arc;

use antiphon_core::{
    ChatRequest, Error, Message,
    chat::{Charge, Delivery, Role},
};
use serde_json::{Map, Value};

use super::{NAME, items, params};
use crate::dialects::{
    ParsedRequest,
    wire::{invalid, take_model, take_stream},
};

/// Why only this wire can say what is asked: the first reason found.
#[derive(Debug, Default)]
pub(super) struct Only(Option<String>);

impl Only {
    pub(super) fn note(&mut self, why: impl Into<String>) {
        self.0.get_or_insert_with(|| why.into());
    }
}

/// Fields that need the provider's own memory: (field, why).
const REMEMBERED: [(&str, &str); 3] = [
    (
        "previous_response_id",
        "`previous_response_id` needs a model of OpenAI, other providers keep no responses; send the whole conversation as `input`",
    ),
    (
        "conversation",
        "`conversation` needs a model of OpenAI, other providers keep no conversations; send the whole conversation as `input`",
    ),
    (
        "prompt",
        "`prompt` needs a model of OpenAI, other providers keep no prompts; send its text as `instructions` and `input`",
    ),
];

/// Reads a request.
pub(super) fn parse(mut wire: Map<String, Value>) -> Result<ParsedRequest, Error> {
    let fields = wire.clone();
    let model = take_model(&mut wire)?;
    let streamed = take_stream(&mut wire)?;
    let mut only = Only::default();
    for (name, why) in REMEMBERED {
        if wire
            .shift_remove(name)
            .is_some_and(|value| !value.is_null())
        {
            only.note(why);
        }
    }
    if wire.shift_remove("background") == Some(Value::Bool(true)) {
        only.note(
            "`background` needs a model of OpenAI, other providers answer while one waits; leave it out",
        );
    }
    let messages = read_messages(&mut wire, &mut only)?;
    let params = params::to_chat(wire, &mut only);

    let mut request = ChatRequest::new(messages);
    if streamed {
        request.delivery = Delivery::Streamed;
    }
    request.params = Arc::new(params);
    request.pass_verbatim(NAME, fields, only.0, Charge::Chat);
    Ok(ParsedRequest { model, request })
}

fn read_messages(wire: &mut Map<String, Value>, only: &mut Only) -> Result<Vec<Message>, Error> {
    let mut messages = Vec::new();
    match wire.shift_remove("instructions") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => messages.push(Message::text(Role::System, text)),
        Some(_) => return Err(invalid("`instructions` is not text")),
    }
    match wire.shift_remove("input") {
        Some(Value::String(text)) => messages.push(Message::text(Role::User, text)),
        Some(Value::Array(list)) => items::to_messages(list, &mut messages, only)?,
        None | Some(Value::Null) if only.0.is_some() => {}
        None | Some(Value::Null) => return Err(invalid("`input` is missing")),
        Some(_) => return Err(invalid("`input` is neither text nor a list of items")),
    }
    Ok(messages)
}
