//! Whether a value fits a schema: enough of JSON Schema to choose between branches and to notice a bad draw.
//!
//! `pattern` and `format` are taken on trust: the generator writes strings by them.

use std::cell::Cell;

use serde_json::{Map, Value};

use super::merge::referred;

/// Schemas inside each other before one is taken for a circle.
const MOST_DEPTH: u32 = 200;
/// Comparisons before a value is taken on trust: branches that refer to each other multiply.
const MOST_CHECKS: u32 = 200_000;

/// Whether the value fits.
pub(super) fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    check(root, schema, value, 0, &Cell::new(MOST_CHECKS))
}

fn check(root: &Value, schema: &Value, value: &Value, depth: u32, left: &Cell<u32>) -> bool {
    left.set(left.get().saturating_sub(1));
    if left.get() == 0 {
        return true;
    }
    let fields = match schema {
        Value::Bool(fits) => return *fits,
        Value::Object(fields) if depth < MOST_DEPTH => fields,
        _ => return depth < MOST_DEPTH,
    };
    let inner = |schema: &Value, value: &Value| check(root, schema, value, depth + 1, left);
    let list = |name: &str| fields.get(name).and_then(Value::as_array);
    let reference = fields.get("$ref").and_then(Value::as_str);
    reference.is_none_or(|at| referred(root, at).is_some_and(|target| inner(target, value)))
        && fields.get("type").is_none_or(|types| of_type(types, value))
        && fields.get("const").is_none_or(|only| only == value)
        && list("enum").is_none_or(|options| options.contains(value))
        && list("allOf").is_none_or(|all| all.iter().all(|one| inner(one, value)))
        && list("anyOf").is_none_or(|any| any.iter().any(|one| inner(one, value)))
        && list("oneOf").is_none_or(|one| one.iter().filter(|one| inner(one, value)).count() == 1)
        && fields.get("not").is_none_or(|not| !inner(not, value))
        && fits_condition(fields, value, &inner)
        && match value {
            Value::Number(number) => fits_number(fields, number.as_f64().unwrap_or_default()),
            Value::String(text) => within(fields, "Length", text.chars().count()),
            Value::Array(items) => fits_array(fields, items, &inner),
            Value::Object(members) => fits_object(fields, members, &inner),
            _ => true,
        }
}

fn of_type(types: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        Some("number") => value.is_number(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => false,
    };
    types
        .as_array()
        .map_or_else(|| is(types), |types| types.iter().any(is))
}

fn within(fields: &Map<String, Value>, what: &str, size: usize) -> bool {
    let bound = |side: &str| fields.get(&format!("{side}{what}")).and_then(Value::as_f64);
    let size = size as f64;
    bound("min").is_none_or(|min| size >= min) && bound("max").is_none_or(|max| size <= max)
}

fn fits_condition(
    fields: &Map<String, Value>,
    value: &Value,
    inner: &impl Fn(&Value, &Value) -> bool,
) -> bool {
    let Some(condition) = fields.get("if") else {
        return true;
    };
    let branch = if inner(condition, value) {
        "then"
    } else {
        "else"
    };
    fields.get(branch).is_none_or(|branch| inner(branch, value))
}

fn fits_number(fields: &Map<String, Value>, number: f64) -> bool {
    let bound = |name: &str| fields.get(name).and_then(Value::as_f64);
    let flag = |name: &str| fields.get(name) == Some(&Value::Bool(true));
    let low = bound("minimum")
        .is_none_or(|min| number > min || (number == min && !flag("exclusiveMinimum")));
    let high = bound("maximum")
        .is_none_or(|max| number < max || (number == max && !flag("exclusiveMaximum")));
    low && high
        && bound("exclusiveMinimum").is_none_or(|min| number > min)
        && bound("exclusiveMaximum").is_none_or(|max| number < max)
        && bound("multipleOf").is_none_or(|step| {
            let times = number / step;
            (times - times.round()).abs() < 1e-9
        })
}

fn fits_array(
    fields: &Map<String, Value>,
    items: &[Value],
    inner: &impl Fn(&Value, &Value) -> bool,
) -> bool {
    let prefix = ["prefixItems", "items"]
        .into_iter()
        .find_map(|name| fields.get(name)?.as_array());
    let prefix = prefix.map_or(&[][..], Vec::as_slice);
    let rest = fields
        .get("items")
        .filter(|items| !items.is_array())
        .or(fields.get("additionalItems"));
    let unique = fields.get("uniqueItems") != Some(&Value::Bool(true))
        || items
            .iter()
            .enumerate()
            .all(|(index, item)| !items[..index].contains(item));
    let contained = fields.get("contains").is_none_or(|wanted| {
        let least = fields
            .get("minContains")
            .and_then(Value::as_u64)
            .unwrap_or(1);
        items.iter().filter(|item| inner(wanted, item)).count() as u64 >= least
    });
    within(fields, "Items", items.len())
        && unique
        && contained
        && items
            .iter()
            .zip(prefix)
            .all(|(item, schema)| inner(schema, item))
        && rest.is_none_or(|schema| {
            items
                .iter()
                .skip(prefix.len())
                .all(|item| inner(schema, item))
        })
}

fn fits_object(
    fields: &Map<String, Value>,
    members: &Map<String, Value>,
    inner: &impl Fn(&Value, &Value) -> bool,
) -> bool {
    let known = fields.get("properties").and_then(Value::as_object);
    let required = fields.get("required").and_then(Value::as_array);
    let brought = |name: &String| -> bool {
        let others = fields
            .get("dependentRequired")
            .and_then(|all| all.get(name)?.as_array());
        others.is_none_or(|names| {
            names
                .iter()
                .filter_map(Value::as_str)
                .all(|name| members.contains_key(name))
        })
    };
    // names that a pattern may cover are taken on trust, like every pattern
    let others = fields
        .get("additionalProperties")
        .filter(|_| !fields.contains_key("patternProperties"));
    within(fields, "Properties", members.len())
        && required.is_none_or(|names| {
            names
                .iter()
                .filter_map(Value::as_str)
                .all(|name| members.contains_key(name))
        })
        && members.keys().all(brought)
        && members.iter().all(|(name, value)| {
            match known.and_then(|known| known.get(name)).or(others) {
                Some(schema) => inner(schema, value),
                None => true,
            }
        })
}
