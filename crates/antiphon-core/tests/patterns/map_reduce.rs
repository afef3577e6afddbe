use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use antiphon_core::{
    ChatRequest, Schema,
    patterns::{Document, MapReduce},
};
use serde_json::json;

use crate::answering::{Answering, Said, answer, blocks, system, text, used};

pub(crate) fn documents(count: usize) -> Vec<Document> {
    (0..count)
        .map(|index| {
            Document::new(format!("d{index}"), format!("document {index}"))
                .with_metadata(json!({"page": index}).as_object().unwrap().clone())
        })
        .collect()
}

pub(crate) fn is_map(request: &ChatRequest) -> bool {
    system(request).starts_with("MAP")
}

/// Maps to `<document N>`, reduces to the texts joined.
pub(crate) fn echo(request: &ChatRequest) -> String {
    match is_map(request) {
        true => blocks(request)[0].replace("document ", "m"),
        false => format!("({})", blocks(request).join(" ")),
    }
}

pub(crate) fn echoing() -> Arc<Answering> {
    Answering::at_once(|request| Ok(answer(echo(request))))
}

pub(crate) fn reducing(model: &Arc<Answering>) -> MapReduce {
    MapReduce::new(model.clone(), 4000)
        .with_map("MAP")
        .with_reduce("REDUCE")
        .with_max_output_tokens(100)
}

#[tokio::test(start_paused = true)]
async fn answers_become_one_in_their_order() {
    let model = echoing();
    let result = reducing(&model).with_fan_in(3).run(&documents(7)).await;
    let result = result.unwrap();
    assert_eq!(result.text, "((m0 m1 m2) (m3 m4 m5) m6)");
    assert_eq!(result.levels, [2, 1]);
    assert_eq!((result.spent.calls, result.spent.attempts), (10, 10));
    assert_eq!(result.spent.usage(), Some(used(10)));
    let sixth = &result.documents[6];
    assert_eq!((sixth.index, sixth.id.as_str()), (6, "d6"));
    assert_eq!(sixth.metadata["page"], 6);
    assert_eq!(sixth.text().as_deref(), Some("m6"));
    for request in model.asked() {
        assert_eq!(request.params["max_tokens"], 100);
    }
}

#[tokio::test(start_paused = true)]
async fn a_document_longer_than_the_window_is_mapped_in_parts() {
    let model = Answering::at_once(|request| {
        Ok(answer(match is_map(request) {
            true => text(request, 1).lines().next().unwrap().to_owned(),
            false => blocks(request).join("|"),
        }))
    });
    let long = "A sentence of some words. ".repeat(1000);
    let documents = [
        Document::new("long", long.clone()),
        Document::new("short", "end"),
    ];
    let result = reducing(&model).run(&documents).await.unwrap();
    let parts: Vec<ChatRequest> = model.asked().into_iter().filter(is_map).collect();
    let read: String = parts.iter().flat_map(blocks).collect();
    assert_eq!(read, format!("{long}end"));
    assert_eq!(result.documents[0].pieces.len(), parts.len() - 1);
    assert!(
        result
            .text
            .starts_with("Part 1 of 4 of a document.|Part 2 of 4"),
        "{}",
        result.text
    );
    assert_eq!(
        result.documents[0].text().unwrap().lines().next(),
        Some("Part 1 of 4 of a document.")
    );
}

#[tokio::test(start_paused = true)]
async fn a_single_piece_is_its_own_result_unless_it_must_fit_a_schema() {
    let model = echoing();
    let result = reducing(&model).run(&documents(1)).await.unwrap();
    assert_eq!((result.text.as_str(), result.levels.len()), ("m0", 0));
    assert_eq!(model.asked().len(), 1);

    let model = Answering::at_once(|request| {
        Ok(answer(match request.schema {
            Some(_) => r#"{"topics": ["a"]}"#.to_owned(),
            None => echo(request),
        }))
    });
    let schema = json!({"type": "object", "required": ["topics"], "properties": {"topics": {"type": "array"}}});
    let schema = Schema::new(schema).unwrap();
    for count in [1, 12] {
        let structured = reducing(&model).with_schema(schema.clone());
        let result = structured.run(&documents(count)).await.unwrap();
        assert_eq!(result.value, Some(json!({"topics": ["a"]})));
        let asked = model.asked();
        let with_schema = asked.iter().filter(|request| request.schema.is_some());
        assert_eq!(
            with_schema.count(),
            if count == 1 { 1 } else { 2 },
            "only the last step"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_reduce_step_begins_as_soon_as_its_neighbours_are_there() {
    let model = Answering::new(|request| {
        let said = echo(request);
        let after = Duration::from_secs(if said == "m0" { 100 } else { 1 });
        Said {
            after,
            answer: Ok(answer(said)),
        }
    });
    let result = reducing(&model)
        .with_fan_in(2)
        .with_max_concurrent(NonZeroUsize::new(4).unwrap())
        .run(&documents(8))
        .await;
    assert_eq!(
        result.unwrap().text,
        "(((m0 m1) (m2 m3)) ((m4 m5) (m6 m7)))"
    );
    let asked: Vec<String> = model.asked().iter().map(echo).collect();
    assert_eq!(
        asked[asked.len() - 3..],
        [
            "(m0 m1)",
            "((m0 m1) (m2 m3))",
            "(((m0 m1) (m2 m3)) ((m4 m5) (m6 m7)))"
        ],
        "all others were made while the first was waited for"
    );
    assert_eq!(model.most_at_once(), 4);
}

#[tokio::test(start_paused = true)]
async fn prompts_and_models_may_be_the_callers_own() {
    let (mapper, reducer) = (echoing(), echoing());
    let result = MapReduce::new(mapper.clone(), 4000)
        .with_reduce_model(reducer.clone(), 8000)
        .with_reduce("REDUCE")
        .with_param("temperature", json!(0))
        .with_map_prompt(|piece| {
            let text = format!(
                "<{}>\n{}\n</{}>",
                piece.document.metadata["page"], piece.text, piece.document.metadata["page"]
            );
            ChatRequest::new(vec![
                antiphon_core::Message::text(antiphon_core::chat::Role::System, "MAP of my own"),
                antiphon_core::Message::text(antiphon_core::chat::Role::User, text),
            ])
            .with_param("max_tokens", json!(7))
        })
        .run(&documents(2))
        .await
        .unwrap();
    assert_eq!(result.text, "(m0 m1)");
    let first = &mapper.asked()[0];
    assert_eq!(text(first, 1), "<0>\ndocument 0\n</0>");
    assert_eq!(
        (&first.params["max_tokens"], &first.params["temperature"]),
        (&json!(7), &json!(0))
    );
    assert_eq!(reducer.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn equal_pieces_are_samples_of_their_own_wherever_others_stand() {
    let model = echoing();
    let text = |text: &str| Document::new(text, text);
    let documents = [text("a"), text("b"), text("a"), text("a")];
    let reduce = reducing(&model);
    assert_eq!(reduce.map_calls(&documents).unwrap(), 4);
    assert!(model.asked().is_empty(), "nothing is sent to count them");
    reduce.run(&documents).await.unwrap();
    let samples = |of: &str| -> Vec<u32> {
        let asked = model.asked();
        let maps = asked.iter().filter(|request| is_map(request));
        maps.filter(|request| blocks(request) == [of])
            .map(|request| request.sample)
            .collect()
    };
    assert_eq!((samples("a"), samples("b")), (vec![0, 1, 2], vec![0]));
}
