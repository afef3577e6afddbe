//! [`Hold`]: the sign on a request that money is held for it, and [`Holding`], whoever gives the money back.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use super::{budgets::Budgets, desk::Held, purse::Settled};
use crate::{Error, Usd};

/// Rides in a request to where it is sent: whoever sends it says so, since from then on the provider may bill it.
#[derive(Clone, Debug)]
pub struct Hold(Arc<Sign>);

#[derive(Debug)]
struct Sign {
    all: Arc<Budgets>,
    held: Held,
    sent: AtomicBool,
}

impl Hold {
    /// The request goes out.
    pub(in crate::layers) fn sent(&self) {
        if !self.0.sent.swap(true, Relaxed) {
            self.0.all.act(|desk, _| desk.sent(self.0.held));
        }
    }

    fn is_sent(&self) -> bool {
        self.0.sent.load(Relaxed)
    }
}

/// What one attempt holds. It settles exactly once, at the latest when it is dropped: then it is refunded before the
/// request was sent, and kept after.
#[derive(Debug)]
pub(super) struct Holding {
    sign: Hold,
    is_settled: bool,
}

impl Holding {
    pub(super) fn new(all: Arc<Budgets>, held: Held) -> Self {
        let sent = AtomicBool::new(false);
        Self {
            sign: Hold(Arc::new(Sign { all, held, sent })),
            is_settled: false,
        }
    }

    /// What the request carries.
    pub(super) fn sign(&self) -> Hold {
        self.sign.clone()
    }

    /// What is held, also after it is settled.
    pub(super) fn amount(&self) -> Usd {
        self.sign.0.held.amount
    }

    /// The attempt ended before an answer began.
    pub(super) fn failed(&mut self, error: &Error) {
        self.settle(match self.sign.is_sent() && error.may_be_billed() {
            true => Settled::Keep,
            false => Settled::Refund,
        });
    }

    pub(super) fn settle(&mut self, settled: Settled) {
        if std::mem::replace(&mut self.is_settled, true) {
            return;
        }
        let Sign { all, held, sent } = &*self.sign.0;
        // whoever sends it later finds that it was said
        let was_sent = sent.swap(true, Relaxed);
        all.act(|desk, _| {
            if !was_sent {
                desk.sent(*held);
            }
            desk.settle(*held, settled);
        });
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
