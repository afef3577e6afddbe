//! The end of a server: what callers and observers are told, and who is waited for.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use antiphon_gateway::{
    ServerConfig,
    observe::{CallEnded, Observer},
};
use antiphon_sim::SimConfig;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    bounds::slow_answers,
    rig::{
        ANTHROPIC, OPENAI, Rig, exchange, gateway, question, read_to_end, request, serve, streamed,
        until,
    },
};

/// Keeps what it is told.
#[derive(Debug, Default)]
struct Ends(Mutex<Vec<CallEnded>>);

impl Observer for Ends {
    fn ended(&self, call: &CallEnded) {
        self.0.lock().unwrap().push(call.clone());
    }
}

fn drains_for(millis: u64) -> ServerConfig {
    ServerConfig {
        drain: Duration::from_millis(millis),
        ..ServerConfig::default()
    }
}

/// A provider that begins to answer in this wire format and never ends.
async fn begins(events: &'static str) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 64 << 10];
                let _request = tcp.read(&mut request).await;
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
                let _sent = tcp.write_all(format!("{head}{events}").as_bytes()).await;
                let _left = tcp.read(&mut request).await;
            });
        }
    });
    address
}

const OPENAI_BEGINS: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"small\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"half\"},\"finish_reason\":null}]}\n\n";
const ANTHROPIC_BEGINS: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"small\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"half\"}}\n\n";

#[tokio::test]
async fn a_stream_that_is_cut_off_ends_with_an_error_and_is_told_of() {
    for (path, model, events, end) in [
        (OPENAI, "small", OPENAI_BEGINS, "data: {\"error\":"),
        (ANTHROPIC, "claude", ANTHROPIC_BEGINS, "event: error\n"),
    ] {
        let ends = Arc::new(Ends::default());
        let gateway = gateway(begins(events).await, vec![ends.clone()]);
        let (address, stop, served) = serve(gateway, drains_for(50)).await;
        let mut tcp = TcpStream::connect(address).await.unwrap();
        let body = streamed(model).to_string();
        let asked = request(path, "", body.as_bytes());
        tcp.write_all(&asked).await.unwrap();
        let mut text = String::new();
        while !text.contains("half") {
            let mut piece = [0; 1024];
            let count = tcp.read(&mut piece).await.unwrap();
            assert!(count > 0, "{text}");
            text.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
        stop.send(()).unwrap();
        let rest = read_to_end(tcp).await.text;
        assert!(rest.contains(end), "{rest}");
        assert!(rest.contains("the gateway is stopping"), "{rest}");
        // ended in order: with the last chunk
        assert!(rest.ends_with("\r\n0\r\n\r\n"), "{rest}");
        assert_eq!(served.await.unwrap(), 1);
        let ends = ends.0.lock().unwrap();
        assert_eq!(ends.len(), 1);
        assert_eq!(ends[0].spent.lost_attempts(), 1);
        assert_eq!((ends[0].attempts, ends[0].spent.cost()), (1, None));
    }
}

#[tokio::test]
async fn a_call_that_is_cut_off_gets_its_503() {
    for (path, model) in [(OPENAI, "small"), (ANTHROPIC, "claude")] {
        for body in [question(model), streamed(model)] {
            let rig = Rig::with(drains_for(50), slow_answers()).await;
            let mut tcp = TcpStream::connect(rig.address).await.unwrap();
            let asked = request(path, "", body.to_string().as_bytes());
            tcp.write_all(&asked).await.unwrap();
            until("the call", || rig.asked() == 1).await;
            rig.stop.send(()).unwrap();
            let seen = read_to_end(tcp).await;
            assert_eq!(seen.status(), 503, "{}", seen.text);
            assert_eq!(seen.header("retry-after"), Some("1"));
            assert!(seen.body().contains("the gateway is stopping"));
            assert_eq!(rig.served.await.unwrap(), 1);
        }
    }
}

#[tokio::test]
async fn health_is_answered_while_calls_end_and_new_calls_are_not() {
    let sim = SimConfig {
        latency: Duration::from_millis(600),
        ..SimConfig::default()
    };
    let rig = Rig::with(ServerConfig::default(), sim).await;
    let mut tcp = TcpStream::connect(rig.address).await.unwrap();
    let asked = request(OPENAI, "", streamed("small").to_string().as_bytes());
    tcp.write_all(&asked).await.unwrap();
    until("the call", || rig.asked() == 1).await;
    rig.stop.send(()).unwrap();
    until("the drain", || rig.gateway.is_draining()).await;
    let ready = b"GET /readyz HTTP/1.1\r\nhost: gateway\r\n\r\n";
    let ready = exchange(rig.address, ready).await;
    assert_eq!(ready.status(), 503, "{}", ready.text);
    assert_eq!(ready.header("connection"), Some("close"));
    let late = exchange(rig.address, &asked).await;
    assert_eq!(late.status(), 503, "{}", late.text);
    assert_eq!(late.header("retry-after"), Some("1"));
    assert_eq!(late.header("connection"), Some("close"));
    let seen = read_to_end(tcp).await;
    assert!(seen.text.contains("data: [DONE]"), "{}", seen.text);
    assert_eq!(rig.sim.simulator().ledger().report().asked, 1);
    assert_eq!(rig.served.await.unwrap(), 0);
    assert!(TcpStream::connect(rig.address).await.is_err());
}

#[tokio::test]
async fn a_connection_without_a_call_is_not_waited_for() {
    // a minute, which the test does not have
    let rig = Rig::new(drains_for(60_000)).await;
    let mut peer = TcpStream::connect(rig.address).await.unwrap();
    let asked = b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-le";
    peer.write_all(asked).await.unwrap();
    until("the connection", || rig.asked() == 0).await;
    rig.stop.send(()).unwrap();
    let served = tokio::time::timeout(Duration::from_secs(20), rig.served).await;
    assert_eq!(served.unwrap().unwrap(), 0);
}
