//! [`Content`]: what was asked and answered, for logs that were told to keep it.

use antiphon::{
    ChatRequest,
    core::chat::{Answer, ChatDelta},
};
use serde_json::Value;

use crate::observe::cut;

/// The most of one text that is kept, in bytes.
const MOST_OF_A_TEXT: usize = 4 << 10;
/// The most of a request that is kept, in bytes.
const MOST_OF_A_REQUEST: usize = 64 << 10;
/// What a name or a number counts for, in bytes.
const PIECE: usize = 16;

/// Messages and answer of a call, cut to what a log may hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// The messages of the request.
    pub messages: Value,
    /// The text of the answer, as far as it came.
    pub answer: String,
}

impl Content {
    pub(crate) fn of(request: &ChatRequest) -> Self {
        let mut left = MOST_OF_A_REQUEST;
        let messages = request.messages.iter().map_while(|message| {
            let message = serde_json::to_value(message).unwrap_or_default();
            (left > 0).then(|| shortened(message, &mut left))
        });
        Self {
            messages: messages.collect(),
            answer: String::new(),
        }
    }

    pub(crate) fn piece(&mut self, delta: &ChatDelta) {
        self.text(&delta.text);
    }

    pub(crate) fn whole(&mut self, answer: &Answer) {
        self.answer.clear();
        self.text(&answer.text);
    }

    fn text(&mut self, text: &str) {
        let room = MOST_OF_A_TEXT.saturating_sub(self.answer.len());
        self.answer.push_str(cut(text, room));
    }
}

/// The value without what is too long: of texts the beginning stays, of lists and objects what there is room for.
fn shortened(value: Value, left: &mut usize) -> Value {
    *left = left.saturating_sub(PIECE);
    match value {
        Value::String(text) => {
            let most = MOST_OF_A_TEXT.min(*left);
            *left = left.saturating_sub(text.len());
            match text.len() > most {
                true => Value::String(format!("{}…", cut(&text, most))),
                false => Value::String(text),
            }
        }
        Value::Array(items) => {
            let items = items.into_iter();
            items
                .map_while(|item| (*left > 0).then(|| shortened(item, left)))
                .collect()
        }
        Value::Object(fields) => {
            let fields = fields.into_iter();
            let fields = fields.map_while(|(name, value)| {
                *left = left.saturating_sub(name.len());
                (*left > 0).then(|| (name, shortened(value, left)))
            });
            Value::Object(fields.collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use antiphon::{Message, core::chat::Role};

    use super::*;

    #[test]
    fn what_is_kept_is_bounded_whatever_was_asked() {
        let long = "ä".repeat(1 << 20);
        let mut request = ChatRequest::prompt("short");
        let mut messages = vec![Message::text(Role::User, long.clone()); 100];
        messages.insert(0, Message::text(Role::User, "short"));
        request.messages = messages.into();
        let mut content = Content::of(&request);
        assert_eq!(content.messages[0]["content"], "short");
        let second = content.messages[1]["content"].as_str().unwrap();
        assert!(second.ends_with("ä…") && second.len() < MOST_OF_A_TEXT + 8);
        assert!(content.messages.to_string().len() < 2 * MOST_OF_A_REQUEST);
        let delta = ChatDelta {
            text: long,
            ..ChatDelta::default()
        };
        content.piece(&delta);
        content.piece(&delta);
        assert_eq!(content.answer.len(), MOST_OF_A_TEXT);
    }
}
