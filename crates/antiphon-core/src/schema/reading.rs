//! What a JSON Schema says, read without judging a value by it.

use serde_json::{Map, Value};

/// References and combinations followed from one place; more is a circle.
pub const LONGEST_CHAIN: u32 = 32;

/// Follows `#/…` within the root.
pub fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let fragment = reference.strip_prefix('#')?;
    // JSON pointers in URIs are percent-encoded; names that need it are rare enough to stay unresolved
    root.pointer(fragment)
}

/// The names that an object schema requires.
pub fn required(fields: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let names = fields.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str)
}

/// Whether a schema lets null through.
pub fn accepts_null(root: &Value, schema: &Value) -> bool {
    accepts_null_within(root, schema, 0)
}

fn accepts_null_within(root: &Value, schema: &Value, depth: u32) -> bool {
    let Value::Object(fields) = schema else {
        return *schema == Value::Bool(true);
    };
    if depth > LONGEST_CHAIN {
        return false;
    }
    let deeper = |schema: &Value| accepts_null_within(root, schema, depth + 1);
    fields
        .iter()
        .all(|(keyword, value)| match keyword.as_str() {
            "type" => match value {
                Value::Array(types) => types.iter().any(|name| name == "null"),
                name => name == "null",
            },
            "enum" => value
                .as_array()
                .is_some_and(|values| values.contains(&Value::Null)),
            "const" => value.is_null(),
            "anyOf" | "oneOf" => value.as_array().is_some_and(|any| any.iter().any(deeper)),
            "allOf" => value.as_array().is_some_and(|all| all.iter().all(deeper)),
            "$ref" => value
                .as_str()
                .and_then(|reference| resolve(root, reference))
                .is_some_and(deeper),
            "not" => false,
            // keywords of numbers, strings, arrays and objects say nothing about null
            _ => true,
        })
}

/// All schemas that speak about the same place: through references, and every branch of a combination.
pub fn views<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let mut views = Vec::new();
    collect(root, schema, 0, &mut views);
    views
}

fn collect<'a>(root: &'a Value, schema: &'a Value, depth: u32, views: &mut Vec<&'a Value>) {
    if depth > LONGEST_CHAIN || views.iter().any(|known| std::ptr::eq(*known, schema)) {
        return;
    }
    views.push(schema);
    if let Some(target) = schema["$ref"].as_str().and_then(|name| resolve(root, name)) {
        collect(root, target, depth + 1, views);
    }
    for keyword in ["allOf", "anyOf", "oneOf"] {
        for branch in schema[keyword].as_array().into_iter().flatten() {
            collect(root, branch, depth + 1, views);
        }
    }
}
