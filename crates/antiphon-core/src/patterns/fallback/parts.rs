//! [`Parts`]: what of an answer its reader already has.

use crate::{ChatDelta, chat::ToolCallDelta};

/// Tool calls of one answer that are told apart: an index is the provider's word and must not decide how much we allocate.
const MOST_TOOL_CALLS: usize = 1024;

/// The pieces of an answer in the order in which they began, whatever deltas they came in.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Parts {
    all: Vec<Part>,
    is_finished: bool,
    has_thoughts: bool,
    has_lost_track: bool,
}

/// A run of text between tool calls, or a tool call.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    Text(String),
    Refusal(String),
    Call(Call),
}

/// A tool call as far as it was told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) index: usize,
    pub(super) has_id: bool,
    pub(super) name: String,
    pub(super) arguments: String,
}

impl Parts {
    /// A text and nothing else.
    pub(super) fn of_text(text: &str) -> Self {
        let mut parts = Self::default();
        parts.push_text(text);
        parts
    }

    pub(super) fn push(&mut self, delta: &ChatDelta) {
        self.is_finished |= delta.finish_reason.is_some();
        self.has_thoughts |= delta.reasoning.is_some();
        self.push_text(&delta.text);
        match (self.all.last_mut(), delta.refusal.as_deref()) {
            (_, None | Some("")) => {}
            (Some(Part::Refusal(said)), Some(piece)) => said.push_str(piece),
            (_, Some(piece)) => self.all.push(Part::Refusal(piece.to_owned())),
        }
        for piece in &delta.tool_calls {
            self.push_call(piece);
        }
    }

    fn push_text(&mut self, piece: &str) {
        match self.all.last_mut() {
            _ if piece.is_empty() => {}
            Some(Part::Text(text)) => text.push_str(piece),
            _ => self.all.push(Part::Text(piece.to_owned())),
        }
    }

    fn push_call(&mut self, piece: &ToolCallDelta) {
        let calls = self.all.iter_mut().filter_map(|part| match part {
            Part::Call(call) => Some(call),
            _ => None,
        });
        let mut number = 0;
        let known = calls
            .inspect(|_| number += 1)
            .find(|call| call.index == piece.index);
        if let Some(call) = known {
            call.has_id |= is_said(piece.id.as_deref());
            call.name
                .push_str(piece.name.as_deref().unwrap_or_default());
            call.arguments.push_str(&piece.arguments);
        } else if number < MOST_TOOL_CALLS {
            self.all.push(Part::Call(Call {
                index: piece.index,
                has_id: is_said(piece.id.as_deref()),
                name: piece.name.clone().unwrap_or_default(),
                arguments: piece.arguments.clone(),
            }));
        } else {
            self.has_lost_track = true;
        }
    }

    pub(super) fn all(&self) -> &[Part] {
        &self.all
    }

    /// The text, where there is nothing but text.
    pub(super) fn only_text(&self) -> Option<&str> {
        match self.all.as_slice() {
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether a finish reason came: the answer is complete.
    pub(super) fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Whether the reader has seen anything at all, thoughts included.
    pub(super) fn has_begun(&self) -> bool {
        self.has_thoughts || !self.all.is_empty()
    }

    /// Whether there was more than could be remembered.
    pub(super) fn has_lost_track(&self) -> bool {
        self.has_lost_track
    }

    /// Characters of all texts and arguments.
    pub(super) fn characters(&self) -> usize {
        let texts = self.all.iter().map(|part| match part {
            Part::Text(text) | Part::Refusal(text) => text,
            Part::Call(call) => &call.arguments,
        });
        texts.map(|text| text.chars().count()).sum()
    }
}

fn is_said(id: Option<&str>) -> bool {
    id.is_some_and(|id| !id.is_empty())
}
