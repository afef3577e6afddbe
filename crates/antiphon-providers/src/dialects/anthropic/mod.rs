//! Anthropic's messages.
//!
//! Source: wire-formats.md, section 4.

mod answer;
mod assemble;
mod begun;
mod blocks;
mod messages;
mod params;
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
    Auth, Dialect, EncodeTarget, Encoded, ParsedRequest, ResponseHead, StreamDecoder, passed,
};
use crate::limits;

/// Its name, in configurations and as the wire format of answers.
pub(crate) const NAME: &str = "anthropic";

/// The dialect `anthropic`.
#[derive(Debug)]
pub(crate) struct Anthropic;

impl Dialect for Anthropic {
    fn name(&self) -> &'static str {
        NAME
    }

    fn usual_output_cap(&self) -> Option<u64> {
        Some(request::DEFAULT_MAX_TOKENS)
    }

    fn continues(&self, request: &ChatRequest, target: &EncodeTarget<'_>) -> bool {
        begun::continues(request, target.model)
    }

    fn passes(&self) -> &'static [&'static dyn Dialect] {
        &[&passed::COUNT_TOKENS]
    }

    fn headers(&self, target: &EncodeTarget<'_>) -> Result<HeaderMap, Error> {
        request::headers(target)
    }

    fn auth(&self) -> Auth {
        Auth::Header("x-api-key")
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
        answer::whole_body(answer)
    }

    fn limits(&self, headers: &HeaderMap, received: SystemTime) -> RateLimits {
        limits::rate_limits(headers, received, &limits::ANTHROPIC)
    }

    fn parse_request(&self, wire: Map<String, Value>) -> Result<ParsedRequest, Error> {
        request::parse(wire)
    }
}
