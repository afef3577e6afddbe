//! `antiphon map-reduce`: one text from many documents, with a memory of its calls.

use serde_json::{Value, json};

use crate::support::{Ran, Scratch, Stub};

const DOCUMENTS: [&str; 3] = ["a.md", "many.jsonl", "b.txt"];

fn documents() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("a.md", "Alpha rose.");
    scratch.write(
        "many.jsonl",
        "{\"id\":\"m-1\",\"from\":\"Ann\",\"text\":\"Beta fell.\"}\n",
    );
    scratch.write("b.txt", "Gamma stayed.");
    scratch
}

fn map_reduce(scratch: &Scratch, stub: &Stub, args: &[&str]) -> Ran {
    let common = ["map-reduce", "--base-url", stub.url(), "-m", "m"];
    scratch.antiphon(&[&common, &DOCUMENTS[..], args].concat())
}

/// System and user message of each request.
fn asked(stub: &Stub) -> Vec<(String, String)> {
    let message = |body: &Value, index: usize| {
        let text = body["messages"][index]["content"].as_str();
        text.unwrap_or_default().to_owned()
    };
    let bodies = stub.bodies();
    bodies
        .iter()
        .map(|body| (message(body, 0), message(body, 1)))
        .collect()
}

#[test]
fn each_document_is_asked_about_and_the_answers_become_one_text() {
    let scratch = documents();
    let stub = Stub::saying("an answer");
    let args = [
        "--map",
        "List it.",
        "--reduce",
        "Join it.",
        "--param",
        "temperature=0",
        "--report",
        "r.json",
    ];
    let ran = map_reduce(&scratch, &stub, &args);
    ran.says(0, &["3 documents, 4 calls answered", "4 tokens in, 8 out"]);
    assert_eq!(ran.out, "an answer\n");
    let asked = asked(&stub);
    assert_eq!(asked.len(), 4);
    assert!(
        asked[..3]
            .iter()
            .all(|(system, _)| system.starts_with("List it.\n"))
    );
    for text in ["Alpha rose.", "Beta fell.", "Gamma stayed."] {
        let about = asked[..3].iter().filter(|(_, user)| user.contains(text));
        assert_eq!(about.count(), 1, "{text}");
    }
    assert!(asked[3].0.starts_with("Join it.\n"));
    assert_eq!(asked[3].1.matches("an answer").count(), 3);
    let body = &stub.bodies()[3];
    assert_eq!(
        (&body["temperature"], &body["max_tokens"]),
        (&json!(0), &json!(1024))
    );
    let report: Value = serde_json::from_str(&scratch.read("r.json")).unwrap();
    assert_eq!(
        (
            &report["total"],
            &report["succeeded"],
            &report["pending"],
            &report["attempts"]
        ),
        (&json!(4), &json!(4), &json!(0), &json!(4))
    );
}

#[test]
fn a_template_sees_the_piece_the_id_and_the_metadata() {
    let scratch = documents();
    let stub = Stub::saying("x");
    let map = "{{ id }} of {{ from | default('nobody') }}, {{ part }}/{{ parts }}: {{ text }}";
    map_reduce(&scratch, &stub, &["--map", map]).says(0, &[]);
    let mut sent: Vec<String> = asked(&stub)[..3]
        .iter()
        .map(|(user, _)| user.clone())
        .collect();
    sent.sort();
    assert_eq!(
        sent,
        [
            "a.md of nobody, 1/1: Alpha rose.",
            "b.txt of nobody, 1/1: Gamma stayed.",
            "m-1 of Ann, 1/1: Beta fell."
        ]
    );
}

