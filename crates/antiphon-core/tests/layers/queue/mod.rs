//! The queue in front of a model that cannot bear many calls at once.

mod calls;
mod interleavings;
mod known_cases;
mod learning;
mod measured;
mod policies;
mod properties;

use std::{
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use antiphon_core::{
    BoxFuture, ChatRequest, ChatResponse, Error, Limits, Model, Reply, SharedModel, SystemClock,
    layers::queue::{Fixed, OnFailure, Queue, QueueConfig},
};

use crate::scripted::Outcome;

const MS: Duration = Duration::from_millis(1);

/// A model that says how many calls it bears, and sees how many it has.
pub(crate) struct Client<F> {
    bears: Option<NonZeroU32>,
    script: F,
    /// What it was asked, in this order.
    asked: Mutex<Vec<String>>,
    running: Arc<AtomicUsize>,
    most: AtomicUsize,
}

impl<F> std::fmt::Debug for Client<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl<F, A> Client<F>
where
    F: Fn(String) -> A + Send + Sync + 'static,
    A: Future<Output = Outcome> + Send + 'static,
{
    /// Answers what it is asked by the script, which gets the text of the question.
    pub(crate) fn new(bears: u32, script: F) -> Arc<Self> {
        Arc::new(Self {
            bears: NonZeroU32::new(bears),
            script,
            asked: Mutex::default(),
            running: Arc::default(),
            most: AtomicUsize::new(0),
        })
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// The most calls that have run at once, as far as their heads.
    pub(crate) fn most(&self) -> usize {
        self.most.load(SeqCst)
    }
}

impl<F, A> Model for Client<F>
where
    F: Fn(String) -> A + Send + Sync + 'static,
    A: Future<Output = Outcome> + Send + 'static,
{
    fn name(&self) -> &str {
        "test/client"
    }

    fn limits(&self) -> Limits {
        Limits {
            concurrency: self.bears,
        }
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        let question = text_of(&request);
        self.asked.lock().unwrap().push(question.clone());
        let running = Running::new(&self.running);
        self.most.fetch_max(self.running.load(SeqCst), SeqCst);
        let answer = (self.script)(question);
        Box::pin(async move {
            let _running = running;
            answer.await
        })
    }
}

struct Running(Arc<AtomicUsize>);

impl Running {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

pub(crate) fn text_of(request: &ChatRequest) -> String {
    match &request.messages[0].content {
        Some(antiphon_core::chat::Content::Text(text)) => text.clone(),
        other => panic!("not a text: {other:?}"),
    }
}

pub(crate) fn at_once(limit: u32) -> Box<Fixed> {
    Box::new(Fixed(NonZeroU32::new(limit).unwrap()))
}

pub(crate) fn queue(limit: u32, config: QueueConfig) -> Arc<Queue> {
    Queue::with(at_once(limit), config, SystemClock::shared())
}

pub(crate) fn on_failure(on_failure: OnFailure) -> QueueConfig {
    QueueConfig {
        on_failure,
        ..QueueConfig::default()
    }
}

/// Asks on a task of its own.
pub(crate) fn start(
    model: &SharedModel,
    question: &str,
) -> tokio::task::JoinHandle<Result<Reply, Error>> {
    let (model, question) = (Arc::clone(model), question.to_owned());
    tokio::spawn(async move { model.ask(ChatRequest::prompt(question)).await })
}
