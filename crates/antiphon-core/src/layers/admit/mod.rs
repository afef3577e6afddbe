//! [`Admit`]: lets a call out when the account has a permit and the quota for it, both at once, first in first out.
//!
//! The rules know neither clock nor task (`admission.rs`); [`Account`] is the thin async shell around them; [`Admit`] is
//! the layer, of which several may share an account. What a call has been given rides in its response:
//!
//! - the **ticket** (its share of the quota) is settled on the real usage when the body ends, and on what was reserved
//!   when it ends early;
//! - the **permit** (its place in flight) is free when the body has ended *and* [`Head::receipt`] is dropped. A job
//!   keeps the receipt until the outcome is committed, so an answer that exists only in memory counts as in flight, and
//!   a crash never loses more paid answers than the concurrency. After an error the permit is free at once.
//!
//! Those who ask have limits of their own where they are callers of a gateway: an [`Allowance`], at whose door nobody waits.
//!
//! [`Head::receipt`]: crate::Head::receipt

mod account;
mod admission;
mod allowance;
mod bucket;
mod config;
mod estimate;
mod gate;
mod health;
mod lengths;
mod line;
mod outage;
mod passage;
mod pause;
mod quota;
#[cfg(test)]
mod reservations;
#[cfg(test)]
mod tests;

use std::{
    num::NonZeroU32,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::Stream;
use tokio_util::sync::CancellationToken;

pub use account::Account;
pub use allowance::{Allowance, AllowanceConfig, Exceeded, SentSign, Share};
pub use bucket::seconds_for;
pub use config::{AccountConfig, AccountSnapshot, EndpointState};
pub use estimate::CountTokens;
pub use outage::{InARow, OutageConfig, WhenDown};
pub use quota::QuotaConfig;

use self::passage::Passage;
use crate::{
    Body, BoxFuture, ChatDelta, ChatRequest, ChatResponse, Error, ErrorKind, Limits, Model,
    SharedModel, Usage,
    chat::{DeltaStream, Receipt},
};

/// The layer; see the [module](self).
#[derive(Debug)]
pub struct Admit {
    inner: SharedModel,
    account: Arc<Account>,
    patience: Option<Duration>,
    drain: CancellationToken,
}

impl Admit {
    /// Admission to `account` in front of `inner`. Once `drain` is cancelled, calls that wait are stopped.
    pub fn new(inner: SharedModel, account: Arc<Account>, drain: CancellationToken) -> Self {
        Self {
            inner,
            account,
            patience: None,
            drain,
        }
    }

    /// With calls that wait no longer than this, and not at all where it is known beforehand that they would. They fail
    /// unsent with [`ErrorKind::RateLimited`] or [`ErrorKind::Overloaded`], which another model may not.
    #[must_use]
    pub fn with_patience(mut self, patience: Option<Duration>) -> Self {
        self.patience = patience;
        self
    }
}

impl Model for Admit {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn inner(&self) -> Option<&SharedModel> {
        Some(&self.inner)
    }

    fn limits(&self) -> Limits {
        let most = NonZeroU32::new(self.account.most_calls());
        let inner = self.inner.limits().concurrency;
        Limits {
            concurrency: most.into_iter().chain(inner).min(),
        }
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(async move {
            let demand = self.account.demand(&request).await;
            let mut passage = self
                .account
                .admit(demand, self.patience, &self.drain)
                .await?;
            passage.sent();
            if let Some(hold) = &request.hold {
                hold.sent();
            }
            if let Some(sign) = &request.sent {
                sign.set();
            }
            match self.inner.call(request).await {
                Err(error) => {
                    passage.failed(&error);
                    Err(error)
                }
                Ok(response) => Ok(ride(passage, response)),
            }
        })
    }
}

/// Puts what the call holds into its response.
fn ride(mut passage: Passage, response: ChatResponse) -> ChatResponse {
    let ChatResponse { mut head, body } = response;
    passage.told(&head.limits);
    // a model that is a whole stack itself has a receipt of its own
    let below = head.receipt.take();
    head.receipt = Some(Receipt::new((passage.permit(), below)));
    let body = match body {
        Body::Ready(answer) => {
            passage.ended(answer.usage());
            Body::Ready(answer)
        }
        Body::Whole(answer) => Body::Whole(Box::pin(async move {
            let answer = answer.await;
            match &answer {
                Ok(answer) => passage.ended(answer.usage()),
                Err(error) => passage.failed(error),
            }
            answer
        })),
        Body::Stream(deltas) => Body::Stream(Box::pin(Riding {
            deltas,
            passage: Some(passage),
            usage: None,
            complete: false,
        })),
    };
    ChatResponse { head, body }
}

/// A stream that carries its passage.
struct Riding {
    deltas: DeltaStream,
    passage: Option<Passage>,
    usage: Option<Usage>,
    /// A finish reason has come: whoever stops reading now has a whole answer.
    complete: bool,
}

impl Riding {
    fn note(&mut self, delta: &ChatDelta) {
        self.usage = delta.usage.or(self.usage);
        self.complete |= delta.finish_reason.is_some();
        if let Some(passage) = &mut self.passage
            && (delta.has_content() || self.complete)
        {
            passage.flows();
        }
    }

    fn end(&mut self, error: Option<&Error>) {
        let Some(mut passage) = self.passage.take() else {
            return;
        };
        match error {
            Some(error) => passage.failed(error),
            None if self.complete => passage.ended(self.usage),
            None => passage.failed(&Error::new(
                ErrorKind::BadResponse,
                "the stream ended before its finish reason",
            )),
        }
    }
}

impl Stream for Riding {
    type Item = Result<ChatDelta, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let next = ready!(this.deltas.as_mut().poll_next(cx));
        match &next {
            Some(Ok(delta)) => this.note(delta),
            Some(Err(error)) => this.end(Some(error)),
            None => this.end(None),
        }
        Poll::Ready(next)
    }
}

impl Drop for Riding {
    fn drop(&mut self) {
        // dropped early, the passage settles itself
        if self.complete {
            self.end(None);
        }
    }
}
