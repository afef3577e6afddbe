//! Stopping a field-wise vote early: never wrong, and exact for enums and booleans.

use antiphon_core::{Schema, patterns::vote::FieldVote};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::vote_fields::{answers, rich};

fn choices() -> FieldVote {
    let schema = json!({
        "type": "object",
        "required": ["color", "inner"],
        "additionalProperties": false,
        "properties": {
            "color": {"enum": ["red", "green", "blue"]},
            "inner": {"type": "object", "required": ["ok"], "additionalProperties": false,
                "properties": {"ok": {"type": "boolean"}, }}
        }
    });
    FieldVote::new(&Schema::new(schema).unwrap())
}

fn choice(at: usize) -> Value {
    let color = ["red", "green", "blue"][at % 3];
    json!({"color": color, "inner": {"ok": at >= 3}})
}

type Numbered<T> = Vec<(usize, T)>;

/// A share of the voters is heard; the others follow, or fail.
fn heard<T: Clone + std::fmt::Debug + 'static>(
    answers: impl Strategy<Value = T> + 'static,
    most: usize,
    most_open: usize,
) -> impl Strategy<Value = (Numbered<T>, Numbered<T>)> {
    prop::collection::vec((answers, any::<bool>()), 1..=most).prop_map(move |all| {
        let mut left = most_open;
        let numbered = all.into_iter().enumerate();
        let (done, open): (Vec<_>, Vec<_>) = numbered.partition(|(_, (_, heard))| {
            let is_open = !heard && left > 0;
            left -= usize::from(is_open);
            !is_open
        });
        let plain = |all: Vec<(usize, (T, bool))>| {
            all.into_iter()
                .map(|(voter, (answer, _))| (voter, answer))
                .collect()
        };
        (plain(done), plain(open))
    })
}

/// The results of all that the open voters can do: each gives one of the answers, or fails.
fn results(
    fields: &FieldVote,
    done: &[(usize, Value)],
    open: &[usize],
    answers: &[Value],
) -> Vec<Option<Value>> {
    let ways = answers.len() + 1;
    let all = 0..ways.pow(u32::try_from(open.len()).unwrap());
    all.map(|way| {
        let mut candidates = done.to_vec();
        let mut rest = way;
        for voter in open {
            if let Some(answer) = answers.get(rest % ways) {
                candidates.push((*voter, answer.clone()));
            }
            rest /= ways;
        }
        fields.decide(&candidates).ok().map(|verdict| verdict.value)
    })
    .collect()
}

fn differ(results: &[Option<Value>]) -> bool {
    results.iter().any(|result| *result != results[0])
}

/// A schema of one kind and a few of its answers.
fn kinds() -> Vec<(Value, Vec<Value>)> {
    let of = |schema: Value, answers: Value| (schema, answers.as_array().unwrap().clone());
    let sets = json!({"type": "array", "uniqueItems": true, "items": {"type": "string"}});
    let optional = json!({"type": "object", "additionalProperties": false, "properties": {"x": {"type": "boolean"}}});
    vec![
        of(sets, json!([[], ["a"], ["a", "b"], ["b", "a"]])),
        of(optional, json!([{}, {"x": true}, {"x": false}])),
        of(json!({"type": "object"}), json!([{}, {"x": 1}, {"y": 1}])),
        of(
            json!({"anyOf": [{"type": "boolean"}, {"type": "null"}]}),
            json!([null, true, false]),
        ),
        of(
            json!({"type": ["string", "integer"]}),
            json!(["a", "b", 1, 2]),
        ),
        of(
            json!({"type": "array", "items": {"type": "integer"}}),
            json!([[], [1], [2], [1, 2]]),
        ),
        of(json!({"type": "integer"}), json!([1, 2, 3])),
        of(json!({"type": "string"}), json!(["a", "b", "c"])),
        of(json!({"const": "a"}), json!(["a"])),
        of(
            json!({"type": "integer", "enum": [1, 2.0, 0.5]}),
            json!([1, 2, 2.0]),
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn for_enums_and_booleans_it_is_exact((done, open) in heard(0usize..6, 6, 3)) {
        let fields = choices();
        let done: Vec<_> = done.into_iter().map(|(voter, at)| (voter, choice(at))).collect();
        let open: Vec<usize> = open.into_iter().map(|(voter, _)| voter).collect();
        let answers: Vec<Value> = (0..6).map(choice).collect();
        let results = results(&fields, &done, &open, &answers);
        prop_assert_eq!(fields.can_still_change(&done, &open), differ(&results));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn for_each_kind_it_can_be_relied_on((done, open) in heard(0usize..12, 7, 2), kind in 0usize..10, alike in 0usize..12) {
        let (schema, answers) = kinds().swap_remove(kind);
        let fields = FieldVote::new(&Schema::new(schema).unwrap());
        // answers that are all different settle nothing: let many be alike
        let pick = |at: usize| answers[if at < 6 { alike } else { at } % answers.len()].clone();
        let done: Vec<_> = done.into_iter().map(|(voter, at)| (voter, pick(at))).collect();
        let open: Vec<usize> = open.into_iter().map(|(voter, _)| voter).collect();
        let results = results(&fields, &done, &open, &answers);
        prop_assert!(fields.can_still_change(&done, &open) || !differ(&results), "{:?}", results);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_cannot_change_does_not(
        (done, open) in heard(answers(), 9, 9),
        same in prop::option::weighted(0.7, answers()),
        constrained: bool,
        named: bool,
        failing in prop::collection::vec(any::<bool>(), 9),
    ) {
        let mut fields = FieldVote::new(&Schema::new(rich(constrained)).unwrap());
        if named {
            fields = fields.with_fields(["color", "score"]).unwrap();
        }
        // answers that differ in everything settle nothing: let most be equal
        let done: Vec<_> = done
            .into_iter()
            .enumerate()
            .map(|(at, (voter, answer))| match &same {
                Some(same) if at % 5 != 4 => (voter, same.clone()),
                _ => (voter, answer),
            })
            .collect();
        let numbers: Vec<usize> = open.iter().map(|(voter, _)| *voter).collect();
        if !fields.can_still_change(&done, &numbers) {
            let late = open.into_iter().filter(|(voter, _)| !failing[*voter]);
            let all: Vec<_> = done.iter().cloned().chain(late).collect();
            let value = |candidates: &[(usize, Value)]| fields.decide(candidates).ok().map(|verdict| verdict.value);
            prop_assert_eq!(value(&done), value(&all));
        }
    }
}

#[test]
fn a_settled_vote_on_every_kind_is_seen() {
    let answer = json!({"color": "red", "ok": true, "score": 3, "ratio": 0.5, "note": null,
        "tags": ["t1", "t2"], "steps": [1, 2], "who": {"color": "blue"}});
    let fields = FieldVote::new(&Schema::new(rich(false)).unwrap());
    let done = |count: usize| -> Vec<(usize, Value)> {
        (0..count).map(|voter| (voter, answer.clone())).collect()
    };
    assert!(fields.can_still_change(&done(2), &[2, 3, 4]));
    assert!(!fields.can_still_change(&done(3), &[3, 4]));
    assert!(fields.can_still_change(&[], &[0]));
    assert!(!fields.can_still_change(&done(1), &[]));
    let tied = FieldVote::new(&Schema::new(rich(true)).unwrap());
    assert!(
        tied.can_still_change(&done(3), &[3, 4]),
        "too careful, and said so"
    );
}
