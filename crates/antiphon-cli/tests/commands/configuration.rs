//! `antiphon.toml`, the environment over it, and `config show`.

use std::fs;

use crate::support::{Scratch, Stub, column, parsed_lines};

const ROW: &str = r#"{"prompt":"hi"}"#;

#[test]
fn default_model_configured_names_and_their_settings_hold() {
    let stub = Stub::new(500, r#"{"error":{"message":"down"}}"#);
    let scratch = Scratch::with_input(&[ROW]);
    scratch.write(
        "antiphon.toml",
        format!(
            "default_model = \"fast\"\n[providers.local]\ndialect = \"openai\"\nbase_url = \"{}\"\n\
             headers = {{ x-team = \"a\" }}\n[models.fast]\nuse = \"chained\"\nparams = {{ temperature = 0.25 }}\n\
             max_retries = 1\n[models.chained]\nuse = \"local/qwen\"\nparams = {{ temperature = 1, seed = 3 }}\n",
            stub.url()
        ),
    );
    scratch
        .run(&["-o", "out.jsonl"])
        .says(1, &["server_error 1"]);
    let lines = scratch.lines("out.jsonl");
    assert_eq!(column(&lines, "/antiphon/model"), ["local/qwen"]);
    assert_eq!(column(&lines, "/antiphon/attempts"), [2]);
    let bodies = stub.bodies();
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0]["model"], "qwen");
    assert_eq!(bodies[0]["temperature"], 0.25);
    assert_eq!(bodies[0]["seed"], 3);
    assert!(stub.requests()[0].contains("x-team: a"));
    // an unprefixed name that is not configured belongs to the provider of default_model
    let flags = ["-m", "other", "--max-retries", "0", "-o", "b.jsonl"];
    scratch.run(&flags).says(1, &[]);
    assert_eq!(stub.bodies()[2]["model"], "other");
    assert_eq!(stub.bodies().len(), 3);
}

#[test]
fn a_model_has_a_time_limit_of_its_own() {
    let scratch = Scratch::with_input(&[ROW]);
    scratch.write(
        "antiphon.toml",
        "[providers.sim]\nfail = [\"hang=1\"]\n[models.slow]\nuse = \"sim/x\"\ntimeout = \"50ms\"\nmax_retries = 0\n",
    );
    scratch.run(&["-m", "slow"]).says(1, &["timeout 1"]);
}

