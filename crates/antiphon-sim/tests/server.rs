//! The server beyond its answers: keys, limits, bad requests, outages, HTTP/2, TLS, stopping.

mod rig;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use antiphon_core::SystemClock;
use antiphon_sim::{SimConfig, SimServer, Simulator, Window};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rig::{ANTHROPIC, OPENAI, get, post, post_with, question, read, send, serve};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::{Value, json};
use tokio::net::TcpStream;

#[tokio::test]
async fn limits_are_enforced_for_each_key_and_told_in_both_dialects() {
    let server = serve(SimConfig {
        rpm: Some(2),
        tpm: Some(100_000),
        window: Window::Minute,
        ..SimConfig::default()
    })
    .await;
    let openai = question(OPENAI, "hello", false);
    let first = post(&server, OPENAI, &openai).await;
    assert_eq!(first.header("x-ratelimit-limit-requests"), Some("2"));
    assert_eq!(first.header("x-ratelimit-remaining-requests"), Some("1"));
    assert_eq!(first.header("x-ratelimit-reset-requests"), Some("1m0s"));
    let used = first.json()["usage"]["total_tokens"].as_u64().unwrap();
    assert_eq!(
        first.header("x-ratelimit-remaining-tokens"),
        Some((100_000 - used).to_string().as_str())
    );
    assert_eq!(post(&server, OPENAI, &openai).await.status, 200);
    let refused = post(&server, OPENAI, &openai).await;
    assert_eq!(
        (refused.status, refused.json()["error"]["code"].as_str()),
        (429, Some("rate_limit_exceeded"))
    );
    let millis: u64 = refused.header("retry-after-ms").unwrap().parse().unwrap();
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(millis <= 60_000 && seconds == millis.div_ceil(1000));
    assert_eq!(refused.header("x-ratelimit-remaining-requests"), Some("0"));

    let anthropic = question(ANTHROPIC, "hello", false);
    assert_eq!(post(&server, ANTHROPIC, &anthropic).await.status, 429);
    let other = post_with(&server, ANTHROPIC, &anthropic, "x-api-key: other\r\n").await;
    assert_eq!(
        other.header("anthropic-ratelimit-requests-limit"),
        Some("2")
    );
    let reset = other.header("anthropic-ratelimit-requests-reset").unwrap();
    assert!(reset.len() == 20 && reset.ends_with('Z'), "{reset}");
    let ledger = get(&server, "/sim/ledger").await.json();
    assert_eq!(
        (
            &ledger["rate_limited"],
            &ledger["answered"],
            &ledger["max_in_any_60s"]
        ),
        (&json!(2), &json!(3), &json!(3))
    );
}

