//! `antiphon models`.

use serde_json::Value;

use crate::support::Scratch;

const MINE: &str = r#"{"schema": 1, "as_of": "2020-01-01", "sources": [{"name": "our contract"}], "models": [
  {"provider": "p", "model": "m", "aliases": ["n"], "context_window": 8000, "prices": [
    {"usd_per_mtok": {"input": 1, "output": 2.5}, "tiers": [{"above": 4000, "usd_per_mtok": {"input": 2}}],
     "batch": {"usd_per_mtok": {"input": 0.5, "output": 1.25}}},
    {"from": "2020-02-01", "hours": ["22:00", "06:00"], "usd_per_mtok": {"input": 0.25, "output": 1}}]}]}"#;

#[test]
fn models_are_listed_with_what_is_known_of_them() {
    let scratch = Scratch::new();
    let all = scratch.antiphon(&["models"]);
    all.says(0, &["as of 2026-11-20 from genai-prices 0.2.3"]);
    assert!(all.out.lines().count() > 100);
    assert!(all.out.lines().all(|line| line.len() <= 80));
    for asked in ["gpt-4o-mini-2099-01-01", "openai/gpt-4o-mini-2099-01-01"] {
        let one = scratch.antiphon(&["models", asked]);
        one.says(0, &[]);
        assert!(one.out.contains("  gpt-4o-mini 0.15"), "{}", one.out);
        assert!(
            one.out
                .contains("  in batches: in 0.075, cached 0.075, out 0.3\n")
        );
        assert!(
            one.out
                .contains("source: genai-prices, 2026-11-20\n1000 tokens of output in USA: ")
        );
    }
    let own = scratch
        .antiphon(&["models", "gemma-4-31b-it", "--json"])
        .out;
    let own: Value = serde_json::from_str(&own).unwrap();
    let model = &own["models"][0];
    assert_eq!(model["prices_now"], Value::Null);
    assert!(model["estimate"]["per_1000_output_tokens"]["energy_kwh"]["min"].is_number());
    let several = scratch.antiphon(&["models", "openai/gpt-5.4"]).out;
    for name in [
        "gpt-5.4 ",
        "gpt-5.4-pro ",
        "above 272k tokens of input: in 5,",
    ] {
        assert!(several.contains(name), "{several}");
    }
}

#[test]
fn an_unknown_model_is_told_with_the_nearest() {
    let scratch = Scratch::new();
    let near = scratch.antiphon(&["models", "gtp-4o"]);
    near.says(
        1,
        &[r#"no model is known as "gtp-4o"; did you mean "gpt-4o"?"#],
    );
    assert_eq!(near.out, "");
    let far = scratch.antiphon(&["models", "qqqqqqqqqq"]);
    far.says(1, &["`antiphon models` lists all"]);
    scratch
        .antiphon(&["models", "gpt-5-pro-max"])
        .says(1, &["gpt-5-pro"]);
}

#[test]
fn a_catalogue_of_the_users_replaces_the_built_in_one() {
    let scratch = Scratch::new();
    scratch.write("mine.json", MINE);
    let table = scratch.antiphon(&["models", "p/", "--catalog", "mine.json"]);
    table.says(
        0,
        &[
            "as of 2020-01-01 from our contract",
            "more than 30 days ago",
        ],
    );
    assert!(table.out.starts_with("p "), "{}", table.out);
    let one = scratch.antiphon(&["models", "p/n", "--catalog", "mine.json"]);
    for words in [
        "else: in 1, out 2.5\n  above 4k tokens of input: in 2\n  in batches: in 0.5, out 1.25\n",
        "from 2020-02-01 on, 22:00 to 06:00 UTC: in 0.25, out 1\n",
        "source: our contract, 2020-01-01\n",
    ] {
        assert!(one.out.contains(words), "{}", one.out);
    }
    // what is printed can be changed and used
    let json = scratch.antiphon(&["models", "p/m", "--catalog", "mine.json", "--json"]);
    let printed: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        printed["models"][0]["prices"][0]["usd_per_mtok"]["output"],
        2.5
    );
    assert_eq!(printed["models"][0]["retired"], false);
    scratch.write("again.json", &json.out);
    let again = scratch.antiphon(&["models", "p/m", "--catalog", "again.json", "--json"]);
    assert_eq!(again.out, json.out);
    scratch.write("antiphon.toml", "catalog = \"mine.json\"\n");
    let configured = scratch.antiphon(&["models", "p/m", "--json"]);
    assert_eq!(configured.out, json.out);
}

