//! `antiphon estimate` and `antiphon run --dry-run`: what they tell, and that they send nothing.

use std::{fs, time::SystemTime};

use antiphon_sim::{SimConfig, SimServer, Simulator};
use serde_json::Value;

use crate::support::{Scratch, sim_config};

fn questions(number: u32) -> Scratch {
    let rows: Vec<String> = (0..number)
        .map(|n| format!("{{\"prompt\":\"set 0 question {n}\"}}"))
        .collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    Scratch::with_input(&rows)
}

fn estimated(scratch: &Scratch, args: &[&str]) -> Value {
    let ran = scratch.antiphon(&[&["estimate", "in.jsonl", "--json"], args].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

fn number(estimate: &Value, pointer: &str) -> f64 {
    let found = estimate.pointer(pointer).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("no number at {pointer} of {estimate}"))
}

/// All files below a folder, with their size, content and time.
fn files(scratch: &Scratch, folder: &str) -> Vec<(String, Vec<u8>, SystemTime)> {
    let entries = fs::read_dir(scratch.path(folder)).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let modified = entry.metadata().unwrap().modified().unwrap();
            (name, fs::read(entry.path()).unwrap(), modified)
        })
        .collect();
    files.sort();
    files
}

#[test]
fn nothing_is_sent_or_written_and_a_missing_key_is_only_noted() {
    let scratch = questions(30);
    let told = [
        "30 to send",
        "counted exactly",
        "cost",
        "at least 2.6 s, by --rpm",
    ];
    let run = [
        "in.jsonl",
        "-m",
        "openai/gpt-4o-mini",
        "--rpm",
        "500",
        "-o",
        "out.jsonl",
    ];
    let dry = scratch.antiphon(&[&["run", "--dry-run"], &run[..]].concat());
    assert_eq!(dry.code, 0, "{}", dry.err);
    assert!(
        dry.err
            .contains("no API key for openai: set OPENAI_API_KEY"),
        "{}",
        dry.err
    );
    for words in told {
        assert!(dry.out.contains(words), "{words} in {}", dry.out);
    }
    let estimate = scratch.antiphon(&[&["estimate"], &run[..]].concat());
    assert_eq!(estimate.out, dry.out);
    assert_eq!(scratch.names(), ["in.jsonl"]);
}

#[test]
fn a_dry_run_asks_no_provider_and_leaves_the_state_as_it_was() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let simulator = Simulator::new(SimConfig::default(), antiphon_core::SystemClock::shared());
    let bound = SimServer::bind(([127, 0, 0, 1], 0).into(), simulator);
    let server = runtime.block_on(bound).unwrap().spawn();
    let url = format!("{}/v1", server.url());
    let scratch = questions(40);
    let run = [
        "run",
        "in.jsonl",
        "-m",
        "gpt-4o-mini",
        "--base-url",
        &url,
        "-o",
        "out.jsonl",
    ];
    let done = scratch.antiphon(&[&run[..], &["--limit", "25"]].concat());
    assert_eq!(done.code, 0, "{}", done.err);
    let before = (
        files(&scratch, "out.jsonl.antiphon"),
        scratch.read("out.jsonl"),
    );
    assert_eq!(server.simulator().ledger().report().answered, 25);

    let dry = scratch.antiphon(&[&run[..], &["--dry-run", "--json"]].concat());
    let estimate: Value = serde_json::from_str(&dry.out).unwrap();
    assert_eq!(number(&estimate, "/done"), 25.0);
    assert_eq!(number(&estimate, "/to_send"), 15.0);
    assert_eq!(number(&estimate, "/judged_by"), 25.0);
    assert!(
        estimate["notes"][0]
            .as_str()
            .unwrap()
            .contains("the first ones")
    );
    assert_eq!(server.simulator().ledger().report().asked, 25);
    assert_eq!(
        (
            files(&scratch, "out.jsonl.antiphon"),
            scratch.read("out.jsonl")
        ),
        before
    );
}

#[test]
fn a_sample_is_paid_once_narrows_the_range_and_the_range_holds() {
    let scratch = questions(200);
    let job = ["-m", "sim/gpt-4o-mini", "-o", "out.jsonl"];
    let width = |estimate: &Value| {
        let bound = |name: &str| number(estimate, &format!("/job_cost_usd/{name}"));
        bound("high") - bound("low")
    };
    let wide = estimated(&scratch, &job);
    assert!(wide["job_cost_usd"]["likely"].is_null());
    assert_eq!(scratch.names(), ["in.jsonl"]);

    let narrow = estimated(
        &scratch,
        &[&job[..], &["--sample", "20", "--quiet"]].concat(),
    );
    assert_eq!(number(&narrow, "/done"), 20.0);
    assert_eq!(scratch.lines("out.jsonl").len(), 20);
    let narrower = estimated(
        &scratch,
        &[&job[..], &["--sample", "60", "--quiet"]].concat(),
    );
    assert!(width(&wide) > 10.0 * width(&narrow), "{wide} {narrow}");
    assert!(width(&narrow) > width(&narrower), "{narrow} {narrower}");

    scratch
        .run(&job)
        .says(0, &["200 succeeded", "60 from earlier runs"]);
    let lines = scratch.lines("out.jsonl");
    let cost: f64 = lines
        .iter()
        .map(|line| number(line, "/antiphon/cost_usd"))
        .sum();
    for estimate in [&wide, &narrow, &narrower] {
        let (low, high) = (
            number(estimate, "/job_cost_usd/low"),
            number(estimate, "/job_cost_usd/high"),
        );
        assert!(low <= cost && cost <= high, "{cost} in {estimate}");
    }
    let over = estimated(&scratch, &job);
    assert_eq!(number(&over, "/to_send"), 0.0);
    assert!((number(&over, "/job_cost_usd/low") - cost).abs() < 1e-9);
}

