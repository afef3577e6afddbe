//! JSON Schemas of users, compiled and checked with the `jsonschema` crate, which no other module names.

use std::sync::Arc;

use antiphon_core::chat::{OffSchema, Schema, Validate};
use antiphon_providers::dialects::remove_added_nulls;
use serde_json::Value;

/// Faults of an answer that are told at once.
const MOST_FAULTS: usize = 5;

struct Compiled {
    json: Value,
    validator: jsonschema::Validator,
}

impl Validate for Compiled {
    fn validate(&self, value: &Value) -> Result<(), OffSchema> {
        let faults: Vec<String> = self
            .validator
            .iter_errors(value)
            .take(MOST_FAULTS)
            .map(|error| match error.instance_path().to_string().as_str() {
                "" => error.to_string(),
                path => format!("{path}: {error}"),
            })
            .collect();
        if faults.is_empty() {
            Ok(())
        } else {
            Err(OffSchema(faults.join("; ")))
        }
    }

    fn clean(&self, answer: &mut Value) {
        remove_added_nulls(&self.json, answer);
    }
}

/// Compiles a schema. Its name on the wire is its `title`, made fit, or `answer`.
///
/// # Errors
/// It is not a valid JSON Schema; the message says why.
pub fn compile(json: Value) -> Result<Schema, String> {
    let validator = jsonschema::validator_for(&json).map_err(|error| error.to_string())?;
    let title = json
        .get("title")
        .and_then(Value::as_str)
        .unwrap_or("answer");
    let name: String = title
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .take(64)
        .collect();
    let name = if name.is_empty() { "answer" } else { &name };
    let compiled = Compiled {
        json: json.clone(),
        validator,
    };
    Ok(Schema::new(name, json, Arc::new(compiled)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn faults_are_told_with_their_place() {
        let schema = compile(json!({
            "title": "Über review",
            "type": "object",
            "required": ["score"],
            "properties": {"score": {"type": "integer", "maximum": 10}}
        }))
        .unwrap();
        assert_eq!(schema.name(), "_ber_review");
        assert!(schema.validate(&json!({"score": 7})).is_ok());
        let OffSchema(fault) = schema.validate(&json!({"score": 11})).unwrap_err();
        assert!(fault.starts_with("/score: "), "{fault}");
        assert!(compile(json!({"type": "nonsense"})).is_err());
    }

    #[test]
    fn nulls_that_strict_mode_made_the_model_write_are_taken_out() {
        let schema = compile(json!({
            "type": "object",
            "required": ["a"],
            "properties": {"a": {"type": ["string", "null"]}, "b": {"type": "integer"}}
        }))
        .unwrap();
        let value = schema.read("{\"a\": null, \"b\": null}").unwrap();
        assert_eq!(value, json!({"a": null}));
        assert_eq!(schema.validate(&value), Ok(()));
    }
}
