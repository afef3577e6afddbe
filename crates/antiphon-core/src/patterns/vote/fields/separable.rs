//! Whether winners of single fields always make a valid answer.

use serde_json::{Map, Value};

/// Keywords that judge one value by itself, or none at all.
const BY_ITSELF: [&str; 25] = [
    "$schema",
    "$id",
    "$comment",
    "$ref",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "type",
    "format",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
];

/// Whether values that are valid each in its place are valid together. True only for schemas whose keywords are known to
/// be harmless; a `false` costs no more than calls that could have been saved.
pub(super) fn is_separable(schema: &Value) -> bool {
    let Value::Object(fields) = schema else {
        return schema.is_boolean();
    };
    fields
        .iter()
        .all(|(keyword, value)| match keyword.as_str() {
            "$defs" | "definitions" | "properties" => values(value).all(is_separable),
            "items" => is_separable(value),
            "additionalProperties" => is_separable(value),
            "pattern" => true,
            "allOf" => value
                .as_array()
                .is_some_and(|all| all.iter().all(is_separable)),
            "anyOf" | "oneOf" => is_nullable(value),
            "uniqueItems" => has_scalar_items(fields),
            keyword => BY_ITSELF.contains(&keyword),
        })
}

fn values(object: &Value) -> impl Iterator<Item = &Value> {
    object.as_object().into_iter().flat_map(Map::values)
}

/// One schema, or null: how optional values are written.
fn is_nullable(branches: &Value) -> bool {
    let branches = branches.as_array().map_or(&[][..], Vec::as_slice);
    let is_null = |branch: &&Value| branch.get("type").is_some_and(|name| name == "null");
    branches.iter().filter(|branch| !is_null(branch)).count() <= 1
        && branches.iter().all(is_separable)
}

fn has_scalar_items(list: &Map<String, Value>) -> bool {
    let name = list.get("items").and_then(|items| items.get("type"));
    let name = name.and_then(Value::as_str);
    name.is_some_and(|name| matches!(name, "string" | "number" | "integer" | "boolean"))
}
