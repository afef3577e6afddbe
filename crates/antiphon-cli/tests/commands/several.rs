//! Several answers to a row: ensembles, samples, chains and races, by flags and by name.

use serde_json::{Value, json};

use crate::support::{Scratch, Stub, column};

const ROW: &str = r#"{"prompt":"Tell me of the sea."}"#;
const SCHEMA: &str = r#"{"type":"object","required":["score","sure"],"additionalProperties":false,
    "properties":{"score":{"type":"integer","minimum":1,"maximum":5},"sure":{"type":"boolean"}}}"#;

/// The one line of a run with these arguments.
fn asked(scratch: &Scratch, args: &[&str]) -> Value {
    let usual = ["-o", "out.jsonl", "--fresh"];
    scratch.run(&[args, &usual].concat()).says(0, &["1 row"]);
    scratch.lines("out.jsonl").remove(0)
}

fn texts(line: &Value) -> Vec<&str> {
    let members = line["antiphon"]["members"].as_array().unwrap();
    members
        .iter()
        .map(|member| member["text"].as_str().unwrap())
        .collect()
}

#[test]
fn an_ensemble_asks_several_times_and_decides_once() {
    let scratch = Scratch::with_input(&[ROW]);
    let line = asked(&scratch, &["-m", "sim/x", "--ensemble", "3"]);
    let told = &line["antiphon"];
    assert_eq!((texts(&line).len(), &told["attempts"]), (3, &json!(4)));
    assert_eq!(told["decision"]["by"], "decide");
    let body = &line["response"]["body"];
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["choices"][0]["message"]["content"], told["text"]);
    // the sum over members and decider
    let spent: u64 = told["members"]
        .as_array()
        .unwrap()
        .iter()
        .chain([&told["decision"]["decider"]])
        .map(|call| call["usage"]["output_tokens"].as_u64().unwrap())
        .sum();
    assert_eq!(told["usage"]["output_tokens"], spent);
}

#[test]
fn a_judge_selects_and_a_synthesis_merges() {
    let scratch = Scratch::with_input(&[ROW]);
    let judged = &["-m", "sim/x", "--ensemble", "3", "--judge", "sim/judge"];
    let line = asked(&scratch, judged);
    let decision = &line["antiphon"]["decision"];
    let from = decision["from"][0].as_u64().unwrap() as usize;
    assert_eq!(decision["decider"]["model"], "sim/judge");
    assert_eq!(texts(&line)[from], line["antiphon"]["text"]);
    let merged = &["-m", "sim/x", "--ensemble", "3", "--synthesize", "sim/m"];
    let line = asked(&scratch, merged);
    assert_eq!(line["antiphon"]["decision"]["by"], "synthesize");
}

#[test]
fn with_a_schema_the_fields_are_voted_on() {
    let scratch = Scratch::with_input(&[ROW]);
    scratch.write("schema.json", SCHEMA);
    let schema = ["-m", "sim/x", "--ensemble", "5", "--schema", "schema.json"];
    let line = asked(&scratch, &schema);
    let (told, parsed) = (&line["antiphon"], &line["antiphon"]["parsed"]);
    assert_eq!(told["decision"]["by"], "vote");
    assert_eq!(told["attempts"], 5, "a vote asks nobody to decide");
    let answers: Vec<Value> = texts(&line)
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
    let mut scores: Vec<u64> = answers
        .iter()
        .map(|answer| answer["score"].as_u64().unwrap())
        .collect();
    scores.sort_unstable();
    let sure = answers
        .iter()
        .filter(|answer| answer["sure"] == true)
        .count();
    assert_eq!(parsed, &json!({"score": scores[2], "sure": sure >= 3}));

    let unknown = [&schema[..], &["--vote", "scoer", "-o", "out2.jsonl"]].concat();
    scratch.run(&unknown).says(2, &["scoer", "score"]);
}

#[test]
fn samples_stand_side_by_side() {
    let scratch = Scratch::with_input(&[ROW]);
    let line = asked(&scratch, &["-m", "sim/x", "--samples", "3"]);
    let told = texts(&line);
    assert!(told[0] != told[1] && told[1] != told[2]);
    let choices = line["response"]["body"]["choices"].as_array().unwrap();
    assert_eq!(column(choices, "/message/content"), told);
    assert_eq!(line["antiphon"]["text"], told[0]);
    assert_eq!(line["antiphon"]["decision"], Value::Null);
}

