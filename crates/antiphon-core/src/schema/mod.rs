//! The JSON Schema that an answer must fit.

mod bounds;
mod nulls;
pub mod reading;
mod size;

use std::{fmt, sync::Arc};

use jsonschema::{ValidationError, error::ValidationErrorKind};
use schemars::JsonSchema;
use serde_json::Value;

use nulls::remove_added_nulls;
pub(crate) use size::most_tokens;

use crate::{Error, ErrorKind};

/// Faults of an answer that are told at once.
const MOST_FAULTS: usize = 5;
/// Bytes of the values that are named where another one stands.
const LONGEST_CHOICE: usize = 400;
/// Bytes of a wrong value that are repeated: of a long one the fault would be told far behind it.
const LONGEST_VALUE: usize = 200;

/// Why a value does not fit its schema, in words that a model can act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffSchema(pub String);

impl fmt::Display for OffSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OffSchema {}

impl From<OffSchema> for Error {
    fn from(OffSchema(fault): OffSchema) -> Self {
        let message = format!("the answer does not fit its schema: {fault}");
        Self::new(ErrorKind::OffSchema, message)
    }
}

/// A text that was taken for a JSON Schema and is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSchema(pub String);

impl fmt::Display for InvalidSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidSchema {}

/// A JSON Schema with its compiled validator. Clones share both.
///
/// The validator is the `jsonschema` crate, which no other module names.
#[derive(Clone)]
pub struct Schema {
    name: Arc<str>,
    json: Arc<Value>,
    most_tokens: Option<u64>,
    validator: Arc<jsonschema::Validator>,
}

impl Schema {
    /// Compiles a schema. Its name on the wire is its `title`, made fit (`^[a-zA-Z0-9_-]{1,64}$`), or `answer`.
    ///
    /// # Errors
    /// It is not a valid JSON Schema, or its references make more of it than can be judged by; the message says why.
    pub fn new(json: Value) -> Result<Self, InvalidSchema> {
        bounds::check(&json).map_err(InvalidSchema)?;
        let validator =
            jsonschema::validator_for(&json).map_err(|error| InvalidSchema(error.to_string()))?;
        let title = json.get("title").and_then(Value::as_str);
        Ok(Self {
            name: wire_name(title.unwrap_or_default()).into(),
            most_tokens: most_tokens(&json),
            json: Arc::new(json),
            validator: Arc::new(validator),
        })
    }

    /// The schema of a type.
    ///
    /// # Errors
    /// The type's own `JsonSchema` writes something that is no schema.
    pub fn of<T: JsonSchema>() -> Result<Self, InvalidSchema> {
        Self::new(schemars::schema_for!(T).to_value())
    }

    /// The name on the wire.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The schema as the user wrote it.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// An upper bound of the tokens it has on any wire; `None` where references multiply beyond measure.
    pub fn most_tokens(&self) -> Option<u64> {
        self.most_tokens
    }

    /// Checks a value against the full schema.
    ///
    /// # Errors
    /// What does not fit: the first few faults, each with its place.
    pub fn validate(&self, value: &Value) -> Result<(), OffSchema> {
        let faults: Vec<String> = self
            .validator
            .iter_errors(value)
            .take(MOST_FAULTS)
            .map(|error| match error.instance_path().to_string().as_str() {
                "" => told(&error),
                path => format!("{path}: {}", told(&error)),
            })
            .collect();
        if faults.is_empty() {
            Ok(())
        } else {
            Err(OffSchema(faults.join("; ")))
        }
    }

    /// The value of an answer's text, in the user's form of the schema: what [`Self::validate`] judges and the user gets.
    /// Nulls of optional properties, which only the wire's strict form of the schema asked for, are taken out.
    ///
    /// # Errors
    /// The text is not JSON; the message says where, in words that a model can act on.
    pub fn read(&self, text: &str) -> Result<Value, OffSchema> {
        let mut value = parse_answer(text)?;
        remove_added_nulls(&self.json, &mut value);
        Ok(value)
    }

