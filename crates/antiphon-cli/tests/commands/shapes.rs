//! The shapes of input lines, and what flags lay over them.

use serde_json::json;

use crate::support::{Scratch, Stub, codes, column};

const OPENAI: &str = r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"sim/x","messages":[{"role":"user","content":"hi"}],"temperature":0}}"#;
const ANTHROPIC: &str = r#"{"custom_id":"b","params":{"model":"sim/y","max_tokens":10,"messages":[{"role":"user","content":"hi"}],"system":"s"}}"#;
const MESSAGES: &str = r#"{"id":7,"messages":[{"role":"user","content":"hi"}],"model":"sim/z"}"#;
const PROMPT: &str =
    r#"{"prompt":"hi","system":"s","model":"sim/z","temperature":1,"body":"a column of data"}"#;

#[test]
fn all_shapes_may_stand_in_one_file() {
    let scratch = Scratch::with_input(&[OPENAI, ANTHROPIC, MESSAGES, PROMPT]);
    scratch
        .run(&["-o", "out.jsonl"])
        .says(0, &["4 rows: 4 succeeded", "answers: out.jsonl"]);
    let lines = scratch.lines("out.jsonl");
    assert_eq!(column(&lines, "/custom_id"), ["a", "b", "7", "row-3"]);
    assert_eq!(
        column(&lines, "/antiphon/model"),
        ["sim/x", "sim/y", "sim/z", "sim/z"]
    );
    assert_eq!(column(&lines, "/antiphon/finish_reason")[1], "length");
}

