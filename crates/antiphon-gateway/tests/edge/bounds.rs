//! Bounds: of heads, bodies, calls and connections; and the end of a server.

use std::time::Duration;

use antiphon_gateway::{BodyLimits, ServerConfig};
use antiphon_sim::SimConfig;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::rig::{
    ANTHROPIC, OPENAI, Rig, exchange, question, read_to_end, request, streamed, until,
};

pub(crate) fn slow_answers() -> SimConfig {
    SimConfig {
        latency: Duration::from_secs(60),
        ..SimConfig::default()
    }
}

#[tokio::test]
async fn heads_have_a_size_and_a_number() {
    let rig = Rig::new(ServerConfig::default()).await;
    let body = question("small").to_string();
    let with = async |headers: &str| {
        exchange(rig.address, &request(OPENAI, headers, body.as_bytes())).await
    };
    // four are there without them
    assert_eq!(with(&"a: b\r\n".repeat(96)).await.status(), 200);
    let many = with(&"a: b\r\n".repeat(97)).await;
    assert_eq!(many.status(), 431);
    assert!(many.message().ends_with("more than 100 headers"));
    assert_eq!(
        with(&format!("a: {}\r\n", "b".repeat(65_000)))
            .await
            .status(),
        200
    );
    let large = with(&format!("a: {}\r\n", "b".repeat(66_000))).await;
    assert_eq!(large.status(), 431);
    assert!(large.message().ends_with("headers of more than 64 KiB"));
    assert_eq!(rig.asked(), 2);
}

#[tokio::test]
async fn bodies_that_are_too_large_are_refused_before_they_are_read() {
    let rig = Rig::new(ServerConfig {
        body: BodyLimits {
            largest: 1 << 20,
            ..BodyLimits::default()
        },
        ..ServerConfig::default()
    })
    .await;
    for path in [OPENAI, ANTHROPIC] {
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1048577\r\n\r\n");
        let seen = exchange(rig.address, head.as_bytes()).await;
        assert_eq!(seen.status(), 413, "{}", seen.text);
        assert_eq!(seen.message(), "the body is larger than 1 MiB");
    }
    // a client that sends it all at once gets to read why, all the same
    let seen = exchange(rig.address, &request(OPENAI, "", &vec![b'x'; 8 << 20])).await;
    assert_eq!(seen.status(), 413);
    let chunk = format!("80000\r\n{}\r\n", "x".repeat(0x80000));
    let head =
        format!("POST {OPENAI} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n");
    let seen = exchange(
        rig.address,
        format!("{head}{chunk}{chunk}{chunk}").as_bytes(),
    )
    .await;
    assert_eq!(seen.status(), 413, "{}", seen.text);
    assert_eq!(rig.asked(), 0);
}

#[tokio::test]
async fn large_bodies_have_a_bound_for_all_of_them() {
    let config = ServerConfig {
        body: BodyLimits {
            all: 1 << 20,
            ..BodyLimits::default()
        },
        ..ServerConfig::default()
    };
    let rig = Rig::new(config).await;
    let head =
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 900000\r\n\r\n";
    let mut first = TcpStream::connect(rig.address).await.unwrap();
    first.write_all(head.as_bytes()).await.unwrap();
    until("the first body", || rig.gateway.calls_under_way() == 1).await;
    let second = exchange(rig.address, head.as_bytes()).await;
    assert_eq!(
        (second.status(), second.header("retry-after")),
        (503, Some("1"))
    );
    assert!(
        second
            .message()
            .contains("as many large requests as it can")
    );
    let chunk = format!("40000\r\n{}\r\n", "x".repeat(0x40000));
    let chunked = format!(
        "POST {OPENAI} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n{chunk}"
    );
    assert_eq!(
        exchange(rig.address, chunked.as_bytes()).await.status(),
        503
    );
    // small ones are no matter
    assert_eq!(rig.post(OPENAI, &question("small")).await.status(), 200);
    drop(first);
    until("the end of the first", || {
        rig.gateway.calls_under_way() == 0
    })
    .await;
    let mut large = question("small");
    large["padding"] = "x".repeat(900_000).into();
    assert_eq!(rig.post(OPENAI, &large).await.status(), 200);
}

#[tokio::test]
async fn announced_bodies_take_no_room_before_they_come() {
    let config = ServerConfig {
        body: BodyLimits {
            all: 8 << 20,
            ..BodyLimits::default()
        },
        ..ServerConfig::default()
    };
    let rig = Rig::new(config).await;
    let head =
        format!("POST {OPENAI} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 33000000\r\n\r\n");
    let mut announced = Vec::new();
    for count in 1..=5 {
        let mut tcp = TcpStream::connect(rig.address).await.unwrap();
        tcp.write_all(head.as_bytes()).await.unwrap();
        until("a body", || rig.gateway.calls_under_way() == count).await;
        announced.push(tcp);
    }
    let mut large = question("small");
    large["padding"] = "x".repeat(1 << 20).into();
    assert_eq!(rig.post(OPENAI, &large).await.status(), 200);
}

