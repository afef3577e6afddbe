//! What a budget refuses, and what it says.

use serde_json::Value;

use crate::support::{Scratch, sim_config};

fn report(scratch: &Scratch) -> Value {
    serde_json::from_str(&scratch.read("report.json")).unwrap()
}

#[test]
fn a_budget_that_buys_nothing_is_refused() {
    let scratch = Scratch::with_input(&[r#"{"prompt":"hi"}"#]);
    for (budget, words) in [
        ("0", "nothing can be bought for it; leave it out"),
        ("-1", "is no amount of dollars"),
        ("five", "is no amount of dollars"),
    ] {
        let ran = scratch.run(&["-m", "sim/demo", &format!("--budget={budget}")]);
        ran.says(2, &["--budget <USD>", words]);
        let ran = scratch.run(&["-m", "sim/demo", "--budget", budget]);
        ran.says(2, &["--budget <USD>", words]);
    }
}

#[test]
fn numbers_that_cannot_be_are_refused_in_plain_words() {
    let scratch = Scratch::with_input(&[r#"{"prompt":"hi"}"#]);
    for flag in ["--max-output-tokens", "--sample", "--concurrency", "--rpm"] {
        for number in ["0", "-5", "many"] {
            let ran = scratch.run(&["-m", "sim/demo", flag, number]);
            ran.says(2, &[flag, number, "it must be a number from 1 on"]);
        }
    }
    let ran = scratch.run(&["-m", "sim/demo", "--limit", "-1"]);
    ran.says(2, &["--limit <N>", "it must be a number from 0 on"]);
}

#[test]
fn a_model_without_a_price_takes_no_budget() {
    let scratch = Scratch::with_input(&[r#"{"prompt":"hi"}"#]);
    let ran = scratch.run(&["-m", "sim/mine", "--budget", "1", "-o", "out.jsonl"]);
    ran.says(
        2,
        &["that of sim/mine is not known", "[prices.\"sim/mine\"]"],
    );
    assert_eq!(scratch.names(), ["in.jsonl"]);
    // of a line that names it, the line
    let scratch = Scratch::with_input(&[
        r#"{"prompt":"hi","model":"sim/demo"}"#,
        r#"{"prompt":"hi","model":"sim/mine"}"#,
        r#"{"prompt":"hi","model":"sim/gpt-4o-mini","service_tier":"priority"}"#,
        r#"{"prompt":"hi","model":"sim/gpt-4o-mini","tools":[{"type":"web_search"}]}"#,
        r#"{"prompt":"hi","model":"sim/gpt-4o-mini"}"#,
    ]);
    let ran = scratch.run(&[
        "--budget",
        "1",
        "-o",
        "out.jsonl",
        "--report",
        "report.json",
    ]);
    ran.says(1, &["2 succeeded, 3 failed (bad_request 3)"]);
    let lines = scratch.lines("out.jsonl");
    let told = |line: usize| lines[line]["error"]["message"].as_str().unwrap().to_owned();
    assert!(told(1).contains("a budget needs prices"), "{}", told(1));
    assert!(
        told(2).contains("`service_tier` \"priority\""),
        "{}",
        told(2)
    );
    assert!(told(3).contains("the tool \"web_search\""), "{}", told(3));
    let report = report(&scratch);
    assert_eq!(report["budget_usd"], 1.0);
    assert_eq!(report["budget_held_usd"], 0.0);
    let left = report["budget_left_usd"].as_f64().unwrap();
    assert_eq!(left, 1.0 - report["cost_usd"].as_f64().unwrap());
}

#[test]
fn a_row_that_is_too_dear_stops_the_run_before_it_is_sent() {
    let scratch = Scratch::with_input(&[r#"{"prompt":"hi"}"#]);
    let model = ["-m", "sim/gpt-4o-mini"];
    let ran = scratch.run(&[&model[..], &["--budget=0.001", "-o", "out.jsonl"]].concat());
    ran.says(
        3,
        &[
            "the budget of $0.001 is too small for the next attempt, which may cost up to $0.00",
            "1 pending",
            // what one attempt takes, which is more than twice as much
            "--budget=0.0026",
        ],
    );
    // with a lower cap of its output it fits
    let small = [
        "--budget=0.001",
        "--max-output-tokens",
        "100",
        "-o",
        "out.jsonl",
    ];
    scratch.run(&[&model[..], &small].concat()).says(0, &[]);
}

#[test]
fn answers_that_do_not_tell_their_tokens_keep_their_holds() {
    let rows: Vec<String> = (0..30)
        .map(|n| format!("{{\"prompt\":\"question {n}\"}}"))
        .collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let scratch = Scratch::with_input(&rows);
    sim_config(&scratch, "fail = [\"no-usage=1\"]");
    let run = |budget: &str, code: i32| {
        let model = ["-m", "sim/gpt-4o-mini", "--max-output-tokens", "1000"];
        let files = ["-o", "out.jsonl", "--report", "report.json"];
        let ran = scratch.run(&[&model[..], &files, &["--budget", budget]].concat());
        ran.says(code, &[]);
        report(&scratch)
    };
    // each row holds a bit more than $0.0006
    let first = run("0.0066", 3);
    assert_eq!(first["succeeded"], 10);
    assert!(first["budget_held_usd"].as_f64().unwrap() > 0.006);
    // what they may have cost is not forgotten by the next run
    let second = run("0.0132", 3);
    assert_eq!(
        (&second["resumed"], &second["succeeded"]),
        (&10.into(), &20.into())
    );
    assert!(second["budget_held_usd"].as_f64().unwrap() > 0.012);
    // a lower budget than what is gone: the next command has one that is of use
    let args = ["-m", "sim/gpt-4o-mini", "--max-output-tokens", "1000"];
    let files = ["-o", "out.jsonl", "--budget", "0.001"];
    let ran = scratch.run(&[&args[..], &files].concat());
    let next = format!(
        "--budget {}",
        second["budget_held_usd"].as_f64().unwrap() * 2.0
    );
    ran.says(
        3,
        &[
            "$0 spent, up to $0.01",
            "by attempts whose end is not known",
            &next,
        ],
    );
}

#[test]
fn a_run_that_stops_at_once_still_shows_what_was_finished_before() {
    let mut rows = vec![r#"{"prompt":"hi","model":"sim/gpt-4o-mini","n":0}"#.to_owned()];
    rows.extend((0..2000).map(|n| format!("{{\"prompt\":\"question {n}\"}}")));
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let scratch = Scratch::with_input(&rows);
    let files = ["-o", "out.jsonl", "--report", "report.json"];
    scratch.write("antiphon.toml", "default_model = \"sim/demo\"\n");
    scratch.run(&files).says(1, &["2,000 succeeded, 1 failed"]);
    // the first row is too dear, and the run ends with it
    let again = ["--retry-failed", "--budget", "0.000001"];
    let ran = scratch.run(&[&files[..], &again].concat());
    ran.says(
        3,
        &["2,000 succeeded, 0 failed, 1 pending, 2,000 from earlier runs"],
    );
    assert_eq!(scratch.lines("out.jsonl").len(), 2000);
}

#[test]
fn a_map_reduce_has_a_budget_over_its_runs() {
    let scratch = Scratch::new();
    scratch.write(
        "a.txt",
        "one two three four five six seven eight nine ten ".repeat(400),
    );
    let args = |budget| {
        [
            "map-reduce",
            "a.txt",
            "--map",
            "What is it?",
            "-m",
            "sim/gpt-4o-mini",
            "--window",
            "2500",
            "-o",
            "out.txt",
            "--budget",
            budget,
        ]
    };
    let stopped = scratch.antiphon(&args("0.0018"));
    stopped.says(3, &["the budget of $0.0018 is reached", "--budget 0.0036"]);
    scratch
        .antiphon(&args("0.0018"))
        .says(3, &["the budget of $0.0018 is reached"]);
    scratch.antiphon(&args("1")).says(0, &["in earlier runs"]);
}

#[test]
fn money_that_is_kept_for_lost_attempts_of_earlier_runs_is_told() {
    let scratch = Scratch::with_input(&[r#"{"prompt":"hi","max_tokens":10}"#]);
    let run = ["-m", "sim/gpt-4o-mini", "-o", "out.jsonl", "--budget", "1"];
    sim_config(&scratch, "fail = [\"reset=1\"]");
    let lost = scratch.run(&run);
    lost.says(3, &[" without an end may have been billed"]);
    sim_config(&scratch, "");
    let report = ["--report", "report.json"];
    let ran = scratch.run(&[&run[..], &report[..]].concat());
    ran.says(0, &[" of the budget is kept for attempts of earlier runs"]);
    let told = self::report(&scratch);
    let dollars = |field: &str| told[field].as_f64().unwrap();
    assert!(dollars("budget_held_usd") > 0.0);
    let all = ["job_cost_usd", "budget_held_usd", "budget_left_usd"].map(dollars);
    assert!((all.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{all:?}");
}
