//! Bodies of requests: bytes to fields.

use std::{sync::Arc, time::Duration};

use antiphon::{Error, ErrorKind};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header, request::Parts};
use http_body::Body as _;
use http_body_util::BodyExt;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use crate::{
    BodyLimits,
    calls::{Calls, Room},
};

/// How deep a body may be nested. It is serde_json's own limit, which keeps its recursion off the end of the stack.
const DEEPEST: usize = 128;
/// Room that is made for a body on its caller's word alone.
const TRUSTED: u64 = 1 << 20;
/// Bodies up to this are small: the bound of calls bounds them.
const SMALL: u64 = 64 << 10;
/// The most values that a body may have. Each takes many times the bytes that it is written in.
const MOST_VALUES: usize = 1_000_000;
/// Room of a value that was read, in bytes; a field of an object and the smallest of lists take as much.
const VALUE: u64 = 100;

/// Reads a body to its end, within the limits that the server laid beside the request.
///
/// # Errors
/// It is of another type, too large or too slow, or the caller went away.
pub(crate) async fn read(parts: &Parts, mut body: Body) -> Result<Bytes, Error> {
    check_type(&parts.headers)?;
    let limits = parts.extensions.get::<BodyLimits>();
    let limits = limits.copied().unwrap_or_default();
    let hint = body.size_hint();
    if hint.lower() > limits.largest {
        return Err(too_large(&limits));
    }
    let calls = parts.extensions.get::<Arc<Calls>>();
    let mut room = Room::new(calls.cloned().unwrap_or_default(), limits.all);
    let mut make_room = |bytes: u64| match bytes <= SMALL || room.grow_to(bytes) {
        true => Ok(()),
        false => Err(no_room()),
    };
    // the rest of what is announced has room as it comes: announcing takes nothing away from others
    make_room(hint.lower().min(TRUSTED))?;
    let begun = Instant::now();
    let mut read = BytesMut::with_capacity(hint.lower().min(TRUSTED) as usize);
    loop {
        let due = read.len() as f64 / limits.slowest.max(1) as f64;
        let due = begun + limits.grace + Duration::from_secs_f64(due);
        let frame = match timeout_at(due, body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => {
                let message = "the body cannot be read to its end: it was cut off, or its chunks are malformed";
                return Err(Error::new(ErrorKind::BadRequest, message).with_status(400));
            }
            Err(_) => return Err(too_slow(&limits, read.len())),
        };
        if let Ok(data) = frame.into_data() {
            let length = read.len() as u64 + data.len() as u64;
            if length > limits.largest {
                return Err(too_large(&limits));
            }
            make_room(length)?;
            if read.is_empty() && body.is_end_stream() && length <= SMALL {
                return Ok(data);
            }
            read.extend_from_slice(&data);
        }
    }
    let length = read.len() as u64;
    if length > SMALL {
        let values = values_in(&read);
        if values > MOST_VALUES {
            return Err(too_many_values());
        }
        make_room(length + values as u64 * VALUE)?;
    }
    // the room is taken for as long as anybody has a part of the body
    Ok(Bytes::from_owner(Kept {
        bytes: read.freeze(),
        _room: room,
    }))
}

