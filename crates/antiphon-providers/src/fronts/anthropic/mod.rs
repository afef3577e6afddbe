//! Anthropic's messages, as callers speak them.

mod stream;

use antiphon_core::{Error, Head, Reply};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Front, StreamWriter, Told, errors};
use crate::dialects::{
    Dialect, ParsedRequest,
    anthropic::{Anthropic, NAME, written},
};

/// The front `anthropic`.
#[derive(Debug)]
pub(super) struct Messages;

impl Front for Messages {
    fn name(&self) -> &'static str {
        NAME
    }

    fn parse(&self, fields: Map<String, Value>) -> Result<ParsedRequest, Error> {
        Anthropic.parse_request(fields)
    }

    fn body(&self, reply: &Reply, told: &Told) -> Bytes {
        if Told::passes(&reply.head, NAME) {
            return reply.answer.body.clone();
        }
        let id = format!("msg_{}", told.id);
        let identity = told.identity(&id, &reply.head, reply.answer.model.as_deref());
        // the wire demands numbers: unknown tokens are zeros, here only
        let usage = written::wire_usage(&reply.answer.usage().unwrap_or_default());
        written::message(&reply.answer, &identity, Some(usage))
    }

    fn writer(&self, head: &Head, told: Told) -> Box<dyn StreamWriter> {
        Box::new(stream::Writer::new(head, told))
    }

    fn error(&self, error: &Error, status: u16, request_id: &str) -> Bytes {
        errors::anthropic(error, status, request_id)
    }
}
