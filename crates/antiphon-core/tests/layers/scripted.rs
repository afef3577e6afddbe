//! A model that does what the test says.

use std::{
    fmt,
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use antiphon_core::{
    Answer, Body, BoxFuture, ChatDelta, ChatRequest, ChatResponse, Clock, Dice, Error, ErrorKind,
    FinishReason, Head, Model, Reply, SharedModel, Spent, SystemClock, Usage,
    layers::{
        admit::{Account, AccountConfig, CountTokens},
        meter::Metrics,
        retry::RetryConfig,
    },
    stack::{StackConfig, stack},
};
use tokio_util::sync::CancellationToken;

pub(crate) type Outcome = Result<ChatResponse, Error>;
type Script = dyn Fn(usize, ChatRequest) -> BoxFuture<'static, Outcome> + Send + Sync;

/// Calls are numbered from 0; the script answers each by its number.
pub(crate) struct Scripted {
    script: Box<Script>,
    calls: AtomicUsize,
    requests: Mutex<Vec<ChatRequest>>,
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

impl Scripted {
    pub(crate) fn new<F>(
        script: impl Fn(usize, ChatRequest) -> F + Send + Sync + 'static,
    ) -> Arc<Self>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        Arc::new(Self {
            script: Box::new(move |number, request| Box::pin(script(number, request))),
            calls: AtomicUsize::new(0),
            requests: Mutex::default(),
        })
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<ChatRequest> {
        self.requests.lock().unwrap().clone()
    }
}

impl Model for Scripted {
    fn name(&self) -> &str {
        "test/scripted"
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Outcome> {
        let number = self.calls.fetch_add(1, SeqCst);
        self.requests.lock().unwrap().push(request.clone());
        (self.script)(number, request)
    }
}

pub(crate) fn answer(text: &str) -> Answer {
    Answer {
        text: text.to_owned(),
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
        body: text.as_bytes().to_vec().into(),
        latency: Duration::ZERO,
    }
}

pub(crate) fn head() -> Head {
    Head {
        model: "test/scripted".to_owned(),
        status: 200,
        ..Head::default()
    }
}

pub(crate) fn ready(text: &str) -> Outcome {
    Ok(ChatResponse {
        head: head(),
        body: Body::Ready(answer(text)),
    })
}

pub(crate) fn whole(
    answer: impl Future<Output = Result<Answer, Error>> + Send + 'static,
) -> Outcome {
    Ok(ChatResponse {
        head: head(),
        body: Body::Whole(Box::pin(answer)),
    })
}

pub(crate) fn streamed(
    deltas: impl futures_util::Stream<Item = Result<ChatDelta, Error>> + Send + 'static,
) -> Outcome {
    Ok(ChatResponse {
        head: head(),
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

pub(crate) fn error(kind: ErrorKind) -> Error {
    Error::new(kind, kind.code())
}

/// A stack around a leaf, with everything a test may look at.
pub(crate) struct Bench {
    pub(crate) model: SharedModel,
    pub(crate) account: Arc<Account>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) drain: CancellationToken,
    pub(crate) clock: Arc<dyn Clock>,
}

pub(crate) fn bench(leaf: SharedModel, account: AccountConfig, max_retries: u32) -> Bench {
    let config = StackConfig {
        retry: RetryConfig {
            max_retries,
            ..RetryConfig::default()
        },
        ..StackConfig::default()
    };
    bench_of(leaf, account, &config)
}

pub(crate) fn bench_of(leaf: SharedModel, account: AccountConfig, config: &StackConfig) -> Bench {
    counting_bench(leaf, account, config, None)
}

pub(crate) fn counting_bench(
    leaf: SharedModel,
    account: AccountConfig,
    config: &StackConfig,
    counter: Option<Arc<dyn CountTokens>>,
) -> Bench {
    let clock = SystemClock::shared();
    let dice = Arc::new(Dice::seeded(7));
    let account = Account::counting(account, Arc::clone(&clock), dice, counter);
    let metrics = Metrics::new();
    Bench {
        model: stack(leaf, config, &account, &metrics),
        account,
        metrics,
        drain: config.drain.clone(),
        clock,
    }
}

impl Bench {
    /// Starts so many calls, each on a task of its own.
    pub(crate) fn start(&self, calls: usize) -> Vec<tokio::task::JoinHandle<Result<Reply, Error>>> {
        (0..calls)
            .map(|index| {
                let model = Arc::clone(&self.model);
                tokio::spawn(async move {
                    let request = ChatRequest::prompt(format!("question {index}"));
                    let mut reply = model.ask(request).await?;
                    // as a job does when it has committed the outcome
                    reply.head.receipt = None;
                    Ok(reply)
                })
            })
            .collect()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.now().since_start()
    }
}

pub(crate) fn at_most(concurrency: u32) -> AccountConfig {
    AccountConfig {
        concurrency: NonZeroU32::new(concurrency),
        ..AccountConfig::default()
    }
}

/// Lets all tasks run until they wait; no time passes.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
