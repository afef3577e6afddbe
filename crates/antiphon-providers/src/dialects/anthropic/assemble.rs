//! A whole message out of its stream, as a call without streaming would have given it: thoughts and signatures included.
//!
//! Long answers must be streamed even when a whole one is wanted, and `response.body` is the provider's own.

use bytes::Bytes;
use serde_json::{Map, Value};

/// The message so far.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    message: Option<Map<String, Value>>,
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    index: Option<u64>,
    fields: Map<String, Value>,
    /// Pieces of a tool's input.
    input: String,
}

/// Deltas that lengthen a text field of their block: (type of delta, its field, field of the block).
const TEXT_DELTAS: [(&str, &str, &str); 3] = [
    ("text_delta", "text", "text"),
    ("thinking_delta", "thinking", "thinking"),
    ("signature_delta", "signature", "signature"),
];

impl Assembly {
    /// Takes one event.
    ///
    /// # Errors
    /// The event is no JSON object.
    pub(super) fn push(&mut self, kind: &str, event: &str) -> serde_json::Result<()> {
        let interesting = kind.starts_with("message_") || kind.starts_with("content_block_");
        if !interesting {
            return Ok(());
        }
        let mut event: Map<String, Value> = serde_json::from_str(event)?;
        let index = event.get("index").and_then(Value::as_u64);
        match kind {
            "message_start" => self.message = take_object(&mut event, "message"),
            "content_block_start" => {
                let fields = take_object(&mut event, "content_block").unwrap_or_default();
                self.blocks.push(Block {
                    index,
                    fields,
                    input: String::new(),
                });
            }
            "content_block_delta" => {
                let delta = take_object(&mut event, "delta").unwrap_or_default();
                let block = self.blocks.iter_mut().rev().find(|b| b.index == index);
                if let Some(block) = block {
                    block.grow(delta);
                }
            }
            "message_delta" => self.take_end(event),
            _ => {}
        }
        Ok(())
    }

    /// Stop reason and details, then usage: fields of later events replace earlier ones.
    fn take_end(&mut self, mut event: Map<String, Value>) {
        let message = self.message.get_or_insert_default();
        message.extend(take_object(&mut event, "delta").unwrap_or_default());
        let usage = take_object(&mut event, "usage").unwrap_or_default();
        let told = usage.into_iter().filter(|(_, value)| !value.is_null());
        if let Value::Object(known) = message
            .entry("usage")
            .or_insert_with(|| Value::Object(Map::new()))
        {
            known.extend(told);
        }
    }

    /// The message; `None` where the stream had no beginning.
    pub(super) fn body(&self) -> Option<Bytes> {
        let mut message = self.message.clone()?;
        let blocks = self.blocks.iter().map(Block::whole).collect();
        message.insert("content".into(), Value::Array(blocks));
        let body = serde_json::to_vec(&message).ok()?;
        Some(Bytes::from(body))
    }
}

impl Block {
    fn grow(&mut self, mut delta: Map<String, Value>) {
        let kind = delta
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if let Some((_, from, to)) = TEXT_DELTAS.iter().find(|(known, ..)| *known == kind) {
            let piece = delta.get(*from).and_then(Value::as_str).unwrap_or_default();
            match self.fields.get_mut(*to) {
                Some(Value::String(text)) => text.push_str(piece),
                _ => drop(self.fields.insert((*to).into(), piece.into())),
            }
            return;
        }
        match kind {
            "input_json_delta" => {
                let piece = delta.get("partial_json").and_then(Value::as_str);
                self.input.push_str(piece.unwrap_or_default());
            }
            "citations_delta" => {
                let citation = delta.shift_remove("citation").unwrap_or_default();
                match self.fields.get_mut("citations") {
                    Some(Value::Array(known)) => known.push(citation),
                    _ => drop(
                        self.fields
                            .insert("citations".into(), vec![citation].into()),
                    ),
                }
            }
            _ => {}
        }
    }

    fn whole(&self) -> Value {
        let mut fields = self.fields.clone();
        // an input that is cut short (`max_tokens`) is no JSON: the beginning of the block stands
        if let Ok(input @ Value::Object(_)) = serde_json::from_str(&self.input) {
            fields.insert("input".into(), input);
        }
        Value::Object(fields)
    }
}

fn take_object(fields: &mut Map<String, Value>, name: &str) -> Option<Map<String, Value>> {
    match fields.shift_remove(name) {
        Some(Value::Object(object)) => Some(object),
        _ => None,
    }
}
