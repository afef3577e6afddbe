//! [`Allowance`]: what somebody may ask in a minute. Nobody waits for it: who is over it is told when to come again.
//!
//! The minute is any 60 s, and may be used at once. Tokens are reserved on an estimate and settled on the truth, like those
//! of an account.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{
    bucket::Bucket,
    estimate::{Demand, Estimate},
    quota::{MOST_TOKENS, Settled, Tokens},
};
use crate::{
    ChatRequest, Clock, Error, Moment, Usage,
    chat::{LimitWindow, RateLimits},
};

/// Limits per minute; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllowanceConfig {
    /// Requests per minute.
    pub rpm: Option<u64>,
    /// Tokens per minute, input and output together.
    pub tpm: Option<u64>,
}

/// Why a request is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// The requests of the minute are used up.
    Requests {
        /// The limit.
        rpm: u64,
        /// Time until the request fits.
        after: Duration,
    },
    /// The tokens of the minute leave too few.
    Tokens {
        /// The limit.
        tpm: u64,
        /// Tokens that the request is thought to need.
        needed: u64,
        /// Time until the request fits.
        after: Duration,
    },
    /// Its input alone is more than a minute has.
    TooLarge {
        /// The limit.
        tpm: u64,
        /// Input tokens that the request is thought to have.
        input: u64,
    },
}

/// Requests and tokens per minute of one caller: what is used up is refused, and nobody waits.
pub struct Allowance {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    config: AllowanceConfig,
    requests: Bucket,
    tokens: Bucket,
    estimate: Estimate,
    /// Shares that are not settled.
    open: u32,
}

impl fmt::Debug for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Allowance").field(&self.limits()).finish()
    }
}

impl Allowance {
    /// One that nobody has used yet.
    pub fn new(config: AllowanceConfig, clock: Arc<dyn Clock>) -> Arc<Self> {
        let bucket = |limit: Option<u64>| Bucket::unpaced(limit.map(|limit| limit as f64));
        Arc::new(Self {
            clock,
            state: Mutex::new(State {
                requests: bucket(config.rpm),
                tokens: bucket(config.tpm),
                config,
                estimate: Estimate::default(),
                open: 0,
            }),
        })
    }

    /// Puts other limits in place. What the last minute has used counts against them.
    pub fn set_limits(&self, config: AllowanceConfig) {
        let now = self.clock.now();
        let mut state = self.lock();
        let limit = |limit: Option<u64>| limit.map(|limit| limit as f64);
        state.requests.replace_limit(limit(config.rpm), now);
        state.tokens.replace_limit(limit(config.tpm), now);
        state.config = config;
    }

    /// The share of a request.
    ///
    /// # Errors
    /// [`Exceeded`]: the minute has no room for it, and nothing was taken.
    pub fn take(self: &Arc<Self>, request: &ChatRequest) -> Result<Share, Exceeded> {
        let demand = Demand::of(request);
        let now = self.clock.now();
        let mut state = self.lock();
        let tokens = state.estimate.tokens(&demand, state.open);
        state.check(tokens, now)?;
        let needed = tokens.input.saturating_add(tokens.output);
        let slots = [state.requests.take(1, now), state.tokens.take(needed, now)];
        state.open += 1;
        drop(state);
        Ok(Share {
            allowance: Arc::clone(self),
            demand,
            tokens,
            slots,
            taken: now,
            sent: SentSign::default(),
            is_settled: false,
        })
    }