#[tokio::test]
async fn values_that_fill_memory_are_refused_before_they_are_read() {
    let rig = Rig::new(ServerConfig::default()).await;
    let numbers = |count: usize| {
        let mut body = question("small");
        body["padding"] = vec![0; count].into();
        body
    };
    for path in [OPENAI, ANTHROPIC] {
        let seen = rig.post(path, &numbers(1_000_001)).await;
        assert_eq!(seen.status(), 413, "{}", seen.text);
        assert!(seen.message().contains("more than 1000000 values"));
    }
    assert_eq!(rig.asked(), 0);
    assert_eq!(rig.post(OPENAI, &numbers(900_000)).await.status(), 200);
    // prose is one value, whatever its commas
    let mut prose = question("small");
    prose["padding"] = ",:[{\"".repeat(400_000).into();
    assert_eq!(rig.post(OPENAI, &prose).await.status(), 200);
    let config = ServerConfig {
        body: BodyLimits {
            all: 4 << 20,
            ..BodyLimits::default()
        },
        ..ServerConfig::default()
    };
    let narrow = Rig::new(config).await;
    assert_eq!(narrow.post(OPENAI, &numbers(100_000)).await.status(), 503);
    assert_eq!(narrow.post(OPENAI, &numbers(20_000)).await.status(), 200);
}

#[tokio::test]
async fn calls_beyond_the_bound_are_refused_at_once_and_nothing_else_is() {
    let config = ServerConfig {
        max_calls: 1,
        ..ServerConfig::default()
    };
    let rig = Rig::with(config, slow_answers()).await;
    let first = request(OPENAI, "", streamed("small").to_string().as_bytes());
    let mut tcp = TcpStream::connect(rig.address).await.unwrap();
    tcp.write_all(&first).await.unwrap();
    until("the first call", || rig.asked() == 1).await;
    for path in [OPENAI, ANTHROPIC] {
        let seen = rig.post(path, &question("small")).await;
        assert_eq!(
            (seen.status(), seen.header("retry-after")),
            (503, Some("1"))
        );
        assert!(
            seen.message()
                .contains("as many calls under way as it takes")
        );
    }
    let models = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert_eq!(exchange(rig.address, models).await.status(), 200);
    assert_eq!((rig.asked(), rig.gateway.calls_under_way()), (1, 1));
    drop(tcp);
    until("the end of the first call", || {
        rig.gateway.calls_under_way() == 0
    })
    .await;
    rig.sim.simulator().configure(SimConfig::default());
    assert_eq!(rig.post(OPENAI, &question("small")).await.status(), 200);
}

#[tokio::test]
async fn a_caller_that_hangs_up_frees_its_call() {
    let rig = Rig::with(ServerConfig::default(), slow_answers()).await;
    for (path, body) in [
        (OPENAI, question("small")),
        (OPENAI, streamed("small")),
        (ANTHROPIC, question("claude")),
        (ANTHROPIC, streamed("claude")),
    ] {
        let mut tcp = TcpStream::connect(rig.address).await.unwrap();
        let asked = rig.asked();
        tcp.write_all(&request(path, "", body.to_string().as_bytes()))
            .await
            .unwrap();
        until("the call", || rig.asked() > asked).await;
        drop(tcp);
        let ledger = rig.sim.simulator().ledger();
        until("the end of the call", || ledger.report().in_flight == 0).await;
        until("its end here", || rig.gateway.calls_under_way() == 0).await;
    }
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_one_that_ends() {
    let rig = Rig::new(ServerConfig {
        max_connections: 1,
        header_timeout: Duration::from_millis(150),
        ..ServerConfig::default()
    })
    .await;
    let silent = TcpStream::connect(rig.address).await.unwrap();
    let answered = rig.post(OPENAI, &question("small")).await;
    assert_eq!(answered.status(), 200);
    // which could only be once the silent one was closed
    assert_eq!(read_to_end(silent).await.text, "");
}

#[tokio::test]
async fn a_server_that_stops_lets_streams_end_and_takes_nothing_new() {
    let rig = Rig::with(
        ServerConfig::default(),
        SimConfig {
            latency: Duration::from_millis(400),
            ..SimConfig::default()
        },
    )
    .await;
    let idle = TcpStream::connect(rig.address).await.unwrap();
    let mut tcp = TcpStream::connect(rig.address).await.unwrap();
    tcp.write_all(&request(
        OPENAI,
        "",
        streamed("small").to_string().as_bytes(),
    ))
    .await
    .unwrap();
    until("the call", || rig.asked() == 1).await;
    rig.stop.send(()).unwrap();
    until("the end of listening", || rig.gateway.is_draining()).await;
    assert_eq!(read_to_end(idle).await.text, "");
    let seen = read_to_end(tcp).await;
    assert!(seen.text.contains("data: [DONE]"), "{}", seen.text);
    assert_eq!(rig.served.await.unwrap(), 0);
    assert!(TcpStream::connect(rig.address).await.is_err());
}
