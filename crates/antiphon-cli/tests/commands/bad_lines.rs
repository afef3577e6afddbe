//! Invariant I1: whatever a line holds, it has exactly one line in the output, in its place.

use serde_json::Value;

use crate::support::{Scratch, codes, column};

/// Lines of a hostile file with the code that stands in the place of each; blank lines have none.
fn corpus() -> Vec<(Vec<u8>, Option<&'static str>)> {
    let deep = |open: &str, close: &str| [open.repeat(100_000), close.repeat(100_000)].concat();
    let long = format!("{{\"prompt\":\"{}\"}}", "x".repeat(100 << 20));
    let text = |text: &str| text.as_bytes().to_vec();
    let invalid = Some("invalid_line");
    vec![
        (
            text("\u{feff}{\"prompt\":\"byte order mark\"}\r"),
            Some("-"),
        ),
        (text(""), None),
        (text(" \t\r"), None),
        (b"{\"prompt\":\"\xff\xfe\"}".to_vec(), invalid),
        (b"{\"prompt\":\"a\x00b\"}".to_vec(), invalid),
        (b"\x00".to_vec(), invalid),
        (long.into_bytes(), Some("line_too_long")),
        (text(&deep("[", "]")), invalid),
        (
            text(&format!("{{\"prompt\":\"x\",\"y\":{}}}", deep("[", "]"))),
            invalid,
        ),
        (text(&deep("{\"a\":", "}")), invalid),
        (text("not json"), invalid),
        (text("{\"prompt\":\"cut"), invalid),
        (
            text("{\"prompt\":\"two\"} {\"prompt\":\"in one\"}"),
            invalid,
        ),
        (text("null"), invalid),
        (text("[1]"), invalid),
        (text("\"text\""), invalid),
        (text("{}"), invalid),
        (text("{\"question\":\"data\"}"), invalid),
        (text("{\"prompt\":5}"), invalid),
        (text("{\"prompt\":\"x\",\"system\":5}"), invalid),
        (text("{\"prompt\":\"x\",\"stream\":true}"), invalid),
        (text("{\"prompt\":\"x\",\"stream\":\"yes\"}"), invalid),
        (text("{\"prompt\":\"x\",\"model\":5}"), invalid),
        (text("{\"prompt\":\"x\",\"id\":{}}"), invalid),
        (text("{\"messages\":\"x\"}"), invalid),
        (text("{\"messages\":[]}"), invalid),
        (
            text("{\"custom_id\":\"u\",\"url\":\"/v1/embeddings\",\"body\":{\"input\":\"x\"}}"),
            invalid,
        ),
        (
            text("{\"url\":7,\"body\":{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}}"),
            invalid,
        ),
        (
            text(
                "{\"method\":\"GET\",\"body\":{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}}",
            ),
            invalid,
        ),
        (
            text(
                "{\"body\":{\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}}",
            ),
            invalid,
        ),
        (text("{\"body\":[]}"), invalid),
        (text("{\"params\":5}"), invalid),
        (
            text("{\"prompt\":\"x\",\"custom_id\":\"twice\"}"),
            Some("-"),
        ),
        (
            text("{\"prompt\":\"y\",\"custom_id\":\"twice\"}"),
            Some("duplicate_custom_id"),
        ),
        (text("{\"prompt\":\"x\",\"id\":\"again\"}"), Some("-")),
        (text("{\"prompt\":\"x\",\"id\":\"again\"}"), Some("-")),
        (text("{\"prompt\":\"no newline at the end\"}"), Some("-")),
    ]
}

fn hostile() -> (Scratch, Vec<&'static str>) {
    let scratch = Scratch::new();
    let corpus = corpus();
    let lines: Vec<Vec<u8>> = corpus.iter().map(|(line, _)| line.clone()).collect();
    scratch.write("in.jsonl", lines.join(&b'\n'));
    let expected = corpus.into_iter().filter_map(|(_, code)| code).collect();
    (scratch, expected)
}

