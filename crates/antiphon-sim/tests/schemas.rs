//! Answers fit the schemas that were asked for, or break them where that is asked for.

mod rig;

use antiphon_core::{ChatRequest, Model, SystemClock};
use antiphon_sim::{SimConfig, SimModel};
use rig::{ANTHROPIC, OPENAI, failing, folded, post, question};
use serde_json::{Value, json};

async fn instance(schema: &Value, prompt: &str) -> Value {
    let config = SimConfig {
        accuracy: 1.0,
        ..SimConfig::default()
    };
    let model = SimModel::new("small", config, SystemClock::shared());
    asked(&model, schema, prompt).await
}

fn format(schema: &Value) -> Value {
    json!({"type": "json_schema", "json_schema": {"name": "x", "strict": true, "schema": schema}})
}

async fn asked(model: &SimModel, schema: &Value, prompt: &str) -> Value {
    let request = ChatRequest::prompt(prompt).with_param("response_format", format(schema));
    let answer = model
        .call(request)
        .await
        .unwrap()
        .whole()
        .await
        .unwrap()
        .answer;
    serde_json::from_str(&answer.text).unwrap()
}

fn schemas() -> Vec<Value> {
    vec![
        json!({"type": "object", "properties": {"name": {"type": "string", "minLength": 3, "maxLength": 5},
            "age": {"type": "integer", "minimum": 18, "exclusiveMaximum": 20}, "ok": {"type": "boolean"}},
            "required": ["name", "age", "ok"], "additionalProperties": false}),
        json!({"type": "array", "items": {"enum": ["a", "b", "c", "d"]}, "minItems": 3, "maxItems": 4, "uniqueItems": true}),
        json!({"type": "object", "properties": {"kind": {"const": "circle"}, "r": {"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}},
            "required": ["kind", "r"]}),
        json!({"anyOf": [{"type": "null"}, {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}]}),
        json!({"oneOf": [{"type": "integer", "multipleOf": 5}, {"type": "integer", "multipleOf": 3}], "minimum": 1, "maximum": 40}),
        json!({"allOf": [{"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}, "required": ["a"]},
            {"properties": {"a": {"maximum": 4}, "b": {"type": "string"}}, "required": ["b"]}]}),
        json!({"$defs": {"node": {"type": "object", "properties": {"value": {"type": "integer"},
            "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}}, "required": ["value", "children"],
            "additionalProperties": false}}, "$ref": "#/$defs/node"}),
        json!({"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["next"]}),
        json!({"type": "object", "properties": {"left": {"$ref": "#/$defs/t"}, "right": {"$ref": "#/$defs/t"}},
            "required": ["left", "right"], "$defs": {"t": {"oneOf": [{"type": "integer"}, {"$ref": "#"}]}}}),
        json!({"type": ["string", "null"], "maxLength": 4}),
        json!({"type": "string", "pattern": "^[A-Z]{2}-\\d{4}(-(red|green))?$"}),
        json!({"type": "string", "pattern": "^(?:[a-f0-9]{2}:){5}[a-f0-9]{2}$", "minLength": 17}),
        json!({"type": "string", "pattern": "^[^\\s@]+@[^\\s@]+\\.(com|org)$", "maxLength": 12}),
        json!({"type": "string", "enum": ["positive", "negative", "neutral"]}),
        json!({"type": "number", "multipleOf": 0.1, "minimum": 0.3, "maximum": 0.7}),
        json!({"type": "integer", "minimum": -5, "maximum": -5}),
        json!({"type": "integer", "exclusiveMaximum": -1000000000000i64}),
        json!({"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 3}),
        json!({"type": "object", "patternProperties": {"^x-[a-z]{4,8}$": {"type": "boolean"}}, "additionalProperties": false, "minProperties": 2}),
        json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": false}),
        json!({"type": "array", "contains": {"const": 7}, "items": {"type": "integer"}, "minItems": 4}),
        json!({"type": "object", "properties": {"country": {"enum": ["CH", "US"]}, "zip": {"type": "string"}},
            "required": ["country", "zip"], "if": {"properties": {"country": {"const": "CH"}}},
            "then": {"properties": {"zip": {"pattern": "^\\d{4}$"}}}, "else": {"properties": {"zip": {"pattern": "^\\d{5}$"}}}}),
        json!({"type": "object", "properties": {"card": {"type": "string"}, "holder": {"type": "string"}}, "dependentRequired": {"card": ["holder"]}}),
        json!({"not": {"type": "string"}, "type": ["string", "integer"]}),
        json!({"type": "object", "properties": {"tags": {"type": "array", "items": {"type": "string", "format": "uuid"}, "minItems": 2},
            "at": {"type": "string", "format": "date-time"}, "day": {"type": "string", "format": "date"},
            "mail": {"type": "string", "format": "email"}, "site": {"type": "string", "format": "uri"},
            "ip": {"type": "string", "format": "ipv4"}, "ip6": {"type": "string", "format": "ipv6"},
            "host": {"type": "string", "format": "hostname"}, "took": {"type": "string", "format": "duration"},
            "time": {"type": "string", "format": "time"}},
            "required": ["tags", "at", "day", "mail", "site", "ip", "ip6", "host", "took", "time"]}),
        json!({"definitions": {"a/b": {"type": "integer"}}, "type": "array", "items": {"$ref": "#/definitions/a~1b"}, "minItems": 1}),
        json!({"type": "object", "properties": {"deep": {"type": "array", "items": {"type": "array", "items":
            {"type": "object", "properties": {"v": {"type": "number"}}, "required": ["v"]}}, "minItems": 1}}, "required": ["deep"]}),
        json!({}),
        json!(true),
    ]
}

#[tokio::test]
async fn instances_fit_their_schemas() {
    for schema in schemas() {
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&schema)
            .unwrap();
        for prompt in 0..30 {
            let value = instance(&schema, &format!("row {prompt}")).await;
            if let Err(error) = validator.validate(&value) {
                panic!("{value} does not fit {schema}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn off_schema_answers_are_json_that_does_not_fit() {
    let config = SimConfig {
        fail: vec!["off-schema=1".parse().unwrap()],
        ..SimConfig::default()
    };
    let model = SimModel::new("small", config, SystemClock::shared());
    for schema in schemas() {
        let value = asked(&model, &schema, "row").await;
        let any = schema == json!({}) || schema == json!(true);
        assert_eq!(
            jsonschema::is_valid(&schema, &value),
            any,
            "{value} against {schema}"
        );
    }
}

#[tokio::test]
async fn off_schema_answers_come_on_both_wires_whole_and_streamed() {
    let server = failing("off-schema").await;
    let schema = &schemas()[0];
    for path in [OPENAI, ANTHROPIC] {
        for stream in [false, true] {
            let mut body = question(path, "row", stream);
            if path == OPENAI {
                body["response_format"] = format(schema);
            } else {
                body["output_config"] =
                    json!({"format": {"type": "json_schema", "schema": schema}});
            }
            let seen = post(&server, path, &body).await;
            let text = if stream {
                folded(path, &seen.body).text
            } else {
                let body = seen.json();
                let text = body
                    .pointer("/choices/0/message/content")
                    .or(body.pointer("/content/0/text"));
                text.and_then(Value::as_str).unwrap().to_owned()
            };
            let value = serde_json::from_str(&text).unwrap();
            assert!(!jsonschema::is_valid(schema, &value), "{path}: {value}");
        }
    }
    let report = server.simulator().ledger().report();
    assert_eq!((report.answered, report.faults["off-schema"]), (4, 4));
}

#[tokio::test]
async fn instances_are_the_same_on_every_run_and_differ_between_rows() {
    let schema = &schemas()[0];
    assert_eq!(instance(schema, "a").await, instance(schema, "a").await);
    let mut rows = Vec::new();
    for row in 0..10 {
        rows.push(instance(schema, &row.to_string()).await);
    }
    assert!(rows.iter().any(|row| *row != rows[0]));
}

#[tokio::test]
async fn the_result_of_a_sum_goes_where_the_answer_belongs() {
    let schema = json!({"type": "object", "properties": {"reasoning": {"type": "string"}, "answer": {"type": "integer"}},
        "required": ["reasoning", "answer"]});
    assert_eq!(instance(&schema, "What is 17 + 25?").await["answer"], 42);
    let worded = json!({"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]});
    assert_eq!(instance(&worded, "What is 17 + 25?").await["answer"], "42");
}

#[tokio::test]
async fn impossible_and_hostile_schemas_come_to_an_end() {
    let mut bomb = json!({"type": "string"});
    for _ in 0..30 {
        bomb = json!({"type": "array", "items": bomb, "minItems": 10000});
    }
    for schema in [
        json!({"$ref": "#"}),
        json!({"allOf": [{"$ref": "#"}]}),
        json!({"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]}),
        json!({"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]}),
        json!({"type": "string", "pattern": "(((a{1000}){1000}){1000})+"}),
        json!({"type": "string", "minLength": u64::MAX}),
        json!({"type": "integer", "minimum": 5, "maximum": 1}),
        json!(false),
        bomb,
    ] {
        // what comes out fits nothing, but it comes out
        instance(&schema, "x").await;
    }
}
