//! `--schema`: structured output, validated and asked for again.

use serde_json::{Value, json};

use crate::support::{Scratch, Stub, codes, column, sim_config};

const SCHEMA: &str = r#"{"title":"review","type":"object","required":["score"],
    "properties":{"score":{"type":"integer","maximum":10},"note":{"type":"string"}}}"#;

/// One row, the schema, and a server that says this.
fn asked(answer: &str) -> (Scratch, Stub, Value) {
    let stub = Stub::saying(answer);
    let scratch = Scratch::with_input(&[r#"{"prompt":"rate it"}"#]);
    scratch.write("schema.json", SCHEMA);
    let args = [
        "-m",
        "m",
        "--base-url",
        stub.url(),
        "--schema",
        "schema.json",
        "-o",
        "out.jsonl",
    ];
    scratch.run(&args);
    let line = scratch.lines("out.jsonl").remove(0);
    (scratch, stub, line)
}

#[test]
fn an_answer_that_fits_is_parsed() {
    let (_, stub, line) = asked("```json\n{\"score\": 7, \"note\": \"fine\"}\n```");
    assert_eq!(line["error"], Value::Null);
    assert_eq!(
        line["antiphon"]["parsed"],
        json!({"score": 7, "note": "fine"})
    );
    let format = &stub.bodies()[0]["response_format"];
    assert_eq!(format["type"], "json_schema");
    assert_eq!(format["json_schema"]["name"], "review");
    // strict mode knows no optional property: it becomes one that may be null
    assert_eq!(
        format["json_schema"]["schema"]["required"],
        json!(["score", "note"])
    );
}

#[test]
fn nulls_that_the_wire_made_the_model_write_are_not_the_users() {
    let (_, stub, line) = asked(r#"{"score": 7, "note": null}"#);
    assert_eq!(line["error"], Value::Null);
    assert_eq!(line["antiphon"]["parsed"], json!({"score": 7}));
    assert_eq!(stub.requests().len(), 1);
}

#[test]
fn an_answer_off_its_schema_is_asked_for_twice_again() {
    let (scratch, stub, line) = asked(r#"{"score": 11}"#);
    assert_eq!(line["error"]["code"], "off_schema");
    assert!(
        line["error"]["message"]
            .as_str()
            .unwrap()
            .contains("/score: 11 is greater")
    );
    assert_eq!(line["antiphon"]["attempts"], 3);
    assert_eq!(line["antiphon"]["usage"]["output_tokens"], 6);
    assert_eq!(line["response"]["status_code"], 200);
    let bodies = stub.bodies();
    assert_eq!(bodies.len(), 3);
    let last = bodies[2]["messages"].as_array().unwrap();
    assert_eq!(last.len(), 5);
    // paid for and final: the next run does not ask again
    let args = [
        "-m",
        "m",
        "--base-url",
        stub.url(),
        "--schema",
        "schema.json",
        "-o",
        "out.jsonl",
    ];
    scratch
        .run(&args)
        .says(1, &["off_schema 1", "--retry-failed"]);
    assert_eq!(stub.requests().len(), 3);
}

#[test]
fn a_simulated_model_is_off_its_schema_where_there_is_one() {
    let scratch = Scratch::with_input(&[r#"{"prompt":"rate it"}"#]);
    scratch.write("schema.json", SCHEMA);
    sim_config(&scratch, "fail = [\"off-schema=1\"]");
    scratch
        .run(&["-m", "sim/x", "-o", "a.jsonl"])
        .says(0, &["1 succeeded"]);
    scratch
        .run(&["-m", "sim/x", "-o", "b.jsonl", "--schema", "schema.json"])
        .says(1, &["off_schema 1"]);
    let lines = scratch.lines("b.jsonl");
    assert_eq!(codes(&lines), ["off_schema"]);
    assert_eq!(column(&lines, "/antiphon/attempts"), [3]);
}

#[test]
fn refusals_and_cut_answers_are_errors_only_with_a_schema() {
    for (fault, code, told) in [
        ("refusal", "refused", "1 refused by the model"),
        ("length", "cut_off", "1 cut off at"),
    ] {
        let scratch = Scratch::with_input(&[r#"{"prompt":"rate it"}"#]);
        scratch.write("schema.json", SCHEMA);
        sim_config(&scratch, &format!("fail = [\"{fault}=1\"]"));
        scratch
            .run(&["-m", "sim/x", "-o", "a.jsonl"])
            .says(0, &[told]);
        scratch
            .run(&["-m", "sim/x", "-o", "b.jsonl", "--schema", "schema.json"])
            .says(1, &[&format!("{code} 1")]);
        let lines = scratch.lines("b.jsonl");
        assert_eq!(codes(&lines), [code]);
        assert_eq!(column(&lines, "/antiphon/attempts"), [1]);
    }
}

#[test]
fn a_schema_that_is_none_or_cannot_be_asked_for_is_refused() {
    let scratch = Scratch::with_input(&[r#"{"prompt":"rate it"}"#]);
    for (schema, words) in [
        ("{\"type\":", "schema.json is not JSON"),
        ("{\"type\":\"nonsense\"}", "--schema is not a JSON Schema"),
        ("[1]", "--schema is not a JSON Schema"),
        (
            "{\"type\":\"string\"}",
            "the root of the schema is not an object",
        ),
    ] {
        scratch.write("schema.json", schema);
        let args = [
            "-m",
            "m",
            "--base-url",
            "http://127.0.0.1:9/v1",
            "-o",
            "out.jsonl",
        ];
        scratch
            .run(&[&args[..], &["--schema", "schema.json"]].concat())
            .says(2, &[words]);
        assert_eq!(scratch.names(), ["in.jsonl", "schema.json"]);
    }
    scratch
        .run(&["-m", "sim/x", "--schema", "nope.json"])
        .says(2, &["cannot read --schema nope.json"]);
    scratch.write("schema.json", SCHEMA);
    let both = [
        "-m",
        "sim/x",
        "--schema",
        "schema.json",
        "--param",
        "response_format={}",
    ];
    scratch.run(&both).says(2, &["both say which shape"]);
}
