use antiphon_core::{
    ErrorKind, FinishReason, Schema,
    patterns::{batch, batch_objects},
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::rehearsed::{Rehearsed, said, words};

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
struct Verdict {
    /// Between 1 and 10.
    #[schemars(range(min = 1, max = 10))]
    score: u8,
}

/// Answers with what was asked; off-schema answers are put right when asked again.
fn mirror() -> std::sync::Arc<Rehearsed> {
    Rehearsed::new(|request| async move {
        let first = match &request.messages[0].content {
            Some(antiphon_core::chat::Content::Text(text)) => text.clone(),
            _ => String::new(),
        };
        let mut answer = said(first.clone());
        match first.as_str() {
            "refuse" => answer.refusal = Some("no".to_owned()),
            "cut" => answer.finish_reason = FinishReason::Length,
            "mend" if request.messages.len() > 1 => {
                assert!(words(&request).contains("JSON"));
                answer.text = "{\"score\": 7}".to_owned();
            }
            _ => {}
        }
        Ok(answer)
    })
}

#[tokio::test]
async fn answers_are_values_and_every_fault_has_its_kind() {
    let prompts = [
        "{\"score\": 3}",
        "refuse",
        "cut",
        "{\"score\": 11}",
        "mend",
        "{\"sco",
    ];
    let model = mirror();
    let result = batch_objects::<Verdict>(model.clone(), prompts)
        .unwrap()
        .run()
        .await;
    let values: Vec<_> = result
        .successes()
        .map(|(i, object)| (i, object.value.score))
        .collect();
    assert_eq!(values, [(0, 3), (4, 7)]);
    let kinds: Vec<_> = result
        .failures()
        .map(|(i, error)| (i, error.kind()))
        .collect();
    let expected = [
        (1, ErrorKind::Refused),
        (2, ErrorKind::CutOff),
        (3, ErrorKind::OffSchema),
        (5, ErrorKind::OffSchema),
    ];
    assert_eq!(kinds, expected);
    // three asks each for the two hopeless ones, two for the one that was mended
    assert_eq!(model.calls(), 3 + 3 + 3 + 2);
    assert_eq!(result.usage().total(), 11 * 15, "every ask was paid for");
}

#[tokio::test]
async fn a_request_keeps_a_schema_of_its_own() {
    let schema =
        Schema::new(serde_json::json!({"type": "object", "properties": {"score": {"maximum": 2}}}));
    let request = antiphon_core::ChatRequest::from("{\"score\": 3}").with_schema(schema.unwrap());
    let result = batch_objects::<Verdict>(mirror(), [request.clone()])
        .unwrap()
        .run()
        .await;
    assert_eq!(
        result.failures().next().unwrap().1.kind(),
        ErrorKind::OffSchema
    );
    let untyped = batch(mirror(), [request]).run().await;
    assert_eq!(untyped.failed(), 1);
}
