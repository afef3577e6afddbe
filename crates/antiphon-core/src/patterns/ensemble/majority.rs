//! [`Majority`]: the answer that most members gave.

use serde_json::Value;

use super::verdict::{Candidate, Chosen, Decide, Verdict};
use crate::{
    ChatRequest, Error, Fingerprint, Schema,
    patterns::plurality::{Group, Open, can_flip, groups, largest},
};

/// The vote over whole answers. Structured answers are equal if their values are, in whatever order their fields stand;
/// texts are equal but for white space around them. Of answers with equally many votes the earliest member's wins.
///
/// The vote is settled as soon as no other answer can win. Which of several spellings of the winner is taken may then
/// depend on who was heard: the earliest member's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Majority;

impl Decide for Majority {
    fn decide(&self, candidates: &[Candidate], _: Option<&Schema>) -> Result<Verdict, Error> {
        let ballots = ballots(candidates);
        let winner = largest(&ballots);
        let most = winner.map_or(0, |group| group.votes);
        let from: Vec<usize> = candidates
            .iter()
            .filter(|candidate| winner.is_some_and(|group| group.value == ballot(candidate)))
            .map(|candidate| candidate.member)
            .collect();
        Ok(Verdict {
            // without candidates nobody is asked to decide
            chosen: Chosen::Member(from.first().copied().unwrap_or_default()),
            reason: Some(format!("{most} of {} agree", candidates.len())),
            from,
        })
    }

    fn is_settled(&self, done: &[Candidate], open: &[usize], _: Option<&Schema>) -> bool {
        Open::of(open).is_none_or(|open| !can_flip(&ballots(done), true, open))
    }
}

fn ballots(candidates: &[Candidate]) -> Vec<Group<Fingerprint>> {
    let ballots = candidates.iter().map(|one| (one.member, ballot(one)));
    groups(ballots, |a, b| a == b)
}

/// Equal for equal answers: the fingerprint's canonical form sorts fields and writes numbers in one way.
fn ballot(candidate: &Candidate) -> Fingerprint {
    let answer = match &candidate.value {
        Some(value) => value.clone(),
        None => Value::from(candidate.text.trim()),
    };
    let calls = candidate.tool_calls.iter().map(|call| {
        // ids are drawn anew for each answer
        let arguments = serde_json::from_str(&call.arguments);
        let arguments = arguments.unwrap_or_else(|_| Value::from(call.arguments.as_str()));
        Value::from(vec![Value::from(call.name.as_str()), arguments])
    });
    let ballot = ChatRequest::new(Vec::new())
        .with_param("answer", answer)
        .with_param("calls", calls.collect());
    Fingerprint::of(&["ballot"], &ballot)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{FinishReason, chat::ToolCall};

    fn candidate(member: usize, text: &str, value: Option<Value>) -> Candidate {
        Candidate {
            member,
            text: text.to_owned(),
            value,
            reasoning: None,
            tool_calls: Vec::new(),
            finish_reason: FinishReason::Stop,
        }
    }

    fn winner(candidates: &[Candidate]) -> (Chosen, Vec<usize>) {
        let verdict = Majority.decide(candidates, None).unwrap();
        (verdict.chosen, verdict.from)
    }

    #[test]
    fn equal_answers_are_counted_together_however_they_are_written() {
        let values = [
            json!({"a": 1, "b": 2}),
            json!({"a": 1, "b": 3}),
            json!({"b": 2, "a": 1.0}),
        ];
        let candidates: Vec<_> = values
            .into_iter()
            .zip([0, 2, 5])
            .map(|(value, member)| candidate(member, &value.to_string(), Some(value)))
            .collect();
        assert_eq!(winner(&candidates), (Chosen::Member(0), vec![0, 5]));
        let texts = ["no", " yes\n", "yes"];
        let candidates: Vec<_> = (0..)
            .zip(texts)
            .map(|(member, text)| candidate(member, text, None))
            .collect();
        assert_eq!(winner(&candidates), (Chosen::Member(1), vec![1, 2]));
    }

    #[test]
    fn calls_of_tools_are_votes_too_without_their_ids() {
        let calling = |member, id: &str, arguments: &str| Candidate {
            tool_calls: vec![ToolCall {
                id: id.to_owned(),
                name: "look".to_owned(),
                arguments: arguments.to_owned(),
            }],
            ..candidate(member, "", None)
        };
        let candidates = [
            calling(0, "a", "{\"x\": 2}"),
            calling(1, "b", "{\"x\": 1}"),
            calling(2, "c", "{\"x\":1}"),
        ];
        assert_eq!(winner(&candidates), (Chosen::Member(1), vec![1, 2]));
    }

    proptest! {
        #[test]
        fn nobody_has_more_votes_than_the_winner_and_no_equal_came_earlier(answers in prop::collection::vec(0u8..4, 1..12)) {
            let candidates: Vec<_> = answers.iter().enumerate().map(|(member, answer)| candidate(member, &answer.to_string(), None)).collect();
            let (chosen, from) = winner(&candidates);
            let count = |answer: u8| answers.iter().filter(|other| **other == answer).count();
            let first = from[0];
            prop_assert_eq!(chosen, Chosen::Member(first));
            prop_assert_eq!(from.len(), count(answers[first]));
            for (member, answer) in answers.iter().enumerate() {
                prop_assert!(count(*answer) < from.len() || (count(*answer) == from.len() && member >= first));
            }
        }

        #[test]
        fn it_is_settled_exactly_when_no_answers_can_change_it(answers in prop::collection::vec((0u8..3, any::<bool>()), 1..7)) {
            let open: Vec<usize> = (0..answers.len()).filter(|member| answers[*member].1).take(4.min(answers.len() - 1)).collect();
            let of = |member: usize, answer: usize| candidate(member, &answer.to_string(), None);
            let heard = answers.iter().enumerate().filter(|(member, _)| !open.contains(member));
            let done: Vec<_> = heard.map(|(member, (answer, _))| of(member, usize::from(*answer))).collect();
            let text = |candidates: &[Candidate]| {
                let Chosen::Member(member) = winner(candidates).0 else { unreachable!("it makes no answer") };
                candidates.iter().find(|one| one.member == member).unwrap().text.clone()
            };
            // each may give an answer that is there, one that nobody gave so far, or none
            let completions = (0..5usize.pow(u32::try_from(open.len()).unwrap())).map(|mut way| {
                let mut all = done.clone();
                for member in &open {
                    if way % 5 < 4 {
                        all.push(of(*member, way % 5));
                    }
                    way /= 5;
                }
                all.sort_by_key(|one| one.member);
                text(&all)
            });
            let changes = completions.into_iter().any(|other| other != text(&done));
            prop_assert_eq!(Majority.is_settled(&done, &open, None), !changes);
        }
    }
}
