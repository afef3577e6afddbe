//! Messages, parts and tools of a conversation.

use antiphon_core::ErrorKind;
use serde_json::{Value, json};

use super::*;

#[test]
fn a_part_becomes_the_block_that_means_the_same() {
    let image = json!({"type": "image", "data": "YWJj", "mimeType": "image/png"});
    let audio = |media: &str| json!({"type": "audio", "data": "YWJj", "mimeType": media});
    let url = "data:image/png;base64,YWJj";
    let cases = [
        (text("a"), text("a")),
        (json!({"type": "input_text", "text": "a"}), text("a")),
        (json!({"text": "a"}), text("a")),
        (json!({"type": "refusal", "refusal": "no"}), text("no")),
        (
            json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}),
            text("a"),
        ),
        (
            json!({"type": "image_url", "image_url": {"url": url, "detail": "low"}}),
            image.clone(),
        ),
        (
            json!({"type": "image_url", "image_url": url}),
            image.clone(),
        ),
        (
            json!({"type": "input_image", "image_url": url}),
            image.clone(),
        ),
        (
            json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "YWJj"}}),
            image.clone(),
        ),
        (image.clone(), image),
        (
            json!({"type": "input_audio", "input_audio": {"data": "YWJj", "format": "wav"}}),
            audio("audio/wav"),
        ),
        (
            json!({"type": "input_audio", "input_audio": {"data": "YWJj", "format": "mp3"}}),
            audio("audio/mpeg"),
        ),
        (
            json!({"type": "audio_url", "audio_url": {"url": "data:audio/ogg;codecs=opus;base64,YWJj"}}),
            audio("audio/ogg"),
        ),
        // a message of nothing is one all the same
        (text(""), text("")),
    ];
    for (part, block) in cases {
        let given = json!([{"role": "user", "content": [part]}]);
        let expected = json!([{"role": "user", "content": block}]);
        assert_eq!(messages(given.clone(), able()), expected, "{given}");
    }
}

#[test]
fn what_the_protocol_cannot_put_is_refused() {
    let cases = [
        (
            json!({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}),
            "base64 data URL",
        ),
        (
            json!({"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}),
            "base64 data URL",
        ),
        (
            json!({"type": "image", "source": {"type": "file", "file_id": "f"}}),
            "base64 data URL",
        ),
        (
            json!({"type": "image_url", "image_url": {"url": "data:image/svg+xml,<svg/>"}}),
            "not base64",
        ),
        (json!({"type": "image_url"}), "URL"),
        (
            json!({"type": "input_audio", "input_audio": {"data": "YQ=="}}),
            "format",
        ),
        (json!({"type": "image", "data": "YQ=="}), "media type"),
        (
            json!({"type": "file", "file": {"file_id": "f"}}),
            "\"file\"",
        ),
        (json!({"type": "document", "source": {}}), "\"document\""),
        (json!({"type": "text"}), "`text`"),
        (json!({}), "`type`"),
        (json!(7), "`type`"),
        (
            json!({"type": "tool_use", "id": "1", "name": "t", "input": {}}),
            "only an assistant",
        ),
    ];
    for (part, expected) in cases {
        let given = json!([{"role": "user", "content": [text("a"), part]}]);
        let error = mapped(given.clone(), able()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest, "{given}");
        assert!(error.message().contains(expected), "{given}: {error}");
    }
    let system_image = json!([
        {"role": "system", "content": [{"type": "image", "data": "YQ==", "mimeType": "image/png"}]},
        {"role": "user", "content": "q"},
    ]);
    let error = mapped(system_image, able()).unwrap_err();
    assert!(error.message().contains("only be text"), "{error}");
    for nothing in [json!([]), json!([{"role": "system", "content": "s"}])] {
        let error = mapped(nothing, able()).unwrap_err();
        assert!(error.message().contains("nothing to answer"), "{error}");
    }
    let critic = json!([{"role": "critic", "content": "a"}]);
    let error = mapped(critic, able()).unwrap_err();
    assert!(error.message().contains("\"critic\""), "{error}");
}

#[test]
fn instructions_become_the_system_prompt_wherever_they_stood() {
    let given = json!([
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "q"},
        {"role": "developer", "content": [text("be"), text("kind")]},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "q2"},
    ]);
    let mapped = mapped(given, able()).unwrap();
    assert_eq!(mapped.params["systemPrompt"], "be brief\n\nbe\n\nkind");
    let turn = |role: &str, said: &str| json!({"role": role, "content": text(said)});
    assert_eq!(
        mapped.params["messages"],
        json!([
            turn("user", "q"),
            turn("assistant", "a"),
            turn("user", "q2")
        ])
    );
    assert_eq!(mapped.dropped, Vec::<String>::new());
}

#[test]
fn several_blocks_are_a_list_or_for_old_clients_messages_in_a_row() {
    let image = json!({"type": "image", "data": "YQ==", "mimeType": "image/png"});
    let parts = [text("a"), text("b"), image.clone(), text(""), text("c")];
    let given = json!([{"role": "user", "content": parts}]);
    let list = json!([text("a"), text("b"), image, text("c")]);
    assert_eq!(
        messages(given.clone(), able()),
        json!([{"role": "user", "content": list}])
    );
    let user = |block: Value| json!({"role": "user", "content": block});
    let single = json!([user(text("a\n\nb")), user(image), user(text("c"))]);
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", ""] {
        let capabilities = Capabilities::declared(true, false, version);
        assert_eq!(messages(given.clone(), capabilities), single, "{version}");
    }
}

