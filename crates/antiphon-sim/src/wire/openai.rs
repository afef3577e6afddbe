//! OpenAI's chat completions.

use serde_json::{Value, json};

use super::{
    CREATED, Event,
    odds::odds,
    pieces::{Piece, told},
};
use crate::{
    answer::{Call, Choice, Finish, Reply, UsageForm},
    rejection::Rejection,
};

/// The whole answer.
pub(crate) fn whole(reply: &Reply) -> Value {
    let choices: Vec<Value> = reply
        .choices
        .iter()
        .enumerate()
        .map(|(index, choice)| whole_choice(index, choice, reply.logprobs))
        .collect();
    let mut body = json!({
        "id": format!("chatcmpl-sim-{}", reply.id),
        "object": "chat.completion",
        "created": CREATED,
        "model": reply.model,
        "choices": choices,
    });
    if reply.usage_form != UsageForm::Absent {
        body["usage"] = usage(reply);
    }
    body["system_fingerprint"] = "simulated".into();
    body
}

fn whole_choice(index: usize, choice: &Choice, top: Option<usize>) -> Value {
    let silent = choice.refusal.is_some() || !choice.calls.is_empty();
    let content = if silent {
        Value::Null
    } else {
        choice.text.as_str().into()
    };
    let mut message = json!({"role": "assistant", "content": content, "refusal": choice.refusal});
    if !choice.reasoning.is_empty() {
        message["reasoning_content"] = choice.reasoning.as_str().into();
    }
    if !choice.calls.is_empty() {
        message["tool_calls"] = choice.calls.iter().map(called).collect();
    }
    json!({
        "index": index,
        "message": message,
        "logprobs": top.map(|top| logprobs(&choice.text, choice.refusal.as_deref(), top)),
        "finish_reason": finish_reason(&choice.finish),
    })
}

/// Odds beside the words that they are of.
fn logprobs(text: &str, refusal: Option<&str>, top: usize) -> Value {
    json!({"content": odds(text, top), "refusal": refusal.map(|words| odds(words, top))})
}

fn called(call: &Call) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    })
}

pub(crate) fn finish_reason(finish: &Finish) -> &'static str {
    match finish {
        // a refusal is told by the message, and the answer ends as usual
        Finish::Stop | Finish::StopSequence(_) | Finish::Refusal => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter => "content_filter",
    }
}

fn usage(reply: &Reply) -> Value {
    let usage = reply.usage;
    let mut told = json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total(),
    });
    match reply.usage_form {
        UsageForm::Full => {
            told["prompt_tokens_details"] = json!({"cached_tokens": usage.cached_input_tokens});
            told["completion_tokens_details"] = json!({"reasoning_tokens": usage.reasoning_tokens});
        }
        UsageForm::NoDetails => {}
        UsageForm::Null | UsageForm::Absent => return Value::Null,
    }
    told
}

/// The chunks of a stream, without the closing `[DONE]`.
///
/// What all chunks share is written once: a stream of twenty chunks would else cost ten times a whole answer.
pub(crate) fn chunks(
    reply: &Reply,
    include_usage: bool,
) -> Vec<(Option<(usize, Piece<'_>)>, String)> {
    let (id, model) = (&reply.id, Value::from(reply.model.as_str()));
    let head = format!(
        "{{\"id\":\"chatcmpl-sim-{id}\",\"object\":\"chat.completion.chunk\",\"created\":{CREATED},\
         \"model\":{model},\"system_fingerprint\":\"simulated\",\"choices\":["
    );
    let tail = if include_usage {
        "],\"usage\":null}"
    } else {
        "]}"
    };
    let mut chunks: Vec<_> = told(&reply.choices)
        .into_iter()
        .map(|(index, piece)| {
            let chunk = format!("{head}{}{tail}", choice(index, &piece, reply.logprobs));
            (Some((index, piece)), chunk)
        })
        .collect();
    if include_usage && reply.usage_form != UsageForm::Absent {
        chunks.push((None, format!("{head}],\"usage\":{}}}", usage(reply))));
    }
    chunks
}

fn choice(index: usize, piece: &Piece<'_>, top: Option<usize>) -> String {
    let finish = match piece {
        Piece::Finish(finish) => Value::from(finish_reason(finish)),
        _ => Value::Null,
    };
    let logprobs = match (piece, top) {
        (Piece::Text(text), Some(top)) => logprobs(text, None, top),
        (Piece::Refusal(words), Some(top)) => logprobs("", Some(words), top),
        _ => Value::Null,
    };
    let delta = delta(piece);
    format!(
        "{{\"index\":{index},\"delta\":{delta},\"logprobs\":{logprobs},\"finish_reason\":{finish}}}"
    )
}

fn delta(piece: &Piece<'_>) -> Value {
    match piece {
        Piece::Begin => json!({"role": "assistant", "content": "", "refusal": null}),
        Piece::Reasoning(text) => json!({"reasoning_content": text}),
        Piece::Text(text) => json!({"content": text}),
        Piece::Refusal(text) => json!({"refusal": text}),
        Piece::Call(index, call) => json!({"tool_calls": [{
            "index": index, "id": call.id, "type": "function",
            "function": {"name": call.name, "arguments": ""},
        }]}),
        Piece::Arguments(index, text) => {
            json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]})
        }
        Piece::Finish(_) => json!({}),
    }
}

/// The stream with its closing event.
pub(crate) fn events(reply: &Reply, include_usage: bool) -> Vec<Event> {
    let data = chunks(reply, include_usage)
        .into_iter()
        .map(|(_, chunk)| chunk);
    data.chain(["[DONE]".to_owned()])
        .map(|data| Event { name: None, data })
        .collect()
}

/// An error object.
pub(crate) fn error(rejection: &Rejection) -> Value {
    let kind = match (rejection.status, rejection.code) {
        (_, Some("insufficient_quota")) => "insufficient_quota",
        (429, _) => "requests",
        (403, _) => "permission_error",
        (400..=499, _) => "invalid_request_error",
        _ => "server_error",
    };
    json!({"error": {"message": rejection.message, "type": kind, "param": null, "code": rejection.code}})
}
