//! References and combinations that a provider wants resolved.

use antiphon_core::{
    Error,
    schema::reading::{required, resolve},
};
use serde_json::{Map, Value};

use crate::dialects::wire::bad_request;

/// What the `$ref` of a schema names, with the reference itself.
///
/// # Errors
/// [`antiphon_core::ErrorKind::BadRequest`]: it leads nowhere within the schema.
pub(super) fn target<'a>(
    root: &'a Value,
    fields: &Map<String, Value>,
) -> Result<Option<(String, &'a Value)>, Error> {
    let Some(Value::String(reference)) = fields.get("$ref") else {
        return Ok(None);
    };
    match resolve(root, reference) {
        Some(target) => Ok(Some((reference.clone(), target))),
        None => Err(bad_request(format!(
            "the schema has no `{reference}` to refer to"
        ))),
    }
}

/// Replaces a `$ref` by what it names, its siblings laid over it. `open` holds references that are being inlined: within
/// themselves they stay references, or a recursive schema would have no end.
///
/// Returns the reference that was inlined.
///
/// # Errors
/// As [`target`].
pub(super) fn inline(
    root: &Value,
    fields: &mut Map<String, Value>,
    open: &[String],
) -> Result<Option<String>, Error> {
    let Some((reference, target)) = target(root, fields)? else {
        return Ok(None);
    };
    if open.contains(&reference) {
        fields.retain(|keyword, _| keyword == "$ref");
        return Ok(None);
    }
    fields.shift_remove("$ref");
    if let Value::Object(target) = target {
        let mut whole = target.clone();
        whole.extend(std::mem::take(fields));
        *fields = whole;
    }
    Ok(Some(reference))
}

/// Merges the entries of `allOf` into the schema that holds them. References among them are inlined.
///
/// # Errors
/// As [`target`].
pub(super) fn merge_all_of(
    root: &Value,
    fields: &mut Map<String, Value>,
    open: &mut Vec<String>,
) -> Result<(), Error> {
    let Some(Value::Array(entries)) = fields.shift_remove("allOf") else {
        return Ok(());
    };
    for entry in entries {
        let Value::Object(mut entry) = entry else {
            continue;
        };
        if let Some(reference) = inline(root, &mut entry, open)? {
            open.push(reference);
        }
        merge_all_of(root, &mut entry, open)?;
        merge(fields, entry);
    }
    Ok(())
}

/// Properties and required names are united; of other keywords the outer one stands.
fn merge(fields: &mut Map<String, Value>, entry: Map<String, Value>) {
    for (keyword, value) in entry {
        match (keyword.as_str(), fields.get_mut(&keyword), value) {
            (
                "properties" | "$defs" | "definitions",
                Some(Value::Object(own)),
                Value::Object(more),
            ) => {
                for (name, schema) in more {
                    own.entry(name).or_insert(schema);
                }
            }
            ("required", Some(Value::Array(_)), Value::Array(more)) => {
                let known: Vec<String> = required(fields).map(str::to_owned).collect();
                if let Some(Value::Array(own)) = fields.get_mut("required") {
                    own.extend(more.into_iter().filter(|name| {
                        !name
                            .as_str()
                            .is_some_and(|name| known.iter().any(|k| k == name))
                    }));
                }
            }
            (_, Some(_), _) => {}
            (_, None, value) => drop(fields.insert(keyword, value)),
        }
    }
}
