//! What a run may write to, and what it never touches.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    process::Stdio,
};

use crate::support::{Scratch, parsed_lines, symlink};

const ROWS: [&str; 2] = [
    r#"{"prompt":"a","model":"sim/x"}"#,
    r#"{"prompt":"b","model":"sim/x"}"#,
];

#[test]
fn a_missing_input_is_told_with_the_nearest_name() {
    let scratch = Scratch::with_input(&ROWS);
    scratch.antiphon(&["run", "in.jsnol"]).says(
        2,
        &["there is no file in.jsnol", "hint: did you mean in.jsonl?"],
    );
    scratch
        .antiphon(&["run", "no/where.jsonl"])
        .says(2, &["there is no file no/where.jsonl"]);
    fs::create_dir(scratch.path("folder.jsonl")).unwrap();
    scratch
        .antiphon(&["run", "folder.jsonl"])
        .says(2, &["folder.jsonl is a folder"]);
}

#[test]
fn an_output_that_is_the_input_is_refused_through_links_too() {
    let scratch = Scratch::with_input(&ROWS);
    symlink(&scratch.path("in.jsonl"), &scratch.path("soft.jsonl"));
    fs::hard_link(scratch.path("in.jsonl"), scratch.path("hard.jsonl")).unwrap();
    let before = scratch.read("in.jsonl");
    for output in ["in.jsonl", "./in.jsonl", "soft.jsonl", "hard.jsonl"] {
        for more in [&[][..], &["--fresh"]] {
            scratch
                .run(&[&["-o", output], more].concat())
                .says(2, &["input and output are the same file"]);
        }
    }
    assert_eq!(scratch.read("in.jsonl"), before);
    assert_eq!(scratch.names(), ["hard.jsonl", "in.jsonl", "soft.jsonl"]);
}

#[test]
fn an_output_that_cannot_be_one_is_refused_and_nothing_is_made() {
    let scratch = Scratch::with_input(&ROWS);
    fs::create_dir(scratch.path("folder.jsonl")).unwrap();
    for (output, words) in [
        ("out.csv", "does not end in .jsonl"),
        ("out", "does not end in .jsonl"),
        ("folder.jsonl", "is a folder"),
        (
            "no/where/out.jsonl",
            "the output folder no/where does not exist",
        ),
        ("/proc/out.jsonl", "cannot write /proc/out.jsonl"),
    ] {
        scratch.run(&["-o", output]).says(2, &[words]);
    }
    assert_eq!(scratch.names(), ["folder.jsonl", "in.jsonl"]);
}

#[test]
fn somebody_elses_file_is_not_touched() {
    let scratch = Scratch::with_input(&ROWS);
    scratch.write("out.jsonl", "precious\n");
    scratch.run(&["-o", "out.jsonl"]).says(
        2,
        &[
            "out.jsonl is not empty",
            "out.jsonl.antiphon is missing",
            "hint: ",
        ],
    );
    assert_eq!(scratch.read("out.jsonl"), "precious\n");
    assert_eq!(scratch.names(), ["in.jsonl", "out.jsonl"]);
}

#[test]
fn fresh_moves_everything_aside_and_deletes_nothing() {
    let scratch = Scratch::with_input(&ROWS);
    scratch.run(&["-o", "out.jsonl"]).says(0, &[]);
    let first = scratch.read("out.jsonl");
    let ran = scratch.run(&["-o", "out.jsonl", "--fresh"]);
    ran.says(0, &["out.jsonl is now out.jsonl.old-1"]);
    assert!(!ran.err.contains("from earlier runs"), "{}", ran.err);
    assert_eq!(scratch.read("out.jsonl.old-1"), first);
    assert!(scratch.path("out.jsonl.antiphon.old-1").is_dir());
    // a run that is refused has not moved anything
    scratch.write("in.jsonl", "nope\n");
    scratch
        .run(&["-o", "out.jsonl", "-m", "sim/x", "--fresh", "--strict"])
        .says(2, &[]);
    assert!(!scratch.path("out.jsonl.old-2").exists());
    // a folder that holds no answers is nobody's to move
    fs::create_dir(scratch.path("mine")).unwrap();
    scratch.write("in.jsonl", ROWS[0]);
    scratch.run(&["--state", "mine", "--fresh"]).says(0, &[]);
    assert!(!scratch.path("mine.old-1").exists());
}

