//! A queue that measures its client: what its callers notice of that.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use antiphon_core::{
    ChatRequest, ErrorKind, SharedModel, SystemClock,
    layers::queue::{ClientName, Measured, Queue, QueueConfig, Reason, Verdict, Verdicts},
};
use futures_util::future::join_all;
use tokio::{sync::Semaphore, time::sleep};

use super::{Client, MS};
use crate::scripted::{error, ready};

#[derive(Debug, Default)]
struct Memory(Mutex<HashMap<ClientName, Verdict>>);

impl Verdicts for Memory {
    fn known(&self, client: &ClientName) -> Option<Verdict> {
        self.0.lock().unwrap().get(client).copied()
    }

    fn learned(&self, client: &ClientName, verdict: Verdict) {
        self.0.lock().unwrap().insert(client.clone(), verdict);
    }
}

fn name() -> ClientName {
    ClientName {
        name: "scripted".to_owned(),
        version: "1".to_owned(),
    }
}

fn measured(memory: &Arc<Memory>, client: SharedModel) -> SharedModel {
    let measured = Measured::new(name(), memory.clone());
    let clock = SystemClock::shared();
    Queue::with(Box::new(measured), QueueConfig::default(), clock).around(client)
}

/// Each must be answered with what it asked for.
async fn ask(model: &SharedModel, calls: u32) {
    let questions = (0..calls).map(|number| format!("question {number}"));
    let asked = questions.map(|question| async move {
        let reply = model.ask(ChatRequest::prompt(&question)).await;
        assert_eq!(reply.unwrap().text(), format!("answer to {question}"));
    });
    join_all(asked).await;
}

fn reason(memory: &Memory) -> (u32, Option<Reason>) {
    let verdict = memory.known(&name()).unwrap();
    let reason = verdict.refused.map(|refused| refused.reason);
    (verdict.width.get(), reason)
}

#[tokio::test(start_paused = true)]
async fn a_parallel_client_is_asked_ever_more() {
    let memory = Arc::default();
    let client = Client::new(1, |question| async move {
        sleep(300 * MS).await;
        ready(&format!("answer to {question}"))
    });
    let model = measured(&memory, client.clone());
    ask(&model, 400).await;
    assert_eq!(reason(&memory), (64, None));
    assert_eq!(client.most(), 64);
}

#[tokio::test(start_paused = true)]
async fn a_serial_client_is_asked_one_by_one_after_a_while() {
    let memory = Arc::default();
    let one = Arc::new(Semaphore::new(1));
    let client = Client::new(1, move |question| {
        let one = Arc::clone(&one);
        async move {
            let _permit = one.acquire().await;
            sleep(300 * MS).await;
            ready(&format!("answer to {question}"))
        }
    });
    ask(&measured(&memory, client.clone()), 100).await;
    assert_eq!(reason(&memory), (1, Some(Reason::NoGain)));
    assert_eq!(client.most(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_breaks_at_two_fails_nobody() {
    let memory = Arc::default();
    let inside = Arc::new(AtomicUsize::new(0));
    let client = Client::new(1, move |question| {
        let inside = Arc::clone(&inside);
        async move {
            if inside.fetch_add(1, SeqCst) > 0 {
                inside.fetch_sub(1, SeqCst);
                return Err(error(ErrorKind::ServerError));
            }
            sleep(300 * MS).await;
            inside.fetch_sub(1, SeqCst);
            ready(&format!("answer to {question}"))
        }
    });
    ask(&measured(&memory, client.clone()), 100).await;
    assert_eq!(reason(&memory), (1, Some(Reason::Breaks)));
    assert_eq!(client.asked().len(), 102);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_falls_silent_at_two_fails_nobody() {
    let memory = Arc::default();
    let inside = Arc::new(AtomicUsize::new(0));
    struct Leave(Arc<AtomicUsize>);
    impl Drop for Leave {
        fn drop(&mut self) {
            self.0.fetch_sub(1, SeqCst);
        }
    }
    let client = Client::new(1, move |question| {
        let inside = Arc::clone(&inside);
        async move {
            inside.fetch_add(1, SeqCst);
            let inside = Leave(inside);
            sleep(300 * MS).await;
            if inside.0.load(SeqCst) > 1 {
                std::future::pending::<()>().await;
            }
            ready(&format!("answer to {question}"))
        }
    });
    ask(&measured(&memory, client.clone()), 100).await;
    assert_eq!(reason(&memory), (1, Some(Reason::Deadlock)));
    let again = client.asked().len() - 100;
    assert!((1..=2).contains(&again), "{again}");
}
