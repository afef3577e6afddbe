//! [`Hold`]: the sign on a request that money is held for it, and [`Holding`], whoever gives the money back.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use super::{budgets::Budgets, desk::Held, purse::Settled};
use crate::{Error, Usd};

/// Rides in a request to where it is sent: whoever sends it says so, since from then on the provider may bill it.
#[derive(Clone, Debug, Default)]
pub struct Hold(Arc<AtomicBool>);

impl Hold {
    /// The request goes out.
    pub(in crate::layers) fn sent(&self) {
        self.0.store(true, Relaxed);
    }

    fn is_sent(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// What one attempt holds. It settles exactly once, at the latest when it is dropped: then it is refunded before the
/// request was sent, and kept after.
#[derive(Debug)]
pub(super) struct Holding {
    all: Arc<Budgets>,
    /// `None` once it is settled.
    held: Option<Held>,
    amount: Usd,
    sign: Hold,
}

impl Holding {
    pub(super) fn new(all: Arc<Budgets>, held: Held) -> Self {
        Self {
            all,
            held: Some(held),
            amount: held.amount,
            sign: Hold::default(),
        }
    }

    /// What the request carries.
    pub(super) fn sign(&self) -> Hold {
        self.sign.clone()
    }

    /// What is held, also after it is settled.
    pub(super) fn amount(&self) -> Usd {
        self.amount
    }

    /// The attempt ended before an answer began.
    pub(super) fn failed(&mut self, error: &Error) {
        self.settle(match self.sign.is_sent() && error.may_be_billed() {
            true => Settled::Keep,
            false => Settled::Refund,
        });
    }

    pub(super) fn settle(&mut self, settled: Settled) {
        if let Some(held) = self.held.take() {
            self.all.act(|desk, _| desk.settle(held, settled));
        }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let settled = match self.sign.is_sent() {
            true => Settled::Keep,
            false => Settled::Refund,
        };
        self.settle(settled);
    }
}
