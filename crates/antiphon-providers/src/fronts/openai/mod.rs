//! OpenAI's chat completions, as callers speak them.

mod stream;

use antiphon_core::{Error, Head, Reply};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Front, StreamWriter, Told, errors};
use crate::dialects::{
    Dialect, ParsedRequest,
    openai::{NAME, OpenAi, written},
};

/// The front `openai`.
#[derive(Debug)]
pub(super) struct ChatCompletions;

impl Front for ChatCompletions {
    fn name(&self) -> &'static str {
        NAME
    }

    fn parse(&self, fields: Map<String, Value>) -> Result<ParsedRequest, Error> {
        OpenAi.parse_request(fields)
    }

    fn body(&self, reply: &Reply, told: &Told) -> Bytes {
        if Told::passes(&reply.head, NAME) {
            return reply.answer.body.clone();
        }
        let id = format!("chatcmpl-{}", told.id);
        let identity = told.identity(&id, &reply.head, reply.answer.model.as_deref());
        written::completion(&reply.answer, &identity)
    }

    fn writer(&self, head: &Head, told: Told) -> Box<dyn StreamWriter> {
        Box::new(stream::Writer::new(head, told))
    }

    fn error(&self, error: &Error, status: u16, _request_id: &str) -> Bytes {
        errors::openai(error, status)
    }
}