    /// The limits and what is left of them, as headers tell it.
    pub fn limits(&self) -> RateLimits {
        let now = self.clock.now();
        let mut state = self.lock();
        let window = |limit: Option<u64>, rest: Option<(f64, Duration)>| LimitWindow {
            limit: limit.map(|limit| limit as f64),
            remaining: rest.map(|(left, _)| left),
            reset: rest.map(|(_, full)| full),
        };
        let AllowanceConfig { rpm, tpm } = state.config;
        RateLimits {
            requests: window(rpm, state.requests.rest(now)),
            tokens: window(tpm, state.tokens.rest(now)),
            ..RateLimits::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&mut self, tokens: Tokens, now: Moment) -> Result<(), Exceeded> {
        let AllowanceConfig { rpm, tpm } = self.config;
        let needed = tokens.input.saturating_add(tokens.output);
        // a guess at the answer alone must not shut anybody out for good
        if let Some(tpm) = tpm.filter(|tpm| tokens.input > *tpm) {
            let input = tokens.input;
            return Err(Exceeded::TooLarge { tpm, input });
        }
        let requests = rpm.zip(self.requests.wait(1, now));
        let of_tokens = tpm.zip(self.tokens.wait(needed, now));
        let after = |moment: Moment| moment.since(now);
        // of two reasons the one that lasts longer
        match (requests, of_tokens) {
            (Some((rpm, first)), second) if second.is_none_or(|(_, second)| first >= second) => {
                let after = after(first);
                Err(Exceeded::Requests { rpm, after })
            }
            (_, Some((tpm, moment))) => {
                let after = after(moment);
                Err(Exceeded::Tokens { tpm, needed, after })
            }
            _ => Ok(()),
        }
    }
}

/// Rides in a request to where it is sent.
#[derive(Clone, Debug, Default)]
pub struct SentSign(Arc<AtomicBool>);

impl SentSign {
    /// Something goes out for the request.
    pub(super) fn set(&self) {
        self.0.store(true, Relaxed);
    }

    /// Whether anything went out.
    pub fn is_set(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// What one request has taken. It is settled exactly once, at the latest when it is dropped: then it is given back where
/// nothing was sent, and counts as reserved where something was.
#[derive(Debug)]
pub struct Share {
    allowance: Arc<Allowance>,
    demand: Demand,
    tokens: Tokens,
    slots: [u64; 2],
    taken: Moment,
    sent: SentSign,
    is_settled: bool,
}

impl Share {
    /// What the request carries.
    pub fn sign(&self) -> SentSign {
        self.sent.clone()
    }

    /// It was answered, and used this much; an answer that was at hand used nothing.
    pub fn answered(mut self, usage: Option<Usage>) {
        let settled = match usage {
            Some(usage) => Settled::Real(usage.into()),
            None if self.sent.is_set() => Settled::AsReserved,
            None => Settled::Refused,
        };
        self.settle(settled);
    }

    /// It was not answered, or not to its end.
    pub fn failed(mut self, error: &Error) {
        let settled = match error.usage() {
            Some(usage) => Settled::Real(usage.into()),
            None if !self.sent.is_set() => Settled::Unsent,
            None if error.may_be_billed() => Settled::AsReserved,
            None => Settled::Refused,
        };
        self.settle(settled);
    }

    fn settle(&mut self, settled: Settled) {
        if std::mem::replace(&mut self.is_settled, true) {
            return;
        }
        let now = self.allowance.clock.now();
        let mut state = self.allowance.lock();
        state.open = state.open.saturating_sub(1);
        if let Settled::Real(tokens) = settled {
            let usage = Usage {
                input_tokens: tokens.input,
                output_tokens: tokens.output,
                ..Usage::default()
            };
            let lasted = now.since(self.taken);
            state.estimate.learn(&self.demand, Some(usage), lasted);
        }
        let reserved = self.tokens.input.saturating_add(self.tokens.output);
        let (requests, tokens) = match settled {
            Settled::AsReserved => return,
            Settled::Unsent => (0, 0),
            Settled::Refused => (1, 0),
            Settled::Real(Tokens { input, output }) => {
                (1, input.saturating_add(output).min(MOST_TOKENS))
            }
        };
        let [request_slot, token_slot] = self.slots;
        state.requests.settle(request_slot, 1, requests, now);
        state.tokens.settle(token_slot, reserved, tokens, now);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.settle(match self.sent.is_set() {
            true => Settled::AsReserved,
            false => Settled::Unsent,
        });
    }
}
