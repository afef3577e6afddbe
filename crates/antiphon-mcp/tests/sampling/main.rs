//! A tool that asks the model of its client, over a pair of pipes, with a client of the official library at the other end.
#![expect(
    deprecated,
    reason = "sampling ends with the era (SEP-2577), but most clients live in it"
)]

mod client;
mod relay;

use rmcp::model::{ErrorCode, ErrorData, SamplingMessageContentBlock as Block};
use serde_json::{Value, json};

use client::{Said, Scripted, connected};

fn question() -> Value {
    json!({"messages": [{"role": "user", "content": "q"}]})
}

fn said(text: &str) -> Said {
    Said::blocks(vec![Block::text(text)])
}

#[tokio::test]
async fn a_question_reaches_the_client_and_its_answer_comes_back() {
    let pair = connected(Scripted::new(vec![said("a star").stopping("maxTokens")])).await;
    let result = pair
        .call(json!({
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "what is there?"},
            ],
            "params": {"max_tokens": 9, "temperature": 0.7, "stop": ["x"], "top_p": 0.5, "metadata": {"a": 1},
                       "modelPreferences": {"hints": [{"name": "claude"}], "speedPriority": 0.5}},
        }))
        .await
        .unwrap();
    assert_eq!(result["text"], "a star");
    assert_eq!(result["finish_reason"], "length");
    assert_eq!(result["model"], "scripted-1");
    assert_eq!(result["dropped"], json!(["top_p"]));
    assert_eq!(result["cost_usd"], Value::Null);
    assert_eq!(result["usage"], Value::Null);
    assert_eq!(result["body"]["object"], "chat.completion");
    assert_eq!(
        pair.asked(),
        [json!({
            "messages": [{"role": "user", "content": {"type": "text", "text": "what is there?"}}],
            "systemPrompt": "be brief",
            "maxTokens": 9,
            "temperature": 0.7,
            "stopSequences": ["x"],
            "metadata": {"a": 1},
            "modelPreferences": {"hints": [{"name": "claude"}], "speedPriority": 0.5},
        })]
    );
    pair.end().await;
}

#[tokio::test]
async fn an_answer_of_several_blocks_is_one_text() {
    let image = Block::Image(rmcp::model::ImageContent::new("YQ==", "image/png"));
    let blocks = vec![Block::text("a "), image, Block::text("star")];
    let pair = connected(Scripted::new(vec![Said::blocks(blocks)])).await;
    let result = pair.call(question()).await.unwrap();
    assert_eq!(result["text"], "a star");
    pair.end().await;
}

#[tokio::test]
async fn an_image_goes_to_the_client_with_its_question() {
    let pair = connected(Scripted::new(vec![said("a star"), said("a star")])).await;
    let parts = json!([
        {"type": "text", "text": "what is it?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,YQ=="}},
    ]);
    let asks = json!({"messages": [{"role": "user", "content": parts}]});
    pair.call(asks.clone()).await.unwrap();
    let text = json!({"type": "text", "text": "what is it?"});
    let image = json!({"type": "image", "data": "YQ==", "mimeType": "image/png"});
    assert_eq!(
        pair.asked()[0]["messages"],
        json!([{"role": "user", "content": [text, image]}])
    );
    pair.end().await;

    let old = Scripted::new(vec![said("a star")]).speaking("2025-06-18");
    let pair = connected(old).await;
    pair.call(asks).await.unwrap();
    assert_eq!(
        pair.asked()[0]["messages"],
        json!([{"role": "user", "content": text}, {"role": "user", "content": image}])
    );
    pair.end().await;
}

#[tokio::test]
async fn tools_go_to_clients_that_take_them() {
    let input = json!({"at": "sky"}).as_object().unwrap().clone();
    let calls = Said::blocks(vec![Block::tool_use("1", "look", input)]).stopping("toolUse");
    let tool = json!({"type": "function", "function": {"name": "look"}});
    let asks = json!({
        "messages": [{"role": "user", "content": "q"}],
        "params": {"tools": [tool], "tool_choice": "required"},
    });
    let pair = connected(Scripted::new(vec![calls]).taking_tools()).await;
    let result = pair.call(asks.clone()).await.unwrap();
    assert_eq!(result["finish_reason"], "tool_calls");
    assert_eq!(
        result["tool_calls"],
        json!([{"id": "1", "name": "look", "arguments": r#"{"at":"sky"}"#}])
    );
    let asked = pair.asked().remove(0);
    assert_eq!(asked["toolChoice"], json!({"mode": "required"}));
    assert_eq!(asked["tools"][0]["name"], "look");
    assert_eq!(asked["tools"][0]["inputSchema"], json!({"type": "object"}));
    pair.end().await;

    let pair = connected(Scripted::new(vec![said("never")])).await;
    let error = pair.call(asks).await.unwrap_err();
    assert!(error.starts_with("unsupported: "), "{error}");
    assert!(error.contains("`sampling.tools`"), "{error}");
    assert_eq!(pair.asked(), Vec::<Value>::new());
    pair.end().await;
}

#[tokio::test]
async fn a_client_without_sampling_is_not_asked() {
    let pair = connected(Scripted::new(vec![said("never")]).without_sampling()).await;
    let error = pair.call(question()).await.unwrap_err();
    assert!(error.starts_with("unsupported: "), "{error}");
    assert!(error.contains("`sampling`"), "{error}");
    assert_eq!(pair.asked(), Vec::<Value>::new());
    pair.end().await;
}

#[tokio::test]
async fn what_the_protocol_cannot_put_is_not_sent() {
    let pair = connected(Scripted::new(vec![said("never")])).await;
    let link = json!({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}});
    let asks = json!({"messages": [{"role": "user", "content": [link]}]});
    let error = pair.call(asks).await.unwrap_err();
    assert!(error.starts_with("bad_request: "), "{error}");
    let asks = json!({
        "messages": [{"role": "user", "content": "q"}],
        "params": {"modelPreferences": {"hints": "claude"}},
    });
    let error = pair.call(asks).await.unwrap_err();
    assert!(error.starts_with("bad_request: "), "{error}");
    assert_eq!(pair.asked(), Vec::<Value>::new());
    pair.end().await;
}

#[tokio::test]
async fn the_clients_errors_keep_their_meaning() {
    let told = |code: i32, message: &'static str| {
        Said::Error(ErrorData::new(ErrorCode(code), message, None))
    };
    let cases = [
        (told(-1, "User rejected sampling request"), "rejected: "),
        (told(-32603, "Sampling request rejected"), "rejected: "),
        (told(-32602, "no such role"), "bad_request: "),
        (told(-32601, "Method not found"), "unsupported: "),
        (told(-32001, "Request timed out"), "timeout: "),
        (told(0, "the provider is down"), "server_error: "),
        (said("a").by_a_user(), "bad_response: "),
    ];
    let (answers, expected): (Vec<Said>, Vec<&str>) = cases.into_iter().unzip();
    let pair = connected(Scripted::new(answers)).await;
    for expected in &expected {
        let error = pair.call(question()).await.unwrap_err();
        assert!(error.starts_with(expected), "{expected}{error}");
    }
    // each was asked once
    assert_eq!(pair.asked().len(), expected.len());
    pair.end().await;
}

// the libraries wait for calls under way before they let go of a connection
#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_ends_its_calls() {
    let mut pair = connected(Scripted::new(vec![Said::Nothing])).await;
    let call = pair.begin(question());
    pair.until_asked().await;
    pair.hang_up().await;
    assert!(call.await.unwrap().is_err());
    assert_eq!(pair.served().await, relay::Outcome::NotAnswered);
}
