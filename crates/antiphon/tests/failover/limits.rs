//! Deadlines and limits as the configuration says them.

use std::time::Duration;

use antiphon::{
    Config, Session,
    core::{ChatRequest, Phase, chat::Delivery},
    session::SessionOptions,
};
use tokio_util::sync::CancellationToken;

use crate::{ask, failing, gateway, provider, question};

#[tokio::test]
async fn deadlines_hold_for_whatever_a_name_stands_for() {
    let mute = failing("hang").await;
    let toml = provider("a", "openai", mute.url())
        + "[models.plain]\nuse = \"a/small\"\ndeadline = \"400ms\"\n\
           [models.alias]\nuse = \"unlimited\"\ndeadline = \"400ms\"\n\
           [models.unlimited]\nuse = \"a/small\"\n\
           [models.chain]\nfallback = [\"a/small\", \"a/other\", \"unlimited\"]\ntimeout = \"150ms\"\nmax_retries = 50\ndeadline = \"400ms\"\n\
           [models.race]\nrace = [\"a/small\", \"a/other\"]\ndeadline = \"400ms\"\n\
           [models.open]\nfallback = [\"a/small\", \"a/other\", \"unlimited\"]\n\
           [models.panel]\nensemble = [\"a/small\", \"a/other\"]\ndecide = \"a/small\"\n";
    let session = gateway(&toml);
    let callers = Some(Duration::from_millis(400));
    for (name, deadline) in [
        ("plain", None),
        ("alias", None),
        ("chain", None),
        ("race", None),
        ("unlimited", callers),
        ("open", callers),
        ("panel", callers),
    ] {
        let request = ChatRequest {
            deadline,
            ..question(Delivery::Whole)
        };
        let begun = tokio::time::Instant::now();
        let error = ask(&session, name, request).await.unwrap_err();
        let took = begun.elapsed();
        assert_eq!(error.phase(), Some(Phase::Total), "{name}: {error}");
        assert!(error.message().contains("400ms"), "{name}: {error}");
        assert!(took >= Duration::from_millis(400), "{name}: {took:?}");
        assert!(took < Duration::from_secs(3), "{name}: {took:?}");
    }
}

#[tokio::test]
async fn silence_has_its_limit_in_this_process_too() {
    let toml = "[providers.sim]\nfail = [\"stall=1\"]\n[models.a]\nuse = \"sim/demo\"\nidle_timeout = \"50ms\"\nmax_retries = 0\n";
    for failover in [true, false] {
        let options = SessionOptions {
            failover,
            ..SessionOptions::default()
        };
        let config = Config::from_toml(toml).unwrap();
        let session = Session::new(config, options, &|_| None, CancellationToken::new());
        let failed = ask(&session, "a", question(Delivery::Streamed)).await;
        let failed = failed.unwrap_err();
        assert_eq!(failed.phase(), Some(Phase::Idle));
    }
}

#[test]
fn limits_are_keys_of_models_and_none_is_zero() {
    for key in [
        "timeout",
        "connect_timeout",
        "headers_timeout",
        "first_token_timeout",
        "idle_timeout",
        "deadline",
    ] {
        let toml = |value: &str| format!("[models.a]\nuse = \"sim/demo\"\n{key} = \"{value}\"\n");
        let config = Config::from_toml(&toml("90s")).unwrap();
        let shown = config.effective(&|_| None);
        let shown = shown
            .iter()
            .find(|origin| origin.key == format!("models.a.{key}"));
        assert_eq!(shown.unwrap().value, "\"90s\"");
        let zero = Config::from_toml(&toml("0s")).unwrap_err().0;
        assert_eq!(
            zero,
            format!("configuration:1: `{key}` is 0; no call can end in no time")
        );
        let wrong = Config::from_toml(&toml("soon")).unwrap_err().0;
        assert!(wrong.starts_with("configuration:3: "), "{wrong}");
    }
    let near = Config::from_toml("[models.a]\nuse = \"sim/demo\"\nheader_timeout = \"1s\"\n");
    assert!(
        near.unwrap_err()
            .0
            .contains("did you mean `headers_timeout`?")
    );
}
