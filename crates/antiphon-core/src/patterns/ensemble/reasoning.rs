//! A schema with one more field, in which a member reasons before it answers.

use serde_json::{Map, Value, json};

use super::references::{has_reference_to_root, id_of, local, rewrite_references};
use crate::schema::reading::{LONGEST_CHAIN, required, resolve};

/// The field's name, where the user's schema has no such word.
const FIELD: &str = "reasoning_before_answer";

/// What the member reads about it.
const ABOUT: &str =
    "How you arrive at the answer, step by step, written before the answer. It is not part of it.";

/// Where the user's own root is kept for references to it, which must not ask for reasoning again.
const ROOT: &str = "schema_without_reasoning";

/// Whether a schema's root says that answers are objects.
pub(super) fn is_object(schema: &Value) -> bool {
    object_within(schema, schema, 0)
}

fn object_within(root: &Value, schema: &Value, depth: u32) -> bool {
    if depth > LONGEST_CHAIN {
        return false;
    }
    let deeper = |schema: &Value| object_within(root, schema, depth + 1);
    let branches = |keyword: &str| schema[keyword].as_array().map(Vec::as_slice);
    match &schema["type"] {
        Value::String(name) => return name == "object",
        Value::Array(_) => return false,
        _ => {}
    }
    schema.get("properties").is_some_and(Value::is_object)
        || schema["$ref"]
            .as_str()
            .and_then(|name| resolve(root, name))
            .is_some_and(deeper)
        || branches("allOf").is_some_and(|all| all.iter().any(deeper))
        || ["anyOf", "oneOf"]
            .iter()
            .filter_map(|keyword| branches(keyword))
            .any(|any| !any.is_empty() && any.iter().all(deeper))
}

/// The schema of an object with one more required text field before all others, and the name of that field: one that
/// stands nowhere in the user's schema.
pub(super) fn with_field(schema: &Value) -> (String, Value) {
    let field = unused(FIELD, schema);
    let mut root = schema.clone();
    if has_reference_to_root(schema) {
        let home = unused(ROOT, schema);
        let to = format!("#/$defs/{home}");
        let id = id_of(schema);
        let moved = |reference: &str| (local(reference, id) == "#").then(|| to.clone());
        rewrite_references(&mut root, &moved);
        let mut own = root.clone();
        if let (Value::Object(own), Value::Object(fields)) = (&mut own, &mut root) {
            // they stay at the root, where references look for them
            own.retain(|name, _| {
                !matches!(name.as_str(), "$defs" | "definitions" | "$id" | "$schema")
            });
            let defs = fields.entry("$defs").or_insert_with(|| json!({}));
            if let Value::Object(defs) = defs {
                defs.insert(home, Value::Object(own.clone()));
            }
        }
    }
    let whole = root.clone();
    if let Value::Object(fields) = &mut root {
        allow(&whole, fields, &field, 0);
        require(fields, &field);
    }
    (field, root)
}

/// Lets the field into an object schema, first, and into each schema it is combined with.
fn allow(root: &Value, fields: &mut Map<String, Value>, field: &str, depth: u32) {
    if depth > LONGEST_CHAIN {
        return;
    }
    if let Some(target) = fields
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|name| resolve(root, name))
        && let Value::Object(target) = target.clone()
    {
        // what others refer to stays as it is, so the field goes into a copy
        fields.shift_remove("$ref");
        let own = std::mem::replace(fields, target);
        fields.extend(own);
        return allow(root, fields, field, depth + 1);
    }
    for keyword in ["allOf", "anyOf", "oneOf"] {
        let branches = fields.get_mut(keyword).and_then(Value::as_array_mut);
        for branch in branches
            .into_iter()
            .flatten()
            .filter_map(Value::as_object_mut)
        {
            allow(root, branch, field, depth + 1);
        }
    }
    let mut properties = Map::new();
    properties.insert(
        field.to_owned(),
        json!({"type": "string", "description": ABOUT}),
    );
    if let Some(Value::Object(own)) = fields.get_mut("properties").map(Value::take) {
        properties.extend(own);
    }
    fields.insert("properties".into(), properties.into());
    for keyword in ["minProperties", "maxProperties"] {
        if let Some(number) = fields.get(keyword).and_then(Value::as_u64) {
            fields.insert(keyword.into(), number.saturating_add(1).into());
        }
    }
    if let Some(names) = fields.get_mut("propertyNames") {
        *names = json!({"anyOf": [{"const": field}, names.take()]});
    }
}