#[test]
fn prices_of_the_configuration_are_listed_with_their_place() {
    let scratch = Scratch::new();
    let own =
        "[prices.\"local/qwen\"]\ninput = 0\noutput = 0\n[prices.\"openai/gpt-4o\"]\ninput = 2\n";
    scratch.write("antiphon.toml", own);
    let local = scratch.antiphon(&["models", "qwen"]).out;
    assert!(
        local.contains("qwen  0      -     -   0      -  "),
        "{local}"
    );
    assert!(local.contains("Wh  source\n"), "{local}");
    let gpt = scratch.antiphon(&["models", "openai/gpt-4o"]).out;
    assert!(gpt.contains(" retires, source\n"), "{gpt}");
    let gpt = scratch
        .antiphon(&["models", "gpt-4o-2024-11-20", "--json"])
        .out;
    let gpt: Value = serde_json::from_str(&gpt).unwrap();
    let now = &gpt["models"][0]["prices_now"]["usd_per_mtok"];
    assert_eq!((&now["input"], &now["output"]), (&2.0.into(), &10.0.into()));
}

#[test]
fn bad_prices_are_refused_and_say_where() {
    let scratch = Scratch::new();
    scratch.write("bad.json", MINE.replace("2.5", "-2.5"));
    let bad = scratch.antiphon(&["models", "--catalog", "bad.json"]);
    bad.says(
        2,
        &["bad.json: model 1, p/m: -2.5 is no price: it is negative"],
    );
    let none = scratch.antiphon(&["models", "--catalog", "none.json"]);
    none.says(2, &["cannot read the catalogue none.json"]);
    scratch.write(
        "antiphon.toml",
        "[prices.\"a/b\"]\ninput = 1\noutput = -1\n",
    );
    let negative = scratch.antiphon(&["models"]);
    negative.says(
        2,
        &["antiphon.toml:3: `prices.a/b.output`: -1 is no price: it is negative"],
    );
}

#[test]
fn answers_cost_what_the_user_has_said() {
    let scratch = Scratch::with_input(&[r#"{"prompt":"hi"}"#]);
    scratch.write(
        "antiphon.toml",
        "[prices.\"sim/mine\"]\ninput = 1000000\noutput = 0\n",
    );
    let dollars = |args: &[&str], path: &str| {
        let ran = scratch.run(&[args, &["--fresh", "-o", "out.jsonl"]].concat());
        ran.says(0, &[]);
        scratch.lines("out.jsonl")[0]
            .pointer(path)
            .cloned()
            .unwrap()
    };
    let used = dollars(&["-m", "sim/mine"], "/antiphon/usage/input_tokens");
    let cost = dollars(&["-m", "sim/mine"], "/antiphon/cost_usd");
    assert_eq!(cost.as_f64(), used.as_f64());
    assert_eq!(
        dollars(&["-m", "sim/other"], "/antiphon/cost_usd"),
        Value::Null
    );
    scratch.write(
        "mine.json",
        MINE.replace("\"provider\": \"p\"", "\"provider\": \"sim\""),
    );
    let cost = dollars(
        &["-m", "sim/n", "--catalog", "mine.json"],
        "/antiphon/cost_usd",
    );
    assert!(cost.as_f64().unwrap() > 0.0);
    for command in [&["run", "in.jsonl"][..], &["ask", "hi"]] {
        let args = [command, &["-m", "sim/mine", "--catalog", "none.json"]].concat();
        let ran = scratch.antiphon(&args);
        ran.says(2, &["cannot read the catalogue none.json"]);
        assert_eq!(ran.out, "");
    }
}
