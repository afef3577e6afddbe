//! Streamed chat completions.

use antiphon_core::{ChatDelta, Error, FinishReason, Head, Usage, chat::ToolCallDelta};
use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    dialects::openai::{NAME, written},
    fronts::{
        StreamWriter, Told, errors,
        frame::{END_MARK, ended, event, has_end_mark, without_usage},
    },
};

/// Writes one stream: frames as they came while there are some, chunks of its own from then on.
#[derive(Debug)]
pub(super) struct Writer {
    told: Told,
    /// Frames are of this wire.
    passes: bool,
    /// The first event that was passed on: whose stream it is.
    first: Option<Bytes>,
    /// Whom the chunks are of, once one was written.
    identity: Option<Identity>,
    model: String,
    begun: bool,
    finished: bool,
    usage_told: bool,
    usage: Option<Usage>,
    /// The end mark has been passed on.
    has_end_mark: bool,
    closed: bool,
    /// Calls that have been introduced.
    introduced: Vec<usize>,
}

/// What all chunks of a stream have in common.
#[derive(Debug)]
struct Identity {
    id: String,
    created: u64,
}

/// The beginning of a stream that was passed on.
#[derive(Default, Deserialize)]
struct First {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    created: Value,
}

impl Writer {
    pub(super) fn new(head: &Head, told: Told) -> Self {
        Self {
            passes: Told::passes(head, NAME),
            model: told.model_of(head, None).to_owned(),
            told,
            first: None,
            identity: None,
            begun: false,
            finished: false,
            usage_told: false,
            usage: None,
            has_end_mark: false,
            closed: false,
            introduced: Vec::new(),
        }
    }

    /// Passes a frame on, but for what only Antiphon asked for.
    fn pass(&mut self, delta: &ChatDelta) -> Bytes {
        if self.first.is_none() && !delta.raw.is_empty() {
            self.first = Some(delta.raw.clone());
        }
        self.begun = true;
        self.finished |= delta.finish_reason.is_some();
        self.usage_told |= delta.usage.is_some();
        for call in &delta.tool_calls {
            self.introduce(call.index);
        }
        let frame = match delta.raw.is_empty() {
            // the last bytes of the stream
            true => ended(&delta.frame),
            false => delta.frame.clone(),
        };
        self.has_end_mark |= self.finished && has_end_mark(&frame);
        match self.told.wants_usage {
            true => frame,
            false => without_usage(&frame),
        }
    }

    fn write(&mut self, delta: ChatDelta) -> Bytes {
        let has_content = delta.has_content();
        let ends = delta.finish_reason.is_some();
        let is_silent = !has_content && !ends && delta.model.is_none();
        if self.finished || (is_silent && (self.begun || delta.usage.is_none())) {
            return Bytes::new();
        }
        // what an earlier provider told of a stream that others end is not the whole of it
        self.usage_told = false;
        let mut out = String::new();
        if !self.begun {
            self.begun = true;
            let role = json!({"role": "assistant", "content": "", "refusal": null});
            out.push_str(&self.chunk(&role, None));
        }
        if let Some(thought) = delta.reasoning.filter(|thought| !thought.is_empty()) {
            out.push_str(&self.chunk(&json!({"reasoning_content": thought}), None));
        }
        if !delta.text.is_empty() {
            out.push_str(&self.chunk(&json!({"content": delta.text}), None));
        }
        if let Some(words) = delta.refusal.filter(|words| !words.is_empty()) {
            out.push_str(&self.chunk(&json!({"refusal": words}), None));
        }
        if !delta.tool_calls.is_empty() {
            let pieces = delta.tool_calls.into_iter();
            let pieces: Vec<_> = pieces.map(|piece| self.tool_piece(piece)).collect();
            out.push_str(&self.chunk(&json!({"tool_calls": pieces}), None));
        }
        if let Some(reason) = delta.finish_reason {
            self.finished = true;
            out.push_str(&self.chunk(&json!({}), Some(&reason)));
        }
        Bytes::from(out)
    }

    /// Whether this is the first piece of the call.
    fn introduce(&mut self, index: usize) -> bool {
        let is_new = !self.introduced.contains(&index);
        if is_new {
            self.introduced.push(index);
        }
        is_new
    }

    fn tool_piece(&mut self, piece: ToolCallDelta) -> Value {
        if !self.introduce(piece.index) {
            return json!({"index": piece.index, "function": {"arguments": piece.arguments}});
        }
        let id = piece.id.unwrap_or_default();
        json!({
            "index": piece.index,
            "id": written::call_id(&id, piece.index, &self.told.id),
            "type": "function",
            "function": {"name": piece.name.unwrap_or_default(), "arguments": piece.arguments},
        })
    }

    fn chunk(&mut self, delta: &Value, finish: Option<&FinishReason>) -> String {
        let choice = json!({
            "index": 0,
            "delta": delta,
            "logprobs": null,
            "finish_reason": finish.map(FinishReason::as_str),
        });
        let mut chunk = self.envelope(json!([choice]));
        if self.told.wants_usage {
            chunk["usage"] = Value::Null;
        }
        event(&chunk.to_string())
    }

    fn envelope(&mut self, choices: Value) -> Value {
        let first = self.first.as_ref();
        let told = &self.told;
        let identity = self
            .identity
            .get_or_insert_with(|| Identity::of(first, told));
        json!({
            "id": identity.id,
            "object": "chat.completion.chunk",
            "created": identity.created,
            "model": self.model,
            "choices": choices,
        })
    }

    fn usage_chunk(&mut self) -> Option<String> {
        if !self.told.wants_usage || self.usage_told {
            return None;
        }
        let usage = self.usage.take()?;
        let mut chunk = self.envelope(json!([]));
        chunk["usage"] = written::wire_usage(&usage);
        Some(event(&chunk.to_string()))
    }
}

impl Identity {
    /// That of the stream begun, else one of our own.
    fn of(first: Option<&Bytes>, told: &Told) -> Self {
        let first: First = first
            .and_then(|first| serde_json::from_slice(first).ok())
            .unwrap_or_default();
        Self {
            id: match first.id {
                Value::String(id) if !id.is_empty() => id,
                _ => format!("chatcmpl-{}", told.id),
            },
            created: first.created.as_u64().unwrap_or_else(|| told.seconds()),
        }
    }
}

impl StreamWriter for Writer {
    fn push(&mut self, delta: ChatDelta) -> Bytes {
        if self.closed {
            return Bytes::new();
        }
        self.usage = delta.usage.or(self.usage);
        if let Some(model) = &delta.model {
            self.model.clone_from(model);
        }
        match self.passes && self.identity.is_none() && !delta.frame.is_empty() {
            true => self.pass(&delta),
            false => self.write(delta),
        }
    }

    fn finish(&mut self) -> Bytes {
        if std::mem::replace(&mut self.closed, true) || self.has_end_mark {
            return Bytes::new();
        }
        let mut out = BytesMut::new();
        if let Some(usage) = self.usage_chunk() {
            out.extend_from_slice(usage.as_bytes());
        }
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(END_MARK);
        out.extend_from_slice(b"\n\n");
        out.freeze()
    }

    fn fail(&mut self, error: &Error) -> Bytes {
        if std::mem::replace(&mut self.closed, true) || self.has_end_mark {
            return Bytes::new();
        }
        let body = errors::openai(error, errors::status_within(error));
        Bytes::from(event(&errors::on_one_line(&body)))
    }
}
