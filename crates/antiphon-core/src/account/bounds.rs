//! The most tokens that an attempt can be billed for, from what it sends. Bounds, not estimates: they hold whatever the text.
//!
//! **Why they hold for text.** Tokenizers of today's chat models work on bytes, or fall back to them for what their
//! vocabulary lacks, and leave the text as it is: each token stands for at least one byte, so a text has no more tokens
//! than bytes of UTF-8. What is sent as JSON reaches the model in a form that only the provider knows (JSON with or
//! without escapes and layout, a listing of types), so each byte counts as the longest escape of it, and each value has room
//! for its punctuation and indentation. Templates and hidden instructions are constants, more than is known of any provider.
//!
//! Where a request holds what is not text, or lets the provider add text that nobody has seen (searches, tools that run
//! there, conversations kept there), there is no bound but the model's context window.

use serde_json::{Map, Value};

use crate::{
    ChatRequest, Message,
    chat::{Content, Role},
};

/// What a chat template puts around a conversation; some templates have a system prompt of their own.
const PER_REQUEST: u64 = 256;
/// What a chat template puts around a message, its role included: three to five tokens where it is known.
const PER_MESSAGE: u64 = 16;
/// Hidden instructions for the use of tools, and for answers of a given form: several hundred tokens where they are known.
const INSTRUCTIONS: u64 = 1024;
/// Quotes, separators, line break and indentation around a value of JSON.
const PER_VALUE: u64 = 8;
/// The longest number that JSON writes for 64 bits.
const PER_NUMBER: u64 = 24;

/// Parameters by which the provider adds text, or data, that is not in the request.
const ADDS_UNSEEN: [&str; 16] = [
    "audio",
    "cached_content",
    "connectors",
    "container",
    "context_management",
    "conversation",
    "data_sources",
    "google_search",
    "mcp_servers",
    "modalities",
    "plugins",
    "previous_response_id",
    "prompt",
    "retrieval",
    "search_parameters",
    "web_search_options",
];

/// An upper bound of the input tokens of one attempt; `None` where only the context window is one: images, audio, files,
/// thoughts that are signed or sealed, tools and data that the provider runs or keeps.
///
/// It costs a pass over the bytes of JSON values and nothing for plain text, whose length is known.
pub fn most_input_tokens(request: &ChatRequest) -> Option<u64> {
    let mut sum = PER_REQUEST;
    for message in request.messages.iter() {
        sum = sum.saturating_add(of_message(message)?);
    }
    for (name, value) in request.params.iter() {
        sum = sum.saturating_add(of_param(name, value)?);
    }
    if let Some(schema) = &request.schema {
        sum = sum.saturating_add(schema.most_tokens()?);
        sum = sum.saturating_add(INSTRUCTIONS + schema.name().len() as u64);
    }
    Some(sum)
}

/// An upper bound of the output tokens of one attempt over all its choices; `None` where the request names no cap, so that
/// only the model's own is one (or the dialect's, which may set a default).
///
/// Reasoning counts against the cap. Of several caps under several names the largest counts.
pub fn most_output_tokens(request: &ChatRequest) -> Option<u64> {
    let names = ["max_completion_tokens", "max_tokens", "max_output_tokens"];
    let caps = names.iter().filter_map(|name| request.params.get(*name));
    let cap = caps.filter_map(Value::as_u64).max()?;
    // predicted output that does not come true is billed as output
    let predicted = request.params.get("prediction").map_or(0, of_json);
    Some(
        cap.saturating_mul(choices(request))
            .saturating_add(predicted),
    )
}

/// Answers that one attempt asks for (`n`, or `best_of` where a server draws more than it shows), at least 1. Each may use the
/// whole output cap; the input is read once.
pub fn choices(request: &ChatRequest) -> u64 {
    let number = |name: &str| request.params.get(name).and_then(Value::as_u64);
    let most = number("n").max(number("best_of"));
    most.unwrap_or(1).max(1)
}

/// The same of a request to OpenAI's Responses in its caller's own words.
pub fn most_verbatim_tokens(fields: &Map<String, Value>) -> Option<u64> {
    let mut each = fields
        .iter()
        .map(|(name, value)| match (name.as_str(), value) {
            ("input", Value::Array(items)) => of_items(items),
            _ => of_param(name, value),
        });
    each.try_fold(PER_REQUEST + PER_MESSAGE, |sum, field| {
        Some(sum.saturating_add(field?))
    })
}

