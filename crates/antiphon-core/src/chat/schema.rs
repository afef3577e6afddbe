//! The JSON Schema that an answer must fit.

use std::{fmt, sync::Arc};

use serde_json::Value;

/// Says whether a value fits a schema. The heart names no schema crate; the facade brings the implementation.
pub trait Validate: Send + Sync {
    /// # Errors
    /// What does not fit, in words that a model can act on.
    fn validate(&self, value: &Value) -> Result<(), OffSchema>;
}

/// Why a value does not fit its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffSchema(pub String);

/// A JSON Schema with its validator.
#[derive(Clone)]
pub struct Schema {
    name: Arc<str>,
    json: Arc<Value>,
    validator: Arc<dyn Validate>,
}

impl Schema {
    /// A schema under the name that providers are told (`^[a-zA-Z0-9_-]{1,64}$`).
    pub fn new(name: &str, json: Value, validator: Arc<dyn Validate>) -> Self {
        Self {
            name: name.into(),
            json: Arc::new(json),
            validator,
        }
    }

    /// The name on the wire.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The schema as the user wrote it.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// Checks a value against the full schema.
    ///
    /// # Errors
    /// See [`Validate::validate`].
    pub fn validate(&self, value: &Value) -> Result<(), OffSchema> {
        self.validator.validate(value)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Reads an answer's text as JSON. Models like to wrap it in a Markdown fence, which is forgiven.
///
/// # Errors
/// The text is not JSON; the message says where.
pub fn parse_answer(text: &str) -> Result<Value, OffSchema> {
    let bare = text.trim();
    let bare = match bare.strip_prefix("```") {
        Some(fenced) => fenced
            .trim_start_matches(|c: char| c.is_ascii_alphanumeric())
            .trim_end()
            .trim_end_matches("```"),
        None => bare,
    };
    serde_json::from_str(bare).map_err(|error| OffSchema(format!("not JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_around_json_is_forgiven() {
        for text in [
            "{\"a\":1}",
            "  {\"a\": 1}\n",
            "```json\n{\"a\":1}\n```",
            "```\n{\"a\":1}```",
        ] {
            assert_eq!(parse_answer(text).unwrap()["a"], 1, "{text}");
        }
        assert!(parse_answer("{\"a\":").is_err());
    }
}
