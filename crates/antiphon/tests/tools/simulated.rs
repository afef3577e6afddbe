//! Every tool, answered by the simulated provider.

use serde_json::{Value, json};

use crate::support::{documents, examples, tools_of, used, without_model};

#[tokio::test]
async fn every_tool_works_without_a_clients_model() {
    let tools = tools_of("", Some("sim/demo"));
    for (name, arguments) in examples() {
        let result = used(&tools, name, arguments.clone(), without_model()).await;
        let result = result.unwrap_or_else(|error| panic!("{name} {arguments}: {error}"));
        assert_eq!(result["model"], "sim/demo", "{name}");
        assert!(result["calls"].as_u64().unwrap() > 0, "{name}");
        let tokens = &result["usage"]["output_tokens"];
        assert!(tokens.as_u64().unwrap() > 0, "{name}");
    }
}

#[tokio::test]
async fn calls_are_counted_as_the_tools_promise() {
    let tools = tools_of("", Some("sim/demo"));
    for (name, arguments, calls) in [
        ("ask", json!({"prompt": "Why?"}), 1),
        ("ensemble", json!({"prompt": "Why?", "n": 3}), 4),
        ("ensemble", json!({"prompt": "Why?", "n": 1}), 1),
        (
            "map_reduce",
            json!({"documents": documents(12), "map": "m", "reduce": "r"}),
            12 + 2 + 1,
        ),
        (
            "map_reduce",
            json!({"documents": documents(1), "map": "m", "reduce": "r"}),
            1,
        ),
        (
            "analyze_documents",
            json!({"documents": documents(7), "kind": "summary"}),
            7,
        ),
        (
            "review",
            json!({"documents": documents(32), "question": "q"}),
            32 + 1,
        ),
        (
            "review",
            json!({"documents": documents(33), "question": "q"}),
            33 + 2 + 1,
        ),
    ] {
        let result = used(&tools, name, arguments, without_model())
            .await
            .unwrap();
        assert_eq!(result["calls"], calls, "{name}");
    }
}

#[tokio::test]
async fn what_is_known_of_cost_and_energy_is_told() {
    // simulated models are known as those that they are named after
    let tools = tools_of("", Some("sim/gpt-4o-mini"));
    for (name, arguments) in examples() {
        let result = used(&tools, name, arguments, without_model())
            .await
            .unwrap();
        let usage = &result["usage"];
        let price = usage["input_tokens"].as_f64().unwrap() * 0.15e-6
            + usage["output_tokens"].as_f64().unwrap() * 0.6e-6;
        let cost = result["cost_usd"].as_f64().unwrap();
        assert!((cost - price).abs() < 1e-12, "{name}: {cost} {price}");
    }
    let tools = tools_of("", Some("sim/nobody-knows-it"));
    let ask = json!({"prompt": "Why?"});
    let result = used(&tools, "ask", ask, without_model()).await.unwrap();
    assert_eq!(result["cost_usd"], Value::Null);
    assert_eq!(result["energy_kwh"], Value::Null);
}

#[tokio::test]
async fn documents_keep_their_order_and_their_ids() {
    let tools = tools_of(
        "[providers.sim]\nlatency = \"20ms\"\njitter = 0.9",
        Some("sim/demo"),
    );
    for (name, more) in [
        ("analyze_documents", json!({"kind": "sentiment"})),
        ("map_reduce", json!({"map": "m", "reduce": "r"})),
        ("review", json!({"question": "q"})),
    ] {
        let mut arguments = more;
        arguments["documents"] = documents(20);
        let result = used(&tools, name, arguments, without_model())
            .await
            .unwrap();
        let told = result["documents"].as_array().unwrap().iter();
        let ids: Vec<&str> = told.map(|one| one["id"].as_str().unwrap()).collect();
        let given: Vec<String> = (0..20).map(|index| format!("doc-{index}")).collect();
        assert_eq!(ids, given, "{name}");
        assert_eq!(result["failed"], 0, "{name}");
    }
}

#[tokio::test]
async fn sentiments_and_categories_are_counted() {
    let tools = tools_of("", Some("sim/demo"));
    let arguments =
        json!({"documents": documents(9), "kind": "classify", "categories": ["x", "y"]});
    let result = used(&tools, "analyze_documents", arguments, without_model()).await;
    let result = result.unwrap();
    let mut counts = serde_json::Map::new();
    for one in result["documents"].as_array().unwrap() {
        let category = one["result"]["category"].as_str().unwrap();
        let before = counts.get(category).and_then(Value::as_u64).unwrap_or(0);
        counts.insert(category.to_owned(), (before + 1).into());
    }
    assert_eq!(result["counts"], Value::Object(counts));
    let arguments = json!({"documents": documents(2), "kind": "summary"});
    let result = used(&tools, "analyze_documents", arguments, without_model()).await;
    assert_eq!(result.unwrap()["counts"], Value::Null);
}

#[tokio::test]
async fn configured_models_are_asked_by_their_names() {
    let toml = "default_model = \"fast\"\n[models.fast]\nuse = \"sim/a\"\n\
                [models.panel]\nensemble = [\"sim/a\", \"sim/b\"]\njudge = \"fast\"\n";
    let tools = tools_of(toml, None);
    let ask = json!({"prompt": "Why?"});
    let result = used(&tools, "ask", ask, without_model()).await.unwrap();
    assert_eq!(
        (&result["model"], &result["calls"]),
        (&"sim/a".into(), &1.into())
    );
    let ask = json!({"prompt": "Why?", "model": "panel"});
    let result = used(&tools, "ask", ask, without_model()).await.unwrap();
    assert_eq!(
        (&result["model"], &result["calls"]),
        (&"panel".into(), &3.into())
    );
    let tools = tools_of(toml, Some("sim/c"));
    let ask = json!({"prompt": "Why?"});
    let result = used(&tools, "ask", ask, without_model()).await.unwrap();
    assert_eq!(
        result["model"], "sim/c",
        "--model stands over default_model"
    );
}

#[tokio::test]
async fn long_documents_are_split() {
    let tools = tools_of("", Some("sim/demo"));
    let long = "A sentence of a long text. ".repeat(2_000);
    let arguments = json!({
        "documents": [{"id": "long", "text": long}, {"id": "short", "text": "A sentence."}],
        "map": "List it.", "reduce": "Merge it.",
    });
    let result = used(&tools, "map_reduce", arguments, without_model())
        .await
        .unwrap();
    let pieces = &result["documents"][0]["pieces"];
    assert!(pieces.as_u64().unwrap() > 1);
    assert_eq!(result["documents"][1]["pieces"], 1);
}
