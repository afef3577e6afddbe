//! Chains behind a gateway, over real HTTP, against a simulated provider that fails and one that is well.

#![allow(missing_docs, reason = "a test")]

mod faults;
mod limits;

use std::{net::SocketAddr, time::Duration};

use antiphon::{
    Config, Session,
    core::{
        ChatRequest, Error, ErrorKind, Reply, SystemClock, chat::Delivery,
        layers::admit::EndpointState,
    },
    session::{SessionOptions, Wire},
};
use antiphon_sim::{RunningSim, SimConfig, SimServer, Simulator};
use tokio_util::sync::CancellationToken;

async fn serve(config: SimConfig) -> RunningSim {
    config.check().unwrap();
    let simulator = Simulator::new(config, SystemClock::shared());
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    SimServer::bind(address, simulator).await.unwrap().spawn()
}

async fn failing(kind: &str) -> RunningSim {
    serve(SimConfig {
        fail: vec![format!("{kind}=1").parse().unwrap()],
        ..SimConfig::default()
    })
    .await
}

fn provider(name: &str, dialect: &str, url: &str) -> String {
    let version = if dialect == "openai" { "/v1" } else { "" };
    format!(
        "[providers.{name}]\ndialect = \"{dialect}\"\nbase_url = \"{url}{version}\"\napi_key_env = \"KEY\"\n"
    )
}

fn gateway(toml: &str) -> Session {
    let config = Config::from_toml(toml).unwrap();
    let options = SessionOptions {
        failover: true,
        ..SessionOptions::default()
    };
    let key = |name: &str| (name == "KEY").then(|| "sk-simulated".to_owned());
    Session::new(config, options, &key, CancellationToken::new())
}

/// A chain of a first model with these limits and a second one.
fn chain(dialect: &str, first: &str, second: &str, limits: &str) -> Session {
    let providers = [
        provider("a", dialect, first),
        provider("b", dialect, second),
    ];
    gateway(&format!(
        "{}[models.first]\nuse = \"a/small\"\n{limits}[models.safe]\nfallback = [\"first\", \"b/small\"]\n",
        providers.concat()
    ))
}

async fn ask(session: &Session, name: &str, request: ChatRequest) -> Result<Reply, Error> {
    let model = session.resolve(name, Wire::OpenAi)?.model.clone();
    let mut reply = model.call(request).await?.whole().await?;
    reply.head.receipt = None;
    Ok(reply)
}

fn question(delivery: Delivery) -> ChatRequest {
    ChatRequest {
        delivery,
        ..ChatRequest::prompt("What is 17 + 25?")
    }
}

#[tokio::test]
async fn when_all_models_fail_the_caller_hears_of_the_last() {
    let (first, second) = (failing("500").await, failing("429").await);
    let session = chain("openai", first.url(), second.url(), "max_retries = 0\n");
    let error = ask(&session, "safe", question(Delivery::Whole)).await;
    let error = error.unwrap_err();
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::RateLimited, Some(429))
    );
    assert_eq!(error.attempts(), 1 + 3);
    assert!(error.message().contains("first") || error.message().contains("a/small"));
    let body: serde_json::Value = serde_json::from_slice(error.body().unwrap()).unwrap();
    assert!(body["error"].is_object());
}

#[tokio::test]
async fn a_primary_that_was_down_serves_again() {
    let (first, second) = (failing("503").await, serve(SimConfig::default()).await);
    let session = chain("openai", first.url(), second.url(), "");
    for _ in 0..3 {
        let reply = ask(&session, "safe", question(Delivery::Whole))
            .await
            .unwrap();
        assert_eq!(reply.head.model, "b/small");
    }
    let tries = first.simulator().ledger().report().asked;
    // five faults take it down; without that it would be tried twelve times. Probes come as time passes
    assert!((5..=8).contains(&tries), "{tries} tries in three calls");
    let accounts = session.named_accounts();
    let [a, b] = &accounts[..] else {
        panic!("two accounts: {accounts:?}")
    };
    assert_eq!((&*a.provider, &*b.provider), ("a", "b"));
    let (down, up) = (a.account.snapshot(), b.account.snapshot());
    assert!(matches!(down.endpoint, EndpointState::Down { .. }));
    assert!(down.next_probe.is_some());
    assert_eq!(up.endpoint, EndpointState::Up);
    first.simulator().configure(SimConfig::default());
    let recovered = tokio::time::Instant::now();
    loop {
        let reply = ask(&session, "safe", question(Delivery::Whole))
            .await
            .unwrap();
        if reply.head.model == "a/small" {
            break;
        }
        assert!(recovered.elapsed() < Duration::from_secs(15));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
