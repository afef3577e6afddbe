//! The report as a file: its course in JSON, and its page.

use antiphon_testkit::browser;
use serde_json::{Value, json};

use crate::support::{Scratch, sim_config};

/// An id that would like to be a program.
const EVIL: &str = "</script><script>alert('id')</script>";

/// Rows for a model with a price, of which every ninth is no request.
fn scratch(rows: usize) -> Scratch {
    let line = |row: usize| {
        match row {
        1 => {
            json!({"custom_id": EVIL, "prompt": "tell me a long story ".repeat(200), "model": "sim/gpt-4o-mini"})
                .to_string()
        }
        row if row % 9 == 5 => "nope".to_owned(),
        row => json!({"prompt": format!("row {row}"), "model": "sim/gpt-4o-mini"}).to_string(),
    }
    };
    let lines: Vec<String> = (0..rows).map(line).collect();
    let scratch = Scratch::with_input(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let faults = r#"fail = ["500=0.05", "429=0.02"]"#;
    sim_config(
        &scratch,
        &format!("latency = \"15ms\"\njitter = 0.5\ntail = 0.1\n{faults}"),
    );
    scratch
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// The report within a page.
fn embedded(page: &str) -> Value {
    let (_, data) = page
        .split_once("<script type=\"application/json\" id=\"report\">")
        .unwrap();
    parsed(data.split_once("</script>").unwrap().0)
}

/// The sum of a column of the timeline.
fn sum(report: &Value, column: &str) -> f64 {
    let steps = report["timeline"].as_array().unwrap();
    steps.iter().filter_map(|step| step[column].as_f64()).sum()
}

/// A number of the report that is not null.
fn number(report: &Value, pointer: &str) -> f64 {
    report
        .pointer(pointer)
        .and_then(Value::as_f64)
        .unwrap_or_else(|| panic!("no {pointer}"))
}

#[track_caller]
fn assert_course_adds_up(report: &Value, failed: f64) {
    let finished =
        number(report, "/succeeded") + number(report, "/failed") - number(report, "/resumed");
    assert_eq!(sum(report, "finished"), finished);
    assert_eq!(sum(report, "failed"), failed);
    for (column, pointer) in [
        ("attempts", "/attempts"),
        ("rate_limited", "/rate_limited"),
        ("input_tokens", "/usage/input_tokens"),
        ("output_tokens", "/usage/output_tokens"),
    ] {
        assert_eq!(sum(report, column), number(report, pointer), "{column}");
    }
    let cost = number(report, "/cost_usd");
    assert!(
        (sum(report, "cost_usd") - cost).abs() < cost * 1e-9,
        "{cost}"
    );
    let steps = report["timeline"].as_array().unwrap();
    let in_flight = steps
        .iter()
        .filter_map(|step| step["in_flight"].as_u64())
        .max();
    assert_eq!(in_flight, report["peak_in_flight"].as_u64());
    assert!(steps.len() <= 300);
    let buckets = report["latency_histogram_ms"].as_array().unwrap();
    let answers: u64 = buckets
        .iter()
        .filter_map(|bucket| bucket["count"].as_u64())
        .sum();
    assert_eq!(
        answers as f64,
        number(report, "/models/sim~1gpt-4o-mini/answers")
    );
}

#[test]
fn a_report_tells_how_the_run_went() {
    let scratch = scratch(60);
    scratch
        .run(&[
            "-o",
            "out.jsonl",
            "--report",
            "report.json",
            "--limit",
            "20",
        ])
        .says(1, &["2 failed"]);
    let first = parsed(&scratch.read("report.json"));
    assert_course_adds_up(&first, 2.0);
    for kind in ["slowest_rows", "dearest_rows"] {
        let rows = first[kind].as_array().unwrap();
        assert_eq!(rows.len(), 10, "{kind}");
        assert!(
            rows.iter().all(|row| row["model"] == "sim/gpt-4o-mini"),
            "{rows:?}"
        );
    }
    let slowest = first["slowest_rows"].as_array().unwrap();
    let latencies: Vec<f64> = slowest
        .iter()
        .map(|row| number(row, "/latency_ms"))
        .collect();
    assert!(
        latencies.is_sorted_by(|slower, faster| slower >= faster),
        "{latencies:?}"
    );
    // as the output says it of the same row
    let lines = scratch.lines("out.jsonl");
    for row in first["dearest_rows"].as_array().unwrap() {
        let line = &lines[row["index"].as_u64().unwrap() as usize];
        assert_eq!(row["custom_id"], line["custom_id"]);
        assert_eq!(row["cost_usd"], line["antiphon"]["cost_usd"]);
        assert_eq!(row["usage"], line["antiphon"]["usage"]);
        // lines round to a microsecond, and the ledger cuts off
        let apart = number(row, "/latency_ms") - number(line, "/antiphon/latency_ms");
        assert!(apart.abs() < 0.0011, "{apart}");
    }

    scratch
        .run(&["-o", "out.jsonl", "--report", "report.json"])
        .says(1, &["from earlier runs"]);
    let second = parsed(&scratch.read("report.json"));
    assert_eq!(second["resumed"], 20);
    assert_eq!(second["failed"], 7);
    assert_course_adds_up(&second, 5.0);
}

#[test]
fn a_page_shows_the_numbers_of_the_report() {
    let scratch = scratch(120);
    scratch
        .run(&["-o", "out.jsonl", "--report", "report.html"])
        .says(1, &["13 failed"]);
    let page = scratch.read("report.html");
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "it is all there is"
    );
    assert_eq!(page.matches("<script").count(), 1, "{EVIL} is text");
    let report = embedded(&page);
    assert_course_adds_up(&report, 13.0);
    for shown in [
        "<title>in.jsonl → out.jsonl – Antiphon report</title>",
        "<dd class=\"value\">107</dd><dd>89.2 % of 120 rows</dd>",
        "<code>invalid_line</code></th><td>13</td>",
        "Some failed",
    ] {
        assert!(page.contains(shown), "no {shown}");
    }
    let tokens = number(&report, "/usage/input_tokens") + number(&report, "/usage/output_tokens");
    assert!(tokens < 1e6, "{tokens}");
    let (thousands, rest) = (tokens as u64 / 1_000, tokens as u64 % 1_000);
    assert!(page.contains(&format!("<dd class=\"value\">{thousands},{rest:03}</dd>")));
    let slow = report["slowest_rows"].as_array().unwrap();
    let is_evil = |row: &&Value| row["custom_id"] == EVIL;
    assert!(
        slow.iter()
            .chain(report["dearest_rows"].as_array().unwrap())
            .any(|row| is_evil(&row))
    );
    browser::look_at(
        "report-of-a-run",
        &page,
        &[EVIL, "invalid_line", "in.jsonl → out.jsonl"],
    );
}

#[test]
fn a_run_that_stops_early_has_its_page_too() {
    let scratch = scratch(20);
    sim_config(&scratch, "latency = \"10s\"");
    let args = [
        "-o",
        "out.jsonl",
        "--deadline",
        "0s",
        "--report",
        "report.html",
    ];
    scratch.run(&args).says(3, &["--deadline"]);
    let page = scratch.read("report.html");
    for shown in [
        "Stopped early",
        "stopped at the --deadline",
        "have no answer yet",
        "This run has cost nothing.",
    ] {
        assert!(page.contains(shown), "no {shown} in {page}");
    }
}

#[test]
fn calls_of_a_map_reduce_have_a_page() {
    let scratch = Scratch::new();
    scratch.write("a.txt", "one");
    scratch.write("b.txt", "two");
    let args = [
        "map-reduce",
        "a.txt",
        "b.txt",
        "-m",
        "sim/demo",
        "-o",
        "o.md",
        "--report",
        "report.html",
    ];
    scratch.antiphon(&args).says(0, &[]);
    let page = scratch.read("report.html");
    let report = embedded(&page);
    assert_eq!(sum(&report, "finished"), 3.0);
    assert_eq!(report["slowest_rows"], json!([]));
    assert!(page.contains("a.txt, b.txt → o.md"));
    assert!(page.contains("What became of the calls"));
}
