//! [`batch`]: many requests of a program, one outcome for each, at its index.

mod calls;
mod progress;
mod result;
mod stream;
mod summary;

use std::{num::NonZeroUsize, sync::Arc};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use self::calls::Calls;
pub use self::{
    progress::{CallbackFailure, CallbackResult},
    result::{BatchOutcome, BatchResult},
    stream::BatchStream,
    summary::{BatchSummary, LatencySummary},
};
use super::{byte_budget::ByteBudget, occurrence::tell_equal_apart};
use crate::{
    ChatRequest, Clock, Dice, Error, Reply, Schema, SharedModel, SystemClock,
    chat::Object,
    layers::{
        admit::{Account, AccountConfig, Admit, QuotaConfig},
        validate::{Validate, ValidateConfig},
    },
    schema::InvalidSchema,
};

/// Calls in flight where the program does not say.
const USUAL_CONCURRENCY: NonZeroUsize = NonZeroUsize::new(5).unwrap();

/// Reads the answer to a request as what the batch is of.
type Read<A> = Arc<dyn Fn(&ChatRequest, Reply) -> Result<A, Error> + Send + Sync>;

/// Asks a model many things: at most five at once, always as many as allowed, one outcome for each request at its index,
/// successes and failures side by side.
///
/// Equal requests are samples of their own: each is asked, also where a cache or coalescing is on.
///
/// ```
/// # use antiphon_core::{patterns::{batch, BatchResult}, ChatRequest, SharedModel};
/// # async fn example(model: SharedModel) {
/// let result = batch(model, ["Why is the sky blue?", "Why is grass green?"])
///     .max_concurrent(20)
///     .on_progress(|done, total, outcome| assert!(done <= total && outcome.index < total))
///     .run()
///     .await;
/// for (index, reply) in result.successes() {
///     assert!(!reply.text().is_empty(), "{index}");
/// }
/// # }
/// ```
pub fn batch<R: Into<ChatRequest>>(
    model: SharedModel,
    requests: impl IntoIterator<Item = R>,
) -> Batch<Reply> {
    let requests = requests.into_iter().map(Into::into).collect();
    Batch::new(model, requests, Arc::new(|_, reply| Ok(reply)))
}

/// As [`batch`], where every answer is a value of a type. Requests that have a schema of their own keep it.
///
/// # Errors
/// The type has no valid schema.
pub fn batch_objects<T: JsonSchema + DeserializeOwned + Send + Unpin + 'static>(
    model: SharedModel,
    requests: impl IntoIterator<Item = impl Into<ChatRequest>>,
) -> Result<Batch<Object<T>>, InvalidSchema> {
    let schema = Schema::of::<T>()?;
    let requests = requests
        .into_iter()
        .map(|request| {
            let mut request: ChatRequest = request.into();
            request.schema.get_or_insert_with(|| schema.clone());
            request
        })
        .collect();
    let read = move |request: &ChatRequest, reply| {
        Object::read(request.schema.as_ref().unwrap_or(&schema), reply)
    };
    Ok(Batch::new(model, requests, Arc::new(read)))
}

/// A batch that has not begun: see [`batch`].
pub struct Batch<A = Reply> {
    model: SharedModel,
    requests: Vec<ChatRequest>,
    read: Read<A>,
    max_concurrent: NonZeroUsize,
    quota: QuotaConfig,
    byte_budget: Option<Arc<ByteBudget>>,
    callback: Option<progress::Callback<A>>,
    clock: Option<Arc<dyn Clock>>,
}

