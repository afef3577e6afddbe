//! What is said on stderr, and the report.

use std::io::Read;

use serde_json::Value;

use crate::support::{Scratch, Stub, parsed_lines, sim_config};

const ROW: &str = r#"{"prompt":"a","model":"sim/x"}"#;

fn report_fields() -> Vec<&'static str> {
    vec![
        "total",
        "succeeded",
        "failed",
        "pending",
        "resumed",
        "cached",
        "success_rate",
        "duration_s",
        "requests_per_second",
        "attempts",
        "rate_limited",
        "retries_by_kind",
        "peak_in_flight",
        "usage",
        "cost_usd",
        "job_cost_usd",
        "budget_usd",
        "budget_left_usd",
        "budget_held_usd",
        "cost_avoided_usd",
        "unpriced_answers",
        "lost_attempts",
        "energy_kwh",
        "gwp_kgco2eq",
        "adpe_kgsbeq",
        "pe_mj",
        "wcf_l",
        "unestimated_answers",
        "models",
        "latency_ms",
        "errors_by_code",
    ]
}

fn names(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn the_report_has_exactly_the_promised_fields() {
    let scratch = Scratch::with_input(&[ROW, "nope"]);
    scratch
        .run(&["-o", "out.jsonl", "--report", "report.json"])
        .says(1, &[]);
    let report: Value = serde_json::from_str(&scratch.read("report.json")).unwrap();
    let course = [
        "started_at",
        "timeline",
        "latency_histogram_ms",
        "slowest_rows",
        "dearest_rows",
    ];
    assert_eq!(names(&report), [&report_fields()[..], &course].concat());
    assert_eq!(names(&report["latency_ms"]), ["mean", "p50", "p90", "p99"]);
    assert_eq!(report["total"], 2);
    assert_eq!(report["success_rate"], 0.5);
    assert_eq!(report["errors_by_code"]["invalid_line"], 1);
    for unknown in [
        "cost_usd",
        "job_cost_usd",
        "energy_kwh",
        "gwp_kgco2eq",
        "adpe_kgsbeq",
        "pe_mj",
    ] {
        assert_eq!(report[unknown], Value::Null);
    }
}

#[test]
fn a_report_that_could_not_be_written_is_refused_first() {
    let scratch = Scratch::with_input(&[ROW]);
    std::fs::create_dir(scratch.path("folder.json")).unwrap();
    for (path, words) in [
        ("report.txt", "reports are written as .json or .html"),
        ("no/report.json", "the folder does not exist"),
        ("folder.json", "cannot write --report folder.json"),
    ] {
        scratch
            .run(&["-o", "out.jsonl", "--report", path])
            .says(2, &[words]);
    }
    assert_eq!(scratch.names(), ["folder.json", "in.jsonl"]);
    scratch.write("in.json", ROW);
    scratch
        .antiphon(&[
            "run",
            "in.json",
            "--input-format",
            "jsonl",
            "--report",
            "in.json",
        ])
        .says(2, &["this is also the input or output"]);
    assert_eq!(scratch.read("in.json"), ROW);
}

#[test]
fn progress_is_plain_json_or_nothing() {
    let scratch = Scratch::with_input(&[ROW]);
    sim_config(&scratch, "latency = \"1300ms\"");
    let ran = scratch.run(&["-o", "a.jsonl", "--progress", "json"]);
    ran.says(0, &["1 row: 1 succeeded"]);
    let objects: Vec<Value> = ran
        .err
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // one after a second, and the last state
    assert!(objects.len() >= 2, "{}", ran.err);
    for object in &objects {
        assert_eq!(names(object), report_fields());
    }
    assert_eq!(objects[0]["succeeded"], 0);
    assert_eq!(objects[objects.len() - 1]["succeeded"], 1);

    sim_config(&scratch, "");
    for style in ["auto", "plain", "none"] {
        let out = format!("{style}.jsonl");
        let ran = scratch.run(&["-o", &out, "--progress", style]);
        ran.says(0, &["1 row: 1 succeeded", "1 token in, ", "cost unknown"]);
        assert_eq!(ran.err.lines().count(), 3, "{}", ran.err);
    }
    let quiet = scratch.run(&["-o", "quiet.jsonl", "--quiet"]);
    quiet.says(0, &[]);
    assert_eq!(quiet.err, "");
    let json = scratch.run(&["-o", "json.jsonl", "--json"]);
    assert_eq!(names(&parsed_lines(&json.err)[0]), report_fields());
}

#[test]
fn a_plain_line_says_how_far_a_long_run_is() {
    let rows: Vec<String> = (0..4)
        .map(|n| format!("{{\"prompt\":\"{n}\",\"model\":\"sim/x\"}}"))
        .collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let scratch = Scratch::with_input(&rows);
    sim_config(&scratch, "latency = \"3500ms\"");
    let ran = scratch.run(&["--progress", "plain", "--concurrency", "1"]);
    ran.says(0, &["/4 (", "in flight", "cost unknown", "ETA "]);
    assert!(ran.err.contains("2/4 (50%)"), "{}", ran.err);
}

#[test]
fn the_last_words_name_the_exact_next_command() {
    let scratch = Scratch::with_input(&[r#"{"q":"a"}"#, "nope"]);
    let ran = scratch.run(&["-o", "out.jsonl", "-m", "sim/x", "--prompt", "it's {{ q }}"]);
    ran.says(
        1,
        &[
            "then: ",
            "run in.jsonl -o out.jsonl -m sim/x --prompt \"it's {{ q }}\"\n",
        ],
    );
    scratch
        .run(&["-m", "sim/x", "--prompt", "{{ q }}"])
        .says(1, &["without -o or --state nothing is kept"]);
}

#[test]
fn a_changed_input_is_told_with_its_physical_line() {
    let scratch = Scratch::new();
    let row = |prompt: &str| format!("{{\"prompt\":\"{prompt}\",\"model\":\"sim/x\"}}");
    let run = || scratch.run(&["-o", "out.jsonl"]);
    scratch.write("in.jsonl", format!("{}\n\n\n{}\n", row("a"), row("b")));
    run().says(0, &["2 rows"]);
    scratch.write("in.jsonl", format!("{}\n\n\n{}\n", row("a"), row("c")));
    run().says(
        0,
        &["the input changed from line 4 on", "1 from earlier runs"],
    );
    scratch.write("in.jsonl", row("a"));
    run().says(0, &["the input ends earlier than in the last run"]);
}

#[test]
fn nothing_a_provider_says_drives_the_terminal() {
    let hostile = "\\u001b]52;c;AAAA\\u0007\\u009b2J\\u202e wrong key";
    let stub = Stub::new(401, &format!("{{\"error\":{{\"message\":\"{hostile}\"}}}}"));
    let scratch = Scratch::with_input(&[r#"{"prompt":"a"}"#]);
    let ran = scratch.run(&["-m", "m", "--base-url", stub.url()]);
    ran.says(3, &["wrong key"]);
    let drives = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!ran.err.contains(drives), "{:?}", ran.err);
    // what the user typed comes back in the next command
    let ran = scratch.run(&[
        "-m",
        "m\u{1b}[31m",
        "--base-url",
        stub.url(),
        "-o",
        "out.jsonl",
    ]);
    assert!(!ran.err.contains(drives), "{:?}", ran.err);
    let ran = scratch.run(&["-m", "\u{1b}[31m/x"]);
    ran.says(2, &["unknown provider"]);
    assert!(!ran.err.contains(drives), "{:?}", ran.err);
}

#[test]
fn a_reader_that_goes_away_stops_the_run() {
    let rows: Vec<String> = (0..500)
        .map(|n| format!("{{\"prompt\":\"{n}\",\"model\":\"sim/x\"}}"))
        .collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let scratch = Scratch::with_input(&rows);
    sim_config(&scratch, "latency = \"20ms\"");
    let mut command = scratch.command(&["run", "in.jsonl", "--concurrency", "5"]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 1];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let ended = crate::support::Ran::from(child.wait_with_output().unwrap());
    ended.says(3, &["nobody reads stdout any more"]);
}

#[test]
fn the_log_tells_of_attempts_and_not_of_what_was_said() {
    let scratch = Scratch::with_input(&[r#"{"prompt":"a secret plan","model":"sim/x"}"#]);
    let args = ["run", "in.jsonl", "-o", "out.jsonl"];
    let ran = scratch.antiphon_with(&[("ANTIPHON_LOG", "debug")], &args);
    ran.says(
        0,
        &[
            "DEBUG antiphon: answered model=\"sim/x\"",
            "finish=\"stop\"",
        ],
    );
    assert!(!ran.err.contains("secret plan"), "{}", ran.err);
    let quiet = scratch.antiphon_with(
        &[("ANTIPHON_LOG", "warn")],
        &["run", "in.jsonl", "-o", "two.jsonl"],
    );
    quiet.says(0, &[]);
    assert!(!quiet.err.contains("answered"), "{}", quiet.err);
}
