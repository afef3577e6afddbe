//! Field by field: each kind by its own vote, and the whole always fits the schema.

use antiphon_core::{
    Schema,
    patterns::vote::{FieldVerdict, FieldVote, VoteError},
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn vote(schema: &Value) -> FieldVote {
    FieldVote::new(&Schema::new(schema.clone()).unwrap())
}

fn numbered(candidates: &Value) -> Vec<(usize, Value)> {
    let candidates = candidates.as_array().unwrap().iter().cloned();
    candidates.enumerate().collect()
}

fn decide(schema: &Value, candidates: &Value) -> FieldVerdict {
    vote(schema).decide(&numbered(candidates)).unwrap()
}

#[test]
fn each_kind_has_its_vote() {
    let color = json!({"enum": ["red", "green", "blue"]});
    let by_reference = json!({"$ref": "#/$defs/level", "$defs": {"level": {"enum": [1, 5, 9]}}});
    let maybe = json!({"anyOf": [{"type": "integer"}, {"type": "null"}]});
    let tags = json!({"type": "array", "items": {"enum": ["a", "b", "c", "d"]}});
    let lists = json!({"type": "array", "items": {"type": "integer"}});
    let objects = json!({"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "boolean"}},
        "required": ["x"]});
    for (schema, candidates, result) in [
        (&color, json!(["red", "blue", "blue"]), json!("blue")),
        // a tie: the earliest voter's
        (
            &color,
            json!(["green", "red", "red", "green"]),
            json!("green"),
        ),
        (
            &json!({"type": "boolean"}),
            json!([true, false, true]),
            json!(true),
        ),
        // not the median 5
        (&by_reference, json!([1, 9, 5, 9]), json!(9)),
        (
            &json!({"type": "integer"}),
            json!([7, 1000, 8, 2]),
            json!(7),
        ),
        (
            &json!({"type": "number"}),
            json!([0.5, 0.7, 0.1]),
            json!(0.5),
        ),
        (
            &json!({"type": "string"}),
            json!(["Rome", "Bern", " Bern\n"]),
            json!("Bern"),
        ),
        (
            &json!({"type": "string"}),
            json!(["one", "two", "three"]),
            json!("one"),
        ),
        (&maybe, json!([null, 3, null]), json!(null)),
        (&maybe, json!([null, 3, 5]), json!(3)),
        (&maybe, json!([null, 3]), json!(null)),
        (
            &tags,
            json!([["b", "a"], ["c", "a"], ["a", "b", "d"]]),
            json!(["b", "a"]),
        ),
        (
            &tags,
            json!([["a", "a"], ["a", "a"], ["b"]]),
            json!(["a", "a"]),
        ),
        (
            &json!({"type": "array", "uniqueItems": true}),
            json!([[2, 1], [1.0], [3]]),
            json!([1]),
        ),
        (&lists, json!([[1, 2], [3], [5, 9]]), json!([1, 2])),
        (&lists, json!([[1, 2], [3, 4], [5, 9]]), json!([3, 4])),
        (&lists, json!([[], [3], []]), json!([])),
        (
            &objects,
            json!([{"x": 1, "y": true}, {"x": 2}, {"x": 4}]),
            json!({"x": 2}),
        ),
        (
            &objects,
            json!([{"x": 1, "y": true}, {"x": 2}, {"x": 4, "y": true}]),
            json!({"x": 2, "y": true}),
        ),
    ] {
        let verdict = decide(schema, &candidates);
        assert_eq!(verdict.value, result, "{candidates}");
        assert_eq!(verdict.whole, None);
    }
}

#[test]
fn agreement_is_told_field_by_field() {
    let schema = json!({"type": "object", "properties": {
        "score": {"type": "integer"},
        "note": {"type": "string"},
        "tags": {"type": "array", "uniqueItems": true, "items": {"type": "string"}},
        "people": {"type": "array", "items": {"type": "object", "properties": {"a/b": {"type": "boolean"}}}}}});
    let candidates = numbered(&json!([
        {"score": 5, "tags": ["x", "y"], "people": [{"a/b": true}]},
        {"score": 6, "tags": ["y", "x"], "people": [{"a/b": false}]},
        {"score": 7, "tags": ["x"], "people": [{"a/b": true}]},
        {"score": 90, "tags": ["x", "y"], "people": [], "note": "?"},
    ]));
    let verdict = vote(&schema)
        .with_tolerance(1.0)
        .unwrap()
        .decide(&candidates)
        .unwrap();
    assert_eq!(
        verdict.value,
        json!({"score": 6, "tags": ["x", "y"], "people": [{"a/b": true}]})
    );
    let told: Vec<_> = verdict
        .agreement
        .iter()
        .map(|field| (field.path.as_str(), field.share))
        .collect();
    assert_eq!(
        told,
        [
            ("/score", 0.75),
            ("/tags", 0.75),
            ("/people/0/a~1b", 0.5),
            ("/note", 0.75)
        ]
    );
}

#[test]
fn sets_follow_their_share() {
    let schema = json!({"type": "array", "items": {"enum": ["a", "b", "c"]}});
    let candidates = numbered(&json!([["a", "b"], ["b"], ["b", "c"], ["c", "b"]]));
    for (share, result) in [
        (0.25, json!(["a", "b", "c"])),
        (0.5, json!(["b", "c"])),
        (0.51, json!(["b"])),
        (1.0, json!(["b"])),
    ] {
        let verdict = vote(&schema)
            .with_set_share(share)
            .unwrap()
            .decide(&candidates);
        assert_eq!(verdict.unwrap().value, result, "{share}");
    }
}

#[test]
fn winners_that_do_not_fit_together_give_way_to_one_whole_answer() {
    let schema = json!({"type": "object", "required": ["low", "parts"], "properties": {
        "low": {"type": "boolean"},
        "parts": {"type": "array", "items": {"enum": ["a", "b", "c", "d"]}, "minItems": 1}}});
    let verdict = decide(
        &schema,
        &json!([
            {"low": false, "parts": ["a"]},
            {"low": true, "parts": ["b"]},
            {"low": true, "parts": ["c"]},
        ]),
    );
    assert_eq!(verdict.value, json!({"low": true, "parts": ["b"]}));
    assert_eq!(verdict.whole, Some(1));
    assert_eq!(verdict.agreement[1].share, 1.0 / 3.0);
}

#[test]
fn other_fields_are_those_of_the_candidate_that_agrees_most() {
    let schema = json!({"type": "object", "properties": {
        "label": {"enum": ["x", "y"]}, "sure": {"type": "boolean"}, "why": {"type": "string"}}});
    let candidates = numbered(&json!([
        {"label": "x", "sure": true, "why": "0"},
        {"label": "y", "sure": false, "why": "1"},
        {"label": "y", "sure": true, "why": "2"},
    ]));
    let fields = vote(&schema).with_fields(["label", "sure"]).unwrap();
    let verdict = fields.decide(&candidates).unwrap();
    assert_eq!(verdict.value, candidates[2].1);
    let paths: Vec<_> = verdict.agreement.iter().map(|field| &*field.path).collect();
    assert_eq!(paths, ["/label", "/sure"]);
    let error = vote(&schema).with_fields(["lable"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the schema has no field `lable` to vote on: it has label, sure, why"
    );
}

#[test]
fn bad_input_is_refused_with_words_to_act_on() {
    let schema = json!({"type": "integer"});
    let fields = vote(&schema);
    assert_eq!(fields.decide(&[]), Err(VoteError::NoCandidates));
    let verdict = fields.decide(&[(4, json!("x")), (2, json!(7)), (1, json!(null))]);
    assert_eq!(verdict.unwrap().abstained, [1, 4]);
    let error = fields
        .decide(&[(4, json!("x")), (2, json!("y"))])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "no answer fits the schema: answer 2: \"y\" is not of type \"integer\"; \
         answer 4: \"x\" is not of type \"integer\""
    );
    assert!(vote(&schema).with_tolerance(f64::NAN).is_err());
    assert!(vote(&schema).with_set_share(0.0).is_err());
}

/// A schema of every kind, with and without constraints over several fields.
pub(crate) fn rich(constrained: bool) -> Value {
    let mut schema = json!({
        "type": "object",
        "required": ["color", "ok", "score", "tags", "who"],
        "additionalProperties": false,
        "properties": {
            "color": {"$ref": "#/$defs/color"},
            "ok": {"type": "boolean"},
            "score": {"type": "integer", "minimum": 0},
            "ratio": {"type": "number"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "tags": {"type": "array", "uniqueItems": true, "items": {"type": "string"}},
            "steps": {"type": "array", "items": {"type": "integer"}},
            "who": {"type": "object", "required": ["color"], "properties": {"color": {"$ref": "#/$defs/color"}}}
        },
        "$defs": {"color": {"type": "string", "enum": ["red", "green", "blue"]}}
    });
    if constrained {
        schema["properties"]["tags"]["minItems"] = json!(1);
        schema["allOf"] = json!([{
            "if": {"properties": {"ok": {"const": true}}},
            "then": {"properties": {"color": {"const": "green"}}, "required": ["note"]}
        }]);
    }
    schema
}

/// Answers of a few values, so that they often agree; not all fit the constraints.
pub(crate) fn answers() -> impl Strategy<Value = Value> {
    let color = prop::sample::select(vec!["red", "green", "blue"]);
    let tags = prop::sample::subsequence(vec!["t1", "t2", "t3"], 0..=3).prop_shuffle();
    let note = prop_oneof![Just(json!(null)), Just(json!("n1")), Just(json!("n2"))];
    (
        color.clone(),
        any::<bool>(),
        0u8..3,
        prop::option::of(0u8..3),
        prop::option::of(note),
        tags,
        prop::option::of(prop::collection::vec(0u8..2, 0..3)),
        color,
    )
        .prop_map(|(color, ok, score, ratio, note, tags, steps, who)| {
            let mut answer = json!({"color": color, "ok": ok, "score": score, "tags": tags, "who": {"color": who}});
            let ratio = ratio.map(|ratio| json!(f64::from(ratio) + 0.5));
            for (name, value) in [("ratio", ratio), ("note", note), ("steps", steps.map(|steps| json!(steps)))] {
                if let Some(value) = value {
                    answer[name] = value;
                }
            }
            answer
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn equal_candidates_elect_themselves(answer in answers(), count in 1usize..6) {
        let candidates: Vec<_> = (0..count).map(|voter| (voter, answer.clone())).collect();
        let verdict = vote(&rich(false)).decide(&candidates).unwrap();
        prop_assert_eq!(&verdict.value, &answer);
        prop_assert!(verdict.agreement.iter().all(|field| field.share == 1.0));
        prop_assert_eq!(verdict.whole, None);
    }

    #[test]
    fn the_result_fits_the_schema_in_whatever_order_answers_come(
        candidates in prop::collection::vec(answers(), 1..8).prop_map(|all| all.into_iter().enumerate().collect::<Vec<_>>()),
        constrained: bool,
        turn in 0usize..8,
    ) {
        let schema = Schema::new(rich(constrained)).unwrap();
        let fields = FieldVote::new(&schema);
        match fields.decide(&candidates) {
            Ok(verdict) => {
                prop_assert_eq!(schema.validate(&verdict.value), Ok(()));
                if let Some(whole) = verdict.whole {
                    prop_assert!(constrained);
                    prop_assert_eq!(&verdict.value, &candidates[whole].1);
                }
                let mut other_order = candidates.clone();
                other_order.reverse();
                other_order.rotate_left(turn % candidates.len());
                prop_assert_eq!(fields.decide(&other_order), Ok(verdict));
            }
            Err(error) => {
                let is_all_unfit = matches!(error, VoteError::NoValidCandidate { .. });
                prop_assert!(is_all_unfit && candidates.iter().all(|(_, answer)| schema.validate(answer).is_err()));
            }
        }
    }

    /// Other numbers for the voters decide ties and nothing else.
    #[test]
    fn numbers_of_voters_matter_in_ties_only(candidates in prop::collection::vec(answers(), 1..4), turn in 0usize..7) {
        // each candidate twice and one more time the first: no field with two values can be in a tie
        let odd: Vec<Value> = candidates.iter().chain(&candidates).chain(&candidates[..1]).cloned().collect();
        let fields = vote(&rich(false));
        let by = |turn: usize| {
            let mut all = odd.clone();
            all.rotate_left(turn % odd.len());
            fields.decide(&all.into_iter().enumerate().collect::<Vec<_>>()).unwrap().value
        };
        let (one, other) = (by(0), by(turn));
        for name in ["ok", "score"] {
            prop_assert_eq!(&one[name], &other[name]);
        }
        let sorted = |value: &Value| {
            let mut tags: Vec<String> = serde_json::from_value(value["tags"].clone()).unwrap();
            tags.sort();
            tags
        };
        prop_assert_eq!(sorted(&one), sorted(&other));
    }
}
