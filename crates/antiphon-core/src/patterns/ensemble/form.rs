//! The form of an answer: what members are asked to write, and how it is read back into the user's own form.

use serde_json::{Value, json};

use super::{config::EnsembleError, reasoning, verdict::Candidate};
use crate::{
    Error, ErrorKind, Reply,
    schema::{InvalidSchema, OffSchema, Schema},
};

/// The property that holds a text beside its reasoning.
const TEXT: &str = "answer";

/// What the user asked for, and what members are asked for.
#[derive(Debug)]
pub(super) struct Form {
    /// The user's schema.
    pub(super) schema: Option<Schema>,
    /// The property for reasoning, and the members' schema with it.
    reasoned: Option<(String, Schema)>,
}

impl Form {
    /// # Errors
    /// [`EnsembleError::SchemaNotObject`], or a schema that is none once it has the field for reasoning.
    pub(super) fn new(schema: Option<&Schema>, pass_reasoning: bool) -> Result<Self, Error> {
        if schema.is_some_and(|schema| !reasoning::is_object(schema.json())) {
            return Err(EnsembleError::SchemaNotObject.into());
        }
        let text = json!({
            "title": TEXT, "type": "object", "additionalProperties": false,
            "required": [TEXT], "properties": {TEXT: {"type": "string"}},
        });
        let reasoned = match pass_reasoning {
            false => None,
            true => {
                let plain = schema.map_or(&text, Schema::json);
                let (field, json) = reasoning::with_field(plain);
                Some((field, compile(json)?))
            }
        };
        Ok(Self {
            schema: schema.cloned(),
            reasoned,
        })
    }

    /// The schema that members get.
    pub(super) fn asked(&self) -> Option<&Schema> {
        match &self.reasoned {
            Some((_, schema)) => Some(schema),
            None => self.schema.as_ref(),
        }
    }

    /// Reads the answer of the member with this number.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`], [`ErrorKind::CutOff`] or [`ErrorKind::OffSchema`]: it cannot be put up for decision.
    pub(super) fn read(&self, member: usize, reply: &Reply) -> Result<Candidate, Error> {
        let answer = &reply.answer;
        answer.not_refused()?;
        let Some(schema) = self.asked().filter(|_| answer.tool_calls.is_empty()) else {
            return Ok(Candidate::of(member, reply, answer.text.clone()));
        };
        answer.complete()?;
        let mut value = schema.read(&answer.text)?;
        let reasoning = self.reasoned.as_ref().and_then(|(field, _)| {
            let reasoning = value.as_object_mut()?.shift_remove(field)?;
            reasoning.as_str().map(str::to_owned)
        });
        let mut candidate = Candidate::of(member, reply, String::new());
        candidate.reasoning = reasoning;
        match &self.schema {
            Some(schema) => {
                schema.validate(&value)?;
                candidate.text = value.to_string();
                candidate.value = Some(value);
            }
            None => {
                schema_of_text(&value)?.clone_into(&mut candidate.text);
            }
        }
        Ok(candidate)
    }
}

fn schema_of_text(value: &Value) -> Result<&str, OffSchema> {
    let text = value.get(TEXT).and_then(Value::as_str);
    text.ok_or_else(|| OffSchema(format!("{TEXT:?} is not a text")))
}

pub(super) fn compile(json: Value) -> Result<Schema, Error> {
    Schema::new(json).map_err(|InvalidSchema(fault)| {
        let message = format!("the schema cannot be used in an ensemble: {fault}");
        Error::new(ErrorKind::BadRequest, message)
    })
}
