//! Bodies that are none, and requests that lead nowhere: each gets a typed error in its dialect.

use antiphon_gateway::ServerConfig;
use antiphon_sim::SimConfig;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use proptest::prelude::*;
use serde_json::{Value, json};
use tower_service::Service;

use crate::rig::{ANTHROPIC, OPENAI, Rig, exchange, gateway, question, request};

#[tokio::test]
async fn what_cannot_be_asked_says_why() {
    let rig = Rig::new(ServerConfig::default()).await;
    let deep = |levels: usize| {
        format!(
            "{{\"messages\":{}{}}}",
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    let cases = [
        (String::new(), 400, "the body is empty"),
        ("{\"model\":\n \"small\",,}".into(), 400, "line 2 column 10"),
        (
            "{\"model\": \"small\"".into(),
            400,
            "the body is not JSON: EOF while parsing",
        ),
        ("[]".into(), 400, "the body is a list, not a JSON object"),
        ("\"small\"".into(), 400, "the body is a string"),
        ("NaN".into(), 400, "the body is not JSON"),
        (deep(200), 400, "the body is nested deeper than 128 levels"),
        (
            deep(100_000),
            400,
            "the body is nested deeper than 128 levels",
        ),
        (
            json!({"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}).to_string(),
            400,
            "`model` is missing",
        ),
        (question("").to_string(), 400, "`model` is missing"),
        (question("smal").to_string(), 404, "did you mean \"small\"?"),
        (
            question("zzzzzzzzzzzzzzzz").to_string(),
            404,
            "GET /v1/models lists",
        ),
        (question("nobody/x").to_string(), 404, "nobody"),
        (question(&"x".repeat(256)).to_string(), 404, "no model"),
        (
            question(&"x".repeat(257)).to_string(),
            400,
            "`model` is a name of 257 bytes",
        ),
        (
            question(&"x".repeat(8 << 20)).to_string(),
            400,
            "names of models have 256 at most",
        ),
        (json!({"model": "small"}).to_string(), 400, "messages"),
    ];
    for path in [OPENAI, ANTHROPIC] {
        for (body, status, words) in &cases {
            let seen = exchange(rig.address, &request(path, "", body.as_bytes())).await;
            let shown: String = body.chars().take(60).collect();
            assert_eq!(seen.status(), *status, "{shown}: {}", seen.text);
            let message = seen.message();
            assert!(message.contains(words), "{shown}: {message}");
        }
        let wrong = [
            (&b"\xff\xfe{}"[..], "the body is not JSON"),
            (b"{\"model\": \"\xc3\x28\"}", "the body is not JSON"),
        ];
        for (body, words) in wrong {
            let seen = exchange(rig.address, &request(path, "", body)).await;
            assert_eq!(seen.status(), 400);
            assert!(seen.message().contains(words), "{}", seen.text);
        }
    }
    assert_eq!(rig.asked(), 0);
}

#[tokio::test]
async fn bodies_that_are_no_json_by_their_type_are_refused() {
    let rig = Rig::new(ServerConfig::default()).await;
    let body = question("small").to_string();
    let of_type = async |headers: &str| {
        let bytes = String::from_utf8(request(OPENAI, headers, body.as_bytes())).unwrap();
        let bytes = bytes.replacen("content-type: application/json\r\n", "", 1);
        exchange(rig.address, bytes.as_bytes()).await
    };
    for fine in [
        "",
        "content-type: text/json\r\n",
        "content-type: application/x.y+json; a=b\r\n",
    ] {
        assert_eq!(of_type(fine).await.status(), 200, "{fine}");
    }
    for wrong in [
        "content-type: text/plain;charset=UTF-8\r\n",
        "content-type: multipart/form-data; boundary=x\r\n",
        "content-type: application/x-www-form-urlencoded\r\n",
        "content-type: application/json\r\ncontent-encoding: gzip\r\n",
        "content-type: application/json\r\ncontent-encoding: br\r\n",
    ] {
        let seen = of_type(wrong).await;
        assert_eq!(seen.status(), 415, "{wrong}: {}", seen.text);
        assert!(seen.message().contains("JSON"), "{}", seen.text);
    }
    assert_eq!(rig.asked(), 3);
}

#[tokio::test]
async fn every_refusal_has_an_id_where_its_client_looks_for_it() {
    let rig = Rig::new(ServerConfig::default()).await;
    let body = question("small").to_string();
    for (path, wire) in [
        (OPENAI, "openai"),
        ("/v1/responses", "openai"),
        (ANTHROPIC, "anthropic"),
        ("/v1/messages/count_tokens", "anthropic"),
    ] {
        let large = "content-length: 99999999\r\n";
        let cases = [
            (request(path, "", b"{}"), 400),
            (
                request(path, "origin: https://evil.example\r\n", body.as_bytes()),
                403,
            ),
            (
                request(path, "content-encoding: br\r\n", body.as_bytes()),
                415,
            ),
            (
                request(path, "", question("nobody/x").to_string().as_bytes()),
                if path == "/v1/responses" { 400 } else { 404 },
            ),
            (
                format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                    .into(),
                405,
            ),
            (
                format!(
                    "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{large}\r\n"
                )
                .into(),
                413,
            ),
            (
                format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{large}{large}\r\n").into(),
                400,
            ),
        ];
        for (bytes, status) in cases {
            let seen = exchange(rig.address, &bytes).await;
            assert_eq!(seen.status(), status, "{path}: {}", seen.text);
            let id = seen.header("x-request-id");
            assert!(id.is_some_and(|id| id.starts_with("req_")), "{}", seen.text);
            let own = seen.header("request-id");
            assert_eq!(own, id.filter(|_| wire == "anthropic"), "{}", seen.text);
            assert_eq!(seen.header("x-antiphon-attempts"), None, "{}", seen.text);
        }
    }
    assert_eq!(rig.asked(), 0);
    // a provider's refusal says that one was asked
    let refusing = SimConfig {
        fail: vec!["400=1".parse().unwrap()],
        ..SimConfig::default()
    };
    let refusing = Rig::with(ServerConfig::default(), refusing).await;
    let refused = refusing.post(OPENAI, &question("small")).await;
    assert_eq!(refused.status(), 400, "{}", refused.text);
    assert_eq!(refused.header("x-antiphon-attempts"), Some("1"));
    let answered = rig.post(ANTHROPIC, &question("claude")).await;
    assert_eq!(answered.status(), 200, "{}", answered.text);
    assert!(answered.header("request-id").is_some());
    assert_eq!(
        answered.header("request-id"),
        answered.header("x-request-id")
    );
}

#[tokio::test]
async fn media_that_the_target_cannot_take_is_refused_by_name() {
    let rig = Rig::new(ServerConfig::default()).await;
    let audio = json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}});
    let video = json!({"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}});
    for (part, words) in [(audio, "audio"), (video, "video_url")] {
        let mut body = question("claude");
        body["messages"][0]["content"] = json!([{"type": "text", "text": "What is this?"}, part]);
        let seen = rig.post(OPENAI, &body).await;
        assert_eq!(seen.status(), 400, "{}", seen.text);
        assert!(seen.message().contains(words), "{}", seen.text);
    }
}

#[tokio::test]
async fn paths_and_methods_that_lead_nowhere_are_typed_errors() {
    let rig = Rig::new(ServerConfig::default()).await;
    let ask = async |line: &str| {
        let bytes = format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        exchange(rig.address, bytes.as_bytes()).await
    };
    for path in [OPENAI, ANTHROPIC] {
        for method in ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
            let seen = ask(&format!("{method} {path}")).await;
            assert_eq!(seen.status(), 405, "{method} {path}");
            assert_eq!(seen.header("allow"), Some("POST"), "{method} {path}");
            assert!(seen.message().contains(method));
        }
    }
    let seen = ask("POST /v1/models").await;
    assert_eq!(
        (seen.status(), seen.header("allow")),
        (405, Some("GET,HEAD"))
    );
    let head = ask("HEAD /v1/models").await;
    assert_eq!((head.status(), head.body()), (200, ""));
    for path in [
        "/v1/nothing",
        "/v2/chat/completions",
        "/v1/chat/completions/",
        "/%00",
        "/../etc/passwd",
    ] {
        let seen = ask(&format!("GET {path}")).await;
        assert_eq!(seen.status(), 404, "{path}");
        assert!(seen.message().contains("nothing is at "), "{}", seen.text);
        for route in ["/v1/messages/count_tokens", "/v1/embeddings", "/metrics"] {
            assert!(seen.message().contains(route), "{}", seen.text);
        }
    }
}

/// Bodies that look like requests to some degree.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!("nobody/x")),
        Just(json!("user")),
        Just(json!("tool_use")),
        Just(json!("image_url")),
    ];
    let name = prop_oneof![
        Just("model".to_owned()),
        Just("messages".to_owned()),
        Just("role".to_owned()),
        Just("content".to_owned()),
        Just("type".to_owned()),
        Just("tools".to_owned()),
        Just("stream".to_owned()),
        Just("system".to_owned()),
        Just("tool_calls".to_owned()),
        Just("response_format".to_owned()),
        Just("antiphon".to_owned()),
        ".{0,6}",
    ];
    let value = leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    });
    let json = value.prop_map(|value| value.to_string().into_bytes());
    let asking = json.clone().prop_map(|inner| {
        let inner = String::from_utf8(inner).unwrap();
        format!(
            "{{\"model\":\"nobody/x\",\"messages\":[{{\"role\":\"user\",\"content\":{inner}}}]}}"
        )
        .into_bytes()
    });
    let torn = (json.clone(), any::<prop::sample::Index>()).prop_map(|(mut bytes, at)| {
        bytes.truncate(at.index(bytes.len() + 1));
        bytes
    });
    prop_oneof![
        json,
        asking,
        torn,
        prop::collection::vec(any::<u8>(), 0..64)
    ]
}

