//! `antiphon compare`: prompts and models over the same rows.

use serde_json::{Value, json};

use crate::support::{Ran, Scratch, Stub, codes, column};

const ROWS: [&str; 3] = [
    r#"{"custom_id":"r-1","question":"one"}"#,
    r#"{"id":"r-2","question":"two"}"#,
    r#"{"question":"three"}"#,
];

fn scratch() -> Scratch {
    let scratch = Scratch::with_input(&ROWS);
    scratch.write("short.txt", "Briefly: {{ question }}");
    scratch.write("long.txt", "At length: {{ question }}");
    scratch
}

fn compare(scratch: &Scratch, args: &[&str]) -> Ran {
    scratch.antiphon(&[&["compare", "in.jsonl"], args].concat())
}

const PROMPTS: [&str; 4] = ["--prompt-file", "short.txt", "--prompt-file", "long.txt"];
const MODELS: [&str; 4] = ["-m", "sim/a", "-m", "sim/b"];

fn found(ran: &Ran) -> Value {
    ran.says(0, &[]);
    serde_json::from_str(&ran.out).unwrap()
}

#[test]
fn every_row_is_asked_in_every_way_in_input_order() {
    let scratch = scratch();
    let args = [&PROMPTS[..], &MODELS, &["-o", "out.jsonl"]].concat();
    let ran = compare(&scratch, &args);
    ran.says(0, &["12 rows: 12 succeeded", "answers: out.jsonl"]);
    let lines = scratch.lines("out.jsonl");
    let ways = ["short@sim/a", "short@sim/b", "long@sim/a", "long@sim/b"];
    let expected: Vec<Value> = ["r-1", "r-2", "row-2"]
        .iter()
        .flat_map(|row| ways.map(|way| json!(format!("{row}:{way}"))))
        .collect();
    assert_eq!(
        column(&lines, "/custom_id"),
        expected.iter().collect::<Vec<_>>()
    );
    let models = column(&lines, "/antiphon/model");
    assert_eq!(models[..4], ["sim/a", "sim/b", "sim/a", "sim/b"]);
    let table: Vec<&str> = ran.out.lines().collect();
    assert_eq!(table.len(), 5, "{}", ran.out);
    assert!(table[0].starts_with("variant") && table[0].ends_with("agreement"));
    for (line, way) in table[1..].iter().zip(ways) {
        let cells: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(cells[..3], [way, "3", "0"]);
        assert_eq!(cells[8], "unknown");
    }
}

#[test]
fn the_figures_are_those_of_the_output() {
    let scratch = scratch();
    let stub = Stub::saying("the same");
    let target = ["--base-url", stub.url(), "-m", "m", "--json"];
    let ran = compare(&scratch, &[&PROMPTS[..], &target].concat());
    let found = found(&ran);
    for (variant, name) in found["variants"]
        .as_array()
        .unwrap()
        .iter()
        .zip(["short", "long"])
    {
        assert_eq!(variant["name"], name);
        assert_eq!(
            (&variant["answered"], &variant["failed"]),
            (&json!(3), &json!(0))
        );
        assert_eq!(
            variant["usage"],
            json!({"input_tokens": 3, "output_tokens": 6})
        );
        assert_eq!(
            (&variant["mean_chars"], &variant["cost_usd"]),
            (&json!(8.0), &Value::Null)
        );
        assert!(variant["latency_ms"]["p90"].as_f64() >= variant["latency_ms"]["mean"].as_f64());
    }
    assert_eq!(found["variants"][0]["agreement"], Value::Null);
    assert_eq!(found["variants"][1]["agreement"], 1.0);
    assert_eq!(found["variants"][1]["prompt"], "At length: {{ question }}");
    let ids = column(found["rows"].as_array().unwrap(), "/id");
    assert_eq!(ids, ["r-1", "r-2", "row-2"]);
    assert_eq!(
        found["rows"][2]["answers"],
        json!([{"text": "the same"}, {"text": "the same"}])
    );
    let mut asked: Vec<String> = stub
        .bodies()
        .iter()
        .map(|body| body["messages"][0]["content"].as_str().unwrap().to_owned())
        .collect();
    asked.sort();
    assert_eq!(
        asked,
        [
            "At length: one",
            "At length: three",
            "At length: two",
            "Briefly: one",
            "Briefly: three",
            "Briefly: two"
        ]
    );
    // without -o nothing stays behind
    assert_eq!(scratch.names(), ["in.jsonl", "long.txt", "short.txt"]);
}