#[test]
fn a_long_document_is_split_and_no_request_exceeds_the_window() {
    let scratch = documents();
    let paragraph = "Each sentence of it says a little more than the one before. ".repeat(12);
    let long: String = (0..30)
        .map(|number| format!("## Part {number}\n\n{paragraph}\n\n"))
        .collect();
    scratch.write("b.txt", &long);
    let stub = Stub::saying("short");
    let args = [
        "--window",
        "2000",
        "--max-output-tokens",
        "200",
        "--fan-in",
        "4",
        "--json",
    ];
    let ran = map_reduce(&scratch, &stub, &args);
    ran.says(0, &[]);
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    let pieces = found["documents"][2]["pieces"].as_u64().unwrap();
    assert!(pieces > 5, "{pieces}");
    assert_eq!(found["text"], "short");
    assert_eq!(found["levels"].as_array().unwrap().len(), 2);
    assert_eq!(found["documents"][1]["metadata"], json!({"from": "Ann"}));
    assert_eq!(found["report"]["pending"], 0);
    let mut seen = String::new();
    for part in 1..=pieces {
        let head = format!("Part {part} of {pieces} of a document.\n");
        let requests = asked(&stub);
        let (_, user) = requests
            .iter()
            .find(|(_, user)| user.starts_with(&head))
            .unwrap();
        // a token of English has more than two bytes
        assert!(user.len() / 2 < 1_800);
        let text = user[head.len()..].split_once(">\n").unwrap().1;
        seen.push_str(text.rsplit_once("\n</document").unwrap().0);
    }
    assert_eq!(
        seen, long,
        "nothing is left out, and the order is that of the text"
    );
}

#[test]
fn equal_documents_are_calls_of_their_own_and_none_is_paid_again() {
    let scratch = Scratch::new();
    let lines = "{\"text\":\"the same\"}\n".repeat(3);
    scratch.write("in.jsonl", &lines);
    let stub = Stub::saying("x");
    let run = |args: &[&str]| {
        let common = [
            "map-reduce",
            "in.jsonl",
            "--base-url",
            stub.url(),
            "-m",
            "m",
            "-o",
            "out.md",
        ];
        scratch.antiphon(&[&common, args].concat())
    };
    run(&[]).says(0, &["3 documents, 4 calls answered", "the text: out.md"]);
    assert_eq!(stub.requests().len(), 4);
    assert_eq!(scratch.read("out.md"), "x\n");
    std::fs::remove_file(scratch.path("out.md")).unwrap();
    run(&[]).says(0, &["4 calls answered (4 in earlier runs)", "0 tokens in"]);
    assert_eq!(stub.requests().len(), 4);
    assert_eq!(scratch.read("out.md"), "x\n");
    // another document costs its own call and the reduce step
    scratch.write("in.jsonl", format!("{{\"text\":\"first\"}}\n{lines}"));
    run(&[]).says(0, &["5 calls answered (3 in earlier runs)"]);
    assert_eq!(stub.requests().len(), 6);
    run(&["--fresh"]).says(
        0,
        &[
            "out.md is now out.md.old-1",
            "out.md.antiphon is now out.md.antiphon.old-1",
        ],
    );
    assert_eq!(stub.requests().len(), 11);
}

#[test]
fn the_last_answer_fits_the_schema() {
    let scratch = documents();
    scratch.write(
        "schema.json",
        r#"{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}"#,
    );
    let stub = Stub::saying("{\"n\": 7}");
    let ran = map_reduce(&scratch, &stub, &["--schema", "schema.json", "--json"]);
    ran.says(0, &[]);
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(found["value"], json!({"n": 7}));
    let shaped = stub.bodies();
    let shaped: Vec<bool> = shaped
        .iter()
        .map(|body| body["response_format"].is_object())
        .collect();
    assert_eq!(shaped, [false, false, false, true]);
    let off = Stub::saying("no JSON");
    map_reduce(
        &scratch,
        &off,
        &["--schema", "schema.json", "-o", "out.json"],
    )
    .says(
        1,
        &[
            "reduce step 0 of level 1 failed",
            "1 failed (off_schema 1)",
            "to go on:",
        ],
    );
    assert!(!scratch.path("out.json").exists());
}

