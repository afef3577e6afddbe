//! Comparisons and analyses are jobs: killed at any moment they go on, and pay nothing twice but what was in flight.

use std::time::Duration;

use antiphon_testkit::{
    Antiphon, CrashDriver, OutputLine, Sandbox, Signal, Sim, kills, outputs, rows, seed,
};
use serde_json::Value;

use crate::{inputs, sandbox};

/// Calls in flight at once: what one kill may lose.
const CONCURRENCY: u64 = 16;

/// A command with this output, started anew each time.
fn command(sandbox: &Sandbox, sim: &Sim, args: &[&str], output: &str) -> Antiphon {
    let concurrency = CONCURRENCY.to_string();
    sandbox
        .antiphon(args)
        .args(["-o", output, "--progress", "none"])
        .args(["--base-url", &sim.base_url(), "--concurrency", &concurrency])
        .env("OPENAI_API_KEY", "key-of-the-sandbox")
}

fn lasting(sandbox: &Sandbox, output: &str) -> Vec<Value> {
    let lines = outputs(&sandbox.read(output));
    lines
        .iter()
        .map(|line| {
            let mut lasting = line.lasting();
            lasting["input"] = line.0["input"].clone();
            lasting
        })
        .collect()
}

/// Runs a job of so many lines on so many models without and with kills, and compares outputs and books.
fn survives(sandbox: &Sandbox, args: &[&str], lines: u64, models: u64) {
    let sim = Sim::start(
        sandbox,
        ["--latency", "8ms", "--jitter", "0.9"]
            .iter()
            .chain(&inputs::FAULTS),
    );
    command(sandbox, &sim, args, "uninterrupted.jsonl")
        .run()
        .exits(0);
    let expected = lasting(sandbox, "uninterrupted.jsonl");
    assert_eq!(expected.len() as u64, lines);
    let paid = sim.settled().answered();
    sim.reset();

    let times = kills(5);
    let mut driver = CrashDriver::new(seed(), Duration::from_millis(700), lines / times + 1);
    for _ in 0..times {
        let again = command(sandbox, &sim, args, "out.jsonl");
        if driver.crash(again, &sim).is_some() {
            break;
        }
    }
    assert!(driver.kills() > 0, "no kill hit");
    let ended = command(sandbox, &sim, args, "out.jsonl").run().exits(0);
    let extra = sim.settled().answered() as i64 - paid as i64;
    println!(
        "{lines} lines, {} kills, {extra} extra answers",
        driver.kills()
    );
    assert!(
        // each model is an account of its own, with as many calls in flight
        extra <= (driver.kills() * CONCURRENCY * models) as i64,
        "{extra} answers were paid twice"
    );
    assert_eq!(lasting(sandbox, "out.jsonl"), expected);

    sim.reset();
    let again = command(sandbox, &sim, args, "out.jsonl").run().exits(0);
    assert_eq!(sim.books().calls(), 0);
    assert_eq!(
        again.stdout, ended.stdout,
        "the same table, from the same lines"
    );
}

#[test]
fn a_killed_comparison_goes_on_without_loss() {
    let sandbox = sandbox();
    let count = rows(300);
    let input: String = (0..count)
        .map(|number| {
            format!(
                "{{\"id\":\"q{number}\",\"question\":\"number {}?\"}}\n",
                number % 100
            )
        })
        .collect();
    sandbox.write("in.jsonl", input);
    sandbox.write("short.txt", "Briefly: {{ question }}");
    sandbox.write("long.txt", "At length: {{ question }}");
    let args = [
        "compare",
        "in.jsonl",
        "--prompt-file",
        "short.txt",
        "--prompt-file",
        "long.txt",
        "-m",
        "a",
        "-m",
        "b",
    ];
    survives(&sandbox, &args, count * 4, 2);
}

#[test]
fn a_killed_analysis_goes_on_without_loss() {
    let sandbox = sandbox();
    let count = rows(500);
    let input: String = (0..count)
        .map(|number| {
            format!(
                "{{\"id\":\"d{number}\",\"year\":{number},\"text\":\"text {}\"}}\n",
                number % 200
            )
        })
        .collect();
    sandbox.write("many.jsonl", input);
    sandbox.write("one.md", "# One");
    let args = [
        "analyze",
        "one.md",
        "many.jsonl",
        "--classify",
        "good,bad,odd",
        "-m",
        "a",
    ];
    survives(&sandbox, &args, count + 1, 1);
}

#[test]
fn an_interrupted_comparison_knows_what_is_left_and_shows_what_it_has() {
    let sandbox = sandbox();
    let input: String = (0..400)
        .map(|number| format!("{{\"question\":\"{number}\"}}\n"))
        .collect();
    sandbox.write("in.jsonl", input);
    let sim = Sim::start(&sandbox, ["--latency", "40ms"]);
    let args = [
        "compare",
        "in.jsonl",
        "--prompt",
        "{{ question }}",
        "-m",
        "a",
        "-m",
        "b",
        "-m",
        "c",
    ];
    let mut running = command(&sandbox, &sim, &args, "out.jsonl").start();
    assert!(running.until(|_| sim.books().answered() >= 100));
    running.signal(Signal::Interrupt);
    let ended = running
        .wait()
        .exits(130)
        .says("1,200 rows: ")
        .says("to go on:");
    let answered = sim.settled().answered();
    let lines = outputs(&sandbox.read("out.jsonl"));
    assert_eq!(lines.len() as u64, answered);
    let table = String::from_utf8(ended.stdout).unwrap();
    let counted = table.lines().skip(1).map(|line| {
        let cell = line.split_whitespace().nth(1).unwrap();
        cell.parse::<u64>().unwrap()
    });
    assert_eq!(counted.sum::<u64>(), answered);
    command(&sandbox, &sim, &args, "out.jsonl").run().exits(0);
    assert_eq!(sim.settled().answered(), 1_200);
    let indexes: Vec<u64> = outputs(&sandbox.read("out.jsonl"))
        .iter()
        .map(OutputLine::index)
        .collect();
    assert_eq!(indexes, (0..1_200).collect::<Vec<_>>());
}
