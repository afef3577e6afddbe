//! An answer as a value of a type.

use serde::de::DeserializeOwned;

use super::Reply;
use crate::{Error, ErrorKind, Schema, schema::OffSchema};

/// A value that a model answered, with the reply it was read from.
#[derive(Clone, Debug)]
pub struct Object<T> {
    /// The value.
    pub value: T,
    /// The whole reply: usage, attempts, the text itself.
    pub reply: Reply,
}

impl<T: DeserializeOwned> Object<T> {
    /// Reads the value of a reply to a request with this schema.
    ///
    /// # Errors
    /// [`ErrorKind::OffSchema`]: the answer calls tools, or does not read as a `T`, which may ask for more than the
    /// schema says. What it has used is told all the same.
    pub fn read(schema: &Schema, reply: Reply) -> Result<Self, Error> {
        match value(schema, &reply) {
            Ok(value) => Ok(Self { value, reply }),
            Err(OffSchema(fault)) => {
                let message = format!("the answer does not fit its type: {fault}");
                let error = Error::new(ErrorKind::OffSchema, message)
                    .with_status(reply.head.status)
                    .with_attempts(reply.head.attempts)
                    .with_spent(reply.spent());
                Err(error.with_body(reply.answer.body))
            }
        }
    }
}

fn value<T: DeserializeOwned>(schema: &Schema, reply: &Reply) -> Result<T, OffSchema> {
    if let Some(call) = reply.answer.tool_calls.first() {
        return Err(OffSchema(format!("it calls the tool {:?}", call.name)));
    }
    let value = schema.read(reply.text())?;
    serde_json::from_value(value).map_err(|error| OffSchema(error.to_string()))
}

impl<T> AsRef<Reply> for Object<T> {
    fn as_ref(&self) -> &Reply {
        &self.reply
    }
}

impl AsRef<Self> for Reply {
    fn as_ref(&self) -> &Self {
        self
    }
}
