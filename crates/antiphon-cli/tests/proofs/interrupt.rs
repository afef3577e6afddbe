//! Signals: the first lets what is in flight come home, the second ends at once.

use antiphon_testkit::{OutputLine, Signal, Sim, outputs, seed};

use crate::{inputs, sandbox};

const ROWS: u64 = 300;
const CONCURRENCY: u64 = 16;

#[test]
fn a_signal_drains_and_the_next_run_pays_nothing_twice() {
    let mut dice = fastrand::Rng::with_seed(seed());
    for signal in Signal::ALL {
        let sandbox = sandbox();
        sandbox.write("in.jsonl", inputs::rows(ROWS));
        let sim = Sim::start(
            &sandbox,
            ["--latency", "40ms", "--jitter", "0.9", "--tail", "0.02"],
        );
        let command = || {
            sim.run(
                &sandbox,
                ["in.jsonl", "-o", "out.jsonl", "--concurrency", "16"],
            )
        };
        let at = dice.u64(1..ROWS / 2);
        let mut running = command().start();
        assert!(running.until(|_| sim.books().answered() >= at));
        running.signal(signal);
        running.until(|running| running.stderr().contains("interrupted"));
        let asked = sim.books().asked();
        running.wait().exits(130).says("to go on:");

        let books = sim.settled();
        assert!(
            books.asked() <= asked + CONCURRENCY,
            "new calls after {signal:?}"
        );
        let lines = outputs(&sandbox.read("out.jsonl"));
        assert_eq!(
            lines.len() as u64,
            books.answered(),
            "every answer is in the output"
        );
        assert!(
            (lines.len() as u64) < ROWS,
            "it was interrupted in its middle"
        );
        let indexes: Vec<u64> = lines.iter().map(OutputLine::index).collect();
        assert!(indexes.is_sorted_by(|a, b| a < b), "{indexes:?}");

        command().run().exits(0);
        assert_eq!(sim.settled().answered(), ROWS);
        let indexes: Vec<u64> = outputs(&sandbox.read("out.jsonl"))
            .iter()
            .map(OutputLine::index)
            .collect();
        assert_eq!(indexes, (0..ROWS).collect::<Vec<_>>());
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let sandbox = sandbox();
    sandbox.write("in.jsonl", inputs::rows(100));
    // answers that take longer than any test waits
    let sim = Sim::start(&sandbox, ["--latency", "10m"]);
    let mut running = sim
        .run(
            &sandbox,
            ["in.jsonl", "-o", "out.jsonl", "--concurrency", "8"],
        )
        .start();
    assert!(running.until(|_| sim.books().in_flight() == 8));
    running.signal(Signal::Interrupt);
    assert!(running.until(|running| running.stderr().contains("interrupted")));
    running.signal(Signal::Interrupt);
    running.wait().exits(130);
    sim.settled();
    sim.change(&serde_json::json!({"latency_ms": 1}));
    sim.run(&sandbox, ["in.jsonl", "-o", "out.jsonl"])
        .run()
        .exits(0);
    assert_eq!(sim.settled().answered(), 100);
}

#[test]
fn a_closed_stdout_drains_quietly() {
    let sandbox = sandbox();
    sandbox.write("in.jsonl", inputs::rows(2_000));
    let sim = Sim::start(&sandbox, ["--latency", "5ms"]);
    let script = format!(
        "{{ $ANTIPHON run in.jsonl --base-url {} --concurrency 8; echo $? > code; }} | head -1",
        sim.base_url()
    );
    let ended = sandbox.shell(&script).run().exits(0);
    assert_eq!(
        outputs(std::str::from_utf8(&ended.stdout).unwrap()).len(),
        1
    );
    assert!(!ended.stderr.contains("Broken pipe"), "{}", ended.stderr);
    assert_eq!(sandbox.read("code"), "3\n");
    assert!(sim.settled().answered() < 2_000);
}
