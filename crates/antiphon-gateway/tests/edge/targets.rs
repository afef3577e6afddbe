//! No request decides where the gateway connects, or what it says there beside its body.

use std::sync::atomic::Ordering::SeqCst;

use antiphon_gateway::ServerConfig;
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::rig::{
    OPENAI, Rig, Upstream, exchange, gateway, question, request, serve, streamed, until,
};

#[tokio::test]
async fn no_field_header_or_target_leads_anywhere_else() {
    let rig = Rig::new(ServerConfig::default()).await;
    let elsewhere = Upstream::endless().await;
    let at = elsewhere.address;
    let url = format!("http://{at}/v1");
    let mut asked = 0;
    for field in [
        "api_base",
        "base_url",
        "api_url",
        "endpoint",
        "url",
        "proxy",
        "custom_llm_provider",
        "api_key",
        "provider",
    ] {
        let mut body = question("small");
        body[field] = json!(url);
        body["extra_body"] = json!({field: url});
        body["metadata"] = json!({field: url});
        let seen = rig.post(OPENAI, &body).await;
        assert_eq!(seen.status(), 200, "{field}: {}", seen.text);
        asked += 1;
    }
    let body = question("small").to_string();
    for name in [
        "x-api-base",
        "x-base-url",
        "x-forwarded-host",
        "x-original-url",
        "x-rewrite-url",
        "forwarded",
        "proxy",
        "openai-base-url",
    ] {
        let bytes = request(OPENAI, &format!("{name}: {url}\r\n"), body.as_bytes());
        assert_eq!(exchange(rig.address, &bytes).await.status(), 200, "{name}");
        asked += 1;
    }
    let as_host = format!(
        "POST {OPENAI} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(
        exchange(rig.address, as_host.as_bytes()).await.status(),
        200
    );
    asked += 1;
    for target in [
        format!("{url}/chat/completions"),
        format!("//{at}{OPENAI}"),
        format!("/http://{at}{OPENAI}"),
        format!("/@{at}{OPENAI}"),
    ] {
        let bytes = String::from_utf8(request(OPENAI, "", body.as_bytes())).unwrap();
        let bytes = bytes.replacen(OPENAI, &target, 1);
        let status = exchange(rig.address, bytes.as_bytes()).await.status();
        assert!(matches!(status, 400 | 404), "{target}: {status}");
    }
    for model in [
        format!("http://{at}/small"),
        format!("{at}/small"),
        "169.254.169.254/latest".to_owned(),
        "http:/small".to_owned(),
    ] {
        let status = rig.post(OPENAI, &question(&model)).await.status();
        assert_eq!(status, 404, "{model}");
    }
    assert_eq!(rig.asked(), asked);
    assert_eq!(elsewhere.connections.load(SeqCst), 0);
}

#[tokio::test]
async fn only_headers_of_the_allow_list_go_on() {
    let upstream = Upstream::endless().await;
    let gateway = gateway(upstream.address, Vec::new());
    let (address, _stop, _served) = serve(gateway, ServerConfig::default()).await;
    let headers = "authorization: Bearer of-the-caller\r\nx-api-key: of-the-caller\r\ncookie: a=b\r\n\
        te: trailers\r\nkeep-alive: timeout=5\r\nproxy-authorization: Basic x\r\nupgrade: h2c\r\n\
        http2-settings: AAMAAABkAAQAAP__\r\nx-forwarded-for: 1.2.3.4\r\nx-custom: y\r\nexpect: 100-continue\r\n\
        accept-encoding: gzip\r\nuser-agent: caller/1\r\nopenai-organization: org-of-caller\r\n\
        traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(&request(
        OPENAI,
        headers,
        streamed("small").to_string().as_bytes(),
    ))
    .await
    .unwrap();
    let heads = &upstream.heads;
    until("the request", || !heads.lock().unwrap().is_empty()).await;
    let text = heads.lock().unwrap().remove(0);
    let head = text.split("\r\n\r\n").next().unwrap().to_lowercase();
    let names: Vec<&str> = head
        .lines()
        .skip(1)
        .filter_map(|line| Some(line.split_once(':')?.0))
        .collect();
    for gone in [
        "authorization",
        "x-api-key",
        "cookie",
        "te",
        "keep-alive",
        "proxy-authorization",
        "upgrade",
        "http2-settings",
        "x-forwarded-for",
        "x-custom",
        "expect",
    ] {
        assert!(!names.contains(&gone), "{gone} went on: {head}");
    }
    assert!(
        !head.contains("of-the-caller") && !head.contains("caller/1"),
        "{head}"
    );
    // ours, and what is passed on
    let allowed = "content-type user-agent host content-length accept accept-encoding connection \
        anthropic-beta anthropic-version openai-organization openai-project traceparent";
    for name in names {
        let is_allowed = allowed.split_whitespace().any(|known| known == name);
        assert!(is_allowed, "{name}: {head}");
    }
    assert!(
        head.contains(&format!("host: {}", upstream.address)),
        "{head}"
    );
}
