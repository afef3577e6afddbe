//! A run that is killed at any moment goes on where it was: nothing is lost, and nothing is paid twice but what was in
//! flight.

use std::time::Duration;

use antiphon_testkit::{
    Antiphon, CrashDriver, Ended, OutputLine, Sandbox, Sim, kills, outputs, rows, seed,
};
use serde_json::{Value, json};

use crate::{inputs, sandbox};

/// Calls in flight at once: what one kill may lose.
const CONCURRENCY: u64 = 16;

/// A job that can be started again and again.
struct Killed<'a> {
    sandbox: &'a Sandbox,
    sim: &'a Sim,
    args: Vec<&'a str>,
}

impl Killed<'_> {
    fn command(&self, output: &str) -> Antiphon {
        let concurrency = CONCURRENCY.to_string();
        self.sim
            .run(self.sandbox, ["in.jsonl", "-o", output])
            .args(["--concurrency", &concurrency])
            .args(&self.args)
    }

    /// Kills it as often as asked (or until it is done), then lets it come to its end.
    fn to_the_end(&self, driver: &mut CrashDriver, times: u64) -> Ended {
        for _ in 0..times {
            if let Some(ended) = driver.crash(self.command("out.jsonl"), self.sim) {
                assert_eq!(ended.code, Some(0), "{}", ended.stderr);
                break;
            }
            whole_lines_so_far(self.sandbox);
        }
        self.command("out.jsonl").run().exits(0)
    }

    fn output(&self, name: &str) -> Vec<Value> {
        outputs(&self.sandbox.read(name))
            .iter()
            .map(OutputLine::lasting)
            .collect()
    }
}

/// What a killed run leaves is a beginning of the output; only its last line may be torn.
fn whole_lines_so_far(sandbox: &Sandbox) {
    let text = sandbox.read("out.jsonl");
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    for (index, line) in outputs(&text[..whole]).iter().enumerate() {
        assert_eq!(line.index(), index as u64);
    }
}

/// Runs one job without and one with kills, and compares outputs and books.
fn survives(seed: u64, input: &str, args: &[&str]) {
    let sandbox = sandbox();
    sandbox.write("in.jsonl", input);
    sandbox.write("schema.json", SCHEMA);
    let sim = Sim::start(
        &sandbox,
        ["--latency", "8ms", "--jitter", "0.9"]
            .iter()
            .chain(&inputs::FAULTS),
    );
    let job = Killed {
        sandbox: &sandbox,
        sim: &sim,
        args: args.to_vec(),
    };
    let rows = input.lines().count() as u64;

    job.command("uninterrupted.jsonl").run().exits(0);
    let expected = job.output("uninterrupted.jsonl");
    assert_eq!(expected.len() as u64, rows);
    let paid = sim.settled().answered();
    sim.reset();

    let times = kills(8);
    let mut driver = CrashDriver::new(seed, Duration::from_millis(700), rows / times + 1);
    job.to_the_end(&mut driver, times);
    assert!(driver.kills() > 0, "no kill hit");
    let books = sim.settled();
    let extra = books.answered() as i64 - paid as i64;
    println!(
        "{rows} rows, {} kills, {extra} extra answers",
        driver.kills()
    );
    assert!(
        extra <= (driver.kills() * CONCURRENCY) as i64,
        "{extra} answers were paid twice"
    );
    let found = job.output("out.jsonl");
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());

    // all is done: nothing is sent, and nothing changes
    let before = sandbox.read("out.jsonl");
    sim.reset();
    job.command("out.jsonl").run().exits(0);
    assert_eq!(sim.books().calls(), 0);
    assert_eq!(sandbox.read("out.jsonl"), before);
}

pub(crate) const SCHEMA: &str = r#"{"type":"object","properties":{"answer":{"type":"string"},"score":{"type":"integer","minimum":0,"maximum":10}},
"required":["answer","score"],"additionalProperties":false}"#;

/// Rows of which each fiftieth stands there five times.
fn with_equal_rows(count: u64) -> String {
    let mut text = String::new();
    for number in 0..count {
        match number % 50 {
            0 => (0..5).for_each(|_| {
                text.push_str(&format!(
                    "{{\"model\":\"small\",\"prompt\":\"equal {number}\"}}\n"
                ))
            }),
            _ => text.push_str(&inputs::row(number)),
        }
    }
    text
}

#[test]
fn a_killed_run_goes_on_without_loss() {
    for seed in [1, seed()] {
        survives(seed, &inputs::rows(rows(1_500)), &[]);
    }
}

#[test]
fn five_equal_rows_are_five_calls_and_five_lines_after_kills() {
    survives(seed(), &with_equal_rows(rows(1_000)), &[]);
}

#[test]
fn a_killed_run_with_a_schema_goes_on_without_loss() {
    survives(
        seed(),
        &inputs::rows(rows(1_000)),
        &["--schema", "schema.json"],
    );
}

#[test]
fn a_killed_ensemble_pays_for_no_member_and_no_decision_again() {
    survives(seed(), &inputs::rows(rows(300)), &["--ensemble", "3"]);
}

/// A vote ends as soon as it is certain: who was heard by then, and what that took, is not the same in two runs.
#[test]
fn a_killed_vote_on_fields_comes_to_the_same_and_pays_no_member_again() {
    let sandbox = sandbox();
    let input = with_equal_rows(rows(300));
    sandbox.write("in.jsonl", &input);
    sandbox.write("schema.json", SCHEMA);
    let sim = Sim::start(&sandbox, ["--latency", "8ms", "--jitter", "0.9"]);
    let job = Killed {
        sandbox: &sandbox,
        sim: &sim,
        args: vec!["--ensemble", "3", "--schema", "schema.json"],
    };
    let decided = |name: &str| -> Vec<Value> {
        let kept = |line: Value| json!([line["id"], line["custom_id"], line["parsed"]]);
        job.output(name).into_iter().map(kept).collect()
    };
    job.command("uninterrupted.jsonl").run().exits(0);
    sim.settled();
    sim.reset();

    let (lines, times) = (input.lines().count() as u64, kills(8));
    let mut driver = CrashDriver::new(seed(), Duration::from_millis(700), lines / times + 1);
    job.to_the_end(&mut driver, times);
    assert!(driver.kills() > 0, "no kill hit");
    assert_eq!(decided("out.jsonl"), decided("uninterrupted.jsonl"));
    let (answered, kills) = (sim.settled().answered(), driver.kills());
    println!("{lines} rows, {kills} kills, {answered} answers");
    assert!(answered <= 3 * lines + kills * CONCURRENCY);
}

#[test]
fn killed_samples_are_paid_for_once() {
    survives(seed(), &inputs::rows(rows(300)), &["--samples", "3"]);
}