/// The same of a request for embeddings, over all its inputs; `None` where one is neither text nor tokens.
pub fn most_embedded_tokens(fields: &Map<String, Value>) -> Option<u64> {
    let is_plain = |value: &Value| value.is_string() || value.is_u64();
    let input = fields.get("input")?;
    let is_counted = match input {
        Value::Array(inputs) => inputs.iter().all(|one| match one {
            Value::Array(tokens) => tokens.iter().all(is_plain),
            one => is_plain(one),
        }),
        one => is_plain(one),
    };
    let each = match input {
        Value::Array(inputs) => PER_MESSAGE.saturating_mul(inputs.len() as u64),
        _ => PER_MESSAGE,
    };
    // other fields are few, and some are words for the model (instructions, what the text is for)
    is_counted.then(|| of_fields(fields).saturating_add(each + PER_REQUEST))
}

/// Items of a conversation. Of some the provider has more than is said here: those that are only named, and thoughts.
fn of_items(items: &[Value]) -> Option<u64> {
    let mut each = items.iter().map(of_item);
    each.try_fold(PER_VALUE, |sum, item| {
        Some(sum.saturating_add(item?).saturating_add(PER_MESSAGE))
    })
}

fn of_item(item: &Value) -> Option<u64> {
    let fields = item.as_object()?;
    let said = match fields.get("type").and_then(Value::as_str) {
        None | Some("message") => "content",
        Some("function_call_output" | "custom_tool_call_output") => "output",
        Some("function_call" | "custom_tool_call") => return Some(of_json(item)),
        Some(_) => return None,
    };
    let parts = match fields.get(said) {
        Some(Value::Array(parts)) => of_parts(parts)?,
        Some(text) if text.is_string() => of_json(text),
        // an item that only names another
        _ => return None,
    };
    let others = fields.iter().filter(|(name, _)| *name != said);
    let others = others.map(|(name, value)| of_field(name, value));
    Some(others.fold(parts, u64::saturating_add))
}

fn of_message(message: &Message) -> Option<u64> {
    let content = match &message.content {
        None => 0,
        Some(Content::Text(text)) => text.len() as u64,
        Some(Content::Parts(parts)) => of_parts(parts)?,
    };
    let role = match &message.role {
        Role::Other(name) => name.len() as u64,
        _ => 0,
    };
    let mut sum = content.saturating_add(PER_MESSAGE + role);
    for (name, value) in &message.extra {
        // an earlier answer that was spoken, or thoughts that only the provider can read
        if !value.is_null() && matches!(name.as_str(), "audio" | "reasoning_details") {
            return None;
        }
        sum = sum.saturating_add(of_field(name, value));
    }
    Some(sum)
}

fn of_parts(parts: &[Value]) -> Option<u64> {
    let mut each = parts.iter().map(of_part);
    each.try_fold(0_u64, |sum, part| Some(sum.saturating_add(part?)))
}

/// Parts whose text is all there is to them; others, also those of tomorrow, are unbounded.
fn of_part(part: &Value) -> Option<u64> {
    let Value::Object(fields) = part else {
        return part.is_string().then(|| of_json(part));
    };
    match fields.get("type").and_then(Value::as_str) {
        Some("text" | "input_text" | "output_text" | "refusal" | "tool_use") => {
            // citations make the provider number the sentences of what they cite
            (!fields.contains_key("citations")).then(|| of_json(part))
        }
        Some("tool_result") => {
            let content = match fields.get("content") {
                Some(Value::Array(parts)) => of_parts(parts)?.saturating_add(PER_MESSAGE),
                Some(content) => of_json(content),
                None => 0,
            };
            let others = fields.iter().filter(|(name, _)| *name != "content");
            let others = others.map(|(name, value)| of_field(name, value));
            Some(others.fold(content.saturating_add(PER_MESSAGE), u64::saturating_add))
        }
        _ => None,
    }
}

