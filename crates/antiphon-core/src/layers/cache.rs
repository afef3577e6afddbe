//! [`Cache`]: an answer that was paid for is given again, and costs nothing.

use std::{fmt, sync::Arc};

use super::coalesce::{CoalesceConfig, KeyOf};
use crate::{
    Body, BoxFuture, ChatRequest, ChatResponse, Error, Fingerprint, FinishReason, Model,
    SharedModel, Spent, chat::Reply,
};

/// What an answer is kept under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey {
    /// Identity of the request and of the target that answers it.
    pub fingerprint: Fingerprint,
    /// Which of several answers to the same request it is.
    pub sample: u32,
}

/// Keeps answers beyond the process.
///
/// A cache is a convenience: one that cannot be read or written says so by means of its own, and its callers go on.
pub trait ResponseCache: Send + Sync + fmt::Debug {
    /// The answer that was kept; `None` where there is none that can be read and is young enough.
    fn get(&self, key: CacheKey) -> BoxFuture<'_, Option<Reply>>;

    /// Keeps an answer in place of any earlier one. It is on its way once this has been called, even if nobody waits;
    /// done when it is as durable as the cache promises.
    ///
    /// # Errors
    /// It cannot be kept.
    fn put(&self, key: CacheKey, reply: &Reply) -> BoxFuture<'_, Result<(), Error>>;
}

/// Where answers are kept, and under which fingerprint.
#[derive(Clone)]
pub struct CacheConfig {
    store: Arc<dyn ResponseCache>,
    fingerprint: KeyOf,
}

impl CacheConfig {
    /// Keeps answers in `store`. The fingerprint must cover everything that decides about an answer: provider, base URL
    /// and resolved model beside the request, since the store outlives the names of the moment.
    pub fn new(
        store: Arc<dyn ResponseCache>,
        fingerprint: impl Fn(&ChatRequest) -> Fingerprint + Send + Sync + 'static,
    ) -> Self {
        Self {
            store,
            fingerprint: Arc::new(fingerprint),
        }
    }

    /// Has equal calls in flight share one, under the same key: then nothing is paid twice that the cache would keep.
    pub fn coalesce(&self) -> CoalesceConfig {
        let fingerprint = Arc::clone(&self.fingerprint);
        CoalesceConfig::by(move |request| fingerprint(request))
    }
}

impl fmt::Debug for CacheConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheConfig")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// The layer: a request whose answer is at hand is not sent.
///
/// A hit is the whole answer with [`Head::cached`](crate::Head::cached) set and no attempts, also where a stream was
/// asked for. What the answer used is then what the hit has saved; [`Reply::spent`] is what was paid.
///
/// Kept is what would be given again in good conscience: no errors, no refusals, nothing that a filter ended, no empty
/// answers, none that ended for a reason this version does not know, and none of another model than the one that was
/// asked. An answer that was cut off is kept only where the request's own output cap did it: that is the answer that was
/// asked for, and the next would end there too. Elsewhere a cut is an accident that a second call may not meet.
///
/// Streams are not kept: only a dialect can write the whole body of an answer that came in pieces.
#[derive(Debug)]
pub struct Cache {
    inner: SharedModel,
    config: CacheConfig,
}

impl Cache {
    /// Keeps the answers of `inner`.
    pub fn new(inner: SharedModel, config: CacheConfig) -> Self {
        Self { inner, config }
    }

    async fn answer(&self, request: ChatRequest) -> Result<ChatResponse, Error> {
        let key = CacheKey {
            fingerprint: (self.config.fingerprint)(&request),
            sample: request.sample,
        };
        if let Some(reply) = self.config.store.get(key).await {
            return Ok(at_hand(reply, &request));
        }
        let cap = request.max_output_tokens();
        let response = self.inner.call(request).await?;
        if let Body::Stream(_) = response.body {
            return Ok(response);
        }
        let reply = response.whole().await?;
        if reply.head.model == self.inner.name() && is_valid(&reply, cap) {
            // the store tells what is wrong with it; the answer is as good without
            let _not_kept = self.config.store.put(key, &reply).await;
        }
        let Reply { head, answer } = reply;
        let body = Body::Ready(answer);
        Ok(ChatResponse { head, body })
    }
}

impl Model for Cache {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn inner(&self) -> Option<&SharedModel> {
        Some(&self.inner)
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(self.answer(request))
    }
}

/// A kept answer as the answer to this call.
fn at_hand(reply: Reply, request: &ChatRequest) -> ChatResponse {
    // all that was paid for the answer when it was made
    let saved = reply.spent();
    let Reply {
        mut head,
        mut answer,
    } = reply;
    answer.spent = saved;
    head.cached = true;
    head.attempts = 0;
    // asks of an earlier run that was killed were paid for this very call
    let earlier = request.journal.as_ref().map(|journal| journal.earlier());
    let earlier = earlier.into_iter().flatten();
    head.earlier = Spent::sum(earlier.map(|attempt| attempt.spent));
    ChatResponse {
        head,
        body: Body::Ready(answer),
    }
}

fn is_valid(reply: &Reply, cap: Option<u64>) -> bool {
    let answer = &reply.answer;
    let has_content = !answer.text.is_empty() || !answer.tool_calls.is_empty();
    let ended_well = match &answer.finish_reason {
        FinishReason::Stop | FinishReason::ToolCalls => true,
        FinishReason::Length => {
            let written = answer.usage().map(|usage| usage.output_tokens);
            cap.zip(written)
                .is_some_and(|(cap, written)| written >= cap)
        }
        FinishReason::ContentFilter | FinishReason::Other(_) => false,
    };
    has_content && ended_well && !answer.is_refusal() && !reply.head.cached
}