#[test]
fn rows_are_judged_as_the_run_judges_them() {
    let scratch = Scratch::with_input(&[
        r#"{"custom_id":"a","prompt":"one"}"#,
        r#"{"custom_id":"a","prompt":"two"}"#,
        "no json",
        r#"{"model":"sim/gpt-4o","prompt":"three"}"#,
        r#"{"model":"sim/nobody-knows","prompt":"four"}"#,
    ]);
    scratch.write("antiphon.toml", "default_model = \"sim/gpt-4o-mini\"\n");
    let estimate = estimated(&scratch, &[]);
    assert_eq!(number(&estimate, "/bad"), 2.0);
    assert_eq!(number(&estimate, "/to_send"), 3.0);
    assert_eq!(estimate["models"].as_array().unwrap().len(), 3);
    assert!(
        estimate["first_bad_line"]
            .as_str()
            .unwrap()
            .starts_with("line 2:")
    );
    // the price of one model is not known: that of all is not, and the others' are
    assert!(estimate["cost_usd"].is_null());
    let known = estimate["models"].as_array().unwrap().iter();
    assert_eq!(
        known.filter(|model| model["cost_usd"].is_object()).count(),
        2
    );
    scratch
        .antiphon(&["estimate", "in.jsonl"])
        .says(0, &["hint: give a price in antiphon.toml"]);
    scratch
        .run(&["-o", "out.jsonl"])
        .says(1, &["3 succeeded, 2 failed"]);
}

#[test]
fn a_mistyped_model_is_told_with_the_one_that_was_meant() {
    let meant = |model| {
        let ran = questions(1).antiphon(&["estimate", "in.jsonl", "-m", model]);
        ran.says(0, &["give a price in antiphon.toml"]);
        assert!(ran.out.contains("no price is known of"), "{}", ran.out);
        ran.err.contains("did you mean openai/gpt-4o-mini? give")
    };
    assert!(meant("openai/gpt-4o-minii"));
    assert!(!meant("sim/mine"));
}

#[test]
fn ensembles_and_samples_multiply_calls() {
    let scratch = questions(10);
    let calls = |args: &[&str]| {
        number(
            &estimated(&scratch, &[&["-m", "sim/gpt-4o-mini"], args].concat()),
            "/calls",
        )
    };
    assert_eq!(calls(&[]), 10.0);
    assert_eq!(calls(&["--samples", "3"]), 30.0);
    assert_eq!(calls(&["--ensemble", "3", "--vote", "all"]), 30.0);
    assert_eq!(calls(&["--ensemble", "3", "--judge", "sim/gpt-4o"]), 40.0);
    assert_eq!(calls(&["--fallback", "sim/gpt-4o"]), 10.0);
    assert_eq!(
        calls(&["--sample", "4", "--state", "state", "--quiet"]),
        6.0
    );
}

#[test]
fn the_energy_of_models_of_many_sizes_is_that_of_the_sample() {
    let scratch = questions(200);
    let job = [
        "-m",
        "sim/gpt-4o-mini",
        "--ensemble",
        "3",
        "--judge",
        "sim/claude-sonnet-4-5",
        "-o",
        "out.jsonl",
    ];
    let bounds = estimated(&scratch, &job);
    let judged = estimated(
        &scratch,
        &[&job[..], &["--sample", "60", "--quiet"]].concat(),
    );
    let of_lines = |end: &str| -> f64 {
        let lines = scratch.lines("out.jsonl");
        let each = lines
            .iter()
            .map(|line| number(line, &format!("/antiphon/energy_kwh/{end}")));
        each.sum()
    };
    let sampled = (of_lines("min"), of_lines("max"));
    let ran = scratch.run(&job);
    ran.says(0, &["200 succeeded", "60 from earlier runs"]);
    // a sample that grows is no news
    assert!(!ran.err.contains("since the last run"), "{}", ran.err);
    let took = (of_lines("min") - sampled.0, of_lines("max") - sampled.1);
    for estimate in [&bounds, &judged] {
        assert!(
            number(estimate, "/energy_kwh/min") <= took.0,
            "{took:?} in {estimate}"
        );
        assert!(
            number(estimate, "/energy_kwh/max") >= took.1,
            "{took:?} in {estimate}"
        );
    }
    assert!(
        number(&judged, "/energy_kwh/max") <= 2.0 * took.1,
        "{took:?} in {judged}"
    );
    let less = scratch.run(&[&job[..], &["--sample", "5"]].concat());
    less.says(
        0,
        &["since the last run --sample (which rows are read) changed"],
    );
}

