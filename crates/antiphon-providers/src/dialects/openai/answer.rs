//! Whole answers of the OpenAI wire.

use std::time::Duration;

use antiphon_core::{Answer, Error, FinishReason, Spent, Usage, chat::ToolCall};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialects::{
    ResponseHead, errors,
    lenient::{Count, JsonText, List, Text},
};

#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(default)]
    model: Text,
    #[serde(default)]
    choices: List<Choice>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: Count,
    #[serde(default)]
    message: Option<WireMessage>,
    #[serde(default)]
    finish_reason: Text,
}

#[derive(Default, Deserialize)]
struct WireMessage {
    #[serde(default)]
    content: Text,
    /// The word of DeepSeek and llama.cpp.
    #[serde(default)]
    reasoning_content: Text,
    /// The word of OpenRouter and newer vLLM; some servers send both.
    #[serde(default)]
    reasoning: Text,
    #[serde(default)]
    refusal: Text,
    #[serde(default)]
    tool_calls: List<WireToolCall>,
    /// The form before tools.
    #[serde(default)]
    function_call: Option<WireFunction>,
}

#[derive(Deserialize)]
struct WireToolCall {
    #[serde(default)]
    id: Text,
    #[serde(default)]
    function: Option<WireFunction>,
}

#[derive(Default, Deserialize)]
pub(super) struct WireFunction {
    #[serde(default)]
    pub(super) name: Text,
    #[serde(default)]
    pub(super) arguments: JsonText,
}

/// Token counts; any of them can be missing.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct WireUsage {
    #[serde(default)]
    prompt_tokens: Count,
    #[serde(default)]
    completion_tokens: Count,
    #[serde(default)]
    prompt_tokens_details: Option<InputDetails>,
    #[serde(default)]
    completion_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct InputDetails {
    #[serde(default)]
    cached_tokens: Count,
    #[serde(default)]
    cache_write_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct OutputDetails {
    #[serde(default)]
    reasoning_tokens: Count,
}

/// What either of OpenAI's wires tells of tokens beside the totals.
pub(crate) struct Details {
    pub(crate) read: InputDetails,
    pub(crate) written: OutputDetails,
}

impl Details {
    /// `None` where neither total is told: unknown is not zero.
    pub(crate) fn usage(&self, input: Count, output: Count) -> Option<Usage> {
        if input.0.is_none() && output.0.is_none() {
            return None;
        }
        let count = |count: Count| count.0.unwrap_or_default();
        Some(Usage {
            input_tokens: count(input),
            output_tokens: count(output),
            cached_input_tokens: count(self.read.cached_tokens),
            reasoning_tokens: count(self.written.reasoning_tokens),
            cache_write_tokens: count(self.read.cache_write_tokens),
            cache_write_1h_tokens: 0,
        })
    }
}

impl WireUsage {
    /// `None` where neither total is told: unknown is not zero.
    pub(super) fn usage(self) -> Option<Usage> {
        let details = Details {
            read: self.prompt_tokens_details.unwrap_or_default(),
            written: self.completion_tokens_details.unwrap_or_default(),
        };
        details.usage(self.prompt_tokens, self.completion_tokens)
    }
}

/// Reads a whole answer.
pub(super) fn decode(head: &ResponseHead<'_>, body: Bytes) -> Result<Answer, Error> {
    let completion: Completion<'_> = errors::read_whole(head, &body)?;
    let unreadable = |why| errors::unreadable(head, &body, why);
    if completion.error.is_some_and(|error| error.get() != "null") {
        return Err(errors::classify(head, &body));
    }
    let (model, usage) = (completion.model.0, completion.usage);
    let choice = first_choice(completion.choices.0)
        .ok_or_else(|| unreadable("the answer has no choices"))?;
    let message = choice.message.unwrap_or_default();
    let tool_calls = tool_calls(message.tool_calls.0, message.function_call);
    let text = message.content.0.unwrap_or_default();
    let reasoning = shown_reasoning(message.reasoning_content, message.reasoning);
    // an empty refusal is no refusal: some servers always send the field
    let refusal = message.refusal.0.filter(|refusal| !refusal.is_empty());
    let told = choice.finish_reason.0.as_deref().and_then(finish_reason);
    let finish_reason = match told {
        Some(reason) => reason,
        None if !tool_calls.is_empty() => FinishReason::ToolCalls,
        None if !text.is_empty() || refusal.is_some() => FinishReason::Stop,
        None => {
            return Err(unreadable(
                "the answer has neither text nor a finish reason",
            ));
        }
    };
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

/// What the model thought, under either name; empty text is none.
pub(super) fn shown_reasoning(content: Text, reasoning: Text) -> Option<String> {
    let told = |text: Text| text.0.filter(|text| !text.is_empty());
    told(content).or_else(|| told(reasoning))
}

/// With several answers the first counts; servers need not send them in order.
fn first_choice(choices: Vec<Choice>) -> Option<Choice> {
    choices
        .into_iter()
        .min_by_key(|choice| choice.index.0.unwrap_or_default())
}

fn tool_calls(calls: Vec<WireToolCall>, legacy: Option<WireFunction>) -> Vec<ToolCall> {
    let legacy = legacy.filter(|function| function.name.0.is_some());
    let legacy = legacy.map(|function| WireToolCall {
        id: Text::default(),
        function: Some(function),
    });
    let read = |call: WireToolCall| {
        let function = call.function?;
        Some(ToolCall {
            id: call.id.0.unwrap_or_default(),
            name: function.name.0.unwrap_or_default(),
            arguments: function.arguments.0.unwrap_or_default(),
        })
    };
    calls.into_iter().chain(legacy).filter_map(read).collect()
}

/// `None` for the empty word, which some servers send until the end comes.
pub(super) fn finish_reason(word: &str) -> Option<FinishReason> {
    Some(match word {
        "" => return None,
        // "eos" is what older text-generation servers say
        "stop" | "eos" => FinishReason::Stop,
        "length" => FinishReason::Length,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        "content_filter" => FinishReason::ContentFilter,
        other => FinishReason::Other(other.to_owned()),
    })
}
