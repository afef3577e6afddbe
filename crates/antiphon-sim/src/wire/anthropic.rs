//! Anthropic's messages.

mod blocks;

use serde_json::{Value, json};

use super::Event;
use crate::{
    answer::{Call, Choice, Finish, Reply, UsageForm},
    rejection::Rejection,
};

/// The answer that this dialect tells: it has one for each request.
fn only(reply: &Reply) -> &Choice {
    static NOTHING: Choice = Choice {
        reasoning: String::new(),
        text: String::new(),
        refusal: None,
        calls: Vec::new(),
        alternates: false,
        finish: Finish::Stop,
    };
    reply.choices.first().unwrap_or(&NOTHING)
}

/// The whole answer.
pub(crate) fn whole(reply: &Reply) -> Value {
    let choice = only(reply);
    let mut body = head(reply);
    body["content"] = content(choice);
    for (field, value) in ending(&choice.finish) {
        body[field] = value;
    }
    if let Some(usage) = usage(reply, true) {
        body["usage"] = usage;
    }
    body
}

fn head(reply: &Reply) -> Value {
    json!({
        "id": format!("msg_sim_{}", reply.id),
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
    })
}

fn content(choice: &Choice) -> Value {
    let words = choice.refusal.as_deref().unwrap_or(&choice.text);
    let text = (!words.is_empty()).then(|| json!({"type": "text", "text": words}));
    let calls = choice.calls.iter().map(|call| {
        let input: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
        json!({"type": "tool_use", "id": tool_id(call), "name": call.name, "input": input})
    });
    let thoughts = (!choice.reasoning.is_empty()).then(|| {
        json!({"type": "thinking", "thinking": choice.reasoning, "signature": signature(choice)})
    });
    thoughts.into_iter().chain(text).chain(calls).collect()
}

/// What proves a thought genuine when it is handed back.
fn signature(choice: &Choice) -> String {
    format!("simulated-{}", choice.reasoning.len())
}

fn tool_id(call: &Call) -> String {
    call.id.replace("call_", "toolu_")
}

fn ending(finish: &Finish) -> Vec<(&'static str, Value)> {
    let (reason, sequence) = match finish {
        Finish::Stop => ("end_turn", None),
        Finish::StopSequence(met) => ("stop_sequence", Some(met.as_str())),
        Finish::Length => ("max_tokens", None),
        Finish::ToolCalls => ("tool_use", None),
        Finish::ContentFilter | Finish::Refusal => ("refusal", None),
    };
    let mut ending = vec![
        ("stop_reason", reason.into()),
        ("stop_sequence", sequence.into()),
    ];
    if reason == "refusal" {
        ending.push((
            "stop_details",
            json!({"category": "simulated", "explanation": "a simulated refusal"}),
        ));
    }
    ending
}

/// What was used, cached input beside the other input; before the end of a stream a single token has been written.
fn usage(reply: &Reply, ended: bool) -> Option<Value> {
    let usage = reply.usage;
    let output = if ended { usage.output_tokens } else { 1 };
    let mut told = json!({"input_tokens": usage.input_tokens - usage.cached_input_tokens});
    match reply.usage_form {
        UsageForm::Full => {
            told["cache_creation_input_tokens"] = 0.into();
            told["cache_read_input_tokens"] = usage.cached_input_tokens.into();
        }
        UsageForm::NoDetails => {}
        UsageForm::Null | UsageForm::Absent => return None,
    }
    told["output_tokens"] = output.into();
    if ended && usage.reasoning_tokens > 0 {
        told["output_tokens_details"] = json!({"thinking_tokens": usage.reasoning_tokens});
    }
    Some(told)
}

/// The stream with its closing event.
pub(crate) fn events(reply: &Reply) -> Vec<Event> {
    let choice = only(reply);
    let mut message = head(reply);
    if let Some(usage) = usage(reply, false) {
        message["usage"] = usage;
    }
    let mut events = vec![
        event(
            "message_start",
            json!({"type": "message_start", "message": message}),
        ),
        event("ping", json!({"type": "ping"})),
    ];
    events.extend(blocks::events(choice));
    let mut last = json!({"type": "message_delta", "delta": {}});
    for (field, value) in ending(&choice.finish) {
        last["delta"][field] = value;
    }
    if let Some(usage) = usage(reply, true) {
        last["usage"] = usage;
    }
    events.push(event("message_delta", last));
    events.push(event("message_stop", json!({"type": "message_stop"})));
    events
}

fn event(name: &'static str, data: Value) -> Event {
    Event {
        name: Some(name),
        data: data.to_string(),
    }
}

/// The status under which this dialect sends an error: an empty account is a matter of billing here.
pub(crate) fn status(rejection: &Rejection) -> u16 {
    match rejection.code {
        Some("insufficient_quota") => 402,
        _ => rejection.status,
    }
}

/// An error object.
pub(crate) fn error(rejection: &Rejection, request_id: &str) -> Value {
    let kind = match status(rejection) {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 | 503 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    };
    let message = match rejection.code {
        // the words by which clients know that a prompt is too long: there is no code for it
        Some("context_length_exceeded") => format!("prompt is too long: {}", rejection.message),
        _ => rejection.message.clone(),
    };
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id})
}
