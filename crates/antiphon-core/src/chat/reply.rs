//! A whole answer together with the facts about it.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Answer, Decision, FinishReason, Gathered, Head, Member, ToolCall};
use crate::{BoxFuture, ChatRequest, Error, Model, Spent, Usage};

/// A whole answer and its head.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Facts.
    pub head: Head,
    /// The answer.
    pub answer: Answer,
}

impl Reply {
    /// The answer's text.
    pub fn text(&self) -> &str {
        &self.answer.text
    }

    /// Without what was reserved for the call: its place in flight is free again. For those who keep replies.
    #[must_use]
    pub fn released(mut self) -> Self {
        self.head.receipt = None;
        self
    }

    /// Tokens of all answered attempts of the call: those asked again, and the one that answered. `None` where nothing is
    /// known of any. An answer that was at hand ([`Head::cached`]) was paid for by another call, and counts nothing.
    pub fn usage(&self) -> Option<Usage> {
        let usage = self.spent().usage();
        match self.head.cached {
            true => Some(usage.unwrap_or_default()),
            false => usage,
        }
    }

    /// What all answered attempts of the call used and cost, as [`Self::usage`].
    pub fn spent(&self) -> Spent {
        self.head.spent_on(self.answer.spent)
    }

    /// The calls behind an answer that several made together, in their order; none for a plain model.
    pub fn members(&self) -> &[Member] {
        let gathered = self.head.gathered.as_deref();
        gathered.map_or(&[], |gathered| &gathered.members)
    }

    /// How the members' answers became one; `None` for a plain model, and where they stand side by side.
    pub fn decision(&self) -> Option<&Decision> {
        self.head.gathered.as_deref()?.decision.as_ref()
    }

    /// The reply as one line of JSON, to be kept on disk. Receipts and limits are of the moment and not in it.
    pub fn to_record(&self) -> String {
        let Self { head, answer } = self;
        let record = Record {
            model: head.model.clone(),
            status: head.status,
            request_id: head.request_id.clone(),
            dropped: head.dropped.clone(),
            attempts: head.attempts,
            earlier: head.earlier,
            cached: head.cached,
            wire: head.wire.clone(),
            gathered: head.gathered.as_deref().cloned(),
            text: answer.text.clone(),
            finish_reason: answer.finish_reason.clone(),
            reasoning: answer.reasoning.clone(),
            refusal: answer.refusal.clone(),
            tool_calls: answer.tool_calls.clone(),
            reported_model: answer.model.clone(),
            spent: Some(answer.spent),
            // dialects hand over their body as JSON, which is UTF-8
            body: String::from_utf8_lossy(&answer.body).into_owned(),
            latency_us: u64::try_from(answer.latency.as_micros()).unwrap_or(u64::MAX),
        };
        // strings and numbers only: serialising them to memory cannot fail
        serde_json::to_string(&record).unwrap_or_default()
    }

    /// The reply that [`Self::to_record`] wrote; `None` for any other text.
    pub fn from_record(record: &str) -> Option<Self> {
        let record: Record = serde_json::from_str(record).ok()?;
        Some(Self {
            head: Head {
                model: record.model,
                status: record.status,
                request_id: record.request_id,
                dropped: record.dropped,
                attempts: record.attempts,
                earlier: record.earlier,
                cached: record.cached,
                wire: record.wire,
                gathered: record.gathered.map(Box::new),
                ..Head::default()
            },
            answer: Answer {
                text: record.text,
                finish_reason: record.finish_reason,
                reasoning: record.reasoning,
                refusal: record.refusal,
                tool_calls: record.tool_calls,
                model: record.reported_model,
                spent: record.spent.unwrap_or_else(|| Spent::answer(None)),
                body: Bytes::from(record.body),
                latency: Duration::from_micros(record.latency_us),
            },
        })
    }
}

/// The answer's text.
impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl From<Reply> for String {
    fn from(reply: Reply) -> Self {
        reply.answer.text
    }
}

impl dyn Model {
    /// Asks and waits for the whole answer.
    ///
    /// # Errors
    /// As [`Model::call`], and what ended the body early.
    pub fn ask(&self, request: ChatRequest) -> BoxFuture<'_, Result<Reply, Error>> {
        Box::pin(async move { self.call(request).await?.whole().await })
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    model: String,
    status: u16,
    request_id: Option<String>,
    dropped: Vec<String>,
    attempts: u32,
    #[serde(rename = "earlier_usage")]
    earlier: Spent,
    #[serde(default)]
    cached: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wire: Option<Cow<'static, str>>,
    gathered: Option<Gathered>,
    text: String,
    finish_reason: FinishReason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reasoning: Option<String>,
    refusal: Option<String>,
    tool_calls: Vec<ToolCall>,
    reported_model: Option<String>,
    /// Older releases kept tokens only, and nothing where none were told.
    #[serde(rename = "usage")]
    spent: Option<Spent>,
    body: String,
    latency_us: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_as_it_was() {
        let reply = Reply {
            head: Head {
                model: "sim/a".to_owned(),
                status: 200,
                request_id: Some("r".to_owned()),
                attempts: 2,
                gathered: Some(Box::default()),
                ..Head::default()
            },
            answer: Answer {
                text: "Zwölf\n".to_owned(),
                finish_reason: FinishReason::Other("pause_turn".to_owned()),
                reasoning: Some("hm".to_owned()),
                refusal: None,
                tool_calls: vec![ToolCall::default()],
                model: None,
                spent: Spent::answer(Some(Usage {
                    input_tokens: 3,
                    ..Usage::default()
                })),
                body: Bytes::from_static(b"{\"a\": 1}"),
                latency: Duration::from_micros(1500),
            },
        };
        let again = Reply::from_record(&reply.to_record()).unwrap();
        assert_eq!(again.answer, reply.answer);
        assert_eq!(again.head.gathered, reply.head.gathered);
        assert_eq!(
            (again.head.model, again.head.attempts),
            (reply.head.model, 2)
        );
        assert!(Reply::from_record("{}").is_none());
    }
}
