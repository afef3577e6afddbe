//! Whole answers of the Responses wire.

use std::time::Duration;

use antiphon_core::{Answer, Error, FinishReason, Spent, Usage, chat::ToolCall};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialects::{
    ResponseHead, errors,
    lenient::{Count, JsonText, List, Text},
    openai::answer::{Details, InputDetails, OutputDetails},
};

/// Between the parts of one item's thoughts, which are paragraphs of their own.
pub(super) const BETWEEN_THOUGHTS: &str = "\n\n";

/// A response; the last event of a stream holds one too.
#[derive(Deserialize)]
pub(super) struct Response<'a> {
    #[serde(default)]
    pub(super) model: Text,
    #[serde(default)]
    status: Text,
    #[serde(default, borrow)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(default)]
    incomplete_details: Option<Incomplete>,
    #[serde(default)]
    output: Option<List<Item>>,
    #[serde(default)]
    pub(super) usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Incomplete {
    #[serde(default)]
    reason: Text,
}

/// An item of any type; of types that are not read the fields stay empty.
#[derive(Default, Deserialize)]
pub(super) struct Item {
    #[serde(default, rename = "type")]
    kind: Text,
    #[serde(default)]
    pub(super) call_id: Text,
    #[serde(default)]
    pub(super) name: Text,
    #[serde(default)]
    pub(super) arguments: JsonText,
    #[serde(default)]
    content: List<Part>,
    #[serde(default)]
    summary: List<Part>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default, rename = "type")]
    kind: Text,
    #[serde(default)]
    text: Text,
    #[serde(default)]
    refusal: Text,
}

impl Item {
    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind.0.as_deref() == Some(kind)
    }
}

/// Token counts; any of them can be missing.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct WireUsage {
    #[serde(default)]
    input_tokens: Count,
    #[serde(default)]
    output_tokens: Count,
    #[serde(default)]
    input_tokens_details: Option<InputDetails>,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
}

impl WireUsage {
    /// `None` where neither total is told: unknown is not zero.
    pub(super) fn usage(self) -> Option<Usage> {
        let details = Details {
            read: self.input_tokens_details.unwrap_or_default(),
            written: self.output_tokens_details.unwrap_or_default(),
        };
        details.usage(self.input_tokens, self.output_tokens)
    }
}

impl Response<'_> {
    pub(super) fn has_failed(&self) -> bool {
        let has_error = self.error.is_some_and(|error| error.get() != "null");
        has_error || self.status.0.as_deref() == Some("failed")
    }

    /// Why it ended: a status, and the reason of one that is incomplete. `None` where nothing is told.
    pub(super) fn finish_reason(&self, calls_tools: bool) -> Option<FinishReason> {
        let status = self.status.0.as_deref().unwrap_or_default();
        let incomplete = self.incomplete_details.as_ref();
        let reason = incomplete.and_then(|details| details.reason.0.as_deref());
        Some(match (status, reason) {
            ("incomplete", Some("max_output_tokens") | None) => FinishReason::Length,
            ("incomplete", Some("content_filter")) => FinishReason::ContentFilter,
            ("incomplete", Some(other)) => FinishReason::Other(other.to_owned()),
            ("completed", _) if calls_tools => FinishReason::ToolCalls,
            ("completed", _) => FinishReason::Stop,
            ("", _) => return None,
            // `queued`, `in_progress`, `cancelled`: what a call in the background is answered with
            (other, _) => FinishReason::Other(other.to_owned()),
        })
    }
}

/// What the items of an answer say.
#[derive(Default)]
struct Said {
    text: String,
    reasoning: Option<String>,
    refusal: Option<String>,
    tool_calls: Vec<ToolCall>,
}

impl Said {
    fn take(&mut self, item: Item) {
        if item.is("function_call") {
            self.tool_calls.push(ToolCall {
                id: item.call_id.0.unwrap_or_default(),
                name: item.name.0.unwrap_or_default(),
                arguments: item.arguments.0.unwrap_or_default(),
            });
        } else if item.is("reasoning") {
            let parts = item.summary.0.into_iter().chain(item.content.0);
            let thoughts = parts.filter_map(|part| part.text.0.filter(|text| !text.is_empty()));
            let thoughts: Vec<_> = thoughts.collect();
            if !thoughts.is_empty() {
                let all = self.reasoning.get_or_insert_default();
                all.push_str(&thoughts.join(BETWEEN_THOUGHTS));
            }
        } else if item.is("message") {
            for part in item.content.0 {
                if part.kind.0.as_deref() == Some("refusal") {
                    let words = part.refusal.0.unwrap_or_default();
                    self.refusal.get_or_insert_default().push_str(&words);
                } else {
                    self.text.push_str(&part.text.0.unwrap_or_default());
                }
            }
        }
    }
}

/// Reads a whole answer.
pub(super) fn decode(head: &ResponseHead<'_>, body: Bytes) -> Result<Answer, Error> {
    let mut response: Response<'_> = errors::read_whole(head, &body)?;
    if response.has_failed() {
        return Err(errors::classify(head, &body));
    }
    let unreadable = |why| errors::unreadable(head, &body, why);
    let Some(List(items)) = response.output.take() else {
        return Err(unreadable("the answer has no output"));
    };
    let mut said = Said::default();
    for item in items {
        said.take(item);
    }
    let finish_reason = match response.finish_reason(!said.tool_calls.is_empty()) {
        Some(reason) => reason,
        None if !said.tool_calls.is_empty() => FinishReason::ToolCalls,
        None if !said.text.is_empty() || said.refusal.is_some() => FinishReason::Stop,
        None => return Err(unreadable("the answer has neither text nor a status")),
    };
    let (model, usage) = (response.model.0, response.usage);
    Ok(Answer {
        text: said.text,
        finish_reason,
        reasoning: said.reasoning,
        refusal: said.refusal,
        tool_calls: said.tool_calls,
        model,
        spent: Spent::answer(usage.and_then(WireUsage::usage)),
        body,
        latency: Duration::ZERO,
    })
}
