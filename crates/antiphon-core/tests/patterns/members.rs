//! Models that answer as the test says, and tell whether they were cancelled.

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
    Head, Model, SharedModel, Spent, Usage,
};

pub(crate) type Outcome = Result<ChatResponse, Error>;
type Script = dyn Fn(usize) -> Outcome + Send + Sync;

/// Answers each call after its delay; calls are numbered from 0.
pub(crate) struct ScriptedMember {
    name: &'static str,
    delay: Duration,
    script: Box<Script>,
    started: AtomicUsize,
    under_way: Arc<AtomicUsize>,
    requests: Mutex<Vec<ChatRequest>>,
}

impl ScriptedMember {
    pub(crate) fn new(
        name: &'static str,
        seconds: u64,
        script: impl Fn(usize) -> Outcome + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            delay: Duration::from_secs(seconds),
            script: Box::new(script),
            started: AtomicUsize::new(0),
            under_way: Arc::default(),
            requests: Mutex::default(),
        })
    }

    /// Always the same text, of 10 + 5 tokens.
    pub(crate) fn says(name: &'static str, seconds: u64, text: &'static str) -> Arc<Self> {
        Self::new(name, seconds, move |_| ready(name, text))
    }

    pub(crate) fn fails(name: &'static str, seconds: u64, kind: ErrorKind) -> Arc<Self> {
        Self::new(name, seconds, move |_| Err(failure(kind)))
    }

    pub(crate) fn started(&self) -> usize {
        self.started.load(SeqCst)
    }

    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<ChatRequest> {
        self.requests.lock().unwrap().clone()
    }
}

struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Model for ScriptedMember {
    fn name(&self) -> &str {
        self.name
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            let number = self.started.fetch_add(1, SeqCst);
            self.requests.lock().unwrap().push(request);
            self.under_way.fetch_add(1, SeqCst);
            let _under_way = UnderWay(Arc::clone(&self.under_way));
            tokio::time::sleep(self.delay).await;
            (self.script)(number)
        })
    }
}

impl fmt::Debug for ScriptedMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The members as a pattern takes them.
pub(crate) fn shared<const N: usize>(members: [&Arc<ScriptedMember>; N]) -> Vec<SharedModel> {
    members
        .map(|member| -> SharedModel { member.clone() })
        .into()
}

pub(crate) fn tokens(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage {
        input_tokens,
        output_tokens,
        ..Usage::default()
    }
}

fn head(name: &str) -> Head {
    Head {
        model: name.to_owned(),
        status: 200,
        attempts: 1,
        ..Head::default()
    }
}

pub(crate) fn ready(name: &str, text: &str) -> Outcome {
    let answer = Answer {
        text: text.to_owned(),
        finish_reason: FinishReason::Stop,
        reasoning: None,
        refusal: None,
        tool_calls: Vec::new(),
        model: None,
        spent: antiphon_core::Spent::answer(Some(tokens(10, 5))),
        body: text.as_bytes().to_vec().into(),
        latency: Duration::ZERO,
    };
    Ok(ChatResponse {
        head: head(name),
        body: Body::Ready(answer),
    })
}

/// Deltas, each after so many seconds of silence.
pub(crate) fn streamed(name: &str, deltas: Vec<(u64, Result<ChatDelta, Error>)>) -> Outcome {
    let deltas = futures_util::stream::unfold(deltas.into_iter(), |mut deltas| async move {
        let (seconds, delta) = deltas.next()?;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Some((delta, deltas))
    });
    Ok(ChatResponse {
        head: head(name),
        body: Body::Stream(Box::pin(deltas)),
    })
}

pub(crate) fn delta(text: &str) -> ChatDelta {
    ChatDelta {
        text: text.to_owned(),
        ..ChatDelta::default()
    }
}

pub(crate) fn last_delta() -> ChatDelta {
    ChatDelta {
        finish_reason: Some(FinishReason::Stop),
        ..ChatDelta::default()
    }
}

/// An error of one attempt that was billed.
pub(crate) fn failure(kind: ErrorKind) -> Error {
    Error::new(kind, format!("it was {kind}"))
        .with_attempts(1)
        .with_spent(Spent::answer(Some(tokens(1, 0))))
}
