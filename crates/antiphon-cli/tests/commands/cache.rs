//! `--cache`: what was paid for by one run costs the next one nothing.

use std::{collections::BTreeSet, os::unix::fs::PermissionsExt};

use antiphon_testkit::{Ended, OutputLine, Sandbox, Sim, outputs};
use serde_json::{Value, json};

const CACHE: &str = ".cache/antiphon/answers.db";

fn sandbox(rows: &[&str]) -> (Sandbox, Sim) {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_antiphon"));
    sandbox.write("in.jsonl", rows.join("\n") + "\n");
    let sim = Sim::start(&sandbox, [""; 0]);
    (sandbox, sim)
}

/// Runs anew, with a report, and counts the calls that reach the provider.
fn run(sandbox: &Sandbox, sim: &Sim, args: &[&str]) -> (Ended, Value, u64) {
    sim.reset();
    let usual = ["in.jsonl", "-m", "x", "-o", "out.jsonl", "--fresh"];
    let ended = sim
        .run(sandbox, usual)
        .args(["--report", "report.json"])
        .args(args)
        .run()
        .exits(0);
    let report = serde_json::from_str(&sandbox.read("report.json")).unwrap();
    (ended, report, sim.settled().calls())
}

/// The lines without what a hit may change.
fn lasting(sandbox: &Sandbox) -> Vec<Value> {
    let lines = outputs(&sandbox.read("out.jsonl"));
    let lasting = lines.iter().map(|line| {
        let mut lasting = line.lasting();
        lasting["request_id"] = line.0["response"]["request_id"].clone();
        lasting.as_object_mut().unwrap().remove("usage");
        lasting
    });
    lasting.collect()
}

fn details<'a>(lines: &'a [OutputLine], name: &str) -> Vec<&'a Value> {
    lines.iter().map(|line| &line.0["antiphon"][name]).collect()
}

