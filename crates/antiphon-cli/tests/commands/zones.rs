//! The zone of estimates: what is refused, and that it changes no request.

use crate::support::{Scratch, Stub};

const ROW: &str = r#"{"prompt":"hi"}"#;

#[test]
fn an_unknown_zone_is_refused_by_every_command_that_asks_models() {
    let scratch = Scratch::with_input(&[r#"{"id":"a","prompt":"hi","text":"hi"}"#]);
    for command in [
        &["run", "in.jsonl"][..],
        &["analyze", "in.jsonl", "--summary"],
        &["compare", "in.jsonl", "--prompt", "a", "--prompt", "b"],
        &["map-reduce", "in.jsonl"],
        &["ask", "hi"],
        &["vote", "hi", "--choices", "a,b"],
        &["review", "in.jsonl"],
    ] {
        let args = [command, &["-m", "sim/x", "--zone", "FRX"]].concat();
        let ran = scratch.antiphon(&args);
        let words = "no zone is called \"FRX\"; nearest are FRA (France)";
        assert_eq!(ran.says(2, &["--zone", words]).out, "", "{command:?}");
        let known = [command, &["-m", "sim/x", "--zone", "fr"]].concat();
        let ran = scratch.antiphon(&known);
        assert_ne!(ran.code, 2, "{command:?}: {ran:?}");
    }
}

#[test]
fn an_unknown_zone_of_a_file_is_told_with_its_place() {
    let scratch = Scratch::with_input(&[ROW]);
    for (text, words) in [
        (
            "[providers.openai]\nrpm = 5\nzone = \"Germny\"\n",
            "antiphon.toml:3: no zone is called \"Germny\"; nearest are DEU (Germany)",
        ),
        (
            "[providers.sim]\nzone = \"\"\n",
            "antiphon.toml:2: no zone is called \"\"; write FRA, USA or WOR",
        ),
        (
            "[providers.sim]\nzone = 5\n",
            "antiphon.toml:2: `providers.sim.zone`: invalid type",
        ),
        (
            "[providers.openai]\nzome = \"FRA\"\n",
            "antiphon.toml:2: unknown key `providers.openai.zome`; did you mean `zone`?",
        ),
    ] {
        scratch.write("antiphon.toml", text);
        assert_eq!(scratch.run(&["-m", "sim/x"]).says(2, &[words]).out, "");
    }
}

#[test]
fn another_zone_asks_for_nothing_again() {
    let stub = Stub::saying("hello");
    let scratch = Scratch::with_input(&[ROW]);
    let run = |zone: &str| {
        let url = stub.url();
        let ran = scratch.run(&[
            "--base-url",
            url,
            "-m",
            "x",
            "-o",
            "out.jsonl",
            "--zone",
            zone,
        ]);
        ran.says(0, &[]);
        scratch.read("out.jsonl")
    };
    let before = run("FRA");
    assert_eq!(run("POL"), before);
    scratch.write("antiphon.toml", "[providers.openai]\nzone = \"SWE\"\n");
    assert_eq!(run("NOR"), before);
    assert_eq!(stub.requests().len(), 1);
}