#[test]
fn rows_are_shown_side_by_side_on_one_line_each() {
    let scratch = scratch();
    let long = format!("first\\nline \u{1b}[31m {}", "x".repeat(300));
    let stub = Stub::saying(&long.replace("\\n", "\n"));
    let target = ["--base-url", stub.url(), "-m", "m", "--rows", "2"];
    let ran = compare(&scratch, &[&PROMPTS[..], &target].concat());
    ran.says(0, &[]);
    let shown: Vec<&str> = ran.out.lines().skip(3).collect();
    assert_eq!(shown.len(), 2 * 4, "{}", ran.out);
    assert_eq!((shown[1], shown[5]), ("r-1", "r-2"));
    assert!(shown[2].starts_with("  short  first line"), "{}", shown[2]);
    assert!(shown[3].starts_with("  long   first line"), "{}", shown[3]);
    assert!(shown[2].ends_with('…') && shown[2].chars().count() < 120);
    assert!(!ran.out.contains('\u{1b}'));
}

#[test]
fn with_a_schema_values_are_compared() {
    let scratch = scratch();
    scratch.write(
        "schema.json",
        r#"{"type":"object","properties":{"v":{"type":"integer"}},"required":["v"]}"#,
    );
    let args = [
        &PROMPTS[..],
        &[
            "-m",
            "sim/a",
            "--schema",
            "schema.json",
            "-o",
            "out.jsonl",
            "--json",
        ],
    ]
    .concat();
    let found = found(&compare(&scratch, &args));
    let lines = scratch.lines("out.jsonl");
    let same = lines
        .chunks(2)
        .filter(|row| row[0]["antiphon"]["parsed"] == row[1]["antiphon"]["parsed"])
        .count();
    assert!(
        lines
            .iter()
            .all(|line| line["antiphon"]["parsed"]["v"].is_i64())
    );
    assert_eq!(found["variants"][1]["agreement"], same as f64 / 3.0);
}

#[test]
fn a_bad_line_fails_in_every_way_and_limit_counts_rows_of_the_input() {
    let scratch = scratch();
    scratch.write(
        "in.jsonl",
        [ROWS[0], "not json", ROWS[1], ROWS[2]].join("\n"),
    );
    let args = [
        &MODELS[..],
        &[
            "--prompt-file",
            "short.txt",
            "-o",
            "out.jsonl",
            "--limit",
            "3",
        ],
    ]
    .concat();
    compare(&scratch, &args).says(1, &["6 rows: 4 succeeded, 2 failed (invalid_line 2)"]);
    let lines = scratch.lines("out.jsonl");
    assert_eq!(
        codes(&lines),
        ["-", "-", "invalid_line", "invalid_line", "-", "-"]
    );
    assert_eq!(lines[2]["custom_id"], "row-1:sim/a");
}

#[test]
fn a_way_that_is_added_pays_for_itself_alone() {
    let scratch = scratch();
    let common = [
        "--prompt-file",
        "short.txt",
        "-o",
        "out.jsonl",
        "--report",
        "report.json",
    ];
    let attempts = || {
        let report: Value = serde_json::from_str(&scratch.read("report.json")).unwrap();
        report["attempts"].as_u64()
    };
    let args = [&MODELS[..], &common].concat();
    compare(&scratch, &args).says(0, &[]);
    assert_eq!(attempts(), Some(6));
    let same = compare(&scratch, &args);
    same.says(0, &["6 from earlier runs"]);
    assert_eq!(attempts(), Some(0));
    let more = [&MODELS[..], &common, &["-m", "sim/c"]].concat();
    compare(&scratch, &more).says(
        0,
        &["since the last run what is compared (prompts or models) changed"],
    );
    assert_eq!(attempts(), Some(3));
    assert_eq!(scratch.lines("out.jsonl").len(), 9);
}

#[test]
fn requests_of_lines_are_put_to_several_models_and_equal_names_are_told_apart() {
    let scratch = Scratch::with_input(&[r#"{"id":"p","prompt":"hi"}"#]);
    let found = found(&compare(
        &scratch,
        &["-m", "sim/a", "-m", "sim/a", "--json"],
    ));
    let names = column(found["variants"].as_array().unwrap(), "/name");
    assert_eq!(names, ["sim/a", "sim/a-2"]);
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_sent() {
    let scratch = scratch();
    let cases: [(&[&str], &[&str]); 6] = [
        (&["-m", "sim/a"], &["nothing to compare it with", "-m"]),
        (
            &["-m", "sim/a", "--prompt", "{{ question }}"],
            &["nothing to compare"],
        ),
        (
            &[
                "-m",
                "sim/a",
                "--prompt",
                "{{ question }}",
                "--prompt",
                "{{ answer }}",
            ],
            &["no field `answer`", "it has"],
        ),
        (
            &["--prompt", "{{ question }}", "-m", "sim/a", "-m", "smi/b"],
            &["unknown provider \"smi\""],
        ),
        (
            &["--prompt-file", "none.txt", "-m", "sim/a"],
            &["cannot read --prompt-file none.txt"],
        ),
        (
            &["-m", "sim/a", "-m", "sim/b", "-o", "-"],
            &["stdout is for the table"],
        ),
    ];
    for (args, words) in cases {
        let ran = compare(&scratch, args);
        ran.says(2, words);
        assert_eq!(ran.out, "");
    }
    assert_eq!(scratch.names(), ["in.jsonl", "long.txt", "short.txt"]);
}
