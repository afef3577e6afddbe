//! Streamed answers of the OpenAI wire.

use antiphon_core::{Answer, ChatDelta, Error, ErrorKind, chat::ToolCallDelta};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    answer::{self, WireFunction, WireUsage},
    written,
};
use crate::{
    dialects::{
        Progress, StreamDecoder, errors,
        lenient::{Count, List, Text},
        wire::Identity,
    },
    sse::SseEvent,
};

/// Answers beside the first (`n`) whose end is awaited: an index is the server's word.
const MOST_CHOICES: usize = 128;

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(default)]
    model: Text,
    #[serde(default)]
    choices: List<ChunkChoice>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ChunkChoice {
    #[serde(default)]
    index: Count,
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    finish_reason: Text,
}

#[derive(Default, Deserialize)]
struct Delta {
    #[serde(default)]
    content: Text,
    #[serde(default)]
    reasoning_content: Text,
    #[serde(default)]
    reasoning: Text,
    #[serde(default)]
    refusal: Text,
    #[serde(default)]
    tool_calls: List<ToolPiece>,
}

#[derive(Deserialize)]
struct ToolPiece {
    #[serde(default)]
    index: Count,
    #[serde(default)]
    id: Text,
    #[serde(default)]
    function: Option<WireFunction>,
}

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    closed: bool,
    model_told: bool,
    /// Index of each answer seen and whether it has ended; the first answer is among them once it began.
    choices: Vec<(u64, bool)>,
    /// Tool calls that have been introduced: some servers repeat id and name with each piece.
    introduced: Vec<usize>,
}

impl StreamDecoder for Decoder {
    fn push(&mut self, event: &SseEvent) -> Result<Option<ChatDelta>, Error> {
        if event.data.trim_ascii() == b"[DONE]" {
            self.closed = true;
            return Ok(None);
        }
        let complete = self.progress() != Progress::Open;
        match self.read(event) {
            Err(_) if complete => {
                self.closed = true;
                Ok(None)
            }
            result => result.map(Some),
        }
    }

    fn progress(&self) -> Progress {
        let all_ended = self.choices.iter().all(|(_, ended)| *ended);
        let first_ended = self.choices.contains(&(0, true));
        match (first_ended && all_ended, self.closed) {
            (true, true) => Progress::Closed,
            (true, false) => Progress::Complete,
            // an end mark does not make a cut answer whole
            (false, _) => Progress::Open,
        }
    }

    fn whole_body(&self, answer: &Answer) -> Bytes {
        written::completion(answer, &Identity::of(answer))
    }
}

impl Decoder {
    fn read(&mut self, event: &SseEvent) -> Result<ChatDelta, Error> {
        let unreadable = || {
            let message = "a piece of the stream cannot be read";
            Error::new(ErrorKind::BadResponse, message).with_body(event.data.clone())
        };
        let text = std::str::from_utf8(&event.data).map_err(|_| unreadable())?;
        let chunk: Chunk<'_> = serde_json::from_str(text).map_err(|_| unreadable())?;
        let has_error = chunk.error.is_some_and(|error| error.get() != "null");
        if has_error || event.name == "error" {
            return Err(errors::classify_event(&event.data));
        }
        let mut delta = ChatDelta {
            raw: event.data.clone(),
            usage: chunk.usage.and_then(WireUsage::usage),
            ..ChatDelta::default()
        };
        if !self.model_told {
            delta.model = chunk.model.0.filter(|model| !model.is_empty());
            self.model_told = delta.model.is_some();
        }
        for choice in chunk.choices.0 {
            self.take_choice(choice, &mut delta);
        }
        Ok(delta)
    }

    fn take_choice(&mut self, choice: ChunkChoice, delta: &mut ChatDelta) {
        let index = choice.index.0.unwrap_or_default();
        let finish_reason = choice
            .finish_reason
            .0
            .as_deref()
            .and_then(answer::finish_reason);
        let ended = finish_reason.is_some();
        if let Some(known) = self.choices.iter_mut().find(|(known, _)| *known == index) {
            known.1 |= ended;
        } else if self.choices.len() < MOST_CHOICES {
            self.choices.push((index, ended));
        }
        if index != 0 {
            return;
        }
        delta.finish_reason = finish_reason;
        let piece = choice.delta.unwrap_or_default();
        delta.text.push_str(&piece.content.0.unwrap_or_default());
        delta.reasoning = answer::shown_reasoning(piece.reasoning_content, piece.reasoning);
        delta.refusal = piece.refusal.0.filter(|refusal| !refusal.is_empty());
        for tool in piece.tool_calls.0 {
            delta.tool_calls.push(self.tool_delta(tool));
        }
    }

    fn tool_delta(&mut self, piece: ToolPiece) -> ToolCallDelta {
        let index = piece.index.0.unwrap_or_default();
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let function = piece.function.unwrap_or_default();
        let first = !self.introduced.contains(&index);
        if first && (piece.id.0.is_some() || function.name.0.is_some()) {
            self.introduced.push(index);
        }
        ToolCallDelta {
            index,
            id: piece.id.0.filter(|_| first),
            name: function.name.0.filter(|_| first),
            arguments: function.arguments.0.unwrap_or_default(),
        }
    }
}
