//! `antiphon ask`, answers given whole.

use std::sync::{Condvar, Mutex};

use serde_json::{Value, json};

use crate::{
    scripted::{Scripted, shown_on_a_terminal},
    support::{Scratch, Stub, sim_config},
};

const SCHEMA: &str = r#"{"type":"object","required":["score"],"properties":{"score":{"type":"integer","maximum":10}}}"#;
/// Clears the screen, sets the clipboard, turns the text around.
const HOSTILE: &str = "a\u{1b}[2J\u{1b}]52;c;AAAA\u{7}b\u{9b}2Jc\u{202e}d\re";

#[test]
fn the_answer_alone_is_on_stdout() {
    let scratch = Scratch::new();
    let ran = scratch.antiphon(&["ask", "What is 17 + 25?", "-m", "sim/demo"]);
    ran.says(0, &["sim/demo · ", " tokens in, ", " out · $0"]);
    assert_eq!(ran.out, "(simulated) The answer is 42.\n#### 42\n");
    assert_eq!(ran.err.lines().count(), 1);

    let quiet = scratch.antiphon(&["ask", "What is 17 + 25?", "-m", "sim/demo", "-q"]);
    assert_eq!((quiet.out, quiet.err), (ran.out, String::new()));
}

#[test]
fn energy_is_told_where_it_is_known() {
    let ask = |model| Scratch::new().antiphon(&["ask", "hi", "-m", model, "--zone", "FRA"]);
    ask("sim/gpt-4o").says(0, &["Wh, ", " CO2eq"]);
    let unknown = ask("sim/demo");
    assert!(!unknown.err.contains("CO2eq"), "{}", unknown.err);
}