fn of_param(name: &str, value: &Value) -> Option<u64> {
    if value.is_null() || value == &Value::Bool(false) {
        return Some(PER_VALUE);
    }
    let field = match (name, value) {
        _ if ADDS_UNSEEN.contains(&name) => return None,
        ("system", Value::Array(parts)) => of_parts(parts)?.saturating_add(PER_MESSAGE),
        ("tools" | "functions", Value::Array(tools)) => of_tools(tools)?,
        // what Gemini takes beside OpenAI's parameters
        ("extra_body" | "google", Value::Object(fields)) => {
            let mut each = fields.iter().map(|(name, value)| of_param(name, value));
            each.try_fold(PER_VALUE, |sum, field| Some(sum.saturating_add(field?)))?
        }
        ("response_format" | "output_config" | "text", format) => {
            // its schema may be rewritten on the way, as a request's own is
            let schemas = ["/json_schema/schema", "/format/schema"];
            let schema = schemas.iter().find_map(|path| format.pointer(path));
            let rewritten = schema.map_or(Some(0), crate::schema::most_tokens)?;
            INSTRUCTIONS
                .saturating_add(of_json(format))
                .saturating_add(rewritten)
        }
        (_, value) => of_json(value),
    };
    Some(field.saturating_add(name.len() as u64))
}

fn of_tools(tools: &[Value]) -> Option<u64> {
    let runs_here = |tool: &Value| {
        let own = ["function", "input_schema", "custom"];
        let is_function = matches!(
            tool.get("type").and_then(Value::as_str),
            None | Some("function" | "custom")
        );
        own.iter().any(|field| tool.get(*field).is_some()) || is_function
    };
    let most = |tool: &Value| runs_here(tool).then(|| of_json(tool).saturating_add(PER_MESSAGE));
    let mut each = tools.iter().map(most);
    each.try_fold(INSTRUCTIONS, |sum, tool| Some(sum.saturating_add(tool?)))
}

fn of_field(name: &str, value: &Value) -> u64 {
    of_escaped(name).saturating_add(of_json(value))
}

/// The most tokens of a value that is sent as JSON.
pub(crate) fn of_json(value: &Value) -> u64 {
    let inner = match value {
        Value::Null | Value::Bool(_) => 0,
        Value::Number(_) => PER_NUMBER,
        Value::String(text) => of_escaped(text),
        Value::Array(items) => items.iter().map(of_json).fold(0, u64::saturating_add),
        Value::Object(fields) => of_fields(fields),
    };
    inner.saturating_add(PER_VALUE)
}

fn of_fields(fields: &Map<String, Value>) -> u64 {
    let each = fields.iter().map(|(name, value)| of_field(name, value));
    each.fold(0, u64::saturating_add)
}

