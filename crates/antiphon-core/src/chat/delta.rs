//! Pieces of a streamed answer, and their fold into a whole one.

use bytes::Bytes;

use super::{Answer, FinishReason, ToolCall};
use crate::{Error, ErrorKind, Spent, Usage};

/// Tool calls of one answer that are kept: an index is the provider's word and must not decide how much we allocate.
const MOST_TOOL_CALLS: usize = 1024;

/// A piece of a tool call. `id` and `name` come with the first piece of their index only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCallDelta {
    /// Which call of the answer.
    pub index: usize,
    /// The provider's id of the call.
    pub id: Option<String>,
    /// The tool.
    pub name: Option<String>,
    /// The next piece of its arguments, JSON text.
    pub arguments: String,
}

/// A piece of a streamed answer. Every field may be absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatDelta {
    /// The next piece of text.
    pub text: String,
    /// The next piece of what the model thought before it answered, where the provider shows it.
    pub reasoning: Option<String>,
    /// The next piece of a refusal's words.
    pub refusal: Option<String>,
    /// The next pieces of tool calls.
    pub tool_calls: Vec<ToolCallDelta>,
    /// Why it ended: the answer is complete once this came.
    pub finish_reason: Option<FinishReason>,
    /// Usage so far; later values replace earlier ones field by field, they are never added.
    pub usage: Option<Usage>,
    /// What the whole answer has cost, with its last piece; the meter says so.
    pub spent: Option<Spent>,
    /// The model's name as the provider reports it.
    pub model: Option<String>,
    /// The data of the provider's own event.
    pub raw: Bytes,
    /// The bytes of the stream that end with this event, for those who pass them on; empty where there is no wire. The
    /// frames of all pieces are the stream as it came; the last may be an end mark with nothing else in its piece.
    pub frame: Bytes,
}

impl ChatDelta {
    /// Whether the piece carries something for the reader, as opposed to bookkeeping.
    pub fn has_content(&self) -> bool {
        !self.text.is_empty()
            || self.reasoning.is_some()
            || self.refusal.is_some()
            || !self.tool_calls.is_empty()
    }
}

/// A whole answer as the pieces of a stream: what it says, then why and with what usage it ended.
pub fn deltas_of(answer: &Answer) -> Vec<ChatDelta> {
    let calls = answer.tool_calls.iter().enumerate();
    let said = ChatDelta {
        text: answer.text.clone(),
        reasoning: answer.reasoning.clone(),
        refusal: answer.refusal.clone(),
        tool_calls: calls
            .map(|(index, call)| ToolCallDelta {
                index,
                id: Some(call.id.clone()),
                name: Some(call.name.clone()),
                arguments: call.arguments.clone(),
            })
            .collect(),
        model: answer.model.clone(),
        ..ChatDelta::default()
    };
    let ended = ChatDelta {
        finish_reason: Some(answer.finish_reason.clone()),
        usage: answer.usage(),
        ..ChatDelta::default()
    };
    vec![said, ended]
}

/// Folds deltas into an [`Answer`]: "whole" is the fold of a stream.
#[derive(Debug, Default)]
pub struct Fold {
    text: String,
    reasoning: Option<String>,
    refusal: Option<String>,
    tool_calls: Vec<ToolCall>,
    finish_reason: Option<FinishReason>,
    usage: Option<Usage>,
    spent: Option<Spent>,
    model: Option<String>,
}

impl Fold {
    /// An empty fold.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece.
    pub fn push(&mut self, delta: ChatDelta) {
        self.text.push_str(&delta.text);
        if let Some(piece) = delta.reasoning {
            self.reasoning.get_or_insert_default().push_str(&piece);
        }
        if let Some(piece) = delta.refusal {
            self.refusal.get_or_insert_default().push_str(&piece);
        }
        for piece in delta.tool_calls {
            if piece.index >= MOST_TOOL_CALLS {
                continue;
            }
            if self.tool_calls.len() <= piece.index {
                self.tool_calls
                    .resize_with(piece.index + 1, ToolCall::default);
            }
            let call = &mut self.tool_calls[piece.index];
            call.id.push_str(piece.id.as_deref().unwrap_or_default());
            call.name
                .push_str(piece.name.as_deref().unwrap_or_default());
            call.arguments.push_str(&piece.arguments);
        }
        self.finish_reason = delta.finish_reason.or(self.finish_reason.take());
        self.usage = delta.usage.or(self.usage);
        self.spent = delta.spent.or(self.spent);
        self.model = delta.model.or(self.model.take());
    }

    /// Whether a finish reason has come.
    pub fn is_complete(&self) -> bool {
        self.finish_reason.is_some()
    }

    /// The whole answer; `body` writes it in the wire form of the dialect that streamed it.
    ///
    /// # Errors
    /// [`ErrorKind::BadResponse`] when the stream ended before its finish reason.
    pub fn finish(self, body: impl FnOnce(&Answer) -> Bytes) -> Result<Answer, Error> {
        let Some(finish_reason) = self.finish_reason else {
            return Err(Error::new(
                ErrorKind::BadResponse,
                "the stream ended before its finish reason",
            ));
        };
        let mut answer = Answer {
            text: self.text,
            finish_reason,
            reasoning: self.reasoning,
            refusal: self.refusal,
            tool_calls: self.tool_calls,
            model: self.model,
            spent: self.spent.unwrap_or_else(|| Spent::answer(self.usage)),
            body: Bytes::new(),
            latency: std::time::Duration::ZERO,
        };
        answer.body = body(&answer);
        Ok(answer)
    }
}
