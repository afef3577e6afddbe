//! Every route for every role.

use axum::body::Body;
use http::{Request, StatusCode};

use crate::support::{Rig, Told, key_of, running};

const KEYS: &str = r#"
[[keys]]
name = "plain"
key_env = "KEY_OF_PLAIN"
[[keys]]
name = "few"
key_env = "KEY_OF_FEW"
models = ["other", "sim/fr*"]
[[keys]]
name = "admin"
key_env = "KEY_OF_ADMIN"
admin = true
"#;

/// Headers of each role, in the order of the columns below.
fn roles() -> [(&'static str, Vec<(&'static str, String)>); 7] {
    let bearer = |key: &str| ("authorization", format!("Bearer {key}"));
    let plain = |key: &str| ("x-api-key", key.to_owned());
    [
        ("nobody", vec![]),
        ("wrong", vec![bearer("key-of-nobody-0123456789")]),
        (
            "two",
            vec![bearer(&key_of("plain")), plain(&key_of("admin"))],
        ),
        ("user", vec![plain(&key_of("plain"))]),
        ("few", vec![bearer(&key_of("few"))]),
        ("admin", vec![bearer(&key_of("admin"))]),
        // admin:key-of-plain-0123456789, as a browser sends it
        (
            "browser",
            vec![(
                "authorization",
                "Basic YWRtaW46a2V5LW9mLXBsYWluLTAxMjM0NTY3ODk=".to_owned(),
            )],
        ),
    ]
}

/// Status for each role; 0 stands for whatever is behind the door.
const TABLE: [(&str, &str, [u16; 7]); 9] = [
    (
        "POST",
        "/v1/chat/completions",
        [401, 401, 401, 200, 403, 200, 401],
    ),
    ("POST", "/v1/messages", [401, 401, 401, 200, 403, 200, 401]),
    ("GET", "/v1/models", [401, 401, 401, 200, 200, 200, 401]),
    (
        "GET",
        "/v1/models/fast",
        [401, 401, 401, 200, 404, 200, 401],
    ),
    (
        "GET",
        "/v1/models/other",
        [401, 401, 401, 200, 200, 200, 401],
    ),
    ("GET", "/", [401, 401, 401, 403, 403, 0, 403]),
    ("GET", "/metrics", [401, 401, 401, 403, 403, 0, 403]),
    ("GET", "/events", [401, 401, 401, 403, 403, 0, 403]),
    ("GET", "/healthz", [0, 0, 0, 0, 0, 0, 0]),
];

#[tokio::test]
async fn every_route_is_open_to_those_who_may_and_to_nobody_else() {
    let rig = Rig::new(KEYS);
    let body = r#"{"model": "fast", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}"#;
    for (method, path, expected) in TABLE {
        for ((role, headers), expected) in roles().into_iter().zip(expected) {
            let mut request = Request::builder().method(method).uri(path);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let request = request.body(Body::from(body)).unwrap();
            let told = Told::of(rig.send(request).await).await;
            let status = told.status.as_u16();
            let at = format!("{method} {path} as {role}: {status} {}", told.body);
            match expected {
                0 => assert!(![401, 403].contains(&status), "{at}"),
                _ => assert_eq!(status, expected, "{at}"),
            }
            let is_asked = told.header("www-authenticate").is_some();
            let is_page = ["/", "/metrics"].contains(&path);
            assert_eq!(is_asked, status == 401 && is_page, "{at}");
            if [401, 403].contains(&status) {
                assert!(!told.message().is_empty(), "{at}");
                assert!(!told.body.contains("0123456789"), "{at}");
            }
        }
    }
}

#[tokio::test]
async fn without_keys_everybody_is_let_in() {
    let rig = Rig::new("");
    assert!(!rig.gateway.running().needs_keys());
    assert_eq!(rig.ask("nobody", "fast").await.status, StatusCode::OK);
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let status = rig.send(request).await.status();
    assert!(![401, 403].contains(&status.as_u16()), "{status}");
}

