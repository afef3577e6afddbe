//! A whole answer.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Spent, Usage};

/// Why the model stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// It had said everything, or met a stop sequence.
    Stop,
    /// The output cap or the context window ended it.
    Length,
    /// It asks for tools.
    ToolCalls,
    /// A content filter or a refusal ended it.
    ContentFilter,
    /// A reason this version does not know, as the provider wrote it.
    #[serde(untagged)]
    Other(String),
}

impl FinishReason {
    /// The word in output files.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Other(reason) => reason,
        }
    }
}

/// A tool that the model wants called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The provider's id of the call.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments as JSON text.
    pub arguments: String,
}

/// A whole answer, in one meaning for all dialects, with the provider's own body beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The text of the (first) answer; empty where the model only calls tools.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// What the model thought before it answered, where the provider shows it.
    pub reasoning: Option<String>,
    /// The refusal's words, where the model declined.
    pub refusal: Option<String>,
    /// Tools the model wants called.
    pub tool_calls: Vec<ToolCall>,
    /// The model's name as the provider reports it (often dated).
    pub model: Option<String>,
    /// What it used: tokens as the provider tells them, and from the meter on what they cost. Of an answer that several calls
    /// made together it is their sum.
    pub spent: Spent,
    /// The provider's body, JSON, byte for byte. For a stream: the body that a whole answer would have had.
    pub body: Bytes,
    /// Time on the wire, from sending to the end of the body; waiting for limits is not in it. Set by the meter.
    pub latency: Duration,
}

impl Answer {
    /// Tokens used; `None` where the provider does not say.
    pub fn usage(&self) -> Option<Usage> {
        self.spent.usage()
    }

    /// Whether the model declined to answer.
    pub fn is_refusal(&self) -> bool {
        self.refusal.is_some() || self.finish_reason == FinishReason::ContentFilter
    }

    /// For those who need an answer to go on with: an error where the model declined.
    pub(crate) fn not_refused(&self) -> Result<(), Error> {
        if !self.is_refusal() {
            return Ok(());
        }
        let words = self.refusal.as_deref().unwrap_or("its filter");
        let message = format!("the model declined to answer: {words}");
        Err(Error::new(ErrorKind::Refused, message))
    }

    /// For those who need the whole of it: an error where the model declined, or was cut off.
    pub(crate) fn complete(&self) -> Result<(), Error> {
        self.not_refused()?;
        if self.finish_reason == FinishReason::Length {
            let message = "the answer was cut off at its length limit";
            return Err(Error::new(ErrorKind::CutOff, message));
        }
        Ok(())
    }
}