#[test]
fn the_same_command_again_sends_nothing() {
    let scratch = Scratch::with_input(&ROWS);
    scratch.run(&["-o", "out.jsonl"]).says(0, &[]);
    scratch
        .run(&["-o", "out.jsonl"])
        .says(0, &["2 from earlier runs", "0 tokens in"]);
    let mode = |name: &str| {
        fs::metadata(scratch.path(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode("out.jsonl.antiphon"), 0o700);
    assert_eq!(mode("out.jsonl.antiphon/ledger.db"), 0o600);
}

#[test]
fn stdout_is_the_output_and_its_answers_are_kept_where_asked() {
    let scratch = Scratch::with_input(&ROWS);
    for args in [&[][..], &["-o", "-"]] {
        let ran = scratch.run(args);
        ran.says(0, &["2 rows: 2 succeeded"]);
        assert_eq!(parsed_lines(&ran.out).len(), 2);
    }
    assert_eq!(scratch.names(), ["in.jsonl"]);
    scratch.run(&["-o", "/dev/null"]).says(0, &[]);
    assert!(!std::path::Path::new("/dev/null.antiphon").exists());
    let first = scratch.run(&["--state", "kept"]).out;
    let ran = scratch.run(&["--state", "kept"]);
    ran.says(0, &["2 from earlier runs"]);
    assert_eq!(ran.out, first);
    scratch
        .run(&["--state", "in.jsonl"])
        .says(2, &["cannot use in.jsonl"]);
}

#[test]
fn limit_order_and_state_of_rows() {
    let rows: Vec<String> = (0..40)
        .map(|n| format!("{{\"prompt\":\"{n}\",\"model\":\"sim/x\"}}"))
        .collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let scratch = Scratch::with_input(&rows);
    scratch
        .run(&["-o", "out.jsonl", "--limit", "3"])
        .says(0, &["3 rows: 3 succeeded"]);
    scratch
        .run(&["-o", "out.jsonl"])
        .says(0, &["40 rows: 40 succeeded", "3 from earlier runs"]);
    crate::support::sim_config(&scratch, "latency = \"5ms\"\njitter = 1.0");
    scratch
        .run(&["-o", "any.jsonl", "--order", "completion"])
        .says(0, &["40 rows: 40 succeeded"]);
    let index = |name: &str| -> Vec<u64> {
        let lines = scratch.lines(name);
        lines
            .iter()
            .map(|line| line["antiphon"]["index"].as_u64().unwrap())
            .collect()
    };
    let in_order: Vec<u64> = (0..40).collect();
    assert_eq!(index("out.jsonl"), in_order);
    let mut any = index("any.jsonl");
    assert_ne!(any, in_order);
    any.sort_unstable();
    assert_eq!(any, in_order);
}

#[test]
fn failed_rows_are_sent_again_when_asked() {
    let scratch = Scratch::with_input(&ROWS);
    crate::support::sim_config(&scratch, "fail = [\"400=1\"]");
    scratch
        .run(&["-o", "out.jsonl"])
        .says(1, &["bad_request 2", "--retry-failed"]);
    crate::support::sim_config(&scratch, "");
    scratch
        .run(&["-o", "out.jsonl"])
        .says(1, &["bad_request 2", "0 tokens in"]);
    scratch
        .run(&["-o", "out.jsonl", "--retry-failed"])
        .says(0, &["2 rows: 2 succeeded"]);
}

#[test]
fn each_answer_comes_out_as_soon_as_it_is_there() {
    let scratch = Scratch::with_input(&[]);
    let mut command = scratch.command(&["run", "-", "--quiet"]);
    let piped = Stdio::piped;
    command.stdin(piped()).stdout(piped()).stderr(piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    for (index, row) in ROWS.iter().enumerate() {
        // the next row is only written when the answer to this one has been read
        writeln!(stdin, "{row}").unwrap();
        stdin.flush().unwrap();
        let answer = answers.next().unwrap().unwrap();
        let answer = parsed_lines(&format!("{answer}\n"));
        assert_eq!(answer[0]["antiphon"]["index"], index);
    }
    drop(stdin);
    assert!(answers.next().is_none());
    assert!(child.wait().unwrap().success());
}