proptest! {
    #[test]
    fn whatever_is_sent_gets_a_typed_error(body in bodies(), is_anthropic in any::<bool>()) {
        // nothing listens there, and nobody is called small
        let gateway = gateway(([127, 0, 0, 1], 9).into(), Vec::new());
        let path = if is_anthropic { ANTHROPIC } else { OPENAI };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (status, answer) = runtime.block_on(async {
            let request = Request::post(path).body(Body::from(body)).unwrap();
            let response = gateway.router().call(request).await.unwrap();
            let status = response.status();
            (status, response.into_body().collect().await.unwrap().to_bytes())
        });
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        prop_assert!(status.is_client_error(), "{} {}", status, answer);
        prop_assert!(answer["error"]["message"].is_string(), "{}", answer);
    }
}

#[tokio::test]
async fn parameters_that_the_provider_was_not_told_are_named() {
    let rig = Rig::new(ServerConfig::default()).await;
    let mut body = question("claude");
    body["seed"] = 7.into();
    body["antiphon"] = serde_json::Value::Null;
    let seen = rig.post(OPENAI, &body).await;
    assert_eq!(seen.status(), 200, "{}", seen.text);
    assert_eq!(seen.header("x-antiphon-dropped"), Some("seed"));
    body["model"] = "small".into();
    let seen = rig.post(OPENAI, &body).await;
    assert_eq!(seen.status(), 200, "{}", seen.text);
    assert_eq!(seen.header("x-antiphon-dropped"), None);
}
