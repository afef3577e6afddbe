//! The quota of an account: requests and tokens per minute, borrowed by tickets.
//!
//! Reserve on an estimate, settle on the truth: a ticket is taken in all dimensions or in none.

use super::bucket::Bucket;
use crate::{
    Moment, Usage,
    chat::{LimitWindow, RateLimits},
};

/// Limits above this are no limits but nonsense (or a provider's way to say "none").
const ABSURD: f64 = 1e12;
/// A request of more tokens than this is nonsense, and its sums must not overflow.
pub(super) const MOST_TOKENS: u64 = 1 << 40;
const DIMENSIONS: usize = 4;

/// Limits per minute that the user names. They win over what the provider's headers say; a dimension that is `None`
/// is learned from those headers, and unlimited until then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaConfig {
    /// Requests per minute.
    pub rpm: Option<u64>,
    /// Tokens per minute, input and output together.
    pub tpm: Option<u64>,
    /// Input tokens per minute.
    pub itpm: Option<u64>,
    /// Output tokens per minute.
    pub otpm: Option<u64>,
}

/// Tokens that a request is thought to need, or has needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) input: u64,
    pub(super) output: u64,
}

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        Self {
            input: usage.input_tokens.min(MOST_TOKENS),
            output: usage.output_tokens.min(MOST_TOKENS),
        }
    }
}

/// A share of the quota that a request has borrowed.
#[derive(Debug)]
pub(super) struct Ticket {
    tokens: Tokens,
    slots: [u64; DIMENSIONS],
}

/// What a request has cost in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It was never sent.
    Unsent,
    /// It was refused at the door: a request, no tokens.
    Refused,
    /// It was sent, and nobody knows: what was reserved.
    AsReserved,
    /// It was answered.
    Real(Tokens),
}

#[derive(Debug)]
pub(super) struct Quota {
    buckets: [Bucket; DIMENSIONS],
    named: [bool; DIMENSIONS],
}

impl Quota {
    pub(super) fn new(config: QuotaConfig) -> Self {
        let named = [config.rpm, config.tpm, config.itpm, config.otpm]
            .map(|limit| limit.map(|limit| limit as f64).filter(is_limit));
        Self {
            buckets: named.map(Bucket::new),
            named: named.map(|limit| limit.is_some()),
        }
    }

    /// Whether tokens are limited in any dimension, as far as is known.
    pub(super) fn limits_tokens(&self) -> bool {
        let [_, tokens @ ..] = &self.buckets;
        tokens.iter().any(Bucket::is_limited)
    }

    /// The limits per minute that are known now, whole.
    pub(super) fn limits(&self) -> QuotaConfig {
        let [rpm, tpm, itpm, otpm] = self
            .buckets
            .each_ref()
            .map(|bucket| bucket.limit().map(|limit| limit as u64));
        QuotaConfig {
            rpm,
            tpm,
            itpm,
            otpm,
        }
    }

    /// When a request of this size may pass, if not now.
    pub(super) fn wait(&mut self, tokens: Tokens, now: Moment) -> Option<Moment> {
        let costs = costs(1, tokens);
        let each = self.buckets.iter_mut().zip(costs);
        each.filter_map(|(bucket, cost)| bucket.wait(cost, now))
            .max()
    }

    pub(super) fn take(&mut self, tokens: Tokens, now: Moment) -> Ticket {
        let mut slots = [0; DIMENSIONS];
        let costs = costs(1, tokens);
        for ((bucket, cost), slot) in self.buckets.iter_mut().zip(costs).zip(&mut slots) {
            *slot = bucket.take(cost, now);
        }
        Ticket { tokens, slots }
    }

    pub(super) fn settle(&mut self, ticket: Ticket, settled: Settled, now: Moment) {
        let reserved = costs(1, ticket.tokens);
        let real = match settled {
            Settled::Unsent => [0; DIMENSIONS],
            Settled::Refused => costs(1, Tokens::default()),
            Settled::AsReserved => return,
            Settled::Real(tokens) => costs(1, tokens),
        };
        for (dimension, bucket) in self.buckets.iter_mut().enumerate() {
            let slot = ticket.slots[dimension];
            bucket.settle(slot, reserved[dimension], real[dimension], now);
        }
    }

    /// Takes what an answer's headers say.
    pub(super) fn learn(&mut self, limits: &RateLimits, now: Moment) {
        let told = [
            limits.requests,
            limits.tokens,
            limits.input_tokens,
            limits.output_tokens,
        ];
        for (
            dimension,
            LimitWindow {
                limit, remaining, ..
            },
        ) in told.into_iter().enumerate()
        {
            let bucket = &mut self.buckets[dimension];
            if let Some(limit) = limit.filter(is_limit)
                && !self.named[dimension]
            {
                bucket.set_limit(limit, now);
            }
            // without a limit there is no telling whether the rest is of a minute or of a month
            if let Some(remaining) = remaining.filter(|left| left.is_finite() && *left >= 0.0)
                && limit.is_some_and(|limit| is_limit(&limit))
            {
                bucket.lower(remaining, now);
            }
        }
    }
}

fn is_limit(limit: &f64) -> bool {
    limit.is_finite() && *limit > 0.0 && *limit <= ABSURD
}

fn costs(requests: u64, tokens: Tokens) -> [u64; DIMENSIONS] {
    let total = tokens.input.saturating_add(tokens.output);
    [requests, total, tokens.input, tokens.output]
}