#[test]
fn only_the_first_clients_know_no_audio() {
    let audio = json!({"type": "audio", "data": "YQ==", "mimeType": "audio/wav"});
    let given = json!([{"role": "user", "content": [audio]}]);
    let error = mapped(given.clone(), old()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("2025-03-26"), "{error}");
    for version in ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"] {
        let capabilities = Capabilities::declared(true, false, version);
        let expected = json!([{"role": "user", "content": audio}]);
        assert_eq!(messages(given.clone(), capabilities), expected, "{version}");
    }
}

/// A conversation with calls of two tools and their results, in OpenAI's words.
fn with_tools() -> Value {
    let call = |id: &str, arguments: Value| json!({"id": id, "type": "function", "function": {"name": "look", "arguments": arguments}});
    let calls = json!([call("1", json!("{\"at\":\"sky\"}")), call("2", json!(""))]);
    json!([
        {"role": "user", "content": "what is there?"},
        {"role": "assistant", "content": null, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "1", "content": "a star"},
        {"role": "tool", "tool_call_id": "2", "content": [text("a tree")]},
        {"role": "user", "content": "and now?"},
    ])
}

#[test]
fn calls_of_tools_and_their_results_are_the_same_in_both_wires() {
    let used = |id: &str, input: Value| json!({"type": "tool_use", "id": id, "name": "look", "input": input});
    let gave = |id: &str, said: &str| json!({"type": "tool_result", "toolUseId": id, "content": [text(said)]});
    let uses = json!([used("1", json!({"at": "sky"})), used("2", json!({}))]);
    let expected = json!([
        {"role": "user", "content": text("what is there?")},
        {"role": "assistant", "content": uses},
        {"role": "user", "content": [gave("1", "a star"), gave("2", "a tree")]},
        {"role": "user", "content": text("and now?")},
    ]);
    assert_eq!(messages(with_tools(), able()), expected);
    let anthropic = json!([
        {"role": "user", "content": "what is there?"},
        {"role": "assistant", "content": uses},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "1", "content": "a star"},
            {"type": "tool_result", "tool_use_id": "2", "content": [text("a tree")]},
            text("and now?"),
        ]},
    ]);
    assert_eq!(messages(anthropic, able()), expected);
}

#[test]
fn a_failed_tool_is_told_as_one() {
    let uses = json!([{"type": "tool_use", "id": "1", "name": "look", "input": {}}]);
    let failed = json!([{"type": "tool_result", "tool_use_id": "1", "is_error": true}]);
    let given = json!([
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": uses},
        {"role": "user", "content": failed},
    ]);
    assert_eq!(
        messages(given, able())[2]["content"],
        json!({"type": "tool_result", "toolUseId": "1", "content": [], "isError": true})
    );
}

#[test]
fn every_call_of_a_tool_has_its_result() {
    let user = json!({"role": "user", "content": "q"});
    let call = |id: &str, arguments: &str| {
        let function = json!({"name": "look", "arguments": arguments});
        json!({"role": "assistant", "tool_calls": [{"id": id, "function": function}]})
    };
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "r"});
    let cases = [
        (json!([user, call("1", "{}")]), "\"1\" has no result"),
        (json!([user, call("1", "{}"), user]), "\"1\" has no result"),
        (
            json!([user, call("1", "{}"), result("2")]),
            "\"2\" answers no call",
        ),
        (json!([user, result("1")]), "\"1\" answers no call"),
        (
            json!([user, call("1", "{}"), result("1"), result("1")]),
            "\"1\" answers no call",
        ),
        (json!([user, call("1", "{"), result("1")]), "not JSON"),
        (
            json!([user, call("1", "7"), result("1")]),
            "not a JSON object",
        ),
        (
            json!([user, {"role": "tool", "content": "r"}]),
            "id of its call",
        ),
        (
            json!([user, {"role": "assistant", "tool_calls": [{"function": {"name": "look"}}]}]),
            "id or its name",
        ),
    ];
    for (given, expected) in cases {
        let error = mapped(given.clone(), able()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest, "{given}");
        assert!(error.message().contains(expected), "{given}: {error}");
    }
}

#[test]
fn a_conversation_with_tools_needs_the_capability() {
    let new = Capabilities::declared(true, false, "2025-11-25");
    for capabilities in [old(), new] {
        let error = mapped(with_tools(), capabilities).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("`sampling.tools`"), "{error}");
    }
}

#[test]
fn fields_that_have_no_place_are_named() {
    let given = json!([
        {"role": "user", "content": "q", "name": "ann", "weight": null},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, text("a")], "reasoning": "r"},
        {"role": "assistant", "content": null, "refusal": "no"},
    ]);
    let mapped = mapped(given, able()).unwrap();
    assert_eq!(
        mapped.dropped,
        ["messages.name", "messages.reasoning", "messages.thinking"]
    );
    assert_eq!(mapped.params["messages"][1]["content"], text("a"));
    assert_eq!(mapped.params["messages"][2]["content"], text("no"));
}
