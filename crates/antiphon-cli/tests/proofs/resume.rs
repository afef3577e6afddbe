//! The same command again: what it repairs, what it sends again, and what it says.

use std::{fs, io::Write};

use antiphon_testkit::{Antiphon, OutputLine, Sandbox, Sim, outputs, seed};
use serde_json::{Value, json};

use crate::{inputs, sandbox};

/// A sandbox with a job of so many rows, and its provider.
fn job(rows: u64, options: &[&str]) -> (Sandbox, Sim) {
    let sandbox = sandbox();
    sandbox.write("in.jsonl", inputs::rows(rows));
    let sim = Sim::start(&sandbox, options);
    (sandbox, sim)
}

fn run(sandbox: &Sandbox, sim: &Sim, args: &[&str]) -> Antiphon {
    sim.run(sandbox, ["in.jsonl", "-o", "out.jsonl"]).args(args)
}

/// Runs again and counts the calls.
fn calls_of(sim: &Sim, command: Antiphon, code: i32) -> u64 {
    sim.reset();
    command.run().exits(code);
    sim.settled().calls()
}

#[test]
fn nothing_is_sent_twice_and_the_output_is_repaired() {
    let (sandbox, sim) = job(300, &[]);
    run(&sandbox, &sim, &[]).run().exits(0);
    let whole = sandbox.read("out.jsonl");
    assert_eq!(outputs(&whole).len(), 300);
    let mut dice = fastrand::Rng::with_seed(seed());
    let path = sandbox.path("out.jsonl");
    let mut damages: Vec<Box<dyn FnMut()>> = vec![
        Box::new(|| {}),
        Box::new(|| sandbox.remove("out.jsonl")),
        Box::new(|| sandbox.write("out.jsonl", "")),
        Box::new(|| sandbox.write("out.jsonl", &whole[..whole.len() - 1])),
        Box::new(|| {
            let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
            file.write_all(b"{\"id\":\"garb").unwrap();
        }),
        Box::new(|| sandbox.write("out.jsonl", "a file of someone else\n")),
    ];
    for _ in 0..6 {
        let length = dice.usize(0..whole.len());
        let (sandbox, whole) = (&sandbox, &whole);
        damages.push(Box::new(move || {
            sandbox.write("out.jsonl", &whole[..length])
        }));
    }
    for damage in &mut damages {
        damage();
        assert_eq!(calls_of(&sim, run(&sandbox, &sim, &[]), 0), 0);
        assert_eq!(sandbox.read("out.jsonl"), whole);
    }
}

#[test]
fn transient_failures_are_sent_again_and_permanent_ones_on_request() {
    let sandbox = sandbox();
    let mut input = inputs::rows(60);
    for number in 0..5 {
        input.push_str(&format!(
            "{{\"custom_id\":\"m{number}\",\"model\":\"missing-1\",\"prompt\":\"{number}\"}}\n"
        ));
    }
    sandbox.write("in.jsonl", input);
    let sim = Sim::start(&sandbox, ["--fail", "500=0.3"]);
    run(&sandbox, &sim, &["--max-retries", "0"]).run().exits(1);
    let lines = outputs(&sandbox.read("out.jsonl"));
    let failed = |code: &str| {
        lines
            .iter()
            .filter(|line| line.error_code() == Some(code))
            .count() as u64
    };
    assert_eq!(lines.len(), 65);
    assert_eq!(failed("model_not_found"), 5);
    assert!(failed("server_error") > 0);

    sim.change(&json!({"fail": []}));
    assert_eq!(
        calls_of(&sim, run(&sandbox, &sim, &[]), 1),
        failed("server_error")
    );
    let lines = outputs(&sandbox.read("out.jsonl"));
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.error_code().is_none())
            .count(),
        60
    );
    assert_eq!(calls_of(&sim, run(&sandbox, &sim, &[]), 1), 0);
    assert_eq!(
        calls_of(&sim, run(&sandbox, &sim, &["--retry-failed"]), 1),
        5
    );
    assert_eq!(outputs(&sandbox.read("out.jsonl")).len(), 65);
}

#[test]
fn a_limit_can_be_lifted() {
    let (sandbox, sim) = job(120, &[]);
    assert_eq!(
        calls_of(&sim, run(&sandbox, &sim, &["--limit", "30"]), 0),
        30
    );
    let first = sandbox.read("out.jsonl");
    assert_eq!(outputs(&first).len(), 30);
    assert_eq!(calls_of(&sim, run(&sandbox, &sim, &[]), 0), 90);
    let all = sandbox.read("out.jsonl");
    assert!(all.starts_with(&first));
    assert_eq!(outputs(&all).len(), 120);
    // and set again: answers that are no longer asked for are kept, not shown
    assert_eq!(
        calls_of(&sim, run(&sandbox, &sim, &["--limit", "30"]), 0),
        0
    );
    assert_eq!(sandbox.read("out.jsonl"), first);
    assert_eq!(calls_of(&sim, run(&sandbox, &sim, &[]), 0), 0);
    assert_eq!(sandbox.read("out.jsonl"), all);
}