#[test]
fn an_output_line_has_the_promised_fields_in_their_order() {
    let scratch = Scratch::with_input(&[OPENAI, r#"{"nothing":1}"#]);
    scratch
        .run(&["-o", "out.jsonl", "--include-input"])
        .says(1, &[]);
    let lines = scratch.lines("out.jsonl");
    let names = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let details = [
        "index",
        "model",
        "text",
        "parsed",
        "finish_reason",
        "attempts",
        "latency_ms",
        "usage",
        "cost_usd",
        "energy_kwh",
        "gwp_kgco2eq",
        "cached",
        "dropped",
        "members",
    ];
    for line in &lines {
        assert_eq!(
            names(line),
            ["id", "custom_id", "response", "error", "antiphon", "input"]
        );
        assert_eq!(names(&line["antiphon"]), details);
        for unknown in ["parsed", "members"] {
            assert_eq!(line["antiphon"][unknown], json!(null));
        }
    }
    let (answer, failure) = (&lines[0], &lines[1]);
    assert_eq!(
        names(&answer["response"]),
        ["status_code", "request_id", "body"]
    );
    assert_eq!(answer["response"]["body"]["object"], "chat.completion");
    assert_eq!(
        names(&answer["antiphon"]["usage"]),
        [
            "input_tokens",
            "output_tokens",
            "cached_input_tokens",
            "reasoning_tokens"
        ]
    );
    let costs = ["cost_usd", "energy_kwh", "gwp_kgco2eq"];
    for unknown in costs {
        // nobody knows what the stub is
        assert_eq!(answer["antiphon"][unknown], json!(null));
    }
    // nothing was sent for it
    assert_eq!(failure["antiphon"]["cost_usd"], 0.0);
    assert_eq!(
        failure["antiphon"]["energy_kwh"],
        json!({"min": 0.0, "max": 0.0})
    );
    assert_eq!(answer["input"]["custom_id"], "a");
    assert_eq!(failure["response"], json!(null));
    assert_eq!(names(&failure["error"]), ["code", "message"]);
    assert_eq!(failure["input"], json!({"nothing": 1}));
}

#[test]
fn flags_take_the_place_of_what_lines_say_and_that_is_told_once() {
    let stub = Stub::saying("yes");
    let scratch = Scratch::with_input(&[OPENAI, MESSAGES, PROMPT]);
    let ran = scratch.run(&[
        "-o",
        "out.jsonl",
        "-m",
        "m",
        "--base-url",
        stub.url(),
        "--param",
        "temperature=0.5",
        "--param",
        "stop=word",
    ]);
    ran.says(0, &[]);
    for told in [
        "--model took the place",
        "--param temperature took the place",
    ] {
        assert_eq!(ran.err.matches(told).count(), 1, "{}", ran.err);
    }
    assert!(!ran.err.contains("--param stop"), "{}", ran.err);
    for body in stub.bodies() {
        assert_eq!(body["model"], "m");
        assert_eq!(body["temperature"], 0.5);
        assert_eq!(body["stop"], "word");
        assert_eq!(body.get("body"), None);
    }
}

#[test]
fn a_parameter_that_cannot_be_set_is_refused() {
    let scratch = Scratch::with_input(&[PROMPT]);
    for (param, words) in [
        ("temperature", "write KEY=JSON"),
        ("=1", "write KEY=JSON"),
        ("stop=[1", "is not JSON"),
        ("stop=two words", "text needs quotes"),
        (
            "model=x",
            "--param model cannot be set: name the model with --model",
        ),
        ("stream=true", "--param stream cannot be set"),
        ("messages=[]", "--param messages cannot be set"),
    ] {
        scratch
            .run(&["-o", "out.jsonl", "--param", param])
            .says(2, &[words]);
    }
    assert_eq!(scratch.names(), ["in.jsonl"]);
}

#[test]
fn a_parameter_that_the_target_cannot_take_is_dropped_and_told_once() {
    let stub = Stub::saying("yes");
    let scratch =
        Scratch::with_input(&[r#"{"prompt":"a","top_k":3}"#, r#"{"prompt":"b","top_k":4}"#]);
    let args = ["-m", "m", "--base-url", stub.url(), "-o", "out.jsonl"];
    let ran = scratch.run(&args);
    ran.says(0, &[]);
    assert_eq!(ran.err.matches("top_k").count(), 1, "{}", ran.err);
    assert_eq!(
        column(&scratch.lines("out.jsonl"), "/antiphon/dropped"),
        [&json!(["top_k"]), &json!(["top_k"])]
    );
    let sent = stub.requests().len();
    scratch
        .run(&[&args[..], &["--strict", "--fresh"]].concat())
        .says(2, &["openai/m cannot take top_k"]);
    assert_eq!(stub.requests().len(), sent);
}

#[test]
fn a_text_file_is_a_prompt_a_line() {
    let scratch = Scratch::new();
    scratch.write("in.txt", "first\n\nsecond\r\n");
    let base = ["run", "in.txt", "-m", "sim/x", "-o"];
    scratch
        .antiphon(&[&base[..], &["a.jsonl"]].concat())
        .says(0, &["2 rows: 2 succeeded"]);
    let texts = |name: &str| -> Vec<String> {
        let lines = scratch.lines(name);
        let texts = column(&lines, "/antiphon/text").into_iter();
        texts
            .map(|text| text.as_str().unwrap().to_owned())
            .collect()
    };
    assert!(texts("a.jsonl")[1].contains("“second”"));
    let framed = ["b.jsonl", "--prompt", "say {{ line }}"];
    scratch
        .antiphon(&[&base[..], &framed].concat())
        .says(0, &[]);
    assert!(texts("b.jsonl")[0].contains("“say first”"));
}

#[test]
fn the_format_may_be_named_where_the_file_does_not_tell() {
    let scratch = Scratch::new();
    scratch.write("rows", "{\"prompt\":\"a\",\"model\":\"sim/x\"}\n");
    let args = ["run", "rows", "-o", "out.jsonl"];
    scratch
        .antiphon(&args)
        .says(2, &["has no extension", "--input-format", "jsonl, txt"]);
    scratch
        .antiphon(&[&args[..], &["--input-format", "xml"]].concat())
        .says(2, &["no input format is called \"xml\"", "jsonl, txt"]);
    scratch
        .antiphon(&[&args[..], &["--input-format", "jsonl"]].concat())
        .says(0, &[]);
    assert_eq!(codes(&scratch.lines("out.jsonl")), ["-"]);
}

#[test]
fn stdin_and_a_named_pipe_are_inputs() {
    let scratch = Scratch::new();
    let rows = b"{\"prompt\":\"a\"}\n\n{\"prompt\":\"b\"}";
    let args = ["run", "-", "-m", "sim/x", "-o", "out.jsonl"];
    scratch
        .antiphon_reading(rows, &args)
        .says(0, &["2 rows: 2 succeeded"]);
    // resumed, and checked first: the pipe is then read twice
    scratch
        .antiphon_reading(rows, &args)
        .says(0, &["2 from earlier runs"]);
    let strict = [&args[..], &["--strict"]].concat();
    scratch
        .antiphon_reading(rows, &strict)
        .says(0, &["2 from earlier runs"]);
    assert!(!scratch.path("out.jsonl.antiphon/input.spool").exists());
    let refused = ["run", "-", "-m", "sim/x", "-o", "other.jsonl", "--strict"];
    scratch
        .antiphon_reading(b"{\"prompt\":\"a\"}\n\nnope\n", &refused)
        .says(2, &["line 3: "]);
    assert_eq!(scratch.names(), ["out.jsonl", "out.jsonl.antiphon"]);

    let made = std::process::Command::new("mkfifo")
        .arg(scratch.path("pipe"))
        .status();
    assert!(made.unwrap().success());
    let pipe = scratch.path("pipe");
    let writer = std::thread::spawn(move || std::fs::write(pipe, rows).unwrap());
    let from_pipe = ["run", "pipe", "--input-format", "jsonl", "-m", "sim/x"];
    let ran = scratch.antiphon(&from_pipe);
    ran.says(0, &["2 rows: 2 succeeded"]);
    assert_eq!(ran.out.lines().count(), 2);
    writer.join().unwrap();
}
