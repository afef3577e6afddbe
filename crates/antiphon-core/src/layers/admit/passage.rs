//! [`Passage`]: what one admitted call holds.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use super::{account::Account, admission::Grant};
use crate::{Error, Usage, chat::RateLimits};

/// A place in the gate. It is free again when the last clone of its `Arc` is dropped, or at once when the call fails.
#[derive(Debug)]
pub(super) struct Permit {
    account: Arc<Account>,
    freed: AtomicBool,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.freed.swap(true, Relaxed) {
            self.account.act(|admission, _| admission.free());
        }
    }
}

/// An admitted call on its way: settles its ticket exactly once, at the latest when it is dropped.
#[derive(Debug)]
pub(super) struct Passage {
    permit: Arc<Permit>,
    /// `None` once it is settled.
    grant: Option<Grant>,
    sent: bool,
    succeeded: bool,
}

impl Passage {
    pub(super) fn new(account: Arc<Account>, grant: Grant) -> Self {
        Self {
            permit: Arc::new(Permit {
                account,
                freed: AtomicBool::new(false),
            }),
            grant: Some(grant),
            sent: false,
            succeeded: false,
        }
    }

    /// The permit, to be held beyond the end of the body.
    pub(super) fn permit(&self) -> Arc<Permit> {
        Arc::clone(&self.permit)
    }

    /// From here on the provider may count the call.
    pub(super) fn sent(&mut self) {
        self.sent = true;
    }

    /// The head has come.
    pub(super) fn told(&self, limits: &RateLimits) {
        if *limits != RateLimits::default() {
            let account = &self.permit.account;
            account.act(|admission, now| admission.told(limits, now));
        }
    }

    /// The first piece of a good answer has come.
    pub(super) fn flows(&mut self) {
        if let Some(grant) = &self.grant
            && !std::mem::replace(&mut self.succeeded, true)
        {
            let account = &self.permit.account;
            account.act(|admission, _| admission.succeeded(grant));
        }
    }

    /// A good answer has ended.
    pub(super) fn ended(&mut self, usage: Option<Usage>) {
        let Some(grant) = self.grant.take() else {
            return;
        };
        let first = !std::mem::replace(&mut self.succeeded, true);
        self.permit.account.act(|admission, now| {
            if first {
                admission.succeeded(&grant);
            }
            admission.ended(grant, usage, now);
        });
    }

    /// The call failed: nobody has an answer to keep, so the permit comes back at once, whoever holds a receipt.
    pub(super) fn failed(&mut self, error: &Error) {
        let Some(grant) = self.grant.take() else {
            return;
        };
        let permit = &self.permit;
        let chance = permit.account.dice().unit();
        permit.account.act(|admission, now| {
            if !permit.freed.swap(true, Relaxed) {
                admission.free();
            }
            admission.failed(grant, error, now, chance);
        });
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        if let Some(grant) = self.grant.take() {
            let sent = self.sent;
            self.permit.account.act(|admission, now| {
                if sent {
                    admission.abandoned(grant, now);
                } else {
                    admission.withdrawn(grant, now);
                }
            });
        }
    }
}
