//! What a decision maker writes: its schema, and how it is read.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    form::compile,
    references::{id_of, local, rewrite_references},
    verdict::{Candidate, Chosen, Verdict},
};
use crate::{
    Error, ErrorKind, FinishReason, Reply,
    schema::{OffSchema, Schema},
};

/// Where the user's schema stands in the schema of a decision.
const HOME: &str = "#/properties/answer/anyOf/0";

/// What is wanted of a decision maker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Select one answer, or merge several.
    Decide,
    /// Select one answer.
    Select,
    /// Write one answer out of all.
    Synthesize,
}

impl Task {
    /// The schema of the decision about so many candidates whose answers have the user's schema.
    pub(super) fn schema(
        self,
        user: Option<&Schema>,
        candidates: usize,
    ) -> Result<Option<Schema>, Error> {
        match self {
            Self::Synthesize => Ok(user.cloned()),
            Self::Select => compile(select_schema(candidates)).map(Some),
            Self::Decide => compile(decide_schema(user.map(Schema::json), candidates)).map(Some),
        }
    }

    /// Reads a decision. `shown` are the candidates in the order in which they were shown.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`], [`ErrorKind::CutOff`] or [`ErrorKind::OffSchema`]: it says nothing that can be followed.
    pub(super) fn read(
        self,
        reply: &Reply,
        schema: Option<&Schema>,
        shown: &[&Candidate],
    ) -> Result<Verdict, Error> {
        let answer = &reply.answer;
        if answer.is_refusal() {
            let words = answer.refusal.as_deref().unwrap_or("its filter");
            let message = format!("the decision maker declined to decide: {words}");
            return Err(Error::new(ErrorKind::Refused, message));
        }
        if answer.finish_reason == FinishReason::Length {
            let message = "the decision was cut off at its length limit";
            return Err(Error::new(ErrorKind::CutOff, message));
        }
        let Some(schema) = schema else {
            return if answer.text.trim().is_empty() {
                Err(off("it is empty"))
            } else {
                Ok(made(answer.text.clone().into(), Vec::new(), None))
            };
        };
        let value = schema.accept(&answer.text)?;
        match self {
            Self::Synthesize => Ok(made(value, Vec::new(), None)),
            Self::Select => {
                let judged: Selected = serde_json::from_value(value).map_err(off)?;
                let winner = member(shown, judged.winner)?;
                Ok(selected(winner, judged.reason))
            }
            Self::Decide => {
                let decided: Decided = serde_json::from_value(value).map_err(off)?;
                let from = decided.selected.iter().map(|number| member(shown, *number));
                let mut from = from.collect::<Result<Vec<_>, _>>()?;
                match (decided.answer, from.first()) {
                    (Some(answer), _) => {
                        from.sort_unstable();
                        from.dedup();
                        Ok(made(answer, from, Some(decided.reason)))
                    }
                    // the best stands first, and as it is if nothing was merged
                    (None, Some(&best)) => Ok(selected(best, decided.reason)),
                    (None, None) => Err(off("it selects no candidate")),
                }
            }
        }
    }
}

#[derive(Deserialize)]
struct Selected {
    reason: String,
    winner: usize,
}

#[derive(Deserialize)]
struct Decided {
    reason: String,
    selected: Vec<usize>,
    answer: Option<Value>,
}

fn selected(member: usize, reason: String) -> Verdict {
    Verdict {
        chosen: Chosen::Member(member),
        from: vec![member],
        reason: Some(reason),
    }
}

fn made(answer: Value, from: Vec<usize>, reason: Option<String>) -> Verdict {
    Verdict {
        chosen: Chosen::Made(answer),
        from,
        reason,
    }
}

/// The member that was shown under a number.
fn member(shown: &[&Candidate], number: usize) -> Result<usize, Error> {
    let candidate = number.checked_sub(1).and_then(|index| shown.get(index));
    let candidate = candidate.ok_or_else(|| off(format!("there is no candidate {number}")))?;
    Ok(candidate.member)
}

fn off(fault: impl std::fmt::Display) -> Error {
    OffSchema(fault.to_string()).into()
}

/// Numbers as a list: not every provider takes bounds.
fn number(candidates: usize) -> Value {
    let numbers: Vec<usize> = (1..=candidates).collect();
    json!({"type": "integer", "enum": numbers})
}

fn select_schema(candidates: usize) -> Value {
    json!({
        "title": "selection", "type": "object", "additionalProperties": false,
        "required": ["reason", "winner"],
        "properties": {"reason": {"type": "string"}, "winner": number(candidates)},
    })
}

