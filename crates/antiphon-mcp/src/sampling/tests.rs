//! Requests as clients are asked: every kind of block in the words of both wires, and what is refused before anything is
//! sent.

mod conversation;
mod parameters;
mod properties;

use antiphon_core::{ChatRequest, Error, Message};
use serde_json::{Value, json};

use super::{
    Capabilities,
    request::{Mapped, params_of},
};

/// A client of the last version with a handshake whose model takes tools.
fn able() -> Capabilities {
    Capabilities::declared(true, true, "2025-11-25")
}

/// The oldest client.
fn old() -> Capabilities {
    Capabilities::declared(true, false, "2024-11-05")
}

fn request(messages: Value) -> ChatRequest {
    let messages: Vec<Message> = serde_json::from_value(messages).unwrap();
    ChatRequest::new(messages)
}

fn mapped(messages: Value, capabilities: Capabilities) -> Result<Mapped, Error> {
    params_of(&request(messages), capabilities)
}

/// The messages that a client of these capabilities gets.
fn messages(messages: Value, capabilities: Capabilities) -> Value {
    mapped(messages, capabilities).unwrap().params["messages"].clone()
}

/// A question with these parameters.
fn asked(params: Value) -> Result<Mapped, Error> {
    let Value::Object(params) = params else {
        panic!("parameters are an object");
    };
    let mut request = ChatRequest::prompt("q");
    for (name, value) in params {
        request = request.with_param(&name, value);
    }
    params_of(&request, able())
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}
