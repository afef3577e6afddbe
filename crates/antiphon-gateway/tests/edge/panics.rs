//! Panics: they end their own call, with a typed error, and nothing else.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use antiphon::ErrorKind;
use antiphon_gateway::{
    ServerConfig,
    observe::{CallBegan, CallEnded, Observer, Outcome},
};
use antiphon_sim::SimConfig;

use crate::rig::{
    ANTHROPIC, OPENAI, exchange, gateway, question, request, serve, simulated, streamed, until,
};

/// Fails as soon as it is told anything, but for ends.
#[derive(Debug, Default)]
struct Panicking(Mutex<Vec<(Outcome, u16)>>);

impl Observer for Panicking {
    #[allow(clippy::panic, reason = "that is its purpose")]
    fn began(&self, _call: &CallBegan) {
        panic!("an observer that fails");
    }

    fn ended(&self, call: &CallEnded) {
        self.0.lock().unwrap().push((call.outcome, call.status));
    }
}

/// Fails at the first piece of an answer.
#[derive(Debug, Default)]
struct PanickingLater(Mutex<Vec<(Outcome, u16)>>);

impl Observer for PanickingLater {
    #[allow(clippy::panic, reason = "that is its purpose")]
    fn first_piece(&self, _call: &CallBegan, _after: Duration) {
        panic!("an observer that fails");
    }

    fn ended(&self, call: &CallEnded) {
        self.0.lock().unwrap().push((call.outcome, call.status));
    }
}

#[tokio::test]
async fn a_panic_in_a_stream_is_no_hanging_up() {
    let sim = simulated(SimConfig::default()).await;
    let observer = Arc::new(PanickingLater::default());
    let gateway = gateway(sim.address(), vec![observer.clone()]);
    let (address, _stop, _served) = serve(gateway.clone(), ServerConfig::default()).await;
    let bytes = request(OPENAI, "", streamed("small").to_string().as_bytes());
    exchange(address, &bytes).await;
    until("its end", || gateway.calls_under_way() == 0).await;
    let ended = observer.0.lock().unwrap().clone();
    assert_eq!(ended, [(Outcome::Failed(ErrorKind::ServerError), 200)]);
}

#[tokio::test]
async fn a_panic_is_a_typed_error_and_harms_nobody_else() {
    let sim = simulated(SimConfig::default()).await;
    let observer = Arc::new(Panicking::default());
    let gateway = gateway(sim.address(), vec![observer.clone()]);
    let (address, _stop, _served) = serve(gateway.clone(), ServerConfig::default()).await;
    for path in [OPENAI, ANTHROPIC] {
        let bytes = request(path, "", question("small").to_string().as_bytes());
        let seen = exchange(address, &bytes).await;
        assert_eq!(
            (seen.status(), seen.message().as_str()),
            (500, "the gateway failed")
        );
        assert!(seen.header("x-request-id").is_some(), "{}", seen.text);
    }
    let ended = observer.0.lock().unwrap().clone();
    let failed = (Outcome::Failed(ErrorKind::ServerError), 500);
    assert_eq!(ended, [failed, failed]);
    assert_eq!(gateway.calls_under_way(), 0);
    let models = b"GET /v1/models HTTP/1.0\r\n\r\n";
    assert_eq!(exchange(address, models).await.status(), 200);
}
