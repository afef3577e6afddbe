//! `antiphon mcp` with the clients of the Model Context Protocol that people have, each of which lends a model: the
//! simulated provider.

mod handshake;

use antiphon_testkit::{
    Sandbox, Sim,
    clients::{McpPlan, Sdk, Told},
};
use serde_json::{Value, json};

/// A test for each of some clients.
macro_rules! for_each_sdk {
    ($($sdk:ident = $value:ident)*: $tests:tt) => {
        $(for_each_sdk! { @one $sdk $value $tests })*
    };
    (@one $sdk:ident $value:ident [$($test:ident)*]) => {
        mod $sdk {
            $(#[test] fn $test() { super::$test(antiphon_testkit::clients::Sdk::$value); })*
        }
    };
}
use for_each_sdk;

fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_antiphon"))
}

/// What the clients lend. It takes its time, so that calls that are out together are seen together.
fn lent(sandbox: &Sandbox) -> Sim {
    Sim::start(sandbox, ["--latency", "100ms"])
}

/// Questions that are told apart by their ends.
fn asks(topics: &[&str]) -> Vec<(&'static str, Value)> {
    let ask = |topic: &&str| ("ask", json!({"prompt": format!("Tell me of {topic}")}));
    topics.iter().map(ask).collect()
}

/// The answer of a call belongs to its question: the simulated provider names what it answers.
fn answers(told: &Told, call: usize, topic: &str) {
    let text = told.answer(call)["text"].as_str().expect("a text");
    assert!(text.contains(&format!("Tell me of {topic}")), "{text}");
}
