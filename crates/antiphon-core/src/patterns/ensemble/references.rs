//! References within a schema that moves into another one.

use serde_json::Value;

/// Keywords that hold values, not schemas: what looks like a reference there is none.
const VALUES: [&str; 4] = ["const", "enum", "default", "examples"];

/// Keywords that hold named schemas: a name there is no keyword.
const NAMED: [&str; 5] = [
    "properties",
    "$defs",
    "definitions",
    "patternProperties",
    "dependentSchemas",
];

/// The name that a schema gives itself; empty where it gives none.
pub(super) fn id_of(schema: &Value) -> &str {
    schema["$id"].as_str().unwrap_or_default()
}

/// A reference of the schema of this id, from `#` on where it leads into that schema.
pub(super) fn local<'a>(reference: &'a str, id: &str) -> &'a str {
    match reference.strip_prefix(id) {
        Some("") => "#",
        Some(fragment) if fragment.starts_with('#') => fragment,
        _ => reference,
    }
}

/// Replaces each `$ref` for which `moved` knows a new place. Schemas within that have an id are not entered: references
/// there are about themselves.
pub(super) fn rewrite_references(schema: &mut Value, moved: &impl Fn(&str) -> Option<String>) {
    match schema {
        Value::Array(items) => items
            .iter_mut()
            .filter(|item| id_of(item).is_empty())
            .for_each(|item| rewrite_references(item, moved)),
        Value::Object(fields) => {
            for (keyword, value) in fields.iter_mut() {
                match (keyword.as_str(), value) {
                    (_, Value::Object(inner)) if inner.get("$id").is_some_and(Value::is_string) => {
                    }
                    ("$ref", Value::String(reference)) => {
                        if let Some(new) = moved(reference) {
                            *reference = new;
                        }
                    }
                    (keyword, _) if VALUES.contains(&keyword) => {}
                    (keyword, Value::Object(named)) if NAMED.contains(&keyword) => named
                        .values_mut()
                        .filter(|schema| id_of(schema).is_empty())
                        .for_each(|schema| rewrite_references(schema, moved)),
                    (_, value) => rewrite_references(value, moved),
                }
            }
        }
        _ => {}
    }
}

/// Whether a schema refers to itself as a whole.
pub(super) fn has_reference_to_root(schema: &Value) -> bool {
    let found = std::cell::Cell::new(false);
    let id = id_of(schema);
    rewrite_references(&mut schema.clone(), &|reference| {
        found.set(found.get() || local(reference, id) == "#");
        None
    });
    found.get()
}
