//! Names of models and providers, keys, and where requests go.

use crate::support::{Ran, Scratch, Stub, codes, column};

const ROW: &str = r#"{"prompt":"hi"}"#;

#[test]
fn what_is_unknown_is_refused_with_the_nearest_names() {
    let scratch = Scratch::with_input(&[ROW]);
    for (args, words) in [
        (
            &["-m", "smi/x"][..],
            "unknown provider \"smi\"; did you mean \"sim\"?",
        ),
        (&["-m", "zzzzzz/x"], "known are openai, anthropic, sim; for"),
        (
            &["-m", "x", "--provider", "anthropc"],
            "did you mean \"anthropic\"?",
        ),
        (&["-m", "sim/"], "no model is named after sim/"),
        (&[], "no model is named; pass --model"),
    ] {
        let ran = scratch.run(&[args, &["-o", "out.jsonl"]].concat());
        ran.says(2, &[words]);
        assert!(!ran.err.contains("line 1"), "{}", ran.err);
        assert_eq!(scratch.names(), ["in.jsonl"]);
    }
    // here it is the line that says it
    scratch.write("in.jsonl", r#"{"prompt":"hi","model":"smi/x"}"#);
    scratch
        .run(&[])
        .says(2, &["line 1: unknown provider \"smi\""]);
}

#[test]
fn a_slip_in_a_configured_name_is_not_only_a_missing_key() {
    let scratch = Scratch::with_input(&[ROW]);
    scratch.write(
        "antiphon.toml",
        "[providers.sim]\nseed = 1\n[models.fast]\nuse = \"sim/x\"\n\
         [models.panel]\nensemble = [\"fast\", \"fasst\"]\n",
    );
    for model in ["fasst", "panel"] {
        let words =
            "set OPENAI_API_KEY; no model is configured as \"fasst\": did you mean \"fast\"?";
        scratch.run(&["-m", model]).says(2, &[words]);
    }
    for model in ["gpt-4o-mini", "openai/fasst"] {
        let ran = scratch.run(&["-m", model]);
        ran.says(2, &["no API key for openai: set OPENAI_API_KEY\n"]);
    }
    // a built-in provider that is configured is known once
    scratch
        .run(&["-m", "zzzzzz/x"])
        .says(2, &["known are openai, anthropic, sim; for"]);
}

#[test]
fn a_missing_key_is_found_behind_bad_lines_and_nothing_is_written() {
    let scratch = Scratch::with_input(&["not json", "{}", ROW]);
    let missing = |ran: Ran| {
        ran.says(2, &["no API key", "OPENAI_API_KEY"]);
    };
    missing(scratch.run(&["-m", "openai/gpt-4o-mini", "-o", "out.jsonl"]));
    let stdin = format!("not json\n{ROW}\n");
    let args = ["run", "-", "-m", "openai/gpt-4o-mini", "-o", "out.jsonl"];
    missing(scratch.antiphon_reading(stdin.as_bytes(), &args));
    assert_eq!(scratch.names(), ["in.jsonl"]);
    // a source that is read once still has the lines that were looked at
    let args = ["run", "-", "-m", "sim/x", "-o", "out.jsonl"];
    scratch
        .antiphon_reading(stdin.as_bytes(), &args)
        .says(1, &["2 rows"]);
    assert_eq!(codes(&scratch.lines("out.jsonl")), ["invalid_line", "-"]);
}

#[test]
fn a_missing_key_is_named_and_nothing_is_sent() {
    let scratch = Scratch::with_input(&[ROW]);
    for (model, variable) in [
        ("openai/gpt-4o-mini", "OPENAI_API_KEY"),
        ("gpt-4o-mini", "OPENAI_API_KEY"),
        ("anthropic/claude-sonnet-4-5", "ANTHROPIC_API_KEY"),
    ] {
        scratch
            .run(&["-m", model, "-o", "out.jsonl"])
            .says(2, &["no API key", variable]);
        assert_eq!(scratch.names(), ["in.jsonl"]);
    }
    scratch.write(
        "in.jsonl",
        r#"{"custom_id":"a","params":{"model":"claude","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}}"#,
    );
    scratch.run(&[]).says(2, &["ANTHROPIC_API_KEY"]);
}

#[test]
fn with_a_provider_or_base_url_names_are_never_split() {
    let stub = Stub::saying("yes");
    let scratch = Scratch::with_input(&[ROW]);
    let model = ["-m", "meta-llama/Llama-3.1-8B"];
    scratch
        .run(&[&model[..], &["--base-url", stub.url(), "-o", "a.jsonl"]].concat())
        .says(0, &[]);
    let env = [("OPENAI_BASE_URL", stub.url())];
    let args = ["run", "in.jsonl", "--provider", "openai", "-o", "b.jsonl"];
    scratch
        .antiphon_with(&env, &[&args[..], &model].concat())
        .says(0, &[]);
    for body in stub.bodies() {
        assert_eq!(body["model"], "meta-llama/Llama-3.1-8B");
    }
    assert_eq!(stub.requests().len(), 2);
}

#[test]
fn a_base_url_that_cannot_be_one_is_refused() {
    let scratch = Scratch::with_input(&[ROW]);
    for (url, words) in [
        ("127.0.0.1:8000/v1", "lacks a scheme"),
        ("ftp://127.0.0.1/v1", "a scheme other than http and https"),
        ("http://127.0.0.1:99999/v1", "a port"),
    ] {
        scratch
            .run(&["-m", "m", "--base-url", url])
            .says(2, &[words]);
    }
    let ran = scratch.run(&["-m", "m", "--base-url", "http://me:hunter2@127.0.0.1/v1"]);
    ran.says(2, &["must not contain a user name or password"]);
    assert!(!ran.err.contains("hunter2"));
}

#[test]
fn the_key_goes_to_the_provider_and_nowhere_else() {
    const KEY: &str = "sk-canary-0123456789abcdef";
    let error =
        format!(r#"{{"error":{{"message":"Incorrect API key provided: {KEY}","code":"bad"}}}}"#);
    let stub = Stub::new(400, &error);
    let scratch = Scratch::with_input(&[ROW]);
    let env = [
        ("OPENAI_API_KEY", KEY),
        ("OPENAI_BASE_URL", stub.url()),
        ("OPENAI_ORG_ID", "org"),
    ];
    let args = [
        "run",
        "in.jsonl",
        "-m",
        "openai/x",
        "-o",
        "out.jsonl",
        "--report",
        "report.json",
    ];
    let ran = scratch.antiphon_with(&env, &args);
    ran.says(1, &["bad_request 1"]);
    let shown = scratch.antiphon_with(&env, &["config", "show", "--json"]);
    let sent = &stub.requests()[0];
    assert!(sent.contains(&format!("Bearer {KEY}")), "{sent}");
    assert!(sent.contains("openai-organization: org"), "{sent}");
    for text in [
        &ran.err,
        &ran.out,
        &shown.out,
        &scratch.read("out.jsonl"),
        &scratch.read("report.json"),
    ] {
        assert!(!text.contains("canary"), "{text}");
    }
    for entry in std::fs::read_dir(scratch.path("out.jsonl.antiphon")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"canary"));
    }
}