impl<A: AsRef<Reply> + Send + Unpin + 'static> Batch<A> {
    fn new(model: SharedModel, requests: Vec<ChatRequest>, read: Read<A>) -> Self {
        Self {
            model,
            requests,
            read,
            max_concurrent: USUAL_CONCURRENCY,
            quota: QuotaConfig::default(),
            byte_budget: None,
            callback: None,
            clock: None,
        }
    }

    /// Calls in flight at most; 0 counts as 1.
    #[must_use]
    pub fn max_concurrent(mut self, calls: usize) -> Self {
        self.max_concurrent = NonZeroUsize::new(calls).unwrap_or(NonZeroUsize::MIN);
        self
    }

    /// Calls per minute, beside the limits that the model itself keeps; 0 counts as 1. Attempts that the model makes again
    /// by itself are not counted here.
    #[must_use]
    pub fn rpm(mut self, requests: u64) -> Self {
        self.quota.rpm = Some(requests.max(1));
        self
    }

    /// Tokens per minute, input and output together: reserved on an estimate, settled on what the answer has used.
    /// 0 counts as 1.
    #[must_use]
    pub fn tpm(mut self, tokens: u64) -> Self {
        self.quota.tpm = Some(tokens.max(1));
        self
    }

    /// Keeps the requests in flight and the answers that nobody has taken yet within a number of bytes.
    #[must_use]
    pub fn byte_budget(mut self, budget: Arc<ByteBudget>) -> Self {
        self.byte_budget = Some(budget);
        self
    }

    /// Tells of each outcome as it is there: how many are done, of how many, and the outcome. A callback that returns an
    /// error or panics changes nothing; its failures are told beside the results
    /// ([`BatchResult::callback_failures`], [`BatchStream::callback_failures`]).
    #[must_use]
    pub fn on_progress<R: CallbackResult>(
        mut self,
        mut callback: impl FnMut(usize, usize, &BatchOutcome<A>) -> R + Send + 'static,
    ) -> Self {
        self.callback = Some(Box::new(move |done, total, outcome| {
            callback(done, total, outcome).failure()
        }));
        self
    }

    /// Counts time by another clock than the runtime's.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Asks everything and waits for all outcomes.
    pub async fn run(self) -> BatchResult<A> {
        let calls = Arc::new(self.prepare());
        BatchResult::of(calls).await
    }

    /// The outcomes as they finish; [`BatchStream::ordered`] gives them in the order of their requests. Nothing is sent
    /// before the stream is polled, and dropping it cancels what is in flight.
    pub fn stream(self) -> BatchStream<A> {
        let calls = Arc::new(self.prepare());
        let all = (0..calls.requests.len()).collect();
        calls.start(all)
    }

    /// The outcomes in the order of their requests: [`Self::stream`], then [`BatchStream::ordered`].
    pub fn ordered(self) -> BatchStream<A> {
        self.stream().ordered()
    }

    fn prepare(mut self) -> Calls<A> {
        tell_equal_apart(self.model.name(), &mut self.requests);
        let clock = self.clock.unwrap_or_else(SystemClock::shared);
        let mut model = self.model;
        if self.quota != QuotaConfig::default() {
            let config = AccountConfig {
                concurrency: u32::try_from(self.max_concurrent.get())
                    .ok()
                    .and_then(std::num::NonZeroU32::new),
                quota: self.quota,
                give_up_after: None,
                quota_only: true,
                ..AccountConfig::default()
            };
            let account = Account::new(config, Arc::clone(&clock), Arc::new(Dice::new()));
            // a dropped stream cancels; there is nothing to drain
            let never = tokio_util::sync::CancellationToken::new();
            model = Arc::new(Admit::new(model, account, never));
        }
        // a full stack has judged its answers by the schema already, and judging them again is cheap; another model has not
        let model = Arc::new(Validate::new(model, ValidateConfig::default()));
        Calls {
            model,
            requests: self.requests,
            read: self.read,
            max_concurrent: self.max_concurrent,
            byte_budget: self.byte_budget,
            callback: std::sync::Mutex::new(self.callback),
            clock,
        }
    }
}

impl<A> std::fmt::Debug for Batch<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch")
            .field("model", &self.model.name())
            .field("requests", &self.requests.len())
            .field("max_concurrent", &self.max_concurrent)
            .field("quota", &self.quota)
            .finish_non_exhaustive()
    }
}
