//! Tokens of a text, without a tokenizer.

use std::sync::Arc;

use crate::{ChatRequest, Message, chat::Content};

/// Tokens that chat templates add for a message (OpenAI's cookbook counts 3 or 4).
const PER_MESSAGE: usize = 8;

/// Says how many tokens a text has at most. It must not shrink when a text grows.
pub(super) type Estimate = Arc<dyn Fn(&str) -> usize + Send + Sync>;

/// An upper bound of the tokens of a text: half a token for a byte of ASCII, one for any other byte.
///
/// No byte-level tokenizer makes more tokens than bytes, and prose and code in ASCII have a quarter to a third of a token
/// for a byte. Only dense random ASCII (base64, hex) can exceed the bound: give `str::len` where documents hold much of it.
pub fn most_tokens(text: &str) -> usize {
    let ascii = text.bytes().filter(u8::is_ascii).count();
    ascii.div_ceil(2) + (text.len() - ascii)
}

/// Tokens of all that a request sends as input.
pub(super) fn tokens_of(request: &ChatRequest, estimate: &Estimate) -> usize {
    let messages: usize = request
        .messages
        .iter()
        .map(|message| tokens_of_message(message, estimate))
        .sum();
    let schema = request.schema.as_ref();
    messages + schema.map_or(0, |schema| estimate(&schema.json().to_string()))
}

fn tokens_of_message(message: &Message, estimate: &Estimate) -> usize {
    let content = match &message.content {
        None => 0,
        Some(Content::Text(text)) => estimate(text),
        Some(Content::Parts(parts)) => parts.iter().map(|part| estimate(&part.to_string())).sum(),
    };
    let extra: usize = message
        .extra
        .values()
        .map(|value| estimate(&value.to_string()))
        .sum();
    PER_MESSAGE + content + extra
}
