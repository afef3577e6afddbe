//! The result of `sampling/createMessage` as an answer.

use antiphon_core::{
    Error, ErrorKind, Spent,
    chat::{Answer, FinishReason},
};
use bytes::Bytes;
use serde_json::Value;

/// The answer in a result. The protocol tells no usage, so tokens and costs are unknown.
///
/// # Errors
/// [`ErrorKind::BadResponse`]: it is none.
pub(super) fn answer_of(result: &Value) -> Result<Answer, Error> {
    let blocks = match &result["content"] {
        Value::Array(blocks) => blocks.as_slice(),
        one @ Value::Object(_) => std::slice::from_ref(one),
        _ => {
            let message = "the client's answer has no content";
            return Err(Error::new(ErrorKind::BadResponse, message));
        }
    };
    let text: String = blocks
        .iter()
        .filter_map(|block| block["text"].as_str())
        .collect();
    let finish_reason = match result["stopReason"].as_str() {
        None | Some("endTurn" | "stopSequence") => FinishReason::Stop,
        Some("maxTokens") => FinishReason::Length,
        Some("toolUse") => FinishReason::ToolCalls,
        Some(other) => FinishReason::Other(other.to_owned()),
    };
    Ok(Answer {
        text,
        finish_reason,
        reasoning: None,
        refusal: None,
        tool_calls: Vec::new(),
        model: result["model"].as_str().map(ToOwned::to_owned),
        spent: Spent::default(),
        body: Bytes::from(result.to_string()),
        latency: std::time::Duration::ZERO,
    })
}
