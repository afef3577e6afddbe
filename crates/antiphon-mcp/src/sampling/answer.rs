//! The result of `sampling/createMessage` as an answer.

use std::time::{Duration, SystemTime};

use antiphon_core::{
    Error, ErrorKind, Spent,
    chat::{Answer, FinishReason, ToolCall, completion},
    schema::unfenced,
};
use bytes::Bytes;
use serde_json::Value;

use super::CLIENT;

/// The answer in a result; `wants_json` where it was to be JSON, `made` when it came. The protocol tells no usage, so tokens,
/// cost and impacts are unknown.
///
/// # Errors
/// [`ErrorKind::BadResponse`]: it is none. It is final, since a person who agreed to the call would be asked again.
pub(super) fn answer_of(
    result: &Value,
    wants_json: bool,
    made: SystemTime,
) -> Result<Answer, Error> {
    if result["role"] != "assistant" {
        return Err(unreadable("it is not the message of an assistant"));
    }
    let blocks = match &result["content"] {
        Value::Array(blocks) => blocks.as_slice(),
        one @ Value::Object(_) => std::slice::from_ref(one),
        _ => return Err(unreadable("it has no content")),
    };
    // images and sound have no place in an answer, and what is said beside them counts
    let text: String = blocks.iter().filter_map(text_of).collect();
    let text = match wants_json {
        true => unfenced(&text).to_owned(),
        false => text,
    };
    let tool_calls = blocks.iter().filter(|block| block["type"] == "tool_use");
    let tool_calls = tool_calls.map(tool_call).collect::<Result<Vec<_>, _>>()?;
    let mut answer = Answer {
        text,
        finish_reason: finish_reason(result["stopReason"].as_str(), !tool_calls.is_empty()),
        reasoning: None,
        refusal: None,
        tool_calls,
        model: result["model"].as_str().map(ToOwned::to_owned),
        spent: Spent::answer(None),
        body: Bytes::new(),
        latency: Duration::ZERO,
    };
    let model = answer.model.as_deref().unwrap_or(CLIENT);
    answer.body = completion(model, &[(0, &answer)], None, made);
    Ok(answer)
}

fn text_of(block: &Value) -> Option<&str> {
    let text = block["text"].as_str();
    text.filter(|_| block["type"] == "text")
}

fn tool_call(block: &Value) -> Result<ToolCall, Error> {
    let (Some(id), Some(name)) = (block["id"].as_str(), block["name"].as_str()) else {
        return Err(unreadable("it calls a tool without an id or a name"));
    };
    let arguments = match &block["input"] {
        Value::Null => "{}".to_owned(),
        input => input.to_string(),
    };
    Ok(ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments,
    })
}

/// The protocol leaves the words open, and some clients pass on those of their provider.
fn finish_reason(told: Option<&str>, calls_tools: bool) -> FinishReason {
    match told {
        None if calls_tools => FinishReason::ToolCalls,
        None | Some("endTurn" | "stopSequence" | "end_turn" | "stop_sequence" | "stop") => {
            FinishReason::Stop
        }
        Some("maxTokens" | "max_tokens" | "length") => FinishReason::Length,
        Some("toolUse" | "tool_use" | "tool_calls") => FinishReason::ToolCalls,
        Some("refusal" | "content_filter") => FinishReason::ContentFilter,
        Some(other) => FinishReason::Other(other.to_owned()),
    }
}

