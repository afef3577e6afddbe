//! Rows that are inserted, deleted, moved and edited between runs: only what is new or changed is sent, and the output
//! is rebuilt in the new order. A model in the test computes what must be sent.

use std::{collections::HashMap, time::Duration};

use antiphon_testkit::{CrashDriver, OutputLine, Sandbox, Sim, outputs, rows, seed};
use serde_json::{Value, json};

use crate::sandbox;

const CONCURRENCY: u64 = 16;

/// The input as the test knows it. Prompts repeat, so that occurrences matter; names do not.
struct Input {
    dice: fastrand::Rng,
    rows: Vec<(u64, String)>,
    names: u64,
}

impl Input {
    fn new(seed: u64, count: u64) -> Self {
        let mut input = Self {
            dice: fastrand::Rng::with_seed(seed),
            rows: Vec::new(),
            names: 0,
        };
        for _ in 0..count {
            let row = input.new_row();
            input.rows.push(row);
        }
        input
    }

    fn new_row(&mut self) -> (u64, String) {
        self.names += 1;
        // one of ten prompts is one that others have too
        let prompt = match self.dice.u64(0..10) {
            0 => format!("common {}", self.dice.u64(0..8)),
            _ => format!("question {}", self.names),
        };
        (self.names, prompt)
    }

    fn edit(&mut self, times: usize) {
        for _ in 0..times {
            let at = self.dice.usize(0..self.rows.len());
            match self.dice.u64(0..4) {
                0 => {
                    let row = self.new_row();
                    self.rows.insert(at, row);
                }
                1 => drop(self.rows.remove(at)),
                2 => {
                    let row = self.rows.remove(at);
                    let to = self.dice.usize(0..=self.rows.len());
                    self.rows.insert(to, row);
                }
                _ => self.rows[at].1 = self.new_row().1,
            }
        }
    }

    fn text(&self) -> String {
        let line = |(name, prompt): &(u64, String)| {
            format!(
                "{}\n",
                json!({"custom_id": format!("c{name}"), "model": "small", "prompt": prompt})
            )
        };
        self.rows.iter().map(line).collect()
    }

    fn prompts(&self) -> HashMap<&str, u64> {
        let mut count = HashMap::new();
        for (_, prompt) in &self.rows {
            *count.entry(prompt.as_str()).or_default() += 1;
        }
        count
    }
}

/// Answers that the ledger must hold, by prompt.
#[derive(Default)]
struct Answered(HashMap<String, u64>);

impl Answered {
    /// Notes a finished run over the input, and says how many calls it had to make.
    fn run(&mut self, input: &Input) -> u64 {
        let mut calls = 0;
        for (prompt, count) in input.prompts() {
            let have = self.0.entry(prompt.to_owned()).or_default();
            calls += count.saturating_sub(*have);
            *have = count.max(*have);
        }
        calls
    }
}

fn run(sandbox: &Sandbox, sim: &Sim, output: &str) -> antiphon_testkit::Antiphon {
    sim.run(sandbox, ["in.jsonl", "-o", output, "--concurrency", "16"])
}

fn lasting(sandbox: &Sandbox, name: &str) -> Vec<Value> {
    let lines = outputs(&sandbox.read(name));
    lines.iter().map(OutputLine::lasting).collect()
}

/// The output is the one that a first run over this input would have written.
fn equals_a_first_run(sandbox: &Sandbox, sim: &Sim, name: &str) {
    run(sandbox, sim, name).run().exits(0);
    assert_eq!(lasting(sandbox, "out.jsonl"), lasting(sandbox, name));
}

#[test]
fn only_new_and_changed_rows_are_sent() {
    let sandbox = sandbox();
    let sim = Sim::start(&sandbox, ["--latency", "2ms"]);
    let mut input = Input::new(seed(), 300);
    let mut answered = Answered::default();
    for round in 0..12 {
        sandbox.write("in.jsonl", input.text());
        sim.reset();
        run(&sandbox, &sim, "out.jsonl").run().exits(0);
        assert_eq!(
            sim.settled().answered(),
            answered.run(&input),
            "round {round}"
        );
        assert_eq!(outputs(&sandbox.read("out.jsonl")).len(), input.rows.len());
        input.edit([1, 2, 20][round % 3]);
    }
    sandbox.write("in.jsonl", input.text());
    run(&sandbox, &sim, "out.jsonl").run().exits(0);
    equals_a_first_run(&sandbox, &sim, "first.jsonl");
}

#[test]
fn edits_between_killed_runs_cost_no_more_than_what_was_in_flight() {
    let sandbox = sandbox();
    let sim = Sim::start(&sandbox, ["--latency", "6ms", "--jitter", "0.9"]);
    let seed = seed();
    let mut input = Input::new(seed, rows(800));
    let mut driver = CrashDriver::new(seed, Duration::from_millis(400), 120);
    let mut needed: HashMap<String, u64> = HashMap::new();
    for _ in 0..10 {
        sandbox.write("in.jsonl", input.text());
        // what any version of the input asked for may have been answered, and is then kept
        for (prompt, count) in input.prompts() {
            let most = needed.entry(prompt.to_owned()).or_default();
            *most = count.max(*most);
        }
        if let Some(ended) = driver.crash(run(&sandbox, &sim, "out.jsonl"), &sim) {
            ended.exits(0);
        }
        input.edit(15);
    }
    sandbox.write("in.jsonl", input.text());
    for (prompt, count) in input.prompts() {
        let most = needed.entry(prompt.to_owned()).or_default();
        *most = count.max(*most);
    }
    run(&sandbox, &sim, "out.jsonl").run().exits(0);
    let most = needed.values().sum::<u64>() + driver.kills() * CONCURRENCY;
    let answered = sim.settled().answered();
    println!(
        "{answered} answers for at most {most} with {} kills",
        driver.kills()
    );
    assert!(
        answered <= most,
        "{answered} answers, at most {most} were needed"
    );
    equals_a_first_run(&sandbox, &sim, "first.jsonl");
}

#[test]
fn a_rebuild_that_is_killed_leaves_the_old_output_and_goes_on() {
    let sandbox = sandbox();
    let sim = Sim::start(&sandbox, ["--latency", "2ms"]);
    let seed = seed();
    let mut input = Input::new(seed, rows(1_500));
    let mut answered = Answered::default();
    sandbox.write("in.jsonl", input.text());
    run(&sandbox, &sim, "out.jsonl").run().exits(0);
    answered.run(&input);
    let old = sandbox.read("out.jsonl");

    input.edit(30);
    sandbox.write("in.jsonl", input.text());
    sim.reset();
    let mut driver = CrashDriver::new(seed, Duration::from_millis(120), 8);
    for _ in 0..8 {
        if driver
            .crash(run(&sandbox, &sim, "out.jsonl"), &sim)
            .is_some()
        {
            break;
        }
        assert_eq!(
            sandbox.read("out.jsonl"),
            old,
            "the old output stays until the new one is whole"
        );
    }
    run(&sandbox, &sim, "out.jsonl").run().exits(0);
    let most = answered.run(&input) + driver.kills() * CONCURRENCY;
    let calls = sim.settled().answered();
    assert!(calls <= most, "{calls} calls, at most {most} were needed");
    equals_a_first_run(&sandbox, &sim, "first.jsonl");
}
