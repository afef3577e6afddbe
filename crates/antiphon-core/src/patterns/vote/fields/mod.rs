//! [`FieldVote`]: structured answers become one, field by field.

mod agreement;
mod change;
mod elect;
mod number;
mod place;
mod separable;

use serde::Serialize;
use serde_json::Value;

pub use agreement::FieldAgreement;
use agreement::{Leaf, agreeing, most_agreeing};
use elect::Said;
use place::Place;
use separable::is_separable;

use super::VoteError;
use crate::{Schema, schema::OffSchema};

/// Share of the candidates that an element of a set needs.
pub(super) const USUAL_SHARE: f64 = 0.5;

pub(super) fn valid_tolerance(tolerance: f64) -> Result<f64, VoteError> {
    match tolerance >= 0.0 {
        true => Ok(tolerance),
        false => Err(VoteError::BadTolerance(tolerance)),
    }
}

pub(super) fn valid_share(share: f64) -> Result<f64, VoteError> {
    match share > 0.0 && share <= 1.0 {
        true => Ok(share),
        false => Err(VoteError::BadShare(share)),
    }
}

/// Votes on structured answers, each field by its kind, which is read from the schema:
///
/// | kind | vote |
/// |---|---|
/// | enum, const, boolean | most votes |
/// | string | most votes, compared without the white space around it; where all texts differ, the earliest voter's |
/// | integer, number | lower median, always a number that somebody said (3.0 is written 3); numbers of an enum by most votes |
/// | array of scalars with `uniqueItems` or enum items | a set: elements that the share of candidates has, in the order of their first appearance |
/// | other arrays | most frequent length, then item by item among the lists of that length |
/// | object | property by property; an optional one by most votes on whether it is there |
/// | null | most votes on null or not, as on any choice of types |
///
/// **Ties** go to the candidate with the lowest number, so neither speed nor the order of the list matters. The result
/// fits the schema: where the fields' winners do not fit together, it is the one candidate that agrees with most of them.
/// Candidates that do not fit the schema abstain.
///
/// ```
/// use antiphon_core::{Schema, patterns::vote::FieldVote};
/// use serde_json::json;
///
/// let schema = Schema::new(json!({
///     "type": "object", "required": ["urgent", "score"],
///     "properties": {"urgent": {"type": "boolean"}, "score": {"type": "integer"}}
/// })).unwrap();
/// let verdict = FieldVote::new(&schema).with_tolerance(1.0).unwrap().decide(&[
///     (0, json!({"urgent": false, "score": 7})),
///     (1, json!({"urgent": true, "score": 8})),
///     (2, json!({"urgent": true, "score": 2})),
/// ]).unwrap();
/// assert_eq!(verdict.value, json!({"urgent": true, "score": 7}));
/// assert_eq!(verdict.agreement[1].share, 2.0 / 3.0);
/// ```
#[derive(Clone, Debug)]
pub struct FieldVote {
    schema: Schema,
    tolerance: f64,
    set_share: f64,
    only: Option<Vec<String>>,
    separable: bool,
}

/// What the candidates elected.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldVerdict {
    /// The result; it fits the schema.
    pub value: Value,
    /// How many candidates agree with the result, field by field, in its order.
    pub agreement: Vec<FieldAgreement>,
    /// Candidates that agree with the result in every field that was voted on.
    pub agreeing: Vec<usize>,
    /// The candidate whose whole answer is the result, because the fields' winners did not fit the schema together.
    pub whole: Option<usize>,
    /// Candidates that had no vote: they do not fit the schema.
    pub abstained: Vec<usize>,
}

impl FieldVote {
    /// A vote on answers that fit this schema.
    pub fn new(schema: &Schema) -> Self {
        Self {
            schema: schema.clone(),
            tolerance: 0.0,
            set_share: USUAL_SHARE,
            only: None,
            separable: is_separable(schema.json()),
        }
    }

    /// With the difference up to which two numbers agree, in the unit of the numbers. It does not change the median, but
    /// the agreement that is told.
    ///
    /// # Errors
    /// It is negative or not a number.
    pub fn with_tolerance(mut self, tolerance: f64) -> Result<Self, VoteError> {
        self.tolerance = valid_tolerance(tolerance)?;
        Ok(self)
    }

    /// With the least share of candidates that must have an element of a set, above 0 and at most 1. The usual 0.5 lets an
    /// element in that exactly half of them have.
    ///
    /// # Errors
    /// It is out of its bounds.
    pub fn with_set_share(mut self, share: f64) -> Result<Self, VoteError> {
        self.set_share = valid_share(share)?;
        Ok(self)
    }

