//! Whole answers of the Anthropic wire.

use std::time::Duration;

use antiphon_core::{Answer, Error, FinishReason, Spent, Usage, chat::ToolCall};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::written;

use crate::dialects::{
    ResponseHead, errors,
    lenient::{Count, JsonText, List, Text},
    wire::Identity,
};

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(default)]
    model: Text,
    #[serde(default)]
    content: Option<List<Block>>,
    #[serde(default)]
    stop_reason: Text,
    #[serde(default)]
    stop_details: Option<StopDetails>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

/// A content block of any type; of types that are not read the fields stay empty.
#[derive(Default, Deserialize)]
pub(super) struct Block {
    #[serde(default, rename = "type")]
    pub(super) kind: Text,
    #[serde(default)]
    pub(super) text: Text,
    #[serde(default)]
    pub(super) thinking: Text,
    #[serde(default)]
    pub(super) id: Text,
    #[serde(default)]
    pub(super) name: Text,
    #[serde(default)]
    pub(super) input: JsonText,
}

impl Block {
    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind.0.as_deref() == Some(kind)
    }
}

/// Why an answer was refused.
#[derive(Default, Deserialize)]
pub(super) struct StopDetails {
    #[serde(default)]
    category: Text,
    #[serde(default)]
    explanation: Text,
}

impl StopDetails {
    pub(super) fn words(self) -> Option<String> {
        self.explanation.0.or(self.category.0)
    }
}

/// Token counts so far. In a stream they are cumulative and partial: see [`WireUsage::overlay`].
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct WireUsage {
    #[serde(default)]
    input_tokens: Count,
    #[serde(default)]
    cache_creation_input_tokens: Count,
    #[serde(default)]
    cache_read_input_tokens: Count,
    #[serde(default)]
    output_tokens: Count,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
    #[serde(default)]
    cache_creation: Option<CacheCreation>,
}

/// Cache writes by their life.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct CacheCreation {
    #[serde(default)]
    ephemeral_1h_input_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct OutputDetails {
    #[serde(default)]
    thinking_tokens: Count,
}

impl WireUsage {
    /// Takes the fields that a later event tells. They replace the earlier ones: adding is a widespread bug.
    pub(super) fn overlay(&mut self, later: Self) {
        let newer = |old: &mut Count, new: Count| old.0 = new.0.or(old.0);
        newer(&mut self.input_tokens, later.input_tokens);
        newer(
            &mut self.cache_creation_input_tokens,
            later.cache_creation_input_tokens,
        );
        newer(
            &mut self.cache_read_input_tokens,
            later.cache_read_input_tokens,
        );
        newer(&mut self.output_tokens, later.output_tokens);
        self.output_tokens_details = later.output_tokens_details.or(self.output_tokens_details);
        self.cache_creation = later.cache_creation.or(self.cache_creation);
    }

    /// `None` where neither total is told. Cached tokens stand beside the input on the wire, inside it here.
    pub(super) fn usage(self) -> Option<Usage> {
        let (input, output) = (self.input_tokens.0, self.output_tokens.0);
        if input.is_none() && output.is_none() {
            return None;
        }
        let written = self.cache_creation_input_tokens.0.unwrap_or_default();
        let read = self.cache_read_input_tokens.0.unwrap_or_default();
        let details = self.output_tokens_details.unwrap_or_default();
        let by_life = self.cache_creation.unwrap_or_default();
        Some(Usage {
            input_tokens: input
                .unwrap_or_default()
                .saturating_add(written)
                .saturating_add(read),
            output_tokens: output.unwrap_or_default(),
            cached_input_tokens: read,
            reasoning_tokens: details.thinking_tokens.0.unwrap_or_default(),
            cache_write_tokens: written,
            cache_write_1h_tokens: by_life.ephemeral_1h_input_tokens.0.unwrap_or_default(),
        })
    }
}

/// Reads a whole answer.
pub(super) fn decode(head: &ResponseHead<'_>, body: Bytes) -> Result<Answer, Error> {
    let reply: Reply<'_> = errors::read_whole(head, &body)?;
    let unreadable = |why| errors::unreadable(head, &body, why);
    if reply.error.is_some_and(|error| error.get() != "null") {
        return Err(errors::classify(head, &body));
    }
    let (model, usage) = (reply.model.0, reply.usage);
    let Some(List(blocks)) = reply.content else {
        return Err(unreadable("the answer has no content"));
    };
    let mut text = String::new();
    let mut reasoning: Option<String> = None;
    let mut tool_calls = Vec::new();
    for block in blocks {
        if block.is("text") {
            text.push_str(block.text.0.as_deref().unwrap_or_default());
        } else if block.is("thinking") {
            let thought = block.thinking.0.filter(|thought| !thought.is_empty());
            if let Some(thought) = thought {
                reasoning.get_or_insert_default().push_str(&thought);
            }
        } else if block.is("tool_use") {
            tool_calls.push(tool_call(block));
        }
    }
    let finish_reason = match reply.stop_reason.0.as_deref().and_then(finish_reason) {
        Some(reason) => reason,
        None if !tool_calls.is_empty() => FinishReason::ToolCalls,
        None if !text.is_empty() => FinishReason::Stop,
        None => {
            let why = "the answer has neither text nor a stop reason";
            return Err(unreadable(why));
        }
    };
    let refusal = (finish_reason == FinishReason::ContentFilter).then(|| {
        let details = reply.stop_details.and_then(StopDetails::words);
        details.unwrap_or_else(|| text.clone())
    });
    Ok(Answer {
        text,
        finish_reason,
        reasoning,
        refusal,
        tool_calls,
        model,
        spent: Spent::answer(usage.and_then(WireUsage::usage)),
        body,
        latency: Duration::ZERO,
    })
}

fn tool_call(block: Block) -> ToolCall {
    ToolCall {
        id: block.id.0.unwrap_or_default(),
        name: block.name.0.unwrap_or_default(),
        arguments: block.input.0.unwrap_or_else(|| "{}".to_owned()),
    }
}

pub(super) fn finish_reason(word: &str) -> Option<FinishReason> {
    Some(match word {
        "" => return None,
        "end_turn" | "stop_sequence" => FinishReason::Stop,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::ContentFilter,
        other => FinishReason::Other(other.to_owned()),
    })
}

/// A message for an answer that came from elsewhere. Its `id` says so.
pub(super) fn whole_body(answer: &Answer) -> Bytes {
    let usage = answer.usage().as_ref().map(written::wire_usage);
    written::message(answer, &Identity::of(answer), usage)
}
