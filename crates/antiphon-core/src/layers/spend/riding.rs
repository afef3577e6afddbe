//! A streamed answer that carries what its attempt holds.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::Stream;

use super::{hold::Holding, price::Prices, purse::Settled};
use crate::{ChatDelta, Error, Usage, Usd, chat::DeltaStream};

/// It settles when the stream ends whole: at its end, or when it is dropped after its finish reason and usage. Any other end
/// keeps the hold.
pub(super) struct Riding {
    deltas: DeltaStream,
    holding: Holding,
    prices: Arc<Prices>,
    service_tier: Option<String>,
    model: Option<String>,
    usage: Option<Usage>,
    /// What the whole answer cost, once it was priced.
    cost: Option<Usd>,
    /// A finish reason has come, and since then nothing went wrong.
    complete: bool,
}

impl Riding {
    pub(super) fn new(
        deltas: DeltaStream,
        holding: Holding,
        prices: Arc<Prices>,
        service_tier: Option<String>,
    ) -> Self {
        Self {
            deltas,
            holding,
            prices,
            service_tier,
            model: None,
            usage: None,
            cost: None,
            complete: false,
        }
    }

    fn note(&mut self, delta: &ChatDelta) {
        self.usage = delta.usage.or(self.usage);
        self.cost = delta.spent.and_then(|spent| spent.cost()).or(self.cost);
        self.complete |= delta.finish_reason.is_some();
        if self.model.is_none() {
            self.model.clone_from(&delta.model);
        }
    }

    fn end(&mut self) {
        let settled = match self.complete {
            true => {
                let (model, tier) = (self.model.as_deref(), self.service_tier.as_deref());
                let priced = || self.prices.cost(self.usage, model, tier);
                let cost = self.cost.or_else(priced);
                self.prices.settled(cost, self.holding.amount())
            }
            false => Settled::Keep,
        };
        self.holding.settle(settled);
    }
}

impl Stream for Riding {
    type Item = Result<ChatDelta, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let next = ready!(this.deltas.as_mut().poll_next(cx));
        match &next {
            Some(Ok(delta)) => this.note(delta),
            Some(Err(_)) => {
                this.complete = false;
                this.end();
            }
            None => this.end(),
        }
        Poll::Ready(next)
    }
}

impl Drop for Riding {
    fn drop(&mut self) {
        self.end();
    }
}
