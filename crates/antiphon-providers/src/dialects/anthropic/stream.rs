//! Streamed answers of the Anthropic wire.

use antiphon_core::{
    Answer, ChatDelta, Error, ErrorKind, FinishReason,
    chat::{Delivery, ToolCallDelta},
};
use bytes::Bytes;
use serde::Deserialize;

use super::{
    answer::{self, Block, StopDetails, WireUsage},
    assemble::Assembly,
};
use crate::{
    dialects::{
        Progress, StreamDecoder, errors,
        lenient::{Count, Text},
    },
    sse::SseEvent,
};

/// Every event in one shape: each type fills its own fields.
#[derive(Deserialize)]
struct WireEvent {
    #[serde(default, rename = "type")]
    kind: Text,
    #[serde(default)]
    message: Option<Start>,
    #[serde(default)]
    index: Count,
    #[serde(default)]
    content_block: Option<Block>,
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Start {
    #[serde(default)]
    model: Text,
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Default, Deserialize)]
struct Delta {
    #[serde(default, rename = "type")]
    kind: Text,
    #[serde(default)]
    text: Text,
    #[serde(default)]
    thinking: Text,
    #[serde(default)]
    partial_json: Text,
    #[serde(default)]
    stop_reason: Text,
    #[serde(default)]
    stop_details: Option<StopDetails>,
}

/// A `tool_use` block that is being written.
#[derive(Debug)]
struct OpenTool {
    /// Index among the blocks, text included.
    block: Option<u64>,
    /// Index among the tool calls.
    call: usize,
    /// The input that the block began with.
    input: String,
    has_pieces: bool,
}

/// Reads one stream.
#[derive(Debug)]
pub(super) struct Decoder {
    usage: WireUsage,
    finished: bool,
    closed: bool,
    tools: usize,
    open_tools: Vec<OpenTool>,
    assembly: Option<Assembly>,
}

impl Decoder {
    pub(super) fn new(wanted: Delivery) -> Self {
        Self {
            usage: WireUsage::default(),
            finished: false,
            closed: false,
            tools: 0,
            open_tools: Vec::new(),
            assembly: (wanted == Delivery::Whole).then(Assembly::default),
        }
    }
}

impl StreamDecoder for Decoder {
    fn push(&mut self, event: &SseEvent) -> Result<Option<ChatDelta>, Error> {
        // the oldest version of the wire ends like OpenAI's
        if event.data.trim_ascii() == b"[DONE]" {
            self.closed = true;
            return Ok(None);
        }
        match self.read(event) {
            Err(_) if self.finished => {
                self.closed = true;
                Ok(None)
            }
            result => result.map(Some),
        }
    }

    fn progress(&self) -> Progress {
        match (self.finished, self.closed) {
            (true, true) => Progress::Closed,
            (true, false) => Progress::Complete,
            (false, _) => Progress::Open,
        }
    }

    fn whole_body(&self, answer: &Answer) -> Bytes {
        match self.assembly.as_ref().and_then(Assembly::body) {
            Some(body) => body,
            None => answer::whole_body(answer),
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
        let wire: WireEvent = serde_json::from_str(text).map_err(|_| unreadable())?;
        let kind = wire.kind.0.as_deref().unwrap_or(&event.name);
        let mut delta = ChatDelta {
            raw: event.data.clone(),
            ..ChatDelta::default()
        };
        match kind {
            "error" => return Err(errors::classify_event(&event.data)),
            "message_start" => {
                if let Some(start) = wire.message {
                    delta.model = start.model.0;
                    self.take_usage(start.usage, &mut delta);
                }
            }
            "content_block_start" => self.start_block(wire.index, wire.content_block, &mut delta),
            "content_block_delta" => self.grow_block(wire.index, wire.delta, &mut delta),
            "content_block_stop" => self.stop_block(wire.index, &mut delta),
            "message_delta" => {
                self.take_end(wire.delta.unwrap_or_default(), &mut delta);
                self.take_usage(wire.usage, &mut delta);
            }
            "message_stop" => self.closed = true,
            // `ping`, and what later versions add
            _ => {}
        }
        if let Some(assembly) = &mut self.assembly {
            assembly.push(kind, text).map_err(|_| unreadable())?;
        }
        Ok(delta)
    }

    fn take_usage(&mut self, usage: Option<WireUsage>, delta: &mut ChatDelta) {
        if let Some(usage) = usage {
            self.usage.overlay(usage);
            delta.usage = self.usage.usage();
        }
    }

    fn take_end(&mut self, end: Delta, delta: &mut ChatDelta) {
        delta.finish_reason = end.stop_reason.0.as_deref().and_then(answer::finish_reason);
        self.finished |= delta.finish_reason.is_some();
        if delta.finish_reason == Some(FinishReason::ContentFilter) {
            let words = end.stop_details.and_then(StopDetails::words);
            delta.refusal = Some(words.unwrap_or_default());
        }
    }

    fn start_block(&mut self, index: Count, block: Option<Block>, delta: &mut ChatDelta) {
        let Some(block) = block else { return };
        if block.is("tool_use") {
            let call = self.tools;
            self.tools += 1;
            delta.tool_calls.push(ToolCallDelta {
                index: call,
                id: block.id.0,
                name: block.name.0,
                arguments: String::new(),
            });
            self.open_tools.push(OpenTool {
                block: index.0,
                call,
                input: block.input.0.unwrap_or_else(|| "{}".to_owned()),
                has_pieces: false,
            });
        } else if block.is("text") {
            delta.text = block.text.0.unwrap_or_default();
        } else if block.is("thinking") {
            delta.reasoning = block.thinking.0.filter(|thought| !thought.is_empty());
        }
    }

    fn grow_block(&mut self, index: Count, piece: Option<Delta>, delta: &mut ChatDelta) {
        let piece = piece.unwrap_or_default();
        match piece.kind.0.as_deref() {
            Some("text_delta") => delta.text = piece.text.0.unwrap_or_default(),
            Some("thinking_delta") => {
                delta.reasoning = piece.thinking.0.filter(|thought| !thought.is_empty());
            }
            Some("input_json_delta") => {
                let json = piece.partial_json.0.unwrap_or_default();
                let tool = self
                    .open_tools
                    .iter_mut()
                    .find(|tool| tool.block == index.0);
                // no block of ours: a server tool's input
                if let (Some(tool), false) = (tool, json.is_empty()) {
                    tool.has_pieces = true;
                    delta.tool_calls.push(ToolCallDelta {
                        index: tool.call,
                        arguments: json,
                        ..ToolCallDelta::default()
                    });
                }
            }
            // signatures and citations are in `raw`
            _ => {}
        }
    }

    /// An input that never came in pieces is the one the block began with, mostly `{}`.
    fn stop_block(&mut self, index: Count, delta: &mut ChatDelta) {
        let Some(at) = self
            .open_tools
            .iter()
            .position(|tool| tool.block == index.0)
        else {
            return;
        };
        let tool = self.open_tools.swap_remove(at);
        if !tool.has_pieces {
            delta.tool_calls.push(ToolCallDelta {
                index: tool.call,
                arguments: tool.input,
                ..ToolCallDelta::default()
            });
        }
    }
}
