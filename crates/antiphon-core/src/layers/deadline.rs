//! [`Deadline`]: one limit for a whole call, waiting included.

use std::{sync::Arc, time::Duration};

use super::timeout::{End, limited};
use crate::{
    BoxFuture, ChatRequest, ChatResponse, Clock, Error, Limits, Makeup, Model, Phase, SharedModel,
};

/// The layer: a call that has no complete answer within its limit ends in [`ErrorKind::Timeout`], whatever it was
/// doing: waiting for a permit, backing off, streaming.
///
/// [`ErrorKind::Timeout`]: crate::ErrorKind::Timeout
#[derive(Debug)]
pub struct Deadline {
    inner: SharedModel,
    limit: Duration,
    clock: Arc<dyn Clock>,
}

impl Deadline {
    /// A limit for each call of `inner`.
    pub fn new(inner: SharedModel, limit: Duration, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner,
            limit,
            clock,
        }
    }
}

impl Model for Deadline {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn makeup(&self) -> Makeup {
        self.inner.makeup()
    }

    fn continues(&self, request: &ChatRequest) -> bool {
        self.inner.continues(request)
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(async move {
            let end = End::new(self.clock.now(), self.limit, Phase::Total);
            let ChatResponse { head, body } =
                end.before(&self.clock, self.inner.call(request)).await??;
            let body = limited(body, end, None, &self.clock);
            Ok(ChatResponse { head, body })
        })
    }
}
