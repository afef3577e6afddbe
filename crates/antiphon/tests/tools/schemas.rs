//! What clients are told of the tools.

use antiphon::core::Schema;
use serde_json::Value;

use crate::support::bare_tools;

/// All schemas in a schema, itself among them, with the place of each.
fn subschemas<'a>(schema: &'a Value, place: &str, found: &mut Vec<(String, &'a Value)>) {
    found.push((place.to_owned(), schema));
    let Value::Object(fields) = schema else {
        return;
    };
    for (keyword, value) in fields {
        let place = format!("{place}/{keyword}");
        match (keyword.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                for (name, schema) in properties {
                    subschemas(schema, &format!("{place}/{name}"), found);
                }
            }
            ("items", schema) => subschemas(schema, &place, found),
            ("anyOf" | "oneOf" | "allOf", Value::Array(ways)) => {
                for schema in ways {
                    subschemas(schema, &place, found);
                }
            }
            _ => {}
        }
    }
}

fn asks_a_model(tool: &str) -> bool {
    tool != "job_status"
}

#[test]
fn tools_are_told_in_plain_schemas_that_clients_take() {
    let names: Vec<&str> = bare_tools().iter().map(|tool| tool.facts().name).collect();
    assert_eq!(
        names,
        [
            "ask",
            "ensemble",
            "map_reduce",
            "analyze_documents",
            "review",
            "run_file",
            "job_status"
        ]
    );
    for tool in bare_tools() {
        let facts = tool.facts();
        let name = facts.name;
        assert_eq!(facts.is_read_only, name != "run_file");
        assert_eq!(tool.effects().is_open_world, asks_a_model(name), "{name}");
        assert!(!facts.title.is_empty(), "{name}");
        let cost = ["of a model", "of the model"].map(|words| facts.description.contains(words));
        assert!(cost.contains(&true), "{name}: its cost");
        for (schema, is_input) in [(facts.input, true), (facts.output, false)] {
            let schema = Value::Object(schema);
            Schema::new(schema.clone()).unwrap();
            assert_eq!(schema["type"], "object", "{name}");
            let mut found = Vec::new();
            subschemas(&schema, name, &mut found);
            for (place, one) in &found {
                let fields = one.as_object().unwrap_or_else(|| panic!("{place}: {one}"));
                for keyword in [
                    "$ref", "$defs", "$schema", "title", "format", "oneOf", "allOf",
                ] {
                    assert!(!fields.contains_key(keyword), "{place}: {keyword}");
                }
                let is_union = fields.get("type").is_some_and(Value::is_array);
                assert!(!(is_input && is_union), "{place}");
                assert!(!(is_input && fields.contains_key("anyOf")), "{place}");
            }
            if is_input {
                assert_eq!(schema["additionalProperties"], false, "{name}");
                let arguments = schema["properties"].as_object().unwrap();
                assert_eq!(arguments.contains_key("model"), asks_a_model(name));
                for (argument, told) in arguments {
                    assert!(told["description"].is_string(), "{name}: {argument}");
                }
            } else {
                for told in ["usage", "cost_usd", "energy_kwh", "gwp_kgco2eq"] {
                    assert!(schema["properties"][told].is_object(), "{name}: {told}");
                }
            }
        }
    }
}

#[test]
fn bounds_of_numbers_and_lists_are_told() {
    let tools = bare_tools();
    let input = |name: &str| {
        let tool = tools.iter().find(|tool| tool.facts().name == name).unwrap();
        Value::Object(tool.facts().input)
    };
    let n = &input("ensemble")["properties"]["n"];
    assert_eq!((&n["minimum"], &n["maximum"]), (&1.into(), &64.into()));
    for name in ["map_reduce", "analyze_documents", "review"] {
        let input = input(name);
        let documents = &input["properties"]["documents"];
        assert_eq!(
            (&documents["minItems"], &documents["maxItems"]),
            (&1.into(), &256.into())
        );
        assert_eq!(documents["items"]["additionalProperties"], false, "{name}");
        let required = &documents["items"]["required"];
        assert_eq!(*required, Value::from(vec!["id", "text"]), "{name}");
    }
}
