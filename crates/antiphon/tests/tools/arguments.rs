//! Arguments that cannot be used are refused before anybody is asked.

use std::sync::Arc;

use antiphon::ErrorKind;
use serde_json::json;

use crate::support::{Client, bare_tools, documents, used};

#[tokio::test]
async fn arguments_that_make_no_sense_are_refused_in_words() {
    let tools = bare_tools();
    let two = [
        json!({"id": "a", "text": "x"}),
        json!({"id": "a", "text": "y"}),
    ];
    for (name, arguments, words) in [
        ("ask", json!({}), "prompt"),
        ("ask", json!({"prompt": " "}), "prompt is empty"),
        ("ask", json!({"promt": "x"}), "promt"),
        ("ask", json!({"prompt": "x", "max_tokens": 0}), "max_tokens"),
        ("ensemble", json!({"prompt": "x"}), "n"),
        ("ensemble", json!({"prompt": "x", "n": 0}), "from 1 to 64"),
        ("ensemble", json!({"prompt": "x", "n": 65}), "from 1 to 64"),
        (
            "ensemble",
            json!({"prompt": "x", "n": 2, "decider": "jugde"}),
            "jugde",
        ),
        (
            "ensemble",
            json!({"prompt": "x", "n": 2, "schema": {"type": "nonsense"}}),
            "schema",
        ),
        (
            "ensemble",
            json!({"prompt": "x", "n": 2, "schema": {"type": "string"}}),
            "object",
        ),
        (
            "map_reduce",
            json!({"documents": [], "map": "m", "reduce": "r"}),
            "no documents",
        ),
        (
            "map_reduce",
            json!({"documents": documents(1), "map": "", "reduce": "r"}),
            "map is empty",
        ),
        (
            "map_reduce",
            json!({"documents": documents(1), "map": "m", "reduce": ""}),
            "reduce is empty",
        ),
        (
            "analyze_documents",
            json!({"documents": documents(257), "kind": "summary"}),
            "at most 256",
        ),
        (
            "analyze_documents",
            json!({"documents": two, "kind": "summary"}),
            "\"a\"",
        ),
        (
            "analyze_documents",
            json!({"documents": documents(1), "kind": "extract"}),
            "at least one field",
        ),
        (
            "analyze_documents",
            json!({"documents": documents(1), "kind": "classify"}),
            "at least one category",
        ),
        (
            "analyze_documents",
            json!({"documents": documents(1), "kind": "summary", "fields": ["x"]}),
            "fields go with the kind extract",
        ),
        (
            "analyze_documents",
            json!({"documents": documents(1), "kind": "extract", "fields": ["x", "x"]}),
            "twice",
        ),
        (
            "analyze_documents",
            json!({"documents": [{"id": "a", "txt": "x"}], "kind": "summary"}),
            "txt",
        ),
        (
            "review",
            json!({"documents": documents(1), "question": ""}),
            "question is empty",
        ),
    ] {
        let client = Arc::new(Client::new());
        let used = used(&tools, name, arguments.clone(), client.call()).await;
        let error = used.expect_err(&arguments.to_string());
        assert_eq!(error.kind(), ErrorKind::BadRequest, "{name} {arguments}");
        assert!(
            error.message().contains(words),
            "{name} {arguments}: {error}"
        );
        assert_eq!(client.asked().len(), 0, "{name} {arguments}");
    }
}
