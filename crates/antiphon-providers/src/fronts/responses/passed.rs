//! What is to be known of a stream that is passed on, so that others can go on with it.

use antiphon_core::ChatDelta;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::block::Block;
use crate::fronts::sequence::Kind;

/// Where the stream stands.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// The first event, with the response as it began.
    first: Option<Bytes>,
    /// Events of items that are whole, with the place of each.
    done: Vec<Bytes>,
    /// Number of the next event.
    pub(super) next_number: u64,
    /// Place of the next item.
    pub(super) next_index: u64,
    /// The item that is open, where others could go on with it.
    pub(super) open: Option<Block>,
    calls: usize,
}

#[derive(Deserialize)]
struct Seen {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    sequence_number: u64,
    #[serde(default)]
    output_index: u64,
    #[serde(default)]
    content_index: u64,
    #[serde(default)]
    summary_index: u64,
    #[serde(default)]
    item: Option<SeenItem>,
    #[serde(default)]
    part: Option<SeenPart>,
}

#[derive(Default, Deserialize)]
struct SeenItem {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    call_id: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct SeenPart {
    #[serde(default)]
    r#type: String,
}

impl Passed {
    /// Takes the next event that is passed on.
    pub(super) fn see(&mut self, delta: &ChatDelta) {
        let Ok(seen) = serde_json::from_slice::<Seen>(&delta.raw) else {
            return;
        };
        self.first.get_or_insert_with(|| delta.raw.clone());
        self.next_number = self.next_number.max(seen.sequence_number.saturating_add(1));
        match seen.r#type.as_str() {
            "response.output_item.added" => self.start(seen.output_index, seen.item),
            "response.output_item.done" => {
                self.done.push(delta.raw.clone());
                self.open = None;
            }
            "response.content_part.added" | "response.reasoning_summary_part.added" => {
                self.start_part(&seen);
            }
            _ => self.grow(delta),
        }
    }

    fn start(&mut self, index: u64, item: Option<SeenItem>) {
        let item = item.unwrap_or_default();
        let kind = match item.r#type.as_str() {
            "message" => Some(Kind::Text),
            "reasoning" => Some(Kind::Reasoning),
            "function_call" => {
                self.calls += 1;
                Some(Kind::Call {
                    index: self.calls - 1,
                    id: item.call_id,
                    name: item.name,
                })
            }
            _ => None,
        };
        self.next_index = index.saturating_add(1);
        self.open = kind.map(|kind| Block {
            kind,
            id: item.id,
            index,
            part: 0,
            said: String::new(),
        });
    }

    fn start_part(&mut self, seen: &Seen) {
        let Some(open) = &mut self.open else { return };
        open.part = seen.content_index.max(seen.summary_index);
        open.said.clear();
        if seen
            .part
            .as_ref()
            .is_some_and(|part| part.r#type == "refusal")
        {
            open.kind = Kind::Refusal;
        }
    }

    fn grow(&mut self, delta: &ChatDelta) {
        let Some(open) = &mut self.open else { return };
        open.said.push_str(&delta.text);
        for words in [&delta.reasoning, &delta.refusal].into_iter().flatten() {
            open.said.push_str(words);
        }
        for piece in &delta.tool_calls {
            open.said.push_str(&piece.arguments);
        }
    }

    /// The response as it began.
    pub(super) fn response(&self) -> Option<Value> {
        let first: Value = serde_json::from_slice(self.first.as_ref()?).ok()?;
        let response = first.get("response")?;
        response.is_object().then(|| response.clone())
    }

    /// The items that are whole.
    pub(super) fn items(&self) -> Vec<Value> {
        let events = self.done.iter();
        let events = events.filter_map(|event| serde_json::from_slice::<Value>(event).ok());
        events.map(|mut event| event["item"].take()).collect()
    }
}
