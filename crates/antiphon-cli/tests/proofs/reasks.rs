//! Answers that do not fit their schema are paid too: a killed run goes on with those it has, and asks on from there.

use std::time::Duration;

use antiphon_testkit::{Antiphon, Books, CrashDriver, Sandbox, Sim, kills, outputs, rows, seed};
use serde_json::Value;

use crate::{crash::SCHEMA, inputs, sandbox};

/// Calls in flight at once: what one kill may lose.
const CONCURRENCY: u64 = 16;

fn job(sandbox: &Sandbox, sim: &Sim) -> Antiphon {
    let args = ["in.jsonl", "-o", "out.jsonl", "--schema", "schema.json"];
    sim.run(sandbox, args).args(["--concurrency", "16"])
}

/// Each row once and in its place, with an answer that fits or the word that there is none. How many have none.
fn off_schema(sandbox: &Sandbox, rows: u64) -> u64 {
    let lines = outputs(&sandbox.read("out.jsonl"));
    assert_eq!(lines.len() as u64, rows);
    let mut off = 0;
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line.custom_id(), format!("c{index}"));
        assert_eq!(line.index(), index as u64);
        let parsed = &line.0["antiphon"]["parsed"];
        match line.error_code() {
            None => assert!(parsed["score"].is_u64() && parsed["answer"].is_string()),
            Some(code) => {
                assert_eq!((code, parsed), ("off_schema", &Value::Null));
                off += 1;
            }
        }
    }
    off
}

/// Kills a run of which so many answers are off their schema, again and again. Gives how many rows have no answer in
/// the end.
fn survives(rows: u64, share: &str) -> (u64, Books) {
    let (seed, times) = (seed(), kills(8));
    let sandbox = sandbox();
    sandbox.write("in.jsonl", inputs::rows(rows));
    sandbox.write("schema.json", SCHEMA);
    let (latency, fault) = (["--latency", "8ms"], format!("off-schema={share}"));
    let jitter = ["--jitter", "0.9", "--fail", &fault];
    let sim = Sim::start(&sandbox, latency.iter().chain(&jitter));
    let mut driver = CrashDriver::new(seed, Duration::from_millis(700), rows / times + 1);
    for _ in 0..times {
        if let Some(ended) = driver.crash(job(&sandbox, &sim), &sim) {
            ended.exits(1);
        }
    }
    job(&sandbox, &sim).run().exits(1);
    assert!(driver.kills() > 0, "no kill hit");

    let off = off_schema(&sandbox, rows);
    // a question that is put again with what was wrong is another one: it is answered once too
    let (kills, twice, books) = (driver.kills(), sim.answered_again(), sim.books());
    let met = books.faults("off-schema");
    println!(
        "{rows} rows, {kills} kills, {met} answers off the schema, {off} rows in vain, {twice} answers paid twice"
    );
    assert!(twice <= kills * CONCURRENCY, "{twice} were paid twice");

    // all is done, the rows without an answer too
    sim.reset();
    job(&sandbox, &sim).run().exits(1);
    assert_eq!(sim.books().calls(), 0);
    (off, books)
}

#[test]
fn a_killed_run_pays_for_no_answer_off_its_schema_again() {
    let (off, _) = survives(rows(1_500), "0.3");
    assert!(off > 0, "some rows are asked three times in vain");
}

#[test]
fn kills_do_not_change_how_often_is_asked_again() {
    let rows = rows(600);
    let (off, books) = survives(rows, "1");
    assert_eq!((off, books.distinct()), (rows, 3 * rows));
}
