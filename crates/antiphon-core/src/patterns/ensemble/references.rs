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

/// Replaces each `$ref` for which `moved` knows a new place.
pub(super) fn rewrite_references(schema: &mut Value, moved: &impl Fn(&str) -> Option<String>) {
    match schema {
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| rewrite_references(item, moved)),
        Value::Object(fields) => {
            for (keyword, value) in fields.iter_mut() {
                match (keyword.as_str(), value) {
                    ("$ref", Value::String(reference)) => {
                        if let Some(new) = moved(reference) {
                            *reference = new;
                        }
                    }
                    (keyword, _) if VALUES.contains(&keyword) => {}
                    (keyword, Value::Object(named)) if NAMED.contains(&keyword) => named
                        .values_mut()
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
    rewrite_references(&mut schema.clone(), &|reference| {
        found.set(found.get() || reference == "#");
        None
    });
    found.get()
}
