//! JSON Schemas in the subset that each provider accepts.
//!
//! Users write any schema; the full one validates the answer. What goes on the wire is the nearest schema that the
//! provider takes: everything it leaves out is checked afterwards, so leaving out is safe and refusing is not needed.
//! The rules are data ([`Subset`]); sources: wire-formats.md, sections 1 and 4.

mod references;
mod rewrite;

use antiphon_core::Error;
use serde_json::Value;

use super::wire::bad_request;

use rewrite::Rewrite;

/// What a provider accepts.
#[derive(Debug)]
struct Subset {
    /// Keywords that stay; others go into the description, where the model can read them.
    keywords: &'static [&'static str],
    /// String formats that stay.
    formats: Option<&'static [&'static str]>,
    /// The largest `minItems`.
    most_min_items: u64,
    /// Whether each property must be required: optional ones then take null.
    all_required: bool,
    /// Whether `allOf` must be merged and `$ref` stand alone.
    plain: bool,
}

static OPENAI: Subset = Subset {
    keywords: &[
        "type",
        "title",
        "description",
        "enum",
        "const",
        "anyOf",
        "$ref",
        "$defs",
        "definitions",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "pattern",
        "format",
        "multipleOf",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minItems",
        "maxItems",
    ],
    formats: None,
    most_min_items: u64::MAX,
    all_required: true,
    plain: true,
};

static ANTHROPIC: Subset = Subset {
    keywords: &[
        "type",
        "title",
        "description",
        "enum",
        "const",
        "anyOf",
        "allOf",
        "$ref",
        "$defs",
        "definitions",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "format",
        "minItems",
    ],
    formats: Some(&[
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "uri",
        "ipv4",
        "ipv6",
        "uuid",
    ]),
    most_min_items: 1,
    all_required: false,
    plain: false,
};

/// A schema for OpenAI's wire.
#[derive(Debug)]
pub(super) struct OpenAiSchema {
    pub(super) schema: Value,
    /// False where strict mode cannot express the schema (an object with free property names); the schema is then the
    /// user's own, and validation does the rest.
    pub(super) strict: bool,
}

/// The schema for strict mode.
///
/// # Errors
/// [`antiphon_core::ErrorKind::BadRequest`]: the root is no object, or a `$ref` leads nowhere.
pub(super) fn for_openai(schema: &Value) -> Result<OpenAiSchema, Error> {
    let mut rewrite = Rewrite::new(&OPENAI, schema);
    let strict = rewrite.root()?;
    if !is_object(&strict) {
        return Err(bad_request(
            "the root of the schema is not an object; structured output needs `\"type\": \"object\"` there",
        ));
    }
    Ok(match rewrite.open_object() {
        None => OpenAiSchema {
            schema: strict,
            strict: true,
        },
        Some(_) => OpenAiSchema {
            schema: schema.clone(),
            strict: false,
        },
    })
}

/// The schema for `output_config.format`.
///
/// # Errors
/// [`antiphon_core::ErrorKind::BadRequest`]: a `$ref` leads nowhere, or an object has free property names, of which the
/// answer could have none.
pub(super) fn for_anthropic(schema: &Value) -> Result<Value, Error> {
    let mut rewrite = Rewrite::new(&ANTHROPIC, schema);
    let own = rewrite.root()?;
    match rewrite.open_object() {
        None => Ok(own),
        Some(path) => Err(bad_request(format!(
            "the object at `{path}` of the schema has free property names, which structured output cannot express"
        ))),
    }
}

fn is_object(schema: &Value) -> bool {
    schema["type"] == "object"
        || (schema.get("properties").is_some() && schema.get("anyOf").is_none())
}

#[cfg(test)]
mod tests;
