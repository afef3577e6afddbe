//! What is to be embedded.

use serde_json::{Map, Value};

use super::{Ask, Speaker, Turn};
use crate::rejection::Rejection;

/// Inputs of one request, as OpenAI has it.
const MOST_INPUTS: usize = 2048;

impl Ask {
    /// Reads the inputs of a request: texts, or lists of token numbers, each of which stands for itself.
    pub(super) fn of_inputs(model: &str, fields: &Map<String, Value>) -> Result<Self, Rejection> {
        let inputs: Vec<String> = match fields.get("input") {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(items)) if items.iter().all(Value::is_u64) && !items.is_empty() => {
                vec![Value::from(items.clone()).to_string()]
            }
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| {
                    item.as_str()
                        .map_or_else(|| item.to_string(), str::to_owned)
                })
                .collect(),
            _ => Vec::new(),
        };
        if inputs.is_empty() || inputs.iter().any(String::is_empty) {
            return Err(Rejection::invalid(
                "input: a text that is not empty is required",
            ));
        }
        if inputs.len() > MOST_INPUTS {
            return Err(Rejection::invalid(format!(
                "input: {} inputs are more than {MOST_INPUTS}",
                inputs.len()
            )));
        }
        let turns = inputs.iter().map(|text| Turn {
            speaker: Speaker::User,
            text: text.clone(),
        });
        Ok(Self {
            model: model.to_owned(),
            turns: turns.collect(),
            inputs: inputs.clone(),
            ..Self::default()
        })
    }
}
