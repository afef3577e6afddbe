//! Parameters beside the conversation.

use antiphon_core::{ErrorKind, Schema};
use serde_json::{Value, json};

use super::*;

/// Everything but the messages.
fn params(given: Value) -> (Value, Vec<String>) {
    let Mapped {
        mut params,
        dropped,
        ..
    } = asked(given).unwrap();
    params.as_object_mut().unwrap().shift_remove("messages");
    (params, dropped)
}

#[test]
fn parameters_have_the_protocols_names() {
    let preferences = json!({"hints": [{"name": "claude"}], "speedPriority": 0.5});
    let cases = [
        (json!({}), json!({"maxTokens": 4096})),
        (json!({"max_tokens": 7}), json!({"maxTokens": 7})),
        (json!({"max_completion_tokens": 8}), json!({"maxTokens": 8})),
        (
            json!({"max_tokens": u64::MAX}),
            json!({"maxTokens": u32::MAX}),
        ),
        (
            json!({"temperature": 0.7}),
            json!({"maxTokens": 4096, "temperature": 0.7}),
        ),
        (
            json!({"stop": "x"}),
            json!({"maxTokens": 4096, "stopSequences": ["x"]}),
        ),
        (
            json!({"stop": ["x", "y"]}),
            json!({"maxTokens": 4096, "stopSequences": ["x", "y"]}),
        ),
        (
            json!({"metadata": {"a": 1}}),
            json!({"maxTokens": 4096, "metadata": {"a": 1}}),
        ),
        (
            json!({"modelPreferences": preferences}),
            json!({"maxTokens": 4096, "modelPreferences": preferences}),
        ),
        (
            json!({"system": "s"}),
            json!({"systemPrompt": "s", "maxTokens": 4096}),
        ),
        (
            json!({"system": [text("s"), text("t")]}),
            json!({"systemPrompt": "s\n\nt", "maxTokens": 4096}),
        ),
        // nothing is asked for
        (
            json!({"model": "m", "stream": true, "n": 1, "top_p": null, "tools": [], "tool_choice": "none",
                   "response_format": {"type": "text"}}),
            json!({"maxTokens": 4096}),
        ),
    ];
    for (given, expected) in cases {
        assert_eq!(params(given.clone()), (expected, Vec::new()), "{given}");
    }
}

#[test]
fn parameters_without_a_place_are_named() {
    let given = json!({
        "top_p": 0.9, "seed": 7, "logprobs": true, "n": 2, "metadata": "x", "user": "u", "tool_choice": "required",
        "response_format": {"type": "grammar"}, "reasoning_effort": "low",
    });
    let (left, mut dropped) = params(given.clone());
    let mut names: Vec<&String> = given.as_object().unwrap().keys().collect();
    names.sort();
    dropped.sort();
    assert_eq!(dropped.iter().collect::<Vec<_>>(), names);
    assert_eq!(left, json!({"maxTokens": 4096}));
}

#[test]
fn parameters_of_a_wrong_type_are_refused() {
    let cases = [
        (json!({"max_tokens": "7"}), "`max_tokens`"),
        (json!({"max_tokens": 1.5}), "`max_tokens`"),
        (json!({"temperature": "hot"}), "`temperature`"),
        (json!({"stop": [1]}), "`stop`"),
        (json!({"system": 1}), "`system`"),
        (json!({"tools": {}}), "`tools`"),
        (
            json!({"tools": [{"type": "function", "function": {}}]}),
            "no name",
        ),
        (
            json!({"tools": [{"name": "t", "input_schema": "x"}]}),
            "\"t\"",
        ),
        (
            json!({"tools": [{"name": "t", "input_schema": {"type": "string"}}]}),
            "\"t\"",
        ),
        (
            json!({"tools": [{"name": "t"}], "tool_choice": {"type": "tool", "name": "u"}}),
            "\"u\"",
        ),
    ];
    for (given, expected) in cases {
        let error = asked(given.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest, "{given}");
        assert!(error.message().contains(expected), "{given}: {error}");
    }
}

