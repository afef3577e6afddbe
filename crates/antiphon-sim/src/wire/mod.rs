//! Answers in the words of the wire: JSON bodies, stream events, errors and headers.

pub(crate) mod anthropic;
mod embeddings;
pub(crate) mod headers;
mod odds;
pub(crate) mod openai;
pub(crate) mod pieces;
mod responses;
pub(crate) mod sse;
pub(crate) mod time;

use serde_json::json;

use crate::{
    answer::Reply,
    ask::{Ask, Dialect, Form},
    rejection::Rejection,
};

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
pub(crate) fn whole(form: Form, ask: &Ask, reply: &Reply) -> String {
    let body = match form {
        Form::Chat => openai::whole(reply),
        Form::Responses => responses::whole(ask, reply),
        Form::Embeddings => embeddings::whole(ask, reply),
        Form::Messages => anthropic::whole(reply),
        Form::CountTokens => json!({"input_tokens": reply.usage.input_tokens}),
    };
    body.to_string()
}

/// The answer as a stream, the closing event included. Embeddings and lengths have none.
pub(crate) fn events(form: Form, ask: &Ask, reply: &Reply) -> Vec<Event> {
    match form {
        Form::Chat => openai::events(reply, ask.include_usage),
        Form::Responses => responses::events(ask, reply),
        Form::Messages => anthropic::events(reply),
        Form::Embeddings | Form::CountTokens => Vec::new(),
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
pub(crate) fn midway_error(form: Form, request_id: &str) -> Event {
    let broken = "The server had an error while processing your request";
    let (name, data) = match form {
        Form::Chat | Form::Embeddings => (None, openai::error(&Rejection::new(500, None, broken))),
        Form::Responses => {
            let error = json!({"type": "error", "code": "server_error", "message": broken, "param": null,
                "sequence_number": 0});
            (Some("error"), error)
        }
        Form::Messages | Form::CountTokens => {
            let overloaded = Rejection::new(529, None, "Overloaded");
            (Some("error"), anthropic::error(&overloaded, request_id))
        }
    };
    Event {
        name,
        data: data.to_string(),
    }
}

/// The event by which a form's streams bring their words; `None` where events have no names.
pub(crate) fn name_of_words(form: Form) -> Option<&'static str> {
    match form {
        Form::Chat | Form::Embeddings => None,
        Form::Responses => Some("response.output_text.delta"),
        Form::Messages | Form::CountTokens => Some("content_block_delta"),
    }
}