    /// The value of an answer's text, read and judged.
    ///
    /// # Errors
    /// As [`Self::read`] and [`Self::validate`].
    pub fn accept(&self, text: &str) -> Result<Value, OffSchema> {
        let value = self.read(text)?;
        self.validate(&value)?;
        Ok(value)
    }
}

/// What is wrong with a value, which is not repeated where it is long. Of the values that may stand there all are named,
/// unless they are very many: whoever reads this picks one.
fn told(error: &ValidationError<'_>) -> String {
    let value = error.instance().to_string();
    let is_long = value.len() > LONGEST_VALUE;
    let value = if is_long { "the value" } else { &value };
    if let ValidationErrorKind::Enum { options } = error.kind() {
        let options = options.as_array().into_iter().flatten();
        let options: Vec<String> = options.map(Value::to_string).collect();
        let options = options.join(", ");
        if options.len() <= LONGEST_CHOICE {
            return format!("{value} is not one of {options}");
        }
    }
    match is_long {
        true => error.masked_with(value).to_string(),
        false => error.to_string(),
    }
}

fn wire_name(title: &str) -> String {
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
    if name.is_empty() {
        "answer".to_owned()
    } else {
        name
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
    serde_json::from_str(unfenced(text))
        .map_err(|error| OffSchema(format!("it is not valid JSON: {error}")))
}

/// The text of an answer in JSON without surrounding white space and, if there is one, its Markdown fence.
pub fn unfenced(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix("```")
        .and_then(|rest| rest.strip_suffix("```"))
        .and_then(|fenced| fenced.split_once('\n'))
        .filter(|(language, _)| matches!(language.trim(), "" | "json" | "JSON"))
        .map_or(text, |(_, inner)| inner.trim())
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
        assert_eq!(unfenced(" ```json\n{}\n\n```"), "{}");
        assert_eq!(unfenced(" {} ``` "), "{} ```");
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

    #[test]
    fn faults_are_told_with_their_place() {
        let schema = Schema::new(json!({
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
        assert!(Schema::new(json!({"type": "nonsense"})).is_err());
    }

    #[test]
    fn a_long_value_does_not_hide_its_fault() {
        let schema = json!({"properties": {"documents": {"maxItems": 2}}});
        let schema = Schema::new(schema).unwrap();
        let documents = vec!["a long document ".repeat(100); 3];
        let wrong = json!({ "documents": documents });
        let OffSchema(fault) = schema.validate(&wrong).unwrap_err();
        assert_eq!(fault, "/documents: the value has more than 2 items");
    }

    #[test]
    fn all_values_that_may_stand_there_are_named() {
        let fault = |schema: Value| {
            let OffSchema(fault) = Schema::new(schema)
                .unwrap()
                .validate(&json!("e"))
                .unwrap_err();
            fault
        };
        assert_eq!(
            fault(json!({"enum": ["a", "b", "c", "d"]})),
            "\"e\" is not one of \"a\", \"b\", \"c\", \"d\""
        );
        let many: Vec<String> = (0..1_000).map(|i| i.to_string()).collect();
        let fault = fault(json!({"enum": many}));
        assert!(fault.contains("998 other"), "{fault}");
    }

    #[test]
    fn nulls_that_strict_mode_made_the_model_write_are_taken_out() {
        let schema = Schema::new(json!({
            "type": "object",
            "required": ["a"],
            "properties": {"a": {"type": ["string", "null"]}, "b": {"type": "integer"}}
        }))
        .unwrap();
        let value = schema.read("{\"a\": null, \"b\": null}").unwrap();
        assert_eq!(value, json!({"a": null}));
        assert_eq!(schema.validate(&value), Ok(()));
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Verdict {
        /// Between 1 and 10.
        #[schemars(range(min = 1, max = 10))]
        score: u8,
    }

    #[test]
    fn a_type_has_a_schema() {
        let schema = Schema::of::<Verdict>().unwrap();
        assert_eq!(schema.name(), "Verdict");
        assert!(schema.validate(&json!({"score": 10})).is_ok());
        assert!(schema.validate(&json!({"score": 11})).is_err());
    }
}
