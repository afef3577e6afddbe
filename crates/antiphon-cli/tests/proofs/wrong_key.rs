//! A wrong key or an empty account does not burn the list: rows stay pending, a good key goes on.

use antiphon_testkit::{Sim, outputs};
use serde_json::json;

use crate::{inputs, sandbox};

/// Calls that may be out before the first success.
const MOST_CALLS: u64 = 8;

#[test]
fn a_wrong_key_costs_a_handful_of_calls() {
    let sandbox = sandbox();
    sandbox.write("in.jsonl", inputs::rows(5_000));
    let sim = Sim::start(&sandbox, ["--latency", "5ms"]);
    let command = || sim.run(&sandbox, ["in.jsonl", "-o", "out.jsonl"]);
    command()
        .env("OPENAI_API_KEY", "wrong")
        .run()
        .exits(3)
        .says("to go on:");
    let calls = sim.settled().calls();
    assert!((1..=MOST_CALLS).contains(&calls), "{calls} calls");
    assert_eq!(sandbox.read("out.jsonl"), "");
    sim.reset();
    command().run().exits(0);
    assert_eq!(sim.settled().answered(), 5_000);
    assert_eq!(outputs(&sandbox.read("out.jsonl")).len(), 5_000);
}

#[test]
fn an_empty_account_costs_a_handful_of_calls() {
    let sandbox = sandbox();
    sandbox.write("in.jsonl", inputs::rows(1_000));
    let sim = Sim::start(&sandbox, ["--latency", "5ms", "--fail", "quota=1"]);
    let command = || sim.run(&sandbox, ["in.jsonl", "-o", "out.jsonl"]);
    command().run().exits(3).says("to go on:");
    let calls = sim.settled().calls();
    assert!((1..=MOST_CALLS).contains(&calls), "{calls} calls");
    assert_eq!(sandbox.read("out.jsonl"), "");
    sim.reset();
    sim.change(&json!({"fail": []}));
    command().run().exits(0);
    assert_eq!(sim.settled().answered(), 1_000);
}

#[test]
fn an_account_that_runs_dry_keeps_what_was_answered() {
    let sandbox = sandbox();
    sandbox.write("in.jsonl", inputs::rows(400));
    let sim = Sim::start(&sandbox, ["--latency", "10ms"]);
    let command = || {
        sim.run(
            &sandbox,
            ["in.jsonl", "-o", "out.jsonl", "--concurrency", "8"],
        )
    };
    let mut running = command().start();
    assert!(running.until(|_| sim.books().answered() >= 100));
    sim.change(&json!({"fail": ["quota=1"]}));
    running.wait().exits(3);
    let books = sim.settled();
    let lines = outputs(&sandbox.read("out.jsonl"));
    assert_eq!(lines.len() as u64, books.answered());
    assert!(lines.iter().all(|line| line.error_code().is_none()));
    assert!(books.asked() <= books.answered() + 8, "{books:?}");
    sim.change(&json!({"fail": []}));
    command().run().exits(0);
    assert_eq!(sim.settled().answered(), 400);
}
