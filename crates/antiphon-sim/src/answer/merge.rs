//! Two schemas in one: what fits the result fits both, as far as the keywords allow.

use serde_json::{Map, Value, json};

/// The schema that asks for both.
pub(super) fn merged(base: &Value, more: &Value) -> Value {
    match (base, more) {
        (Value::Bool(false), _) | (_, Value::Bool(false)) => Value::Bool(false),
        (Value::Object(base), Value::Object(more)) => {
            let mut both = base.clone();
            for (keyword, value) in more {
                add(&mut both, keyword, value);
            }
            Value::Object(both)
        }
        (Value::Object(_), _) => base.clone(),
        _ => more.clone(),
    }
}

fn add(schema: &mut Map<String, Value>, keyword: &str, value: &Value) {
    let Some(present) = schema.get(keyword).cloned() else {
        schema.insert(keyword.to_owned(), value.clone());
        return;
    };
    let both = match keyword {
        "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" => {
            if present.as_f64() >= value.as_f64() {
                present
            } else {
                value.clone()
            }
        }
        "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" => {
            if present.as_f64() <= value.as_f64() {
                present
            } else {
                value.clone()
            }
        }
        "required" => union(&present, value),
        "enum" => common(&present, value),
        "type" => common_types(&present, value),
        "properties" | "patternProperties" | "$defs" | "definitions" => by_name(&present, value),
        "items" | "additionalProperties" => merged(&present, value),
        "anyOf" | "oneOf" | "not" | "if" => {
            let mut all = schema
                .get("allOf")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            all.push(json!({ keyword: value }));
            schema.insert("allOf".to_owned(), Value::Array(all));
            return;
        }
        "allOf" => joined(&present, value),
        // a second pattern or format cannot be joined with the first; the check of the whole answer finds out
        _ => present,
    };
    schema.insert(keyword.to_owned(), both);
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn joined(a: &Value, b: &Value) -> Value {
    items(a).chain(items(b)).cloned().collect()
}

fn union(a: &Value, b: &Value) -> Value {
    let new = items(b).filter(|item| !items(a).any(|known| known == *item));
    items(a).chain(new).cloned().collect()
}

fn common(a: &Value, b: &Value) -> Value {
    items(a)
        .filter(|item| items(b).any(|other| other == *item))
        .cloned()
        .collect()
}

fn common_types(a: &Value, b: &Value) -> Value {
    let list = |types: &Value| match types {
        Value::Array(types) => types.clone(),
        one => vec![one.clone()],
    };
    let (a, b) = (list(a), list(b));
    let has = |types: &[Value], name: &Value| {
        types.contains(name) || (name == "integer" && types.contains(&json!("number")))
    };
    let both: Value = a
        .iter()
        .filter(|name| has(&b, name))
        .chain(b.iter().filter(|name| !a.contains(name) && has(&a, name)))
        .cloned()
        .collect();
    both
}

fn by_name(a: &Value, b: &Value) -> Value {
    let mut both = a.as_object().cloned().unwrap_or_default();
    for (name, schema) in b.as_object().into_iter().flatten() {
        let joint = both
            .get(name)
            .map_or_else(|| schema.clone(), |present| merged(present, schema));
        both.insert(name.clone(), joint);
    }
    Value::Object(both)
}

/// The part of the root that a `$ref` points at: `#`, `#/$defs/x`, or an `$anchor`.
pub(super) fn referred<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let fragment = reference.strip_prefix('#')?;
    if fragment.is_empty() || fragment.starts_with('/') {
        return root.pointer(&percent_decoded(fragment));
    }
    let definitions = ["$defs", "definitions"]
        .into_iter()
        .filter_map(|name| root[name].as_object());
    definitions
        .flat_map(|all| all.values())
        .find(|schema| schema["$anchor"] == fragment)
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
