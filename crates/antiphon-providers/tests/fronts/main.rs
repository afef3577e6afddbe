//! What callers of a gateway get, in each of their wire formats.

mod errors;
mod passing;
mod requests;
mod rescue;
mod round_trip;
mod writing;

use std::time::{Duration, SystemTime};

use antiphon_core::{Answer, ChatDelta, Error, Head, Reply, chat::Fold};
use antiphon_providers::{
    dialects::{Dialect, ResponseHead, StreamDecoder, dialect},
    fronts::{Front, StreamWriter, Told, front},
    sse::SseParser,
};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

const WIRES: [&str; 3] = ["openai", "anthropic", "openai-responses"];

fn front_of(wire: &str) -> &'static dyn Front {
    front(wire).expect("a front of this name")
}

fn dialect_of(wire: &str) -> &'static dyn Dialect {
    dialect(wire).expect("a dialect of this name")
}

fn told() -> Told {
    Told {
        id: "r1".to_owned(),
        model: "asked".to_owned(),
        created: SystemTime::UNIX_EPOCH + Duration::from_secs(7),
        wants_usage: true,
    }
}

/// The head of an answer of this wire; `None` is nobody's.
fn head(wire: Option<&'static str>) -> Head {
    Head {
        model: "p/m".to_owned(),
        status: 200,
        wire: wire.map(Into::into),
        ..Head::default()
    }
}

fn reply(wire: Option<&'static str>, answer: Answer) -> Reply {
    let head = head(wire);
    Reply { head, answer }
}

fn writer(wire: &str, head: &Head) -> Box<dyn StreamWriter> {
    front_of(wire).writer(head, told())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// Everything that a writer gives for these pieces, its end included.
fn written(
    mut writer: Box<dyn StreamWriter>,
    deltas: impl IntoIterator<Item = ChatDelta>,
) -> String {
    let mut out = Vec::new();
    for delta in deltas {
        out.extend_from_slice(&writer.push(delta));
    }
    out.extend_from_slice(&writer.finish());
    assert!(writer.finish().is_empty(), "nothing follows the end");
    text(&out)
}

/// The pieces of a stream as an endpoint hands them out, frames included.
fn pieces(wire: &str, stream: &[u8]) -> Vec<ChatDelta> {
    let mut parser = SseParser::default();
    let mut decoder = decoder(wire);
    let mut events = Vec::new();
    parser.push(stream, &mut events).expect("events");
    let mut deltas: Vec<ChatDelta> = Vec::new();
    let mut passed = Vec::new();
    for event in events {
        passed.extend_from_slice(&event.frame);
        if let Some(mut delta) = decoder.push(&event).expect("a piece") {
            delta.frame = Bytes::from(std::mem::take(&mut passed));
            deltas.push(delta);
        }
    }
    passed.extend_from_slice(&parser.rest());
    if !passed.is_empty() {
        deltas.push(ChatDelta {
            frame: Bytes::from(passed),
            ..ChatDelta::default()
        });
    }
    deltas
}

fn decoder(wire: &str) -> Box<dyn StreamDecoder> {
    dialect_of(wire).stream_decoder(antiphon_core::chat::Delivery::Streamed)
}

/// The answer that a stream tells.
fn folded(wire: &str, stream: &str) -> Result<Answer, Error> {
    let mut parser = SseParser::default();
    let mut decoder = decoder(wire);
    let mut events = Vec::new();
    parser.push(stream.as_bytes(), &mut events)?;
    let mut fold = Fold::new();
    for event in events {
        if let Some(delta) = decoder.push(&event)? {
            fold.push(delta);
        }
    }
    decoder.finish()?;
    fold.finish(|_| Bytes::new())
}

/// The answer that a body tells.
fn decoded(wire: &str, body: Bytes) -> Answer {
    let headers = HeaderMap::new();
    let head = ResponseHead {
        status: 200,
        headers: &headers,
        received: SystemTime::UNIX_EPOCH,
    };
    dialect_of(wire)
        .decode_whole(&head, body)
        .expect("an answer")
}

/// The events of a stream: name and data.
fn events(stream: &str) -> Vec<(String, Value)> {
    let mut parser = SseParser::default();
    let mut events = Vec::new();
    parser.push(stream.as_bytes(), &mut events).expect("events");
    let read = |data: &Bytes| serde_json::from_slice(data).unwrap_or(Value::Null);
    let events = events.into_iter();
    events
        .map(|event| (event.name, read(&event.data)))
        .collect()
}