#[test]
fn a_second_run_makes_no_calls_and_five_equal_rows_stay_five_samples() {
    let mut rows = vec![r#"{"prompt":"the same"}"#; 5];
    rows.push(r#"{"prompt":"another"}"#);
    let (sandbox, sim) = sandbox(&rows);
    let (ended, report, calls) = run(&sandbox, &sim, &["--cache"]);
    assert_eq!(calls, 6, "equal rows are samples, and each is asked");
    assert_eq!(report["cached"], 0);
    assert!(!ended.stderr.contains("from the cache"));
    let first = lasting(&sandbox);
    assert_eq!(first.len(), 6);
    let answers: BTreeSet<&str> = first
        .iter()
        .map(|line| line["request_id"].as_str().unwrap())
        .collect();
    assert_eq!(answers.len(), 6, "six answers of the provider");

    let (ended, report, calls) = run(&sandbox, &sim, &["--cache"]);
    assert_eq!(calls, 0);
    assert_eq!(lasting(&sandbox), first);
    let tokens: u64 = first
        .iter()
        .map(|line| line["body"]["usage"]["total_tokens"].as_u64().unwrap())
        .sum();
    ended.says(&format!(
        "6 succeeded, 0 failed, 6 from the cache ({tokens} tokens not paid for)"
    ));
    assert_eq!(
        (&report["cached"], &report["attempts"]),
        (&json!(6), &json!(0))
    );
    assert_eq!(report["usage"]["input_tokens"], 0);
    assert_eq!(report["usage"]["output_tokens"], 0);
    assert_eq!(report["cost_avoided_usd"], Value::Null);
    assert_eq!(report["latency_ms"]["mean"], Value::Null);
    let lines = outputs(&sandbox.read("out.jsonl"));
    assert_eq!(details(&lines, "cached"), [true; 6]);
    assert_eq!(details(&lines, "attempts"), [0; 6]);
    assert_eq!(details(&lines, "latency_ms"), vec![&Value::Null; 6]);
    for usage in details(&lines, "usage") {
        assert_eq!(usage["input_tokens"], 0, "nothing was paid");
    }

    // a sixth equal row is a sixth sample
    let five: Vec<Value> = first[..5].to_vec();
    sandbox.write("in.jsonl", format!("{}\n", rows[0]).repeat(6));
    let (_, report, calls) = run(&sandbox, &sim, &["--cache"]);
    assert_eq!((calls, &report["cached"]), (1, &json!(5)));
    assert_eq!(lasting(&sandbox)[..5], five);
}

#[test]
fn the_cache_is_off_unless_asked_for_and_its_file_is_private() {
    let (sandbox, sim) = sandbox(&[r#"{"prompt":"a"}"#]);
    for args in [
        &[][..],
        &["--no-cache"],
        &["--cache", "--no-cache"],
        &["--no-cache", "--cache"],
    ] {
        assert_eq!(run(&sandbox, &sim, args).2, 1, "{args:?}");
        assert!(!sandbox.path(".cache").exists(), "{args:?}");
    }
    run(&sandbox, &sim, &["--cache"]);
    let mode = std::fs::metadata(sandbox.path(CACHE))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let elsewhere = sandbox.path("elsewhere");
    sim.reset();
    sim.run(
        &sandbox,
        ["in.jsonl", "-m", "x", "-o", "b.jsonl", "--cache"],
    )
    .env("XDG_CACHE_HOME", &elsewhere.to_string_lossy())
    .run()
    .exits(0);
    assert_eq!(sim.settled().calls(), 1, "another folder, another cache");
    assert!(elsewhere.join("antiphon/answers.db").exists());
}

#[test]
fn all_that_decides_about_an_answer_is_in_the_key() {
    let (sandbox, sim) = sandbox(&[r#"{"prompt":"a"}"#]);
    sandbox.write("schema.json", r#"{"type":"object"}"#);
    sandbox.write(
        "beta.toml",
        "[providers.openai]\nheaders = { x-beta = \"on\" }\n",
    );
    run(&sandbox, &sim, &["--cache"]);
    for args in [
        &["--param", "temperature=0"][..],
        &["--param", "seed=1"],
        &["--system", "Be brief."],
        &["--schema", "schema.json"],
        &["-m", "y"],
        &["--provider", "vllm"],
        &["--config", "beta.toml"],
    ] {
        let mut args: Vec<&str> = [args, &["--cache"]].concat();
        // a flag cannot be given twice
        let model = if args[0] == "-m" { "y" } else { "x" };
        args.retain(|arg| !["-m", "y"].contains(arg));
        let calls = || {
            sim.reset();
            let usual = ["in.jsonl", "-m", model, "-o", "o.jsonl", "--fresh"];
            sim.run(&sandbox, usual).args(&args).run().exits(0);
            sim.settled().calls()
        };
        assert_eq!((calls(), calls()), (1, 0), "{args:?}");
    }
    // another server under the same names
    let other = Sim::start(&sandbox, [""; 0]);
    assert_eq!(run(&sandbox, &other, &["--cache"]).2, 1);
    assert_eq!(run(&sandbox, &sim, &["--cache"]).2, 0);
}

#[test]
fn what_is_no_valid_answer_is_asked_again() {
    let (sandbox, sim) = sandbox(&[r#"{"prompt":"a"}"#]);
    for fault in ["refusal", "content-filter", "length"] {
        sim.change(&json!({"fail": [format!("{fault}=1")]}));
        for _ in 0..2 {
            assert_eq!(run(&sandbox, &sim, &["--cache"]).2, 1, "{fault}");
        }
    }
    sim.change(&json!({"fail": ["400=1"]}));
    sim.run(
        &sandbox,
        ["in.jsonl", "-m", "x", "-o", "e.jsonl", "--cache"],
    )
    .run()
    .exits(1);
    sim.change(&json!({"fail": []}));
    assert_eq!(run(&sandbox, &sim, &["--cache"]).2, 1);
    assert_eq!(run(&sandbox, &sim, &["--cache"]).2, 0);
}

#[test]
fn resume_and_cache_do_not_know_of_each_other() {
    let (sandbox, sim) = sandbox(&[r#"{"prompt":"a"}"#]);
    let again = |args: &[&str]| {
        sim.reset();
        let usual = ["in.jsonl", "-m", "x", "-o", "out.jsonl"];
        let ended = sim.run(&sandbox, usual).args(args).run().exits(0);
        (ended.says("1 succeeded"), sim.settled().calls())
    };
    assert_eq!(again(&[]).1, 1);
    let (ended, calls) = again(&["--cache"]);
    assert_eq!(calls, 0);
    let ended = ended.says("1 from earlier runs");
    assert!(!ended.stderr.contains("since the last run"), "{ended:?}");
}

#[test]
fn an_ensemble_at_hand_tells_the_tokens_of_its_members() {
    let (sandbox, sim) = sandbox(&[r#"{"prompt":"a"}"#]);
    let panel = ["--cache", "--ensemble", "3"];
    let (_, report, calls) = run(&sandbox, &sim, &panel);
    let paid = |kind: &str| report["usage"][kind].as_u64().unwrap();
    let paid = paid("input_tokens") + paid("output_tokens");
    assert_eq!(calls, 4);
    let (ended, _, calls) = run(&sandbox, &sim, &panel);
    ended.says(&format!("1 from the cache ({paid} tokens not paid for)"));
    assert_eq!(calls, 0);
}

#[test]
fn a_cache_that_cannot_be_used_fails_no_run() {
    let (sandbox, sim) = sandbox(&[r#"{"prompt":"a"}"#]);
    run(&sandbox, &sim, &["--cache"]);
    for damage in [&b"nonsense"[..], &[0xa5; 100_000]] {
        sandbox.write(CACHE, damage);
        let (ended, _, calls) = run(&sandbox, &sim, &["--cache"]);
        ended.says("the cache was damaged: a new one was begun");
        assert_eq!(calls, 1);
        let (ended, _, calls) = run(&sandbox, &sim, &["--cache"]);
        assert!(!ended.stderr.contains("damaged"), "{}", ended.stderr);
        assert_eq!(calls, 0);
    }
    // damage that is met on the way: all but the first page
    let mut file = std::fs::read(sandbox.path(CACHE)).unwrap();
    file[8192..].fill(0xff);
    sandbox.write(CACHE, file);
    let (ended, _, calls) = run(&sandbox, &sim, &["--cache"]);
    let ended = ended.says("the cache failed, and calls went on without it");
    assert_eq!(ended.stderr.matches("the cache failed").count(), 1);
    assert_eq!(calls, 1);
    // a file where the folder should be
    sandbox.write("no-folder", "");
    sim.reset();
    sim.run(
        &sandbox,
        ["in.jsonl", "-m", "x", "-o", "c.jsonl", "--cache"],
    )
    .env(
        "XDG_CACHE_HOME",
        &sandbox.path("no-folder").to_string_lossy(),
    )
    .run()
    .exits(0)
    .says("cannot be used");
    assert_eq!(sim.settled().calls(), 1);
}

#[test]
fn several_runs_at_once_share_a_cache() {
    let rows: Vec<String> = (0..50).map(|n| format!("{{\"prompt\":\"{n}\"}}")).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let (sandbox, sim) = sandbox(&rows);
    let runs: Vec<_> = ["a", "b", "c"]
        .map(|out| {
            let out = format!("{out}.jsonl");
            sim.run(&sandbox, ["in.jsonl", "-m", "x", "--cache", "-o", &out])
                .start()
        })
        .into();
    for run in runs {
        let ended = run.wait().exits(0);
        assert!(
            !ended.stderr.contains("the cache failed"),
            "{}",
            ended.stderr
        );
    }
    assert_eq!(run(&sandbox, &sim, &["--cache"]).2, 0);
}
