//! States that are not ours, calls that are declined, clients that lend no model.

use std::time::Duration;

use rmcp::{
    model::{CallToolRequestParams, ErrorCode, ErrorData},
    service::{ClientLifecycleMode, ServiceError},
};
use serde_json::{Value, json};

use crate::{spread, support::*};

async fn error_of(client: &Connected, request: CallToolRequestParams) -> ErrorData {
    match Turn::of(client, request).await {
        Err(ServiceError::McpError(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// It is refused with words, and the tool has not run.
async fn assert_refused(client: &Connected, tool: &Scripted, request: CallToolRequestParams) {
    let runs = tool.runs();
    let error = error_of(client, request).await;
    assert_eq!(error.code, ErrorCode::INVALID_PARAMS);
    assert!(
        error
            .message
            .contains("call the tool again from the beginning"),
        "{error:?}"
    );
    assert_eq!(tool.runs(), runs);
}

fn with_state(request: &CallToolRequestParams, state: &str) -> CallToolRequestParams {
    request.clone().with_request_state(state)
}

#[tokio::test(start_paused = true)]
async fn a_state_is_only_good_for_the_call_and_the_client_it_was_given_to() {
    let tool = spread();
    let server = server(&tool);
    let client = connected(&server, DESK).await;
    let request = call(&tool, json!({"prompts": ["a"]}));
    let asked = Turn::of(&client, request.clone()).await.unwrap().asked();
    let good = asked.answered(|_| Some(said("A")));
    let state = good.request_state.clone().unwrap();

    let at = state.len() / 2;
    let changed = if &state[at..=at] == "A" { "B" } else { "A" };
    let changed = format!("{}{changed}{}", &state[..at], &state[at + 1..]);
    for forged in ["", "rs1", "x.y.z", &state[1..], &changed] {
        assert_refused(&client, &tool, with_state(&good, forged)).await;
    }
    let mut others = good.clone();
    others.arguments = call(&tool, json!({"prompts": ["b"]})).arguments;
    assert_refused(&client, &tool, others).await;

    let desk = Desk {
        name: "another",
        ..DESK
    };
    let another = connected(&server, desk).await;
    assert_refused(&another, &tool, good.clone()).await;

    let mut lost = good.clone();
    lost.request_state = None;
    assert_refused(&client, &tool, lost).await;

    // all that has not spoilt it
    let done = Turn::of(&client, good).await.unwrap().done();
    assert_eq!(done, json!({"told": ["A"]}));
}

#[tokio::test(start_paused = true)]
async fn a_state_is_good_for_an_hour() {
    let tool = spread();
    let client = connected(&server(&tool), DESK).await;
    let request = call(&tool, json!({"prompts": ["a"]}));
    let asked = Turn::of(&client, request).await.unwrap().asked();
    let good = asked.answered(|_| Some(said("A")));
    tokio::time::advance(Duration::from_secs(3590)).await;
    let done = Turn::of(&client, good.clone()).await.unwrap().done();
    assert_eq!(done, json!({"told": ["A"]}));
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_refused(&client, &tool, good).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_declined_fails_alone() {
    let tool = spread();
    let client = connected(&server(&tool), DESK).await;
    let request = call(&tool, json!({"prompts": ["a", "b", "c", "d", "e"]}));
    let asked = Turn::of(&client, request).await.unwrap().asked();
    let says = |prompt: &str| match prompt {
        "b" => Some(json!({"code": -1, "message": "User rejected sampling request"})),
        "c" => Some(json!({"code": -32603, "message": "no model"})),
        "d" => Some(json!(["no", "result"])),
        "e" => None,
        other => Some(said(other)),
    };
    // what was left out is asked again, alone, and has been declined when it is left out again
    let again = Turn::of(&client, asked.answered(says))
        .await
        .unwrap()
        .asked();
    assert_eq!(again.prompts(), ["e"]);
    let done = Turn::of(&client, again.answered(|_| None))
        .await
        .unwrap()
        .done();
    let told: Value = json!(["a", "rejected", "server_error", "bad_response", "rejected"]);
    assert_eq!(done["told"], told);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_lends_no_model_is_told_what_is_lacking() {
    let tool = spread();
    let server = server(&tool);
    let desk = Desk {
        lends: false,
        ..DESK
    };
    let client = connected(&server, desk.clone()).await;
    let request = call(&tool, json!({"prompts": ["a"]}));
    let error = error_of(&client, request.clone()).await;
    assert_eq!(error.code, ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY);
    assert_eq!(
        error.data,
        Some(json!({"requiredCapabilities": {"sampling": {}}}))
    );
    assert!(error.message.contains("`sampling`"), "{error:?}");

    // the older era knows no such error
    let client = connected_as(&server, desk, ClientLifecycleMode::Initialize).await;
    match Turn::of(&client, request).await.unwrap() {
        Turn::Done(result) => assert_eq!(result.is_error, Some(true)),
        Turn::Asked(asked) => panic!("{asked:?}"),
    }
}