fn require(fields: &mut Map<String, Value>, field: &str) {
    let own = required(fields).map(str::to_owned);
    let names: Vec<String> = std::iter::once(field.to_owned()).chain(own).collect();
    fields.insert("required".into(), json!(names));
    fields.entry("type").or_insert_with(|| "object".into());
}

/// The word, or with a number after it, so that it stands nowhere in the schema.
fn unused(word: &str, schema: &Value) -> String {
    let mut name = word.to_owned();
    let mut number = 2;
    while stands_in(&name, schema) {
        name = format!("{word}_{number}");
        number += 1;
    }
    name
}

fn stands_in(word: &str, schema: &Value) -> bool {
    match schema {
        Value::String(text) => text == word,
        Value::Array(items) => items.iter().any(|item| stands_in(word, item)),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| name == word || stands_in(word, value)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Schema;

    fn fits(schema: &Value, answer: &Value) -> bool {
        Schema::new(schema.clone())
            .unwrap()
            .validate(answer)
            .is_ok()
    }

    /// The answer with reasoning in front.
    fn reasoned(field: &str, answer: &Value) -> Value {
        let mut fields = Map::from_iter([(field.to_owned(), json!("because"))]);
        fields.extend(answer.as_object().unwrap().clone());
        fields.into()
    }

    #[test]
    fn the_field_comes_first_and_is_required() {
        let (field, schema) = with_field(&json!({
            "type": "object", "required": ["b"], "properties": {"b": {"type": "integer"}, "a": {}}
        }));
        let names: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(names, [&field, "b", "a"]);
        assert_eq!(schema["required"], json!([field, "b"]));
        assert_eq!(schema["properties"][&field]["type"], "string");
    }

    #[test]
    fn its_name_stands_nowhere_in_the_users_schema() {
        let (field, _) = with_field(&json!({
            "type": "object",
            "required": ["reasoning_before_answer_2"],
            "properties": {"x": {"type": "object", "properties": {"reasoning_before_answer": {}}}}
        }));
        assert_eq!(field, "reasoning_before_answer_3");
    }

    #[test]
    fn every_kind_of_object_takes_the_field_and_stays_as_strict_as_it_was() {
        let object = json!({"type": "object", "required": ["x"], "additionalProperties": false, "maxProperties": 1,
            "propertyNames": {"pattern": "^.$"}, "properties": {"x": {"type": "integer"}}});
        let schemas = [
            object.clone(),
            json!({"$ref": "#/$defs/o", "$defs": {"o": object}}),
            json!({"allOf": [{"$ref": "#/definitions/o"}, {"required": ["x"]}], "definitions": {"o": object}}),
            json!({"anyOf": [object, {"type": "object", "required": ["y"], "additionalProperties": false, "properties": {"y": {}}}]}),
        ];
        for schema in schemas {
            assert!(is_object(&schema), "{schema}");
            let (field, members) = with_field(&schema);
            let good = reasoned(&field, &json!({"x": 1}));
            assert!(fits(&members, &good), "{members}");
            assert!(
                !fits(&members, &json!({"x": 1})),
                "reasoning is required: {members}"
            );
            for bad in [json!({"x": "1"}), json!({}), json!({"x": 1, "zz": 2})] {
                assert!(
                    !fits(&members, &reasoned(&field, &bad)),
                    "{bad} in {members}"
                );
            }
        }
    }

    #[test]
    fn a_recursive_schema_asks_for_reasoning_only_once() {
        let tree = json!({"type": "object", "required": ["v"], "additionalProperties": false, "properties": {
            "v": {"$ref": "#/$defs/v"}, "children": {"type": "array", "items": {"$ref": "#"}}},
            "$defs": {"v": {"type": "integer"}}});
        let (field, members) = with_field(&tree);
        let answer = json!({"v": 1, "children": [{"v": 2, "children": []}]});
        assert!(fits(&members, &reasoned(&field, &answer)), "{members}");
        assert!(!fits(
            &members,
            &reasoned(&field, &json!({"v": 1, "children": [{"v": "2"}]}))
        ));
    }

    #[test]
    fn only_objects_are_objects() {
        for no in [
            json!(true),
            json!({}),
            json!({"type": "array"}),
            json!({"type": ["object", "null"]}),
            json!({"anyOf": [{"type": "object"}, {"type": "string"}]}),
            json!({"$ref": "#"}),
        ] {
            assert!(!is_object(&no), "{no}");
        }
    }
}
