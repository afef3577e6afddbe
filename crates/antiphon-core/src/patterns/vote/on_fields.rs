//! [`VoteOnFields`]: the decider of an ensemble whose members vote field by field.

use serde_json::Value;

use super::{
    FieldVote, VoteError,
    fields::{FieldAgreement, USUAL_SHARE, valid_share, valid_tolerance},
};
use crate::{
    Error, Schema,
    patterns::{
        ensemble::{Candidate, Chosen, Decide, Majority, Verdict},
        plurality::{Group, Open, can_flip, groups, largest},
    },
};

/// Fields whose agreement a reason tells.
const MOST_TOLD: usize = 20;

/// Lets the members of an [`Ensemble`](crate::patterns::ensemble::Ensemble) vote with [`FieldVote`] on the fields of the
/// request's schema.
///
/// - Members that want tools called take no part in a vote on fields. First the members vote on whether to call tools, a tie
///   going to the earliest one; if most want to, it is a [`Majority`] over their calls.
/// - [`Decision::from`](crate::chat::Decision::from) names the members that agree with every field that was voted on, and
///   the reason tells the share that agrees with each: `score 0.8, urgent 1.0`.
/// - The vote is settled as soon as [`FieldVote::can_still_change`] says so.
///
/// ```
/// use std::sync::Arc;
/// use antiphon_core::{SharedModel, patterns::{ensemble::{Decider, Ensemble, EnsembleConfig}, vote::VoteOnFields}};
///
/// # fn example(model: SharedModel) -> Result<(), Box<dyn std::error::Error>> {
/// let vote = VoteOnFields::of(["score", "urgent"]).with_tolerance(1.0)?;
/// let five = Ensemble::samples_of(model, 5, Decider::Vote(Arc::new(vote)), EnsembleConfig::default())?;
/// # drop(five);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct VoteOnFields {
    /// `None` is all.
    only: Option<Vec<String>>,
    tolerance: f64,
    set_share: f64,
}

impl VoteOnFields {
    /// A vote on every field. Without a schema it is a [`Majority`] over whole answers.
    pub fn all() -> Self {
        Self {
            only: None,
            tolerance: 0.0,
            set_share: USUAL_SHARE,
        }
    }

    /// A vote on these fields of an object, as [`FieldVote::with_fields`]. A request whose schema does not have them, or
    /// without a schema, fails with [`ErrorKind::BadRequest`](crate::ErrorKind::BadRequest) before anything is paid.
    pub fn of<N: Into<String>>(fields: impl IntoIterator<Item = N>) -> Self {
        Self {
            only: Some(fields.into_iter().map(Into::into).collect()),
            ..Self::all()
        }
    }

    /// With the difference up to which two numbers agree, as [`FieldVote::with_tolerance`].
    ///
    /// # Errors
    /// It is negative or not a number.
    pub fn with_tolerance(mut self, tolerance: f64) -> Result<Self, VoteError> {
        self.tolerance = valid_tolerance(tolerance)?;
        Ok(self)
    }

    /// With the least share of candidates that must have an element of a set, as [`FieldVote::with_set_share`].
    ///
    /// # Errors
    /// It is out of its bounds.
    pub fn with_set_share(mut self, share: f64) -> Result<Self, VoteError> {
        self.set_share = valid_share(share)?;
        Ok(self)
    }

    /// The vote for this schema; `None` where whole answers are voted on.
    fn fields(&self, schema: Option<&Schema>) -> Result<Option<FieldVote>, VoteError> {
        let vote = match (schema, &self.only) {
            (None, None) => return Ok(None),
            (None, Some(only)) => {
                let fields = only.clone();
                return Err(VoteError::NoSchema { fields });
            }
            (Some(schema), None) => FieldVote::new(schema),
            (Some(schema), Some(only)) => FieldVote::new(schema).with_fields(only.clone())?,
        };
        let vote = vote.with_tolerance(self.tolerance)?;
        vote.with_set_share(self.set_share).map(Some)
    }
}

impl Decide for VoteOnFields {
    fn check(&self, schema: Option<&Schema>) -> Result<(), Error> {
        self.fields(schema)?;
        Ok(())
    }

    fn decide(&self, candidates: &[Candidate], schema: Option<&Schema>) -> Result<Verdict, Error> {
        let Some(vote) = self.fields(schema)? else {
            return Majority.decide(candidates, schema);
        };
        let wish = largest(&wishes(candidates)).map(|group| group.value);
        if wish == Some(Wish::CallTools) {
            let calling = candidates.iter().filter(|one| one.value.is_none());
            let calling: Vec<Candidate> = calling.cloned().collect();
            return Majority.decide(&calling, schema);
        }
        let verdict = vote.decide(&values(candidates))?;
        Ok(Verdict {
            chosen: verdict
                .whole
                .map_or(Chosen::Made(verdict.value), Chosen::Member),
            from: verdict.agreeing,
            reason: Some(told(&verdict.agreement)),
        })
    }

    fn is_settled(&self, done: &[Candidate], open: &[usize], schema: Option<&Schema>) -> bool {
        let Ok(vote) = self.fields(schema) else {
            return false;
        };
        let (Some(vote), Some(may_come)) = (vote, Open::of(open)) else {
            return Majority.is_settled(done, open, schema);
        };
        let wishes = wishes(done);
        let wish = largest(&wishes).map(|group| group.value);
        wish == Some(Wish::Answer)
            && !can_flip(&wishes, true, may_come)
            && !vote.can_still_change(&values(done), open)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Answer,
    CallTools,
}

/// What members want, by how many want it. With a schema an answer has a value, unless it calls tools.
fn wishes(candidates: &[Candidate]) -> Vec<Group<Wish>> {
    let wishes = candidates.iter().map(|one| match one.value {
        Some(_) => (one.member, Wish::Answer),
        None => (one.member, Wish::CallTools),
    });
    groups(wishes, |a, b| a == b)
}

fn values(candidates: &[Candidate]) -> Vec<(usize, Value)> {
    let values = candidates.iter();
    values
        .filter_map(|one| Some((one.member, one.value.clone()?)))
        .collect()
}

/// The share of each field, to two decimals.
fn told(agreement: &[FieldAgreement]) -> String {
    let mut fields: Vec<String> = agreement.iter().take(MOST_TOLD).map(share_of).collect();
    if let Some(more) = agreement
        .len()
        .checked_sub(MOST_TOLD)
        .filter(|more| *more > 0)
    {
        fields.push(format!("and {more} fields more"));
    }
    fields.join(", ")
}

fn share_of(field: &FieldAgreement) -> String {
    let name = match field.path.trim_start_matches('/') {
        "" => "the answer",
        name => name,
    };
    format!("{name} {:?}", (field.share * 100.0).round() / 100.0)
}
