//! `sim`, the pages, and slips of the finger.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::Stdio,
};

use crate::support::Scratch;

#[test]
fn sim_serves_prints_what_to_export_and_is_used_by_run() {
    let scratch = Scratch::with_input(&[r#"{"prompt":"hi"}"#]);
    let mut command = scratch.command(&["sim", "--listen", "127.0.0.1:0"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut exports = BufReader::new(child.stdout.take().unwrap()).lines();
    let openai = exports.next().unwrap().unwrap();
    let anthropic = exports.next().unwrap().unwrap();
    let openai = openai.strip_prefix("export OPENAI_BASE_URL=").unwrap();
    let anthropic = anthropic
        .strip_prefix("export ANTHROPIC_BASE_URL=")
        .unwrap();
    assert_eq!(openai, format!("{anthropic}/v1"));
    let env = [
        ("OPENAI_BASE_URL", openai),
        ("ANTHROPIC_BASE_URL", anthropic),
    ];
    for model in ["openai/a", "anthropic/b"] {
        let ran = scratch.antiphon_with(&env, &["run", "in.jsonl", "-m", model]);
        ran.says(0, &["1 row: 1 succeeded"]);
    }
    let address = anthropic.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET /sim/ledger HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut ledger = String::new();
    stream.read_to_string(&mut ledger).unwrap();
    assert!(ledger.contains("\"answered\":2"), "{ledger}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn sim_as_json_names_its_address() {
    let scratch = Scratch::new();
    let mut command = scratch.command(&["sim", "--listen", "127.0.0.1:0", "--json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let told: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        told["url"],
        format!("http://{}", told["address"].as_str().unwrap())
    );
}

#[test]
fn sim_refuses_what_it_cannot_do() {
    let scratch = Scratch::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (args, words) in [
        (
            &["--listen", &taken][..],
            &["cannot listen on", "in use"][..],
        ),
        (&["--listen", "nowhere"], &["--listen"]),
        (
            &["--fail", "boom=1"],
            &["no fault is called `boom`", "truncate"],
        ),
        (&["--fail", "429"], &["--fail"]),
        (&["--fail", "429=2"], &["`2` is not a share"]),
        (
            &["--fail", "429=0.7", "--fail", "500=0.7"],
            &["add up to 1.4"],
        ),
        (&["--jitter", "3"], &["jitter is 3: it goes from 0 to 1"]),
        (&["--rpm", "0"], &["--rpm"]),
        (&["--window", "week"], &["--window"]),
    ] {
        scratch.antiphon(&[&["sim"], args].concat()).says(2, words);
    }
    let kinds = scratch.antiphon(&["sim", "--list-kinds"]);
    kinds.says(0, &[]);
    for kind in [
        "reset",
        "refuse",
        "hang",
        "stall",
        "truncate",
        "garbage",
        "html",
        "empty",
        "error-event",
        "no-done",
        "quota",
    ] {
        assert!(
            kinds.out.lines().any(|line| line.starts_with(kind)),
            "{kind}"
        );
    }
}

#[test]
fn help_version_completions_and_the_manual_are_there() {
    let scratch = Scratch::new();
    let version = scratch.antiphon(&["--version"]);
    assert_eq!(
        version.out,
        concat!("antiphon ", env!("CARGO_PKG_VERSION"), "\n")
    );
    let help = scratch.antiphon(&["--help"]).out;
    for words in [
        "Examples:",
        "antiphon run questions.jsonl",
        "Environment:",
        "OPENAI_API_KEY",
    ] {
        assert!(help.contains(words), "{words} is not in {help}");
    }
    let run_help = scratch.antiphon(&["run", "--help"]).out;
    assert!(run_help.contains("Exit codes: 0 "), "{run_help}");
    for shell in ["bash", "zsh", "fish"] {
        let script = scratch.antiphon(&["completions", shell]);
        script.says(0, &[]);
        for word in ["max-error-rate", "synthesizer", "choices", "image"] {
            assert!(script.out.contains(word), "{shell}: {word}");
        }
    }
    let man = scratch.antiphon(&["man"]).out;
    assert!(man.contains(".TH antiphon 1"));
    for command in ["run", "ask", "vote", "review"] {
        assert!(man.contains(&format!(".TH antiphon-{command} 1")));
    }
}

#[test]
fn examples_of_the_help_fit_a_terminal_and_can_be_copied() {
    let scratch = Scratch::new();
    for command in [
        &[][..],
        &["run"],
        &["ask"],
        &["vote"],
        &["review"],
        &["models"],
        &["sim"],
    ] {
        let help = scratch.antiphon(&[command, &["--help"]].concat()).out;
        let examples = help.split_once("Examples:\n").unwrap().1;
        let examples = examples
            .split_once("\n\n")
            .map_or(examples, |(first, _)| first);
        let mut continued = false;
        for line in examples.lines() {
            assert!(line.chars().count() <= 90, "{line}");
            let begins =
                line.contains("antiphon ") || line.ends_with(':') || line.contains(" again.");
            assert!(begins != continued, "{line}");
            continued = line.ends_with('\\');
        }
    }
}

#[test]
fn slips_of_the_finger_are_usage_errors_with_a_tip() {
    let scratch = Scratch::new();
    for (args, words) in [
        (&["run", "in.jsonl", "--frsh"][..], "'--fresh'"),
        (&["rum", "in.jsonl"], "'run'"),
        (&["run"], "<INPUT>"),
        (&["config", "shwo"], "'show'"),
        (&["completions", "tcsh"], "possible values: bash"),
        (&[], "Usage: antiphon <COMMAND>"),
    ] {
        scratch.antiphon(args).says(2, &[words]);
    }
}
