//! Dialects: what each wire format calls things. Requests to bytes, bytes to answers; nothing here talks.
//!
//! ```text
//! wire in front ── parse_request ──> ChatRequest ── encode ──> bytes ──> provider
//!                                    Answer <── decode_whole / StreamDecoder ── bytes
//! ```
//!
//! This file is the only table: a new provider is a directory and its row in [`DIALECTS`], a compatible vendor is a row in
//! [`PROVIDERS`].

pub(crate) mod anthropic;
mod errors;
mod lenient;
pub(crate) mod openai;
pub(crate) mod passed;
pub(crate) mod responses;
mod schema;
mod wire;

use std::{fmt, time::SystemTime};

use antiphon_core::{
    Answer, ChatDelta, ChatRequest, Error,
    chat::{Delivery, RateLimits},
};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value};

pub(crate) use errors::classify_event;
pub use errors::{ResponseHead, body_excerpt, classify};
pub(crate) use wire::Identity;

use crate::sse::SseEvent;

/// Every dialect.
pub static DIALECTS: [&dyn Dialect; 3] = [
    &openai::OpenAi,
    &anthropic::Anthropic,
    &responses::Responses,
];

/// Every provider that is known by name.
pub static PROVIDERS: [Provider; 2] = [
    Provider {
        name: "openai",
        dialect: &openai::OpenAi,
        speaks: &[&responses::Responses],
        base_url: "https://api.openai.com/v1",
        key_env: Some("OPENAI_API_KEY"),
        base_url_env: Some("OPENAI_BASE_URL"),
        header_envs: &[
            ("OPENAI_ORG_ID", "openai-organization"),
            ("OPENAI_PROJECT_ID", "openai-project"),
        ],
    },
    Provider {
        name: "anthropic",
        dialect: &anthropic::Anthropic,
        speaks: &[],
        base_url: "https://api.anthropic.com",
        key_env: Some("ANTHROPIC_API_KEY"),
        base_url_env: Some("ANTHROPIC_BASE_URL"),
        header_envs: &[],
    },
];

/// A vendor: where it is and which dialect it speaks.
#[derive(Debug)]
pub struct Provider {
    /// The name before the slash of a model name.
    pub name: &'static str,
    /// What it speaks.
    pub dialect: &'static dyn Dialect,
    /// What it speaks beside that, to callers who do.
    pub speaks: &'static [&'static dyn Dialect],
    /// Base URL, to which [`Encoded::path`] is added.
    pub base_url: &'static str,
    /// Environment variable of the key.
    pub key_env: Option<&'static str>,
    /// Environment variable that replaces the base URL.
    pub base_url_env: Option<&'static str>,
    /// Environment variables that become headers of each request: (variable, header).
    pub header_envs: &'static [(&'static str, &'static str)],
}

/// The provider of this name.
pub fn provider(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == name)
}

/// The dialect of this name.
pub fn dialect(name: &str) -> Option<&'static dyn Dialect> {
    DIALECTS
        .iter()
        .copied()
        .find(|dialect| dialect.name() == name)
}

/// A provider's wire format, as pure translation.
pub trait Dialect: Send + Sync + fmt::Debug {
    /// Its name in configurations.
    fn name(&self) -> &'static str;

    /// The output cap that is written where a request names none: some wire formats demand one.
    fn usual_output_cap(&self) -> Option<u64> {
        None
    }

    /// Whether the target goes on with a begun answer where the conversation of such a request ends with one.
    fn continues(&self, _request: &ChatRequest, _target: &EncodeTarget<'_>) -> bool {
        false
    }

