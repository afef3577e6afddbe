//! Requests and messages as programs write them.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::{Answer, ChatRequest, Content, Message, Role};
use crate::{Schema, schema::InvalidSchema};

impl From<&str> for ChatRequest {
    fn from(prompt: &str) -> Self {
        Self::prompt(prompt)
    }
}

impl From<String> for ChatRequest {
    fn from(prompt: String) -> Self {
        Self::prompt(prompt)
    }
}

impl From<Vec<Message>> for ChatRequest {
    fn from(messages: Vec<Message>) -> Self {
        Self::new(messages)
    }
}

/// Building a request step by step.
///
/// ```
/// use antiphon_core::ChatRequest;
///
/// let request = ChatRequest::prompt("What is in this picture?")
///     .with_system("You answer in one sentence.")
///     .with_image("image/png", b"\x89PNG")
///     .with_temperature(0.2)
///     .with_max_tokens(64);
/// assert_eq!(request.messages.len(), 2);
/// ```
impl ChatRequest {
    /// With instructions above the conversation, after those it already has.
    #[must_use]
    pub fn with_system(mut self, text: impl Into<String>) -> Self {
        let messages = Arc::make_mut(&mut self.messages);
        let is_instruction =
            |message: &Message| matches!(message.role, Role::System | Role::Developer);
        let at = messages
            .iter()
            .take_while(|message| is_instruction(message))
            .count();
        messages.insert(at, Message::text(Role::System, text));
        self
    }

    /// With one more turn at the end of the conversation.
    #[must_use]
    pub fn with_message(mut self, message: Message) -> Self {
        Arc::make_mut(&mut self.messages).push(message);
        self
    }

    /// With an image beside the words of the last user message. The URL is fetched by the provider; `data:` URLs carry
    /// the image themselves.
    #[must_use]
    pub fn with_image_url(self, url: impl Into<String>) -> Self {
        self.with_part(image_part(url.into()))
    }

    /// With an image of this media type (`image/png`) beside the words of the last user message.
    #[must_use]
    pub fn with_image(self, media_type: &str, image: &[u8]) -> Self {
        self.with_image_url(data_url(media_type, image))
    }

    /// With a part (text, image, file) at the end of the last user message, or in a message of its own where the
    /// conversation does not end with one.
    #[must_use]
    pub(crate) fn with_part(mut self, part: Value) -> Self {
        let messages = Arc::make_mut(&mut self.messages);
        match messages.pop() {
            Some(last) if last.role == Role::User => messages.push(last.with_part(part)),
            other => {
                messages.extend(other);
                messages.push(Message {
                    role: Role::User,
                    content: Some(Content::Parts(vec![part])),
                    extra: Map::new(),
                });
            }
        }
        self
    }

    /// With a function that the model may call; `parameters` is the JSON Schema of its arguments.
    #[must_use]
    pub fn with_tool(mut self, name: &str, description: &str, parameters: Value) -> Self {
        let tool = json!({
            "type": "function",
            "function": {"name": name, "description": description, "parameters": parameters},
        });
        let params = Arc::make_mut(&mut self.params);
        match params.get_mut("tools") {
            Some(Value::Array(tools)) => tools.push(tool),
            _ => drop(params.insert("tools".to_owned(), json!([tool]))),
        }
        self
    }

    /// With a sampling temperature.
    #[must_use]
    pub fn with_temperature(self, temperature: f64) -> Self {
        self.with_param("temperature", json!(temperature))
    }

    /// With an output cap, in tokens.
    #[must_use]
    pub fn with_max_tokens(self, tokens: u64) -> Self {
        self.with_param("max_tokens", json!(tokens))
    }

    /// With the shape that the answer must have.
    #[must_use]
    pub fn with_schema(mut self, schema: Schema) -> Self {
        self.schema = Some(schema);
        self
    }

    /// With the shape of a type.
    ///
    /// # Errors
    /// As [`Schema::of`].
    pub fn with_type<T: JsonSchema>(self) -> Result<Self, InvalidSchema> {
        Ok(self.with_schema(Schema::of::<T>()?))
    }
}

impl Message {
    /// Instructions.
    pub fn system(text: impl Into<String>) -> Self {
        Self::text(Role::System, text)
    }

    /// A question.
    pub fn user(text: impl Into<String>) -> Self {
        Self::text(Role::User, text)
    }

    /// An earlier answer.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::text(Role::Assistant, text)
    }

    /// The result of the tool call with this id.
    pub fn tool_result(call: &str, result: impl Into<String>) -> Self {
        let mut message = Self::text(Role::Tool, result);
        message.extra.insert("tool_call_id".to_owned(), json!(call));
        message
    }

    /// With an image beside its words; see [`ChatRequest::with_image_url`].
    #[must_use]
    pub fn with_image_url(self, url: impl Into<String>) -> Self {
        self.with_part(image_part(url.into()))
    }

    /// With an image of this media type beside its words.
    #[must_use]
    pub fn with_image(self, media_type: &str, image: &[u8]) -> Self {
        self.with_image_url(data_url(media_type, image))
    }

    fn with_part(mut self, part: Value) -> Self {
        let mut parts = match self.content.take() {
            None => Vec::new(),
            Some(Content::Text(text)) => vec![json!({"type": "text", "text": text})],
            Some(Content::Parts(parts)) => parts,
        };
        parts.push(part);
        self.content = Some(Content::Parts(parts));
        self
    }
}

/// The turn of the conversation that an answer is, with the tools it calls.
impl From<&Answer> for Message {
    fn from(answer: &Answer) -> Self {
        let mut message = Self::assistant(answer.text.as_str());
        if let Some(refusal) = &answer.refusal {
            message.extra.insert("refusal".to_owned(), json!(refusal));
        }
        if !answer.tool_calls.is_empty() {
            if answer.text.is_empty() {
                message.content = None;
            }
            let calls = answer.tool_calls.iter().map(|call| {
                json!({
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                })
            });
            message
                .extra
                .insert("tool_calls".to_owned(), calls.collect());
        }
        message
    }
}

fn image_part(url: String) -> Value {
    json!({"type": "image_url", "image_url": {"url": url}})
}

fn data_url(media_type: &str, data: &[u8]) -> String {
    format!("data:{media_type};base64,{}", STANDARD.encode(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_come_first_and_images_join_the_question() {
        let request = ChatRequest::from("what is this?")
            .with_system("be brief")
            .with_system("be kind")
            .with_image("image/png", b"abc")
            .with_image_url("https://example.org/b.png");
        let wire = serde_json::to_value(&*request.messages).unwrap();
        assert_eq!(wire[0]["content"], "be brief");
        assert_eq!(wire[1]["content"], "be kind");
        assert_eq!(
            wire[2]["content"],
            json!([
                {"type": "text", "text": "what is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,YWJj"}},
                {"type": "image_url", "image_url": {"url": "https://example.org/b.png"}},
            ])
        );
    }

    #[test]
    fn an_image_after_an_answer_is_a_message_of_its_own() {
        let request = ChatRequest::from(vec![Message::assistant("yes?")]).with_image_url("u");
        assert_eq!(request.messages.len(), 2);
        assert_eq!(request.messages[1].role, Role::User);
    }

    #[test]
    fn tools_add_up() {
        let request = ChatRequest::from("q")
            .with_tool("a", "does a", json!({"type": "object"}))
            .with_tool("b", "does b", json!({"type": "object"}));
        let tools = request.params["tools"].as_array().unwrap();
        assert_eq!(tools[1]["function"]["name"], "b");
    }
}
