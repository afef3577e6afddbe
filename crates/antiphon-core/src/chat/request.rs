//! What is asked.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::job::AttemptJournal;
use crate::layers::{
    admit::SentSign,
    spend::{Budget, Hold},
};
use crate::{Moment, Schema};

/// Who speaks in a message. `Other` keeps roles that only one vendor knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions above the conversation.
    System,
    /// OpenAI's newer word for [`Role::System`].
    Developer,
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
    /// A role this version does not know.
    #[serde(untagged)]
    Other(String),
}

/// What a message holds: text, or parts (text, images, tool blocks) kept as they came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Parts in the words of either wire: OpenAI's `image_url` or Anthropic's `image`, for instance.
    /// Each dialect translates those it does not speak.
    Parts(Vec<Value>),
}

/// One turn of the conversation. Fields beside role and content (`tool_calls`, `tool_call_id`, `name`, vendor
/// extensions) are preserved in `extra`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said; `None` for an assistant turn that only calls tools.
    #[serde(default)]
    pub content: Option<Content>,
    /// All other fields, in their order.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Message {
    /// A message of plain text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            content: Some(Content::Text(text.into())),
            extra: Map::new(),
        }
    }
}

/// Whether the answer is wanted whole or as it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// In one piece.
    #[default]
    Whole,
    /// As deltas.
    Streamed,
}

/// A chat request: a value that can be replayed. Clones share the conversation.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    /// The conversation, system messages included.
    pub messages: Arc<Vec<Message>>,
    /// All other parameters under the names of OpenAI's chat API where one exists (`max_tokens`, `temperature`,
    /// `tools`, …), else under their vendor's; unknown ones are preserved.
    pub params: Arc<Map<String, Value>>,
    /// The shape the answer must have.
    pub schema: Option<Schema>,
    /// Whole or streamed.
    pub delivery: Delivery,
    /// The answer is given as it comes, also where it does not fit the schema: whoever asks will judge it. Only streams of
    /// such requests are streams where there is a schema.
    pub is_unjudged: bool,
    /// How the caller of a gateway put the request, for endpoints that speak the caller's own wire format.
    pub origin: Option<Arc<Origin>>,
    /// The longest that the caller waits for the whole answer, whatever the call does meanwhile: waiting, retries, other
    /// models. The outermost [`Deadline`](crate::layers::deadline::Deadline) takes it away, so that it is never
    /// counted twice.
    pub deadline: Option<Duration>,
    /// When the call ends whatever comes, by the clock of its layers. Set by the deadline layer, for those further in
    /// that leave time for something else.
    pub ends: Option<Moment>,
    /// Which of several answers to the same request this is (duplicate row, ensemble member, variation).
    /// Part of the keys of coalesce, cache and ledger, never on the wire.
    pub sample: u32,
    /// Where answered attempts are recorded as they happen.
    pub journal: Option<Arc<dyn AttemptJournal>>,
    /// Who pays for it, beside the budget of the session: that of the caller's key, for instance.
    pub payer: Option<Budget>,
    /// The sign that money is held for the attempt. Set by the layer that holds it.
    pub hold: Option<Hold>,
    /// Is set when anything is sent for the request.
    pub sent: Option<SentSign>,
}

/// How a caller put a request: what an endpoint of the same wire format passes on untouched.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The caller's wire format, by the name of its dialect.
    pub wire: &'static str,
    /// Headers that are passed on, by their lower-case names.
    pub headers: Vec<(&'static str, String)>,
    /// The body as the caller wrote it, where the request cannot say all of it. It stands for the request only as long as
    /// its conversation is the caller's own: layers and patterns may have added to it.
    pub body: Option<Verbatim>,
    /// Why only a provider of the caller's own wire format can answer, where the request asks for what no other has:
    /// endpoints of other wires refuse it with these words.
    pub only: Option<String>,
    /// What providers charge for it.
    pub charge: Charge,
}

/// What a provider charges for a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charge {
    /// What is read and what is written.
    #[default]
    Chat,
    /// What is read: nothing is written. One request may be many inputs, each as long as the context window.
    Input,
    /// Nothing.
    Nothing,
}

/// A body as its caller wrote it.
#[derive(Clone, Debug)]
pub struct Verbatim {
    /// Its fields.
    pub fields: Map<String, Value>,
    /// The conversation that was read from it.
    pub messages: Arc<Vec<Message>>,
}

