//! Arguments and results as types: their schemas are what clients are told.
//!
//! The schemas are plain. A client that meets something it does not know often drops the tool without a word, or all tools
//! of the server (anthropics/claude-code issues 4886, 58747 and 88049): no references, no `anyOf` or `oneOf` in arguments,
//! no lists of types for what may be left out, no schema that is `true`, and an object at the root of both.

use antiphon_core::{Error, ErrorKind};
use schemars::{
    JsonSchema, Schema,
    generate::{Contract, SchemaSettings},
    transform::RecursiveTransform,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// The schema of a tool's arguments.
pub(super) fn input_of<T: JsonSchema>() -> Map<String, Value> {
    let mut fields = schema_of::<T>(Contract::Deserialize);
    // what may be left out is not asked for as null too; null is taken all the same
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(without_null);
    }
    fields
}

/// The schema of a tool's result.
pub(super) fn output_of<T: JsonSchema>() -> Map<String, Value> {
    schema_of::<T>(Contract::Serialize)
}

/// The arguments of a call.
///
/// # Errors
/// [`ErrorKind::BadRequest`]: they do not fit, with what is wrong.
pub(super) fn arguments<T: DeserializeOwned>(mut fields: Map<String, Value>) -> Result<T, Error> {
    fields.values_mut().for_each(whole_numbers);
    serde_json::from_value(Value::Object(fields)).map_err(|error| refused(error.to_string()))
}

/// Arguments that cannot be used.
pub(super) fn refused(why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::BadRequest, format!("arguments: {why}"))
}

/// # Errors
/// It says nothing.
pub(super) fn check_prompt(name: &str, text: &str) -> Result<(), Error> {
    match text.trim().is_empty() {
        true => Err(refused(format!("{name} is empty: say what is asked"))),
        false => Ok(()),
    }
}

/// # Errors
/// It leaves no room for an answer.
pub(super) fn check_max_tokens(cap: Option<u64>) -> Result<(), Error> {
    match cap {
        Some(0) => Err(refused("max_tokens is 0; leave it out for no limit")),
        _ => Ok(()),
    }
}

/// A result as clients get it.
///
/// # Errors
/// Never for the types here.
pub(super) fn result<T: Serialize>(value: &T) -> Result<Value, Error> {
    serde_json::to_value(value)
        .map_err(|error| Error::new(ErrorKind::BadResponse, error.to_string()))
}

fn schema_of<T: JsonSchema>(contract: Contract) -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.contract = contract;
    });
    let plain = RecursiveTransform(plain as fn(&mut Schema));
    let settings = settings.with_transform(plain);
    let schema = settings.into_generator().into_root_schema_for::<T>();
    match schema.to_value() {
        Value::Object(mut fields) => {
            // the tool has a description of its own
            fields.shift_remove("description");
            fields
        }
        // a type whose schema is `true`
        _ => Map::new(),
    }
}

/// Takes out what says nothing to a model and disturbs some validators: names of Rust types and of their numbers.
fn plain(schema: &mut Schema) {
    for keyword in ["$schema", "title", "format", "default"] {
        schema.remove(keyword);
    }
    if let Some(Value::String(words)) = schema.get_mut("description") {
        // lines end where the source's do
        *words = words.replace('\n', " ");
    }
    // an enum whose cases are described one by one
    let cases = schema.get("oneOf").and_then(Value::as_array);
    let words = cases.and_then(|cases| {
        let word = |case: &Value| case.get("const").cloned();
        cases.iter().map(word).collect::<Option<Vec<_>>>()
    });
    if let Some(words) = words {
        schema.remove("oneOf");
        schema.insert("type".to_owned(), "string".into());
        schema.insert("enum".to_owned(), words.into());
    }
}

fn without_null(schema: &mut Value) {
    let Value::Object(fields) = schema else {
        return;
    };
    if let Some(Value::Array(types)) = fields.get_mut("type") {
        types.retain(|one| one != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            fields.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(words)) = fields.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    let is_null = |one: &Value| one.get("type").is_some_and(|kind| kind == "null");
    if let Some(Value::Array(ways)) = fields.get_mut("anyOf") {
        ways.retain(|way| !is_null(way));
        if let [Value::Object(only)] = ways.as_slice() {
            let only = only.clone();
            fields.shift_remove("anyOf");
            for (keyword, value) in only {
                fields.entry(keyword).or_insert(value);
            }
        }
    }
}

/// Some clients write 5 as 5.0.
fn whole_numbers(value: &mut Value) {
    if let Some(number) = value.as_f64().filter(|_| value.is_f64())
        && number.fract() == 0.0
        && (0.0..=9e15).contains(&number)
    {
        *value = Value::from(number as u64);
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read from JSON only")]
    struct Arguments {
        /// How
        /// many.
        #[schemars(range(min = 1, max = 9))]
        number: u64,
        /// Which.
        kind: Option<Kind>,
        /// Names.
        names: Option<Vec<String>>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        /// The one.
        One,
        /// The other.
        Other,
    }

    #[test]
    fn arguments_are_told_plainly() {
        let told = Value::Object(input_of::<Arguments>());
        let expected = json!({
            "type": "object",
            "properties": {
                "number": {"description": "How many.", "type": "integer", "minimum": 1, "maximum": 9},
                "kind": {"description": "Which.", "type": "string", "enum": ["one", "other"]},
                "names": {"description": "Names.", "type": "array", "items": {"type": "string"}},
            },
            "required": ["number"],
            "additionalProperties": false,
        });
        assert_eq!(told, expected);
    }

    #[test]
    fn arguments_are_read_as_clients_write_them() {
        let read = |value: Value| match value {
            Value::Object(fields) => arguments::<Arguments>(fields),
            _ => unreachable!("it is an object"),
        };
        let said = read(json!({"number": 5.0, "kind": null, "names": null})).unwrap();
        assert_eq!((said.number, said.kind.is_none()), (5, true));
        for (wrong, names) in [
            (json!({"number": 1, "knd": "one"}), "knd"),
            (json!({"number": 1.5}), "1.5"),
            (json!({"kind": "one"}), "number"),
            (json!({"number": 1, "kind": "third"}), "third"),
        ] {
            let error = read(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadRequest);
            assert!(error.message().contains(names), "{error}");
        }
    }
}
