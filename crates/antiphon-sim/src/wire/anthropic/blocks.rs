//! The blocks of a streamed message.

use serde_json::{Value, json};

use super::{event, signature, tool_id};
use crate::{
    answer::Choice,
    wire::{
        Event,
        pieces::{Piece, told},
    },
};

/// The events of all blocks. A block ends where the next begins, unless the pieces of several take turns.
pub(super) fn events(choice: &Choice) -> Vec<Event> {
    let mut blocks = Blocks {
        choice,
        events: Vec::new(),
        open: Vec::new(),
        begun: 0,
    };
    let mut speaks = false;
    // calls are numbered from 0, whichever blocks come before them
    let mut first_call = 0;
    for (_, piece) in told(std::slice::from_ref(choice)) {
        match piece {
            Piece::Begin | Piece::Finish(_) => {}
            Piece::Reasoning(text) => {
                if blocks.begun == 0 {
                    blocks.begin(json!({"type": "thinking", "thinking": "", "signature": ""}));
                }
                blocks.add(0, json!({"type": "thinking_delta", "thinking": text}));
            }
            Piece::Text(text) | Piece::Refusal(text) => {
                if !speaks {
                    blocks.begin(json!({"type": "text", "text": ""}));
                    speaks = true;
                }
                blocks.add(
                    blocks.begun - 1,
                    json!({"type": "text_delta", "text": text}),
                );
            }
            Piece::Call(index, call) => {
                if index == 0 {
                    first_call = blocks.begun;
                }
                blocks.begin(
                    json!({"type": "tool_use", "id": tool_id(call), "name": call.name, "input": {}}),
                );
            }
            Piece::Arguments(index, text) => {
                let delta = json!({"type": "input_json_delta", "partial_json": text});
                blocks.add(first_call + index, delta);
            }
        }
    }
    blocks.end();
    blocks.events
}

struct Blocks<'a> {
    choice: &'a Choice,
    events: Vec<Event>,
    open: Vec<usize>,
    begun: usize,
}

impl Blocks<'_> {
    fn begin(&mut self, block: Value) {
        if !self.choice.alternates {
            self.end();
        }
        let index = self.begun;
        self.open.push(index);
        self.begun += 1;
        self.events.push(event(
            "content_block_start",
            json!({"type": "content_block_start", "index": index, "content_block": block}),
        ));
    }

    fn add(&mut self, index: usize, delta: Value) {
        self.events.push(event(
            "content_block_delta",
            json!({"type": "content_block_delta", "index": index, "delta": delta}),
        ));
    }

    /// Ends what is open; a thought is signed first.
    fn end(&mut self) {
        for index in std::mem::take(&mut self.open) {
            if index == 0 && !self.choice.reasoning.is_empty() {
                let signed =
                    json!({"type": "signature_delta", "signature": signature(self.choice)});
                self.add(index, signed);
            }
            self.events.push(event(
                "content_block_stop",
                json!({"type": "content_block_stop", "index": index}),
            ));
        }
    }
}
