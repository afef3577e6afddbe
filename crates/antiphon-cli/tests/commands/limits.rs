//! The options that bound a run.

use antiphon_sim::{SimConfig, SimServer, Simulator};

use crate::support::{Scratch, codes, sim_config};
use serde_json::Value;

fn rows(number: u32) -> Scratch {
    let rows: Vec<String> = (0..number)
        .map(|n| format!("{{\"prompt\":\"question {n}\"}}"))
        .collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    Scratch::with_input(&rows)
}

#[test]
fn limits_that_let_nothing_through_are_refused() {
    let scratch = Scratch::with_input(&[r#"{"prompt":"hi"}"#]);
    for command in [&["run", "in.jsonl"][..], &["ask", "hi"]] {
        for (flags, words) in [
            (
                ["--timeout", "0s"],
                "'--timeout <DURATION>': no call can end in no time",
            ),
            (
                ["--concurrency", "0"],
                "'--concurrency <N>': it must be a number from 1 on",
            ),
        ] {
            let ran = scratch.antiphon(&[command, &["-m", "sim/x"], &flags].concat());
            assert_eq!(ran.says(2, &[words]).out, "");
        }
    }
}

#[test]
fn each_quota_holds_calls_back_and_the_deadline_ends_the_run() {
    for quota in ["--rpm", "--tpm", "--itpm", "--otpm"] {
        let scratch = rows(6);
        // one call a minute or less: what is not sent at once is not sent before the deadline
        scratch
            .run(&[
                "-m",
                "sim/x",
                quota,
                "1",
                "--deadline",
                "300ms",
                "-o",
                "out.jsonl",
            ])
            .says(
                3,
                &[
                    "stopped at the --deadline",
                    "1 succeeded",
                    "5 pending",
                    "to go on: ",
                ],
            );
        assert_eq!(scratch.lines("out.jsonl").len(), 1, "{quota}");
        scratch
            .run(&["-m", "sim/x", "-o", "out.jsonl"])
            .says(0, &["1 from earlier runs"]);
    }
}

#[test]
fn the_report_of_a_run_that_stopped_early_counts_the_whole_input() {
    // more rows than are read ahead of the calls
    let lines: String = (0..3000)
        .map(|n| format!("{{\"prompt\":\"{n}\"}}\n\n"))
        .collect();
    for (limit, input, total) in [
        (None, "in.jsonl", Some(3000)),
        (Some("2500"), "in.jsonl", Some(2500)),
        (Some("9000"), "in.jsonl", Some(3000)),
        (None, "-", None),
    ] {
        let scratch = Scratch::new();
        scratch.write("in.jsonl", &lines);
        let mut args = vec!["run", input, "-m", "sim/x", "--rpm", "1"];
        args.extend(["--deadline", "300ms", "-o", "out.jsonl"]);
        args.extend(["--report", "report.json"]);
        args.extend(limit.map(|limit| ["--limit", limit]).iter().flatten());
        let ran = scratch.antiphon_reading(lines.as_bytes(), &args);
        ran.says(3, &["1 succeeded"]);
        let report: Value = serde_json::from_str(&scratch.read("report.json")).unwrap();
        let count = |name: &str| report[name].as_u64().unwrap();
        assert_eq!(count("pending") + 1, count("total"), "{}", ran.err);
        assert_eq!(report["success_rate"], 1.0);
        match total {
            Some(total) => assert_eq!(count("total"), total),
            // a stream is not read on for the sake of a number
            None => assert!(count("total") < 3000 && ran.err.contains("read so far")),
        }
    }
}

#[test]
fn concurrency_is_an_upper_bound() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let config = SimConfig {
        latency: std::time::Duration::from_millis(20),
        ..SimConfig::default()
    };
    let simulator = Simulator::new(config, antiphon_core::SystemClock::shared());
    let bound = SimServer::bind(([127, 0, 0, 1], 0).into(), simulator);
    let server = runtime.block_on(bound).unwrap().spawn();
    let url = format!("{}/v1", server.url());
    let scratch = rows(20);
    for most in ["1", "3"] {
        server.simulator().reset();
        let out = format!("{most}.jsonl");
        scratch
            .run(&[
                "-m",
                "m",
                "--base-url",
                &url,
                "--concurrency",
                most,
                "-o",
                &out,
            ])
            .says(0, &["20 succeeded"]);
        let report = server.simulator().ledger().report();
        assert_eq!(report.peak_in_flight.to_string(), most);
        assert_eq!(report.answered, 20);
    }
}

#[test]
fn a_row_is_retried_as_often_as_asked() {
    for (args, attempts) in [
        (&["--max-retries", "0"][..], 1),
        (&["--max-retries", "2"], 3),
    ] {
        let scratch = rows(1);
        sim_config(&scratch, "fail = [\"500=1\"]");
        let args = [&["-m", "sim/x", "-o", "out.jsonl"], args].concat();
        scratch
            .run(&args)
            .says(1, &["server_error 1", "to go on: "]);
        assert_eq!(
            scratch.lines("out.jsonl")[0]["antiphon"]["attempts"],
            attempts
        );
    }
}

#[test]
fn an_attempt_has_a_time_limit() {
    let scratch = rows(1);
    sim_config(&scratch, "fail = [\"hang=1\"]");
    let args = [
        "-m",
        "sim/x",
        "--timeout",
        "50ms",
        "--max-retries",
        "0",
        "-o",
        "out.jsonl",
    ];
    scratch.run(&args).says(1, &["timeout 1"]);
    let lines = scratch.lines("out.jsonl");
    assert_eq!(codes(&lines), ["timeout"]);
    assert_eq!(
        lines[0]["error"]["message"],
        "no complete answer within 50ms"
    );
}

#[test]
fn a_wait_that_is_too_long_stops_the_run() {
    let scratch = rows(3);
    sim_config(&scratch, "fail = [\"retry-after-hour=1\"]");
    scratch
        .run(&["-m", "sim/x", "--max-wait", "10s", "-o", "out.jsonl"])
        .says(
            3,
            &[
                "asks for a wait of 1 h 0 min, longer than --max-wait",
                "3 pending",
            ],
        );
}

#[test]
fn too_many_failures_stop_the_run() {
    let scratch = rows(3000);
    sim_config(&scratch, "fail = [\"400=1\"]\nlatency = \"5ms\"");
    let args = ["-m", "sim/x", "--concurrency", "50", "-o", "out.jsonl"];
    scratch
        .run(&[&args[..], &["--max-error-rate", "0.2"]].concat())
        .says(
            3,
            &["100.0 % of the rows failed, more than --max-error-rate"],
        );
    let failed = scratch.lines("out.jsonl").len();
    assert!((100..3000).contains(&failed), "{failed}");
}

#[test]
fn equal_rows_share_a_call_only_when_asked() {
    let scratch = Scratch::with_input(&[r#"{"prompt":"same"}"#; 10]);
    sim_config(&scratch, "latency = \"200ms\"");
    let report =
        |name: &str| -> serde_json::Value { serde_json::from_str(&scratch.read(name)).unwrap() };
    scratch
        .run(&["-m", "sim/x", "-o", "a.jsonl", "--report", "a.json"])
        .says(0, &[]);
    assert_eq!(report("a.json")["attempts"], 10);
    scratch
        .run(&[
            "-m",
            "sim/x",
            "-o",
            "b.jsonl",
            "--report",
            "b.json",
            "--coalesce",
        ])
        .says(0, &["10 succeeded"]);
    let shared = report("b.json");
    assert_eq!(shared["attempts"], 1);
    assert_eq!(shared["cached"], 9);
    assert_eq!(scratch.lines("b.jsonl").len(), 10);
}

#[test]
fn values_that_make_no_sense_are_refused() {
    let scratch = rows(1);
    for (option, value) in [
        ("--concurrency", "0"),
        ("--rpm", "0"),
        ("--tpm", "-1"),
        ("--itpm", "many"),
        ("--otpm", "1.5"),
        ("--max-retries", "-1"),
        ("--timeout", "5 parsecs"),
        ("--deadline", ""),
        ("--max-wait", "1x"),
        ("--max-error-rate", "2"),
        ("--limit", "-3"),
        ("--order", "random"),
        ("--progress", "loud"),
    ] {
        let ran = scratch.run(&["-m", "sim/x", &format!("{option}={value}")]);
        ran.says(2, &[option]);
    }
}
