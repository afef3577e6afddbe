//! What becomes of a result where parts of it fail.

use std::sync::Arc;

use antiphon::ErrorKind;
use serde_json::{Value, json};

use crate::support::{
    Client, bare_tools, documents, examples, heard, tools_of, used, without_model,
};

fn with_documents(mut arguments: Value, documents: Value) -> Value {
    arguments["documents"] = documents;
    arguments
}

fn of_documents() -> [(&'static str, Value); 3] {
    [
        ("analyze_documents", json!({"kind": "summary"})),
        ("map_reduce", json!({"map": "m", "reduce": "r"})),
        ("review", json!({"question": "q"})),
    ]
}

#[tokio::test]
async fn a_document_that_fails_fails_alone() {
    let tools = bare_tools();
    for (name, more) in of_documents() {
        let client = Client::new().failing("number-1,", ErrorKind::Rejected, "the user said no");
        let client = Arc::new(client);
        let mut documents = documents(4);
        documents[3]["text"] = " \n".into();
        let (call, mut steps) = heard(client.call());
        let arguments = with_documents(more, documents);
        let result = used(&tools, name, arguments, call).await.unwrap();
        let told = &result["documents"];
        assert_eq!(
            told[1]["error"],
            json!({"code": "rejected", "message": "the user said no"}),
            "{name}"
        );
        assert_eq!(told[3]["error"]["code"], "bad_request", "{name}");
        for (index, holds) in [(0, true), (1, false), (2, true), (3, false)] {
            let one = &told[index];
            let said = ["result", "text", "summary"].map(|field| &one[field]);
            let is_there = said.iter().any(|said| !said.is_null());
            assert_eq!(is_there, holds, "{name}: {one}");
            assert_eq!(one["error"].is_null(), holds, "{name}: {one}");
        }
        assert_eq!(result["failed"], 2, "{name}");
        let asked = client.asked();
        let asked = asked.iter().filter(|asked| asked.contains("number-1,"));
        assert_eq!(asked.count(), 1, "{name}: nobody is asked twice");
        let steps = steps();
        let (done, total) = *steps.last().unwrap();
        assert_eq!(Some(done), total, "{name}: {steps:?}");
    }
}

#[tokio::test]
async fn a_call_of_which_nothing_came_out_is_an_error_that_says_why() {
    let tools = bare_tools();
    for (name, arguments) in examples() {
        let client = Client::new().failing("", ErrorKind::Rejected, "the user said no");
        let client = Arc::new(client);
        let error = used(&tools, name, arguments, client.call())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected, "{name}");
        assert!(
            error.message().contains("the user said no"),
            "{name}: {error}"
        );
    }
    for (name, more) in of_documents() {
        let client = Client::new()
            .failing("number-0,", ErrorKind::Rejected, "the user said no")
            .failing("number-1,", ErrorKind::ContextLength, "it is too long");
        let arguments = with_documents(more, documents(2));
        let used = used(&tools, name, arguments, Arc::new(client).call()).await;
        let message = used.unwrap_err().message().to_owned();
        let expected = "all 2 documents failed: doc-0: rejected: the user said no; \
                        doc-1: context_length: it is too long";
        assert_eq!(message, expected, "{name}");
    }
}

#[tokio::test]
async fn answers_about_documents_are_not_lost_with_the_last_step() {
    let tools = bare_tools();
    for (name, arguments, word) in [
        (
            "map_reduce",
            json!({"map": "m", "reduce": "Merge."}),
            "Merge.",
        ),
        ("review", json!({"question": "q"}), "under its id"),
    ] {
        let client = Client::new().failing(word, ErrorKind::Timeout, "nobody approved it");
        let arguments = with_documents(arguments, documents(3));
        let used = used(&tools, name, arguments, Arc::new(client).call()).await;
        let result = used.unwrap();
        let whole = ["text", "answer"].map(|field| &result[field]);
        assert!(whole.iter().all(|whole| whole.is_null()), "{name}");
        assert_eq!(result["error"]["code"], "timeout", "{name}");
        let message = result["error"]["message"].as_str().unwrap();
        assert!(message.contains("nobody approved it"), "{name}: {message}");
        for one in result["documents"].as_array().unwrap() {
            assert!(
                one["text"].is_string() || one["summary"].is_string(),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn members_that_fail_are_told_and_the_others_decide() {
    let client = Client::new().failing("\n1", ErrorKind::Rejected, "the user said no");
    let client = Arc::new(client);
    let arguments = json!({"prompt": "Why?", "n": 3});
    let tools = bare_tools();
    let result = used(&tools, "ensemble", arguments, client.call())
        .await
        .unwrap();
    let codes: Vec<&Value> = result["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| &member["error"]["code"])
        .collect();
    assert_eq!(codes, [&Value::Null, &"rejected".into(), &Value::Null]);
    assert_eq!(result["decision"]["by"], "decide");
    assert_eq!(result["calls"], 4);
}

#[tokio::test]
async fn the_clients_model_is_never_asked_again_by_itself() {
    let tools = bare_tools();
    for kind in [
        ErrorKind::ServerError,
        ErrorKind::Timeout,
        ErrorKind::Connection,
        ErrorKind::BadResponse,
        ErrorKind::RateLimited,
        ErrorKind::Overloaded,
    ] {
        let client = Arc::new(Client::new().failing("", kind, "it broke"));
        let ask = json!({"prompt": "Why?"});
        let error = used(&tools, "ask", ask, client.call()).await.unwrap_err();
        assert_eq!((error.kind(), client.asked().len()), (kind, 1));
        let client = Arc::new(Client::new().failing("", kind, "it broke"));
        let arguments = json!({"documents": documents(30), "kind": "summary"});
        let used = used(&tools, "analyze_documents", arguments, client.call()).await;
        assert_eq!((used.unwrap_err().kind(), client.asked().len()), (kind, 30));
    }
}

#[tokio::test]
async fn a_client_without_a_model_is_told_both_ways_out() {
    let tools = bare_tools();
    for (name, arguments) in examples() {
        let error = used(&tools, name, arguments, without_model())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}");
    }
}

#[tokio::test]
async fn a_model_that_does_not_exist_is_told_with_the_nearest() {
    let toml = "[models.fast]\nuse = \"sim/a\"\n";
    let tools = tools_of(toml, Some("sim/demo"));
    for (name, nearest) in [
        ("smi/demo", "did you mean \"sim\"?"),
        ("clinet", "\"client\""),
        ("fsat", "did you mean \"fast\"?"),
    ] {
        let ask = json!({"prompt": "Why?", "model": name});
        let error = used(&tools, "ask", ask, without_model()).await.unwrap_err();
        assert!(error.message().contains(nearest), "{name}: {error}");
        assert!(!error.message().contains("given"), "{name}: {error}");
    }
}

#[tokio::test]
async fn answers_of_another_form_are_asked_for_again_and_that_is_told() {
    let tools = bare_tools();
    let client = Arc::new(Client::new().saying("number-1,", "no JSON"));
    let arguments = json!({"documents": documents(3), "kind": "summary"});
    let used = used(&tools, "analyze_documents", arguments, client.call()).await;
    let result = used.unwrap();
    assert_eq!(result["documents"][1]["error"]["code"], "off_schema");
    assert_eq!(
        (&result["calls"], &result["attempts"]),
        (&3.into(), &5.into())
    );
    assert_eq!(client.asked().len(), 5);
}
