//! `antiphon analyze`: typed results for documents, as a job.

use antiphon_core::patterns::{Document, Summarize, analysis_request};
use serde_json::{Value, json};

use crate::support::{Scratch, Stub, codes, column};

fn documents() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("a.md", "# Alpha\n\nAll went well.");
    scratch.write(
        "many.jsonl",
        "{\"id\":\"m-1\",\"text\":\"first of many\",\"year\":1999,\"tags\":[\"x\"]}\n\n{\"text\":\"nameless\"}\n",
    );
    scratch.write("b.txt", "Beta failed.");
    scratch
}

const FILES: [&str; 3] = ["a.md", "many.jsonl", "b.txt"];

fn analyze(scratch: &Scratch, args: &[&str]) -> crate::support::Ran {
    let args = [&["analyze"], &FILES[..], &["-m", "sim/demo"], args].concat();
    scratch.antiphon(&args)
}

#[test]
fn every_kind_gives_a_typed_result_with_id_and_metadata_in_order() {
    let scratch = documents();
    for (index, (args, fields)) in [
        (&["--summary"][..], &["summary"][..]),
        (&["--sentiment"], &["sentiment", "confidence"]),
        (&["--extract", "who,when"], &["who", "when"]),
        (&["--classify", "good,bad"], &["category", "confidence"]),
    ]
    .into_iter()
    .enumerate()
    {
        let output = format!("out-{index}.jsonl");
        let args = [args, &["-o", &output]].concat();
        analyze(&scratch, &args).says(0, &["4 rows: 4 succeeded", &format!("answers: {output}")]);
        let lines = scratch.lines(&output);
        assert_eq!(
            column(&lines, "/custom_id"),
            ["a.md", "m-1", "row-2", "b.txt"]
        );
        for line in &lines {
            let parsed = line["antiphon"]["parsed"].as_object().unwrap();
            let names: Vec<&str> = parsed.keys().map(String::as_str).collect();
            assert_eq!(names, fields, "{line}");
        }
        // the text is not copied
        assert_eq!(
            column(&lines, "/input"),
            [
                &json!({"id": "a.md"}),
                &json!({"id": "m-1", "year": 1999, "tags": ["x"]}),
                &json!({}),
                &json!({"id": "b.txt"}),
            ]
        );
    }
}

#[test]
fn the_request_is_the_one_that_a_program_sends() {
    let scratch = documents();
    let stub = Stub::saying("{\"summary\":\"short\"}");
    let analyze = |args: &[&str]| {
        let common = [
            "analyze",
            "b.txt",
            "--summary",
            "--base-url",
            stub.url(),
            "-m",
            "m",
        ];
        scratch.antiphon(&[&common, args].concat()).says(0, &[]);
        stub.bodies().pop().unwrap()
    };
    let sent = analyze(&[]);
    let expected = analysis_request(&Summarize::default(), &Document::new("b", "Beta failed."));
    for (sent, expected) in sent["messages"]
        .as_array()
        .unwrap()
        .iter()
        .zip(expected.messages.iter())
    {
        assert_eq!(*sent, serde_json::to_value(expected).unwrap());
    }
    assert_eq!(sent["messages"].as_array().unwrap().len(), 2);
    assert_eq!(sent["temperature"], 0.3);
    assert_eq!(sent["response_format"]["type"], "json_schema");
    let warm = scratch.antiphon(&[
        "analyze",
        "b.txt",
        "--summary",
        "--base-url",
        stub.url(),
        "-m",
        "m",
        "--param",
        "temperature=1",
    ]);
    assert!(!warm.err.contains("took the place"), "{}", warm.err);
    assert_eq!(stub.bodies().pop().unwrap()["temperature"], 1);
}

