//! `antiphon mcp` with the clients of the Model Context Protocol that people have, each of which lends a model: the
//! simulated provider.

mod conformance;
mod handshake;
mod http;
mod limits;
mod modern;
mod policies;
mod tools;

use antiphon_testkit::{
    Sandbox, Sim,
    clients::{McpPlan, Sdk, Told},
};
use serde_json::{Value, json};

/// Tests for all clients, or for those that know the newer era, or answer many requests at once.
macro_rules! for_sdks {
    (all: $($test:ident)*) => {
        $(for_sdks! { @ $test python1 = Python1 python2 = Python2 typescript1 = TypeScript1 typescript2 = TypeScript2 })*
    };
    (parallel: $($test:ident)*) => {
        $(for_sdks! { @ $test python2 = Python2 typescript1 = TypeScript1 typescript2 = TypeScript2 })*
    };
    (modern: $($test:ident)*) => {
        $(for_sdks! { @ $test python2 = Python2 typescript2 = TypeScript2 })*
    };
    (@ $test:ident $($name:ident = $sdk:ident)*) => {
        mod $test {
            $(#[test] fn $name() { super::$test(antiphon_testkit::clients::Sdk::$sdk); })*
        }
    };
}
use for_sdks;

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

/// Documents that are made one text of. What is asked about each has "Known of" its topic in it.
fn map_reduce(topics: &[&str]) -> (&'static str, Value) {
    let document =
        |topic: &&str| json!({"id": topic, "text": format!("Known of {topic}: little.")});
    let documents: Vec<Value> = topics.iter().map(document).collect();
    let arguments =
        json!({"documents": documents, "map": "List the facts", "reduce": "Merge the lists"});
    ("map_reduce", arguments)
}

/// The answer of a call belongs to its question: the simulated provider names what it answers.
fn answers(told: &Told, call: usize, topic: &str) {
    let text = told.answer(call)["text"].as_str().expect("a text");
    assert!(text.contains(&format!("Tell me of {topic}")), "{text}");
}
