//! Nulls that only the strict form of a schema allowed.

use serde_json::Value;

use super::reading::{accepts_null, required, views};

/// Removes the nulls of properties that the user's schema calls optional and that may not be null.
///
/// OpenAI's strict mode requires each property, so the schema on the wire lets optional ones be null. An answer parsed as
/// JSON must pass through here *before* it is validated against the user's own schema, and it is this value that becomes
/// `parsed`. It changes no other value, so it may be applied whichever provider answered: without it, an answer with such
/// a null would be off schema in any case.
pub(super) fn remove_added_nulls(schema: &Value, answer: &mut Value) {
    prune(schema, &[schema], answer);
}

fn prune(root: &Value, schemas: &[&Value], answer: &mut Value) {
    let views: Vec<&Value> = schemas
        .iter()
        .flat_map(|schema| views(root, schema))
        .collect();
    match answer {
        Value::Object(fields) => {
            let properties = |name: &str| -> Vec<(&Value, bool)> {
                let views = views.iter().filter_map(|view| view.as_object());
                views
                    .filter_map(|view| {
                        let schema = view.get("properties")?.get(name)?;
                        Some((schema, required(view).any(|required| required == name)))
                    })
                    .collect()
            };
            fields.retain(|name, value| {
                let known = properties(name);
                let added = value.is_null()
                    && !known.is_empty()
                    && known
                        .iter()
                        .all(|(schema, required)| !required && !accepts_null(root, schema));
                if !added {
                    let schemas: Vec<_> = known.into_iter().map(|(schema, _)| schema).collect();
                    prune(root, &schemas, value);
                }
                !added
            });
        }
        Value::Array(items) => {
            let schemas: Vec<_> = views.iter().filter_map(|view| view.get("items")).collect();
            if !schemas.is_empty() {
                items
                    .iter_mut()
                    .for_each(|item| prune(root, &schemas, item));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_nulls_that_the_repair_allowed_are_removed() {
        let schema = json!({"type": "object", "required": ["r"], "properties": {
            "r": {"type": "string"},
            "optional": {"type": "string"},
            "nullable": {"type": ["string", "null"]},
            "any": {},
            "by_reference": {"$ref": "#/$defs/s"},
            "list": {"type": "array", "items": {"$ref": "#/$defs/o"}},
            "nested": {"anyOf": [{"$ref": "#/$defs/o"}, {"type": "null"}]}},
            "$defs": {"s": {"type": "string"}, "o": {"type": "object", "properties": {"x": {"type": "integer"}}}}});
        let mut answer = json!({"r": null, "optional": null, "nullable": null, "any": null, "by_reference": null,
            "unknown": null, "list": [{"x": null}, {"x": 1}, null], "nested": {"x": null}});
        remove_added_nulls(&schema, &mut answer);
        assert_eq!(
            answer,
            json!({"r": null, "nullable": null, "any": null, "unknown": null,
                "list": [{}, {"x": 1}, null], "nested": {}})
        );
    }
}
