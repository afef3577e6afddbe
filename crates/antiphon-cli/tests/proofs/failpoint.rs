//! The disk fails at any write: nothing more is sent, the message says which file and why, and with a sound disk the
//! same command goes on. Nothing is lost, and nothing is paid twice but what was in flight.

mod job;

use std::fs;

use antiphon_testkit::{Sandbox, Sim};
use serde_json::json;

use self::job::Job;
use crate::{inputs, sandbox};

/// Rows that a group of the ledger's writer may not hold all of, so that a run takes many commits.
const ROWS: u64 = 150;

#[test]
fn a_disk_that_fails_at_any_write_loses_nothing() {
    let sandbox = sandbox();
    sandbox.write("in.jsonl", inputs::rows(ROWS));
    let sim = Sim::start(&sandbox, ["--latency", "3ms", "--jitter", "0.9"]);
    if let Some(mut job) = Job::new(&sandbox, &sim, "nothing", &[]) {
        job.survives_all(8);
    }
}

/// An earlier run over some rows, and what happened to them since.
fn after_an_earlier_run(args: &[&str], since: impl FnOnce(&Sandbox, &Sim)) {
    let sandbox = sandbox();
    let sim = Sim::start(&sandbox, ["--latency", "3ms"]);
    sandbox.write("in.jsonl", inputs::rows_of(10..40));
    fs::create_dir(sandbox.path("earlier")).unwrap();
    let earlier = ["in.jsonl", "-o", "earlier/out.jsonl", "--max-retries", "0"];
    sim.change(&json!({"fail": ["500=0.3"]}));
    sim.run(&sandbox, earlier).run().exits(1);
    sim.change(&json!({"fail": []}));
    since(&sandbox, &sim);
    if let Some(mut job) = Job::new(&sandbox, &sim, "earlier", args) {
        job.survives_all(6);
    }
}

#[test]
fn a_disk_that_fails_while_failed_rows_are_sent_again_loses_nothing() {
    after_an_earlier_run(&[], |_, _| {});
}

#[test]
fn a_disk_that_fails_while_an_edited_input_is_mapped_loses_nothing() {
    after_an_earlier_run(&[], |sandbox, sim| {
        sim.run(sandbox, ["in.jsonl", "-o", "earlier/out.jsonl"])
            .run()
            .exits(0);
        // lines as long as before: only what they say tells the new output from the old one
        let mut numbers: Vec<u64> = (10..40).collect();
        numbers.swap(3, 4);
        sandbox.write("in.jsonl", inputs::rows_of(numbers));
    });
}

#[test]
fn a_disk_that_fails_after_the_plan_changed_shows_no_answer_of_the_old_one() {
    after_an_earlier_run(&["--param", "temperature=0"], |_, _| {});
}

#[test]
fn a_disk_that_fails_while_a_ledger_is_salvaged_loses_nothing() {
    after_an_earlier_run(&[], |sandbox, _| {
        sandbox.write("earlier/out.jsonl.antiphon/ledger.db.damaged", "");
    });
}
