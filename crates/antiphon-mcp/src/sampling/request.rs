//! A chat request as the parameters of `sampling/createMessage`.

use antiphon_core::{
    ChatRequest, Error,
    chat::{Content, Role},
};
use serde_json::{Map, Value, json};

use super::Capabilities;

/// The protocol demands a cap; this one stands where the request names none.
const USUAL_MAX_TOKENS: u64 = 4096;

/// The parameters of `sampling/createMessage`.
///
/// # Errors
/// The request asks for what the protocol or this client cannot do.
pub(super) fn params_of(
    request: &ChatRequest,
    _capabilities: Capabilities,
) -> Result<Value, Error> {
    let mut params = Map::new();
    let mut system = Vec::new();
    let mut messages = Vec::new();
    for message in request.messages.iter() {
        let text = match &message.content {
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => parts
                .iter()
                .filter_map(|part| part["text"].as_str())
                .collect(),
            None => String::new(),
        };
        match message.role {
            Role::System | Role::Developer => system.push(text),
            Role::Assistant => messages
                .push(json!({"role": "assistant", "content": {"type": "text", "text": text}})),
            _ => messages.push(json!({"role": "user", "content": {"type": "text", "text": text}})),
        }
    }
    params.insert("messages".to_owned(), Value::Array(messages));
    let cap = request.max_output_tokens().unwrap_or(USUAL_MAX_TOKENS);
    params.insert("maxTokens".to_owned(), cap.into());
    if !system.is_empty() {
        params.insert("systemPrompt".to_owned(), system.join("\n\n").into());
    }
    Ok(Value::Object(params))
}
