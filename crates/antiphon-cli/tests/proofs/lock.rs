//! One output has one writer.

use antiphon_testkit::{Sim, outputs};

use crate::{inputs, sandbox};

#[test]
fn a_second_run_is_refused_and_a_dead_one_leaves_no_lock() {
    let sandbox = sandbox();
    sandbox.write("in.jsonl", inputs::rows(60));
    let sim = Sim::start(&sandbox, ["--latency", "10m"]);
    let command = || {
        sim.run(
            &sandbox,
            ["in.jsonl", "-o", "out.jsonl", "--concurrency", "4"],
        )
    };
    let mut first = command().start();
    assert!(first.until(|_| sim.books().in_flight() == 4));
    command().run().exits(2).says("another antiphon is working");
    assert_eq!(sim.books().asked(), 4);
    assert!(!first.has_ended(), "the first is not disturbed");
    assert!(first.kill());
    sim.settled();
    sim.change(&serde_json::json!({"latency_ms": 1}));
    command().run().exits(0);
    assert_eq!(outputs(&sandbox.read("out.jsonl")).len(), 60);
}