#[test]
fn a_fresh_run_deletes_nothing() {
    let (sandbox, sim) = job(20, &[]);
    run(&sandbox, &sim, &[]).run().exits(0);
    let old = sandbox.read("out.jsonl");
    assert_eq!(calls_of(&sim, run(&sandbox, &sim, &["--fresh"]), 0), 20);
    assert_eq!(sandbox.read("out.jsonl.old-1"), old);
    assert!(sandbox.path("out.jsonl.antiphon.old-1/ledger.db").is_file());
    assert_eq!(calls_of(&sim, run(&sandbox, &sim, &["--fresh"]), 0), 20);
    assert_eq!(sandbox.read("out.jsonl.old-1"), old);
    assert!(sandbox.path("out.jsonl.old-2").is_file());
}

#[test]
fn a_changed_plan_is_told_before_the_first_call() {
    let sandbox = sandbox();
    let rows: String = (0..20)
        .map(|number| format!("{{\"question\":\"q {number}\"}}\n"))
        .collect();
    sandbox.write("in.jsonl", rows);
    let sim = Sim::start(&sandbox, ["--latency", "2ms"]);
    let mut plan = vec!["--prompt", "{{ question }}", "-m", "small"];
    let base = plan.clone();
    run(&sandbox, &sim, &plan).run().exits(0);
    let first = sandbox.read("out.jsonl");
    for (part, changed) in [
        (
            "--prompt",
            vec!["--prompt", "Say {{ question }}", "-m", "small"],
        ),
        (
            "--param",
            vec![
                "--prompt",
                "{{ question }}",
                "-m",
                "small",
                "--param",
                "temperature=0",
            ],
        ),
        ("--model", vec!["--prompt", "{{ question }}", "-m", "large"]),
    ] {
        plan = changed;
        // an endpoint that is down: whatever is said was said before any call got through
        sim.reset();
        sim.outage(true);
        let mut running = run(&sandbox, &sim, &plan).start();
        assert!(running.until(|running| running.stderr().contains("since the last run")));
        let told = running.stderr();
        running.kill();
        assert!(told.contains(part), "{told}");
        assert_eq!(sim.books().answered(), 0);
        sim.outage(false);
        assert_eq!(calls_of(&sim, run(&sandbox, &sim, &plan), 0), 20);
        // back again: every answer is still there
        assert_eq!(calls_of(&sim, run(&sandbox, &sim, &base), 0), 0);
        assert_eq!(sandbox.read("out.jsonl"), first);
    }
}

#[test]
fn lines_in_order_of_completion_are_all_there() {
    let (sandbox, sim) = job(
        400,
        &["--latency", "5ms", "--jitter", "1", "--tail", "0.02"],
    );
    let sorted = |text: &str| {
        let mut lines: Vec<Value> = outputs(text).iter().map(OutputLine::lasting).collect();
        lines.sort_by_key(|line| line["index"].as_u64());
        lines
    };
    let ordered = ["in.jsonl", "-o", "ordered.jsonl"];
    sim.run(&sandbox, ordered).run().exits(0);
    sim.reset();
    let args = ["--order", "completion", "--concurrency", "16"];
    let mut running = run(&sandbox, &sim, &args).start();
    running.until(|_| sim.books().answered() > 150);
    running.kill();
    run(&sandbox, &sim, &args).run().exits(0);
    let answered = sim.settled().answered();
    assert!(answered <= 400 + 16, "{answered}");
    let text = sandbox.read("out.jsonl");
    assert_eq!(sorted(&text), sorted(&sandbox.read("ordered.jsonl")));
    assert_eq!(calls_of(&sim, run(&sandbox, &sim, &args), 0), 0);
    assert_eq!(sorted(&sandbox.read("out.jsonl")), sorted(&text));
}

#[test]
fn stdin_with_a_state_folder_goes_on() {
    let (sandbox, sim) = job(200, &["--latency", "10ms"]);
    let input = sandbox.read("in.jsonl");
    let command = || {
        sim.run(&sandbox, ["-", "--state", "st", "--concurrency", "8"])
            .stdin(input.clone())
    };
    let mut running = command().start();
    running.until(|_| sim.books().answered() >= 60);
    running.kill();
    let answered = sim.settled().answered();
    let ended = command().run().exits(0);
    let lines = outputs(std::str::from_utf8(&ended.stdout).unwrap());
    let indexes: Vec<u64> = lines.iter().map(OutputLine::index).collect();
    assert_eq!(indexes, (0..200).collect::<Vec<_>>());
    let total = sim.settled().answered();
    assert!(answered >= 60 && total <= 200 + 8, "{total}");
    sim.reset();
    let again = command().run().exits(0);
    assert_eq!(sim.books().calls(), 0);
    assert_eq!(again.stdout, ended.stdout);
}
