//! `--prompt`, `--prompt-file` and `--system`.

use serde_json::json;

use crate::support::{Scratch, Stub, codes};

const ROW: &str = r#"{"q":"why?","void":null,"o":{"a":"deep","void":null},"id":3}"#;

#[test]
fn fields_defaults_and_nesting_make_the_messages() {
    let stub = Stub::saying("yes");
    let scratch = Scratch::with_input(&[ROW]);
    scratch.write(
        "ask.txt",
        "{{ q }} {{ void | default('d') }} {{ o.a }} {{ o.void | default('e') }}",
    );
    scratch
        .run(&[
            "-m",
            "m",
            "--base-url",
            stub.url(),
            "--prompt-file",
            "ask.txt",
            "--system",
            "be {{ o.a }}",
        ])
        .says(0, &[]);
    assert_eq!(
        stub.bodies()[0]["messages"],
        json!([
            {"role": "system", "content": "be deep"},
            {"role": "user", "content": "why? d deep e"}
        ])
    );
}

#[test]
fn a_system_template_works_on_lines_that_are_requests() {
    let stub = Stub::saying("yes");
    let scratch = Scratch::with_input(&[r#"{"prompt":"hi","tone":"kind"}"#]);
    scratch
        .run(&[
            "-m",
            "m",
            "--base-url",
            stub.url(),
            "--system",
            "be {{ tone }}",
        ])
        .says(0, &[]);
    assert_eq!(stub.bodies()[0]["messages"][0]["content"], "be kind");
}

#[test]
fn a_template_that_does_not_fit_the_first_row_is_refused_before_anything_is_sent() {
    let scratch = Scratch::with_input(&[ROW, r#"{"q":"x","nope":1}"#]);
    for (template, words) in [
        (
            "{{ nope }}",
            "line 1: the row has no field `nope`; it has q, o, id",
        ),
        ("{{ void }}", "line 1: the row has no field `void`"),
        ("{{ o.nope }}", "line 1: the row has no field `o.nope`"),
        ("{{ o.void }}", "line 1: the row has no field `o.void`"),
        ("{{ q", "--prompt: syntax error"),
        ("{{ q | nofilter }}", "--prompt: unknown filter"),
        (
            "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            "--prompt: ",
        ),
    ] {
        let ran = scratch.run(&["-m", "sim/x", "-o", "out.jsonl", "--prompt", template]);
        ran.says(2, &[words]);
        assert_eq!(scratch.names(), ["in.jsonl"], "{template}");
    }
    scratch
        .run(&["-m", "sim/x", "--prompt-file", "nope.txt"])
        .says(2, &["cannot read --prompt-file nope.txt"]);
    scratch
        .run(&["-m", "sim/x", "--prompt", "a", "--prompt-file", "b"])
        .says(2, &["cannot be used with"]);
}

#[test]
fn a_later_row_that_lacks_a_field_is_an_error_line() {
    let scratch = Scratch::with_input(&[
        r#"{"q":"a","o":{"x":"1"}}"#,
        r#"{"o":{"x":"1"}}"#,
        r#"{"q":null,"o":{"x":"1"}}"#,
        r#"{"q":"b","o":{}}"#,
        r#"{"q":"c","o":"text"}"#,
        r#"{"q":"d","o":{"x":"1"}}"#,
    ]);
    scratch
        .run(&[
            "-m",
            "sim/x",
            "-o",
            "out.jsonl",
            "--prompt",
            "{{ q }} {{ o.x }}",
        ])
        .says(1, &["missing_field 4"]);
    let lines = scratch.lines("out.jsonl");
    let missing = "missing_field";
    assert_eq!(
        codes(&lines),
        ["-", missing, missing, missing, missing, "-"]
    );
    assert_eq!(
        lines[1]["error"]["message"],
        "line 2: the row has no field `q`; it has o"
    );
}
