//! What every dialect needs to write requests and read lines.

use antiphon_core::{
    Answer, ChatRequest, Error, ErrorKind, Message,
    chat::{Content, Role},
};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use serde_json::{Map, Value};

/// Parameters that a target cannot take, each named once, in the order they were met.
#[derive(Debug, Default)]
pub(super) struct Dropped(Vec<String>);

impl Dropped {
    pub(super) fn note(&mut self, name: &str) {
        if !self.0.iter().any(|known| known == name) {
            self.0.push(name.to_owned());
        }
    }

    pub(super) fn into_names(self) -> Vec<String> {
        self.0
    }
}

/// Who an answer says that it is, where no provider wrote its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity<'a> {
    pub(crate) id: &'a str,
    /// Seconds since 1970.
    pub(crate) created: u64,
    pub(crate) model: &'a str,
}

impl<'a> Identity<'a> {
    /// An answer that nobody waits for at a gateway: its `id` says where it was made.
    pub(super) fn of(answer: &'a Answer) -> Self {
        Self {
            id: "antiphon",
            created: 0,
            model: answer.model.as_deref().unwrap_or_default(),
        }
    }
}

/// Refuses a request that only another wire format can put.
///
/// # Errors
/// [`ErrorKind::BadRequest`]: [`antiphon_core::chat::Origin::only`] says why.
pub(super) fn refuse_verbatim(request: &ChatRequest) -> Result<(), Error> {
    match request.only_verbatim() {
        Some(why) => Err(bad_request(why)),
        None => Ok(()),
    }
}

/// Refuses a caller who asks for several answers where one is given: whoever counts on `n` must not get less unasked. In
/// files it is dropped, and said.
///
/// # Errors
/// [`ErrorKind::BadRequest`].
pub(super) fn refuse_several(request: &ChatRequest, who: &str) -> Result<(), Error> {
    let answers = request.params.get("n").and_then(Value::as_u64);
    if request.origin.is_none() || answers.unwrap_or(1) <= 1 {
        return Ok(());
    }
    Err(bad_request(format!(
        "{who} gives one answer to a request: leave out `n`, or send the request several times"
    )))
}

/// A request that cannot be put to its target.
pub(super) fn bad_request(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadRequest, message)
}

pub(super) fn not_json(error: serde_json::Error) -> Error {
    bad_request("the request cannot be written as JSON").with_source(error)
}

pub(super) fn json_headers() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers
}

/// `type` of a content part.
pub(super) fn part_type(part: &Value) -> &str {
    part.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// Reads the `messages` of either wire; fields beside role and content are preserved.
pub(super) fn take_messages(wire: &mut Map<String, Value>) -> Result<Vec<Message>, Error> {
    let Some(messages) = wire.shift_remove("messages") else {
        return Err(invalid("`messages` is missing"));
    };
    let Value::Array(messages) = messages else {
        return Err(invalid("`messages` is not a list"));
    };
    if messages.is_empty() {
        return Err(invalid("`messages` is empty"));
    }
    messages
        .into_iter()
        .enumerate()
        .map(|(index, message)| {
            read_message(message).ok_or_else(|| {
                invalid(format!(
                    "`messages[{index}]` needs a `role` and a `content` of text or parts"
                ))
            })
        })
        .collect()
}

fn read_message(message: Value) -> Option<Message> {
    let Value::Object(mut extra) = message else {
        return None;
    };
    let Some(Value::String(role)) = extra.shift_remove("role") else {
        return None;
    };
    let content = match extra.shift_remove("content") {
        None | Some(Value::Null) => None,
        Some(content) => Some(read_content(content)?),
    };
    Some(Message {
        role: read_role(role),
        content,
        extra,
    })
}

pub(super) fn read_content(content: Value) -> Option<Content> {
    match content {
        Value::String(text) => Some(Content::Text(text)),
        Value::Array(parts) if parts.iter().all(Value::is_object) => Some(Content::Parts(parts)),
        _ => None,
    }
}

pub(super) fn read_role(role: String) -> Role {
    match role.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => Role::Other(role),
    }
}

pub(super) fn take_model(wire: &mut Map<String, Value>) -> Result<Option<String>, Error> {
    match wire.shift_remove("model") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(model)) => Ok(Some(model)),
        Some(_) => Err(invalid("`model` is not text")),
    }
}

pub(super) fn take_stream(wire: &mut Map<String, Value>) -> Result<bool, Error> {
    match wire.shift_remove("stream") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(stream)) => Ok(stream),
        Some(_) => Err(invalid("`stream` is neither true nor false")),
    }
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidLine, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_no_requests_say_why() {
        let cases = [
            (r#"{}"#, "missing"),
            (r#"{"messages":"hi"}"#, "not a list"),
            (r#"{"messages":[]}"#, "empty"),
            (
                r#"{"messages":[{"role":"user","content":"a"},"b"]}"#,
                "messages[1]",
            ),
            (r#"{"messages":[{"content":"a"}]}"#, "messages[0]"),
            (
                r#"{"messages":[{"role":"user","content":7}]}"#,
                "messages[0]",
            ),
            (
                r#"{"messages":[{"role":"user","content":["a"]}]}"#,
                "messages[0]",
            ),
        ];
        for (line, expected) in cases {
            let mut wire = serde_json::from_str(line).unwrap();
            let error = take_messages(&mut wire).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidLine);
            assert!(error.message().contains(expected), "{line}: {error}");
        }
    }
}
