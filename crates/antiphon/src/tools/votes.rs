//! Votes of an ensemble, counted for people.

use antiphon_core::{ChatRequest, Fingerprint, Schema, chat::Member, patterns::vote::FieldVote};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// How many members gave an answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct VoteCount {
    /// The answer, as the first of them wrote it.
    text: String,
    /// How many.
    votes: usize,
    /// Which, from 0.
    members: Vec<usize>,
}

/// How many members agree with one field of the result.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Agreement {
    /// The field, as a JSON pointer: `/score`.
    field: String,
    /// The share of the answers that have what the result has there, from 0 to 1.
    share: f64,
}

/// Equal answers together, most votes first, of equally many the earliest. Texts are equal but for white space around them,
/// values however they are written: what counts as equal is what [`Majority`](antiphon_core::patterns::ensemble::Majority)
/// counts together.
pub(super) fn votes(members: &[Member], schema: Option<&Schema>) -> Vec<VoteCount> {
    let mut counts: Vec<(Fingerprint, VoteCount)> = Vec::new();
    for (index, text) in answers(members) {
        let value = schema.and_then(|schema| schema.read(text).ok());
        let value = value.unwrap_or_else(|| Value::from(text.trim()));
        let print = Fingerprint::of(
            &[],
            &ChatRequest::new(Vec::new()).with_param("answer", value),
        );
        match counts.iter_mut().find(|(known, _)| *known == print) {
            Some((_, count)) => {
                count.votes += 1;
                count.members.push(index);
            }
            None => {
                let count = VoteCount {
                    text: text.trim().to_owned(),
                    votes: 1,
                    members: vec![index],
                };
                counts.push((print, count));
            }
        }
    }
    let mut counts: Vec<VoteCount> = counts.into_iter().map(|(_, count)| count).collect();
    // stable: the earliest stands first
    counts.sort_by_key(|count| std::cmp::Reverse(count.votes));
    counts
}

/// Agreement by field, as the vote counts it; `None` where there was nothing to vote on.
pub(super) fn agreement(members: &[Member], schema: &Schema) -> Option<Vec<Agreement>> {
    let values: Vec<(usize, Value)> = answers(members)
        .filter_map(|(index, text)| Some((index, schema.read(text).ok()?)))
        .collect();
    let verdict = FieldVote::new(schema).decide(&values).ok()?;
    let fields = verdict.agreement.into_iter();
    Some(
        fields
            .map(|field| Agreement {
                field: field.path,
                share: field.share,
            })
            .collect(),
    )
}

fn answers(members: &[Member]) -> impl Iterator<Item = (usize, &str)> {
    let members = members.iter().enumerate();
    members
        .filter(|(_, member)| member.error.is_none())
        .filter_map(|(index, member)| Some((index, member.text.as_deref()?)))
}

#[cfg(test)]
mod tests {
    use antiphon_core::{Error, ErrorKind, Spent};
    use serde_json::json;

    use super::*;

    fn said(text: &str) -> Member {
        Member::answered("m", Some(text.to_owned()), Spent::answer(None))
    }

    #[test]
    fn equal_answers_are_counted_and_failures_are_not() {
        let failed = Member::failed("m", &Error::new(ErrorKind::Timeout, "too slow"));
        let members = [
            said("no"),
            said(" yes\n"),
            failed,
            said("yes"),
            said("maybe"),
        ];
        let counted = serde_json::to_value(votes(&members, None)).unwrap();
        assert_eq!(
            counted,
            json!([
                {"text": "yes", "votes": 2, "members": [1, 3]},
                {"text": "no", "votes": 1, "members": [0]},
                {"text": "maybe", "votes": 1, "members": [4]},
            ])
        );
    }

    #[test]
    fn values_are_equal_however_they_are_written() {
        let schema = Schema::new(json!({
            "type": "object", "required": ["a", "b"],
            "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}},
        }));
        let schema = schema.unwrap();
        let members = [
            said("{\"a\":1,\"b\":true}"),
            said("{\"b\": true, \"a\": 1.0}"),
            said("{\"a\":1,\"b\":false}"),
        ];
        let counted = votes(&members, Some(&schema));
        assert_eq!(counted[0].members, [0, 1]);
        let agreement = agreement(&members, &schema).unwrap();
        let told = serde_json::to_value(agreement).unwrap();
        assert_eq!(
            told,
            json!([{"field": "/a", "share": 1.0}, {"field": "/b", "share": 2.0 / 3.0}])
        );
    }
}
