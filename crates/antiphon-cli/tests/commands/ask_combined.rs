//! `antiphon ask` of models that are made of others: what stands behind an answer.

use serde_json::{Value, json};

use crate::support::{Scratch, Stub};

/// A configuration with these models, and with `gone`, whose server fails.
fn scratch(models: &str) -> Scratch {
    let scratch = Scratch::new();
    let server = Stub::new(500, r#"{"error":{"message":"down"}}"#);
    let gone = format!(
        "[providers.dead]\ndialect = \"openai\"\nbase_url = \"{}\"\n\
         [models.gone]\nuse = \"dead/x\"\nmax_retries = 0\n",
        server.url()
    );
    scratch.write("antiphon.toml", gone + models);
    scratch
}

fn asked(scratch: &Scratch, model: &str) -> Value {
    let ran = scratch.antiphon(&["ask", "What is 17 + 25?", "--json", "-m", model]);
    ran.says(0, &[]);
    let mut told: Value = serde_json::from_str(&ran.out).unwrap();
    told["answers"][0].take()
}

#[test]
fn json_tells_the_members_of_an_ensemble_and_its_decision() {
    let scratch = scratch("[models.panel]\nensemble = [\"sim/a\", \"gone\"]\njudge = \"sim/c\"\n");
    let answer = asked(&scratch, "panel");
    assert_eq!(answer["members"][0]["model"], "sim/a");
    assert_eq!(answer["members"][0]["text"], answer["text"]);
    assert_eq!(answer["members"][1]["error"]["code"], "server_error");
    assert_eq!(answer["decision"]["from"], json!([0]));

    let plain = asked(&scratch, "sim/a");
    assert_eq!(
        (&plain["members"], &plain["decision"]),
        (&Value::Null, &Value::Null)
    );
    let fields = |answer: &Value| {
        answer
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(fields(&plain), fields(&answer));
}

#[test]
fn the_facts_tell_who_decided_and_who_failed() {
    let models = "[models.panel]\nensemble = [\"sim/a\", \"gone\", \"sim/b\"]\njudge = \"sim/c\"\n";
    let ran = scratch(models).antiphon(&["ask", "What is 17 + 25?", "-m", "panel"]);
    ran.says(
        0,
        &[
            "panel · ",
            " · the judge's choice of 2 answers, 1 of 3 members failed\n",
        ],
    );
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
}

#[test]
fn an_answer_that_nobody_decided_on_says_so() {
    let models = "[models.panel]\nensemble = [\"sim/a\", \"sim/b\"]\njudge = \"gone\"\n";
    for stream in [&[][..], &["--stream"]] {
        let args = [&["ask", "What is 17 + 25?", "-m", "panel"], stream].concat();
        let ran = scratch(models).antiphon(&args);
        ran.says(
            0,
            &[
                "panel: the decision (judge) failed: server_error: ",
                "member 0 was taken",
            ],
        );
    }
}

#[test]
fn a_rescue_text_is_not_taken_for_an_answer() {
    let models = "[models.safe]\nfallback = [\"gone\", \"gone\"]\nrescue = \"Sorry.\"\n";
    let scratch = scratch(models);
    let ran = scratch.antiphon(&["ask", "x", "-m", "safe"]);
    ran.says(
        0,
        &["safe: the answer is its rescue text: all 2 links of the chain failed: dead/x: "],
    );
    assert_eq!(ran.out, "Sorry.\n");
    // each link is told, and none of them twice
    assert_eq!(ran.err.matches("all ").count(), 1, "{}", ran.err);
    let answer = asked(&scratch, "safe");
    let members = answer["members"].as_array().unwrap();
    let models: Vec<&Value> = members.iter().map(|member| &member["model"]).collect();
    assert_eq!(models, ["dead/x", "dead/x"]);
}

#[test]
fn a_name_with_line_breaks_stays_on_its_line() {
    let ran = Scratch::new().antiphon(&["ask", "x", "-m", "sim/a\n==> sim/b <==", "-m", "sim/c"]);
    ran.says(0, &["sim/a\\n==> sim/b <== · "]);
    assert_eq!(
        ran.out.lines().next(),
        Some("==> sim/a\\n==> sim/b <== <==")
    );
}
