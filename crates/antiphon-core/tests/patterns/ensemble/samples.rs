use antiphon_core::{
    ChatRequest, Error, ErrorKind, Model,
    patterns::ensemble::{EnsembleError, Samples},
};
use serde_json::{Value, json};

use super::support::{Held, Notebook, Scripted, ask, codes, gathered, ready, saying, used};

/// Says `0`, `1`, `2`; the call of this number fails.
fn counting(broken: usize) -> std::sync::Arc<Scripted> {
    Scripted::new("a", move |number, _| async move {
        if number == broken {
            return Err(Error::new(ErrorKind::Refused, "declined").with_attempts(1));
        }
        ready(&number.to_string())
    })
}

#[tokio::test]
async fn samples_stand_side_by_side() {
    let model = counting(1);
    let samples = Samples::new(model.clone(), 3).unwrap();
    assert_eq!(samples.name(), "a");
    let reply = ask(&samples, ChatRequest::prompt("x")).await.unwrap();
    assert_eq!((reply.text(), reply.usage()), ("0", Some(used(2))));
    assert_eq!(codes(&reply), ["ok", "refused", "ok"]);
    assert_eq!(gathered(&reply).decision, None);
    let body: Value = serde_json::from_slice(&reply.answer.body).unwrap();
    let choices: Vec<_> = body["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["index"].clone(), one["message"]["content"].clone()))
        .collect();
    assert_eq!(choices, [(json!(0), json!("0")), (json!(2), json!("2"))]);
    assert_eq!(body["usage"]["completion_tokens"], 10);
    let asked: Vec<_> = model
        .requests()
        .iter()
        .map(|request| request.sample)
        .collect();
    assert_eq!(asked, [0, 1, 2]);
}

#[tokio::test]
async fn they_fail_only_together() {
    let bad = super::support::failing("bad", ErrorKind::Refused, "declined");
    let error = ask(&Samples::new(bad, 2).unwrap(), ChatRequest::prompt("x"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(
        error
            .message()
            .contains("all 2 samples failed: member 0 (bad): refused: declined; member 1")
    );
}

#[tokio::test]
async fn a_killed_run_pays_no_sample_twice() {
    let held = Held::default();
    let model = held.saying("a", "1");
    let samples = Samples::new(model.clone(), 3).unwrap();
    let notebook = Notebook::default();
    let row = || ChatRequest {
        journal: notebook.journal(),
        ..ChatRequest::prompt("x")
    };
    ask(&samples, row()).await.unwrap();
    assert_eq!(
        (notebook.parts(), held.count()),
        (vec!["0".to_owned(), "1".to_owned(), "2".to_owned()], 0)
    );
    notebook.forget("1");
    notebook.restart();
    let reply = ask(&samples, row()).await.unwrap();
    assert_eq!(
        (model.calls(), reply.head.attempts, reply.usage()),
        (4, 1, Some(used(3)))
    );
}

#[test]
fn there_is_at_least_one() {
    for number in [0, 101] {
        let none = Samples::new(saying("a", "1"), number);
        assert_eq!(none.unwrap_err(), EnsembleError::NumProcessors(number));
    }
}