#[test]
fn a_retired_model_is_told_before_it_is_asked() {
    let gone = "openai/gpt-4 was retired on 2026-10-23 (as the catalogue of 2026-11-20 knows)";
    let stub = Stub::saying("yes\n");
    let asked = |args: &[&str]| {
        let scratch = Scratch::with_input(&[r#"{"prompt":"hi","text":"hi"}"#]);
        let there = ["-m", "openai/gpt-4"];
        scratch.write(
            "antiphon.toml",
            format!("[providers.openai]\nbase_url = \"{}\"\n", stub.url()),
        );
        scratch.antiphon(&[args, &there[..]].concat())
    };
    for command in [
        &["ask", "hi"][..],
        &["run", "in.jsonl"],
        &["map-reduce", "in.jsonl"],
    ] {
        let ran = asked(command);
        ran.says(0, &[gone]);
        assert_eq!(ran.err.matches(gone).count(), 1, "{}", ran.err);
    }
    asked(&["estimate", "in.jsonl"]).says(0, &[gone]);
    let quiet = asked(&["ask", "hi", "-q"]);
    assert_eq!(quiet.err, "");
}

#[test]
fn a_configured_name_is_asked_and_the_prompt_may_come_from_stdin() {
    let stub = Stub::saying("yes\n");
    let scratch = Scratch::new();
    let lines = format!(
        "default_model = \"fast\"\n[models.fast]\nuse = \"local/m-1\"\nparams = {{ temperature = 0 }}\n\
         [providers.local]\ndialect = \"openai\"\nbase_url = \"{}\"\n",
        stub.url()
    );
    scratch.write("antiphon.toml", lines);
    let args = ["ask", "-", "--system", "be brief", "--param", "top_p=0.5"];
    let ran = scratch.antiphon_reading("is it so?".as_bytes(), &args);
    ran.says(0, &["fast · answered by local/m-1 · "]);
    // a newline that is there already is enough
    assert_eq!(ran.out, "yes\n");
    let body = &stub.bodies()[0];
    assert_eq!(
        body["messages"],
        json!([
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "is it so?"},
        ])
    );
    assert_eq!(
        (&body["model"], &body["temperature"], &body["top_p"]),
        (&json!("m-1"), &json!(0), &json!(0.5))
    );
}

/// The slow model answers after the fast one has, the broken one never.
fn three_models() -> Scripted {
    let (answered, change) = (Mutex::new(false), Condvar::new());
    Scripted::new(move |body, line| match body["model"].as_str().unwrap() {
        "slow" => {
            let answered = answered.lock().unwrap();
            let _waited = change.wait_while(answered, |answered| !*answered).unwrap();
            line.say("from the slow one");
        }
        "fast" => {
            line.say("from the fast one");
            *answered.lock().unwrap() = true;
            change.notify_all();
        }
        _ => line.fail(400, "no such thing"),
    })
}

#[test]
fn several_models_are_asked_at_once_and_shown_in_the_order_of_their_names() {
    let server = three_models();
    let args = [
        "ask",
        "x",
        "--base-url",
        server.url(),
        "-m",
        "slow",
        "-m",
        "broken",
        "-m",
        "fast",
    ];
    let ran = Scratch::new().antiphon(&args);
    ran.says(1, &["slow · ", "fast · ", "1 of 3 models failed"]);
    assert_eq!(
        ran.out,
        "==> slow <==\nfrom the slow one\n\n==> broken <==\nfailed: bad_request: no such thing\n\n\
         ==> fast <==\nfrom the fast one\n"
    );
}

#[test]
fn json_has_the_same_fields_whatever_became_of_a_model() {
    let server = three_models();
    let args = [
        "ask",
        "x",
        "--json",
        "--base-url",
        server.url(),
        "-m",
        "fast",
        "-m",
        "broken",
        "-m",
        "fast",
    ];
    let ran = Scratch::new().antiphon(&args);
    ran.says(1, &[]);
    assert_eq!(ran.out.lines().count(), 1);
    let mut told: Value = serde_json::from_str(&ran.out).unwrap();
    let fast = &mut told["answers"][0];
    assert!(fast["latency_ms"].take().as_f64().unwrap() > 0.0);
    let usage = json!({"input_tokens": 1, "output_tokens": 2, "cached_input_tokens": 0, "reasoning_tokens": 0});
    assert_eq!(
        *fast,
        json!({
            "model": "fast", "text": "from the fast one", "parsed": null, "finish_reason": "stop", "usage": usage,
            "latency_ms": null, "cost_usd": null, "energy_kwh": null, "gwp_kgco2eq": null,
            "members": null, "decision": null, "error": null,
        })
    );
    let nothing = json!({"min": 0.0, "max": 0.0});
    let error = json!({"code": "bad_request", "message": "no such thing"});
    assert_eq!(
        told["answers"][1],
        json!({
            "model": "broken", "text": null, "parsed": null, "finish_reason": null, "usage": null,
            "latency_ms": null, "cost_usd": 0.0, "energy_kwh": nothing, "gwp_kgco2eq": nothing,
            "members": null, "decision": null, "error": error,
        })
    );
    assert_eq!(told["answers"][2]["model"], "fast");
    // one model that is named twice gives two samples
    assert_eq!(server.bodies().len(), 3);
}

#[test]
fn an_answer_with_a_schema_is_one_line_of_json() {
    let stub = Stub::saying("```json\n{\n  \"score\": 7\n}\n```");
    let scratch = Scratch::new();
    scratch.write("s.json", SCHEMA);
    let args = [
        "ask",
        "rate it",
        "-m",
        "m",
        "--base-url",
        stub.url(),
        "--schema",
        "s.json",
    ];
    for more in [&[][..], &["--stream"]] {
        let ran = scratch.antiphon(&[&args[..], more].concat());
        ran.says(0, &[]);
        assert_eq!(ran.out, "{\"score\":7}\n");
    }
    let ran = scratch.antiphon(&[&args[..], &["--json"]].concat());
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(told["answers"][0]["parsed"], json!({"score": 7}));
    assert_eq!(stub.bodies()[0]["response_format"]["type"], "json_schema");

    let stub = Stub::saying("{\"score\": 11}");
    let args = [
        "ask",
        "rate it",
        "-m",
        "m",
        "--base-url",
        stub.url(),
        "--schema",
        "s.json",
    ];
    let ran = scratch.antiphon(&args);
    ran.says(
        1,
        &[
            "error: m: off_schema: ",
            "/score: 11 is greater",
            "(3 attempts)",
        ],
    );
    assert_eq!(ran.out, "");
}

#[test]
fn what_is_unusual_about_an_answer_is_said() {
    let scratch = Scratch::new();
    for (fault, words) in [
        ("length", "cut off at its length limit"),
        ("refusal", "declined"),
        ("no-usage", "tokens unknown"),
    ] {
        sim_config(&scratch, &format!("fail = [\"{fault}=1\"]"));
        for more in [&[][..], &["--stream"]] {
            let args = [&["ask", "Why?", "-m", "sim/x"][..], more].concat();
            let ran = scratch.antiphon(&args);
            ran.says(0, &[words]);
            // whoever declines says so
            assert!(ran.out.len() > 3, "{fault} {more:?}: {ran:?}");
        }
    }
}

#[test]
fn images_reach_the_wire_in_both_formats() {
    let scratch = Scratch::new();
    scratch.write("a.PNG", b"abc");
    scratch.write("b.jpg", b"abc");
    let stub = Stub::saying("a cat");
    let there = [
        "ask",
        "what is it?",
        "-q",
        "--max-retries",
        "0",
        "--image",
        "a.PNG",
        "--image",
        "b.jpg",
    ];
    let url = "https://example.org/c";
    let args = [
        &there[..],
        &["--image", url, "-m", "m", "--base-url", stub.url()],
    ]
    .concat();
    scratch.antiphon(&args).says(0, &[]);
    let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    assert_eq!(
        stub.bodies()[0]["messages"][0]["content"],
        json!([
            {"type": "text", "text": "what is it?"},
            image("data:image/png;base64,YWJj"),
            image("data:image/jpeg;base64,YWJj"),
            image(url),
        ])
    );
    // what it answers is no answer in this format, but it has seen the request
    let args = [
        &there[..],
        &[
            "-m",
            "anthropic/m",
            "--base-url",
            stub.url(),
            "--provider",
            "anthropic",
        ],
    ];
    scratch.antiphon(&args.concat());
    let content = &stub.bodies()[1]["messages"][0]["content"];
    let source = json!({"type": "base64", "media_type": "image/png", "data": "YWJj"});
    assert_eq!(content[1], json!({"type": "image", "source": source}));
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_sent() {
    let scratch = Scratch::new();
    let stub = Stub::saying("never");
    for (name, text) in [
        ("s.json", SCHEMA),
        ("cut.json", "{\"type\":"),
        ("odd.json", "{\"type\":\"nonsense\"}"),
        ("text.json", "{\"type\":\"string\"}"),
        ("empty.png", ""),
    ] {
        scratch.write(name, text);
    }
    for (more, words) in [
        (
            &["--image", "nope.png"][..],
            "cannot read --image nope.png: No such file",
        ),
        (
            &["--image", "a.txt"],
            "--image a.txt: the name must end in .png, .jpg",
        ),
        (&["--image", "empty.png"], "--image empty.png is empty"),
        (&["--schema", "nope.json"], "cannot read --schema nope.json"),
        (&["--schema", "cut.json"], "--schema cut.json is not JSON"),
        (
            &["--schema", "odd.json"],
            "--schema odd.json is not a JSON Schema",
        ),
        (
            &["--schema", "text.json"],
            "m: the root of the schema is not an object",
        ),
        (
            &["--schema", "s.json", "--param", "response_format={}"],
            "both say which shape",
        ),
        (&["--param", "stream=true"], "--param stream cannot be set"),
        (&["--param", "model=x"], "name the model with --model"),
        (
            &["--stream", "--json"],
            "'--stream' cannot be used with '--json'",
        ),
    ] {
        let args = ["ask", "x", "-m", "m", "--base-url", stub.url()];
        scratch
            .antiphon(&[&args[..], more].concat())
            .says(2, &[words]);
    }
    for (args, words) in [
        (&["x"][..], "no model is named; pass --model"),
        (&[" ", "-m", "sim/x"], "the prompt is empty"),
        (&["-", "-m", "sim/x"], "the prompt is empty"),
        (
            &["x", "-m", "sim/x", "-m", "sm/x"],
            "unknown provider \"sm\"; did you mean \"sim\"?",
        ),
        (
            &["x", "-m", "sim/x", "-m", "openai/x"],
            "set OPENAI_API_KEY",
        ),
        (&[], "<PROMPT>"),
    ] {
        let ran = scratch.antiphon(&[&["ask"], args].concat());
        assert_eq!(ran.says(2, &[words]).out, "");
    }
    assert_eq!(stub.requests().len(), 0);
}

#[test]
fn a_model_cannot_drive_the_terminal_and_files_get_what_it_said() {
    let stub = Stub::saying(HOSTILE);
    let scratch = Scratch::new();
    let there = ["ask", "x", "-m", "m", "--base-url", stub.url()];
    assert_eq!(scratch.antiphon(&there).out, format!("{HOSTILE}\n"));

    let harmless = |shown: &str| {
        assert!(
            shown.chars().all(|c| c == '\n' || !c.is_control()),
            "{shown:?}"
        );
        assert!(!shown.contains('\u{202e}'), "{shown:?}");
    };
    let second = [&there[..], &["-m", "m"]].concat();
    for args in [&there[..], &second] {
        let shown = shown_on_a_terminal(&scratch, args);
        harmless(&shown);
        assert!(shown.contains("a\\u{1b}[2J"), "{shown:?}");
    }
    let shown = shown_on_a_terminal(&scratch, &[&there[..], &["--json"]].concat());
    harmless(&shown);
    let told: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(told["answers"][0]["text"], HOSTILE);

    let server = Scripted::new(|_, line| {
        line.begin();
        line.piece("a\u{1b}");
        line.piece("[2J\u{9b}");
        line.end();
    });
    let there = [
        "ask",
        "x",
        "--stream",
        "-m",
        "m",
        "--base-url",
        server.url(),
    ];
    assert_eq!(
        shown_on_a_terminal(&scratch, &there),
        "a\\u{1b}[2J\\u{9b}\n"
    );
}