/// The user's schema stands within the decision's. Definitions move to the root under their own names, other references
/// within the user's schema are bent to its new place.
fn decide_schema(user: Option<&Value>, candidates: usize) -> Value {
    let mut answer = user.cloned().unwrap_or_else(|| json!({"type": "string"}));
    let mut hoisted = Map::new();
    if let Value::Object(fields) = &mut answer {
        let id = fields.shift_remove("$id");
        let id = id.as_ref().and_then(Value::as_str).unwrap_or_default();
        for keyword in ["$schema", "$defs", "definitions"] {
            if let Some(value) = fields.shift_remove(keyword) {
                hoisted.insert(keyword.into(), value);
            }
        }
        let moved = |reference: &str| {
            let local = local(reference, id);
            let path = local.strip_prefix('#')?;
            let is_hoisted = path.starts_with("/$defs/") || path.starts_with("/definitions/");
            let stays = is_hoisted || !(path.is_empty() || path.starts_with('/'));
            Some(if stays {
                local.to_owned()
            } else {
                format!("{HOME}{path}")
            })
        };
        rewrite_references(&mut answer, &moved);
        for keyword in ["$defs", "definitions"] {
            let definitions = hoisted.get_mut(keyword).and_then(Value::as_object_mut);
            for definition in definitions.into_iter().flat_map(|map| map.values_mut()) {
                if id_of(definition).is_empty() {
                    rewrite_references(definition, &moved);
                }
            }
        }
    }
    let mut decision = json!({
        "title": "decision", "type": "object", "additionalProperties": false,
        "required": ["reason", "selected", "answer"],
        "properties": {
            "reason": {"type": "string"},
            "selected": {"type": "array", "minItems": 1, "items": number(candidates)},
            "answer": {"anyOf": [answer, {"type": "null"}]},
        },
    });
    if let Value::Object(decision) = &mut decision {
        decision.extend(hoisted);
    }
    decision
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(schema: &Schema, answer: &Value) -> bool {
        let decision = json!({"reason": "", "selected": [2], "answer": answer});
        schema.validate(&decision).is_ok()
    }

    #[test]
    fn references_of_the_users_schema_lead_where_they_led() {
        let leaf = json!({"type": "object", "required": ["n"], "properties": {"n": {"$ref": "#/$defs/n"}}});
        let schemas = [
            json!({"type": "object", "required": ["v"], "additionalProperties": false,
                "properties": {
                    "v": {"$ref": "#/definitions/leaf"}, "w": {"$ref": "#/properties/v"},
                    "more": {"type": "array", "items": {"$ref": "#"}}
                },
                "definitions": {"leaf": leaf}, "$defs": {"n": {"type": "integer"}}}),
            json!({"$id": "https://example.org/tree", "$schema": "http://json-schema.org/draft-07/schema#",
                "type": "object", "required": ["v"], "additionalProperties": false,
                "properties": {
                    "v": {"$ref": "https://example.org/tree#/definitions/leaf"}, "w": {"$ref": "#/properties/v"},
                    "more": {"type": "array", "items": {"$ref": "https://example.org/tree#"}}
                },
                "definitions": {"leaf": leaf}, "$defs": {"n": {"type": "integer"}}}),
        ];
        for user in schemas {
            let schema = compile(decide_schema(Some(&user), 2)).unwrap();
            let good = json!({"v": {"n": 1}, "w": {"n": 2}, "more": [{"v": {"n": 3}, "more": []}]});
            assert!(fits(&schema, &good), "{}", schema.json());
            assert!(fits(&schema, &Value::Null));
            for bad in [
                json!({"v": {"n": "1"}}),
                json!({"v": {"n": 1}, "w": {}}),
                json!({"v": {"n": 1}, "more": [{"v": {}}]}),
                json!({}),
                json!("text"),
            ] {
                assert!(!fits(&schema, &bad), "{bad}");
            }
        }
    }

    #[test]
    fn what_only_looks_like_a_reference_stays() {
        let user = json!({"type": "object", "properties": {
            "$ref": {"type": "string"}, "c": {"const": {"$ref": "#"}}, "enum": {"$ref": "#/properties/c"}}});
        let schema = decide_schema(Some(&user), 2);
        let answer = &schema["properties"]["answer"]["anyOf"][0];
        assert_eq!(answer["properties"]["c"], user["properties"]["c"]);
        assert_eq!(answer["properties"]["$ref"], json!({"type": "string"}));
        let compiled = compile(schema).unwrap();
        assert!(fits(&compiled, &json!({"enum": {"$ref": "#"}})));
        assert!(!fits(&compiled, &json!({"enum": 1})));
    }

    #[test]
    fn only_candidates_that_were_shown_can_be_selected() {
        let schema = compile(decide_schema(None, 2)).unwrap();
        for (selected, good) in [
            (json!([1, 2]), true),
            (json!([3]), false),
            (json!([0]), false),
            (json!([]), false),
        ] {
            let decision = json!({"reason": "", "selected": selected, "answer": "x"});
            assert_eq!(schema.validate(&decision).is_ok(), good, "{decision}");
        }
    }
}
