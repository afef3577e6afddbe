//! The stream of a response: each item announced, told and closed.

use serde_json::{Value, json};

use super::{Item, head, summary, whole};
use crate::{
    answer::Reply,
    ask::Ask,
    tokens::pieces,
    wire::{Event, odds::odds, pieces::halves},
};

/// The stream, up to the event that carries the whole response.
pub(crate) fn events(ask: &Ask, reply: &Reply) -> Vec<Event> {
    let mut telling = Telling {
        reply,
        events: Vec::new(),
    };
    let response = head(ask, reply);
    telling.tell("response.created", json!({"response": response}));
    telling.tell("response.in_progress", json!({"response": response}));
    if let Some(choice) = reply.choices.first() {
        let items = Item::all(choice);
        let items: Vec<_> = items.iter().enumerate().collect();
        if choice.alternates {
            telling.alternate(&items);
        } else {
            for (index, item) in items {
                telling.begin(index, item);
                telling.item(index, item);
                telling.end(index, item);
            }
        }
    }
    let response = whole(ask, reply);
    let last = match response["status"].as_str() {
        Some("incomplete") => "response.incomplete",
        _ => "response.completed",
    };
    telling.tell(last, json!({"response": response}));
    telling.events
}

struct Telling<'a> {
    reply: &'a Reply,
    events: Vec<Event>,
}

impl Telling<'_> {
    fn tell(&mut self, name: &'static str, mut data: Value) {
        data["type"] = name.into();
        data["sequence_number"] = self.events.len().into();
        self.events.push(Event {
            name: Some(name),
            data: data.to_string(),
        });
    }

    /// Tells of a part of an item, the first and only one.
    fn part(&mut self, name: &'static str, index: usize, item: &Item<'_>, mut data: Value) {
        data["item_id"] = item.id(self.reply, index).into();
        data["output_index"] = index.into();
        let place = match item {
            Item::Thought(_) => Some("summary_index"),
            Item::Said(_) | Item::Declined(_) => Some("content_index"),
            Item::Called(_) => None,
        };
        if let Some(place) = place {
            data[place] = 0.into();
        }
        self.tell(name, data);
    }

    fn begin(&mut self, index: usize, item: &Item<'_>) {
        let item = item.begun(self.reply, index);
        let data = json!({"output_index": index, "item": item});
        self.tell("response.output_item.added", data);
    }

    fn end(&mut self, index: usize, item: &Item<'_>) {
        let item = item.told(self.reply, index);
        let data = json!({"output_index": index, "item": item});
        self.tell("response.output_item.done", data);
    }

    fn item(&mut self, index: usize, item: &Item<'_>) {
        match item {
            Item::Thought(text) => {
                let empty = json!({"part": summary("")});
                self.part("response.reasoning_summary_part.added", index, item, empty);
                for piece in pieces(text) {
                    let delta = json!({"delta": piece});
                    self.part("response.reasoning_summary_text.delta", index, item, delta);
                }
                let done = json!({"text": text});
                self.part("response.reasoning_summary_text.done", index, item, done);
                let whole = json!({"part": summary(text)});
                self.part("response.reasoning_summary_part.done", index, item, whole);
            }
            Item::Said(text) => self.said(index, item, text),
            Item::Declined(words) => {
                let empty = json!({"part": {"type": "refusal", "refusal": ""}});
                self.part("response.content_part.added", index, item, empty);
                for piece in pieces(words) {
                    self.part(
                        "response.refusal.delta",
                        index,
                        item,
                        json!({"delta": piece}),
                    );
                }
                let done = json!({"refusal": words});
                self.part("response.refusal.done", index, item, done);
                let whole = json!({"part": item.part(self.reply)});
                self.part("response.content_part.done", index, item, whole);
            }
            Item::Called(call) => {
                for half in halves(&call.arguments) {
                    self.arguments(index, item, half);
                }
                self.called(index, item);
            }
        }
    }

    fn said(&mut self, index: usize, item: &Item<'_>, text: &str) {
        let odds_of = |text: &str| match self.reply.logprobs {
            Some(top) => odds(text, top),
            None => Vec::new(),
        };
        let empty =
            json!({"part": {"type": "output_text", "text": "", "annotations": [], "logprobs": []}});
        self.part("response.content_part.added", index, item, empty);
        for piece in pieces(text) {
            let delta = json!({"delta": piece, "logprobs": odds_of(piece)});
            self.part("response.output_text.delta", index, item, delta);
        }
        let done = json!({"text": text, "logprobs": odds_of(text)});
        self.part("response.output_text.done", index, item, done);
        let whole = json!({"part": item.part(self.reply)});
        self.part("response.content_part.done", index, item, whole);
    }

    fn arguments(&mut self, index: usize, item: &Item<'_>, piece: &str) {
        let delta = json!({"delta": piece});
        self.part("response.function_call_arguments.delta", index, item, delta);
    }

    fn called(&mut self, index: usize, item: &Item<'_>) {
        if let Item::Called(call) = item {
            let done = json!({"name": call.name, "arguments": call.arguments});
            self.part("response.function_call_arguments.done", index, item, done);
        }
    }

    /// Several calls whose pieces take turns: readers must go by the index.
    fn alternate(&mut self, items: &[(usize, &Item<'_>)]) {
        for (index, item) in items {
            self.begin(*index, item);
        }
        for half in 0..2 {
            for (index, item) in items {
                if let Item::Called(call) = item {
                    self.arguments(*index, item, halves(&call.arguments)[half]);
                }
            }
        }
        for (index, item) in items {
            match item {
                Item::Called(_) => self.called(*index, item),
                _ => self.item(*index, item),
            }
            self.end(*index, item);
        }
    }
}
