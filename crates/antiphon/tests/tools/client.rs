//! Every tool, answered by the client's own model.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use crate::support::{Client, bare_tools, documents, examples, heard, tools_of, used};

#[tokio::test]
async fn without_a_configuration_the_clients_model_answers_and_what_it_cost_is_unknown() {
    let tools = bare_tools();
    for (name, arguments) in examples() {
        let client = Arc::new(Client::new());
        let result = used(&tools, name, arguments, client.call()).await.unwrap();
        for unknown in ["usage", "cost_usd", "energy_kwh", "gwp_kgco2eq"] {
            assert_eq!(result[unknown], Value::Null, "{name}: {unknown}");
        }
        assert_eq!(result["calls"], client.asked().len(), "{name}");
        let expected = match name {
            "ask" => "a-model",
            _ => "client",
        };
        assert_eq!(result["model"], expected, "{name}");
        for member in result["members"].as_array().into_iter().flatten() {
            assert_eq!(member["cost_usd"], Value::Null);
            assert_eq!(member["model"], "a-model");
        }
    }
}

#[tokio::test]
async fn the_clients_model_is_asked_by_name_too() {
    let tools = tools_of("", Some("sim/demo"));
    let client = Arc::new(Client::new());
    let ask = json!({"prompt": "Why?", "model": "client"});
    let result = used(&tools, "ask", ask, client.call()).await.unwrap();
    assert_eq!(result["model"], "a-model");
    let ask = json!({"prompt": "Why?"});
    let result = used(&tools, "ask", ask, client.call()).await.unwrap();
    assert_eq!(result["model"], "sim/demo");
    assert_eq!(client.asked().len(), 1);
}

#[tokio::test]
async fn equal_arguments_ask_equal_questions() {
    let tools = bare_tools();
    for (name, arguments) in examples() {
        let mut asked = Vec::new();
        for _ in 0..2 {
            let client = Arc::new(Client::new());
            let used = used(&tools, name, arguments.clone(), client.call()).await;
            used.unwrap();
            let mut questions = client.asked();
            questions.sort();
            asked.push(questions);
        }
        assert_eq!(asked[0], asked[1], "{name}");
        let mut distinct = asked[0].clone();
        distinct.dedup();
        assert_eq!(distinct.len(), asked[0].len(), "{name}: each is told apart");
    }
}

#[tokio::test]
async fn nothing_stands_between_a_tool_and_the_clients_queue() {
    let tools = bare_tools();
    for (name, more) in [
        ("analyze_documents", json!({"kind": "summary"})),
        ("map_reduce", json!({"map": "m", "reduce": "r"})),
        ("review", json!({"question": "q"})),
    ] {
        let mut arguments = more;
        arguments["documents"] = documents(200);
        let client = Arc::new(Client::new());
        used(&tools, name, arguments, client.call()).await.unwrap();
        assert_eq!(client.peak(), 200, "{name}");
    }
    let client = Arc::new(Client::new());
    let arguments = json!({"prompt": "Why?", "n": 64});
    used(&tools, "ensemble", arguments, client.call())
        .await
        .unwrap();
    assert_eq!(client.peak(), 64);
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_nothing_behind() {
    let tools = bare_tools();
    for (name, arguments) in examples() {
        let client = Arc::new(Client::new().silent());
        let using = used(&tools, name, arguments, client.call());
        let ended = tokio::time::timeout(Duration::from_millis(20), using).await;
        assert!(ended.is_err(), "{name}");
        let asked = client.asked().len();
        assert!(asked > 0, "{name}");
        tokio::task::yield_now().await;
        assert_eq!(
            (client.in_flight(), client.asked().len()),
            (0, asked),
            "{name}"
        );
    }
}

#[tokio::test]
async fn progress_goes_up_to_its_end() {
    let tools = bare_tools();
    for (name, arguments) in examples() {
        if name == "ask" {
            continue;
        }
        let client = Arc::new(Client::new());
        let (call, mut steps) = heard(client.call());
        used(&tools, name, arguments.clone(), call).await.unwrap();
        let steps = steps();
        let asked = client.asked().len() as u64;
        let total = steps.last().unwrap().1;
        assert!(
            steps.iter().all(|step| step.1 == total),
            "{name} {arguments}: {steps:?}"
        );
        let done: Vec<u64> = steps.iter().map(|step| step.0).collect();
        let counted: Vec<u64> = (1..=asked).collect();
        assert_eq!(done[..counted.len()], counted, "{name} {arguments}");
        assert_eq!(done.last().copied(), total, "{name} {arguments}");
        let foreseen = match arguments["decider"] == "vote" {
            // some may not be waited for
            true => arguments["n"].as_u64(),
            false => Some(asked),
        };
        assert_eq!(total, foreseen, "{name} {arguments}");
    }
}

#[tokio::test]
async fn votes_are_counted_and_told() {
    let tools = bare_tools();
    let client = Arc::new(Client::new().saying("Which?", "Berlin"));
    let arguments = json!({"prompt": "Which?", "n": 3, "decider": "vote"});
    let result = used(&tools, "ensemble", arguments, client.call())
        .await
        .unwrap();
    assert_eq!(result["text"], "Berlin");
    let decision = &result["decision"];
    assert_eq!(
        (&decision["by"], &decision["agreement"]),
        (&"vote".into(), &Value::Null)
    );
    let votes = &decision["votes"][0];
    assert_eq!(votes["text"], "Berlin");
    let saved = decision["calls_saved"].as_u64().unwrap();
    assert_eq!(votes["votes"].as_u64().unwrap() + saved, 3);
    let schema = json!({
        "type": "object", "required": ["score"],
        "properties": {"score": {"type": "integer"}},
    });
    let client = Arc::new(Client::new().saying("Which?", "{\"score\": 7}"));
    let arguments = json!({"prompt": "Which?", "n": 3, "decider": "vote", "schema": schema});
    let result = used(&tools, "ensemble", arguments, client.call())
        .await
        .unwrap();
    assert_eq!(result["parsed"], json!({"score": 7}));
    let agreement = &result["decision"]["agreement"];
    assert_eq!(*agreement, json!([{"field": "/score", "share": 1.0}]));
}

#[tokio::test]
async fn findings_stand_with_their_documents() {
    let said = json!({
        "answer": "Both, but differently.",
        "findings": [
            {"document": "doc-1", "finding": "It is one."},
            {"document": "doc-9", "finding": "There is no such document."},
        ],
    });
    let client = Client::new().saying("under its id", &said.to_string());
    let client = Arc::new(client);
    let arguments = json!({"documents": documents(2), "question": "Which?"});
    let tools = bare_tools();
    let result = used(&tools, "review", arguments, client.call())
        .await
        .unwrap();
    assert_eq!(result["answer"], "Both, but differently.");
    assert_eq!(result["documents"][0]["finding"], Value::Null);
    assert_eq!(result["documents"][1]["finding"], "It is one.");
    assert!(result["documents"][0]["summary"].is_string());
    assert!(client.asked().iter().all(|asked| asked.contains("Which?")));
}