#[test]
fn what_is_missing_is_told_and_exits_1() {
    let scratch = documents();
    scratch.write("b.txt", " \n");
    let stub = Stub::saying("x");
    map_reduce(&scratch, &stub, &[]).says(2, &["document 2 (`b.txt`) is empty"]);
    assert!(stub.requests().is_empty());
    let skip = ["--on-failure", "skip", "-o", "out.md"];
    map_reduce(&scratch, &stub, &skip).says(
        1,
        &["3 documents, all or part of 1 missing (b.txt), 3 calls"],
    );
    assert_eq!(scratch.read("out.md"), "x\n");
    let (_, reduce) = asked(&stub).pop().unwrap();
    assert!(
        reduce.contains("\"b.txt\"") && reduce.contains("missing"),
        "{reduce}"
    );
}

#[test]
fn failed_calls_leave_no_text_and_a_wrong_key_stops_it() {
    let scratch = documents();
    let stub = Stub::new(
        400,
        r#"{"error":{"message":"no such thing","type":"invalid_request_error"}}"#,
    );
    let args = ["-o", "out.md", "--report", "r.json"];
    map_reduce(&scratch, &stub, &args).says(
        1,
        &[
            "3 map calls failed",
            "no such thing",
            "0 calls answered, 3 failed",
        ],
    );
    let report: Value = serde_json::from_str(&scratch.read("r.json")).unwrap();
    assert_eq!(report["errors_by_code"], json!({"bad_request": 3}));
    let locked = Stub::new(401, r#"{"error":{"message":"wrong key"}}"#);
    map_reduce(&scratch, &locked, &args).says(3, &["stopped: ", "wrong key", "to go on:"]);
    assert!(!scratch.path("out.md").exists());
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_sent() {
    let scratch = documents();
    scratch.write("bad.txt", b"\xff");
    scratch.write("bad.jsonl", "{\"text\":\"x\"}\n{\"title\":\"y\"}\n");
    scratch.write("none.jsonl", "\n");
    scratch.write("mine.md", "not written by antiphon");
    let before = scratch.names();
    let cases: [(&[&str], &[&str]); 16] = [
        (&[], &["<FILES>"]),
        (&["nope.md"], &["there is no file nope.md"]),
        (&["."], &[". is a folder"]),
        (&["bad.txt"], &["bad.txt: the document is not UTF-8"]),
        (
            &["bad.jsonl"],
            &["document 2: the document has no field `text`; it has title"],
        ),
        (&["none.jsonl"], &["there are no documents"]),
        (
            &["a.md", "--window", "1100"],
            &["room for", "use a larger window"],
        ),
        (
            &["a.md", "--param", "stream=true"],
            &["--param stream cannot be set"],
        ),
        (&["a.md", "--fan-in", "1"], &["a fan-in of 1"]),
        (
            &["a.md", "--map", "{{ txt }}"],
            &["does not name {{ text }}"],
        ),
        (
            &["a.md", "--map", "{{ text }}{{ year }}"],
            &["document `a.md`: it has no field `year`"],
        ),
        (&["a.md", "--map", "{{ text"], &["--map"]),
        (
            &["a.md", "--reduce", "{{ text }}"],
            &["--reduce is an instruction"],
        ),
        (
            &["a.md", "-o", "a.md"],
            &["input and output are the same file"],
        ),
        (
            &["a.md", "-o", "mine.md"],
            &[
                "mine.md is not empty and was not written by antiphon",
                "--fresh",
            ],
        ),
        (
            &["a.md", "-o", "no/where.md"],
            &["the output folder no does not exist"],
        ),
    ];
    for (args, words) in cases {
        scratch
            .antiphon(&[&["map-reduce", "-m", "sim/demo"], args].concat())
            .says(2, words);
    }
    scratch
        .antiphon(&["map-reduce", "a.md", "-m", "smi/demo"])
        .says(2, &["unknown provider \"smi\""]);
    assert_eq!(scratch.names(), before, "nothing is left behind");
}