#[test]
fn models_that_point_at_each_other_are_refused() {
    let scratch = Scratch::with_input(&[ROW]);
    scratch.write(
        "antiphon.toml",
        "[models.a]\nuse = \"b\"\n[models.b]\nuse = \"a\"\n",
    );
    scratch
        .run(&["-m", "a"])
        .says(2, &["models point at each other: a → b → a"]);
    scratch.write("antiphon.toml", "[models.a]\nuse = \"a\"\n");
    scratch
        .run(&["-m", "a"])
        .says(2, &["models point at each other: a → a"]);
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_place() {
    let scratch = Scratch::with_input(&[ROW]);
    for (text, words) in [
        (
            "\ndefalt_model = \"x\"\n",
            ":2: unknown key `defalt_model`; did you mean `default_model`?",
        ),
        (
            "[providers.openai]\nrmp = 5\n",
            ":2: unknown key `providers.openai.rmp`; did you mean `rpm`?",
        ),
        ("[providers.openai]\nrpm = 0\n", ":2: "),
        ("[providers.openai]\nconcurrency = -1\n", ":2: "),
        (
            "[providers.sim]\nbase_url = \"http://x\"\n",
            ":2: unknown key `providers.sim.base_url`",
        ),
        (
            "[providers.sim]\nfail = [\"boom=1\"]\n",
            ":2: no fault is called `boom`",
        ),
        (
            "[providers.sim]\nfail = [\"500=0.9\", \"429=0.9\"]\n",
            "add up to 1.8",
        ),
        ("[providers.sim]\nlatency = 5\n", ":2: "),
        (
            "[providers.sim]\naccuracy = 3.0\n",
            "accuracy is 3: it goes from 0 to 1",
        ),
        (
            "[models.x]\nuze = \"a\"\n",
            ":2: unknown key `models.x.uze`; did you mean `use`?",
        ),
        ("[models.x]\ntimeout = \"1s\"\n", "a model needs `use`"),
        (
            "[models.x]\nuse = \"sim/x\"\ntimeout = \"0s\"\n",
            ":1: `timeout` is 0; no call can end in no time",
        ),
        (
            "[models.x]\nuse = \"sim/x\"\ntimeout = \"soon\"\n",
            ":3: \"soon\" is no duration",
        ),
        (
            "[models.x]\nensemble = \"sim/a\"\n",
            ":2: `models.x.ensemble`: invalid type: string \"sim/a\", expected a list",
        ),
        (
            "[models.x]\nensemble = [\"sim/a\"]\nquorum = 0\n",
            ":3: `models.x.quorum`: invalid value: integer `0`, expected a number from 1 on",
        ),
        (
            "[models.x]\nuse = \"sim/a\"\nsamples = 101\n",
            ":1: 101 answers are asked for; 100 are the most",
        ),
        (
            "[models.x]\nensemble = [\"sim/a\"]\ndecision_maker_prompt = \" \"\n",
            ":1: `decision_maker_prompt` is empty",
        ),
        (
            "[models.x]\nensemble = [\"sim/a\"]\nvote = \"all\"\ndecision_maker_temperature = 0.5\n",
            ":1: `decision_maker_temperature` has no effect on a `vote`",
        ),
        ("[models", ":1: "),
        ("models = 3\n", ":1: "),
    ] {
        scratch.write("antiphon.toml", text);
        for command in [&["run", "in.jsonl", "-m", "sim/x"][..], &["config", "show"]] {
            scratch.antiphon(command).says(2, &["antiphon.toml", words]);
        }
    }
}

#[test]
fn the_simulated_provider_obeys_its_settings() {
    let scratch = Scratch::with_input(&[r#"{"prompt":"What is 2+2?"}"#]);
    let texts = |settings: &str| -> String {
        crate::support::sim_config(&scratch, settings);
        let ran = scratch.run(&["-m", "sim/x"]);
        ran.says(0, &[]);
        parsed_lines(&ran.out)[0]["antiphon"]["text"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(texts("accuracy = 1.0").contains("The answer is 4"));
    assert!(!texts("accuracy = 0.0").contains("The answer is 4"));
    scratch.write("in.jsonl", r#"{"prompt":"tell me"}"#);
    assert_ne!(texts("seed = 1"), texts("seed = 2"));
    assert_eq!(
        texts("seed = 1"),
        texts("seed = 1\njitter = 0.5\ntail = 0.1\nlatency = \"1ms\"")
    );
}

#[test]
fn the_file_is_found_named_and_layered() {
    let scratch = Scratch::with_input(&[ROW]);
    fs::create_dir_all(scratch.path(".config/antiphon")).unwrap();
    scratch.write(
        ".config/antiphon/antiphon.toml",
        "default_model = \"sim/user\"\n[providers.openai]\nrpm = 1\ntpm = 2\n",
    );
    scratch.write("named.toml", "default_model = \"sim/named\"\n");
    let model = |env: &[(&str, &str)], args: &[&str]| {
        let ran = scratch.antiphon_with(env, &[&["run", "in.jsonl"], args].concat());
        ran.says(0, &[]);
        parsed_lines(&ran.out)[0]["antiphon"]["model"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(model(&[], &[]), "sim/user");
    scratch.write(
        "antiphon.toml",
        "default_model = \"sim/local\"\n[providers.openai]\nrpm = 9\n",
    );
    assert_eq!(model(&[], &[]), "sim/local");
    assert_eq!(
        model(&[("ANTIPHON_CONFIG", "named.toml")], &[]),
        "sim/named"
    );
    assert_eq!(
        model(
            &[("ANTIPHON_CONFIG", "nope.toml")],
            &["--config", "named.toml"]
        ),
        "sim/named"
    );
    for ran in [
        scratch.run(&["--config", "nope.toml"]),
        scratch.antiphon_with(&[("ANTIPHON_CONFIG", "nope.toml")], &["config", "show"]),
    ] {
        ran.says(2, &["cannot read nope.toml"]);
    }
    let shown = scratch.antiphon(&["config", "show"]).out;
    let line = |key: &str| {
        shown
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap_or("")
    };
    assert!(line("providers.openai.rpm").contains("= 9  # "), "{shown}");
    assert!(
        line("providers.openai.rpm").ends_with("/antiphon.toml:3"),
        "{shown}"
    );
    assert!(
        line("providers.openai.tpm").ends_with("/.config/antiphon/antiphon.toml:4"),
        "{shown}"
    );
}

#[test]
fn config_show_tells_values_and_where_they_come_from() {
    let scratch = Scratch::new();
    let shown = scratch.antiphon(&["config", "show"]);
    shown.says(0, &[]);
    assert!(
        shown
            .out
            .contains("\"https://api.openai.com/v1\"  # built in"),
        "{}",
        shown.out
    );
    assert!(
        shown.out.contains("\"(not set)\"  # OPENAI_API_KEY"),
        "{}",
        shown.out
    );
    scratch.write(
        "antiphon.toml",
        "[providers.openai]\nbase_url = \"http://10.0.0.1/v1\"\napi_key_env = \"MY_KEY\"\n\
         headers = { Authorization = \"Bearer s3cret\" }\n[providers.old]\nbase_url = \"http://me:s3cret@h/v1\"\n",
    );
    let env = [
        ("OPENAI_BASE_URL", "http://10.0.0.2/v1"),
        ("MY_KEY", "s3cret"),
    ];
    let shown = scratch.antiphon_with(&env, &["config", "show", "--json"]);
    shown.says(0, &[]);
    let values = parsed_lines(&shown.out).remove(0);
    let of = |key: &str| {
        let mut all = values.as_array().unwrap().iter();
        let found = all.find(|value| value["key"] == key).unwrap();
        (
            found["value"].as_str().unwrap().to_owned(),
            found["from"].as_str().unwrap().to_owned(),
        )
    };
    let openai = |field: &str| of(&format!("providers.openai.{field}"));
    assert_eq!(
        openai("base_url"),
        ("\"http://10.0.0.2/v1\"".into(), "OPENAI_BASE_URL".into())
    );
    assert_eq!(openai("api_key"), ("\"(set)\"".into(), "MY_KEY".into()));
    assert_eq!(openai("headers.Authorization").0, "\"(hidden)\"");
    assert_eq!(of("providers.old.base_url").0, "\"(hidden)\"");
    assert!(!shown.out.contains("s3cret"), "{}", shown.out);
}
