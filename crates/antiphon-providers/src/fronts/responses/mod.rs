//! OpenAI's Responses, as callers speak them.

mod block;
mod passed;
mod stream;

use antiphon_core::{Error, Head, Reply};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Front, StreamWriter, Told, errors};
use crate::dialects::{
    Dialect, ParsedRequest,
    responses::{self, NAME, written},
};

/// The front `openai-responses`.
#[derive(Debug)]
pub(super) struct Responses;

impl Front for Responses {
    fn name(&self) -> &'static str {
        NAME
    }

    fn parse(&self, fields: Map<String, Value>) -> Result<ParsedRequest, Error> {
        responses::Responses.parse_request(fields)
    }

    fn body(&self, reply: &Reply, told: &Told) -> Bytes {
        if Told::passes(&reply.head, NAME) {
            return reply.answer.body.clone();
        }
        let id = format!("resp_{}", told.id);
        let identity = told.identity(&id, &reply.head, reply.answer.model.as_deref());
        written::response(&reply.answer, &identity)
    }

    fn writer(&self, head: &Head, told: Told) -> Box<dyn StreamWriter> {
        Box::new(stream::Writer::new(head, told))
    }

    fn error(&self, error: &Error, status: u16, _request_id: &str) -> Bytes {
        errors::openai(error, status)
    }
}
