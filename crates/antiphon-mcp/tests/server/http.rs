//! The server over HTTP: sessions, streams and who may use them.

use std::{sync::Arc, time::Duration};

use antiphon_mcp::{HttpConfig, Principal};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    http_client::{HttpClient, meta, service},
    tools::{ask, echo, endless, tool},
};

#[tokio::test]
async fn a_clients_model_is_asked_on_the_stream_of_the_call_and_on_no_other() {
    let service = service(vec![ask()], HttpConfig::default());
    let client = HttpClient::introduced(&service).await;
    // a server that asked elsewhere would wait for a client that waits for this stream
    let mut stream = client.call(1, "ask").await;
    let asked = stream.next().await.unwrap();
    assert_eq!(asked["method"], "sampling/createMessage");
    client.sampled(&asked, "Ho").await;
    let answer = stream.next().await.unwrap();
    assert_eq!(answer["id"], 1);
    assert_eq!(answer["result"]["structuredContent"]["text"], "Ho");
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn progress_travels_on_the_stream_of_its_call() {
    let counts = tool("counts", async |_arguments, call| {
        call.progress().tell(2, Some(2), None);
        Ok(json!({}))
    });
    let service = service(vec![counts], HttpConfig::default());
    let client = HttpClient::introduced(&service).await;
    let params =
        json!({"name": "counts", "arguments": {"prompt": ""}, "_meta": {"progressToken": 7}});
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let mut stream = client.post(&message).await;
    let told = stream.next().await.unwrap();
    let expected = json!({"progressToken": 7, "progress": 2.0, "total": 2.0});
    assert_eq!(told["params"], expected);
    assert_eq!(stream.next().await.unwrap()["id"], 1);
}

#[tokio::test]
async fn the_newer_era_needs_no_session() {
    let (endless, mut begun) = endless();
    let service = service(vec![echo(), endless], HttpConfig::default());
    let mut client = HttpClient::new(&service);
    client
        .headers
        .insert("mcp-protocol-version", "2026-07-28".parse().unwrap());
    let mut ask = async |method: &'static str, mut params: Value| {
        params["_meta"] = meta();
        client.headers.insert("mcp-method", method.parse().unwrap());
        client.headers.remove("mcp-name");
        if let Some(name) = params["name"].as_str() {
            client.headers.insert("mcp-name", name.parse().unwrap());
        }
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        client.post(&message).await.next().await.unwrap()
    };
    let listed = ask("tools/list", json!({})).await;
    assert_eq!(listed["result"]["tools"][0]["name"], "echo", "{listed}");
    let params = json!({"name": "echo", "arguments": {"prompt": "Hi"}});
    let answer = ask("tools/call", params).await;
    assert_eq!(answer["result"]["structuredContent"]["text"], "Hi");
    assert_eq!(service.sessions(), 0);
    // who hangs up gives the call up
    let params = json!({"name": "endless", "arguments": {"prompt": "Hi"}});
    let dropped = tokio::select! {
        answer = ask("tools/call", params) => panic!("{answer}"),
        dropped = begun.recv() => dropped.unwrap(),
    };
    assert!(dropped.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_in_mid_call_leaves_its_place_in_the_line() {
    let service = service(vec![ask()], HttpConfig::default());
    let client = HttpClient::introduced(&service).await;
    let mut first = client.call(1, "ask").await;
    first.next().await.unwrap();
    let mut second = client.call(2, "ask").await;
    drop(first);
    let asked = second.next().await.unwrap();
    client.sampled(&asked, "2").await;
    let answer = second.next().await.unwrap();
    assert_eq!(answer["result"]["structuredContent"]["text"], "2");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_in_time_gets_its_answer() {
    let config = HttpConfig::default();
    let grace = config.grace;
    let service = service(vec![ask()], config);
    let client = HttpClient::introduced(&service).await;
    let mut broken = client.call(1, "ask").await;
    let asked = broken.next().await.unwrap();
    let last_event = broken.last_event.clone();
    drop(broken);
    tokio::time::advance(grace / 2).await;
    let mut again = client.resume(&last_event).await;
    tokio::time::sleep(grace * 2).await;
    client.sampled(&asked, "Ho").await;
    // what it has seen does not come again: its model would be asked twice
    let answer = again.next().await.unwrap();
    assert_eq!(answer["result"]["structuredContent"]["text"], "Ho");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_comes_back_gives_its_call_up() {
    let (endless, mut begun) = endless();
    let config = HttpConfig::default();
    let grace = config.grace;
    let service = service(vec![endless], config);
    let client = HttpClient::introduced(&service).await;
    let stream = client.call(1, "endless").await;
    let dropped = begun.recv().await.unwrap();
    let left = Instant::now();
    drop(stream);
    assert!(dropped.await.is_err());
    // nothing of its stream had been read, so nobody could come back for it
    assert_eq!(left.elapsed(), Duration::ZERO);
    let mut stream = client.call(2, "endless").await;
    let dropped = begun.recv().await.unwrap();
    assert!(stream.is_named().await);
    let left = Instant::now();
    drop(stream);
    assert!(dropped.await.is_err());
    assert_eq!(left.elapsed().as_secs(), grace.as_secs());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_session_gives_up_its_calls_at_once() {
    let (endless, mut begun) = endless();
    let service = service(vec![endless], HttpConfig::default());
    let client = HttpClient::introduced(&service).await;
    let stream = client.call(1, "endless").await;
    let dropped = begun.recv().await.unwrap();
    let asked = Instant::now();
    assert_eq!(client.end_session().await.status, 204);
    assert!(dropped.await.is_err());
    assert_eq!(asked.elapsed(), Duration::ZERO);
    drop(stream);
    assert_eq!(service.sessions(), 0);
    assert_eq!(client.call(2, "endless").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closes_ends_all_sessions_and_calls() {
    let (endless, mut begun) = endless();
    let service = service(vec![endless], HttpConfig::default());
    let client = HttpClient::introduced(&service).await;
    let mut stream = client.call(1, "endless").await;
    let dropped = begun.recv().await.unwrap();
    let asked = Instant::now();
    service.close();
    assert!(dropped.await.is_err());
    assert_eq!(stream.next().await, None);
    assert_eq!(asked.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_when_nobody_uses_it_and_not_while_a_call_waits() {
    let config = HttpConfig::default();
    let idle = config.idle;
    let service = service(vec![ask()], config);
    let client = HttpClient::introduced(&service).await;
    let mut stream = client.call(1, "ask").await;
    let asked = stream.next().await.unwrap();
    // a person thinks
    tokio::time::sleep(idle * 3).await;
    assert_eq!(service.sessions(), 1);
    client.sampled(&asked, "Ho").await;
    assert_eq!(stream.next().await.unwrap()["id"], 1);
    assert_eq!(stream.next().await, None);
    tokio::time::sleep(idle / 2).await;
    assert_eq!(service.sessions(), 1);
    tokio::time::sleep(idle).await;
    assert_eq!(service.sessions(), 0);
}

#[tokio::test]
async fn one_session_more_takes_the_place_of_an_idle_one_and_never_of_one_in_use() {
    let (endless, mut begun) = endless();
    let config = HttpConfig {
        most_sessions: 2,
        ..HttpConfig::default()
    };
    let service = service(vec![endless], config);
    let used = HttpClient::introduced(&service).await;
    let stream = used.call(1, "endless").await;
    let dropped = begun.recv().await.unwrap();
    let idle = HttpClient::introduced(&service).await;
    let third = HttpClient::introduced(&service).await;
    assert_eq!(service.sessions(), 2);
    assert_eq!(idle.call(1, "endless").await.status, 404);
    let other = third.call(1, "endless").await;
    let refused = HttpClient::new(&service).initialize().await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.headers["retry-after"], "10");
    drop((stream, other, dropped));
}

#[tokio::test]
async fn a_session_is_its_owners_alone() {
    let service = service(vec![echo()], HttpConfig::default());
    let team = |name: &str| Some(Principal(Arc::from(name)));
    let mut client = HttpClient::new(&service);
    client.principal = team("a");
    client.introduce().await;
    for stranger in [team("b"), None] {
        client.principal = stranger;
        assert_eq!(client.call(1, "echo").await.status, 404);
        assert_eq!(client.resume("0/0").await.status, 404);
        assert_eq!(client.end_session().await.status, 404);
    }
    client.principal = team("a");
    assert_eq!(client.call(1, "echo").await.status, 200);
}

#[tokio::test]
async fn pages_of_other_sites_are_refused_whatever_name_they_use() {
    let service = service(vec![echo()], HttpConfig::default());
    for (name, value) in [
        ("host", "evil.example"),
        ("host", "127.0.0.1.evil.example:8000"),
        ("origin", "https://evil.example"),
        ("origin", "http://localhost.evil.example:8000"),
        ("origin", "app://localhost"),
        ("origin", "null"),
    ] {
        let mut client = HttpClient::new(&service);
        client.headers.insert(name, value.parse().unwrap());
        assert_eq!(client.initialize().await.status, 403, "{name}: {value}");
    }
    assert_eq!(service.sessions(), 0);
    let pages = [
        "http://localhost:6274",
        "http://127.0.0.1",
        "https://[::1]:8443",
    ];
    for page in pages {
        let mut client = HttpClient::new(&service);
        client.headers.insert("origin", page.parse().unwrap());
        assert_eq!(client.initialize().await.status, 200, "{page}");
    }
}
