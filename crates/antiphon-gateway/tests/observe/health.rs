use serde_json::{Value, json};

use crate::{support::serve, upstream::provider};

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_ready_until_it_drains() {
    let provider = provider();
    let served = serve(&provider, Vec::new()).await;
    let healthy = served.ask("GET", "/healthz", "", "").await;
    assert_eq!(
        (healthy.status, healthy.body.as_str()),
        (200, r#"{"status":"ok"}"#)
    );
    let ready = served.ask("GET", "/readyz", "", "").await;
    let body: Value = serde_json::from_str(&ready.body).unwrap();
    assert_eq!(
        (ready.status, body),
        (200, json!({"status": "ready", "models_down": []}))
    );

    served.gateway.drain();
    let ready = served.ask("GET", "/readyz", "", "").await;
    let body: Value = serde_json::from_str(&ready.body).unwrap();
    assert_eq!(
        (ready.status, body),
        (503, json!({"status": "draining", "models_down": []}))
    );
    assert_eq!(served.ask("GET", "/healthz", "", "").await.status, 200);
}
