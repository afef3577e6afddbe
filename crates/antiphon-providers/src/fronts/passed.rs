//! What is passed through, as callers speak it: the body of the answer is the provider's, whatever came.

use antiphon_core::{Error, Head, Reply};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Front, StreamWriter, Told, anthropic::Messages, openai::ChatCompletions};
use crate::dialects::{Dialect, ParsedRequest, passed};

/// `POST /v1/embeddings`.
pub(super) static EMBEDDINGS: Passed = Passed {
    dialect: &passed::EMBEDDINGS,
    of: &ChatCompletions,
};

/// `POST /v1/messages/count_tokens`.
pub(super) static COUNT_TOKENS: Passed = Passed {
    dialect: &passed::COUNT_TOKENS,
    of: &Messages,
};

/// A call that is passed through.
#[derive(Debug)]
pub(super) struct Passed {
    dialect: &'static passed::Passed,
    /// In whose words its callers read errors.
    of: &'static dyn Front,
}

impl Front for Passed {
    fn name(&self) -> &'static str {
        self.dialect.name()
    }

    fn parse(&self, fields: Map<String, Value>) -> Result<ParsedRequest, Error> {
        self.dialect.parse_request(fields)
    }

    fn body(&self, reply: &Reply, _told: &Told) -> Bytes {
        reply.answer.body.clone()
    }

    fn writer(&self, head: &Head, told: Told) -> Box<dyn StreamWriter> {
        self.of.writer(head, told)
    }

    fn error(&self, error: &Error, status: u16, request_id: &str) -> Bytes {
        self.of.error(error, status, request_id)
    }
}