#[test]
fn words_fit_one_token_few_rows_and_what_is_unknown() {
    let scratch = questions(200);
    let tell = |args: &[&str]| scratch.antiphon(&[&["estimate", "in.jsonl"], args].concat());
    let nobody = tell(&["-m", "sim/nobody-knows"]);
    assert!(
        nobody.out.contains("energy     unknown\n"),
        "{}",
        nobody.out
    );
    let sample = "sends 50 rows";
    tell(&["-m", "sim/gpt-4o-mini"]).says(0, &[sample]);
    let few = tell(&["-m", "sim/gpt-4o-mini", "--limit", "99"]);
    assert!(!few.err.contains(sample), "{}", few.err);
    let after = ["-m", "sim/gpt-4o-mini", "--state", "state", "--sample", "5"];
    let after = tell(&after);
    assert!(!after.err.contains(sample), "{}", after.err);

    scratch.write("one.jsonl", "{\"prompt\":\"a\"}\n");
    let one = [
        "estimate",
        "one.jsonl",
        "-m",
        "sim/gpt-4o-mini",
        "--param",
        "max_tokens=1",
    ];
    let one = scratch.antiphon(&one);
    assert!(one.out.contains("output     1 token\n"), "{}", one.out);

    scratch.write("empty.jsonl", "");
    scratch
        .antiphon(&["run", "empty.jsonl", "-m", "sim/demo", "-o", "none.jsonl"])
        .says(0, &["the input has no rows"]);
}

#[test]
fn a_plan_that_cannot_work_is_refused_as_the_run_refuses_it() {
    let scratch = questions(3);
    let refused = [
        (
            &["--prompt", "{{ nothing }}", "-m", "sim/x"][..],
            "the row has no field `nothing`",
        ),
        (&["-m", "opnai/x"], "did you mean \"openai\"?"),
        (
            &["-m", "sim/x", "-o", "in.jsonl"],
            "input and output are the same file",
        ),
        (
            &["-m", "sim/x", "--sample", "2"],
            "no place to keep their answers",
        ),
    ];
    for (args, words) in refused {
        let ran = scratch.antiphon(&[&["estimate", "in.jsonl"], args].concat());
        assert_eq!(ran.says(2, &[words]).out, "");
    }
    assert_eq!(scratch.names(), ["in.jsonl"]);
}

#[test]
fn time_is_what_limits_and_the_latency_of_the_sample_demand() {
    let scratch = questions(100);
    sim_config(&scratch, "latency = \"20ms\"");
    let job = ["-m", "sim/gpt-4o-mini", "-o", "out.jsonl"];
    assert!(estimated(&scratch, &job)["duration_s"].is_null());
    let limited = estimated(&scratch, &[&job[..], &["--itpm", "60"]].concat());
    // the first second's token passes at once, and the minute's other 59 one by one
    let seconds = number(&limited, "/input_tokens/low") - 1.0;
    assert!((number(&limited, "/duration_s/low") * 59.0 / 60.0 - seconds).abs() < 1e-6);
    let at_once = estimated(&scratch, &[&job[..], &["--rpm", "6000"]].concat());
    assert!(at_once["duration_s"].is_null(), "{at_once}");
    assert_eq!(limited["duration_s"]["bound_by"], "itpm");

    let sampled = estimated(
        &scratch,
        &[&job[..], &["--sample", "20", "--quiet"]].concat(),
    );
    assert!(sampled["duration_s"]["high"].is_null(), "{sampled}");
    let bounded = estimated(&scratch, &[&job[..], &["--concurrency", "4"]].concat());
    assert_eq!(bounded["duration_s"]["bound_by"], "latency");
    // 80 calls of 20 ms or more, four at once
    assert!(number(&bounded, "/duration_s/low") >= 0.4, "{bounded}");
    assert!(number(&bounded, "/duration_s/high") >= number(&bounded, "/duration_s/low"));
}

#[test]
fn caps_bound_the_cost_and_a_budget_is_compared_with_it() {
    let scratch = questions(20);
    let high = |args: &[&str]| {
        let args = [&["-m", "sim/gpt-4o-mini"], args].concat();
        let estimate = estimated(&scratch, &args);
        (number(&estimate, "/output_tokens/high"), estimate)
    };
    assert_eq!(high(&["--param", "max_tokens=7"]).0, 140.0);
    assert_eq!(high(&["--max-output-tokens", "9"]).0, 180.0);
    assert_eq!(
        high(&["--param", "max_tokens=2", "--param", "n=3"]).0,
        120.0
    );
    let notes = |budget: &str| high(&["--budget", budget]).1["notes"].to_string();
    let ran = scratch.antiphon(&[
        "estimate",
        "in.jsonl",
        "-m",
        "sim/gpt-4o-mini",
        "-q",
        "--budget",
        "0.000001",
    ]);
    ran.says(0, &["stops before its end"]);
    assert_eq!(notes("0.000001"), "[]");
    assert!(notes("0.01").contains("may stop"));
    assert_eq!(notes("5"), "[]");
}
