use std::{sync::Arc, time::Duration};

use antiphon_core::{ChatRequest, Error, ErrorKind, chat::Receipt, patterns::ensemble::Decider};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::support::{
    Notebook, Scripted, ask, decided, decision, ensemble, failing, ready, saying, structured, used,
};

fn row(notebook: &Notebook) -> ChatRequest {
    ChatRequest {
        journal: notebook.journal(),
        ..structured()
    }
}

#[tokio::test]
async fn a_killed_run_pays_no_member_and_no_decision_twice() {
    let (a, b) = (saying("a", r#"{"x": 1}"#), saying("b", r#"{"x": 2}"#));
    let judge = saying("judge", r#"{"reason": "", "winner": 1}"#);
    let decider = Decider::Judge {
        model: judge.clone(),
        swapped: true,
    };
    let panel = ensemble(&[&a, &b], decider);
    let notebook = Notebook::default();
    let before = ask(&panel, row(&notebook)).await.unwrap();
    assert_eq!(notebook.parts(), ["0", "1", "decide", "decide"]);

    notebook.restart();
    let after = ask(&panel, row(&notebook)).await.unwrap();
    assert_eq!((a.calls(), b.calls(), judge.calls()), (1, 1, 2));
    assert_eq!(
        (after.text(), decision(&after)),
        (before.text(), decision(&before))
    );
    // what earlier runs paid is told, what this one sent is nothing
    assert_eq!((after.usage(), after.head.attempts), (Some(used(4)), 0));
}

#[tokio::test]
async fn only_what_is_missing_is_asked_again() {
    let (a, b) = (saying("a", r#"{"x": 1}"#), saying("b", r#"{"x": 2}"#));
    let chair = saying("chair", decided(&[2], Value::Null));
    let panel = ensemble(&[&a, &b], Decider::Decide(chair.clone()));
    let notebook = Notebook::default();
    ask(&panel, row(&notebook)).await.unwrap();
    notebook.forget("1");
    notebook.forget("decide");
    notebook.restart();
    ask(&panel, row(&notebook)).await.unwrap();
    assert_eq!((a.calls(), b.calls(), chair.calls()), (1, 2, 2));
}

#[tokio::test]
async fn a_decision_about_other_candidates_is_made_anew() {
    let a = saying("a", r#"{"x": 1}"#);
    let b = Scripted::new("b", |number, _| async move {
        match number {
            0 => Err(Error::new(ErrorKind::BadRequest, "no").with_attempts(1)),
            _ => ready(r#"{"x": 2}"#),
        }
    });
    let c = saying("c", r#"{"x": 3}"#);
    let chair = saying("chair", decided(&[2], Value::Null));
    let panel = ensemble(&[&a, &b, &c], Decider::Decide(chair.clone()));
    let notebook = Notebook::default();
    let reply = ask(&panel, row(&notebook)).await.unwrap();
    assert_eq!(
        (reply.text(), decision(&reply).from.as_slice()),
        (r#"{"x":3}"#, &[2][..])
    );
    // killed before the outcome: the failed member is asked again and now has an answer
    notebook.restart();
    let reply = ask(&panel, row(&notebook)).await.unwrap();
    assert_eq!(chair.calls(), 2, "candidate 2 is another one now");
    assert_eq!(
        (reply.text(), decision(&reply).from.as_slice()),
        (r#"{"x":2}"#, &[1][..])
    );
}

#[tokio::test]
async fn recorded_answers_that_are_enough_let_nobody_be_asked() {
    let (a, b, c) = (
        saying("a", r#"{"x": 1}"#),
        saying("b", r#"{"x": 2}"#),
        saying("c", r#"{"x": 3}"#),
    );
    let chair = saying("chair", decided(&[1], Value::Null));
    let panel = ensemble(&[&a, &b, &c], Decider::Decide(chair));
    let notebook = Notebook::default();
    ask(&panel, row(&notebook)).await.unwrap();
    notebook.forget("2");
    notebook.restart();
    let panel = panel.with_quorum(2.try_into().unwrap());
    ask(&panel, row(&notebook)).await.unwrap();
    assert_eq!((a.calls(), b.calls(), c.calls()), (1, 1, 1));
}

/// Bears one call at a time, each until its receipt is dropped.
fn narrow(gate: &Arc<Semaphore>, name: &str, text: &str) -> Arc<Scripted> {
    let (gate, text) = (gate.clone(), text.to_owned());
    Scripted::new(name, move |_, _| {
        let (permit, text) = (gate.clone().acquire_owned(), text.clone());
        async move {
            let mut response = ready(&text)?;
            response.head.receipt = Some(Receipt::new(permit.await));
            Ok(response)
        }
    })
}

#[tokio::test(start_paused = true)]
async fn an_account_that_bears_one_call_at_a_time_is_enough() {
    let gate = Arc::new(Semaphore::new(1));
    let (a, b) = (
        narrow(&gate, "a", r#"{"x": 1}"#),
        narrow(&gate, "b", r#"{"x": 2}"#),
    );
    let chair = narrow(&gate, "chair", &decided(&[1], Value::Null));
    let panel = ensemble(&[&a, &b], Decider::Decide(chair));
    let notebook = Notebook::default();
    for request in [structured(), row(&notebook)] {
        let asked = tokio::time::timeout(Duration::from_secs(60), ask(&panel, request));
        let reply = asked.await.expect("nobody waits for a permit for ever");
        assert!(reply.unwrap().head.receipt.is_none());
        assert_eq!(gate.available_permits(), 1);
    }
}

#[tokio::test]
async fn a_ledger_that_cannot_be_written_ends_the_call() {
    let (a, b) = (saying("a", r#"{"x": 1}"#), saying("b", r#"{"x": 2}"#));
    let chair = saying("chair", decided(&[1], Value::Null));
    let panel = ensemble(&[&a, &b], Decider::Decide(chair.clone()));
    let notebook = Notebook::default();
    notebook.break_down();
    let error = ask(&panel, row(&notebook)).await.unwrap_err();
    assert_eq!((error.kind(), chair.calls()), (ErrorKind::Stopped, 0));
}

#[tokio::test]
async fn a_run_that_stops_decides_nothing_and_keeps_what_came() {
    let (a, stopped) = (
        saying("a", r#"{"x": 1}"#),
        failing("b", ErrorKind::Stopped, "drained"),
    );
    let chair = saying("chair", "");
    let panel = ensemble(&[&a, &stopped], Decider::Decide(chair));
    let notebook = Notebook::default();
    let error = ask(&panel, row(&notebook)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.usage()),
        (ErrorKind::Stopped, Some(used(1)))
    );
    assert_eq!(notebook.parts(), ["0"]);

    // nor does a decider's wrong key end rows whose members' answers the next run finds
    let b = saying("b", r#"{"x": 2}"#);
    let chair = failing("chair", ErrorKind::Auth, "wrong key");
    let panel = ensemble(&[&a, &b], Decider::Decide(chair));
    let notebook = Notebook::default();
    let error = ask(&panel, row(&notebook)).await.unwrap_err();
    assert!(error.stops_the_run());
    assert_eq!((error.usage(), notebook.parts().len()), (Some(used(2)), 2));
}

#[tokio::test]
async fn a_record_holds_what_a_json_reader_needs() {
    let (a, b) = (saying("a", r#"{"x": 1}"#), saying("b", r#"{"x": 2}"#));
    let chair = saying("chair", decided(&[1, 2], json!({"x": 5})));
    let panel = ensemble(&[&a, &b], Decider::Decide(chair));
    let reply = ask(&panel, structured()).await.unwrap();
    let again = antiphon_core::Reply::from_record(&reply.to_record()).unwrap();
    assert_eq!(again.answer, reply.answer);
    assert_eq!(again.head.gathered, reply.head.gathered);
}
