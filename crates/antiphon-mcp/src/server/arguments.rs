//! Whether the arguments of a call fit what the tool takes, in words that the model which made them can act on.

use antiphon_core::{Error, ErrorKind, schema::Schema};
use serde_json::{Map, Value};

/// The longest name that is compared with those of fields, in bytes: comparing takes the product of both lengths.
const LONGEST_NAME: usize = 64;
/// Names of unknown fields that are told; the others are many of a kind.
const MOST_UNKNOWN: usize = 8;
/// Characters of faults that are told: they repeat what was sent, and that may be a whole document.
const LONGEST_FAULT: usize = 600;

/// What a tool takes.
#[derive(Debug)]
pub(super) struct Arguments {
    schema: Option<Schema>,
    /// The names of its fields, where it takes no others.
    fields: Option<Vec<String>>,
    /// Those that must be there.
    required: Vec<String>,
}

impl Arguments {
    /// Those of this schema. A schema that is none checks nothing: the tool reads its arguments itself, too.
    pub(super) fn of(schema: &Map<String, Value>) -> Self {
        let takes_others = schema.get("additionalProperties") != Some(&Value::Bool(false));
        let properties = schema.get("properties").and_then(Value::as_object);
        let fields = properties.filter(|_| !takes_others);
        let required = schema.get("required").and_then(Value::as_array);
        let required = required.into_iter().flatten().filter_map(Value::as_str);
        Self {
            schema: Schema::new(Value::Object(schema.clone())).ok(),
            fields: fields.map(|fields| fields.keys().cloned().collect()),
            required: required.map(str::to_owned).collect(),
        }
    }

    /// Gives the arguments back where they fit, without those that are null and need not be there: clients that fill in
    /// every field leave them out in this way.
    ///
    /// # Errors
    /// [`ErrorKind::BadRequest`]: what does not fit.
    pub(super) fn check(
        &self,
        tool: &str,
        mut given: Map<String, Value>,
    ) -> Result<Map<String, Value>, Error> {
        let mut faults = Vec::new();
        given.retain(|name, value| !value.is_null() || self.required.contains(name));
        if let Some(fields) = &self.fields {
            given.retain(|name, _| {
                let is_known = fields.contains(name);
                if !is_known && faults.len() < MOST_UNKNOWN {
                    faults.push(unknown(name, fields));
                }
                is_known
            });
        }
        let given = Value::Object(given);
        if let Some(Err(fault)) = self.schema.as_ref().map(|schema| schema.validate(&given)) {
            faults.push(fault.0);
        }
        match given {
            Value::Object(given) if faults.is_empty() => Ok(given),
            _ => {
                let faults = shortened(faults.join("; "));
                let message = format!("the arguments of {tool} do not fit: {faults}");
                Err(Error::new(ErrorKind::BadRequest, message))
            }
        }
    }
}

fn unknown(name: &str, fields: &[String]) -> String {
    let shown = shortened(name.to_owned());
    let nearest = fields
        .iter()
        .filter(|_| name.len() <= LONGEST_NAME)
        .map(|field| (strsim::damerau_levenshtein(name, field), field))
        .filter(|(distance, field)| *distance <= 1 + field.len() / 3)
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((_, field)) => format!("there is no field {shown:?}: {field:?} is near"),
        None => format!(
            "there is no field {shown:?}: the fields are {}",
            fields.join(", ")
        ),
    }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(LONGEST_FAULT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fault(given: Value) -> String {
        let schema = json!({
            "type": "object",
            "properties": {"prompt": {"type": "string"}, "max_tokens": {"type": "integer", "minimum": 1}},
            "required": ["prompt"],
            "additionalProperties": false,
        });
        let arguments = Arguments::of(schema.as_object().unwrap());
        let checked = arguments.check("ask", given.as_object().unwrap().clone());
        checked.map_or_else(
            |error| error.message().to_owned(),
            |given| format!("{given:?}"),
        )
    }

    #[test]
    fn what_fits_is_given_back() {
        assert!(fault(json!({"prompt": "Hi", "max_tokens": 5})).contains("Number(5)"));
    }

    #[test]
    fn null_stands_for_what_is_left_out() {
        let left_out = fault(json!({"prompt": "Hi", "max_tokens": null}));
        assert!(!left_out.contains("max_tokens"), "{left_out}");
        let missing = fault(json!({"prompt": null}));
        assert!(missing.contains("/prompt: null is not of"), "{missing}");
    }

    #[test]
    fn a_slip_is_told_with_the_field_that_was_meant() {
        assert_eq!(
            fault(json!({"promt": "Hi", "prompt": "Hi"})),
            "the arguments of ask do not fit: there is no field \"promt\": \"prompt\" is near"
        );
        let two = fault(json!({"question": "Hi"}));
        assert!(two.contains("the fields are prompt, max_tokens; "), "{two}");
        assert!(two.contains("\"prompt\" is a required property"), "{two}");
    }

    #[test]
    fn a_wrong_value_is_told_with_its_place_and_not_repeated_at_length() {
        let wrong = fault(json!({"prompt": "Hi", "max_tokens": 0}));
        assert!(wrong.contains("/max_tokens: 0 is less than"), "{wrong}");
        let long = fault(json!({"prompt": ["a".repeat(100_000)]}));
        assert!(
            long.contains("/prompt: ") && long.len() < 700,
            "{}",
            long.len()
        );
        let name = "a".repeat(100_000);
        let long = fault(json!({"prompt": "Hi", name: 1}));
        assert!(long.len() < 700, "{}", long.len());
    }

    #[test]
    fn a_million_unknown_fields_are_not_all_told() {
        let arguments = Arguments::of(
            json!({"properties": {"prompt": {}}, "additionalProperties": false})
                .as_object()
                .unwrap(),
        );
        let given = (0..200)
            .map(|number| (format!("f{number}"), json!(1)))
            .collect();
        let fault = arguments.check("ask", given).unwrap_err();
        assert_eq!(
            fault.message().matches("there is no field").count(),
            MOST_UNKNOWN
        );
    }

    #[test]
    fn a_tool_that_takes_any_field_gets_them() {
        let arguments = Arguments::of(json!({"type": "object"}).as_object().unwrap());
        let given = json!({"a": 1}).as_object().unwrap().clone();
        assert_eq!(arguments.check("any", given.clone()).unwrap(), given);
    }
}