#[test]
fn a_document_that_cannot_be_read_fails_alone_under_its_name() {
    let scratch = documents();
    scratch.write(
        "many.jsonl",
        "{\"title\":\"no text\"}\n{\"text\":\" \"}\n{\"text\":7}\nnot json\n",
    );
    scratch.write("b.txt", b"not \xff UTF-8");
    scratch.write("long.txt", "x".repeat((16 << 20) + 1));
    scratch.write("empty.txt", "");
    let args = ["--summary", "-o", "out.jsonl", "long.txt", "empty.txt"];
    analyze(&scratch, &args).says(
        1,
        &[
            "8 rows: 1 succeeded, 7 failed",
            "the first bad document: document 2: the document has no field `text`; it has title",
            "mend the bad documents",
        ],
    );
    let lines = scratch.lines("out.jsonl");
    let names = column(&lines, "/custom_id");
    assert_eq!(
        names,
        [
            "a.md",
            "row-1",
            "row-2",
            "row-3",
            "row-4",
            "b.txt",
            "long.txt",
            "empty.txt"
        ]
    );
    let invalid = "invalid_line";
    assert_eq!(
        codes(&lines),
        [
            "-",
            "missing_field",
            invalid,
            invalid,
            invalid,
            invalid,
            "line_too_long",
            invalid
        ]
    );
    assert_eq!(lines[5]["input"], json!({"id": "b.txt"}));
    assert_eq!(
        lines[6]["error"]["message"],
        "long.txt: the document is longer than 16 MiB"
    );
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_sent() {
    let scratch = documents();
    let cases: [(&[&str], &[&str]); 10] = [
        (&["--summary"], &["<FILES>"]),
        (&["a.md"], &["--summary", "--classify"]),
        (
            &["a.md", "--summary", "--sentiment"],
            &["cannot be used with"],
        ),
        (
            &["a.mf", "--summary"],
            &["there is no file a.mf", "did you mean a.md?"],
        ),
        (&[".", "--summary"], &[". is a folder"]),
        (&["/dev/null", "--summary"], &["/dev/null is not a file"]),
        (
            &["a.md", "--summary", "--param", "response_format={}"],
            &["both say which shape"],
        ),
        (&["a.md", "--extract", ""], &["field 0 has no name"]),
        (&["a.md", "--classify", "x,x"], &["`x` is given twice"]),
        (
            &["a.md", "--summary", "-o", "a.md"],
            &["does not end in .jsonl"],
        ),
    ];
    for (args, words) in cases {
        let args = [&["analyze", "-m", "sim/demo"], args].concat();
        scratch.antiphon(&args).says(2, words);
    }
    let args = [
        "analyze",
        "many.jsonl",
        "--summary",
        "-m",
        "sim/demo",
        "-o",
        "many.jsonl",
    ];
    scratch
        .antiphon(&args)
        .says(2, &["input and output are the same file"]);
}

#[test]
fn only_new_documents_are_sent_and_a_changed_question_is_told() {
    let scratch = documents();
    let args = ["--summary", "-o", "out.jsonl", "--report", "report.json"];
    let report = || serde_json::from_str::<Value>(&scratch.read("report.json")).unwrap();
    analyze(&scratch, &args).says(0, &[]);
    assert_eq!(report()["attempts"], 4);
    scratch.write("c.txt", "Gamma.");
    analyze(&scratch, &[&args[..], &["c.txt"]].concat()).says(0, &["4 from earlier runs"]);
    assert_eq!(report()["attempts"], 1);
    scratch.write("b.txt", "Beta failed again.");
    analyze(&scratch, &[&args[..], &["c.txt"]].concat())
        .says(0, &["the input changed from document 4 on"]);
    assert_eq!(
        (report()["attempts"].clone(), report()["total"].clone()),
        (json!(1), json!(5))
    );
    // metadata is not asked about
    scratch.write(
        "many.jsonl",
        "{\"id\":\"m-1\",\"text\":\"first of many\",\"year\":2000}\n",
    );
    analyze(&scratch, &[&args[..], &["c.txt"]].concat()).says(0, &[]);
    assert_eq!(report()["attempts"], 0);
    assert_eq!(scratch.lines("out.jsonl")[1]["input"]["year"], 2000);
    let other = ["--sentiment", "-o", "out.jsonl"];
    analyze(&scratch, &other).says(0, &["what is asked of each document changed"]);
}

#[test]
fn without_an_output_lines_go_to_stdout_and_json_is_the_report() {
    let scratch = documents();
    let ran = analyze(&scratch, &["--sentiment", "--json", "--limit", "2"]);
    ran.says(0, &["\"total\":2"]);
    assert_eq!(crate::support::parsed_lines(&ran.out).len(), 2);
}
