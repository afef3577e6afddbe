//! Which models go on with a begun answer. Data: a new family is a row.
//!
//! Up to Claude 4.5 a conversation may end in a begun turn of the model's; later models refuse such a request with 400
//! (wire-formats.md, section 4). A name that is not here is taken for a later one: then the answer is asked for anew.

use antiphon_core::ChatRequest;
use serde_json::Value;

/// Names, or beginnings of names up to a `-`, `.` or `@`. Names of the first Claude 4 have a date and no minor number.
static CONTINUING: [&str; 13] = [
    "claude-instant",
    "claude-2",
    "claude-3",
    "claude-opus-4-0",
    "claude-opus-4-1",
    "claude-opus-4-5",
    "claude-opus-4-20250514",
    "claude-sonnet-4-0",
    "claude-sonnet-4-5",
    "claude-sonnet-4-20250514",
    "claude-haiku-4-5",
    "claude-opus-4@20250514",
    "claude-sonnet-4@20250514",
];

/// Whether the model goes on with a begun answer to this request.
pub(super) fn continues(request: &ChatRequest, model: &str) -> bool {
    let begins = |family: &&str| {
        let rest = model.strip_prefix(*family);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.', '@']))
    };
    CONTINUING.iter().any(begins) && !excludes(request)
}

/// Whether the request asks for what begins an answer in another way: thoughts, a form, a tool that must be called.
fn excludes(request: &ChatRequest) -> bool {
    let param = |name: &str| request.params.get(name).unwrap_or(&Value::Null);
    let kind = |value: &Value| match value {
        Value::String(kind) => Some(kind.clone()),
        other => other["type"].as_str().map(str::to_owned),
    };
    let is_said = |name: &str, harmless: &[&str]| {
        let said = kind(param(name));
        !param(name).is_null() && !said.is_some_and(|said| harmless.contains(&said.as_str()))
    };
    request.schema.is_some()
        || is_said("thinking", &["disabled"])
        || is_said("reasoning_effort", &["none"])
        || is_said("response_format", &["text"])
        || is_said("tool_choice", &["auto", "none"])
        || !param("output_config")["format"].is_null()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn models_up_to_4_5_continue() {
        let request = ChatRequest::prompt("x");
        for (model, expected) in [
            ("claude-3-opus-20240229", true),
            ("claude-3-5-haiku-latest", true),
            ("claude-3-7-sonnet-20250219", true),
            ("claude-sonnet-4-20250514", true),
            ("claude-opus-4-1-20250805", true),
            ("claude-sonnet-4-5", true),
            ("claude-haiku-4-5-20251001", true),
            ("claude-opus-4-5@20251101", true),
            ("claude-opus-4-6", false),
            ("claude-sonnet-4-6-20260217", false),
            ("claude-sonnet-4-50", false),
            ("claude-opus-5", false),
            ("claude-30", false),
            ("gpt-4o", false),
        ] {
            assert_eq!(continues(&request, model), expected, "{model}");
        }
    }

    #[test]
    fn what_begins_an_answer_otherwise_excludes_it() {
        let asked = |name: &str, value: Value| {
            let request = ChatRequest::prompt("x").with_param(name, value);
            continues(&request, "claude-sonnet-4-5")
        };
        for (name, value) in [
            (
                "thinking",
                json!({"type": "enabled", "budget_tokens": 1024}),
            ),
            ("thinking", json!({"type": "adaptive"})),
            ("reasoning_effort", json!("low")),
            ("response_format", json!({"type": "json_object"})),
            ("tool_choice", json!("required")),
            ("tool_choice", json!({"type": "tool", "name": "f"})),
            ("output_config", json!({"format": {"type": "json_schema"}})),
        ] {
            assert!(!asked(name, value.clone()), "{name}: {value}");
        }
        for (name, value) in [
            ("thinking", json!({"type": "disabled"})),
            ("thinking", json!(null)),
            ("response_format", json!({"type": "text"})),
            ("tool_choice", json!("auto")),
            ("output_config", json!({"effort": "low"})),
            ("temperature", json!(0)),
        ] {
            assert!(asked(name, value.clone()), "{name}: {value}");
        }
    }
}
