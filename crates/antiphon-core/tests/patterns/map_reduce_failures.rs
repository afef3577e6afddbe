use std::{num::NonZeroUsize, sync::Arc};

use antiphon_core::{
    Error, ErrorKind, FinishReason, Schema,
    patterns::{
        Document, MapReduce, MapReduceError, OnFailure,
        map_reduce::{Cause, Ended},
    },
};
use serde_json::json;

use crate::{
    answering::{Answering, answer, blocks, text, used},
    map_reduce::{documents, echo, echoing, is_map, reducing},
};

/// Fails for the documents of these numbers.
fn failing(numbers: &'static [usize]) -> Arc<Answering> {
    Answering::at_once(move |request| {
        let said = echo(request);
        match is_map(request) && numbers.iter().any(|number| said == format!("m{number}")) {
            true => Err(Error::new(ErrorKind::ServerError, "it broke").with_attempts(3)),
            false => Ok(answer(said)),
        }
    })
}

fn ended(error: MapReduceError) -> Ended {
    match error {
        MapReduceError::Ended(ended) => *ended,
        other => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_off_the_schema_of_the_last_step_is_an_error() {
    let model = echoing();
    let schema = Schema::new(json!({"type": "object"})).unwrap();
    let error = reducing(&model)
        .with_schema(schema)
        .run(&documents(2))
        .await;
    let ended = ended(error.unwrap_err());
    let Cause::Reduce {
        error,
        level: 1,
        index: 0,
    } = &ended.cause
    else {
        panic!("{:?}", ended.cause)
    };
    assert_eq!(error.kind(), ErrorKind::OffSchema);
    assert_eq!(
        ended.documents[1].text().as_deref(),
        Some("m1"),
        "what was paid is kept"
    );
    assert_eq!(ended.spent.usage(), Some(used(3)));
}

#[tokio::test(start_paused = true)]
async fn by_default_failures_are_told_each_at_its_place() {
    let model = failing(&[1, 4]);
    let error = reducing(&model).run(&documents(6)).await.unwrap_err();
    let said = error.to_string();
    assert!(
        said.starts_with("2 map calls failed: document 1 (`d1`), piece 0: server_error: it broke;"),
        "{said}"
    );
    let ended = ended(error);
    let Cause::Pieces(failed) = &ended.cause else {
        panic!()
    };
    let places: Vec<usize> = failed.iter().map(|piece| piece.document).collect();
    assert_eq!(places, [1, 4]);
    assert_eq!(
        ended.documents[5].text().as_deref(),
        Some("m5"),
        "what was paid is kept"
    );
    assert_eq!((ended.spent.calls, ended.spent.attempts), (6, 10));
    assert!(
        model.asked().iter().all(is_map),
        "nothing is reduced in vain"
    );
}

#[tokio::test(start_paused = true)]
async fn skipped_documents_are_told_to_the_caller_and_to_the_model() {
    let model = failing(&[1, 4]);
    let skipping = reducing(&model)
        .with_fan_in(3)
        .with_on_failure(OnFailure::Skip);
    let mut documents = documents(7);
    documents[6].text.clear();
    let result = skipping.run(&documents).await.unwrap();
    assert_eq!(result.text, "((m0 m2) (m3 m5))");
    let missing: Vec<&str> = result
        .missing()
        .map(|document| document.id.as_str())
        .collect();
    assert_eq!(missing, ["d1", "d4", "d6"]);
    let asked = model.asked();
    let notes: Vec<&str> = asked
        .iter()
        .filter(|request| !is_map(request))
        .map(|request| text(request, 1).lines().next().unwrap())
        .collect();
    let note = |names: &str| {
        format!(
            "Not in the texts, since it could not be read, is all or part of {names}. Say that it is missing."
        )
    };
    assert_eq!(
        notes,
        [
            note("\"d1\""),
            note("\"d4\""),
            note("\"d1\", \"d4\", \"d6\"")
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_where_all_fail() {
    let model = failing(&[0, 1]);
    let skipping = reducing(&model).with_on_failure(OnFailure::Skip);
    let said = skipping.run(&documents(2)).await.unwrap_err().to_string();
    assert!(
        said.contains("document 0") && said.contains("document 1"),
        "{said}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_account_ends_it_at_once() {
    let model = Answering::at_once(|_| Err(Error::new(ErrorKind::Auth, "the key is wrong")));
    let one_by_one = reducing(&model)
        .with_on_failure(OnFailure::Skip)
        .with_max_concurrent(NonZeroUsize::MIN);
    let ended = ended(one_by_one.run(&documents(50)).await.unwrap_err());
    assert_eq!(model.asked().len(), 1);
    let kinds: Vec<ErrorKind> = ended.documents[..2]
        .iter()
        .map(|document| document.pieces[0].as_ref().unwrap_err().kind())
        .collect();
    assert_eq!(kinds, [ErrorKind::Auth, ErrorKind::Stopped]);
}

#[tokio::test(start_paused = true)]
async fn reducing_that_makes_nothing_shorter_ends() {
    let model = Answering::at_once(|request| {
        Ok(answer(match is_map(request) {
            true => "word ".repeat(1200),
            // as long as what it was given
            false => blocks(request).concat(),
        }))
    });
    let ended = ended(reducing(&model).run(&documents(2)).await.unwrap_err());
    assert!(
        matches!(ended.cause, Cause::NoProgress { level: 1, .. }),
        "{:?}",
        ended.cause
    );
    assert!(model.asked().len() < 20);
    assert!(ended.cause.to_string().contains("would never end"));
}

#[tokio::test(start_paused = true)]
async fn input_that_cannot_be_used_is_refused_before_any_call() {
    let model = echoing();
    let reduce = || reducing(&model);
    let said = async |reduce: MapReduce, documents: &[Document]| {
        reduce.run(documents).await.unwrap_err().to_string()
    };
    assert!(said(reduce(), &[]).await.contains("at least one"));
    assert!(
        said(reduce().with_fan_in(1), &documents(1))
            .await
            .contains("2 or more")
    );
    let mut blank = documents(2);
    blank[1].text = " \n".to_owned();
    assert!(
        said(reduce(), &blank)
            .await
            .contains("document 1 (`d1`) is empty")
    );
    let small = MapReduce::new(model.clone(), 300).with_max_output_tokens(200);
    let told = said(small, &documents(1)).await;
    assert!(
        told.contains("300 tokens") && told.contains("answer 200"),
        "{told}"
    );
    // a long prompt leaves no room for a document that must be split
    let long = reduce().with_map("word ".repeat(1600));
    let told = said(long, &[Document::new("long", "word ".repeat(3000))]).await;
    assert!(
        told.starts_with("the map step has room for 0 tokens"),
        "{told}"
    );
    assert!(model.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn refusals_fail_and_cut_answers_are_marked() {
    let model = Answering::at_once(|request| {
        let mut said = answer(echo(request));
        match said.text.as_str() {
            "m0" => said.refusal = Some("no".to_owned()),
            "m1" => said.finish_reason = FinishReason::Length,
            _ => {}
        }
        Ok(said)
    });
    let skipping = reducing(&model).with_on_failure(OnFailure::Skip);
    let result = skipping.run(&documents(3)).await.unwrap();
    let refused = result.documents[0].pieces[0].as_ref().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused);
    let cut = |index: usize| result.documents[index].pieces[0].as_ref().unwrap().cut_off;
    assert!(cut(1) && !cut(2));
    assert_eq!(
        result.spent.usage(),
        Some(used(4)),
        "the refusal was paid, too"
    );
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_document_is_never_skipped() {
    for policy in [OnFailure::Skip, OnFailure::Fail] {
        for kind in [ErrorKind::Stopped, ErrorKind::Ledger] {
            let model = Answering::at_once(move |request| match echo(request).as_str() {
                "m1" if is_map(request) => Err(Error::new(kind, "interrupted")),
                said => Ok(answer(said)),
            });
            let reduce = reducing(&model).with_on_failure(policy);
            let error = reduce.run(&documents(6)).await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "the map calls were given up: interrupted"
            );
            let ended = ended(error);
            assert!(matches!(&ended.cause, Cause::GivenUp(error) if error.kind() == kind));
            assert_eq!(ended.documents[5].text().as_deref(), Some("m5"));
        }
    }
}