#[test]
fn each_line_has_one_line_of_output_in_its_place() {
    let (scratch, expected) = hostile();
    let ran = scratch.run(&["-m", "sim/x", "-o", "out.jsonl", "--include-input"]);
    ran.says(
        1,
        &[
            "rows: ",
            "line_too_long 1",
            "duplicate_custom_id 1",
            "the first bad line: line 4: the line is not UTF-8",
            "mend the bad lines of in.jsonl, then: ",
        ],
    );
    let lines = scratch.lines("out.jsonl");
    assert_eq!(codes(&lines), expected);
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(line["antiphon"]["index"], number);
        if line["error"] != Value::Null {
            assert_eq!(line["antiphon"]["attempts"], 0);
        }
    }
    // index counts rows from 0, messages count physical lines from 1
    let messages = column(&lines, "/error/message");
    assert_eq!(
        messages[1],
        "line 4: the line is not UTF-8: bad byte at offset 11"
    );
    assert!(messages[4].as_str().unwrap().starts_with("line 7: "));
    assert_eq!(column(&lines, "/custom_id")[1], "row-1");
}

#[test]
fn bad_lines_are_to_be_mended_and_not_sent_again() {
    let scratch = Scratch::with_input(&["{\"prompt\":5}", "not json"]);
    let args = ["-m", "sim/x", "-o", "out.jsonl"];
    let ran = scratch.run(&args);
    ran.says(1, &["invalid_line 2", "the first bad line: line 1: "]);
    assert!(!ran.err.contains("--retry-failed"), "{}", ran.err);
    // that is what helps
    scratch.write("in.jsonl", "{\"prompt\":\"5\"}\n{\"prompt\":\"json\"}\n");
    scratch.run(&args).says(0, &["2 rows: 2 succeeded"]);
}

#[test]
fn the_second_run_sends_nothing_and_writes_the_same() {
    let (scratch, _) = hostile();
    let args = ["-m", "sim/x", "-o", "out.jsonl"];
    scratch.run(&args).says(1, &[]);
    let first = scratch.read("out.jsonl");
    scratch.run(&args).says(1, &["0 tokens in, 0 out"]);
    assert_eq!(scratch.read("out.jsonl"), first);
}

#[test]
fn strict_refuses_the_file_and_touches_nothing() {
    let (scratch, _) = hostile();
    let args = ["-m", "sim/x", "-o", "out.jsonl", "--strict"];
    scratch.run(&args).says(
        2,
        &[
            "bad lines:",
            "line 4: the line is not UTF-8",
            "and 2",
            "hint: without --strict",
        ],
    );
    assert_eq!(scratch.names(), ["in.jsonl"]);
}

#[test]
fn strict_finds_a_repeated_custom_id() {
    let row = |id: &str| format!("{{\"prompt\":\"{id}\",\"custom_id\":\"{id}\"}}");
    let scratch = Scratch::with_input(&[&row("a"), &row("b"), "", &row("a")]);
    let args = ["-m", "sim/x", "-o", "out.jsonl", "--strict"];
    scratch.run(&args).says(
        2,
        &["1 bad line:\n  line 4: custom_id \"a\" stands on an earlier line"],
    );
}

#[test]
fn the_place_in_a_message_follows_the_line_when_lines_are_inserted() {
    let scratch = Scratch::with_input(&[r#"{"prompt":"a"}"#, "nope"]);
    let args = ["-m", "sim/x", "-o", "out.jsonl"];
    scratch.run(&args).says(1, &[]);
    scratch.write("in.jsonl", "{\"prompt\":\"b\"}\n{\"prompt\":\"a\"}\nnope\n");
    scratch.run(&args).says(1, &["the input changed"]);
    let lines = scratch.lines("out.jsonl");
    assert_eq!(codes(&lines), ["-", "-", "invalid_line"]);
    assert!(
        lines[2]["error"]["message"]
            .as_str()
            .unwrap()
            .starts_with("line 3: ")
    );
}

#[test]
fn nothing_is_no_row() {
    for content in ["", "\n\n  \r\n", "\u{feff}"] {
        let scratch = Scratch::new();
        scratch.write("in.jsonl", content);
        scratch
            .run(&["-m", "sim/x", "-o", "out.jsonl"])
            .says(0, &["0 rows: 0 succeeded, 0 failed"]);
        assert_eq!(scratch.read("out.jsonl"), "");
    }
}
