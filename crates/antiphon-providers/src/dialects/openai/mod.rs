//! OpenAI's chat completions, and everyone who speaks them: vLLM, llama.cpp, Ollama's `/v1`, most vendors.
//!
//! Source: wire-formats.md, sections 1 and 7.

pub(super) mod answer;
mod capability;
mod messages;
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
    wire::Identity,
};
use crate::limits;

/// Its name, in configurations and as the wire format of answers.
pub(crate) const NAME: &str = "openai";

/// The dialect `openai`.
#[derive(Debug)]
pub(crate) struct OpenAi;

/// Whether a target refuses a parameter with this value.
pub(super) fn refuses(target: &EncodeTarget<'_>, param: &str, value: &Value) -> bool {
    let is_known = target.provider == "openai";
    let capability = is_known
        .then(|| capability::of_model(target.model))
        .flatten();
    capability.is_some_and(|capability| capability.refuses(param, value))
}

impl Dialect for OpenAi {
    fn name(&self) -> &'static str {
        NAME
    }

    fn passes(&self) -> &'static [&'static dyn Dialect] {
        &[&passed::EMBEDDINGS]
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

    fn stream_decoder(&self, _: Delivery) -> Box<dyn StreamDecoder> {
        Box::<stream::Decoder>::default()
    }

    fn whole_body(&self, answer: &Answer) -> Bytes {
        written::completion(answer, &Identity::of(answer))
    }

    fn limits(&self, headers: &HeaderMap, received: SystemTime) -> RateLimits {
        limits::rate_limits(headers, received, &limits::OPENAI)
    }

    fn parse_request(&self, wire: Map<String, Value>) -> Result<ParsedRequest, Error> {
        request::parse(wire)
    }
}
