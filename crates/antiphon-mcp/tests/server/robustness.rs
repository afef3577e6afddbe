//! What clients should not send, and how they leave.

use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    client::Client,
    tools::{ask, echo, endless, tool},
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

#[tokio::test]
async fn a_request_that_cannot_be_read_is_refused_under_its_id() {
    let mut client = Client::introduced(vec![echo()]).await;
    let call = |params: &str| {
        format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\",\"params\":{params},\"id\":\"mine\"}}"
        )
    };
    let deep = call(&format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)));
    let long = call(&format!("{{\"a\":\"{}\"}}", "a".repeat(33 << 20)));
    let number = call(&format!("{{\"a\":1{}}}", "0".repeat(400)));
    for line in [
        deep,
        long,
        number,
        call("[1]"),
        call("{\"name\":\"echo\",\"_meta\":7}"),
    ] {
        client.send_line(&line).await;
        let answer = client.next().await;
        assert_eq!(
            (&answer["id"], &answer["error"]["code"]),
            (&json!("mine"), &json!(-32600))
        );
    }
    for params in ["{\"name\":7}", "{\"name\":\"echo\",\"arguments\":[]}", "{}"] {
        client.send_line(&call(params)).await;
        let error = client.next().await["error"].take();
        assert_eq!(error["code"], -32602, "{error}");
        assert!(
            error["message"].as_str().unwrap().contains("`arguments`"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_ends_its_call() {
    let mut client = Client::introduced(vec![ask()]).await;
    let cases = [
        ("\"error\":{\"code\":-1}", "rejected: "),
        ("\"error\":{\"code\":1.5,\"message\":\"odd\"}", "odd"),
        ("\"error\":{\"message\":\"no code\"}", "no code"),
        ("\"error\":\"words\"", "words"),
        ("\"error\":null", "cannot be read"),
        (
            "\"result\":{},\"error\":{\"code\":-1,\"message\":\"\"}",
            "rejected: ",
        ),
    ];
    for (answer, expected) in cases {
        let id = client.call("ask", json!({"prompt": "Hi"})).await;
        let asked = client.next().await["id"].take();
        client
            .send_line(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{asked},{answer}}}"))
            .await;
        let told = client.next().await;
        assert_eq!(told["id"], id);
        let text = told["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(expected), "{answer}: {text}");
    }
}

#[tokio::test]
async fn no_two_calls_are_under_way_under_one_id() {
    let (endless, mut begun) = endless();
    let mut client = Client::introduced(vec![endless, echo()]).await;
    let call = |name| json!({"jsonrpc": "2.0", "id": "one", "method": "tools/call", "params": {"name": name, "arguments": {"prompt": ""}}});
    client.send(&call("endless")).await;
    let dropped = begun.recv().await.unwrap();
    client.send(&call("echo")).await;
    assert_eq!(client.next().await["error"]["code"], -32600);
    let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "one"}});
    client.send(&cancelled).await;
    assert!(dropped.await.is_err());
    for _twice in 0..2 {
        client.send(&call("echo")).await;
        assert_eq!(client.next().await["result"]["isError"], false);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_not_read_without_end() {
    let mut client = Client::introduced(vec![echo()]).await;
    let list = json!({"jsonrpc": "2.0", "id": 0, "method": "tools/list"});
    let mut sent = 0_u64;
    let asking = async {
        loop {
            let mut list = list.clone();
            list["id"] = json!(sent);
            client.send(&list).await;
            sent += 1;
        }
    };
    // time goes on only where nothing else does
    let stopped = tokio::time::timeout(std::time::Duration::from_secs(60), asking).await;
    assert!(stopped.is_err());
    assert!((4096..40_000).contains(&sent), "{sent}");
    // nothing is lost, and who reads is heard again
    for _ in 0..sent {
        assert!(client.next().await["result"]["tools"].is_array());
    }
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
