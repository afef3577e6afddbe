//! Messages of a client, one a line, and what can still be made of those that are none.
//!
//! Whoever sends a request waits for its answer, and a call waits for what the client was asked. So a line that cannot be read
//! is not just passed over: where its id can be made out, the request is refused, or the answer counts as a failure.

use rmcp::{
    RoleServer,
    model::{ErrorCode, ErrorData, JsonRpcMessage, RequestId},
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use super::outline::Outline;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The lines of a client.
pub(super) struct Incoming<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    /// Bytes of the longest line that is kept.
    longest: usize,
    /// What stands at the top of a line that is too long, of which nothing else is kept.
    outline: Option<Outline>,
}

/// What a line was.
pub(super) enum Received {
    /// A message, and its length in bytes.
    Message(Box<RxJsonRpcMessage<RoleServer>>, usize),
    /// None; this is the answer to it.
    Refused(Box<TxJsonRpcMessage<RoleServer>>),
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    pub(super) fn new(reader: R, longest: usize) -> Self {
        Self {
            reader: BufReader::new(reader),
            line: Vec::new(),
            longest,
            outline: None,
        }
    }

    /// The next line that somebody waits for; `None` at the end. Nothing is lost when it is dropped.
    pub(super) async fn next(&mut self) -> Option<Received> {
        loop {
            let some = match self.reader.fill_buf().await {
                Ok([]) => return None,
                Ok(some) => some,
                Err(error) => {
                    tracing::error!("what the client sends cannot be read: {error}");
                    return None;
                }
            };
            let end = some.iter().position(|byte| *byte == b'\n');
            let part = &some[..end.unwrap_or(some.len())];
            if let Some(outline) = &mut self.outline {
                outline.take(part);
            } else if self.line.len() + part.len() > self.longest {
                let mut outline = Outline::default();
                outline.take(&self.line);
                outline.take(part);
                self.outline = Some(outline);
                self.line = Vec::new();
            } else {
                self.line.extend_from_slice(part);
            }
            let taken = end.map_or(some.len(), |end| end + 1);
            self.reader.consume(taken);
            if end.is_some()
                && let Some(line) = self.whole()
            {
                return Some(line);
            }
        }
    }

    /// What the line is that has come to its end.
    fn whole(&mut self) -> Option<Received> {
        if let Some(outline) = self.outline.take() {
            let why = format!("a message may have {} MiB", self.longest >> 20);
            return instead(&outline.read()?, &why);
        }
        let line = read(&self.line);
        self.line.clear();
        // one long message must not hold its memory for ever
        self.line.shrink_to(1 << 20);
        line
    }
}

fn read(line: &[u8]) -> Option<Received> {
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    let line = line.trim_ascii();
    if line.is_empty() {
        return None;
    }
    let why = match serde_json::from_slice(line) {
        Ok(message) => return Some(Received::Message(Box::new(message), line.len())),
        Err(why) => why,
    };
    tracing::debug!("a line of the client is no message: {why}");
    match serde_json::from_slice::<Value>(line) {
        Ok(value) => instead(&value, "it is no message of JSON-RPC 2.0"),
        // too deep perhaps, or with a number beyond all bounds
        Err(why) => {
            let mut outline = Outline::default();
            outline.take(line);
            instead(&outline.read()?, &why.to_string())
        }
    }
}

/// What becomes of JSON that is no message: nobody waits for an answer to a notification, and to text that is no JSON none is
/// given, since two that refuse each other's refusals would never end.
fn instead(value: &Value, why: &str) -> Option<Received> {
    let id = serde_json::from_value::<RequestId>(value["id"].clone()).ok();
    let is_answer = value.get("result").is_some() || value.get("error").is_some();
    match id {
        Some(id) if is_answer && value.get("method").is_none() => {
            let error = told(&value["error"], why);
            let failed = JsonRpcMessage::error(error, Some(id));
            Some(Received::Message(Box::new(failed), 0))
        }
        None if value["method"].is_string() && value.get("id").is_none() => None,
        id => {
            let error = ErrorData::invalid_request(format!("invalid request: {why}"), None);
            Some(Received::Refused(Box::new(JsonRpcMessage::error(
                error, id,
            ))))
        }
    }
}

/// The error in an answer that cannot be read, as far as it can.
fn told(error: &Value, why: &str) -> ErrorData {
    let code = error["code"].as_i64();
    let code = code.and_then(|code| i32::try_from(code).ok());
    let words = error["message"].as_str().or(error.as_str());
    let message = match (words, code) {
        (Some(words), _) => words.to_owned(),
        (None, Some(_)) => String::new(),
        (None, None) => format!("its answer cannot be read: {why}"),
    };
    let code = code.map_or(ErrorCode::INTERNAL_ERROR, ErrorCode);
    ErrorData::new(code, message, None)
}