    /// With a vote on these fields of an object only. All others are those of the candidate that agrees with most of the
    /// winners.
    ///
    /// # Errors
    /// The schema has no such field; no field is named.
    pub fn with_fields<N: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = N>,
    ) -> Result<Self, VoteError> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let known = Place::root(self.schema.json()).property_names();
        let unknown = names.iter().find(|name| !known.contains(&name.as_str()));
        if unknown.is_some() || names.is_empty() {
            return Err(VoteError::UnknownField {
                name: unknown.cloned().unwrap_or_default(),
                known: known.into_iter().map(str::to_owned).collect(),
            });
        }
        self.only = Some(names);
        Ok(self)
    }

    /// The result of these candidates. Each comes with its voter's number, by which ties are decided; the order of the list
    /// does not matter.
    ///
    /// # Errors
    /// There is no candidate, or none that fits the schema: then the error says for each what does not fit.
    pub fn decide(&self, candidates: &[(usize, Value)]) -> Result<FieldVerdict, VoteError> {
        if candidates.is_empty() {
            return Err(VoteError::NoCandidates);
        }
        let (votes, mut faults) = self.valid(candidates);
        if votes.is_empty() {
            faults.sort_by_key(|(voter, _)| *voter);
            return Err(VoteError::NoValidCandidate { faults });
        }
        let mut value = self.combine(&votes).ok_or(VoteError::NoCandidates)?;
        let mut leaves = self.leaves(&value, &votes);
        let mut whole = None;
        if self.schema.validate(&value).is_err() {
            let (best, _) = most_agreeing(&leaves, votes.len());
            whole = Some(votes[best].0);
            value = votes[best].1.clone();
            leaves = self.leaves(&value, &votes);
        }
        let mut abstained: Vec<usize> = faults.into_iter().map(|(voter, _)| voter).collect();
        abstained.sort_unstable();
        Ok(FieldVerdict {
            value,
            agreement: leaves.iter().map(Leaf::told).collect(),
            agreeing: agreeing(&leaves, votes.len())
                .map(|at| votes[at].0)
                .collect(),
            whole,
            abstained,
        })
    }

    /// The candidates that fit, in the order of their numbers, and what does not fit of the others.
    fn valid<'a>(&self, candidates: &'a [(usize, Value)]) -> (Vec<Said<'a>>, Vec<(usize, String)>) {
        let mut votes: Vec<Said<'_>> = Vec::new();
        let mut faults = Vec::new();
        for (voter, value) in candidates {
            match self.schema.validate(value) {
                Ok(()) => votes.push((*voter, value)),
                Err(OffSchema(fault)) => faults.push((*voter, fault)),
            }
        }
        votes.sort_by_key(|(voter, _)| *voter);
        (votes, faults)
    }

    /// The fields' winners together, whether they fit the schema or not.
    fn combine(&self, votes: &[Said<'_>]) -> Option<Value> {
        let root = Place::root(self.schema.json());
        let objects: Vec<Said<'_>> = votes
            .iter()
            .copied()
            .filter(|(_, v)| v.is_object())
            .collect();
        let only = match &self.only {
            Some(only) if !objects.is_empty() => only,
            _ => return self.elect(&root, votes),
        };
        let elected = only.iter().map(|name| {
            let value = self.elect_property(&root, &objects, name);
            (name, value)
        });
        let elected: Vec<_> = elected.collect();
        let wanted = elected.iter().cloned();
        let wanted = wanted.filter_map(|(name, value)| Some((name.clone(), value?)));
        let leaves = self.leaves(&Value::Object(wanted.collect()), &objects);
        let (base, _) = most_agreeing(&leaves, objects.len());
        let mut result = objects[base].1.as_object()?.clone();
        for (name, value) in elected {
            match value {
                Some(value) => drop(result.insert(name.clone(), value)),
                None => drop(result.shift_remove(name)),
            }
        }
        Some(Value::Object(result))
    }

    /// Which of the candidates agree with each field that is voted on.
    fn leaves(&self, result: &Value, votes: &[Said<'_>]) -> Vec<Leaf> {
        let root = Place::root(self.schema.json());
        let mut leaves = Vec::new();
        let said: Vec<Option<&Value>> = votes.iter().map(|(_, value)| Some(*value)).collect();
        match (&self.only, result) {
            (Some(only), Value::Object(object)) => {
                for name in only {
                    let said: Vec<_> = votes.iter().map(|(_, value)| value.get(name)).collect();
                    let path = agreement::below_root(name);
                    let place = root.property(name);
                    self.compare(&place, &path, object.get(name), &said, &mut leaves);
                }
            }
            _ => self.compare(&root, "", Some(result), &said, &mut leaves),
        }
        leaves
    }
}