#[test]
fn tools_of_both_wires_are_offered() {
    let schema = json!({"type": "object", "properties": {"at": {"type": "string"}}});
    let offered = json!([{"name": "look", "description": "looks", "inputSchema": schema}]);
    let forms = [
        json!({"type": "function", "function": {"name": "look", "description": "looks", "parameters": schema}}),
        json!({"type": "function", "name": "look", "description": "looks", "parameters": schema}),
        json!({"name": "look", "description": "looks", "input_schema": schema}),
        json!({"type": "custom", "name": "look", "description": "looks", "input_schema": schema}),
        offered[0].clone(),
    ];
    for form in forms {
        let (params, dropped) = params(json!({"tools": [form]}));
        assert_eq!(params["tools"], offered, "{form}");
        assert_eq!((&params["toolChoice"], dropped), (&Value::Null, vec![]));
    }
    let bare = json!({"type": "function", "function": {"name": "t", "strict": true}});
    let hosted = json!({"type": "web_search_20250305", "name": "web_search"});
    let (params, dropped) = params(json!({"tools": [bare, hosted]}));
    assert_eq!(
        params["tools"],
        json!([{"name": "t", "inputSchema": {"type": "object"}}])
    );
    assert_eq!(dropped, ["tools.strict", "tools.web_search_20250305"]);
}

#[test]
fn a_choice_of_tools_becomes_a_mode() {
    let tools = json!([{"name": "look"}, {"name": "listen"}]);
    let cases = [
        (json!("auto"), "auto", 2),
        (json!("required"), "required", 2),
        (json!("none"), "none", 2),
        (json!({"type": "any"}), "required", 2),
        (json!({"type": "auto"}), "auto", 2),
        (json!({"mode": "none"}), "none", 2),
        (
            json!({"type": "function", "function": {"name": "listen"}}),
            "required",
            1,
        ),
        (json!({"type": "tool", "name": "listen"}), "required", 1),
    ];
    for (choice, mode, offered) in cases {
        let (params, dropped) = params(json!({"tools": tools, "tool_choice": choice}));
        assert_eq!(params["toolChoice"], json!({"mode": mode}), "{choice}");
        let tools = params["tools"].as_array().unwrap();
        assert_eq!(tools.len(), offered, "{choice}");
        assert_eq!(tools.last().unwrap()["name"], "listen");
        assert_eq!(dropped, Vec::<String>::new(), "{choice}");
    }
    let odd = json!({"tools": tools, "tool_choice": {"type": "allowed_tools"}, "parallel_tool_calls": false});
    let (params, dropped) = params(odd);
    assert_eq!(params["toolChoice"], Value::Null);
    assert_eq!(dropped, ["parallel_tool_calls", "tool_choice"]);
}

#[test]
fn tools_need_the_capability() {
    let request = ChatRequest::prompt("q").with_param("tools", json!([{"name": "look"}]));
    let error = params_of(&request, old()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("`sampling.tools`"), "{error}");
}

#[test]
fn the_form_of_the_answer_is_put_in_words() {
    let json = json!({"type": "object", "required": ["a"]});
    let mut request = ChatRequest::prompt("q").with_system("be brief");
    request.schema = Some(Schema::new(json.clone()).unwrap());
    let mapped = params_of(&request, old()).unwrap();
    let prompt = mapped.params["systemPrompt"].as_str().unwrap();
    assert!(
        prompt.starts_with("be brief\n\nAnswer with JSON only"),
        "{prompt}"
    );
    assert!(prompt.ends_with(&json.to_string()), "{prompt}");
    assert!(mapped.wants_json);

    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": json}});
    let mapped = asked(json!({"response_format": format})).unwrap();
    let prompt = mapped.params["systemPrompt"].as_str().unwrap();
    assert!(prompt.ends_with(&json.to_string()), "{prompt}");
    assert!(mapped.wants_json && mapped.dropped.is_empty());

    let mapped = asked(json!({"response_format": {"type": "json_object"}})).unwrap();
    let prompt = mapped.params["systemPrompt"].as_str().unwrap();
    assert!(prompt.contains("one object"), "{prompt}");
    assert!(mapped.wants_json && mapped.dropped.is_empty());
    assert!(!asked(json!({})).unwrap().wants_json);
}
