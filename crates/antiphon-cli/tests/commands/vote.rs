//! `antiphon vote`.

use serde_json::{Value, json};

use crate::{
    scripted::{Scripted, shown_on_a_terminal},
    support::{Ran, Scratch, Stub},
};

/// Voters whose names say what they vote for, `yes-0.9`; any other fails.
fn polling_station() -> Scripted {
    Scripted::new(
        |body, line| match body["model"].as_str().unwrap().split_once('-') {
            Some((category, confidence)) => {
                line.say(&format!(
                    "{{\"category\":\"{category}\",\"confidence\":{confidence}}}"
                ));
            }
            None => line.fail(400, "I do not vote"),
        },
    )
}

fn vote(voters: &[&str], more: &[&str]) -> (Ran, Scripted) {
    let server = polling_station();
    let mut args = vec![
        "vote",
        "is it so?",
        "--choices",
        "yes, no",
        "--base-url",
        server.url(),
    ];
    voters.iter().for_each(|voter| args.extend(["-m", voter]));
    let ran = Scratch::new().antiphon(&[&args[..], more].concat());
    (ran, server)
}

#[test]
fn the_winner_alone_is_on_stdout_and_the_counts_are_told() {
    let (ran, _server) = vote(&["no-0.6", "yes-0.9", "no-0.8"], &["--all"]);
    ran.says(
        0,
        &[
            "yes 1 vote · no 2 votes · confidence 0.70",
            "3 attempts · 3 tokens in, 6 out",
        ],
    );
    assert_eq!(ran.out, "no\n");
    let (ran, _server) = vote(&["no-0.6", "yes-0.9", "no-0.8"], &["--all", "-q"]);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("no\n", ""));
}

#[test]
fn confidence_can_outweigh_numbers() {
    let (ran, _server) = vote(&["no-0.3", "yes-0.9", "no-0.4"], &["--all", "--weighted"]);
    ran.says(0, &["yes 1 vote weighing 0.90 · no 2 votes weighing 0.70"]);
    assert_eq!(ran.out, "yes\n");
}

#[test]
fn of_equals_the_voter_named_first_decides() {
    for (voters, winner) in [(["no-1", "yes-0.5"], "no"), (["yes-0.5", "no-1"], "yes")] {
        let (ran, _server) = vote(&voters, &["--all"]);
        ran.says(0, &[&format!("a tie: the voter named first said {winner}")]);
        assert_eq!(ran.out, format!("{winner}\n"));
    }
}

#[test]
fn samples_are_calls_of_one_model_and_certain_outcomes_save_calls() {
    let (ran, server) = vote(
        &["yes-1"],
        &["--samples", "3", "--all", "--system", "think"],
    );
    ran.says(0, &["yes 3 votes"]);
    let bodies = server.bodies();
    assert_eq!(bodies.len(), 3);
    let format = &bodies[0]["response_format"]["json_schema"]["schema"];
    assert_eq!(
        format["properties"]["category"]["enum"],
        json!(["yes", "no"])
    );
    assert_eq!(bodies[0]["messages"][0]["content"], "think");

    let (ran, _server) = vote(&["yes-1"], &["--samples", "9", "--json"]);
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    let saved = told["vote"]["calls_saved"].as_u64().unwrap();
    assert!((1..=4).contains(&saved), "{told}");
    let cancelled = told["ballots"].as_array().unwrap().iter();
    let cancelled = cancelled.filter(|ballot| ballot["error"]["code"] == "cancelled");
    assert_eq!(cancelled.count() as u64, saved);
}

