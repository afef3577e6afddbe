//! Streamed answers of the Responses wire.

use antiphon_core::{
    Answer, ChatDelta, Error, ErrorKind,
    chat::{Delivery, ToolCallDelta},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    answer::{BETWEEN_THOUGHTS, Item, Response, WireUsage},
    written,
};
use crate::{
    dialects::{
        Progress, StreamDecoder, errors,
        lenient::{Count, Text},
        wire::Identity,
    },
    sse::SseEvent,
};

/// Every event in one shape: each type fills its own fields.
#[derive(Deserialize)]
struct WireEvent<'a> {
    #[serde(default, rename = "type")]
    kind: Text,
    #[serde(default, borrow)]
    response: Option<&'a RawValue>,
    #[serde(default)]
    output_index: Count,
    #[serde(default)]
    summary_index: Count,
    #[serde(default)]
    content_index: Count,
    #[serde(default)]
    item: Option<Item>,
    #[serde(default)]
    delta: Text,
}

/// A call that is being written.
#[derive(Debug)]
struct OpenCall {
    output_index: Option<u64>,
    call: usize,
    has_pieces: bool,
}

/// Reads one stream.
#[derive(Debug)]
pub(super) struct Decoder {
    finished: bool,
    model_told: bool,
    calls: usize,
    open_calls: Vec<OpenCall>,
    /// The part whose thoughts came last: output index and index within.
    thought: Option<(Option<u64>, Option<u64>)>,
    /// The response of the last event, for those who want a whole one.
    whole: Option<Bytes>,
    wanted: Delivery,
}

impl Decoder {
    pub(super) fn new(wanted: Delivery) -> Self {
        Self {
            finished: false,
            model_told: false,
            calls: 0,
            open_calls: Vec::new(),
            thought: None,
            whole: None,
            wanted,
        }
    }
}

impl StreamDecoder for Decoder {
    fn push(&mut self, event: &SseEvent) -> Result<Option<ChatDelta>, Error> {
        // this wire has no end mark, but servers that have one for other wires may send it here too
        if event.data.trim_ascii() == b"[DONE]" {
            return Ok(None);
        }
        match self.read(event) {
            Err(_) if self.finished => Ok(None),
            result => result.map(Some),
        }
    }

    fn progress(&self) -> Progress {
        match self.finished {
            true => Progress::Closed,
            false => Progress::Open,
        }
    }

    fn whole_body(&self, answer: &Answer) -> Bytes {
        match &self.whole {
            Some(body) => body.clone(),
            None => written::response(answer, &Identity::of(answer)),
        }
    }
}

impl Decoder {
    fn read(&mut self, event: &SseEvent) -> Result<ChatDelta, Error> {
        let unreadable = || {
            let message = "a piece of the stream cannot be read";
            Error::new(ErrorKind::BadResponse, message).with_body(event.data.clone())
        };
        let text = std::str::from_utf8(&event.data).map_err(|_| unreadable())?;
        let wire: WireEvent<'_> = serde_json::from_str(text).map_err(|_| unreadable())?;
        let kind = wire.kind.0.as_deref().unwrap_or(&event.name);
        let mut delta = ChatDelta {
            raw: event.data.clone(),
            ..ChatDelta::default()
        };
        match kind {
            "error" => return Err(errors::classify_event(&event.data)),
            "response.failed" => {
                let failed = wire.response.map_or(text, RawValue::get);
                let failed = Bytes::copy_from_slice(failed.as_bytes());
                return Err(errors::classify_event(&failed));
            }
            "response.output_text.delta" => delta.text = wire.delta.0.unwrap_or_default(),
            "response.refusal.delta" => {
                delta.refusal = wire.delta.0.filter(|words| !words.is_empty());
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                let within = wire.summary_index.0.or(wire.content_index.0);
                delta.reasoning = self.thought(wire.output_index.0, within, wire.delta);
            }
            "response.output_item.added" => {
                self.start_call(wire.output_index, wire.item, &mut delta);
            }
            "response.function_call_arguments.delta" => {
                self.grow_call(wire.output_index, wire.delta, &mut delta);
            }
            "response.output_item.done" => {
                self.stop_call(wire.output_index, wire.item, &mut delta);
            }
            _ => {}
        }
        if let Some(response) = wire.response {
            let ends = matches!(kind, "response.completed" | "response.incomplete");
            self.take_response(response, ends, &mut delta)
                .map_err(|_| unreadable())?;
        }
        Ok(delta)
    }

    fn take_response(
        &mut self,
        raw: &RawValue,
        ends: bool,
        delta: &mut ChatDelta,
    ) -> serde_json::Result<()> {
        let response: Response<'_> = serde_json::from_str(raw.get())?;
        if ends {
            delta.finish_reason = response.finish_reason(self.calls > 0);
            delta.usage = response.usage.and_then(WireUsage::usage);
            self.finished |= delta.finish_reason.is_some();
            if self.wanted == Delivery::Whole {
                self.whole = Some(Bytes::copy_from_slice(raw.get().as_bytes()));
            }
        }
        if !self.model_told {
            delta.model = response.model.0.filter(|model| !model.is_empty());
            self.model_told = delta.model.is_some();
        }
        Ok(())
    }

    /// The next piece of thoughts; parts of one item are paragraphs of their own.
    fn thought(&mut self, item: Option<u64>, part: Option<u64>, piece: Text) -> Option<String> {
        let piece = piece.0.filter(|piece| !piece.is_empty())?;
        let before = self.thought.replace((item, part));
        let is_next_part = before.is_some_and(|before| before.0 == item && before.1 != part);
        match is_next_part {
            true => Some(format!("{BETWEEN_THOUGHTS}{piece}")),
            false => Some(piece),
        }
    }

    fn start_call(&mut self, index: Count, item: Option<Item>, delta: &mut ChatDelta) {
        let Some(item) = item.filter(|item| item.is("function_call")) else {
            return;
        };
        let call = self.calls;
        self.calls += 1;
        delta.tool_calls.push(ToolCallDelta {
            index: call,
            id: item.call_id.0,
            name: item.name.0,
            arguments: String::new(),
        });
        self.open_calls.push(OpenCall {
            output_index: index.0,
            call,
            has_pieces: false,
        });
    }

    fn grow_call(&mut self, index: Count, piece: Text, delta: &mut ChatDelta) {
        let piece = piece.0.unwrap_or_default();
        let mut open = self.open_calls.iter_mut();
        let open = open.find(|open| open.output_index == index.0);
        if let (Some(open), false) = (open, piece.is_empty()) {
            open.has_pieces = true;
            delta.tool_calls.push(ToolCallDelta {
                index: open.call,
                arguments: piece,
                ..ToolCallDelta::default()
            });
        }
    }

    /// Arguments that never came in pieces are those of the item.
    fn stop_call(&mut self, index: Count, item: Option<Item>, delta: &mut ChatDelta) {
        let position = self
            .open_calls
            .iter()
            .position(|open| open.output_index == index.0);
        let Some(open) = position.map(|at| self.open_calls.swap_remove(at)) else {
            return;
        };
        if !open.has_pieces {
            delta.tool_calls.push(ToolCallDelta {
                index: open.call,
                arguments: item.and_then(|item| item.arguments.0).unwrap_or_default(),
                ..ToolCallDelta::default()
            });
        }
    }
}