#[test]
fn a_wrong_key_stops_the_run_and_rows_stay_pending() {
    let stub = Stub::new(401, r#"{"error":{"message":"Incorrect API key"}}"#);
    let rows: Vec<String> = (0..50).map(|n| format!("{{\"prompt\":\"{n}\"}}")).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let scratch = Scratch::with_input(&rows);
    scratch
        .run(&["-m", "m", "--base-url", stub.url(), "-o", "out.jsonl"])
        .says(3, &["error: stopped: ", "50 pending", "to go on: "]);
    assert_eq!(scratch.read("out.jsonl"), "");
    assert!(stub.requests().len() <= 8, "{}", stub.requests().len());
}

#[test]
fn an_unknown_model_fails_its_own_rows_only() {
    let stub = Stub::new(
        404,
        r#"{"error":{"message":"no such model","code":"model_not_found"}}"#,
    );
    let scratch = Scratch::with_input(&[
        r#"{"prompt":"a","model":"gone"}"#,
        r#"{"prompt":"b","model":"sim/x"}"#,
    ]);
    let env = [("OPENAI_BASE_URL", stub.url())];
    scratch
        .antiphon_with(&env, &["run", "in.jsonl", "-o", "out.jsonl"])
        .says(1, &["model_not_found 1", "1 succeeded"]);
    let lines = scratch.lines("out.jsonl");
    assert_eq!(column(&lines, "/response/status_code"), [404, 200]);
    assert_eq!(column(&lines, "/antiphon/model"), ["openai/gone", "sim/x"]);
}