#[test]
fn a_fallback_answers_where_the_model_fails_and_is_no_other_request() {
    let scratch = Scratch::with_input(&[ROW]);
    let stub = Stub::new(500, r#"{"error":{"message":"down"}}"#);
    scratch.write(
        "antiphon.toml",
        format!(
            "[providers.bad]\ndialect = \"openai\"\nbase_url = \"{}\"\n",
            stub.url()
        ),
    );
    let bad = ["-m", "bad/x", "--max-retries", "0", "-o", "out.jsonl"];
    scratch.run(&bad).says(1, &["1 failed"]);
    let failed = scratch.lines("out.jsonl").remove(0);
    scratch
        .run(&[&bad[..], &["--fallback", "sim/y"]].concat())
        .says(0, &["1 succeeded"]);
    let line = scratch.lines("out.jsonl").remove(0);
    assert_eq!(line["antiphon"]["model"], "sim/y");
    assert_eq!(
        line["antiphon"]["members"][0]["error"]["code"],
        "server_error"
    );
    assert_eq!(line["id"], failed["id"], "fallbacks are not what is asked");

    // where nothing else is said a model with another behind it gives up soon
    let before = stub.requests().len();
    let usual = ["-m", "bad/x", "--fallback", "sim/y", "-o", "out2.jsonl"];
    scratch.run(&usual).says(0, &["1 succeeded"]);
    assert_eq!(stub.requests().len() - before, 1 + 3);
}

#[test]
fn configured_names_stand_for_chains_races_and_ensembles() {
    let scratch = Scratch::with_input(&[ROW]);
    scratch.write(
        "antiphon.toml",
        "[providers.dead]\ndialect = \"openai\"\nbase_url = \"http://127.0.0.1:9/v1\"\n\
         [models.fast]\nuse = \"sim/small\"\nparams = { temperature = 0.5 }\n\
         [models.safe]\nfallback = [\"dead/x\", \"fast\"]\nmax_retries = 0\n\
         [models.quick]\nrace = [\"dead/x\", \"fast\"]\nmax_retries = 0\n\
         [models.panel]\nensemble = [\"fast\", \"fast\", \"sim/large\"]\njudge = \"safe\"\npass_reasoning = true\n\
         [models.sure]\nuse = \"dead/y\"\nrescue = \"not today\"\nmax_retries = 0\n",
    );
    let said = |name: &str| asked(&scratch, &["-m", name]);
    assert_eq!(said("safe")["antiphon"]["model"], "sim/small");
    assert_eq!(said("quick")["antiphon"]["model"], "sim/small");
    assert_eq!(said("sure")["antiphon"]["text"], "not today");
    let panel = said("panel");
    assert_eq!(panel["antiphon"]["model"], "panel");
    let members = panel["antiphon"]["members"].as_array().unwrap();
    assert_eq!(
        column(members, "/model"),
        ["sim/small", "sim/small", "sim/large"]
    );
    assert_eq!(
        panel["antiphon"]["decision"]["decider"]["model"],
        "sim/small"
    );
}

#[test]
fn answers_that_stand_in_for_others_are_counted_in_the_last_words() {
    let stub = Stub::new(500, r#"{"error":{"message":"down"}}"#);
    let scratch = Scratch::with_input(&[ROW, ROW]);
    scratch.write(
        "antiphon.toml",
        format!(
            "[providers.down]\ndialect = \"openai\"\nbase_url = \"{}\"\n\
             [models.gone]\nuse = \"down/x\"\nmax_retries = 0\n\
             [models.panel]\nensemble = [\"sim/a\", \"sim/b\"]\njudge = \"gone\"\n\
             [models.safe]\nfallback = [\"gone\"]\nrescue = \"Sorry.\"\n\
             [models.sound]\nensemble = [\"sim/a\", \"sim/b\"]\n",
            stub.url()
        ),
    );
    for (model, words) in [
        (
            "panel",
            "2 succeeded (2 with the first answer, as the decision failed), 0 failed",
        ),
        ("safe", "2 succeeded (2 with the rescue text), 0 failed"),
        ("sound", "2 succeeded, 0 failed"),
    ] {
        scratch.run(&["-m", model]).says(0, &[words]);
    }
}

#[test]
fn what_cannot_be_combined_is_refused() {
    let scratch = Scratch::with_input(&[ROW]);
    for (args, words) in [
        (&["--ensemble", "1"][..], "a number from 2 to 100"),
        (
            &["--ensemble", "3", "--samples", "2"],
            "cannot be used with",
        ),
        (&["--judge", "sim/j"], "--ensemble"),
        (
            &["--ensemble", "3", "--judge", "sim/j", "--vote", "all"],
            "cannot be used with",
        ),
        (&["--ensemble", "3", "--vote", "score"], "--schema"),
        (
            &["--ensemble", "101"],
            "'--ensemble <N>': it must be a number from 2 to 100",
        ),
        (&["--fallback", "smi/x"], "did you mean \"sim\"?"),
    ] {
        let args = [&["-m", "sim/x", "-o", "out.jsonl"], args].concat();
        scratch.run(&args).says(2, &[words]);
        assert_eq!(scratch.names(), ["in.jsonl"], "{args:?}");
    }
}

#[test]
fn another_ensemble_is_another_request_and_is_said_so() {
    let scratch = Scratch::with_input(&[ROW]);
    let args = |more: &'static [&str]| [&["-m", "sim/x", "-o", "out.jsonl"], more].concat();
    scratch.run(&args(&[])).says(0, &[]);
    let first = scratch.lines("out.jsonl").remove(0);
    scratch
        .run(&args(&["--ensemble", "2"]))
        .says(0, &["--ensemble"]);
    let second = scratch.lines("out.jsonl").remove(0);
    assert_ne!(first["id"], second["id"]);
    // back to the answer that is there
    scratch.run(&args(&[])).says(0, &["1 from earlier runs"]);
    assert_eq!(scratch.lines("out.jsonl").remove(0), first);
}
