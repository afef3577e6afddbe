//! A sample of rows, drawn at random: the same ones each time, and what they have cost is not paid again.

use antiphon_testkit::{OutputLine, Sandbox, Signal, Sim, outputs};
use serde_json::json;

use crate::sandbox;

const ROWS: u64 = 300;

/// Rows of which some are equal, and some have no name of their own.
fn write_input(sandbox: &Sandbox) {
    let line = |n: u64| match n % 3 {
        0 => json!({"model": "small", "prompt": format!("common {}", n % 2)}),
        _ => {
            json!({"custom_id": format!("c{n}"), "model": "small", "prompt": format!("question {n}")})
        }
    };
    let lines: String = (0..ROWS).map(|n| format!("{}\n", line(n))).collect();
    sandbox.write("in.jsonl", lines);
}

fn run(sandbox: &Sandbox, sim: &Sim, args: &[&str]) -> Vec<OutputLine> {
    let mut all = vec!["in.jsonl", "-o", "out.jsonl"];
    all.extend(args);
    sim.run(sandbox, all).run().exits(0);
    outputs(&sandbox.read("out.jsonl"))
}

fn indices(lines: &[OutputLine]) -> Vec<u64> {
    lines.iter().map(OutputLine::index).collect()
}

#[test]
fn rows_of_a_sample_keep_their_names_and_are_paid_for_once() {
    let sandbox = sandbox();
    write_input(&sandbox);
    let sim = Sim::start(&sandbox, ["--seed", "7"]);

    let few = indices(&run(&sandbox, &sim, &["--sample", "20"]));
    assert_eq!(few.len(), 20);
    assert!(few.is_sorted() && few[19] - few[0] > ROWS / 2, "{few:?}");
    assert_eq!(sim.settled().answered(), 20);

    // the same again: nothing is sent, nothing changes
    let text = sandbox.read("out.jsonl");
    run(&sandbox, &sim, &["--sample", "20"]);
    assert_eq!(sim.settled().calls(), 20);
    assert_eq!(sandbox.read("out.jsonl"), text);

    // a larger sample holds the smaller one
    let many = run(&sandbox, &sim, &["--sample", "50"]);
    assert_eq!(sim.settled().answered(), 50);
    assert!(few.iter().all(|row| indices(&many).contains(row)));

    // all rows: what was sampled stands in its place
    let all = run(&sandbox, &sim, &[]);
    assert_eq!(sim.settled().answered(), ROWS);
    assert_eq!(indices(&all), (0..ROWS).collect::<Vec<_>>());
    for line in &many {
        let same = &all[line.index() as usize];
        assert_eq!(
            (line.text(), line.custom_id()),
            (same.text(), same.custom_id())
        );
        assert_eq!(line.custom_id().starts_with("row-"), line.index() % 3 == 0);
    }

    // and the other way round: rows of a full run are those of a sample
    run(&sandbox, &sim, &["--sample", "30"]);
    assert_eq!(sim.settled().answered(), ROWS);
}

#[test]
fn a_sample_that_is_interrupted_goes_on_and_one_of_a_pipe_is_the_same() {
    let sandbox = sandbox();
    write_input(&sandbox);
    let sim = Sim::start(&sandbox, ["--seed", "7"]);
    let drawn = run(&sandbox, &sim, &["--sample", "40", "--limit", "200"]);
    assert!(indices(&drawn).iter().all(|row| *row < 200));
    sim.reset();

    // the output of the first run is lost: it is rebuilt without a call
    let text = sandbox.read("out.jsonl");
    sandbox.remove("out.jsonl");
    run(&sandbox, &sim, &["--sample", "40", "--limit", "200"]);
    assert_eq!(sandbox.read("out.jsonl"), text);
    assert_eq!(sim.settled().calls(), 0);

    let piped = sim
        .run(&sandbox, ["-", "--sample", "40", "--limit", "200"])
        .stdin(sandbox.read("in.jsonl"))
        .run()
        .exits(0);
    let piped = outputs(&String::from_utf8_lossy(&piped.stdout));
    assert_eq!(indices(&piped), indices(&drawn));
}

#[test]
fn an_estimate_that_is_interrupted_keeps_what_it_paid_for() {
    let sandbox = sandbox();
    write_input(&sandbox);
    let sim = Sim::start(&sandbox, ["--seed", "7", "--latency", "40ms"]);
    let estimate = || {
        sandbox
            .antiphon(["estimate", "in.jsonl", "-o", "out.jsonl", "--sample", "80"])
            .args(["--json", "--concurrency", "8", "--progress", "none"])
            .args(["--base-url", &sim.base_url()])
            .env("OPENAI_API_KEY", "key-of-the-sandbox")
    };
    let mut running = estimate().start();
    assert!(running.until(|_| sim.books().answered() >= 20));
    running.signal(Signal::ALL[0]);
    let ended = running.wait().exits(130).says("to go on: ");
    assert!(ended.stdout.is_empty(), "no estimate of half a sample");
    let paid = sim.settled().answered();
    assert!((20..80).contains(&paid), "{paid}");
    assert_eq!(outputs(&sandbox.read("out.jsonl")).len() as u64, paid);

    let ended = estimate().run().exits(0);
    let told: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(
        (told["done"].as_u64(), told["to_send"].as_u64()),
        (Some(80), Some(ROWS - 80))
    );
    assert_eq!(sim.settled().answered(), 80);
    let drawn = indices(&outputs(&sandbox.read("out.jsonl")));
    assert!(drawn.len() == 80 && drawn.is_sorted());
}
