//! The calls of a batch, which may be made more than once.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    BatchOutcome, BatchStream, Read,
    progress::{Callback, Reporter},
};
use crate::{
    ChatRequest, Clock, Error, Reply, SharedModel,
    patterns::{
        byte_budget::{ByteBudget, Hold},
        window,
    },
};

/// Everything a batch needs to ask any of its requests.
pub(super) struct Calls<A> {
    /// With the layers of the batch around it.
    pub(super) model: SharedModel,
    pub(super) requests: Vec<ChatRequest>,
    pub(super) read: Read<A>,
    pub(super) max_concurrent: NonZeroUsize,
    pub(super) byte_budget: Option<Arc<ByteBudget>>,
    pub(super) callback: Mutex<Option<Callback<A>>>,
    pub(super) clock: Arc<dyn Clock>,
}

/// An outcome with its share of the byte budget, which it holds until somebody takes it.
pub(super) struct Finished<A> {
    pub(super) outcome: BatchOutcome<A>,
    pub(super) hold: Option<Hold>,
}

impl<A: Send + Unpin + 'static> Calls<A> {
    /// Asks the requests at these indices.
    pub(super) fn start(self: &Arc<Self>, indices: Vec<usize>) -> BatchStream<A> {
        let reporter = Arc::new(Reporter::new(indices.len()));
        let (calls, told) = (Arc::clone(self), Arc::clone(&reporter));
        let outcomes = window(indices, self.max_concurrent, move |_, index| {
            let (calls, told) = (Arc::clone(&calls), Arc::clone(&told));
            async move {
                let finished = calls.call(index).await;
                let mut callback = calls
                    .callback
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                told.tell(&mut callback, &finished.outcome);
                drop(callback);
                finished
            }
        });
        BatchStream::new(outcomes, reporter)
    }

    async fn call(&self, index: usize) -> Finished<A> {
        let begun = self.clock.now();
        let request = self.requests[index].clone();
        let mut hold = match &self.byte_budget {
            None => None,
            Some(budget) => Some(budget.admit(&request).await),
        };
        let asked = self.model.ask(request).await;
        if let Some(hold) = &mut hold {
            settle(hold, &asked);
        }
        // only answers that are still to be written down count as in flight
        let result = asked
            .map(Reply::released)
            .and_then(|reply| (self.read)(&self.requests[index], reply));
        let outcome = BatchOutcome {
            index,
            result,
            duration: self.clock.now().since(begun),
        };
        Finished { outcome, hold }
    }
}

fn settle(hold: &mut Hold, asked: &Result<Reply, Error>) {
    match asked {
        Ok(reply) => hold.settle(&reply.answer),
        Err(error) => hold.settle_bytes(error.body().map_or(0, bytes::Bytes::len)),
    }
}

impl<A> std::fmt::Debug for Calls<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Calls")
            .field("model", &self.model.name())
            .field("requests", &self.requests.len())
            .finish_non_exhaustive()
    }
}
