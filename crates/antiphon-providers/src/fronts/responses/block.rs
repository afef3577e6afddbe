//! One item that is being written: its first events, its pieces, its last ones.

use serde_json::{Value, json};

use crate::{dialects::responses::written, fronts::sequence::Kind};

/// An item of the output with what it has said so far.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) kind: Kind,
    /// Its id.
    pub(super) id: String,
    /// Its place in the output.
    pub(super) index: u64,
    /// The place of its part, where it has parts.
    pub(super) part: u64,
    /// What its part has said.
    pub(super) said: String,
}

/// Name and fields of an event; its type and number are added when it is written.
pub(super) type Event = (&'static str, Value);

impl Block {
    /// A block that begins at this place of this answer.
    pub(super) fn new(kind: Kind, answer: &str, index: u64) -> Self {
        let prefix = match &kind {
            Kind::Reasoning => "rs",
            Kind::Text | Kind::Refusal => "msg",
            Kind::Call { .. } => "fc",
        };
        Self {
            kind,
            id: written::item_id(prefix, answer, index),
            index,
            part: 0,
            said: String::new(),
        }
    }

    /// Its part, whole or empty.
    fn part(&self, text: &str) -> Value {
        match self.kind {
            Kind::Reasoning => written::summary_part(text),
            Kind::Refusal => written::refusal_part(text),
            Kind::Text | Kind::Call { .. } => written::text_part(text),
        }
    }

    /// The item, begun or whole.
    pub(super) fn item(&self, answer: &str, is_whole: bool) -> Value {
        let said = is_whole.then_some(self.said.as_str());
        match &self.kind {
            Kind::Reasoning => written::reasoning_item(&self.id, said),
            Kind::Text | Kind::Refusal => {
                written::message_item(&self.id, said.map(|said| self.part(said)))
            }
            Kind::Call { index, id, name } => {
                let call = written::call_id(id, *index, answer);
                written::call_item(&self.id, &call, name, said)
            }
        }
    }

    /// Fields of an event about its part.
    fn of_part(&self, field: &str, value: Value) -> Value {
        let mut fields = json!({"item_id": self.id, "output_index": self.index});
        match self.kind {
            Kind::Reasoning => fields["summary_index"] = json!(self.part),
            Kind::Text | Kind::Refusal => fields["content_index"] = json!(self.part),
            Kind::Call { .. } => {}
        }
        fields[field] = value;
        if field != "part" && self.kind == Kind::Text {
            fields["logprobs"] = json!([]);
        }
        fields
    }

    pub(super) fn open(&self, answer: &str) -> Vec<Event> {
        let item = json!({"output_index": self.index, "item": self.item(answer, false)});
        let mut events = vec![("response.output_item.added", item)];
        let part = || self.of_part("part", self.part(""));
        match self.kind {
            Kind::Reasoning => events.push(("response.reasoning_summary_part.added", part())),
            Kind::Text | Kind::Refusal => events.push(("response.content_part.added", part())),
            Kind::Call { .. } => {}
        }
        events
    }

    pub(super) fn grow(&mut self, text: &str) -> Event {
        self.said.push_str(text);
        let name = match self.kind {
            Kind::Reasoning => "response.reasoning_summary_text.delta",
            Kind::Text => "response.output_text.delta",
            Kind::Refusal => "response.refusal.delta",
            Kind::Call { .. } => "response.function_call_arguments.delta",
        };
        (name, self.of_part("delta", json!(text)))
    }

    pub(super) fn close(&self, answer: &str) -> Vec<Event> {
        let said = |field: &str| self.of_part(field, json!(self.said));
        let part = || self.of_part("part", self.part(&self.said));
        let mut events = match &self.kind {
            Kind::Reasoning => vec![
                ("response.reasoning_summary_text.done", said("text")),
                ("response.reasoning_summary_part.done", part()),
            ],
            Kind::Text => vec![
                ("response.output_text.done", said("text")),
                ("response.content_part.done", part()),
            ],
            Kind::Refusal => vec![
                ("response.refusal.done", said("refusal")),
                ("response.content_part.done", part()),
            ],
            Kind::Call { name, .. } => {
                let mut done = said("arguments");
                done["name"] = json!(name);
                vec![("response.function_call_arguments.done", done)]
            }
        };
        let item = json!({"output_index": self.index, "item": self.item(answer, true)});
        events.push(("response.output_item.done", item));
        events
    }
}
