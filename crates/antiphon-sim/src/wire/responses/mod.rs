//! OpenAI's responses.

mod events;

pub(crate) use events::events;

use serde_json::{Value, json};

use super::{CREATED, odds::odds};
use crate::{
    answer::{Call, Choice, Finish, Reply, UsageForm},
    ask::Ask,
};

/// The whole answer.
pub(crate) fn whole(ask: &Ask, reply: &Reply) -> Value {
    let mut body = head(ask, reply);
    let Some(choice) = reply.choices.first() else {
        return body;
    };
    let items = Item::all(choice);
    body["output"] = items
        .iter()
        .enumerate()
        .map(|(index, item)| item.told(reply, index))
        .collect();
    body["status"] = "completed".into();
    let cut = match choice.finish {
        Finish::Length => Some("max_output_tokens"),
        Finish::ContentFilter => Some("content_filter"),
        _ => None,
    };
    if let Some(reason) = cut {
        body["status"] = "incomplete".into();
        body["incomplete_details"] = json!({"reason": reason});
    }
    match usage(reply) {
        Some(usage) => body["usage"] = usage,
        None if reply.usage_form == UsageForm::Absent => {
            body.as_object_mut().map(|body| body.remove("usage"));
        }
        None => {}
    }
    body
}

/// The response before anything was said: what was asked, repeated.
fn head(ask: &Ask, reply: &Reply) -> Value {
    let field = |name: &str, default: Value| match ask.fields.get(name) {
        None | Some(Value::Null) => default,
        Some(given) => given.clone(),
    };
    let null = Value::Null;
    json!({
        "id": format!("resp_sim_{}", reply.id),
        "object": "response",
        "created_at": CREATED,
        "status": "in_progress",
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": field("instructions", null.clone()),
        "max_output_tokens": field("max_output_tokens", null.clone()),
        "metadata": field("metadata", json!({})),
        "model": reply.model,
        "output": [],
        "parallel_tool_calls": field("parallel_tool_calls", true.into()),
        "previous_response_id": null,
        "reasoning": field("reasoning", json!({"effort": null, "summary": null})),
        "service_tier": "default",
        "store": field("store", true.into()),
        "temperature": field("temperature", 1.into()),
        "text": field("text", json!({"format": {"type": "text"}})),
        "tool_choice": field("tool_choice", "auto".into()),
        "tools": field("tools", json!([])),
        "top_p": field("top_p", 1.into()),
        "truncation": "disabled",
        "usage": null,
        "user": field("user", null),
    })
}

fn usage(reply: &Reply) -> Option<Value> {
    let usage = reply.usage;
    let mut told = json!({"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens,
        "total_tokens": usage.total()});
    match reply.usage_form {
        UsageForm::Full => {
            told["input_tokens_details"] = json!({"cached_tokens": usage.cached_input_tokens});
            told["output_tokens_details"] = json!({"reasoning_tokens": usage.reasoning_tokens});
        }
        UsageForm::NoDetails => {}
        UsageForm::Null | UsageForm::Absent => return None,
    }
    Some(told)
}

/// One item of the output.
enum Item<'a> {
    Thought(&'a str),
    Said(&'a str),
    Declined(&'a str),
    Called(&'a Call),
}

impl<'a> Item<'a> {
    fn all(choice: &'a Choice) -> Vec<Self> {
        let thought = (!choice.reasoning.is_empty()).then_some(Self::Thought(&choice.reasoning));
        let said = match &choice.refusal {
            Some(words) => Some(Self::Declined(words)),
            None if choice.calls.is_empty() => Some(Self::Said(&choice.text)),
            None => None,
        };
        let calls = choice.calls.iter().map(Self::Called);
        thought.into_iter().chain(said).chain(calls).collect()
    }

    fn id(&self, reply: &Reply, index: usize) -> String {
        let kind = match self {
            Self::Thought(_) => "rs",
            Self::Said(_) | Self::Declined(_) => "msg",
            Self::Called(_) => "fc",
        };
        format!("{kind}_sim_{}_{index}", reply.id)
    }

    /// The item once it is complete.
    fn told(&self, reply: &Reply, index: usize) -> Value {
        let mut item = self.begun(reply, index);
        match self {
            Self::Thought(text) => item["summary"] = json!([summary(text)]),
            Self::Said(_) | Self::Declined(_) => item["content"] = json!([self.part(reply)]),
            Self::Called(call) => item["arguments"] = call.arguments.as_str().into(),
        }
        if !matches!(self, Self::Thought(_)) {
            item["status"] = "completed".into();
        }
        item
    }

    /// The item as it is announced.
    fn begun(&self, reply: &Reply, index: usize) -> Value {
        let id = self.id(reply, index);
        match self {
            Self::Thought(_) => json!({"id": id, "type": "reasoning", "summary": []}),
            Self::Said(_) | Self::Declined(_) => {
                json!({"id": id, "type": "message", "status": "in_progress", "role": "assistant", "content": []})
            }
            Self::Called(call) => {
                json!({"id": id, "type": "function_call", "status": "in_progress", "call_id": call.id,
                    "name": call.name, "arguments": ""})
            }
        }
    }

    /// The content of a message.
    fn part(&self, reply: &Reply) -> Value {
        match self {
            Self::Declined(words) => json!({"type": "refusal", "refusal": words}),
            Self::Said(text) => {
                let odds = reply.logprobs.map_or_else(Vec::new, |top| odds(text, top));
                json!({"type": "output_text", "text": text, "annotations": [], "logprobs": odds})
            }
            Self::Thought(_) | Self::Called(_) => Value::Null,
        }
    }
}

fn summary(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}
