//! [`Deadline`]: one limit for a whole call, waiting included.

use std::{sync::Arc, time::Duration};

use super::timeout::{End, limited};
use crate::{BoxFuture, ChatRequest, ChatResponse, Clock, Error, Model, Phase, SharedModel};

/// The layer: a call that has no complete answer within its limit ends in [`ErrorKind::Timeout`], whatever it was
/// doing: waiting for a permit, backing off, asking another model, streaming.
///
/// The limit is the layer's own or that of the request ([`ChatRequest::deadline`]), whichever is shorter. Without either
/// the call is the inner model's, untouched.
///
/// [`ErrorKind::Timeout`]: crate::ErrorKind::Timeout
#[derive(Debug)]
pub struct Deadline {
    inner: SharedModel,
    limit: Option<Duration>,
    clock: Arc<dyn Clock>,
}

impl Deadline {
    /// A limit for each call of `inner`.
    pub fn new(inner: SharedModel, limit: Duration, clock: Arc<dyn Clock>) -> Self {
        Self::of_requests(inner, Some(limit), clock)
    }

    /// The limits that requests name, and perhaps one for all of them.
    pub fn of_requests(inner: SharedModel, limit: Option<Duration>, clock: Arc<dyn Clock>) -> Self {
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

    fn inner(&self) -> Option<&SharedModel> {
        Some(&self.inner)
    }

    fn call(&self, mut request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        let limits = [self.limit, request.deadline.take()];
        let Some(limit) = limits.into_iter().flatten().min() else {
            return self.inner.call(request);
        };
        Box::pin(async move {
            let end = End::new(self.clock.now(), limit, Phase::Total);
            request.ends = request.ends.into_iter().chain([end.at()]).min();
            let ChatResponse { head, body } =
                end.before(&self.clock, self.inner.call(request)).await??;
            let body = limited(body, end, None, &self.clock);
            Ok(ChatResponse { head, body })
        })
    }
}