fn unreadable(why: &str) -> Error {
    let message = format!("the client's answer cannot be read: {why}");
    Error::new(ErrorKind::BadResponse, message).with_should_retry(Some(false))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(result: Value) -> Result<Answer, Error> {
        answer_of(&result, false, SystemTime::UNIX_EPOCH)
    }

    fn said(content: Value) -> Answer {
        read(json!({"role": "assistant", "content": content, "model": "m"})).unwrap()
    }

    #[test]
    fn one_block_or_several_make_one_text() {
        let image = json!({"type": "image", "data": "YQ==", "mimeType": "image/png"});
        let audio = json!({"type": "audio", "data": "YQ==", "mimeType": "audio/wav"});
        let text = |text: &str| json!({"type": "text", "text": text});
        let cases = [
            (text("a"), "a"),
            (json!([text("a"), text("b")]), "ab"),
            (json!([text("a"), image, text("b"), audio]), "ab"),
            (image.clone(), ""),
            (json!([]), ""),
            (json!({"type": "video", "text": 7}), ""),
            (json!([{"type": "resource"}, text("a")]), "a"),
        ];
        for (content, expected) in cases {
            assert_eq!(said(content.clone()).text, expected, "{content}");
        }
    }

    #[test]
    fn calls_of_tools_are_told() {
        let answer = said(json!([
            {"type": "text", "text": "let me see"},
            {"type": "tool_use", "id": "1", "name": "look", "input": {"at": "sky"}},
            {"type": "tool_use", "id": "2", "name": "listen"},
        ]));
        let call = |id: &str, name: &str, arguments: &str| ToolCall {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        };
        assert_eq!(
            answer.tool_calls,
            [
                call("1", "look", r#"{"at":"sky"}"#),
                call("2", "listen", "{}")
            ]
        );
        assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        let message = &body["choices"][0]["message"];
        assert_eq!(message["content"], "let me see");
        assert_eq!(message["tool_calls"][1]["function"]["name"], "listen");
    }

    #[test]
    fn why_it_ended() {
        let cases = [
            (json!(null), "stop"),
            (json!("endTurn"), "stop"),
            (json!("stopSequence"), "stop"),
            (json!("maxTokens"), "length"),
            (json!("toolUse"), "tool_calls"),
            (json!("length"), "length"),
            (json!("refusal"), "content_filter"),
            (json!("bored"), "bored"),
        ];
        for (told, expected) in cases {
            let content = json!({"type": "text", "text": "a"});
            let result = json!({"role": "assistant", "content": content, "stopReason": told});
            let answer = read(result).unwrap();
            assert_eq!(answer.finish_reason.as_str(), expected, "{told}");
        }
    }

    #[test]
    fn what_it_used_is_unknown_and_its_body_a_completion() {
        let answer = said(json!({"type": "text", "text": "a"}));
        assert_eq!(answer.spent, Spent::answer(None));
        assert_eq!((answer.usage(), answer.spent.cost()), (None, None));
        assert_eq!(answer.spent.impacts(), None);
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["object"], "chat.completion");
        assert_eq!(body["model"], "m");
        assert_eq!(body["choices"][0]["message"]["content"], "a");
        assert_eq!(body["choices"][0]["finish_reason"], "stop");
        assert_eq!(body.get("usage"), None);
    }

    #[test]
    fn a_fence_is_taken_off_where_json_was_asked_for() {
        let fenced = "```json\n{\"a\":1}\n```\n";
        let content = json!({"type": "text", "text": fenced});
        let result = json!({"role": "assistant", "content": content, "model": "m"});
        let read = |wants_json| {
            answer_of(&result, wants_json, SystemTime::UNIX_EPOCH)
                .unwrap()
                .text
        };
        assert_eq!(read(true), r#"{"a":1}"#);
        assert_eq!(read(false), fenced);
    }

    #[test]
    fn what_is_no_answer_is_refused_for_good() {
        let text = json!({"type": "text", "text": "a"});
        let nameless = json!({"type": "tool_use", "id": "1"});
        let cases = [
            (json!({}), "assistant"),
            (json!("hello"), "assistant"),
            (json!({"role": "user", "content": text}), "assistant"),
            (json!({"role": "assistant"}), "no content"),
            (json!({"role": "assistant", "content": "a"}), "no content"),
            (json!({"role": "assistant", "content": nameless}), "a tool"),
        ];
        for (result, expected) in cases {
            let error = read(result.clone()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadResponse);
            assert_eq!(error.advice(), antiphon_core::Advice::Elsewhere);
            assert!(error.message().contains(expected), "{result}: {error}");
        }
    }
}
