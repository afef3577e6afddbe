//! Answers in the words of the wire: JSON bodies, stream events, errors and headers.

pub(crate) mod anthropic;
pub(crate) mod headers;
pub(crate) mod openai;
pub(crate) mod pieces;
pub(crate) mod sse;
pub(crate) mod time;

use crate::{answer::Reply, ask::Dialect, rejection::Rejection};

/// Seconds since 1970 that answers bear as their date. It stands still, so that equal requests get equal bytes.
const CREATED: u64 = 1_795_000_000;

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The event's name, in dialects that have names.
    pub(crate) name: Option<&'static str>,
    /// Its data.
    pub(crate) data: String,
}

/// The whole answer as JSON, in one line.
pub(crate) fn whole(dialect: Dialect, reply: &Reply) -> String {
    match dialect {
        Dialect::OpenAi => openai::whole(reply).to_string(),
        Dialect::Anthropic => anthropic::whole(reply).to_string(),
    }
}

/// The answer as a stream, the closing event included.
pub(crate) fn events(dialect: Dialect, reply: &Reply, include_usage: bool) -> Vec<Event> {
    match dialect {
        Dialect::OpenAi => openai::events(reply, include_usage),
        Dialect::Anthropic => anthropic::events(reply),
    }
}

/// The body of an error.
pub(crate) fn error(dialect: Dialect, rejection: &Rejection, request_id: &str) -> String {
    match dialect {
        Dialect::OpenAi => openai::error(rejection).to_string(),
        Dialect::Anthropic => anthropic::error(rejection, request_id).to_string(),
    }
}

/// The error of a provider that breaks in the middle of an answer.
pub(crate) fn midway_error(dialect: Dialect, request_id: &str) -> Event {
    match dialect {
        Dialect::OpenAi => {
            let rejection = Rejection::new(
                500,
                None,
                "The server had an error while processing your request",
            );
            Event {
                name: None,
                data: openai::error(&rejection).to_string(),
            }
        }
        Dialect::Anthropic => {
            let rejection = Rejection::new(529, None, "Overloaded");
            let data = anthropic::error(&rejection, request_id).to_string();
            Event {
                name: Some("error"),
                data,
            }
        }
    }
}
