//! `Messages`.

use antiphon_core::{ChatDelta, Error, ErrorKind, Head, Reply};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{Front, StreamWriter, Told};
use crate::dialects::{self, ParsedRequest};

/// The front `anthropic`.
#[derive(Debug)]
pub(super) struct Messages;

impl Front for Messages {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn parse(&self, fields: Map<String, Value>) -> Result<ParsedRequest, Error> {
        match dialects::dialect(self.name()) {
            Some(dialect) => dialect.parse_request(fields),
            None => Err(Error::new(ErrorKind::InvalidLine, "no such wire format")),
        }
    }

    fn body(&self, reply: &Reply, _told: &Told) -> Bytes {
        if reply.head.wire.as_deref() == Some(self.name()) {
            return reply.answer.body.clone();
        }
        match dialects::dialect(self.name()) {
            Some(dialect) => dialect.whole_body(&reply.answer),
            None => Bytes::new(),
        }
    }

    fn writer(&self, _head: &Head, _told: Told) -> Box<dyn StreamWriter> {
        Box::new(Passing)
    }

    fn error(&self, error: &Error, status: u16, request_id: &str) -> Bytes {
        let body = json!({"error": {"message": error.message(), "type": status, "param": request_id, "code": error.kind().code()}});
        Bytes::from(body.to_string())
    }
}

/// Passes a stream on.
struct Passing;

impl StreamWriter for Passing {
    fn push(&mut self, delta: ChatDelta) -> Bytes {
        delta.frame
    }

    fn finish(&mut self) -> Bytes {
        Bytes::new()
    }

    fn fail(&mut self, error: &Error) -> Bytes {
        Bytes::from(format!(
            "data: {}\n\n",
            json!({"error": {"message": error.message()}})
        ))
    }
}
