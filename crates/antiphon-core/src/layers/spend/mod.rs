//! [`Spend`]: no attempt goes out before its worst case is held against the budgets that pay for it.
//!
//! The rules know neither clock nor task (`purse.rs`: one budget as arithmetic; `desk.rs`: who may hold what); [`Budgets`] is
//! the thin async shell around them; [`Spend`] is the layer. What an attempt holds is
//!
//! - **settled** on the real cost when it is answered,
//! - **refunded** when the provider refused it, or nothing of it was sent,
//! - **kept** where nobody knows: it was sent and not answered, or the answer does not tell what it used.
//!
//! A budget that outlives the process has a ceiling on disk ([`Vault`]): nothing is granted beyond what was written before.
//! Whoever begins with that ceiling as spent never exceeds the cap, whatever a crash has cut short.

mod budgets;
mod desk;
mod hold;
#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod model;
mod price;
mod purse;
mod riding;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

pub use budgets::{Budget, BudgetConfig, Budgets, Explain, TooSmall, Vault};
pub use hold::Hold;
pub(super) use price::has_fees;
pub use price::{DEFAULT_MAX_OUTPUT_TOKENS, SpendConfig, check_bounded, check_priced};
pub use purse::BudgetSnapshot;

use self::{
    desk::{Held, Lane, Payers},
    hold::Holding,
    price::{OUTPUT_CAPS, Prices},
    purse::Settled,
    riding::Riding,
};
use crate::{
    Body, BoxFuture, ChatRequest, ChatResponse, Clock, Error, ErrorKind, Model, SharedModel,
    account::Rates, chat::Charge,
};

/// The layer; see the [module](self). Admission inside it says when a request is sent.
#[derive(Debug)]
pub struct Spend {
    inner: SharedModel,
    budget: Option<Budget>,
    max_output_tokens: Option<u64>,
    prices: Arc<Prices>,
    drain: CancellationToken,
}

impl Spend {
    /// Spending in front of `inner`, at these prices, on attempts that take no longer than `within`. Once `drain` is
    /// cancelled, attempts that wait are stopped.
    pub fn new(
        inner: SharedModel,
        config: SpendConfig,
        rates: Option<Arc<dyn Rates>>,
        within: Duration,
        clock: Arc<dyn Clock>,
        drain: CancellationToken,
    ) -> Self {
        let prices = Prices::new(inner.name(), rates, within, clock);
        Self {
            inner,
            budget: config.budget,
            max_output_tokens: config.max_output_tokens,
            prices: Arc::new(prices),
            drain,
        }
    }

    /// With the output cap that every attempt has which something pays for.
    fn capped(&self, request: ChatRequest, is_bounded: bool) -> ChatRequest {
        if request.charge() != Charge::Chat {
            return request;
        }
        let usual = is_bounded.then_some(DEFAULT_MAX_OUTPUT_TOKENS);
        match self.max_output_tokens.or(usual) {
            Some(cap) if !names_cap(&request) => {
                let request = with_verbatim_cap(request, cap);
                request.with_param("max_tokens", cap.into())
            }
            _ => request,
        }
    }

    /// Waits until the worst case of the request is held on all who pay for it.
    async fn hold(
        &self,
        request: &ChatRequest,
        payers: [Option<&Budget>; 2],
    ) -> Result<Holding, Error> {
        let is_bounded = payers.iter().flatten().any(|payer| payer.is_capped());
        let amount = match is_bounded {
            true => self.prices.worst(request)?,
            // it only counts: what is not known holds nothing
            false => self.prices.worst(request).unwrap_or_default(),
        };
        let [key, whole] = payers;
        let held = Held {
            amount,
            payers: Payers::new(key.map(Budget::id), whole.map(Budget::id)),
            // as long as this layer lives, nothing else has its address
            lane: Lane(Arc::as_ptr(&self.prices) as usize),
        };
        let Some(all) = one_desk(key, whole)? else {
            return Err(Error::stopped("nobody pays for the attempt"));
        };
        all.hold(held, &self.drain).await
    }

    async fn run(&self, request: ChatRequest) -> Result<ChatResponse, Error> {
        if request.charge() == Charge::Nothing {
            return self.inner.call(request).await;
        }
        let key = request.payer.clone();
        let payers = [key.as_ref(), self.budget.as_ref()];
        let is_bounded = payers.iter().flatten().any(|payer| payer.is_capped());
        let mut request = self.capped(request, is_bounded);
        if payers.iter().all(Option::is_none) {
            return self.inner.call(request).await;
        }
        let mut holding = self.hold(&request, payers).await?;
        request.hold = Some(holding.sign());
        let tier = request.params.get("service_tier");
        let tier = tier.and_then(|tier| Some(tier.as_str()?.to_owned()));
        match self.inner.call(request).await {
            Err(error) => {
                holding.failed(&error);
                Err(error)
            }
            Ok(response) => Ok(self.ride(holding, response, tier)),
        }
    }

    /// Puts what the attempt holds into its response. An error after the head was sent by a provider that had begun to
    /// answer: what it bills is not known.
    fn ride(
        &self,
        mut holding: Holding,
        response: ChatResponse,
        tier: Option<String>,
    ) -> ChatResponse {
        let ChatResponse { head, body } = response;
        let prices = Arc::clone(&self.prices);
        let body = match body {
            Body::Ready(answer) => {
                holding.settle(prices.settled(answer.spent.cost(), holding.amount()));
                Body::Ready(answer)
            }
            Body::Whole(answer) => Body::Whole(Box::pin(async move {
                let answer = answer.await;
                holding.settle(match &answer {
                    Ok(answer) => prices.settled(answer.spent.cost(), holding.amount()),
                    Err(_) => Settled::Keep,
                });
                answer
            })),
            Body::Stream(deltas) => {
                Body::Stream(Box::pin(Riding::new(deltas, holding, prices, tier)))
            }
        };
        ChatResponse { head, body }
    }
}

/// With the output cap in the caller's own words too, where these are what is sent.
fn with_verbatim_cap(mut request: ChatRequest, cap: u64) -> ChatRequest {
    let Some(origin) = &mut request.origin else {
        return request;
    };
    if origin.body.is_some() {
        let origin = Arc::make_mut(origin);
        let name = match origin.wire {
            "openai-responses" => "max_output_tokens",
            _ => "max_tokens",
        };
        if let Some(body) = &mut origin.body {
            body.fields.insert(name.to_owned(), cap.into());
        }
    }
    request
}

/// Whether a request has an output cap of its own, be it a number or not.
fn names_cap(request: &ChatRequest) -> bool {
    OUTPUT_CAPS
        .iter()
        .filter_map(|name| request.params.get(*name))
        .any(|cap| !cap.is_null())
}

/// The desk of both payers; holding on two desks could wait for each other.
fn one_desk<'a>(
    key: Option<&'a Budget>,
    whole: Option<&'a Budget>,
) -> Result<Option<&'a Arc<Budgets>>, Error> {
    match (key, whole) {
        (Some(key), Some(whole)) if !Arc::ptr_eq(key.all(), whole.all()) => {
            let message = "budgets of one call must be opened together";
            Err(Error::new(ErrorKind::BadRequest, message))
        }
        _ => Ok(key.or(whole).map(Budget::all)),
    }
}

impl Model for Spend {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn inner(&self) -> Option<&SharedModel> {
        Some(&self.inner)
    }

    fn call(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(self.run(request))
    }
}