    /// What is passed through to its providers beside chats.
    fn passes(&self) -> &'static [&'static dyn Dialect] {
        &[]
    }

    /// Headers that belong to the format.
    ///
    /// # Errors
    /// [`antiphon_core::ErrorKind::BadRequest`]: a wire version that no header can hold.
    fn headers(&self, _target: &EncodeTarget<'_>) -> Result<HeaderMap, Error> {
        Ok(wire::json_headers())
    }

    /// How a key travels.
    fn auth(&self) -> Auth;

    /// Writes a request for a target.
    ///
    /// # Errors
    /// [`antiphon_core::ErrorKind::BadRequest`] for what the target cannot be asked without changing the question (a
    /// schema whose root is no object, an image by another vendor's file id). Parameters that can be left out are, and
    /// are listed in [`Encoded::dropped`].
    fn encode(&self, request: &ChatRequest, target: &EncodeTarget<'_>) -> Result<Encoded, Error>;

    /// Reads a whole answer that came with a 2xx status.
    ///
    /// # Errors
    /// [`antiphon_core::ErrorKind::BadResponse`] for what is no answer (HTML, an empty body, no choices); the classified
    /// error where an error object stands in place of the answer.
    fn decode_whole(&self, head: &ResponseHead<'_>, body: Bytes) -> Result<Answer, Error>;

    /// A decoder for one streamed answer. With [`Delivery::Whole`] it also keeps what [`StreamDecoder::whole_body`] needs.
    fn stream_decoder(&self, wanted: Delivery) -> Box<dyn StreamDecoder>;

    /// The wire form of an answer that came from elsewhere.
    fn whole_body(&self, answer: &Answer) -> Bytes;

    /// The limits that an answer's headers tell; `received` is the wall time when they came.
    fn limits(&self, headers: &HeaderMap, received: SystemTime) -> RateLimits;

    /// Reads a request in this wire format.
    ///
    /// # Errors
    /// [`antiphon_core::ErrorKind::InvalidLine`] when a field that every request needs is missing or of a wrong type.
    fn parse_request(&self, wire: Map<String, Value>) -> Result<ParsedRequest, Error>;
}

/// Reads one streamed answer, event by event.
pub trait StreamDecoder: Send {
    /// Takes the next event. `None` is bookkeeping of the stream itself (`[DONE]`). Once the answer is complete, events
    /// that cannot be read are passed over: they can no longer harm it.
    ///
    /// # Errors
    /// The classified error that stands in place of a piece, or [`antiphon_core::ErrorKind::BadResponse`].
    fn push(&mut self, event: &SseEvent) -> Result<Option<ChatDelta>, Error>;

    /// How far the answer has come.
    fn progress(&self) -> Progress;

    /// The body that a whole answer would have had, for a fold of this decoder's deltas.
    fn whole_body(&self, answer: &Answer) -> Bytes;

    /// To be called when the bytes have ended.
    ///
    /// # Errors
    /// [`antiphon_core::ErrorKind::BadResponse`] when they ended before the finish reason: the answer is cut short.
    fn finish(&self) -> Result<(), Error> {
        match self.progress() {
            Progress::Open => Err(Error::new(
                antiphon_core::ErrorKind::BadResponse,
                "the stream ended before its finish reason",
            )),
            Progress::Complete | Progress::Closed => Ok(()),
        }
    }
}

/// How far a streamed answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More of the answer is to come.
    Open,
    /// The finish reason came; only usage and end marks may follow.
    Complete,
    /// The end mark came: nothing follows.
    Closed,
}

/// How a key travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `authorization: Bearer KEY`.
    Bearer,
    /// The bare key under this header name.
    Header(&'static str),
}

/// Whom a request is for.
#[derive(Clone, Copy, Debug)]
pub struct EncodeTarget<'a> {
    /// The provider's name: what only one vendor refuses is decided by it.
    pub provider: &'a str,
    /// The model's name on the wire.
    pub model: &'a str,
    /// The wire version, for dialects that have several; `None` is the dialect's default.
    pub version: Option<&'a str>,
}

/// A request as bytes.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Path below the base URL.
    pub path: &'static str,
    /// Headers that belong to the format; authentication is not among them.
    pub headers: HeaderMap,
    /// JSON.
    pub body: Bytes,
    /// Parameters that the target cannot take and that were left out.
    pub dropped: Vec<String>,
    /// Whether the answer will come as a stream; it can even when a whole one is wanted.
    pub streamed: bool,
}

/// A request read from a wire, with the model it names.
#[derive(Clone, Debug)]
pub struct ParsedRequest {
    /// The model, where the request names one.
    pub model: Option<String>,
    /// Conversation, parameters and delivery.
    pub request: ChatRequest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_tables_are_unique_and_found() {
        for row in &PROVIDERS {
            assert!(std::ptr::eq(provider(row.name).unwrap(), row));
            assert!(dialect(row.dialect.name()).is_some());
            assert!(!row.base_url.ends_with('/'));
        }
        assert!(provider("opnai").is_none());
    }
}
