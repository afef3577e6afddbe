//! What clients should not send, and how they leave.

use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    client::Client,
    tools::{echo, endless, tool},
};

#[tokio::test]
async fn garbage_is_passed_over_before_and_after_the_handshake() {
    let garbage = [
        "",
        "hello",
        "{\"jsonrpc\": \"2.0\", \"id\"",
        "\u{1b}[0mnpm notice",
        "\u{0}\u{0}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/nobody-knows\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":{}}",
    ];
    let mut client = Client::connect(vec![echo()]);
    for line in garbage {
        client.send_line(line).await;
    }
    assert_eq!(client.introduce().await["id"], "hello");
    for line in garbage {
        client.send_line(line).await;
    }
    let id = client.call("echo", json!({"prompt": "Hi"})).await;
    assert_eq!(client.next().await["id"], id);
}

#[tokio::test]
async fn json_that_is_no_message_is_refused_and_the_connection_stays() {
    let mut client = Client::introduced(vec![echo()]).await;
    for line in ["[]", "5", "{\"a\":1}"] {
        client.send_line(line).await;
        assert_eq!(client.next().await["error"]["code"], -32600, "{line}");
    }
    client
        .send(&json!({"jsonrpc": "2.0", "id": 7, "method": "tools/none"}))
        .await;
    assert_eq!(client.next().await["error"]["code"], -32601);
    let id = client.call("echo", json!({"prompt": "Hi"})).await;
    assert_eq!(client.next().await["id"], id);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_input_gives_up_what_is_under_way_at_once() {
    let (endless, mut begun) = endless();
    let mut client = Client::introduced(vec![endless]).await;
    client.call("endless", json!({"prompt": ""})).await;
    let dropped = begun.recv().await.unwrap();
    let asked = tokio::time::Instant::now();
    client.hang_up().await;
    assert!(dropped.await.is_err());
    client.served.await.unwrap().unwrap();
    // the library alone waits for five seconds
    assert_eq!(asked.elapsed().as_millis(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_call_has_left_to_others_hears_that_its_client_is_gone() {
    let (begins, mut begun) = mpsc::unbounded_channel();
    let leaves = tool("leaves", move |_arguments, call| {
        let begins = begins.clone();
        async move {
            let _told = begins.send(call.cancelled().clone());
            std::future::pending().await
        }
    });
    let mut client = Client::introduced(vec![leaves]).await;
    client.call("leaves", json!({"prompt": ""})).await;
    let cancelled = begun.recv().await.unwrap();
    assert!(!cancelled.is_cancelled());
    let asked = tokio::time::Instant::now();
    client.hang_up().await;
    cancelled.cancelled().await;
    assert_eq!(asked.elapsed().as_millis(), 0);
    client.served.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_told_to_stop_stops_at_once() {
    let (endless, mut begun) = endless();
    let mut client = Client::introduced(vec![endless]).await;
    client.call("endless", json!({"prompt": ""})).await;
    let dropped = begun.recv().await.unwrap();
    let asked = tokio::time::Instant::now();
    client.stop.cancel();
    assert!(dropped.await.is_err());
    // who still reads hears that the call was given up
    assert_eq!(client.next().await["result"]["isError"], true);
    client.hears_the_end().await;
    client.served.await.unwrap().unwrap();
    assert_eq!(asked.elapsed().as_millis(), 0);
}

#[tokio::test]
async fn a_server_that_nobody_has_talked_to_stops_and_ends_too() {
    let client = Client::connect(vec![echo()]);
    client.stop.cancel();
    client.served.await.unwrap().unwrap();
    let mut client = Client::connect(vec![echo()]);
    client.hang_up().await;
    client.served.await.unwrap().unwrap();
}
