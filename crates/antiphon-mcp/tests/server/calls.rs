//! Calls: what they are told, how they tell, how they are given up.

use serde_json::{Value, json};

use crate::{
    client::Client,
    tools::{ask, broken, echo, endless, tool},
};

#[tokio::test]
async fn a_client_is_told_what_the_tools_take_give_and_change() {
    let mut client = Client::connect(vec![echo()]);
    let answer = client.introduce().await;
    let about = &answer["result"];
    assert_eq!(about["serverInfo"]["name"], "antiphon");
    assert_eq!(about["serverInfo"]["title"], "Antiphon");
    assert_eq!(about["instructions"], "use them");
    client
        .send(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}))
        .await;
    let tool = &client.next().await["result"]["tools"][0];
    assert_eq!(tool["inputSchema"]["required"], json!(["prompt"]));
    assert_eq!(tool["outputSchema"]["type"], "object");
    assert_eq!(
        tool["annotations"],
        json!({"readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": true})
    );
}

#[tokio::test]
async fn the_newer_era_is_told_the_same_without_a_handshake() {
    let mut client = Client::connect(vec![echo()]);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    for (id, method) in [(1, "server/discover"), (2, "tools/list")] {
        client
            .send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {"_meta": meta}}))
            .await;
    }
    let discovered = client.next().await;
    assert_eq!(
        discovered["result"]["instructions"], "use them",
        "{discovered}"
    );
    let listed = client.next().await;
    assert_eq!(listed["result"]["tools"][0]["name"], "echo", "{listed}");
    let params = json!({"name": "echo", "arguments": {"prompt": "Hi"}, "_meta": meta});
    client.call_with(params).await;
    assert_eq!(
        client.next().await["result"]["structuredContent"],
        json!({"text": "Hi"})
    );
}

#[tokio::test]
async fn a_result_is_structured_and_the_same_as_text() {
    let mut client = Client::introduced(vec![echo()]).await;
    client.call("echo", json!({"prompt": "Hi"})).await;
    let result = &client.next().await["result"];
    assert_eq!(result["structuredContent"], json!({"text": "Hi"}));
    let text = result["content"][0]["text"].as_str().unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(text).unwrap(),
        json!({"text": "Hi"})
    );
}

#[tokio::test]
async fn a_slip_in_a_name_is_told_with_what_there_is() {
    let mut client = Client::introduced(vec![echo(), ask()]).await;
    client.call("ehco", json!({})).await;
    let error = &client.next().await["error"];
    assert_eq!(error["code"], -32602);
    assert_eq!(
        error["message"],
        "no tool is called \"ehco\"; there are echo, ask"
    );
    client.call("echo", json!({"promt": "Hi"})).await;
    let result = &client.next().await["result"];
    assert_eq!(result["isError"], true);
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(
        text.contains("there is no field \"promt\": \"prompt\" is near"),
        "{text}"
    );
}

#[tokio::test]
async fn a_panic_ends_its_own_call_with_a_result() {
    let mut client = Client::introduced(vec![broken(), echo()]).await;
    let id = client.call("broken", json!({"prompt": ""})).await;
    let answer = client.next().await;
    assert_eq!(answer["id"], id);
    assert_eq!(answer["result"]["isError"], true);
    client.call("echo", json!({"prompt": "Hi"})).await;
    assert_eq!(
        client.next().await["result"]["structuredContent"]["text"],
        "Hi"
    );
}

#[tokio::test]
async fn progress_is_told_where_it_was_asked_for_and_ends_before_the_answer() {
    let counts = tool("counts", async |_arguments, call| {
        for done in 1..=50 {
            call.progress()
                .tell(done, Some(50), Some(format!("{done} are done")));
            tokio::task::yield_now().await;
        }
        Ok(json!({}))
    });
    let mut client = Client::introduced(vec![counts]).await;
    client.call("counts", json!({"prompt": ""})).await;
    assert!(client.next().await["result"].is_object());
    let params =
        json!({"name": "counts", "arguments": {"prompt": ""}, "_meta": {"progressToken": "t"}});
    let id = client.call_with(params).await;
    let mut told = Vec::new();
    let answer = loop {
        let message = client.next().await;
        match message["method"].as_str() {
            Some("notifications/progress") => told.push(message["params"].clone()),
            _ => break message,
        }
    };
    assert_eq!(answer["id"], id);
    let last = told.last().unwrap();
    assert_eq!(
        *last,
        json!({"progressToken": "t", "progress": 50.0, "total": 50.0, "message": "50 are done"})
    );
    assert!(told.len() < 10, "{told:?}");
    let done: Vec<f64> = told
        .iter()
        .map(|told| told["progress"].as_f64().unwrap())
        .collect();
    assert!(done.is_sorted_by(|a, b| a < b), "{done:?}");
}

#[tokio::test]
async fn a_call_that_is_cancelled_is_dropped_and_not_answered() {
    let (endless, mut begun) = endless();
    let mut client = Client::introduced(vec![endless, echo()]).await;
    let id = client.call("endless", json!({"prompt": ""})).await;
    let dropped = begun.recv().await.unwrap();
    client.cancel(id).await;
    assert!(dropped.await.is_err());
    let id = client.call("echo", json!({"prompt": "Hi"})).await;
    assert_eq!(client.next().await["id"], id);
}

#[tokio::test]
async fn a_cancelled_call_withdraws_what_it_asked_and_leaves_its_place_in_the_line() {
    let mut client = Client::introduced(vec![ask()]).await;
    let first = client.call("ask", json!({"prompt": "one"})).await;
    let asked = client.next().await;
    assert_eq!(asked["method"], "sampling/createMessage");
    let second = client.call("ask", json!({"prompt": "two"})).await;
    client.cancel(first).await;
    // both come, in any order
    let (mut withdrawn, mut next) = (None, None);
    while withdrawn.is_none() || next.is_none() {
        let message = client.next().await;
        match message["method"].as_str() {
            Some("notifications/cancelled") => withdrawn = Some(message),
            Some("sampling/createMessage") => next = Some(message),
            other => panic!("{other:?}: {message}"),
        }
    }
    assert_eq!(withdrawn.unwrap()["params"]["requestId"], asked["id"]);
    let next = next.unwrap();
    let result =
        json!({"role": "assistant", "content": {"type": "text", "text": "2"}, "model": "m"});
    client
        .send(&json!({"jsonrpc": "2.0", "id": next["id"], "result": result}))
        .await;
    let answer = client.next().await;
    assert_eq!(answer["id"], second);
    assert_eq!(answer["result"]["structuredContent"]["text"], "2");
}