#[tokio::test]
async fn keys_are_checked_in_the_dialect() {
    let server = serve(SimConfig::default()).await;
    let openai = question(OPENAI, "hello", false);
    let seen = post_with(&server, OPENAI, &openai, "authorization: Bearer wrong\r\n").await;
    assert_eq!(
        (seen.status, seen.json()["error"]["code"].as_str()),
        (401, Some("invalid_api_key"))
    );
    let anthropic = question(ANTHROPIC, "hello", false);
    let seen = post_with(&server, ANTHROPIC, &anthropic, "x-api-key: wrong\r\n").await;
    assert_eq!(
        (seen.status, seen.json()["error"]["type"].as_str()),
        (401, Some("authentication_error"))
    );
    assert_eq!(server.simulator().ledger().report().rejected, 2);

    let server = serve(SimConfig {
        keys: Some(vec!["k1".into()]),
        ..SimConfig::default()
    })
    .await;
    assert_eq!(post(&server, OPENAI, &openai).await.status, 401);
    assert_eq!(
        post_with(&server, OPENAI, &openai, "authorization: Bearer k1\r\n")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn bad_requests_are_refused_in_the_dialect() {
    let server = serve(SimConfig::default()).await;
    for path in [OPENAI, ANTHROPIC] {
        for body in [
            "",
            "{",
            "[]",
            r#"{"model":"m"}"#,
            r#"{"model":"m","messages":[],"max_tokens":1}"#,
            r#"{"messages":[{"role":"user","content":"x"}]}"#,
        ] {
            let seen =
                read(send(&server, &format!("POST {path}"), "", body.as_bytes()).await).await;
            assert_eq!(
                (seen.status, &seen.json()["error"]["type"]),
                (400, &json!("invalid_request_error")),
                "{body}"
            );
        }
        let missing = json!({"model": "missing-x", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]});
        assert_eq!(post(&server, path, &missing).await.status, 404);
        let long = question(path, &"word ".repeat(110_000), false);
        let seen = post(&server, path, &long).await;
        let error = &seen.json()["error"];
        assert_eq!(seen.status, 400);
        assert!(
            error["code"] == "context_length_exceeded"
                || error["message"].as_str().unwrap().contains("too long")
        );
    }
    let mut capless = question(ANTHROPIC, "x", false);
    capless.as_object_mut().unwrap().remove("max_tokens");
    assert_eq!(post(&server, ANTHROPIC, &capless).await.status, 400);
    let huge = read(
        send(
            &server,
            "POST /v1/chat/completions",
            "",
            &vec![b' '; (32 << 20) + 1],
        )
        .await,
    )
    .await;
    assert!(huge.status == 413 || huge.error.is_some(), "{huge:?}");
    assert_eq!(get(&server, "/elsewhere").await.status, 404);
    assert_eq!(get(&server, OPENAI).await.status, 405);
    let models = get(&server, "/v1/models").await.json();
    assert_eq!(
        (&models["object"], &models["data"][0]["object"]),
        (&json!("list"), &json!("model"))
    );
}

#[tokio::test]
async fn the_weather_changes_while_it_runs() {
    let server = serve(SimConfig::default()).await;
    let ask = question(OPENAI, "hello", false);
    let set = async |change: Value| post(&server, "/sim/config", &change).await;
    assert_eq!(set(json!({"outage": "503"})).await.json()["outage"], "503");
    assert_eq!(post(&server, OPENAI, &ask).await.status, 503);
    set(json!({"outage": true})).await;
    assert_eq!(post(&server, OPENAI, &ask).await.status, 0);
    assert_eq!(get(&server, "/sim/ledger").await.json()["outage_calls"], 2);
    let told = set(json!({"outage": false, "fail": ["529=1"], "rpm": 5}))
        .await
        .json();
    assert_eq!(
        (&told["fail"], &told["rpm"]),
        (&json!(["529=1"]), &json!(5))
    );
    assert_eq!(post(&server, OPENAI, &ask).await.status, 529);
    assert_eq!(
        set(json!({"fail": [], "rpm": null})).await.json()["rpm"],
        Value::Null
    );
    assert_eq!(post(&server, OPENAI, &ask).await.status, 200);
    for wrong in [
        json!({"fial": []}),
        json!({"fail": ["rezet=1"]}),
        json!({"jitter": 7}),
        json!({"outage": "maybe"}),
    ] {
        let seen = set(wrong).await;
        assert!(seen.status == 400 && seen.json()["error"]["message"].is_string());
    }
    let ledger = get(&server, "/sim/ledger?prompts=1").await.json();
    assert_eq!(
        (&ledger["asked"], &ledger["prompts"][0]["answered"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(post(&server, "/sim/reset", &json!({})).await.status, 200);
    assert_eq!(
        get(&server, "/sim/ledger").await.json()["distinct_prompts"],
        0
    );
}

#[tokio::test]
async fn tls_offers_http_2_and_bounds_its_streams() {
    let folder = std::env::temp_dir().join(format!("antiphon-sim-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("certificate.pem");
    let config = SimConfig {
        tls_certificate: Some(path.clone()),
        max_streams: 2,
        latency: Duration::from_millis(20),
        ..SimConfig::default()
    };
    let server = serve(config).await;
    assert!(server.url().starts_with("https://127.0.0.1:"));
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(&path).unwrap())
        .unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(server.address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let tls = tokio_rustls::TlsConnector::from(Arc::new(client))
        .connect(name, tcp)
        .await
        .unwrap();
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls))
            .await
            .unwrap();
    tokio::spawn(connection);
    let ask = async |number: usize| {
        let body = question(OPENAI, &number.to_string(), false).to_string();
        let request = http::Request::post("https://localhost/v1/chat/completions")
            .body(Full::new(bytes::Bytes::from(body)));
        let mut sender = sender.clone();
        let response = sender.send_request(request.unwrap()).await.unwrap();
        let status = response.status();
        response.into_body().collect().await.unwrap();
        status
    };
    // the first answer brings the server's settings
    assert_eq!(ask(0).await, 200);
    let all = futures_util::future::join_all((1..8).map(ask)).await;
    assert!(all.iter().all(|status| *status == 200));
    let report = server.simulator().ledger().report();
    assert_eq!(
        (report.answered, report.connections, report.peak_in_flight),
        (8, 1, 2)
    );
}

#[tokio::test]
async fn a_reset_on_http_2_ends_the_stream_and_not_the_connection() {
    let config = SimConfig {
        fail: vec!["reset=1".parse().unwrap()],
        ..SimConfig::default()
    };
    let server = serve(config).await;
    let tcp = TcpStream::connect(server.address()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tcp))
            .await
            .unwrap();
    tokio::spawn(connection);
    let mut ask = async || {
        let body = question(OPENAI, "x", false).to_string();
        let request = http::Request::post("http://sim/v1/chat/completions")
            .body(Full::new(bytes::Bytes::from(body)));
        sender
            .send_request(request.unwrap())
            .await
            .map(|response| response.status().as_u16())
            .ok()
    };
    assert_eq!(ask().await, None);
    server.simulator().configure(SimConfig::default());
    assert_eq!(ask().await, Some(200));
}

#[tokio::test]
async fn answers_under_way_are_finished_when_it_stops() {
    let (latency, stop) = (Duration::from_millis(50), tokio::sync::Notify::new());
    let simulator = Simulator::new(
        SimConfig {
            latency,
            ..SimConfig::default()
        },
        SystemClock::shared(),
    );
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = SimServer::bind(address, simulator.clone()).await.unwrap();
    let address = server.address();
    let asked = async {
        let body = question(OPENAI, "hello", false).to_string();
        let head = format!(
            "POST {OPENAI} HTTP/1.1\r\nhost: sim\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let mut tcp = TcpStream::connect(address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut tcp, head.as_bytes())
            .await
            .unwrap();
        while simulator.ledger().report().in_flight == 0 {
            tokio::task::yield_now().await;
        }
        stop.notify_one();
        read(tcp).await
    };
    let (seen, ()) = tokio::join!(asked, server.run(stop.notified()));
    assert!(seen.status == 200 && seen.complete);
    assert!(TcpStream::connect(address).await.is_err());
}
