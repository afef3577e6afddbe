//! An answer's pieces, one thing after another: a stretch of text, then a call, then another.
//!
//! Two wires write blocks that begin and end, and never two at a time. Pieces may come interleaved (two calls, text within
//! a call): what cannot be written now is held until the open block has ended.

use antiphon_core::{ChatDelta, chat::ToolCallDelta};
use serde::de::IgnoredAny;

/// What a block holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What the model thought.
    Reasoning,
    /// What it says.
    Text,
    /// Why it declines.
    Refusal,
    /// A call of a tool: its index among the calls, its id and name.
    Call {
        /// Which call of the answer.
        index: usize,
        /// The provider's id; may be empty.
        id: String,
        /// The tool.
        name: String,
    },
}

/// What is to be written next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A block begins.
    Open(Kind),
    /// The open block goes on.
    Grow(String),
    /// The open block ends.
    Close,
}

/// The blocks of one answer.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    open: Option<Kind>,
    /// Arguments of the open call.
    arguments: String,
    held_calls: Vec<ToolCallDelta>,
    held_words: Vec<(Kind, String)>,
    /// Calls that have ended.
    ended: Vec<usize>,
}

impl Sequence {
    /// Goes on where this block is open: somebody else has written it so far.
    pub(super) fn resume(open: Option<Kind>) -> Self {
        Self {
            open,
            ..Self::default()
        }
    }

    /// Takes the next piece of the answer.
    pub(super) fn push(&mut self, delta: &mut ChatDelta) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some(thought) = delta.reasoning.take() {
            self.say(Kind::Reasoning, thought, &mut steps);
        }
        self.say(Kind::Text, std::mem::take(&mut delta.text), &mut steps);
        if let Some(words) = delta.refusal.take() {
            self.say(Kind::Refusal, words, &mut steps);
        }
        for piece in delta.tool_calls.drain(..) {
            self.call(piece, &mut steps);
        }
        steps
    }

    /// Ends what is open, and writes what was held.
    pub(super) fn end(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        self.close(&mut steps);
        let mut calls = std::mem::take(&mut self.held_calls);
        calls.sort_by_key(|call| call.index);
        for call in calls {
            self.open_call(call, &mut steps);
            self.close(&mut steps);
        }
        self.release(&mut steps);
        self.close(&mut steps);
        steps
    }

    fn say(&mut self, kind: Kind, words: String, steps: &mut Vec<Step>) {
        if words.is_empty() {
            return;
        }
        self.release(steps);
        if self.open.as_ref() != Some(&kind) {
            if self.is_within_call() {
                self.held_words.push((kind, words));
                return;
            }
            self.close(steps);
            self.open = Some(kind.clone());
            steps.push(Step::Open(kind));
        }
        steps.push(Step::Grow(words));
    }

    /// Writes the words that were held, once nothing stands in their way: later ones follow them.
    fn release(&mut self, steps: &mut Vec<Step>) {
        if self.held_words.is_empty() || self.is_within_call() {
            return;
        }
        for (kind, words) in std::mem::take(&mut self.held_words) {
            self.say(kind, words, steps);
        }
    }

    fn call(&mut self, piece: ToolCallDelta, steps: &mut Vec<Step>) {
        if matches!(&self.open, Some(Kind::Call { index, .. }) if *index == piece.index) {
            self.grow_call(piece.arguments, steps);
            return;
        }
        if self.ended.contains(&piece.index) {
            return;
        }
        let held = self
            .held_calls
            .iter_mut()
            .find(|held| held.index == piece.index);
        if let Some(held) = held {
            held.id = held.id.take().or(piece.id);
            held.name = held.name.take().or(piece.name);
            held.arguments.push_str(&piece.arguments);
        } else if self.is_within_call() || piece.name.is_none() {
            self.held_calls.push(piece);
        } else {
            self.close(steps);
            self.open_call(piece, steps);
        }
    }

    fn open_call(&mut self, call: ToolCallDelta, steps: &mut Vec<Step>) {
        let kind = Kind::Call {
            index: call.index,
            id: call.id.unwrap_or_default(),
            name: call.name.unwrap_or_default(),
        };
        self.open = Some(kind.clone());
        steps.push(Step::Open(kind));
        self.grow_call(call.arguments, steps);
    }

    fn grow_call(&mut self, arguments: String, steps: &mut Vec<Step>) {
        if !arguments.is_empty() {
            self.arguments.push_str(&arguments);
            steps.push(Step::Grow(arguments));
        }
    }

    fn close(&mut self, steps: &mut Vec<Step>) {
        self.arguments.clear();
        match self.open.take() {
            None => return,
            Some(Kind::Call { index, .. }) => self.ended.push(index),
            Some(_) => {}
        }
        steps.push(Step::Close);
    }

    /// Whether a call is open whose arguments are not whole: no provider says when they are.
    fn is_within_call(&self) -> bool {
        matches!(self.open, Some(Kind::Call { .. }))
            && serde_json::from_str::<IgnoredAny>(&self.arguments).is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(index: usize, name: Option<&str>, arguments: &str) -> ChatDelta {
        ChatDelta {
            tool_calls: vec![ToolCallDelta {
                index,
                id: name.map(str::to_owned),
                name: name.map(str::to_owned),
                arguments: arguments.to_owned(),
            }],
            ..ChatDelta::default()
        }
    }

    fn said(text: &str) -> ChatDelta {
        ChatDelta {
            text: text.to_owned(),
            ..ChatDelta::default()
        }
    }

    /// What is written, in short: `+t`ext, `+0` a call, what grows, `.` for an end.
    fn written(deltas: Vec<ChatDelta>) -> String {
        let mut sequence = Sequence::default();
        let mut steps = Vec::new();
        for mut delta in deltas {
            steps.extend(sequence.push(&mut delta));
        }
        steps.extend(sequence.end());
        let short = |step: Step| match step {
            Step::Open(Kind::Call { index, .. }) => format!("+{index} "),
            Step::Open(_) => "+t ".to_owned(),
            Step::Grow(text) => format!("{text} "),
            Step::Close => ". ".to_owned(),
        };
        steps.into_iter().map(short).collect::<String>()
    }

    #[test]
    fn one_block_after_another() {
        let in_turn = vec![
            said("a"),
            said("b"),
            piece(0, Some("f"), "{"),
            piece(0, None, "}"),
            piece(1, Some("g"), "{}"),
            said("c"),
        ];
        assert_eq!(written(in_turn), "+t a b . +0 { } . +1 {} . +t c . ");
    }

    #[test]
    fn interleaved_pieces_wait_for_the_end_of_the_open_call() {
        let interleaved = vec![
            piece(0, Some("f"), ""),
            piece(1, Some("g"), "{"),
            said("t"),
            piece(0, None, "{}"),
            piece(1, None, "}"),
        ];
        assert_eq!(written(interleaved), "+0 {} . +1 {} . +t t . ");
    }
}
