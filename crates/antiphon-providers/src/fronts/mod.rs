//! Fronts: wire formats as the callers of a gateway speak them. Requests come in; answers, streams and errors go out.
//!
//! ```text
//! caller ── bytes ──> Front::parse ──> ChatRequest ──> (any model)
//! caller <── bytes ── Front::body / StreamWriter / Front::error <── Reply / ChatDelta / Error
//! ```
//!
//! What a provider of the caller's own wire format said is passed on as it came ([`Head::wire`], [`ChatDelta::frame`]);
//! everything else is written anew. This file is the only table: a new front is a file and its row in [`FRONTS`].

mod anthropic;
mod errors;
mod frame;
mod members;
mod openai;
mod passed;
mod responses;
mod sequence;

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use antiphon_core::{ChatDelta, Error, Head, Reply};
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::dialects::Identity;
pub use crate::dialects::ParsedRequest;

/// Every front.
pub static FRONTS: [&dyn Front; 5] = [
    &openai::ChatCompletions,
    &anthropic::Messages,
    &responses::Responses,
    &passed::EMBEDDINGS,
    &passed::COUNT_TOKENS,
];

/// The front of this name.
pub fn front(name: &str) -> Option<&'static dyn Front> {
    FRONTS.iter().copied().find(|front| front.name() == name)
}

/// The front of this name, else that of OpenAI's chat completions, which most callers speak.
pub fn front_or_default(name: &str) -> &'static dyn Front {
    front(name).unwrap_or(FRONTS[0])
}

/// A wire format as callers speak it.
pub trait Front: Send + Sync + fmt::Debug {
    /// The name of the dialect whose bodies and streams are its own.
    fn name(&self) -> &'static str;

    /// Reads a request.
    ///
    /// # Errors
    /// [`antiphon_core::ErrorKind::InvalidLine`] when a field that every request needs is missing or of a wrong type, and
    /// for what the wire format allows and no model behind a gateway can do.
    fn parse(&self, fields: Map<String, Value>) -> Result<ParsedRequest, Error>;

    /// The body of a whole answer.
    fn body(&self, reply: &Reply, told: &Told) -> Bytes;

    /// Writes an answer as it comes; `head` says whose it is.
    fn writer(&self, head: &Head, told: Told) -> Box<dyn StreamWriter>;

    /// The body of an error. One that a provider of this wire format wrote is given as it came.
    fn error(&self, error: &Error, status: u16, request_id: &str) -> Bytes;
}

/// Writes one streamed answer as server-sent events. Once [`Self::finish`] or [`Self::fail`] was called nothing follows.
pub trait StreamWriter: Send {
    /// The bytes for the next piece; may be empty.
    fn push(&mut self, delta: ChatDelta) -> Bytes;

    /// The bytes that end a complete answer.
    fn finish(&mut self) -> Bytes;

    /// The bytes that end an answer which broke.
    fn fail(&mut self, error: &Error) -> Bytes;
}

/// What an answer tells beside itself.
#[derive(Clone, Debug)]
pub struct Told {
    /// The gateway's id of the request, from which ids of answers without one are made.
    pub id: String,
    /// The model that was asked, where neither the answer nor its head names one.
    pub model: String,
    /// When it began.
    pub created: SystemTime,
    /// Whether the caller asked for usage at the end of a stream, where the wire format leaves that to callers.
    pub wants_usage: bool,
}

impl Told {
    /// Whether the answer is in this wire format, and passed on as it is.
    fn passes(head: &Head, wire: &str) -> bool {
        head.wire.as_deref() == Some(wire)
    }

    /// The model that answered: as its provider calls it, else as it is called here.
    fn model_of<'a>(&'a self, head: &'a Head, reported: Option<&'a str>) -> &'a str {
        let names = [reported.unwrap_or_default(), &head.model, &self.model];
        let told = names.into_iter().find(|name| !name.is_empty());
        told.unwrap_or_default()
    }

    /// Seconds from 1970 to when it began.
    fn seconds(&self) -> u64 {
        let since = self.created.duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap_or(Duration::ZERO).as_secs()
    }

    fn identity<'a>(
        &'a self,
        id: &'a str,
        head: &'a Head,
        reported: Option<&'a str>,
    ) -> Identity<'a> {
        Identity {
            id,
            created: self.seconds(),
            model: self.model_of(head, reported),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_table_are_unique_and_found() {
        for row in FRONTS {
            assert_eq!(front(row.name()).unwrap().name(), row.name());
        }
        assert!(front("soap").is_none());
    }
}
