//! A model that answers each request as the test says, and remembers what it was asked.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use antiphon_core::{
    Answer, Body, BoxFuture, ChatRequest, ChatResponse, Error, FinishReason, Head, Model, Usage,
    chat::Content,
};

type Say = dyn Fn(&ChatRequest) -> Said + Send + Sync;

/// What a model says, and when.
pub(crate) struct Said {
    pub(crate) after: Duration,
    pub(crate) answer: Result<Answer, Error>,
}

pub(crate) struct Answering {
    say: Box<Say>,
    asked: Mutex<Vec<ChatRequest>>,
    under_way: Arc<AtomicUsize>,
    most: AtomicUsize,
}

impl Answering {
    pub(crate) fn new(say: impl Fn(&ChatRequest) -> Said + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            say: Box::new(say),
            asked: Mutex::default(),
            under_way: Arc::default(),
            most: AtomicUsize::new(0),
        })
    }

    /// Answers at once.
    pub(crate) fn at_once(
        say: impl Fn(&ChatRequest) -> Result<Answer, Error> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::new(move |request| Said {
            after: Duration::ZERO,
            answer: say(request),
        })
    }

    /// The requests, in the order in which they were made.
    pub(crate) fn asked(&self) -> Vec<ChatRequest> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.most.load(SeqCst)
    }
}

impl fmt::Debug for Answering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answering")
    }
}

struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Model for Answering {
    fn name(&self) -> &str {
        "test/answering"
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        self.most
            .fetch_max(self.under_way.fetch_add(1, SeqCst) + 1, SeqCst);
        let place = Place(Arc::clone(&self.under_way));
        let Said { after, answer } = (self.say)(&request);
        self.asked.lock().unwrap().push(request);
        Box::pin(async move {
            let _place = place;
            tokio::time::sleep(after).await;
            let head = Head {
                model: "test/answering".to_owned(),
                status: 200,
                attempts: 1,
                ..Head::default()
            };
            answer.map(|answer| ChatResponse {
                head,
                body: Body::Ready(answer),
            })
        })
    }
}

/// An answer of 10 tokens to 100.
pub(crate) fn answer(text: impl Into<String>) -> Answer {
    let text = text.into();
    Answer {
        body: text.clone().into(),
        text,
        finish_reason: FinishReason::Stop,
        reasoning: None,
        refusal: None,
        tool_calls: Vec::new(),
        model: None,
        spent: antiphon_core::Spent::answer(Some(used(1))),
        latency: Duration::ZERO,
    }
}

pub(crate) fn used(answers: u64) -> Usage {
    Usage {
        input_tokens: 100 * answers,
        output_tokens: 10 * answers,
        ..Usage::default()
    }
}

pub(crate) fn text(request: &ChatRequest, message: usize) -> &str {
    match &request.messages[message].content {
        Some(Content::Text(text)) => text,
        other => panic!("text: {other:?}"),
    }
}

/// The instruction.
pub(crate) fn system(request: &ChatRequest) -> &str {
    text(request, 0)
}

/// The texts in the blocks of the user's message, in order.
pub(crate) fn blocks(request: &ChatRequest) -> Vec<String> {
    let mut texts = Vec::new();
    let mut rest = text(request, 1);
    while let Some(open) = rest.find('<') {
        let (tag, inner) = rest[open + 1..].split_once(">\n").unwrap();
        let (text, after) = inner.split_once(&format!("\n</{tag}>")).unwrap();
        texts.push(text.to_owned());
        rest = after;
    }
    texts
}
