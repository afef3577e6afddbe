use std::sync::{Arc, Mutex};

use antiphon_core::{
    BoxFuture, ChatRequest, Error, ErrorKind, FinishReason, Head, Model, Reply, Schema, Spent,
    Usage,
    chat::{Content, Role},
    job::{AnsweredAttempt, AttemptJournal},
    layers::validate::{Validate, ValidateConfig},
};
use serde_json::{Value, json};

use crate::scripted::{Scripted, answer, ready};

/// Accepts `{"ok": true}` only.
fn accepts_ok() -> Value {
    json!({"type": "object", "required": ["ok"], "properties": {"ok": {"const": true}}})
}

#[derive(Debug, Default)]
struct Notebook(Mutex<Vec<AnsweredAttempt>>);

impl AttemptJournal for Notebook {
    fn earlier(&self) -> Vec<AnsweredAttempt> {
        self.0.lock().unwrap().clone()
    }
    fn record(&self, attempt: AnsweredAttempt) -> BoxFuture<'_, Result<(), Error>> {
        self.0.lock().unwrap().push(attempt);
        Box::pin(std::future::ready(Ok(())))
    }
    fn part(&self, _: &str) -> Arc<dyn AttemptJournal> {
        unreachable!("validation has no parts")
    }
    fn answer(&self) -> Option<Reply> {
        None
    }
    fn record_answer(&self, _: &Reply) -> BoxFuture<'_, Result<(), Error>> {
        unreachable!("validation has no parts")
    }
}

/// Answers with these texts, one after the other.
fn saying(texts: &'static [&'static str]) -> Arc<Scripted> {
    Scripted::new(move |number, _| async move {
        let mut response = ready(texts[number])?;
        response.head.attempts = 1;
        Ok(response)
    })
}

fn request(journal: Option<Arc<Notebook>>) -> ChatRequest {
    ChatRequest {
        schema: Some(Schema::new(accepts_ok()).unwrap()),
        journal: journal.map(|journal| journal as Arc<dyn AttemptJournal>),
        ..ChatRequest::prompt("question")
    }
}

fn checked(leaf: &Arc<Scripted>) -> Validate {
    Validate::new(leaf.clone(), ValidateConfig::default())
}

fn used(answers: u64) -> Usage {
    Usage {
        input_tokens: 10 * answers,
        output_tokens: 5 * answers,
        ..Usage::default()
    }
}

fn text(request: &ChatRequest, index: usize) -> (Role, String) {
    let message = &request.messages[index];
    let Some(Content::Text(text)) = &message.content else {
        panic!("text")
    };
    (message.role.clone(), text.clone())
}

#[tokio::test]
async fn an_answer_off_its_schema_is_asked_again_with_what_is_wrong() {
    let leaf = saying(&["{}", "no json", r#"{"ok": true}"#]);
    let journal = Arc::new(Notebook::default());
    let response = checked(&leaf).call(request(Some(journal.clone()))).await;
    let Head {
        attempts, earlier, ..
    } = response.unwrap().head;
    assert_eq!((attempts, earlier.usage()), (3, Some(used(2))));
    let asked = leaf.requests();
    let lengths: Vec<_> = asked.iter().map(|request| request.messages.len()).collect();
    assert_eq!(lengths, [1, 3, 5]);
    assert_eq!(text(&asked[1], 1), (Role::Assistant, "{}".to_owned()));
    let (role, correction) = text(&asked[1], 2);
    assert!(role == Role::User && correction.contains("\"ok\" is a required property"));
    assert!(text(&asked[2], 4).1.contains("not valid JSON"));
    assert_eq!(journal.earlier().len(), 2);
}

#[tokio::test]
async fn after_two_more_asks_it_is_an_error_that_keeps_what_was_paid() {
    let leaf = saying(&["{}", "{}", "[1]"]);
    let error = checked(&leaf).call(request(None)).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::OffSchema, 3));
    assert_eq!(error.usage(), Some(used(3)));
    assert_eq!(
        (error.status(), error.body().unwrap().as_ref()),
        (Some(200), b"[1]".as_ref())
    );
}

#[tokio::test]
async fn a_killed_run_goes_on_where_it_stood() {
    let faulty = |text: &str| AnsweredAttempt {
        text: text.to_owned(),
        fault: "ok is missing".to_owned(),
        spent: Spent::answer(Some(used(1))),
    };
    let journal = Arc::new(Notebook(Mutex::new(vec![faulty("1"), faulty("2")])));
    let leaf = saying(&["{}"]);
    let error = checked(&leaf)
        .call(request(Some(journal.clone())))
        .await
        .unwrap_err();
    assert_eq!((error.kind(), leaf.calls()), (ErrorKind::OffSchema, 1));
    assert_eq!((error.usage(), error.attempts()), (Some(used(3)), 1));
    assert_eq!(leaf.requests()[0].messages.len(), 5);

    journal.0.lock().unwrap().push(faulty("3"));
    let silent = saying(&[]);
    let error = checked(&silent)
        .call(request(Some(journal)))
        .await
        .unwrap_err();
    assert_eq!((error.kind(), silent.calls()), (ErrorKind::OffSchema, 0));
    assert_eq!(error.usage(), Some(used(3)));
}

#[tokio::test]
async fn cut_off_and_refused_are_final() {
    for (finish_reason, kind) in [
        (FinishReason::Length, ErrorKind::CutOff),
        (FinishReason::ContentFilter, ErrorKind::Refused),
    ] {
        let leaf = Scripted::new(move |_, _| {
            let mut answer = answer("{");
            answer.finish_reason = finish_reason.clone();
            async {
                let mut response = ready("{")?;
                response.head.attempts = 1;
                response.body = antiphon_core::Body::Ready(answer);
                Ok(response)
            }
        });
        let error = checked(&leaf).call(request(None)).await.unwrap_err();
        assert_eq!((error.kind(), leaf.calls()), (kind, 1));
        assert_eq!(
            (error.usage(), error.body().is_some()),
            (Some(used(1)), true)
        );
    }
}

#[tokio::test]
async fn a_later_failure_keeps_the_usage_of_earlier_answers() {
    let leaf = Scripted::new(|number, _| async move {
        let mut response = ready("{}")?;
        response.head.attempts = 2;
        match number {
            0 => Ok(response),
            _ => Err(Error::new(ErrorKind::ServerError, "x").with_attempts(3)),
        }
    });
    let error = checked(&leaf).call(request(None)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts()),
        (ErrorKind::ServerError, 5)
    );
    assert_eq!(error.usage(), Some(used(1)));
}