#[tokio::test]
async fn models_are_judged_by_the_name_that_was_asked_and_its_provider() {
    let rig = Rig::new(KEYS);
    // the same model by three names, one that begins alike, and ensembles of models that are not allowed
    for (model, status) in [
        ("other", 200),
        ("sim/free", 200),
        ("sim/fresh", 200),
        ("fast", 403),
        ("sim/demo", 403),
        ("panel", 403),
        ("nothing", 403),
        ("SIM/free", 403),
    ] {
        let told = rig.ask("few", model).await;
        assert_eq!(told.status.as_u16(), status, "{model}: {}", told.body);
        if status == 403 {
            assert!(
                told.message().ends_with("it may use other, sim/fr*"),
                "{}",
                told.body
            );
        }
    }
    let told = rig
        .ask_for("few", "/v1/models", &serde_json::json!({}))
        .await;
    assert_eq!(told.status, StatusCode::METHOD_NOT_ALLOWED);
    let request = Request::get("/v1/models").header("x-api-key", key_of("few"));
    let listed = rig.send(request.body(Body::empty()).unwrap()).await;
    let listed: serde_json::Value = serde_json::from_str(&Told::of(listed).await.body).unwrap();
    let names: Vec<_> = listed["data"].as_array().unwrap().iter().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(names[0]["id"], "other");
}

#[tokio::test]
async fn hostile_headers_are_refused_and_nothing_else_happens() {
    let rig = Rig::new(KEYS);
    let huge = format!("Bearer {}", "x".repeat(60_000));
    let values: [&[u8]; 7] = [
        b"Bearer \xff\xfe\xfd",
        b"\xe2\x80\x8b",
        huge.as_bytes(),
        b"Bearer",
        b"Digest username=\"a\"",
        b"Basic \xff",
        b"Bearer key-of-plain-0123456789, key-of-admin-0123456789",
    ];
    for value in values {
        for path in ["/v1/models", "/", "/metrics"] {
            let value = http::HeaderValue::from_bytes(value).unwrap();
            let request = Request::get(path).header("authorization", value);
            let told = Told::of(rig.send(request.body(Body::empty()).unwrap()).await).await;
            assert_eq!(told.status, StatusCode::UNAUTHORIZED);
        }
    }
    let shown = format!("{:?}", rig.gateway);
    assert!(!shown.contains("key-of"), "{shown}");
}

#[test]
fn keys_that_cannot_work_are_refused_at_the_start() {
    let data = tempfile::tempdir().unwrap();
    let clock = antiphon::SystemClock::shared();
    let books = antiphon_gateway::CallerBooks::new(data.path().to_owned(), clock);
    let refused = |keys: &str| running(keys, &books).unwrap_err().0;
    let key = |rest: &str| format!("[[keys]]\nname = \"a\"\nkey_env = \"KEY_OF_A\"\n{rest}\n");
    for (keys, told) in [
        (
            key("[[keys]]\nname = \"b\"\nkey_env = \"KEY_OF_A\""),
            "the keys \"b\" and \"a\" are the same key",
        ),
        (
            "[[keys]]\nname = \"a\"\nkey_env = \"UNSET\"".to_owned(),
            "UNSET is not set",
        ),
        (
            key("models = [\"fsat\"]"),
            "no model is known as \"fsat\"; did you mean \"fast\"?",
        ),
        (
            key("models = [\"opnai/*\"]"),
            "no model is known as \"opnai/*\"; did you mean \"openai\"?",
        ),
    ] {
        let error = refused(&keys);
        assert!(error.contains(told), "{error}");
        assert!(error.starts_with("configuration:"), "{error}");
    }
    for models in [
        "\"*\"",
        "\"sim/*\"",
        "\"fast\"",
        "\"fa*\"",
        "\"openai/x\"",
        "\"gpt-4o-mini\"",
        "\"gpt-*\"",
    ] {
        running(&key(&format!("models = [{models}]")), &books).unwrap();
    }
}

#[tokio::test]
async fn models_that_are_down_are_named_to_admins_and_counted_for_others() {
    let rig = Rig::new(KEYS);
    for (role, headers) in roles() {
        let mut request = Request::get("/readyz");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::empty()).unwrap();
        let told = Told::of(rig.send(request).await).await;
        assert_eq!(told.status, StatusCode::OK, "{role}");
        let down = if role == "admin" { "[]" } else { "0" };
        let body = format!(r#"{{"status":"ready","models_down":{down}}}"#);
        assert_eq!(told.body, body, "{role}");
    }
}
