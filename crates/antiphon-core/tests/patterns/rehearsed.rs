//! A model that answers by a function of the request, and counts who is in flight.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use antiphon_core::{
    Answer, Body, BoxFuture, ChatDelta, ChatRequest, ChatResponse, Error, ErrorKind, FinishReason,
    Head, Model, Spent, Usage,
    chat::{Content, Delivery},
};

type Said = Result<Answer, Error>;
type Script = dyn Fn(ChatRequest) -> BoxFuture<'static, Said> + Send + Sync;

/// Answers each request by its script. A streamed answer comes word by word, a millisecond apart.
pub(crate) struct Rehearsed {
    script: Box<Script>,
    pub(crate) requests: Mutex<Vec<ChatRequest>>,
    in_flight: Arc<AtomicUsize>,
    peak: AtomicUsize,
}

impl Rehearsed {
    pub(crate) fn new<F>(script: impl Fn(ChatRequest) -> F + Send + Sync + 'static) -> Arc<Self>
    where
        F: Future<Output = Said> + Send + 'static,
    {
        Arc::new(Self {
            script: Box::new(move |request| Box::pin(script(request))),
            requests: Mutex::default(),
            in_flight: Arc::default(),
            peak: AtomicUsize::new(0),
        })
    }

    pub(crate) fn calls(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(SeqCst)
    }

    /// The most calls that were ever in flight at once.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(SeqCst)
    }
}

struct Flight(Arc<AtomicUsize>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Model for Rehearsed {
    fn name(&self) -> &str {
        "test/rehearsed"
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(async move {
            self.requests.lock().unwrap().push(request.clone());
            let now = self.in_flight.fetch_add(1, SeqCst) + 1;
            let flight = Flight(Arc::clone(&self.in_flight));
            self.peak.fetch_max(now, SeqCst);
            let streamed = request.delivery == Delivery::Streamed;
            let answer = (self.script)(request).await?;
            let head = Head {
                model: "test/rehearsed".to_owned(),
                status: 200,
                attempts: 1,
                ..Head::default()
            };
            let body = match streamed {
                false => Body::Ready(answer),
                true => Body::Stream(Box::pin(deltas(answer, flight))),
            };
            Ok(ChatResponse { head, body })
        })
    }
}

fn deltas(
    answer: Answer,
    flight: Flight,
) -> impl futures_util::Stream<Item = Result<ChatDelta, Error>> {
    let mut pieces: Vec<ChatDelta> = answer
        .text
        .split_inclusive(' ')
        .map(|word| ChatDelta {
            text: word.to_owned(),
            ..ChatDelta::default()
        })
        .collect();
    let usage = answer.usage();
    pieces.push(ChatDelta {
        finish_reason: Some(answer.finish_reason),
        ..ChatDelta::default()
    });
    // usage comes after the finish reason, as OpenAI sends it
    pieces.push(ChatDelta {
        usage,
        ..ChatDelta::default()
    });
    futures_util::stream::unfold((pieces.into_iter(), flight), |(mut pieces, flight)| async {
        let piece = pieces.next()?;
        tokio::time::sleep(Duration::from_millis(1)).await;
        Some((Ok(piece), (pieces, flight)))
    })
}

impl fmt::Debug for Rehearsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rehearsed")
    }
}

/// An answer of ten input and five output tokens.
pub(crate) fn said(text: impl Into<String>) -> Answer {
    Answer {
        text: text.into(),
        finish_reason: FinishReason::Stop,
        reasoning: None,
        refusal: None,
        tool_calls: Vec::new(),
        model: None,
        spent: Spent::answer(Some(Usage {
            input_tokens: 10,
            output_tokens: 5,
            ..Usage::default()
        })),
        body: bytes::Bytes::new(),
        latency: Duration::ZERO,
    }
}

pub(crate) fn failed(kind: ErrorKind) -> Error {
    Error::new(kind, kind.code())
}

/// The words of the last message.
pub(crate) fn words(request: &ChatRequest) -> String {
    match &request.messages.last().unwrap().content {
        Some(Content::Text(text)) => text.clone(),
        other => panic!("no plain text: {other:?}"),
    }
}

/// Says what it was asked.
pub(crate) fn echo() -> Arc<Rehearsed> {
    Rehearsed::new(|request| async move { Ok(said(words(&request))) })
}

/// Runs on a clock that stands still until everybody waits.
pub(crate) fn paused<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(test)
}