#[test]
fn a_voter_who_fails_abstains_and_a_quorum_may_be_missed() {
    let voters = ["yes-1", "broken", "yes-0.5"];
    let (ran, _server) = vote(&voters, &["--all"]);
    ran.says(0, &["broken abstained: bad_request: I do not vote"]);
    assert_eq!(ran.out, "yes\n");

    let (ran, _server) = vote(&voters, &["--quorum", "3"]);
    ran.says(1, &["error: no winner: ", " cast, and the quorum is 3"]);
    assert_eq!(ran.out, "");

    let (ran, _server) = vote(&voters, &["--all", "--json"]);
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    let usage = json!({"input_tokens": 1, "output_tokens": 2, "cached_input_tokens": 0, "reasoning_tokens": 0});
    let error = json!({"code": "bad_request", "message": "I do not vote"});
    let nothing = json!({"min": 0.0, "max": 0.0});
    let ballots = json!([
        {"model": "yes-1", "category": "yes", "confidence": 1.0, "usage": usage, "cost_usd": null, "energy_kwh": null, "gwp_kgco2eq": null, "error": null},
        {"model": "broken", "category": null, "confidence": null, "usage": null, "cost_usd": 0.0, "energy_kwh": nothing, "gwp_kgco2eq": nothing, "error": error},
        {"model": "yes-0.5", "category": "yes", "confidence": 0.5, "usage": usage, "cost_usd": null, "energy_kwh": null, "gwp_kgco2eq": null, "error": null},
    ]);
    assert_eq!(told["ballots"], ballots);
    assert_eq!(
        (&told["vote"]["winner"], &told["vote"]["abstentions"]),
        (&json!("yes"), &json!(1))
    );
    assert_eq!(
        (&told["cost_usd"], &told["error"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn a_vote_tells_its_energy_where_it_is_known() {
    let ask = ["vote", "Spam?", "--choices", "spam,ham", "--zone", "FRA"];
    let vote = |args: &[&str]| Scratch::new().antiphon(&[&ask[..], args].concat());
    let known = vote(&["-m", "sim/gpt-4o"]);
    known.says(0, &["Wh, ", " CO2eq"]);
    let unknown = vote(&["-m", "sim/demo"]);
    assert!(!unknown.err.contains("CO2eq"), "{}", unknown.err);
    let told = vote(&["-m", "sim/gpt-4o", "--json"]).out;
    let told: Value = serde_json::from_str(&told).unwrap();
    for place in ["", "/ballots/0"] {
        for range in ["energy_kwh", "gwp_kgco2eq"] {
            let most = told.pointer(&format!("{place}/{range}/max")).unwrap();
            assert!(most.as_f64().unwrap() > 0.0, "{told}");
        }
    }
}

#[test]
fn without_any_vote_each_cause_is_told() {
    let (ran, _server) = vote(&["broken", "silent"], &[]);
    ran.says(
        1,
        &[
            "error: ",
            "broken: bad_request: I do not vote",
            "silent: bad_request",
        ],
    );
    let (ran, _server) = vote(&["broken", "silent"], &["--json"]);
    ran.says(1, &[]);
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&told["vote"], &told["error"]["code"]),
        (&Value::Null, &json!("bad_request"))
    );
}

#[test]
fn a_vote_that_cannot_be_held_is_refused_before_anything_is_sent() {
    let stub = Stub::saying("never");
    let scratch = Scratch::new();
    let there = ["vote", "x", "-m", "m", "--base-url", stub.url()];
    for (more, words) in [
        (
            &["--choices", "a,b,a"][..],
            "the category `a` is listed twice",
        ),
        (
            &["--choices", "a, b,b "],
            "the category `b` is listed twice",
        ),
        (&["--choices", "a,,b"], "--choices a,,b: a choice is empty"),
        (&["--choices", ""], "a choice is empty"),
        (&["--choices", "a"], "a vote needs at least two choices"),
        (&["--choices", "a,b", "--samples", "0"], "--samples"),
        (&["--choices", "a,b", "--samples", "100000"], "--samples"),
        (&["--choices", "a,b", "--quorum", "0"], "--quorum"),
        (
            &["--choices", "a,b", "--quorum", "2"],
            "a quorum of 2 cannot be reached",
        ),
        (
            &["--choices", "a,b", "--param", "response_format={}"],
            "the choices say which shape",
        ),
        (&[], "--choices <A,B>"),
    ] {
        scratch
            .antiphon(&[&there[..], more].concat())
            .says(2, &[words]);
    }
    scratch
        .antiphon(&["vote", "x", "--choices", "a,b"])
        .says(2, &["no model is named"]);
    assert_eq!(stub.requests().len(), 0);
}

#[test]
fn the_winner_cannot_drive_the_terminal() {
    let server =
        Scripted::new(|_, line| line.say("{\"category\":\"a\\u001b[2J\",\"confidence\":1}"));
    let args = [
        "vote",
        "x",
        "-m",
        "m",
        "--base-url",
        server.url(),
        "--choices",
        "a\u{1b}[2J,b",
    ];
    assert_eq!(shown_on_a_terminal(&Scratch::new(), &args), "a\\u{1b}[2J\n");
}
