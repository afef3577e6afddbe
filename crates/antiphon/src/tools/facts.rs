//! Arguments and results as types: their schemas are what clients are told.

use antiphon_core::{Error, ErrorKind};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// The schema of a type, without references: some clients do not follow them.
pub(super) fn schema_of<T: JsonSchema>() -> Map<String, Value> {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    let schema = settings.into_generator().into_root_schema_for::<T>();
    match schema.to_value() {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The arguments of a call.
///
/// # Errors
/// [`ErrorKind::BadRequest`]: they do not fit, with what is wrong.
pub(super) fn arguments<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, Error> {
    serde_json::from_value(Value::Object(fields))
        .map_err(|error| Error::new(ErrorKind::BadRequest, format!("arguments: {error}")))
}

/// A result as clients get it.
///
/// # Errors
/// Never for the types here.
pub(super) fn result<T: Serialize>(value: &T) -> Result<Value, Error> {
    serde_json::to_value(value)
        .map_err(|error| Error::new(ErrorKind::BadResponse, error.to_string()))
}
