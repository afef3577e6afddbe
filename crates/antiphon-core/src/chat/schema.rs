//! The JSON Schema that an answer must fit.

use std::{fmt, sync::Arc};

use serde_json::Value;

/// Says whether a value fits a schema. The heart names no schema crate; the facade brings the implementation.
pub trait Validate: Send + Sync {
    /// # Errors
    /// What does not fit, in words that a model can act on.
    fn validate(&self, value: &Value) -> Result<(), OffSchema>;

    /// Takes out of an answer what only the wire's form of the schema asked for: nulls of optional properties. It runs
    /// before [`Self::validate`]; a schema that goes on the wire as it is needs none of it.
    fn clean(&self, answer: &mut Value) {
        let _as_it_is = answer;
    }
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

    /// The value of an answer's text, in the user's form of the schema: what [`Self::validate`] judges and the user gets.
    ///
    /// # Errors
    /// The text is not JSON; the message says where, in words that a model can act on.
    pub fn read(&self, text: &str) -> Result<Value, OffSchema> {
        let mut value = parse_answer(text)?;
        self.validator.clean(&mut value);
        Ok(value)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Reads an answer's text as JSON: without surrounding white space and, if there is one, its Markdown fence, which models
/// like to add.
///
/// # Errors
/// The text is not JSON; the message says where.
pub fn parse_answer(text: &str) -> Result<Value, OffSchema> {
    let text = text.trim();
    let inner = text
        .strip_prefix("```")
        .and_then(|rest| rest.strip_suffix("```"))
        .and_then(|fenced| fenced.split_once('\n'))
        .filter(|(language, _)| matches!(language.trim(), "" | "json" | "JSON"))
        .map_or(text, |(_, inner)| inner);
    serde_json::from_str(inner).map_err(|error| OffSchema(format!("it is not valid JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_fence_around_json_is_forgiven() {
        for text in [
            "{\"a\":1}",
            "  {\"a\": 1}\n",
            "```json\n{\"a\":1}\n```",
            "```\n{\"a\":1}```\n",
        ] {
            assert_eq!(parse_answer(text), Ok(json!({"a": 1})), "{text}");
        }
        for text in [
            "",
            "{\"a\":",
            "```json",
            "```",
            "```python\n1\n```",
            "{\"a\": 1} and more",
        ] {
            assert!(parse_answer(text).is_err(), "{text}");
        }
    }

    struct NoNullB;

    impl Validate for NoNullB {
        fn validate(&self, value: &Value) -> Result<(), OffSchema> {
            match value.get("b") {
                Some(Value::Null) => Err(OffSchema("b is null".to_owned())),
                _ => Ok(()),
            }
        }

        fn clean(&self, answer: &mut Value) {
            if let Some(fields) = answer.as_object_mut() {
                fields.retain(|_, value| !value.is_null());
            }
        }
    }

    #[test]
    fn an_answer_is_cleaned_before_it_is_judged() {
        let schema = Schema::new("s", json!({}), Arc::new(NoNullB));
        let value = schema.read("{\"a\": 1, \"b\": null}").unwrap();
        assert_eq!(value, json!({"a": 1}));
        assert_eq!(schema.validate(&value), Ok(()));
    }
}
