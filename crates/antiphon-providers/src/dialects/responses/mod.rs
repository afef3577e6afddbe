//! OpenAI's Responses. Callers of it reach OpenAI in their own words; other servers are asked in theirs.
//!
//! Source: wire-formats.md, section 2.

mod answer;
mod items;
mod params;
mod parse;
mod request;
mod stream;
pub(crate) mod written;

use std::time::SystemTime;

use antiphon_core::{
    Answer, ChatRequest, Error,
    chat::{Delivery, RateLimits},
};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value};

use super::{
    Auth, Dialect, EncodeTarget, Encoded, ParsedRequest, ResponseHead, StreamDecoder,
    wire::Identity,
};
use crate::limits;

/// Its name, in configurations and as the wire format of answers.
pub(crate) const NAME: &str = "openai-responses";

/// The dialect `openai-responses`.
#[derive(Debug)]
pub(crate) struct Responses;

impl Dialect for Responses {
    fn name(&self) -> &'static str {
        NAME
    }

    fn auth(&self) -> Auth {
        Auth::Bearer
    }

    fn encode(&self, request: &ChatRequest, target: &EncodeTarget<'_>) -> Result<Encoded, Error> {
        request::encode(request, target)
    }

    fn decode_whole(&self, head: &ResponseHead<'_>, body: Bytes) -> Result<Answer, Error> {
        answer::decode(head, body)
    }

    fn stream_decoder(&self, wanted: Delivery) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::new(wanted))
    }

    fn whole_body(&self, answer: &Answer) -> Bytes {
        written::response(answer, &Identity::of(answer))
    }

    fn limits(&self, headers: &HeaderMap, received: SystemTime) -> RateLimits {
        limits::rate_limits(headers, received, &limits::OPENAI)
    }

    fn parse_request(&self, wire: Map<String, Value>) -> Result<ParsedRequest, Error> {
        parse::parse(wire)
    }
}