impl ChatRequest {
    /// The body as the caller wrote it in this wire format, if the conversation is still the caller's.
    pub fn verbatim(&self, wire: &str) -> Option<&Map<String, Value>> {
        let (own, fields) = self.own_words()?;
        (own == wire).then_some(fields)
    }

    /// The body as the caller wrote it and its wire format, if the conversation is still the caller's.
    pub(crate) fn own_words(&self) -> Option<(&'static str, &Map<String, Value>)> {
        let origin = self.origin.as_deref()?;
        let body = origin.body.as_ref()?;
        Arc::ptr_eq(&body.messages, &self.messages).then_some((origin.wire, &body.fields))
    }

    /// What a provider charges for it.
    pub fn charge(&self) -> Charge {
        self.origin
            .as_deref()
            .map(|it| it.charge)
            .unwrap_or_default()
    }

    /// Notes the body as its caller wrote it in this wire format; `only` says why no other wire can put it, where that is so.
    pub fn pass_verbatim(
        &mut self,
        wire: &'static str,
        fields: Map<String, Value>,
        only: Option<String>,
        charge: Charge,
    ) {
        let messages = Arc::clone(&self.messages);
        self.origin = Some(Arc::new(Origin {
            wire,
            headers: Vec::new(),
            body: Some(Verbatim { fields, messages }),
            only,
            charge,
        }));
    }

    /// Why the request can be answered only as its caller wrote it, where that is so; see [`Origin::only`].
    pub fn only_verbatim(&self) -> Option<&str> {
        self.origin.as_deref()?.only.as_deref()
    }

    /// Whether the request came in this wire format.
    pub fn came_in(&self, wire: &str) -> bool {
        let origin = self.origin.as_deref();
        origin.is_some_and(|origin| origin.wire == wire)
    }

    /// A request with this conversation and no parameters.
    pub fn new(messages: Vec<Message>) -> Self {
        Self {
            messages: Arc::new(messages),
            params: Arc::new(Map::new()),
            schema: None,
            delivery: Delivery::Whole,
            is_unjudged: false,
            origin: None,
            deadline: None,
            ends: None,
            sample: 0,
            journal: None,
            payer: None,
            hold: None,
            sent: None,
        }
    }

    /// One user message.
    pub fn prompt(text: impl Into<String>) -> Self {
        Self::new(vec![Message::text(Role::User, text)])
    }

    /// With a parameter set.
    #[must_use]
    pub fn with_param(mut self, name: &str, value: Value) -> Self {
        Arc::make_mut(&mut self.params).insert(name.to_owned(), value);
        self
    }

    /// The output cap that the request names, in tokens.
    pub fn max_output_tokens(&self) -> Option<u64> {
        ["max_completion_tokens", "max_tokens", "max_output_tokens"]
            .iter()
            .find_map(|name| self.params.get(*name)?.as_u64())
    }

    /// Bytes of text and data in the conversation, parameters and schema: what token estimates start from.
    pub fn content_bytes(&self) -> usize {
        let messages: usize = self.messages.iter().map(message_bytes).sum();
        let tools = self.params.get("tools").map_or(0, value_bytes);
        let schema = self.schema.as_ref().map_or(0, |s| value_bytes(s.json()));
        messages + tools + schema
    }
}

fn message_bytes(message: &Message) -> usize {
    let content = match &message.content {
        None => 0,
        Some(Content::Text(text)) => text.len(),
        Some(Content::Parts(parts)) => parts.iter().map(value_bytes).sum(),
    };
    content + message.extra.values().map(value_bytes).sum::<usize>()
}

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(value_bytes).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| name.len() + value_bytes(value))
            .sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn messages_preserve_what_they_do_not_know() {
        let wire = json!({"role": "critic", "content": [{"type": "text", "text": "a", "x": 1}], "name": "n", "weight": 0.5});
        let message: Message = serde_json::from_value(wire.clone()).unwrap();
        assert_eq!(message.role, Role::Other("critic".into()));
        assert_eq!(serde_json::to_value(&message).unwrap(), wire);
    }

    #[test]
    fn a_tool_turn_may_lack_content() {
        let message: Message =
            serde_json::from_value(json!({"role": "assistant", "tool_calls": []})).unwrap();
        assert_eq!(message.content, None);
    }
}