/// A text within JSON: escapes make `\u0000` of a control character (and one more backslash of JSON within JSON), and where
/// everything is escaped six characters of each two or three bytes, twelve of four.
pub(crate) fn of_escaped(text: &str) -> u64 {
    let weight = |byte: u8| match byte {
        b'"' | b'\\' => 4,
        0x20..0x7f => 1,
        0x7f.. => 3,
        _ => 8,
    };
    text.bytes().map(weight).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::Schema;

    #[test]
    fn plain_text_is_bounded_by_its_bytes() {
        let request = ChatRequest::prompt("häßlich 漢字");
        let bytes = "häßlich 漢字".len() as u64;
        assert_eq!(
            most_input_tokens(&request),
            Some(PER_REQUEST + PER_MESSAGE + bytes)
        );
    }

    #[test]
    fn what_nobody_can_count_has_no_bound() {
        let image = json!({"type": "image_url", "image_url": {"url": "https://x/y.png"}});
        let parts = |part: Value| {
            let mut message = Message::text(Role::User, "x");
            message.content = Some(Content::Parts(vec![part]));
            ChatRequest::new(vec![message])
        };
        let text = json!({"type": "text", "text": "x"});
        assert!(most_input_tokens(&parts(text)).is_some());
        let result = json!({"type": "tool_result", "tool_use_id": "t", "content": [image]});
        for part in [
            image,
            result,
            json!({"type": "thinking", "thinking": "", "signature": "x"}),
            json!({"type": "of tomorrow"}),
        ] {
            assert_eq!(most_input_tokens(&parts(part.clone())), None, "{part}");
        }
        let plain = ChatRequest::prompt("x");
        for (name, value) in [
            ("web_search_options", json!({})),
            ("extra_body", json!({"google": {"cached_content": "x"}})),
            (
                "tools",
                json!([{"type": "web_search_20250305", "name": "web_search"}]),
            ),
        ] {
            assert_eq!(
                most_input_tokens(&plain.clone().with_param(name, value)),
                None
            );
        }
    }

    #[test]
    fn each_choice_may_use_the_whole_cap() {
        let request = ChatRequest::prompt("x");
        assert_eq!((choices(&request), most_output_tokens(&request)), (1, None));
        let request = request
            .with_param("n", json!(3))
            .with_param("max_tokens", json!(100));
        assert_eq!(most_output_tokens(&request), Some(300));
        let both = request.with_param("max_completion_tokens", json!(50));
        assert_eq!(most_output_tokens(&both), Some(300));
    }

    #[test]
    fn everything_that_is_sent_is_counted() {
        let plain = ChatRequest::prompt("x");
        let least = most_input_tokens(&plain).unwrap();
        let tool =
            json!({"type": "function", "function": {"name": "f", "description": "y".repeat(500)}});
        let schema = json!({"type": "object", "description": "y".repeat(500)});
        let format = json!({"type": "json_schema", "json_schema": {"name": "a", "schema": schema}});
        let more = [
            plain.clone().with_param("tools", json!([tool])),
            plain
                .clone()
                .with_param("functions", json!([tool["function"]])),
            plain.clone().with_param("response_format", format),
            plain
                .clone()
                .with_param("some_documents", json!(["y".repeat(500)])),
            ChatRequest {
                schema: Some(Schema::new(schema).unwrap()),
                ..plain
            },
        ];
        for request in more {
            assert!(most_input_tokens(&request).unwrap() >= least + 500);
        }
    }

    #[test]
    fn own_words_are_bounded_by_what_they_say() {
        let most = |fields: Value| most_verbatim_tokens(fields.as_object().unwrap());
        let text = "y".repeat(500);
        let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": text});
        let output = json!({"type": "function_call_output", "call_id": "c", "output": text});
        let message = json!({"role": "user", "content": [{"type": "input_text", "text": text}]});
        let tool = json!({"type": "function", "name": "f", "description": text});
        let schema = json!({"type": "object", "description": text});
        let format = json!({"format": {"type": "json_schema", "name": "a", "schema": schema}});
        let least = most(json!({"input": "hi"})).unwrap();
        assert!(least < 1000, "{least}");
        for seen in [
            json!({"input": text}),
            json!({"input": "hi", "instructions": text}),
            json!({"input": [{"role": "user", "content": text}]}),
            json!({"input": [message]}),
            json!({"input": [call]}),
            json!({"input": [output]}),
            json!({"input": "hi", "tools": [tool]}),
            json!({"input": "hi", "text": format}),
        ] {
            let most = most(seen.clone()).unwrap();
            assert!((500..5000).contains(&most), "{seen}: {most}");
        }
        let image = json!({"type": "input_image", "image_url": "https://x/y.png"});
        for unseen in [
            json!({"input": "hi", "previous_response_id": "r"}),
            json!({"input": "hi", "conversation": "c"}),
            json!({"prompt": {"id": "p"}}),
            json!({"input": "hi", "tools": [{"type": "web_search"}]}),
            json!({"input": [{"type": "item_reference", "id": "i"}]}),
            json!({"input": [{"id": "i"}]}),
            json!({"input": [{"type": "reasoning", "id": "i", "summary": []}]}),
            json!({"input": [{"role": "user", "content": [image]}]}),
            json!({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}),
        ] {
            assert_eq!(most(unseen.clone()), None, "{unseen}");
        }
    }

    #[test]
    fn all_inputs_of_embeddings_are_counted() {
        let most = |input: Value| {
            let fields = json!({"model": "e", "input": input});
            most_embedded_tokens(fields.as_object().unwrap())
        };
        let text = "y".repeat(500);
        let one = most(json!(text)).unwrap();
        assert!((500..1000).contains(&one), "{one}");
        assert!(most(json!(vec![text; 100])).unwrap() >= 100 * 500);
        assert!(most(json!([[1, 2, 3], [4]])).unwrap() >= 4);
        assert_eq!(most(json!([{"image": "https://x/y.png"}])), None);
        assert_eq!(most(json!({"file": "f"})), None);
    }

    proptest! {
        /// No way of writing a text as JSON is longer than the bound: with escapes, and as JSON within JSON.
        #[test]
        fn no_way_of_writing_is_longer(text in any::<String>()) {
            let value = json!({"a": [text, 1.5e300, true]});
            let once = value.to_string();
            let twice = json!(once).to_string();
            let ascii: usize = once
                .chars()
                .map(|c| if c.is_ascii() { 1 } else { 6 * c.len_utf16() })
                .sum();
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            let longest = once.len().max(twice.len()).max(ascii).max(pretty.len());
            prop_assert!(of_json(&value) >= longest as u64);
        }
    }
}
