//! Nulls that only the strict form of a schema allowed.

use serde_json::Value;

use super::{accepts_null, required, resolve};

/// References and combinations followed from one place; more is a circle.
const LONGEST_CHAIN: u32 = 32;

/// Removes the nulls of properties that the user's schema calls optional and that may not be null.
///
/// OpenAI's strict mode requires each property, so the schema on the wire lets optional ones be null. An answer parsed as
/// JSON must pass through here *before* it is validated against the user's own schema, and it is this value that becomes
/// `parsed`. It changes no other value, so it may be applied whichever provider answered: without it, an answer with such
/// a null would be off schema in any case.
pub fn remove_added_nulls(schema: &Value, answer: &mut Value) {
    prune(schema, &[schema], answer);
}

fn prune(root: &Value, schemas: &[&Value], answer: &mut Value) {
    let mut views = Vec::new();
    for schema in schemas {
        collect(root, schema, 0, &mut views);
    }
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
                        .all(|(schema, required)| !required && !accepts_null(root, schema, 0));
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

/// All schemas that speak about the same place: through references, and every branch of a combination.
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