/// A body and the room that it takes.
struct Kept {
    bytes: Bytes,
    _room: Room,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn no_room() -> Error {
    let message = "the gateway holds as many large requests as it can: try again in a second";
    Error::new(ErrorKind::Overloaded, message)
        .with_status(503)
        .with_retry_after(Some(Duration::from_secs(1)))
}

/// Refuses what cannot be JSON. Clients name all sorts of types for it, or none.
fn check_type(headers: &HeaderMap) -> Result<(), Error> {
    let refuse = |message: String| Err(Error::new(ErrorKind::BadRequest, message).with_status(415));
    let text = |name| {
        let value = headers.get(name)?.to_str().unwrap_or("?");
        Some(value.trim().to_ascii_lowercase())
    };
    if let Some(coding) = text(header::CONTENT_ENCODING)
        && !matches!(coding.as_str(), "" | "identity")
    {
        return refuse(format!(
            "the body is encoded as {coding:?}: send it as plain JSON"
        ));
    }
    let Some(kind) = text(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is_json = matches!(kind, "" | "application/json" | "text/json" | "text/plain");
    match is_json || kind.ends_with("+json") {
        true => Ok(()),
        false => refuse(format!(
            "the body is {kind:?}: send JSON, as application/json (curl: add -H 'content-type: application/json')"
        )),
    }
}

fn too_large(limits: &BodyLimits) -> Error {
    let largest = limits.largest;
    let largest = match largest.is_multiple_of(1 << 20) {
        true => format!("{} MiB", largest >> 20),
        false => format!("{largest} bytes"),
    };
    let message = format!("the body is larger than {largest}");
    Error::new(ErrorKind::LineTooLong, message).with_status(413)
}

fn too_many_values() -> Error {
    let message = format!(
        "the body has more than {MOST_VALUES} values (numbers, texts, lists, objects): send less, or files by their address"
    );
    Error::new(ErrorKind::LineTooLong, message).with_status(413)
}

/// At least how many values are in a text of JSON, by the signs between them; what its texts say is none.
fn values_in(json: &[u8]) -> usize {
    let (mut values, mut rest) = (0, json);
    loop {
        let text = memchr::memchr(b'"', rest).unwrap_or(rest.len());
        let (signs, from_text) = rest.split_at(text);
        let is_sign = |byte: &&u8| matches!(byte, b',' | b':' | b'[' | b'{');
        values += signs.iter().filter(is_sign).count();
        match from_text.split_first() {
            Some((_, text)) => rest = behind_text(text),
            None => return values,
        }
    }
}

/// What follows a text of JSON that has just begun.
fn behind_text(mut text: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', text) {
        // what is escaped ends nothing
        let skipped = if text[at] == b'"' { 1 } else { 2 };
        text = text.get(at + skipped..).unwrap_or_default();
        if skipped == 1 {
            return text;
        }
    }
    &[]
}

fn too_slow(limits: &BodyLimits, read: usize) -> Error {
    let message = format!(
        "the body came too slowly: {read} bytes, at less than {} a second",
        limits.slowest
    );
    Error::new(ErrorKind::Timeout, message).with_status(408)
}

/// The fields of a body.
///
/// # Errors
/// It is not a JSON object.
pub(crate) fn fields(body: &[u8]) -> Result<Map<String, Value>, Error> {
    let refuse = |message: String| Err(Error::new(ErrorKind::BadRequest, message));
    if body.trim_ascii().is_empty() {
        return refuse("the body is empty: send a JSON object".to_owned());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => refuse(format!(
            "the body is {}, not a JSON object",
            name_of(&other)
        )),
        Err(error) if error.to_string().starts_with("recursion limit") => refuse(format!(
            "the body is nested deeper than {DEEPEST} levels, at line {} column {}",
            error.line(),
            error.column()
        )),
        Err(error) => refuse(format!("the body is not JSON: {error}")),
    }
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_is_refused_and_says_where() {
        let refused = |body: &str| fields(body.as_bytes()).unwrap_err().message().to_owned();
        assert_eq!(refused(" \n"), "the body is empty: send a JSON object");
        assert_eq!(refused("[1]"), "the body is a list, not a JSON object");
        let torn = refused("{\"a\":\n  1,,}");
        assert_eq!(
            torn,
            "the body is not JSON: key must be a string at line 2 column 5"
        );
        assert!(refused("{\"a\"").contains("EOF while parsing"));
        let deep =
            |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(fields(deep(126).as_bytes()).is_ok());
        for levels in [128, 100_000] {
            assert!(
                refused(&deep(levels)).starts_with("the body is nested deeper than 128 levels")
            );
        }
    }

    #[test]
    fn values_are_counted_and_what_texts_say_is_none() {
        for (json, values) in [
            ("", 0),
            ("[0,0,0]", 3),
            ("{\"a\": 1, \"b\": [true]}", 5),
            (r#"["a,b:[{", "\",\",", "\\"]"#, 3),
            (r#"["no end, \", ,"#, 1),
            (r#"["no end\"#, 1),
            ("[{},{},{}]", 6),
        ] {
            assert_eq!(values_in(json.as_bytes()), values, "{json}");
        }
    }

    #[test]
    fn types_that_are_no_json_are_refused() {
        let check = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            check_type(&headers).map_err(|error| error.status())
        };
        assert!(check_type(&HeaderMap::new()).is_ok());
        for fine in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "text/plain",
            "application/vnd.api+json",
            "",
        ] {
            assert_eq!(check("content-type", fine), Ok(()), "{fine}");
        }
        for wrong in [
            "multipart/form-data; boundary=a",
            "application/x-www-form-urlencoded",
        ] {
            assert_eq!(check("content-type", wrong), Err(Some(415)), "{wrong}");
        }
        assert_eq!(check("content-encoding", "gzip"), Err(Some(415)));
        assert_eq!(check("content-encoding", "identity"), Ok(()));
    }
}
